"""Objectives: the loss of a few rows, against plain NumPy."""

from importlib import import_module
from pkgutil import iter_modules

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose
from scipy.special import softmax
from scipy.stats import norm

from data import data_rng
from skae import models
from skae.anomaly import _objective as _denoising_objective
from skae.anomaly._objective import NoiseConditionalDenoising
from skae.imputation import _objective as _imputation_objective
from skae.imputation._objective import ImputationObjective
from skae.imputation._predictors import visible_mask
from skae.losses._likelihood import LIKELIHOODS
from skae.losses._reconstruction import LOSSES
from skae.models import _objective
from skae.models._objective import OrderedObjective, ReconstructionObjective
from skae.networks._dense import DenseNetwork
from skae.networks._ordered import OrderedNetwork
from skae.utils._arrays import as_array
from skae.variational import _objective as _variational_objective
from skae.variational._objective import VariationalObjective

RNG = data_rng()
X = RNG.normal(size=(3, 4)).astype("f4")
SQUARED = LOSSES["squared_error"]


class Given:
    """Stands for the draws of a program: gives arrays that are known, in this order."""

    def __init__(self, *numbers):
        self.numbers = iter(ops.convert_to_tensor(np.array(array, "f4")) for array in numbers)

    def __call__(self, seed, settings):
        return self

    def uniform(self, like):
        numbers = next(self.numbers)
        assert tuple(numbers.shape) == tuple(like.shape)
        return numbers

    normal = uniform


def linear(n_inputs, n_outputs):
    """A Keras model that is a product, and its matrix."""
    model = keras.Sequential([keras.Input((n_inputs,)), keras.layers.Dense(n_outputs)])
    kernel = RNG.normal(size=(n_inputs, n_outputs)).astype("f4")
    model.layers[0].kernel.assign(kernel)
    return model, kernel


def made(kind, *parts, settings, **more):
    """An objective with these numbers."""
    settings = {name: np.array(value, "f4") for name, value in settings.items()}
    objective = kind(*parts, {name: value.shape for name, value in settings.items()}, **more)
    for variable, value in zip(objective.settings.variables, settings.values(), strict=True):
        variable.assign(value)
    return objective


def losses(objective, x, target=None, training=True):
    target = x if target is None else target
    tensors = tuple(ops.convert_to_tensor(np.array(array, "f4")) for array in (x, target))
    return as_array(objective(tensors, training=training))


# Autoencoders

MASK = [1, 1, 0]


@pytest.mark.parametrize("training", [True, False])
def test_reconstruction_is_that_of_the_used_columns(training):
    (encoder, a), (decoder, b) = linear(4, 3), linear(3, 2)
    objective = made(
        ReconstructionObjective, encoder, decoder, SQUARED, settings={"mask": MASK}
    )
    expected = np.square(X @ a * MASK @ b - X[:, :2]).mean(axis=1)
    assert_allclose(losses(objective, X, X[:, :2], training), expected[:, None], rtol=1e-5)


class Halving:
    def apply(self, xp, draws, settings, x):
        return x * settings["corruption_share"]


class Summing:
    is_zero_at_pca = False

    def per_sample(self, ops, settings, code, encode, x, draws):
        return settings["penalty_weight"] * ops.sum(code + encode(2 * x), axis=1)


def test_corruption_is_of_training_and_the_penalty_is_a_part(monkeypatch):
    monkeypatch.setattr(_objective, "PooledDraws", Given())
    (encoder, a), (decoder, b) = linear(4, 3), linear(3, 4)
    settings = {"mask": MASK, "corruption_share": 0.5, "penalty_weight": 0.1}
    parts = {"corruption": Halving(), "penalty": Summing()}
    objective = made(
        ReconstructionObjective, encoder, decoder, SQUARED, settings=settings, **parts
    )
    assert objective.n_parts == 2
    for training, share in [(True, 0.5), (False, 1.0)]:
        code = share * X @ a * MASK
        error = np.square(code @ b - X).mean(axis=1)
        expected = np.stack([error, 0.1 * 3 * code.sum(axis=1)], axis=1)
        assert_allclose(losses(objective, X, training=training), expected, rtol=1e-4, atol=1e-5)


def ordered(n_components):
    """An ordered network without hidden layers, its objective and its weights."""
    network = OrderedNetwork(DenseNetwork(4, n_components, hidden=()))
    weight = np.arange(1.0, n_components + 1)
    objective = made(OrderedObjective, network, SQUARED, settings={"size_weight": weight})
    weights = [RNG.normal(size=shape).astype("f4") for shape in network.shapes]
    for variable, value in zip(objective.trainable_variables, weights, strict=True):
        variable.assign(value)
    return network, weights, objective, weight


def loss_of_size(network, weights, size):
    """The loss of each row with the first columns of the code."""
    plain, whole = network.cut(weights, size)
    encoder, decoder = plain.build()
    n = len(encoder.weights)
    encoder.set_weights(whole[:n])
    decoder.set_weights(whole[n:])
    return np.square(as_array(decoder(encoder(X))) - X).mean(axis=1)


def test_sizes_are_validated_at_the_last_of_each_band_by_their_weights():
    network, weights, objective, weight = ordered(4)
    # Bands of one, of two, and of three and four.
    expected = np.mean(
        [weight[size - 1] * loss_of_size(network, weights, size) for size in (1, 2, 4)], axis=0
    )
    assert_allclose(losses(objective, X, training=False)[:, 0], expected, rtol=1e-4)


def test_each_row_is_trained_at_a_size_of_either_half_by_their_weights():
    network, weights, objective, weight = ordered(2)
    expected = np.mean(
        [weight[size - 1] * loss_of_size(network, weights, size) for size in (1, 2)], axis=0
    )
    assert_allclose(losses(objective, X)[:, 0], expected, rtol=1e-4)


def test_sizes_of_a_band_are_drawn_evenly_on_a_logarithmic_scale(monkeypatch):
    """Half of a step beyond: of two rows in the band of three and four, one has either."""
    monkeypatch.setattr(
        _objective.keras.random, "uniform", lambda shape, seed: ops.full(shape, 0.5)
    )
    network, weights, objective, weight = ordered(4)
    one, two, three, four = (
        weight[size - 1] * loss_of_size(network, weights, size) for size in (1, 2, 3, 4)
    )
    # The bands have two rows each: the first two rows, the third twice, and the second and the
    # first; 3 * (5 / 3) ** 0.25 is a three, and 3 * (5 / 3) ** 0.75 is a four.
    expected = [(one[0] + four[0]) / 2, (one[1] + three[1]) / 2, two[2]]
    assert_allclose(losses(objective, X)[:, 0], expected, rtol=1e-4)


# Denoisers

NOISE = [[1.0, -1, 0, 2], [0, 1, 1, -1], [-2, 0, 1, 0]]


@pytest.mark.parametrize("training", [True, False])
def test_a_denoiser_reads_noisy_rows_and_the_level(monkeypatch, training):
    given = Given([[0.0], [0.5], [1.0]], NOISE)
    monkeypatch.setattr(_denoising_objective, "PooledDraws", given)
    denoiser, kernel = linear(5, 4)
    settings = {"noise_level": 2.0, "normal_pool": [0.0], "uniform_pool": [0.0]}
    objective = made(NoiseConditionalDenoising, denoiser, settings=settings, loss=SQUARED)
    level = np.array([[0.0], [1.0], [2.0]]) * training
    output = np.hstack([X + level * NOISE, level]) @ kernel
    expected = np.square(output - X).mean(axis=1, keepdims=True)
    assert_allclose(losses(objective, X, training=training), expected, rtol=1e-5)


# The first two numbers stand for one column of the table, the last is its flag of a
# missing cell.
COLUMNS = np.array([[1.0, 1, 0, 1], [0, 0, 1, 0]])
SEEN = np.array([[1.0, 1, 1, 1], [0, 0, 1, 1], [1, 1, 0, 1]])


@pytest.mark.parametrize("training", [True, False])
def test_a_denoiser_of_tables_reads_which_columns_are_blank(monkeypatch, training):
    shares = [[0.1, 0.9], [0.7, 0.3], [0.2, 0.6]]
    given = Given([[0.0], [0.5], [1.0]], [[0.5], [0.9], [1.0]], shares, NOISE)
    monkeypatch.setattr(_denoising_objective, "PooledDraws", given)
    denoiser, kernel = linear(7, 4)
    pools = {"normal_pool": [0.0], "uniform_pool": [0.0]}
    settings = {"noise_level": 2.0, "blank_rate": 0.5, "columns": COLUMNS, **pools}
    objective = made(NoiseConditionalDenoising, denoiser, settings=settings)
    level = np.array([[0.0], [1.0], [2.0]]) * training
    # A column is blank where its share is below 0.25, 0.45 and 0.5.
    blank = np.array([[1.0, 0], [0, 1], [1, 0]]) * training
    read = (X + level * NOISE) * SEEN * (1 - blank @ COLUMNS)
    output = np.hstack([read, blank, level]) @ kernel
    expected = (np.square(output - X) * SEEN).sum(axis=1, keepdims=True) / 2
    assert_allclose(losses(objective, X, SEEN, training), expected, rtol=1e-5)


# Likelihoods


def variational(**settings):
    """An objective of two used columns of the code and one that is masked."""
    (encoder, a), (decoder, b) = linear(4, 6), linear(3, 4)
    numbers = {"mask": MASK, "beta": 1.0, "warm_up": 0, "free_bits": 0.0, "floor": 0.5}
    numbers |= {"log_volume": 0.0, **settings, "normal_pool": [0.0]}
    objective = made(
        VariationalObjective, encoder, decoder, LIKELIHOODS["gaussian"], settings=numbers
    )
    return objective, a, b


def terms(a, b, draws):
    """By hand: minus the log-likelihoods of a draw, and the divergence of each column."""
    mean, log_variance = X @ a[:, :4:2], X @ a[:, 1:4:2]
    codes = mean + np.exp(log_variance / 2) * draws[..., :2]
    # The noise begins at one above the floor.
    missed = -norm.logpdf(X, codes @ b[:2], np.sqrt(1.25)).sum(axis=-1)
    apart = (mean**2 + np.exp(log_variance) - 1 - log_variance) / 2
    return missed, apart


DRAWS = np.array([[[1.0, -0.5, 7.0], [0.2, 0.1, -9.0], [-1, 2, 5]]])


def test_the_bound_by_hand_and_masked_columns_do_not_count(monkeypatch):
    monkeypatch.setattr(_variational_objective, "PooledDraws", Given(DRAWS))
    objective, a, b = variational(beta=2.0, log_volume=3.0)
    (missed,), apart = terms(a, b, DRAWS)
    expected = np.stack([missed + 3, 2 * apart.sum(axis=1)], axis=1)
    assert_allclose(losses(objective, X), expected, rtol=1e-4)


def test_the_bound_of_validation_is_a_mean_over_pairs_of_opposite_draws():
    objective, a, b = variational(warm_up=10, free_bits=100.0)
    draws = as_array(keras.random.normal((2, 3, 3), seed=0))
    missed, apart = terms(a, b, np.concatenate([draws, -draws]))
    # Neither warm-up nor free bits are at work.
    expected = np.stack([missed.mean(axis=0), apart.sum(axis=1)], axis=1)
    assert_allclose(losses(objective, X, training=False), expected, rtol=1e-4)


def test_free_bits_are_those_of_a_column_on_the_mean_over_rows(monkeypatch):
    objective, a, b = variational()
    _, apart = terms(a, b, DRAWS)
    free = apart.mean(axis=0).mean()
    assert np.ptp(apart.mean(axis=0)) > 0
    monkeypatch.setattr(_variational_objective, "PooledDraws", Given(DRAWS))
    objective.settings.variables[3].assign(free)
    expected = np.where(apart.mean(axis=0) > free, apart, free).sum(axis=1)
    assert_allclose(losses(objective, X)[:, 1], expected, rtol=1e-4)


def test_warm_up_grows_with_each_step(monkeypatch):
    monkeypatch.setattr(_variational_objective, "PooledDraws", Given(*[DRAWS] * 6))
    objective, a, b = variational(warm_up=4)
    _, apart = terms(a, b, DRAWS)
    for share in (0.25, 0.5, 0.75, 1.0, 1.0):
        costs = losses(objective, X)[:, 1]
        assert_allclose(costs, share * apart.sum(axis=1), rtol=1e-4)


# Imputation: a number, and a category that two columns stand for

TABLE = np.array([[1.0, 0, 0], [0, 1, 1]])
REFERENCE = np.array([[0.0, 1, 0], [1, 0, 1], [2, 1, 1], [0.5, 0, 0]])
MEANS_OF = np.array([[0.1, 1, 0], [1.2, 0, 1], [1.9, 1, 0], [0.6, 0, 1]])
MASKED = np.array([[0, 0, 1, 0], [1, 0, 0, 0]])
SCORES = np.array([[0.2, 1, 0], [1.5, 0, 1], [0.0, 1, 0], [0.7, 0, 0]])
TARGET = np.array([[0.25, 1, 0], [1.4, 0, 1], [0.0, 1, 0], [0.8, 0, 0]])
OBSERVED = np.array([[1.0, 1], [1, 1], [0, 1], [1, 0]])
# Row 1 is the reference row 1 itself.
SELF_INDEX = np.array([[-1.0], [1], [-1], [-1]])
RATE = np.array([[0.5], [1.0], [0.1], [1.0]])
KIND = np.array([[0.9], [0.4], [0.2], [0.6]])
SHARES = np.array([[0.3, 0.4], [0.25, 0.9], [0.5, 0.5], [0.6, 0.1]])


def visible_values():
    """Row 1 loses what row 0 misses and some more, row 2 what row 1 does; the others some."""
    most = np.where(KIND < 0.5, 0.3, 0.7)
    visible = OBSERVED * (RATE * most <= SHARES)
    visible[1:3] *= OBSERVED[:2]
    return visible


@pytest.mark.parametrize("xp", [np, ops], ids=["numpy", "keras"])
def test_values_are_hidden_as_another_row_misses_them(xp):
    def hidden(observed, *numbers):
        given, mask = Given(*numbers), observed.astype("f4")
        if xp is np:
            given.numbers = map(as_array, given.numbers)
        else:
            mask = ops.convert_to_tensor(mask)
        return as_array(visible_mask(xp, given, mask, lambda mask: xp.roll(mask, 1, axis=0)))

    observed = np.array([[1.0, 1], [1, 0], [0, 1], [1, 1]])
    kind = np.array([[0.1], [0.1], [0.1], [0.6]])
    visible = hidden(observed, np.zeros((4, 1)), kind, np.ones((4, 2)))
    # Nothing is hidden at random; the last row is none of those that miss as others do.
    assert_allclose(visible, observed * [observed[3], observed[0], observed[1], [1, 1]])
    assert_allclose(hidden(OBSERVED, RATE, KIND, SHARES), visible_values())


def imputation():
    corrector, kernel = linear(9, 3)
    settings = {
        "rate": 2.0, "uniform_pool": [0.0], "table": TABLE, "reference": REFERENCE,
        "targets": MEANS_OF, "masked": MASKED, "kernels": TABLE,
    }  # fmt: skip
    objective = made(ImputationObjective, corrector, settings=settings)
    log_weight = np.array([[0.1, -0.2, 0.3], [0.2, 0.1, -0.3]])
    objective.log_weight.assign(log_weight)
    return objective, np.exp(2 * log_weight), kernel


def test_imputation_by_hand(monkeypatch):
    monkeypatch.setattr(_imputation_objective, "PooledDraws", Given(RATE, KIND, SHARES))
    objective, weight, kernel = imputation()
    visible, observed = visible_values() @ TABLE, OBSERVED @ TABLE
    assert (observed - visible).any(axis=1).sum() >= 2
    scores = SCORES * visible
    means = np.zeros((4, 3))
    for column in range(2):
        squares = np.square(scores[:, None] - REFERENCE) * visible[:, None] * weight[column]
        is_self = np.arange(4) == SELF_INDEX
        logit = -squares.sum(axis=2) - 1e9 * MASKED[column] - 1e9 * is_self
        means += softmax(logit, axis=1) @ MEANS_OF * TABLE[column]
    means = np.where(visible > 0, TARGET, means)
    corrected = means + np.hstack([means, scores, visible]) @ kernel
    expected = [
        ((observed - visible) * np.square(filled - TARGET)).sum(axis=1) / 2
        for filled in (means, corrected)
    ]
    rows = np.hstack([SCORES, OBSERVED, SELF_INDEX])
    assert_allclose(losses(objective, rows, TARGET), np.stack(expected, axis=1), rtol=1e-4)


def test_every_objective_is_here():
    for module in iter_modules(models.__path__):
        names = vars(import_module(f"skae.models.{module.name}"))
        assert {name for name in names if name.endswith("Objective")} <= set(globals())
