"""What losses and likelihoods are: each against plain NumPy on a few rows."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from data import data_rng
from skae.losses._likelihood import (
    LIKELIHOODS,
    MixedLikelihood,
    MixedLoss,
    Outputs,
    divergence,
    noise_variance,
    posterior,
    probabilities,
)
from skae.losses._reconstruction import LOSSES, KerasLoss, huber, make_loss, squared_error
from skae.utils._arrays import as_array

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

TARGET = np.array([[0.0, 1.0], [1.0, 0.25], [0.5, 0.5]])
OUTPUT = np.array([[0.5, 1.0], [0.25, 0.75], [0.125, 0.9]])

# A loss that is no mean over entries, or of entries of which nothing is known here, is new.
BY_HAND = {
    "squared_error": [0.125, (0.75**2 + 0.5**2) / 2, (0.375**2 + 0.4**2) / 2],
    "absolute_error": [0.25, 0.625, 0.3875],
    "huber": [0.0625, (0.75**2 + 0.5**2) / 4, (0.375**2 + 0.4**2) / 4],
    "binary_crossentropy": [
        np.log(2) / 2,
        -(np.log(0.25) + 0.25 * np.log(0.75) + 0.75 * np.log(0.25)) / 2,
        -(np.log(0.125) + np.log(0.875) + np.log(0.9) + np.log(0.1)) / 4,
    ],
    "cosine": [
        1 - 1 / np.sqrt(1.25),
        1 - (0.25 + 0.1875) / np.sqrt(1.0625 * 0.625),
        1 - 0.5125 / np.sqrt(0.5 * (0.125**2 + 0.81)),
    ],
}


def by_keras(loss, *arrays):
    """What a loss is where networks are trained."""
    tensors = (keras.ops.convert_to_tensor(array.astype("f4")) for array in arrays)
    return as_array(loss.per_sample(keras.ops, *tensors))


@pytest.mark.parametrize("name", BY_HAND)
def test_losses_by_hand(name):
    values = LOSSES[name].per_sample(np, TARGET, OUTPUT)
    assert_allclose(values, BY_HAND[name], atol=1e-6)
    assert_allclose(by_keras(LOSSES[name], TARGET, OUTPUT), BY_HAND[name], atol=1e-6)


def test_every_loss_is_computed_by_hand():
    assert set(LOSSES) == {*BY_HAND, "ssim"}


def test_huber_is_linear_beyond_one():
    error = np.array([-3.0, -1.0, 0.5, 1.0, 4.0])
    assert_allclose(huber(np, 0.0, error), [2.5, 0.5, 0.125, 0.5, 3.5])


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "huber"])
def test_a_loss_scales_with_its_power_far_from_zero(name):
    far = 1e-3 if name == "huber" else 1e3
    loss = LOSSES[name]
    values = loss.per_sample(np, far * TARGET, far * OUTPUT)
    assert_allclose(values, far**loss.power * np.array(BY_HAND[name]))


def test_a_saturated_probability_has_a_finite_loss():
    loss = LOSSES["binary_crossentropy"]
    bits, wrong = np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
    assert_allclose(loss.per_sample(np, bits, wrong), -np.log(1e-7), rtol=1e-6)
    assert_allclose(loss.per_sample(np, bits, bits), 0, atol=1e-6)


def ssim_by_windows(x, y):
    """Structural similarity of two planes, one window of 11 pixels after the other."""
    at = np.arange(11) - 5
    window = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            a_mean, b_mean = (window * a).sum(), (window * b).sum()
            a_var = (window * (a - a_mean) ** 2).sum()
            b_var = (window * (b - b_mean) ** 2).sum()
            both = (window * (a - a_mean) * (b - b_mean)).sum()
            luminance = (2 * a_mean * b_mean + 1e-4) / (a_mean**2 + b_mean**2 + 1e-4)
            values.append(luminance * (2 * both + 9e-4) / (a_var + b_var + 9e-4))
    return np.mean(values)


def test_ssim_by_windows():
    images = data_rng().uniform(size=(2, 2, 12, 14, 3))
    x, y = images[0], 0.7 * images[0] + 0.3 * images[1]
    loss = make_loss("ssim", (12, 14, 3))
    values = loss.per_sample(np, x.reshape(2, -1), y.reshape(2, -1))
    expected = [
        1 - np.mean([ssim_by_windows(x[i, ..., c], y[i, ..., c]) for c in range(3)])
        for i in range(2)
    ]
    assert_allclose(values, expected, atol=1e-5)


def test_losses_of_keras_are_told_apart_by_what_they_compute():
    """Equal ones share a compiled program, and no others."""
    losses = keras.losses
    assert KerasLoss(losses.LogCosh()) == KerasLoss(losses.LogCosh())
    assert KerasLoss(losses.Huber(1.0)) != KerasLoss(losses.Huber(2.0))
    assert KerasLoss(losses.LogCosh()) != KerasLoss(losses.MeanSquaredError())
    functions = losses.mean_squared_error, losses.mean_absolute_error
    assert KerasLoss(functions[0]) == KerasLoss(functions[0])
    assert KerasLoss(functions[0]) != KerasLoss(functions[1])
    assert make_loss(functions[1], (2,)) == KerasLoss(functions[1])


@pytest.mark.parametrize("n_outputs", [3, 5, 7])
def test_a_row_has_one_loss_whatever_its_place(n_outputs):
    """Functions of Keras round the last rows of an array otherwise than those before."""

    def steep(target, output):
        return keras.ops.mean(keras.ops.exp(output - target) ** 3, axis=-1)

    target, output = data_rng(0).normal(size=(2, 45, n_outputs))
    loss = KerasLoss(steep)
    whole = loss.per_sample(np, target, output)
    assert_allclose(whole, np.mean(np.exp(output - target) ** 3, axis=1), rtol=1e-5)
    for n_rows in range(len(target) + 1):
        part = slice(len(target) - n_rows, None)
        assert_array_equal(loss.per_sample(np, target[part], output[part]), whole[part])


# Likelihoods


def test_a_gaussian_likelihood_is_a_density():
    variance = np.array([0.25, 4.0])
    missed = LIKELIHOODS["gaussian"].per_sample(np, TARGET, OUTPUT, variance)
    assert_allclose(missed, -norm.logpdf(TARGET, OUTPUT, np.sqrt(variance)).sum(axis=1))


def test_a_bernoulli_likelihood_is_a_probability():
    bits = np.array([[0.0, 1.0], [1.0, 1.0]])
    missed = LIKELIHOODS["bernoulli"].per_sample(np, bits, OUTPUT[:2], None)
    assert_allclose(np.exp(-missed), [0.5 * 1.0, 0.25 * 0.75], rtol=1e-5)


def test_the_variance_of_the_noise_has_a_floor():
    assert_allclose(noise_variance(np, np.log([1.0, 1e-30]), 0.5), [1.25, 0.25])


def test_moments_of_a_code_alternate_and_its_variance_is_bounded():
    moments = np.array([[1.0, -2.0, 3.0, 50.0], [4.0, -50.0, 5.0, 0.5]])
    mean, log_variance = posterior(np, moments)
    assert_array_equal(mean, [[1, 3], [4, 5]])
    assert_array_equal(log_variance, [[-2, 10], [-25, 0.5]])


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.5, 1.0), (-0.5, 0.3)])
def test_divergence_is_the_expected_difference_of_log_densities(mean, deviation):
    at = np.linspace(-12, 12, 200_001)
    density = norm.pdf(at, mean, deviation)
    difference = norm.logpdf(at, mean, deviation) - norm.logpdf(at)
    expected = (density * difference).sum() * (at[1] - at[0])
    log_variance = np.full((1, 1), 2 * np.log(deviation))
    apart = divergence(np, np.full((1, 1), mean), log_variance)
    assert_allclose(apart, [[expected]], atol=1e-8)


# Tables: a number, a category of three levels, a category of two, a number

OUTPUTS = Outputs((0, 3, 1, 0))
VALUES = np.array([[2.0, 0, 1, 0, 1, -1.0], [0.5, 1, 0, 0, 0, 0.0]])
SAID = np.array([[1.0, 0.2, 1.0, -0.5, 2.0, -1.5], [0.5, 3.0, 0.0, 0.0, -1.0, 2.0]])
WEIGHT = np.array([[1.0, 2, 2, 2, 0.5, 3], [1, 0, 0, 0, 1, 0.0]])


def category_losses(said):
    """Minus the log-probability of the level of each category: of three levels, of two."""
    logits = 30 * np.tanh(said / 30)
    of_three = [
        np.log(np.exp(row[1:4]).sum()) - row[1:4] @ value[1:4]
        for row, value in zip(logits, VALUES, strict=True)
    ]
    of_two = np.log1p(np.exp(logits[:, 4])) - VALUES[:, 4] * logits[:, 4]
    return np.array(of_three), of_two


def test_outputs_of_columns():
    assert OUTPUTS.n_outputs == 6
    assert [part.start for part, _ in OUTPUTS.parts] == [0, 1, 4, 5]
    assert [part.stop for part, _ in OUTPUTS.parts] == [1, 4, 5, 6]
    assert [width for _, width in OUTPUTS.parts] == [0, 3, 1, 0]
    assert_array_equal(OUTPUTS.is_flag, [False, True, True, True, True, False])
    assert_array_equal(OUTPUTS.column_mask.T, [[0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0]])
    assert_array_equal(OUTPUTS.first.T, [[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]])
    assert_array_equal(OUTPUTS.base, [0, 1])


def test_the_loss_of_a_table_by_hand():
    loss = MixedLoss(OUTPUTS, squared_error)
    of_three, of_two = category_losses(SAID)
    numbers = (SAID - VALUES)[:, [0, 5]] ** 2
    expected = (
        (WEIGHT[:, [0, 5]] * numbers).sum(axis=1)
        + WEIGHT[:, 1] * of_three
        + WEIGHT[:, 4] * of_two
    )
    target = np.hstack([VALUES, WEIGHT])
    assert_allclose(loss.per_sample(np, target, SAID), expected, rtol=1e-6)
    assert_allclose(by_keras(loss, target, SAID), expected, rtol=1e-5)


def test_the_likelihood_of_a_table_by_hand():
    variance = np.array([0.5, 1, 1, 1, 1, 2.0])
    of_three, of_two = category_losses(SAID)
    density = norm.logpdf(VALUES, SAID, np.sqrt(variance))[:, [0, 5]]
    expected = (
        -(WEIGHT[:, [0, 5]] * density).sum(axis=1)
        + WEIGHT[:, 1] * of_three
        + WEIGHT[:, 4] * of_two
    )
    target = np.hstack([VALUES, WEIGHT])
    likelihood = MixedLikelihood(OUTPUTS)
    assert_allclose(likelihood.per_sample(np, target, SAID, variance), expected, rtol=1e-6)


def test_tables_of_numbers_have_no_cross_entropy():
    outputs = Outputs((0, 0))
    target = np.hstack([TARGET, np.ones((3, 2))])
    loss = MixedLoss(outputs, squared_error).per_sample(np, target, OUTPUT)
    assert_allclose(loss, 2 * np.array(BY_HAND["squared_error"]))
    missed = MixedLikelihood(outputs).per_sample(np, target, OUTPUT, np.ones(2))
    assert_allclose(missed, -norm.logpdf(TARGET, OUTPUT).sum(axis=1))


def test_probabilities_of_levels():
    said = probabilities(OUTPUTS, SAID)
    assert_array_equal(said[:, [0, 5]], SAID[:, [0, 5]])
    of_three, of_two = category_losses(SAID)
    levels = VALUES[:, 1:4].astype(bool)
    assert_allclose(said[:, 1:4][levels], np.exp(-of_three), rtol=1e-6)
    assert_allclose(said[:, 1:4].sum(axis=1), 1, rtol=1e-6)
    second = np.where(VALUES[:, 4] == 1, said[:, 4], 1 - said[:, 4])
    assert_allclose(second, np.exp(-of_two), rtol=1e-6)


def test_a_logit_is_bounded():
    (said,) = probabilities(Outputs((1,)), np.array([[1e6]]))
    assert_allclose(1 - said, 1 / (1 + np.exp(30)), rtol=1e-2)
