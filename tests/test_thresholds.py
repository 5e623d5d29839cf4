"""Thresholds and p-values of the anomaly detector, and deviations of unseen values: by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from skae.anomaly._calibration import (
    Calibration,
    ContaminatedCalibration,
    logarithm,
    lower_quantile,
)
from skae.anomaly._encoding import share_of_new_categories, unseen_deviations
from skae.tables._frames import read_columns

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]


def test_p_values_by_hand():
    calibration = Calibration(np.array([3.0, 1, 2, 2]))
    assert_allclose(calibration.p_values(np.array([0, 1, 2, 2.5, 3, 4])),
                    np.array([5, 5, 4, 2, 2, 1]) / 5)  # fmt: skip
    assert calibration.least == 0.2
    assert [calibration.rate(t) for t in (0.5, 1, 2, 3)] == pytest.approx([1, 0.8, 0.4, 0.2])
    assert [calibration.threshold(r) for r in (0.9, 0.8, 0.5, 0.4, 0.2, 0.1)] == [
        1, 1, 2, 2, 3, 3,
    ]  # fmt: skip
    weighted = Calibration(np.array([3.0, 1, 2]), np.array([2.0, 1, 3]))
    # Weights of mean one: 1/2, 3/2 and 1 from the least score upwards.
    assert_allclose(weighted.p_values(np.array([1, 2, 3, 4])), np.array([4, 3.5, 2, 1]) / 4)


def test_quantiles_of_weighted_values():
    values = np.array([5.0, 1, 3])
    assert lower_quantile(values, 0.5) == 3
    weight = np.array([1.0, 2, 1])
    assert [lower_quantile(values, s, weight) for s in (0.25, 0.5, 0.51, 0.75, 1)] == [
        1, 1, 3, 3, 5,
    ]  # fmt: skip
    assert_allclose(logarithm(np.array([1.0, np.e])), [0, 1])
    assert logarithm(np.zeros(1))[0] == pytest.approx(np.log(np.finfo("f4").tiny))


def test_the_limit_is_three_widths_from_the_median():
    scores = np.exp(np.arange(11.0) / 10)
    calibration = ContaminatedCalibration(np.append(scores, np.exp(40.0)))
    middle, high = np.quantile(np.append(np.arange(11.0) / 10, 40), [0.5, 0.8])
    assert calibration.threshold(0.001) == pytest.approx(np.exp(middle + 3 * (high - middle)))
    assert calibration.threshold(0.5) == pytest.approx(np.exp(0.5))
    assert calibration.least == 0
    assert ContaminatedCalibration(np.ones(5)).least == pytest.approx(1 / 6)


def test_unseen_values_are_less_distant_where_they_are_expected():
    share = np.array([0, 0.01, 0.04, 1.0])
    assert_allclose(unseen_deviations(share), [3, 3, 1.5, 0.3])


def test_the_share_of_new_categories():
    X = pd.DataFrame({"n": [1.5, 2, 3, 4], "s": ["a", "a", "b", None]})
    columns = list(read_columns(X))
    assert_allclose(share_of_new_categories(columns, None), [0, 1 / 3])
    assert_allclose(share_of_new_categories(columns, [1, 0, 2, 1]), [0, 1])
