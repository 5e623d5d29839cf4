"""What penalties are: each against plain NumPy on a few rows."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data import data_rng
from skae.losses import Contractive, KLSparsity, L1Sparsity, LinearCode
from skae.utils._arrays import as_array

pytestmark = pytest.mark.any_backend

CODE = np.array([[0.5, -2.0, 0.0], [1.0, 0.25, 0.0]], np.float32)
PROBABILITIES = np.array([[0.2, 0.9, 0.5], [0.4, 0.7, 0.5], [0.6, 0.5, 0.5]], np.float32)


class Given:
    """Draws that are known."""

    def __init__(self, numbers):
        self.numbers = numbers

    def normal(self, like):
        return keras.ops.convert_to_tensor(self.numbers)


def per_sample(penalty, code, mask=(1, 1, 0), encode=None, x=None, draws=None):
    settings = {name: np.float32(value) for name, value in penalty.settings().items()}
    settings["mask"] = np.array(mask, np.float32)
    return as_array(penalty.per_sample(keras.ops, settings, code, encode, x, draws))


def bernoulli_divergence(p, q):
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))


def test_l1_sums_magnitudes():
    assert_allclose(per_sample(L1Sparsity(0.5), CODE), [1.25, 0.625])


def test_kl_is_the_divergence_of_the_mean_activity_of_used_columns():
    values = per_sample(KLSparsity(target=0.1, weight=2.0), PROBABILITIES)
    expected = bernoulli_divergence(0.1, 0.4) + bernoulli_divergence(0.1, 0.7)
    assert_allclose(values, np.full(3, 2 * expected), rtol=1e-5)


def test_contraction_is_the_squared_change_along_a_direction():
    rng = data_rng()
    kernel, x, direction = (
        rng.normal(size=shape).astype("f4") for shape in [(4, 3), (2, 4), (2, 4)]
    )
    x_code = x @ kernel
    values = per_sample(
        Contractive(0.1), x_code, encode=lambda rows: rows @ kernel, x=x, draws=Given(direction)
    )
    assert_allclose(values, 0.1 * np.square(direction @ kernel).sum(axis=1), rtol=1e-2)


def test_contraction_is_unbiased():
    """Over normal directions the mean is the squared norm of the Jacobian."""
    kernel = np.array([[1.0, -2.0], [0.5, 0.0]], np.float32)
    x = np.zeros((20_000, 2), np.float32)
    direction = data_rng().normal(size=x.shape).astype("f4")
    values = per_sample(
        Contractive(1.0), x @ kernel, encode=lambda rows: rows @ kernel, x=x,
        draws=Given(direction),
    )  # fmt: skip
    assert_allclose(values.mean(), np.square(kernel).sum(), rtol=0.05)


@pytest.mark.parametrize("n_components", [1, 3])
def test_kl_of_a_fit_counts_the_columns_that_there_are(quick, pixels, n_components):
    """Networks have more columns than are asked for, to share a compilation."""
    penalty = KLSparsity(target=0.2, weight=3.0)
    ae = quick(
        n_components=n_components, penalty=penalty, code_activation="sigmoid", init="random",
        early_stopping=False, batch_size=len(pixels), max_iter=1, learning_rate=1e-12,
    ).fit(pixels)  # fmt: skip
    active = ae.transform(pixels).mean(axis=0)
    added = 3 * bernoulli_divergence(0.2, active).sum() * ae.scale_**2
    error = -ae.score_samples(pixels).mean()
    assert_allclose(ae.loss_curve_[0], error + added, rtol=1e-4)


def test_l1_of_a_fit(quick, pixels):
    ae = quick(
        penalty=L1Sparsity(0.1), init="random", early_stopping=False, batch_size=len(pixels),
        max_iter=1, learning_rate=1e-12,
    ).fit(pixels)  # fmt: skip
    added = 0.1 * np.abs(ae.transform(pixels)).sum(axis=1).mean() * ae.scale_**2
    assert_allclose(ae.loss_curve_[0], added - ae.score_samples(pixels).mean(), rtol=1e-4)


def test_linear_code_of_an_objective():
    """Two rows, a code of two columns of which one is masked, three columns of X."""
    penalty = LinearCode(weight=0.6)
    matrix = np.array([[1.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    settings = {"penalty_weight": 0.6, "linear_code": matrix, "mask": np.array([1.0, 0.0])}
    x = np.array([[1.0, 5.0, 1.0], [0.0, 5.0, 2.0]])
    code = np.array([[4.0, 0.0], [2.0, 0.0]])
    # Distances from 3 and 4, over one column of the code and three of X.
    values = penalty.per_sample(keras.ops, settings, code, None, x, None)
    assert_allclose(values, 0.6 * np.array([1, 4]) / 3)


def test_linear_code_of_a_fit(quick, pixels):
    """A larger weight keeps the code nearer to the components; the curves are without it."""

    def unexplained(weight):
        ae = quick(penalty=LinearCode(weight), max_iter=20, learning_rate=0.01).fit(pixels)
        train = ae._model.preprocessing.units.transform(pixels)
        code, line = (
            ae.transform(pixels),
            np.linalg.lstsq(train, ae.transform(pixels), rcond=None)[0],
        )
        assert_allclose(ae.loss_curve_[-1], -ae.score_samples(pixels).mean(), rtol=0.1)
        return np.square(code - train @ line).mean() / np.square(code).mean()

    assert unexplained(100.0) < 0.1 * unexplained(0.0)


def test_linear_code_has_no_effect_where_nothing_starts_linear(quick, pixels):
    for params in ({"init": "random"}, {"code_activation": "sigmoid"}):
        codes = [
            quick(penalty=penalty, early_stopping=False, **params).fit_transform(pixels)
            for penalty in (None, LinearCode(10.0))
        ]
        assert_array_equal(*codes)
