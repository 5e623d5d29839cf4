"""Linear maps that networks start at, their first weights, and linear models of tables."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from data import data_rng
from skae.imputation._predictors import Gaussian, KernelRegression, Layout, NormalScores
from skae.networks._dense import DenseCoder, DenseNetwork
from skae.networks._layers import initial_kernel
from skae.networks._principal import linear_map, reduced_rank_map
from skae.tables._squashing_scaler import squash, unsquash, unsquash_log_derivative
from skae.utils._rows import Rows
from skae.variational._model import probabilistic_pca

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]

RNG = data_rng()
X = RNG.normal(size=(40, 4)) * [3, 2, 1, 0.5]
Y = X @ RNG.normal(size=(4, 3)) + 0.5 * RNG.normal(size=(40, 3))
WEIGHT = RNG.randint(1, 4, 40).astype(float)


def covariance(A, B):
    return (A * WEIGHT[:, None]).T @ B / WEIGHT.sum()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_map_of_low_rank_is_that_of_ridge_regression(rank):
    encoder, decoder = reduced_rank_map(X, Y, rank, WEIGHT)
    within = covariance(X, X)
    # As many rows more as say nothing: one.
    ridge = within + np.trace(within) / 40 * np.eye(4)
    full = np.linalg.solve(ridge, covariance(X, Y))
    axes = np.linalg.eigh(covariance(X @ full, X @ full))[1][:, ::-1][:, :rank]
    assert_allclose(encoder @ decoder, full @ axes @ axes.T, atol=1e-8)
    assert_allclose(decoder @ decoder.T, np.eye(rank), atol=1e-8)


def test_the_share_that_a_linear_map_explains():
    model = linear_map(Rows(X, None, WEIGHT), 2, RNG)
    missed = X - X @ model.encoder @ model.decoder
    lost, total = (np.average(np.square(A).mean(axis=1), weights=WEIGHT) for A in (missed, X))
    assert_allclose(model.share, 1 - lost / total)
    assert_allclose(model.encoder, model.decoder.T)
    of_targets = linear_map(Rows(X, Y, WEIGHT), 2, RNG)
    missed = Y - X @ of_targets.encoder @ of_targets.decoder
    lost, total = (np.average(np.square(A).mean(axis=1), weights=WEIGHT) for A in (missed, Y))
    assert_allclose(of_targets.share, 1 - lost / total)
    assert linear_map(Rows(np.zeros((5, 3))), 2, RNG).share == 1


def test_corrupted_rows_call_for_a_decoder_that_shrinks():
    """It is that of least squares."""
    corrupted = X[:30] + 2 * RNG.normal(size=(30, 4))
    model = linear_map(Rows(X, None, WEIGHT), 2, RNG, corrupted)
    clean = linear_map(Rows(X, None, WEIGHT), 2, RNG)
    assert_allclose(model.encoder, clean.encoder)
    code = corrupted @ model.encoder
    root = np.sqrt(WEIGHT[:30])[:, None]
    assert_allclose(model.decoder, np.linalg.lstsq(root * code, root * X[:30], rcond=None)[0])
    missed = X[:30] - code @ model.decoder
    lost, total = (
        np.average(np.square(A), axis=0, weights=WEIGHT[:30]).sum() for A in (missed, X[:30])
    )
    assert_allclose(model.share, 1 - lost / total)


def test_probabilistic_pca_is_the_likeliest_model():
    """By hand from the covariance; the likelihood itself is compared in test_variational."""
    model = probabilistic_pca(X, 2, 1e-3, WEIGHT, RNG)
    variance, axes = np.linalg.eigh(covariance(X, X))
    noise = variance[:2].mean()
    signal = variance[:1:-1] - noise
    assert_allclose(model.noise, np.full(4, noise))
    assert_allclose(model.variance, noise / variance[:1:-1])
    expected = (axes[:, :1:-1] * signal) @ axes[:, :1:-1].T
    assert_allclose(model.loadings.T @ model.loadings, expected, atol=1e-8)
    # The posterior mean of a factor: its loading over what the rows vary along it.
    assert_allclose(model.encoder, model.loadings.T / variance[:1:-1])
    # A noise that would be smaller is at the floor, and there are fewer factors than columns.
    floor = probabilistic_pca(X, 9, 2.0, None, RNG)
    assert_allclose(floor.noise, np.full(4, 4.0))
    assert floor.loadings.shape == (3, 4)


# First weights


@pytest.mark.parametrize("shape", [(300, 100), (3, 3, 20, 30)])
def test_kernels_are_drawn_by_their_fans(shape):
    kernel = initial_kernel(np.random.RandomState(0), "dense/kernel", shape)
    fans = np.prod(shape[:-2]) * (shape[-2] + shape[-1])
    limit = np.sqrt(6 / fans)
    assert kernel.dtype == np.float32
    assert np.abs(kernel).max() <= limit
    assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.05)
    assert_allclose(kernel.mean(), 0, atol=0.05 * limit)


@pytest.mark.parametrize("shape", [(4, 16), (16, 4), (2, 3, 5)])
def test_kernels_over_time_are_orthogonal(shape):
    kernel = initial_kernel(np.random.RandomState(0), "lstm/recurrent_kernel", shape)
    assert kernel.shape == shape
    flat = kernel.reshape(-1, shape[-1])
    flat = flat if flat.shape[0] >= flat.shape[1] else flat.T
    assert_allclose(flat.T @ flat, np.eye(flat.shape[1]), atol=1e-5)


@pytest.mark.parametrize("linear_path", [False, True])
def test_random_weights_are_drawn_by_fans_and_biases_are_zero(linear_path):
    network = DenseNetwork(50, 20, hidden=(30,), linear_path=linear_path)
    for array in network.initial_values(np.random.RandomState(0))[0]:
        if array.ndim == 1:
            assert not array.any()
        elif set(array.shape) == {50, 20}:
            # The path beside the hidden layers begins at nothing.
            assert linear_path
            assert not array.any()
        else:
            limit = np.sqrt(6 / sum(array.shape))
            assert 0.9 * limit < np.abs(array).max() <= limit


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("hidden", [(), (4, 3)])
def test_weights_have_names_and_are_the_arrays_of_the_list(hidden, normalization):
    coder = DenseCoder(5, 2, hidden, "relu", "linear", bool(hidden), normalization)
    arrays = coder.random_weights(np.random.RandomState(0))
    layers = coder.layers(arrays)
    named = [array for one in layers for array in one if array is not None]
    for one, other in zip(named, arrays, strict=True):
        assert one is other
    widths = 5, *hidden, 2
    assert [one.kernel.shape for one in layers] == [*pairwise(widths)]
    assert [one.bias.shape for one in layers] == [(n,) for n in widths[1:]]
    assert (layers[-1].path is not None) == coder.linear_path
    for one in layers[:-1]:
        assert (one.scale is not None) == (one.shift is not None) == bool(normalization)


# Linear models of tables


def test_a_normal_distribution_is_drawn_to_independent_columns():
    model = Gaussian.from_data(X, np.ones(X.shape, bool), RNG)
    around = X - X.mean(axis=0)
    variance = X.var(axis=0) + 1e-6
    prior = 2 + np.sqrt(4) / 2
    expected = (around.T @ around + prior * np.diag(variance)) / (40 + prior)
    assert_allclose(model.mean, X.mean(axis=0))
    assert_allclose(model.covariance, expected + 1e-6 * np.eye(4))


def test_missing_values_are_at_their_conditional_mean():
    mean, covariance = np.array([1.0, -1, 2]), np.array([[2.0, 1, 0.5], [1, 3, 1], [0.5, 1, 1]])
    observed = np.array([[False, True, True], [False, False, True], [True] * 3, [False] * 3])
    rows = np.array([[9.0, 1, 3], [9, 9, 4], [7, 8, 9], [9, 9, 9]])
    filled = Gaussian(mean, covariance).fill(rows, observed)
    expected = rows.copy()
    for row, known in zip(expected, observed, strict=True):
        pull = np.linalg.solve(covariance[np.ix_(known, known)], row[known] - mean[known])
        row[~known] = mean[~known] + covariance[np.ix_(~known, known)] @ pull
    assert_allclose(filled, expected)


def test_a_normal_distribution_of_rows_with_missing_values_is_a_fixed_point():
    """Of expectation and maximisation, of which a few rounds are taken."""
    rng = data_rng()
    rows = rng.normal(size=(400, 3)) @ np.array([[1.0, 1, 0], [0, 1, 1], [0, 0, 1]])
    observed = rng.uniform(size=rows.shape) > 0.2
    model = Gaussian.from_data(np.where(observed, rows, 99.0), observed, rng)
    total = np.zeros((3, 3))
    filled = model.fill(np.where(observed, rows, 99.0), observed)
    assert_allclose(filled.mean(axis=0), model.mean, atol=1e-3)
    for known in observed:
        remaining = model.covariance[np.ix_(~known, ~known)] - model.covariance[
            np.ix_(~known, known)
        ] @ np.linalg.solve(
            model.covariance[np.ix_(known, known)], model.covariance[np.ix_(known, ~known)]
        )
        total[np.ix_(~known, ~known)] += remaining
    around = filled - filled.mean(axis=0)
    prior = 2 + np.sqrt(3) / 2
    observed = np.where(observed, rows, np.nan)
    variance = np.nanvar(observed, axis=0)
    expected = (around.T @ around + total + prior * np.diag(variance)) / (400 + prior)
    assert_allclose(model.covariance, expected, atol=2e-3)


def test_normal_scores_are_those_of_the_middle_ranks():
    column = np.array([5.0, 1, 3, 3, 9])
    rows = np.column_stack([column, column > 3])
    scores = NormalScores.from_data(rows, np.ones(rows.shape, bool))
    Z = scores.transform(rows)
    # The ranks of 1, 3, 3, 5 and 9; equal values share the middle of theirs.
    assert_allclose(Z[:, 0], norm.ppf([0.7, 0.1, 0.4, 0.4, 0.9]))
    assert_array_equal(Z[:, 1], rows[:, 1])
    assert_allclose(scores.inverse_transform(Z), rows)
    assert_allclose(scores.transform(np.array([[4.0, 7]])), [[(Z[0, 0] + Z[2, 0]) / 2, 7]])


def test_far_deviations_are_drawn_in_by_their_logarithm():
    z = np.array([-30.0, -3, -1, 0, 2.5, 3, 3 * np.e])
    drawn_in = [-3 * (1 + np.log(10)), -3, -1, 0, 2.5, 3, 6]
    assert_allclose(squash(z), drawn_in)
    assert_allclose(unsquash(np.array(drawn_in)), z)
    at, step = np.array(drawn_in), 1e-6
    slope = (unsquash(at + step) - unsquash(at - step)) / (2 * step)
    away = np.abs(np.abs(at) - 3) > 1e-3
    assert_allclose(unsquash_log_derivative(at)[away], np.log(slope[away]), atol=1e-5)


def test_numbers_of_a_layout_are_drawn_in_and_flags_are_not():
    layout = Layout(np.array([0, 1, 1]), np.array([True, False, False]))
    assert layout.column_of.max() + 1 == 2
    assert_array_equal(np.array([[1, 2]])[:, layout.column_of], [[1, 2, 2]])
    rows = np.array([[6.0, 6, -6]])
    assert_allclose(layout.stretched(rows), [[3 * np.e, 6, -6]])
    assert_allclose(squash(layout.stretched(rows))[:, 0], rows[:, 0])


class EqualWeights(np.random.RandomState):
    """A generator by which a Bayesian bootstrap weights all rows alike."""

    def exponential(self, scale=1.0, size=None):
        return np.ones(size)


def test_means_over_near_rows():
    reference = np.array([[0.0, 1], [1, 0], [2, 2]])
    values = np.array([[10.0, 20], [11, 21], [12, 22]])
    observed = np.array([[True, True], [True, False], [True, True]])
    weight = np.array([[1.0, 0.5], [2, 1]])
    neighbors = KernelRegression(weight, np.array([0, 1]), reference, values, observed)
    rows, visible = np.array([[0.5, 1.0], [0.0, 3.0]]), np.array([[True, True], [False, True]])
    target_mask = np.array([[True, True], [False, True]])
    means = neighbors(rows, visible, target_mask, np.array([-1, 0]))
    square = np.square(rows[:, None] - reference) * visible[:, None]
    first = np.exp(-(square * weight[0]).sum(axis=2))
    second = np.exp(-(square * weight[1]).sum(axis=2)) * observed[:, 1]
    # The second row is the first reference row, and is not its own neighbour.
    second[1, 0] = 0
    expected = np.zeros((2, 2))
    expected[0, 0] = first[0] @ values[:, 0] / first[0].sum()
    expected[:, 1] = second @ values[:, 1] / second.sum(axis=1)
    assert_allclose(means, expected, rtol=1e-5)
    many, rng = (np.tile(rows[:1], (4000, 1)), np.ones((4000, 2), bool)), EqualWeights()
    samples, mean = neighbors.draw(*many, 1, rng)
    assert_allclose(mean, expected[0, 1], rtol=1e-5)
    assert_allclose(
        [(samples == value).mean() for value in values[:, 1]],
        second[0] / second[0].sum(),
        atol=0.03,
    )


def test_near_rows_are_drawn_by_a_bootstrap_of_their_own():
    """The share of each row varies between draws as that of a Dirichlet distribution."""
    reference, values = np.zeros((3, 1)), np.arange(3.0)[:, np.newaxis]
    neighbors = KernelRegression(
        np.ones((1, 1)), np.array([0]), reference, values, np.ones((3, 1), bool)
    )
    rows, visible = np.zeros((300, 1)), np.ones((300, 1), bool)
    drawn = [neighbors.draw(rows, visible, 0, RNG) for _ in range(400)]
    assert_allclose([mean for _, mean in drawn], 1)
    shares = np.array([[(samples == k).mean() for k in range(3)] for samples, _ in drawn])
    assert_allclose(shares.mean(axis=0), 1 / 3, atol=0.05)
    assert_allclose(shares.var(axis=0), 1 / 18, atol=0.015)  # of a Dirichlet of three ones


def test_means_of_missing_values_weight_near_rows_by_their_odds():
    reference, rows = np.array([[0.0, 1], [1, 0], [2, 2]]), np.array([[0.5, 1.0]])
    values, log_odds = np.array([[10.0], [11], [12]]), np.array([[-1.0], [0.5], [2.0]])
    neighbors = KernelRegression(
        np.array([[1.0, 0.5]]),
        np.array([0]),
        reference,
        values,
        np.ones((3, 1), bool),
        log_odds,
    )
    mask = np.array([[True]])
    weight = np.exp(-np.square(rows - reference) @ [1.0, 0.5])
    plain = neighbors(rows, np.ones((1, 2), bool), mask)
    assert_allclose(plain[0], weight @ values / weight.sum(), rtol=1e-5)
    tilted = neighbors(rows, np.ones((1, 2), bool), mask, tilted=True)
    weight *= np.exp(log_odds[:, 0])
    assert_allclose(tilted[0], weight @ values / weight.sum(), rtol=1e-5)
    _, mean = neighbors.draw(rows, np.ones((1, 2), bool), 0, RNG)
    assert_allclose(mean, tilted, rtol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_weights_of_both_directions_are_split_and_joined(tied):
    network = DenseNetwork(6, 2, hidden=(4, 3), tied=tied)
    weights, _ = network.initial_values(np.random.RandomState(0))
    assert [array.shape for array in weights] == network.shapes
    (encoder, _), (decoder, _) = network.split(weights)
    own = [array for array in decoder if array.ndim == 1 or not tied]
    for array, again in zip(weights, [*encoder, *own], strict=True):
        assert_array_equal(array, again)
    if tied:
        kernels = [array for array in encoder if array.ndim == 2]
        mirrored = [array for array in decoder if array.ndim == 2]
        assert_array_equal(mirrored[0], kernels[2].T)
