"""Rare values as a view of a row: known answers, and single wrong values in wide tables."""

from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skae
from data import data_rng
from skae import AEAnomalyDetector
from skae.anomaly._encoding import TableEncoding
from skae.anomaly._folds import Folds
from skae.anomaly._rare import RareValues
from skae.tables import TabularEncoder

pytestmark = pytest.mark.any_backend

QUICK = {"hidden_layer_sizes": (16,), "n_steps": 60, "random_state": 0}


def fitted(frame, weight=None):
    """View fitted to a table, without rows held out, and a function that encodes rows."""
    encoder = TabularEncoder().fit(frame)
    encoding = TableEncoding.from_encoder(encoder, frame, weight)

    def encode(some):
        return encoding.encode(encoding.join(*encoder.encode(some)))

    folds = Folds(np.ones((1, len(frame)), bool), [np.array([], dtype=int)])
    data = SimpleNamespace(rows=encode(frame), weight=weight, encoding=encoding, folds=folds)
    return RareValues().fit(data), encode


def shares(view, rows):
    """Share of the rows with a value as rare, (n_samples,)."""
    (logs,) = view.logs(rows, [0])
    return np.exp(-logs)


def test_a_category_counts_by_the_share_of_those_as_rare():
    frame = pd.DataFrame({"kind": ["a"] * 90 + ["b"] * 6 + ["c"] * 3 + ["d"]})
    view, encode = fitted(frame)
    some = pd.DataFrame({"kind": ["a", "b", "c", "d", "new"]})
    assert_allclose(shares(view, encode(some)), [1.0, 0.1, 0.04, 0.01, 0.01])


def test_new_categories_are_no_rarer_than_those_seen_once():
    frame = pd.DataFrame({"kind": ["a"] * 60 + ["b"] * 10 + [f"c{i}" for i in range(30)]})
    view, encode = fitted(frame)
    assert_allclose(shares(view, encode(pd.DataFrame({"kind": ["new"]}))), [0.3])


def test_new_categories_are_as_rare_as_those_seen_once_among_many():
    # Beyond fifty categories the rarest share a flag: by flags alone a new one would be unique.
    names = [f"name {i}" for i in range(100)]
    frame = pd.DataFrame({"name": names[:60] * 10 + names[60:]})
    view, encode = fitted(frame)
    assert_allclose(shares(view, encode(pd.DataFrame({"name": ["new"]}))), [40 / 640])


def test_a_sign_is_a_value():
    cost = np.r_[np.linspace(1, 50, 98), 0, -3]
    view, encode = fitted(pd.DataFrame({"cost": cost, "kind": ["a", "b"] * 50}))
    some = pd.DataFrame({"cost": [7.0, 0.0, -2.0], "kind": ["a"] * 3})
    assert_allclose(shares(view, encode(some)), [1.0, 0.02, 0.02])


def test_the_order_of_two_dates_is_a_value():
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    frame = pd.DataFrame({"start": start, "end": start + pd.Timedelta(days=1), "kind": "a"})
    view, encode = fitted(frame)
    some = frame.iloc[[0, 1, 2]].copy()
    some["end"] = some["start"] + pd.to_timedelta([1, 0, -1], unit="D")
    assert_allclose(shares(view, encode(some)), [1.0, 1 / 200, 1 / 200])
    named = view.by_column(encode(some.iloc[2:])) > 0.5
    assert_array_equal(named, [[True, True, False]])
    # A missing date has no order.
    some.loc[some.index[0], "end"] = pd.NaT
    assert shares(view, encode(some))[0] == 1


def test_a_category_that_another_determines():
    rng = data_rng(0)
    city = rng.randint(6, size=400)
    frame = pd.DataFrame({"city": [f"c{i}" for i in city], "side": [f"s{i % 2}" for i in city]})
    frame["noise"] = [f"n{i}" for i in rng.randint(3, size=400)]
    view, encode = fitted(frame)
    assert view.rules.tolist() == [[0, 1]]
    some = pd.DataFrame({"city": ["c0", "c0"], "side": ["s0", "s1"], "noise": ["n1", "n1"]})
    agrees, contradicts = shares(view, encode(some))
    assert agrees > 0.1
    assert_allclose(contradicts, 1 / 400)
    assert_array_equal(view.by_column(encode(some))[1] > 0.5, [True, True, False])


def test_weights_are_shares():
    frame = pd.DataFrame({"kind": ["a", "b", "c"], "x": [1.0, 2.0, 4.0]})
    weight = np.array([90.0, 9.0, 1.0])
    rows = frame.loc[np.repeat([0, 1, 2], [90, 9, 1])]
    some, of_weights = fitted(rows)[0], fitted(frame, weight)[0]
    assert some.applies
    # Three rows of weights know no share below a third.
    assert_allclose(of_weights.surprise[0, 0, 0], 0, atol=0.2)
    assert some.surprise[0, 0, 2] == pytest.approx(np.log(100))


def table(n=600, n_columns=20, seed=0):
    """Table of numbers, and of categories, the first of which determines the second."""
    rng = data_rng(seed)
    frame = pd.DataFrame(rng.normal(10, 2, (n, n_columns - 4)).round(2)).add_prefix("x")
    kind = rng.randint(5, size=n)
    frame["kind"], frame["group"] = [np.array(list("abcde"))[k] for k in (kind, kind // 2)]
    frame["start"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.randint(300, size=n), "D")
    frame["end"] = frame["start"] + pd.to_timedelta(rng.poisson(5, size=n), unit="D")
    return frame


WRONG = {
    "typo": ("kind", lambda row: "aa"),
    "contradiction": ("group", lambda row: "e" if row["group"] != "e" else "a"),
    "sign": ("x3", lambda row: -0.5),
    "order": ("end", lambda row: row["start"] - pd.Timedelta(days=1)),
}


@pytest.mark.parametrize("novelty", [False, True])
def test_one_wrong_value_of_twenty(novelty):
    clean, new = table(), table(200, seed=1)
    at, columns = [3, 50, 120, 190], []
    target = new if novelty else clean
    for row, (column, wrong) in zip(at, WRONG.values(), strict=True):
        target.loc[row, column] = wrong(target.loc[row])
        columns.append(column)
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(clean)
    scores = -detector.score_samples(target)
    assert set(np.argsort(-scores)[:8]) >= set(at)
    texts = detector.describe(target.loc[at], n_columns=2)
    assert all(f"{c} " in text for c, text in zip(columns, texts, strict=True)), texts
    marked = np.mean(detector.predict(table(1000, seed=2)) == -1)
    assert 0.02 < marked < 0.1


@pytest.mark.parametrize("novelty", [False, True])
def test_a_new_spelling_is_at_the_top(novelty):
    def skewed(seed):
        frame = table(1500, 8, seed)
        frame["cost"] = np.exp(data_rng(seed + 9).normal(0, 1.5, len(frame)))
        return frame.replace({"kind": {"a": "Manhattan"}})

    clean, new = skewed(0), skewed(1)
    target, at = new if novelty else clean, [3, 700, 1400]
    target.loc[at, "kind"] = ["Manhatan", "MANHATTAN", "Manhattan "]
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(clean)
    assert set(np.argsort(detector.score_samples(target))[:6]) >= set(at)
    texts = detector.describe(target.loc[at], n_columns=1)
    assert all(text.endswith(', perhaps "Manhattan"') for text in texts), texts
    assert 0.02 < np.mean(detector.predict(skewed(2)) == -1) < 0.1


def test_identifiers_and_numbers_as_expected_are_no_reasons():
    frame = table(600, 8)
    frame["number"] = 100_000 + data_rng().permutation(len(frame))
    detector = AEAnomalyDetector(**QUICK).fit(frame)
    score, rows = detector._score, detector._rows(frame)
    encoded, reasons = score.encoding.encode(rows), score.reasons(rows)
    # By the network, where no rare value decides.
    at = score.views(score.logs(encoded)).argmax(axis=1) == 0
    residual = np.abs(encoded.plain - score.encoding.to_plain(reasons.expected))
    usual = score.residual_quantile
    assert (np.isnan(usual) == score.encoding.layout.is_flag).all()
    is_number = ~np.isnan(usual)
    blamed = reasons.blamed[:, score.encoding.layout.column][:, is_number]
    assert blamed[at].any()
    assert (residual[:, is_number] > usual[is_number])[blamed & at[:, np.newaxis]].all()
    # Nothing predicts the identifier, and nine in ten of its values are within what is usual.
    assert 1.2 < usual[is_number][-1] < np.sqrt(3)


def test_wide_tables_have_no_residual_quantiles(monkeypatch):
    monkeypatch.setattr("skae.anomaly._explanation._N_RESIDUALS", 64)
    detector = AEAnomalyDetector(**QUICK).fit(table(60, 8))
    assert detector._score.residual_quantile is None
    assert len(detector.describe(table(5, 8))) == 5


def test_the_largest_error_is_a_factor_of_the_score_of_a_table():
    detector = AEAnomalyDetector(**QUICK).fit(table(200))
    rows = detector._score.encoding.encode(detector._rows(table(50, seed=1)))
    denoising = detector._score.components[0]
    (errors,), (scores,) = denoising.errors(rows, [0]), denoising.scores(rows, [0])
    largest = (errors / denoising.high).max(axis=1)
    assert_allclose(scores, errors.mean(axis=1) * np.square(largest), rtol=1e-5)
    assert_allclose(sum(denoising.shares(rows)).sum(axis=1), 1)
    plain = replace_high(denoising, None).scores(rows, [0])[0]
    assert_allclose(plain, errors.mean(axis=1))


def replace_high(denoising, high):
    """Copy of the component as in an earlier file."""
    other = copy(denoising)
    other.high = high
    return other


def test_the_view_is_saved(tmp_path):
    frame = table(200)
    detector = AEAnomalyDetector(**QUICK).fit(frame)
    assert isinstance(detector._score.relations[-1], RareValues)
    skae.save(detector, tmp_path / "detector.skae")
    loaded = skae.load(tmp_path / "detector.skae")
    assert_array_equal(loaded.score_samples(frame), detector.score_samples(frame))


def test_numbers_have_no_rare_values():
    X = data_rng().normal(size=(200, 4))
    detector = AEAnomalyDetector(**QUICK).fit(X)
    assert not any(isinstance(view, RareValues) for view in detector._score.relations)


def test_an_encoding_of_an_earlier_file_has_no_times():
    frame = table(100)
    detector = AEAnomalyDetector(**QUICK).fit(frame)
    encoding = replace(detector._score.encoding, time_zero=None, time_unit=None)
    rows = encoding.encode(detector._rows(frame))
    folds = Folds(np.ones((1, 100), bool), [np.array([], dtype=int)])
    data = SimpleNamespace(rows=rows, weight=None, encoding=encoding, folds=folds)
    assert not len(RareValues().fit(data).pairs)
