"""Scores of the anomaly detector: each against plain NumPy."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skae
from data import data_rng
from skae import AEAnomalyDetector
from skae.anomaly._calibration import (
    BinaryEffects,
    ContaminatedCalibration,
    _tail_scale,
    _truncated_mean,
    lower_quantile,
)
from skae.anomaly._components import (
    COMPONENTS,
    Component,
    DenoisingError,
    NeighborDistance,
    column_units,
)
from skae.anomaly._encoding import (
    NumberEncoding,
    TableEncoding,
    share_of_new_categories,
    unseen_deviations,
)
from skae.anomaly._explanation import TableExplanation
from skae.anomaly._folds import Folds, central_mask, trim_mask
from skae.anomaly._neighbors import NearestRows
from skae.anomaly._scores import CombinedScore, ReconstructionScore
from skae.anomaly._training import DenoiserTraining, Projection, _SharedMonitor
from skae.estimators._fit_callbacks import FitMonitor
from skae.inference._dense import DenseForward
from skae.networks._dense import DenseCoder
from skae.tables import TabularEncoder
from skae.tables._layout import ColumnLayout
from skae.tables._squashing_scaler import BinaryColumns, SquashingScaler
from skae.utils._rows import Rows

pytestmark = pytest.mark.any_backend

QUICK = {"hidden_layer_sizes": (8,), "n_steps": 20, "cv": 3, "random_state": 0}


def neighbours(Z, rows, k):
    """By brute force: squared distances to the k nearest, without the first that is equal."""
    square = np.square(Z[:, None] - rows).sum(axis=2)
    order = square.argsort(axis=1, kind="stable")[:, : k + 1]
    square = np.take_along_axis(square, order, axis=1)
    equal = square[:, :1] < 1e-10
    kept = np.where(equal, order[:, 1:], order[:, :-1])
    return np.where(equal, square[:, 1:], square[:, :-1]), kept


def distance_scores(Z, rows, known, k, relative, power=0.5):
    """By hand: mean squared distance to the nearest, in units of that of the rows known."""
    scores, d = [], Z.shape[1]
    for mask in known:
        own = neighbours(rows, rows[mask], k)[0].mean(axis=1) / d
        square, at = neighbours(Z, rows[mask], k)
        mean = square.mean(axis=1) / d
        score = mean / own[mask].mean()
        if relative:
            least = 0.1 * np.median(own[mask])
            theirs = own[mask][at].mean(axis=1)
            score = score * ((mean + least) / (theirs + least)) ** power
        scores.append(score)
    return np.array(scores)


def distance_shares(Z, rows, known, k):
    """By hand: each model hands out one, by squared differences to its neighbours."""
    parts = np.zeros(Z.shape)
    for mask in known:
        square, at = neighbours(Z, rows[mask], k)
        cells = np.square(rows[mask][at] - Z[:, None]).sum(axis=1)
        parts += cells / square.sum(axis=1, keepdims=True)
    return parts / len(known)


@pytest.fixture
def reference():
    """Rows, those of two fold models, and new rows of which one is among them."""
    rng = data_rng()
    rows, Z = rng.normal(size=(30, 3)), rng.normal(size=(8, 3))
    Z[0] = rows[4]
    return rows, np.stack([np.arange(30) % 3 > 0, np.arange(30) % 5 > 0]), Z


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("k", [1, 4])
def test_distance_to_the_nearest_rows(reference, k, relative):
    rows, known, Z = reference
    nearest = NearestRows(rows, known, k, relative)
    expected = distance_scores(Z, rows, known, k, relative)
    assert_allclose(nearest.scores(Z, [0, 1]), expected)
    assert_allclose(nearest.scores(Z, [1]), expected[1:])
    assert_allclose(nearest.shares(Z), distance_shares(Z, rows, known, k), atol=1e-9)
    nearest.power = 1.0
    expected = distance_scores(Z, rows, known, k, relative, 1.0)
    assert_allclose(nearest.scores(Z, [0, 1]), expected)
    assert neighbor_distance(rows, known, k).row_entries >= k


def test_distances_of_many_columns_are_products(reference, monkeypatch):
    rows, known, Z = reference
    few = NearestRows(rows, known, 3, True)
    for name, value in {"_FEW_ENTRIES": 0, "_MANY_COLUMNS": 3, "_MOST_ROWS": 7}.items():
        monkeypatch.setattr(f"skae.anomaly._neighbors.{name}", value)
    monkeypatch.setattr("skae.anomaly._neighbors.nearest", None)
    many = NearestRows(rows, known, 3, True)
    assert_allclose(many.own_distance, few.own_distance)
    assert_allclose(many.scores(Z, [0, 1]), distance_scores(Z, rows, known, 3, True))


def test_a_model_that_has_few_rows_has_fewer_neighbours(reference):
    rows, _, Z = reference
    known = np.arange(30) < 3
    nearest = NearestRows(rows, known[None], 20, False)
    assert nearest.n_neighbors == 2
    assert_allclose(nearest.scores(Z, [0]), distance_scores(Z, rows, known[None], 2, False))


# Denoisers


def halving(read):
    """A denoiser whose last input is the level."""
    return 0.5 * read[:, :-1] + read[:, -1:]


def shifting(read):
    return read[:, :-1] + [0.0, 1.0, 2.0]


NOISE = np.array([[1.0, -1, 2]])


def squares(denoiser, Z, level=0.5):
    """By hand: the mean over both signs of the noise."""
    level_column = np.full((len(Z), 1), level)
    read = [np.hstack([Z + sign * level * NOISE, level_column]) for sign in (1, -1)]
    return np.mean([np.square(denoiser(rows) - Z) for rows in read], axis=0)


def number_encoding(scaler=None, low=-9.0, high=9.0):
    """An encoding of three columns, in which a missing value has an error of nine."""
    seen = np.broadcast_to(low, 3), np.broadcast_to(high, 3)
    return NumberEncoding(ColumnLayout.numeric(3), scaler, seen, np.full(3, 9.0))


def denoising_error(denoisers, rows, level=0.5, highest=2.0):
    """Errors of denoisers that are known, in units of the mean over these rows."""
    error = DenoisingError(SimpleNamespace(noise_level=highest, hidden=()), None)
    error.denoisers, error.noise, error.level = denoisers, NOISE, level
    error.layout, error.has_blanks = ColumnLayout.numeric(3), False
    data = SimpleNamespace(rows=number_encoding().encode(rows))
    error.set_units(data, [np.arange(len(rows))] * len(denoisers))
    return error


def neighbor_distance(rows, masks, k=2):
    distance = NeighborDistance(k, len(rows), False)
    distance.layout = ColumnLayout.numeric(rows.shape[1])
    distance.nearest = NearestRows(rows, masks, k, False)
    return distance


def combined(encoding, error, distance):
    score = CombinedScore(encoding, [error, distance])
    score.n_models = len(error.denoisers)
    return score


def test_residuals_of_a_denoiser(reference):
    rows, _, Z = reference
    error = denoising_error([halving], rows)
    unit = squares(halving, rows).mean()
    encoded = number_encoding().encode(Z)
    assert_allclose(next(error.errors(encoded)), squares(halving, Z) / unit)
    assert_allclose(error.restored(encoded, 2.0), 0.5 * Z + 2)


SCALER = SquashingScaler(np.array([1.0, 0, -1]), np.array([2.0, 1, 0.5]))


@pytest.fixture
def by_hand(reference):
    """A score of two fold models, made of parts that are known."""
    rows, known, _ = reference
    error = denoising_error([halving, shifting], rows)
    encoding = number_encoding(SCALER, -2.0, 2.0)
    return combined(encoding, error, neighbor_distance(rows, known))


def test_the_score_is_a_geometric_mean_of_error_and_distance(reference, by_hand):
    rows, known, Z = reference
    X = SCALER.inverse_transform(Z)
    errors = [squares(f, Z).mean(axis=1) / squares(f, rows).mean() for f in (halving, shifting)]
    of_models = np.sqrt(errors * distance_scores(Z, rows, known, 2, False))
    assert_allclose(by_hand.score(X), np.sqrt(of_models[0] * of_models[1]), rtol=1e-4)
    for j in range(2):
        assert_allclose(by_hand.score(X, [j]), of_models[j], rtol=1e-4)


def test_a_column_has_half_of_its_shares_from_each(reference, by_hand):
    rows, known, Z = reference
    by_error = np.zeros(Z.shape)
    for denoiser in (halving, shifting):
        cells = squares(denoiser, Z)
        by_error += cells / cells.sum(axis=1, keepdims=True) / 2
    by_distance = distance_shares(Z, rows, known, 2)
    shares = by_hand.shares(SCALER.inverse_transform(Z))
    assert_allclose(shares, (by_error + by_distance) / 2, atol=1e-6)


def test_values_with_more_than_their_share_are_filled_by_the_networks(reference):
    rows, known, _ = reference
    denoisers = [lambda read, c=c: np.full((len(read), 3), c) for c in (0.5, 1.5)]
    scaler = SquashingScaler(np.array([10.0, 0, 0]), np.array([2.0, 1, 1]))
    encoding = number_encoding(scaler, np.full(3, -9.0), np.array([99.0, 0.9, 9]))
    error = denoising_error(denoisers, rows)
    score = combined(encoding, error, neighbor_distance(rows, known))
    X = scaler.inverse_transform(np.array([[40.0, 0.8, 1.1], [1.0, -30.0, 0.9]]))
    # The mean of both networks is one, in units of the column and within what was seen. The
    # other values have less than their share, and are as they were.
    assert_allclose(score.reasons(X).expected, [[12, 0.9, 1], [12, 0.9, 1]])


def test_values_that_turn_out_to_be_as_expected_are_restored():
    """The second column should be what the first is, and the first should be two."""

    def denoiser(read):
        return np.stack([np.full(len(read), 2.0), read[:, 0], read[:, 2]], axis=1)

    rows = 0.01 * data_rng().normal(size=(10, 3))
    encoding = number_encoding(SquashingScaler(np.zeros(3), np.ones(3)))
    nearest = neighbor_distance(rows, np.ones((1, 10), bool))
    score = combined(encoding, denoising_error([denoiser], rows), nearest)
    X = np.array([[-2.0, 2.1, 0.5]])
    assert (score.shares(X)[0, :2] > 1 / 3).all()
    # Were the first value restored and not the second, minus two would be expected of it.
    assert_allclose(score.reasons(X).expected, [[2, 2, 0.5]], atol=1e-6)


def test_a_row_that_is_repaired_without_error_has_a_score(reference):
    """The least there is, and shares that add up to one."""
    rows, known, Z = reference
    error = denoising_error([lambda read: np.zeros((len(read), 3))], rows)
    score = combined(number_encoding(), error, neighbor_distance(rows, known[:1]))
    X = np.zeros((1, 3))
    assert 0 < score.score(X)[0] < 1e-3 * score.score(Z).min()
    by_distance = distance_shares(X, rows, known[:1], 2)
    assert_allclose(score.shares(X), (1 / 3 + by_distance) / 2, atol=1e-6)


def numbers(n=120):
    rng = data_rng()
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(n, 4))


@pytest.mark.parametrize("novelty", [True, False])
def test_the_score_of_a_detector_from_its_parts(novelty, monkeypatch):
    monkeypatch.setattr("skae.anomaly._detector.make_views", lambda params, is_table: ([], []))
    # No column follows from the others.
    X = data_rng().normal(size=(120, 4))
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    score = detector._score
    error, distance = score.components
    Z = score.encoding.scaler.transform(X)
    logarithms, by_error = [], []
    nearest = distance.nearest
    k, relative = nearest.n_neighbors, novelty
    distances = distance_scores(Z, nearest.rows, nearest.masks, k, relative)
    distances += 0.01 * novelty
    level = error.level
    for denoiser, (unit,), distance in zip(error.denoisers, error.unit, distances, strict=True):
        read = [
            np.hstack([Z + sign * level * error.noise, np.full((len(Z), 1), level)])
            for sign in (1, -1)
        ]
        cells = np.mean([np.square(denoiser(rows) - Z) for rows in read], axis=0)
        logarithms.append(np.log(cells.mean(axis=1) / unit) / 2 + np.log(distance) / 2)
        by_error.append(cells / cells.sum(axis=1, keepdims=True))
    expected = np.exp(np.mean(logarithms, axis=0)) / detector._median_score
    assert len(detector._binary_effects.effect) == 0
    assert_allclose(-detector.score_samples(X), expected, rtol=1e-4)
    by_distance = distance_shares(Z, nearest.rows, nearest.masks, k)
    shares = (np.mean(by_error, axis=0) + by_distance) / 2
    assert_allclose(detector.explain(X), expected[:, None] * shares, rtol=1e-3, atol=1e-5)


def test_denoisers_are_plain_networks_with_the_level_as_an_input():
    detector = AEAnomalyDetector(**QUICK).fit(numbers())
    for denoiser in detector._score.components[0].denoisers:
        coder = DenseCoder(5, 4, (8,), "leaky_relu", "linear", linear_path=False)
        assert denoiser.coder == coder
    table = AEAnomalyDetector(**QUICK).fit(shop(90))
    # Six numbers, a flag for each of three columns that is blank, and the level.
    denoiser = table._score.components[0].denoisers[0]
    assert denoiser.coder == replace(coder, n_inputs=10, n_outputs=6)
    curves = detector._score.loss_curves
    assert len(curves) == 3
    assert_allclose(detector.loss_curve_, np.mean(curves, axis=0))


def test_components_of_many_columns():
    rng = data_rng()
    X = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 12)) + 5
    missing = rng.random_sample(X.shape) < 0.05
    rows = Rows(np.where(missing, 0.0, X), np.where(missing, np.nan, X), np.ones(40))
    projection = Projection.from_data(Rows(X, None, np.ones(40)), 2, rng)
    assert_allclose(projection.centre, X.mean(axis=0), rtol=1e-5)
    assert_allclose(projection.axes.T @ projection.axes, np.eye(2), atol=1e-5)
    code = projection.rows(Rows(X)).inputs
    assert_allclose(np.square(code).mean(), 1, rtol=1e-4)
    restored = code @ projection.axes.T * projection.scale + projection.centre
    assert_allclose(restored, X, atol=1e-3)
    losses = projection.losses([0.0, 2.0])
    assert_allclose(losses, [0, 2 * np.square(X - X.mean(axis=0)).mean()], rtol=1e-3, atol=1e-6)
    # Missing values are as all others say, as far as three rounds go, and zero in inputs.
    found = projection.rows(rows)
    assert_allclose(found.inputs, projection.rows(Rows(rows.inputs)).inputs)
    error, of_zeros = (np.square(z - code).sum() for z in (found.targets, found.inputs))
    assert error < 0.1 * of_zeros
    # Weights count as repeated rows do.
    weight = np.arange(40) % 3
    weighted = Projection.from_data(Rows(X, None, weight), 2, rng)
    repeated = Projection.from_data(Rows(np.repeat(X, weight, axis=0)), 2, rng)
    assert_allclose(weighted.scale, repeated.scale, rtol=1e-4)
    assert_allclose(weighted.centre, repeated.centre, rtol=1e-4)


@pytest.mark.parametrize("hidden", [(4,), (6, 4)])
def test_a_denoiser_of_components_is_one_of_columns(hidden):
    rng = data_rng()
    axes = np.linalg.qr(rng.normal(size=(12, 3)))[0]
    projection = Projection(rng.normal(size=12), axes, 2.5, 0.0)
    coder = DenseCoder(4, 3, hidden, "leaky_relu", "linear", linear_path=False)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in coder.shapes]
    X, level = rng.normal(size=(5, 12)), np.full((5, 1), 0.3)
    inputs = np.hstack([(X - projection.centre) @ axes, level]) / 2.5
    expected = 2.5 * DenseForward(coder, weights)(inputs) @ axes.T + projection.centre
    wide = replace(coder, n_inputs=13, n_outputs=12)
    restored = DenseForward(wide, projection.of_columns(weights))(np.hstack([X, level]))
    assert_allclose(restored, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("hidden", [(4,), (6, 4)])
def test_denoisers_of_many_columns(hidden):
    X = data_rng().normal(size=(60, 3)) @ data_rng(1).normal(size=(3, 12))
    detector = AEAnomalyDetector(**QUICK | {"hidden_layer_sizes": hidden}).fit(X)
    denoising, encoding = detector._score.components[0], detector._score.encoding
    coder = DenseCoder(13, 12, hidden, "leaky_relu", "linear", linear_path=False)
    assert [each.coder for each in denoising.denoisers] == [coder] * 3
    # First and last layer are in the same components, as many as the narrowest layer has units.
    for denoiser in denoising.denoisers:
        first, last = denoiser.weights[0][:-1], denoiser.weights[-2]
        assert np.linalg.matrix_rank(np.hstack([first, last.T]), tol=1e-4) == 4
    for dtype, rtol in ((np.float64, 1e-9), (np.float32, 1e-3)):
        rows = encoding.encode(X.astype(dtype))
        expected = [errors.sum(axis=1) for errors in denoising.errors(rows, [2, 0])]
        assert_allclose(list(denoising.totals(rows, [2, 0])), expected, rtol=rtol)
    # Values that are missing have no error.
    X[::5, 1] = np.nan
    rows = encoding.encode(X)
    expected = [errors.sum(axis=1) for errors in denoising.errors(rows, [0])]
    assert_allclose(list(denoising.totals(rows, [0])), expected)
    assert np.isfinite(detector.fit(X).score_samples(X)).all()


class DistanceToCentre(Component):
    """A component that is written here alone: squared distance to the mean of the rows."""

    @classmethod
    def from_params(cls, params):
        return cls()

    def fit(self, data):
        self.layout = data.encoding.layout
        self.centre = data.rows.values[data.reference_mask].mean(axis=0)
        return self

    def _squares(self, rows):
        return self.layout.sum_by_column(np.square(rows.values - self.centre)) + 1e-9

    def scores(self, rows, models):
        return [self._squares(rows).mean(axis=1) for _ in models]

    def shares(self, rows):
        squares = self._squares(rows)
        yield squares / squares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("novelty", [True, False])
@pytest.mark.parametrize("kind", ["numbers", "table"])
def test_a_component_is_one_class_and_one_entry(monkeypatch, kind, novelty):
    monkeypatch.setattr("skae.anomaly._detector.make_views", lambda params, is_table: ([], []))
    X = numbers() if kind == "numbers" else shop(90)
    without = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    components = (*COMPONENTS, DistanceToCentre)
    monkeypatch.setattr("skae.anomaly._detector.COMPONENTS", components)
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    error, distance, to_centre = detector._score.components
    rows = detector._rows(X)
    encoded = detector._score.encoding.encode(rows)
    # The other components are as before, and the score is the geometric mean of all three.
    of_two = without._score.score(rows)
    of_three = detector._score.score(rows)
    assert_allclose(of_three, np.cbrt(of_two**2 * to_centre.scores(encoded, [0])[0]), rtol=1e-4)
    scores, parts = -detector.score_samples(X), np.asarray(detector.explain(X))
    assert (scores > 0).all()
    assert parts.shape == X.shape
    assert_allclose(parts.sum(axis=1), scores)
    if kind == "numbers":
        terms = [term for each in (error, distance, to_centre) for term in each.shares(encoded)]
        assert_allclose(parts, scores[:, None] * sum(terms) / 3)
    assert len(detector.describe(X[:3])) == 3


class DistanceToMedian(DistanceToCentre):
    """One that sorts the values of a row, which ONNX tensors do not."""

    def scores(self, rows, models):
        return [np.median(self._squares(rows), axis=1) for _ in models]


def test_a_component_is_exported_or_refused_by_name(monkeypatch):
    pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    X, of_kind = numbers(), {}
    for kind in (DistanceToCentre, DistanceToMedian):
        monkeypatch.setattr("skae.anomaly._detector.COMPONENTS", (*COMPONENTS, kind))
        of_kind[kind] = AEAnomalyDetector(**QUICK).fit(X)
    detector = of_kind[DistanceToCentre]
    model = skae.to_onnx(detector, output="score_samples", dtype=np.float64)
    session = runtime.InferenceSession(model.SerializeToString())
    assert_allclose(session.run(None, {"X": X})[0], detector.score_samples(X))
    with pytest.raises(TypeError, match=r"does not support DistanceToMedian, .*numpy\.median"):
        skae.to_onnx(of_kind[DistanceToMedian])


def test_the_unit_of_a_detector_is_the_median_of_rows_held_out():
    detector = AEAnomalyDetector(novelty=True, **QUICK).fit(numbers())
    assert_allclose(np.median(-detector.calibration_scores_), 1)


# Reconstruction


class Known:
    """An autoencoder whose losses and reconstructions are known."""

    def __init__(self, factor):
        self.factor = factor

    def score_samples(self, X):
        return -self.factor * np.square(X).sum(axis=1)

    def reconstruct(self, X):
        return (1 - self.factor) * X


def pair_encoding(scaler, low, high):
    return NumberEncoding(ColumnLayout.numeric(2), scaler, (low, high), np.full(2, 9.0))


def test_the_score_by_reconstruction_is_a_mean_in_usual_losses():
    X = np.array([[1.0, 2], [3, 0]])
    encoding = pair_encoding(None, np.array([-2.0, -2]), np.array([2.0, 1.2]))
    score = ReconstructionScore(encoding, [Known(0.5), Known(0.25)], (2,), [2.0, 0.5])
    total = np.square(X).sum(axis=1)
    assert_allclose(score.score(X), (0.5 * total / 2 + 0.25 * total / 0.5) / 2)
    assert_allclose(score.score(X, [1]), 0.25 * total / 0.5)
    assert_allclose(score.shares(X), np.square(X) / total[:, None], atol=1e-8)
    assert_allclose(score.reasons(X).expected, [[0.625, 1.2], [1.875, 0]])


def test_reconstruction_in_units_of_columns():
    X = np.array([[3.0, 2], [1, 6]])
    scaler = SquashingScaler(np.array([1.0, 2]), np.array([2.0, 4]))
    Z = np.array([[1.0, 0], [0, 1]])
    encoding = pair_encoding(scaler, np.zeros(2), np.full(2, 9.0))
    score = ReconstructionScore(encoding, [Known(0.5)], (2,))
    assert_allclose(score.score(X), [0.5, 0.5])
    assert_allclose(score.shares(X), Z, atol=1e-8)
    assert_allclose(score.reasons(X).expected, [[2, 2], [1, 4]])


class Fitting(Known):
    """The same, as an estimator that is told its seed and rows."""

    def set_params(self, random_state):
        return self

    def fit(self, X, sample_weight=None):
        self.X, self.weight, self.loss_curve_ = X, sample_weight, [float(len(X))]
        return self


def test_what_is_usual_of_reconstruction_is_that_of_the_rows_seen():
    rng = data_rng()
    X = rng.normal(loc=(5, 0), size=(12, 2))
    weight = rng.randint(1, 3, 12).astype(float)
    seen = np.stack([np.arange(12) < 6, (np.arange(12) >= 6) & (np.arange(12) < 10)])
    folds = Folds(seen, [np.arange(6, 12), np.arange(6)])
    made = [Fitting(0.5), Fitting(0.5)]
    encoding = NumberEncoding.from_data(Rows(X[:10], None, weight[:10]))
    monitor = FitMonitor(AEAnomalyDetector(), (X, None, None, weight))
    score = ReconstructionScore(encoding, made, (2,))
    score.fit(Rows(X, None, weight), folds, rng, monitor)
    scaler = SquashingScaler.from_data(X[:10], weight[:10])
    assert_allclose(
        [encoding.scaler.centre, encoding.scaler.scale], [scaler.centre, scaler.scale]
    )
    Z = scaler.transform(X)
    assert_allclose(
        score.unit, [0.5 * np.square(Z[mask]).sum(axis=1).mean() for mask in seen], rtol=1e-6
    )
    for mask, one in zip(seen, made, strict=True):
        assert_allclose(np.sort(one.X, axis=0), np.sort(Z[mask], axis=0))
        assert_array_equal(np.sort(one.weight), np.sort(weight[mask]))
    assert score.loss_curves == [[6.0], [4.0]]
    assert_array_equal(encoding.seen_range, [X[:10].min(axis=0), X[:10].max(axis=0)])


def test_losses_that_are_not_errors_are_refused():
    encoding = pair_encoding(None, np.zeros(2), np.ones(2))
    score = ReconstructionScore(encoding, [Known(-1.0)], (2,))
    with pytest.raises(ValueError, match="so never positive; that of Known reaches 5"):
        score.score(np.array([[1.0, 2]]))


# Columns of two values


def test_the_effect_of_a_rarer_value_is_taken_back():
    levels = BinaryColumns(np.array([1]), np.array([0.0]), np.array([1.0]))
    effects = BinaryEffects(levels, np.array([0.25]), np.array([2.0]), 0.9)
    X = np.array([[5.0, 1], [5, 0]])
    assert_allclose(effects.correction(X), np.exp([-0.9, 0.5]))


def test_effects_are_ridge_regression_of_clipped_logarithms():
    rng = data_rng()
    X = np.column_stack(
        [rng.normal(size=200), np.arange(200) % 4 == 0, np.arange(200) % 3 == 0]
    )
    weight = rng.randint(1, 4, 200).astype(float)
    log = rng.normal(size=200) + 1.5 * X[:, 1]
    log[5] = 50
    effects = BinaryEffects.from_data(X, np.exp(log), weight)
    middle, high = np.quantile(log, [0.5, 0.8])
    clipped = log.clip(middle - 3 * (high - middle), middle + 3 * (high - middle))
    w = weight / weight.mean()
    has = X[:, 1:] - np.average(X[:, 1:], axis=0, weights=w)
    target = clipped - np.average(clipped, weights=w)
    expected = np.linalg.solve((has.T * w) @ has + 5 * np.eye(2), (has.T * w) @ target)
    assert_allclose(effects.effect, expected, rtol=1e-4)
    assert_allclose(effects.share, np.average(X[:, 1:], axis=0, weights=w))
    assert_allclose(effects.limit, high - middle)


def test_effects_are_those_of_observed_values():
    """A missing value of a binary column adds nothing, and counts in no share."""
    rng = data_rng()
    X = np.column_stack([np.arange(120) % 4 == 0, np.arange(120) % 3 == 0, np.arange(120) / 7])
    X[rng.random_sample(X.shape) < 0.15] = np.nan
    scores = np.exp(rng.normal(size=120) + 1.5 * np.nan_to_num(X[:, 0]))
    weight = rng.randint(1, 4, 120).astype(float)
    observed = ~np.isnan(X[:, :2])
    has_high = np.nan_to_num(X[:, :2])
    for w in (None, weight):
        effects = BinaryEffects.from_data(X, scores, w)
        assert_array_equal(effects.binary.columns, [0, 1])
        w = np.ones(120) if w is None else w / w.mean()
        share = [np.average(has_high[on, j], weights=w[on]) for j, on in enumerate(observed.T)]
        assert_allclose(effects.share, share)
        log = np.log(scores)
        middle, high = np.quantile(log, [0.5, 0.8])
        log = log.clip(4 * middle - 3 * high, 3 * high - 2 * middle)
        design = np.where(observed, has_high - share, 0)
        target = log - np.average(log, weights=w)
        gram = (design.T * w) @ design + 5 * np.eye(2)
        expected = np.linalg.solve(gram, (design.T * w) @ target)
        assert_allclose(effects.effect, expected, rtol=1e-4)
        shift = (design @ effects.effect).clip(middle - high, high - middle)
        assert_allclose(effects.correction(X), np.exp(-shift))


def test_without_a_binary_column_there_is_no_effect():
    X = np.arange(20.0)[:, np.newaxis]
    effects = BinaryEffects.from_data(X, np.ones(20))
    assert (effects.share.size, effects.effect.size, effects.limit) == (0, 0, 0.0)
    assert_array_equal(effects.correction(X), np.ones(20))


def test_two_values_are_nearly_all_there_is_and_neither_is_rare():
    n = 200

    def is_one(n_rare, n_others):
        column = np.zeros(n)
        column[:n_rare] = 1
        column[n - n_others :] = np.linspace(2.13, 2.87, n_others)
        return len(BinaryColumns.from_data(column[:, None]).columns) == 1

    assert is_one(6, 0)
    assert not is_one(3, 0)
    assert is_one(60, 19)
    assert not is_one(60, 21)


@pytest.mark.parametrize(("other", "are_levels"), [(1.0, False), (-0.5, False), (0.3, True)])
def test_numbers_that_go_on_in_the_same_step_are_no_two_levels(other, are_levels):
    column = np.tile([0.0, 0.5], 100)
    column[:8] = other
    assert (len(BinaryColumns.from_data(column[:, None]).columns) == 1) is are_levels


# Rows that are trimmed, and folds


def test_central_rows_have_near_neighbours():
    rng = data_rng()
    Z = rng.normal(size=(100, 2))
    Z[:6] += 8
    kept = central_mask(Z, 0.07, rng)
    distance = np.sort(np.abs(Z[:, None] - Z).sum(axis=2), axis=1)[:, 20]
    expected = np.ones(100, bool)
    expected[np.argsort(-distance)[:7]] = False
    assert_array_equal(kept, expected)
    assert not kept[:6].any()
    assert central_mask(Z, 0.0, rng).all()
    assert central_mask(Z[:2], 0.5, rng).all()


def test_a_rarer_value_loses_no_more_than_twice_its_share_of_rows():
    Z = np.column_stack([np.arange(100.0), np.arange(100) >= 80])
    kept = trim_mask(Z[:, 0], Z, 0.1)
    # Four of the twenty rows with the rarer value, and the next of the others.
    assert_array_equal(np.flatnonzero(~kept), [*range(74, 80), *range(96, 100)])
    alone = trim_mask(Z[:, 0], Z[:, :1], 0.1)
    assert_array_equal(np.flatnonzero(~alone), np.arange(90, 100))


def test_rows_are_scored_by_the_models_that_have_not_seen_them():
    splits = [(np.array([0, 1, 2]), np.array([3, 4])), (np.array([3, 4]), np.array([0, 3]))]
    folds = Folds.from_splits(splits, np.array([True, False, True, False, False]))
    # The second model would be left without a row.
    assert_array_equal(folds.train_mask, [[1, 0, 1, 0, 0], [0, 0, 0, 1, 1]])
    values = folds.held_out_values(lambda model, rows: 10.0 * model + rows)
    assert_allclose(values, [10, np.nan, np.nan, (3 + 13) / 2, 4])


# Thresholds among anomalies


def test_the_mean_of_an_exponential_that_is_cut():
    at = np.linspace(0, 1, 100_001)
    for scale in (0.2, 0.5):
        density = np.exp(-at / scale)
        assert_allclose(_truncated_mean(scale), (at * density).sum() / density.sum(), rtol=1e-4)


def test_the_tail_of_normal_rows():
    excess, weight = np.array([0.2, 0.8, 1.0]), np.array([100.0, 200, 100])
    mean = (weight @ excess / 2 + 100 * _truncated_mean(0.35)) / 500
    scale = _tail_scale(excess, weight, 2.0) / 2 / (1 + 1.3 / np.sqrt(500))
    assert_allclose(_truncated_mean(scale), mean, rtol=1e-6)
    # No wider than this is believed.
    assert_allclose(_tail_scale(np.full(3, 2.0), weight, 2.0), 1.2 * (1 + 1.3 / np.sqrt(500)))
    assert _tail_scale(excess, weight, np.inf) == 1


def test_p_values_beyond_the_bulk():
    scores = np.exp(np.linspace(0, 1, 11))
    calibration = ContaminatedCalibration(scores)
    # The middle is 0.5 and the bulk ends at 0.8: the fence is at 1.4, beyond all rows.
    scale = _tail_scale(np.array([0.1, 0.2]), np.ones(2), 0.6)
    p = calibration.p_values(np.exp([0.95, 2.0]))
    assert_allclose(p, 2 / 11 * np.exp(-(np.array([0.95, 2.0]) - 0.8) / scale))
    assert_allclose(calibration.p_values(np.exp([0.75])), 4 / 12)
    assert_allclose(calibration.threshold(0.3), np.exp(0.7))
    assert calibration.threshold(1e-9) == scores[-1]
    far = ContaminatedCalibration(np.r_[scores, np.exp([9.0, 9])])
    middle, high = np.quantile(np.r_[np.linspace(0, 1, 11), 9, 9], [0.5, 0.8])
    assert_allclose(far.threshold(1e-9), np.exp(middle + 3 * (high - middle)))
    assert calibration.least == 0


@pytest.mark.parametrize("weight", [np.full(11, 7.0), np.array([1.0] * 5 + [3.0] * 6)])
def test_weights_of_the_bulk_count_by_their_ratios(weight):
    scores = np.exp(np.linspace(0, 1, 11))
    calibration = ContaminatedCalibration(scores[::-1], weight[::-1])
    middle, high = (lower_quantile(np.log(scores), share, weight) for share in (0.5, 0.8))
    ratio = weight / weight.mean()
    tail = np.log(scores) > high
    excess, length = np.log(scores[tail]) - high, 3 * (high - middle) - (high - middle)
    scale = _tail_scale(excess, ratio[tail], length)
    share = weight[tail].sum() / weight.sum()
    at = high + 0.3
    assert_allclose(calibration.p_values(np.exp([at])), share * np.exp(-0.3 / scale))


# Tables


def shop(n=40):
    rng = data_rng()
    size = rng.normal(size=n)
    size[::5] = np.nan
    kind = np.array(["a", "b", "c"])[np.arange(n) % 3]
    return pd.DataFrame({"size": size, "kind": kind, "new": np.arange(n) % 2 == 0})


def table_encoding(encoder, share=None):
    """The encoding of its tables, with these shares of new categories."""
    share = np.zeros(len(encoder.blocks_)) if share is None else share
    return TableEncoding(ColumnLayout.from_encoder(encoder), unseen_deviations(share))


@pytest.fixture
def encoded():
    """An encoder of a number with missing values and two categories, and the encoding."""
    encoder = TabularEncoder().fit(shop())
    return encoder, table_encoding(encoder)


def test_which_numbers_stand_for_which_column(encoded):
    layout = encoded[1].layout
    assert (layout.n_numbers, layout.n_columns) == (6, 3)
    expected = [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]]
    assert_array_equal(layout.membership, expected)
    assert_array_equal(layout.column, [0, 0, 1, 1, 1, 2])
    assert_array_equal(layout.starts, [0, 2, 5])
    assert_array_equal(layout.is_indicator, [0, 1, 0, 0, 0, 0])
    assert_array_equal(layout.is_flag, [0, 0, 1, 1, 1, 1])
    values = np.arange(12.0).reshape(2, 6)
    assert_allclose(layout.sum_by_column(values), [[1, 9, 5], [13, 27, 11]])
    assert_array_equal(ColumnLayout.numeric(6).sum_by_column(values), values)
    flags = np.array([[1.0, 0, 2], [0, 3, 0]])
    distance = NeighborDistance(1, 1, False)
    distance.layout, distance.nearest = layout, SimpleNamespace(shares=lambda points: points)
    rows = SimpleNamespace(points=np.hstack([values, flags]), missing=np.zeros((2, 3)))
    (sums,) = distance.shares(rows)
    assert_allclose(sums, [[2, 9, 7], [13, 30, 11]])


def test_missing_values_do_not_count_and_unseen_ones_are_far(encoded):
    encoder, encoding = encoded
    rows = pd.DataFrame({"size": [0.5, np.nan], "kind": ["z", "b"], "new": [None, True]})
    X = encoding.join(*encoder.encode(rows))
    parts = encoding.encode(X)
    assert_array_equal(parts.unseen, [[0, 3, 3], [0, 0, 0]])
    assert_array_equal(parts.values[0, 2:], np.zeros(4))
    # A missing value does not count, and that it is missing does.
    assert_array_equal(parts.observed, [[1, 1, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1]])
    assert_array_equal(encoding.to_network(X), X[:, :6])
    assert_array_equal(encoding.to_data(X[:, :6]), X[:, :6])


def test_a_value_of_a_column_of_which_half_is_missing_is_not_unseen():
    table = pd.DataFrame({"kind": list("abab"), "size": [1.0, np.nan, 3, np.nan]})
    encoder = TabularEncoder().fit(table)
    encoding = table_encoding(encoder)
    X = encoding.join(*encoder.encode(table))
    assert encoding.layout.n_numbers == 3
    assert not X[:, 3:].any()
    assert_array_equal(encoding.encode(X).observed[:, 1], [1, 0, 1, 0])


def test_columns_in_which_new_values_are_usual_are_less_unseen(encoded):
    encoding = table_encoding(encoded[0], np.array([0.0, 0.25, 1.0]))
    X = encoding.join(np.zeros((1, 6)) - 1, np.zeros((1, 3), bool))
    assert_allclose(X[0, 6:], [3, 3 * np.sqrt(0.01 / 0.25), 3 * np.sqrt(0.01)])


def test_the_share_of_values_that_are_new():
    table = pd.DataFrame({"key": list("aabcd"), "number": [1.0, 2, 3, 4, 5]})
    encoder = TabularEncoder().fit(table)
    assert_allclose(share_of_new_categories(encoder.cells(table), None), [3 / 5, 0])
    weight = np.array([1, 0, 1, 1, 0])
    assert_allclose(share_of_new_categories(encoder.cells(table), weight), [1, 0])


class Remembering:
    """A denoiser that remembers its inputs."""

    def __call__(self, read):
        self.read = read
        return 0.5 * read[:, :6]


def test_inputs_of_a_denoiser_of_tables_are_noisy_flags_and_which_columns_are_blank(encoded):
    encoder, encoding = encoded
    layout = encoding.layout
    X = encoding.join(*encoder.encode(shop()))[:6]
    denoiser = Remembering()
    error = DenoisingError(None, None)
    error.denoisers, error.layout, error.has_blanks = [denoiser], layout, True
    error.noise, error.level = np.array([[1.0, -1, 2, 0.5, 1, -2]]), 0.5
    error.unit = np.ones((1, 3))
    blank = np.zeros((6, 3), bool)
    blank[1, 0] = blank[2, 1] = blank[2, 2] = True
    rows = encoding.encode(X)
    squared = next(error.errors(rows, blank=blank))
    Z, seen = rows.values, rows.observed
    shown = 1 - blank @ layout.membership
    read = np.concatenate([(Z + sign * 0.5 * error.noise) * seen * shown for sign in (1, -1)])
    assert_allclose(denoiser.read[:, :6], read, rtol=1e-6)
    assert_array_equal(denoiser.read[:, 6:9], np.vstack([blank, blank]))
    assert_array_equal(denoiser.read[:, 9], np.full(12, 0.5, np.float32))
    both = np.square(0.5 * read - np.vstack([Z, Z])).reshape(2, 6, 6).mean(axis=0)
    assert_allclose(squared, layout.sum_by_column(both * seen), rtol=1e-5)
    restored = error.restored(rows, 0.0, blank)
    assert_allclose(restored, 0.5 * Z * seen * shown, rtol=1e-6)
    assert_array_equal(denoiser.read[:, 9], np.zeros(6))


def test_the_score_of_a_table_from_its_parts():
    # No two rows are alike, so that no two are as near.
    X = shop(90).assign(weight=data_rng(1).normal(size=90))
    detector = AEAnomalyDetector(novelty=True, **QUICK).fit(X)
    score = detector._score
    error, neighbors = score.components
    rows = score.encoding.join(*detector.table_.encode(X))
    nearest = neighbors.nearest
    k = nearest.n_neighbors
    distances = distance_scores(rows, nearest.rows, nearest.masks, k, True)
    logarithms = [
        (np.log(errors.mean(axis=1)) + np.log(distance)) / 2
        + np.log((errors / error.high).max(axis=1))
        for errors, distance in zip(
            error.errors(score.encoding.encode(rows)), distances, strict=True
        )
    ]
    assert isinstance(score.encoding, TableEncoding)
    of_components = np.exp(score._logs_of_rows(rows, range(score.n_models))[:, 0])
    assert_allclose(of_components, np.exp(np.mean(logarithms, axis=0)), rtol=1e-4)
    assert (score.score(rows) >= of_components).all()
    factors = detector._binary_effects.correction(rows)
    expected = score.score(rows) / detector._median_score * factors
    assert_allclose(-detector.score_samples(X), expected, rtol=1e-6)


def test_a_column_that_follows_from_the_others_does_not_drown_them():
    errors, mask = np.array([[1.0, 0.001, 1.999]]), np.ones(1, bool)
    assert_allclose(column_units(errors, mask, None), [1, 0.02, 1.999], rtol=1e-6)


def test_the_unit_of_a_column_is_the_mean_over_rows_that_were_held_out():
    errors = np.array([[1.0, 2], [3, 4], [np.nan, np.nan], [6, 9]])
    weight = np.array([1.0, 2, 5, 1])
    everyone = np.ones(4, bool)
    assert_allclose(column_units(errors, everyone, None), [10 / 3, 5])
    assert_allclose(column_units(errors, everyone, weight), [13 / 4, 19 / 4])
    but_last = np.array([True, True, True, False])
    assert_allclose(column_units(errors, but_last, None), [2, 3])
    # Where none of them was held out, others must do.
    third = np.array([False, False, True, False])
    assert_allclose(column_units(errors, third, None), [10 / 3, 5])


# Values of a table that are wrong together


class DisturbedError(DenoisingError):
    """Errors where a wrong value that is seen disturbs what is expected of the others.

    What should be is zero. Of rows whose first value is negative the values beyond two support
    each other: as long as one of them is seen, the others have an error of ten each.
    """

    def __init__(self):
        self.denoisers = [None]

    def errors(self, rows, models=None, blank=None):
        X = rows.values
        blank = np.zeros(X.shape, bool) if blank is None else blank
        yield np.array([self.error(*row) for row in zip(X, blank, strict=True)])

    def error(self, x, blank):
        square = np.square(x[:4])
        if x[0] < 0:
            agrees = np.abs(x[:4]) > 2
            return np.where(agrees, 0.0, 10.0 * (not blank[agrees].all()))
        seen = square * ~blank
        return square + 0.5 * (seen.sum() - seen)

    def shares(self, rows):
        (errors,) = self.errors(rows)
        yield errors / errors.sum(axis=1, keepdims=True)

    def restored(self, rows, level, blank):
        return np.where(blank, 0.0, rows.values)


class AtZero(NeighborDistance):
    """Nearest rows: one, at zero."""

    row_entries = 1

    def __init__(self, layout):
        self.layout, n = layout, layout.n_columns
        self.nearest = SimpleNamespace(
            rows=np.zeros((1, 2 * n)), unit=np.ones(1), n_neighbors=1
        )

    def shares(self, rows):
        yield np.full(rows.values.shape, 1 / self.layout.n_columns)


ROWS = np.array(
    [
        [4.0, 0.1, 0, 0],  # one wrong cell
        [4.0, 0.2, 0, 4],  # two
        [0.5, 0.1, 0, 0.2],  # none that is clear
        [-7.0, 7, 0.5, 0],  # two that agree
        [-7.0, 7, 0, 7],  # three
    ]
)


def explained(frame, error):
    """The encoding of a frame, and an explanation of which every part is known."""
    encoding = table_encoding(TabularEncoder().fit(frame))
    return encoding, TableExplanation(CombinedScore(encoding, [error, AtZero(encoding.layout)]))


def remaining(x, blank):
    """Error of the values that are seen."""
    return (DisturbedError().error(x, blank) * ~blank).sum()


def test_values_are_blamed_that_reduce_the_error_of_the_others():
    frame = pd.DataFrame(data_rng().normal(size=(20, 4)), columns=list("abcd"))
    encoding, explanation = explained(frame, DisturbedError())
    X = np.hstack([ROWS, np.zeros((5, 4))])
    blamed, shares, restored = explanation.reasons(encoding.encode(X))
    expected = [[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 1]]
    assert_array_equal(blamed, expected)
    assert_allclose(restored, np.where(blamed, 0, ROWS))
    for x, blame, share in zip(X, blamed, shares, strict=True):
        error = DisturbedError().error(x, np.zeros(4, bool))
        plain = (0.25 + error / error.sum()) / 2
        # Of a row of which nothing is blamed, the value with the largest share is.
        least = remaining(x, np.zeros(4, bool)) - 4
        blame = blame if remaining(x, blame) < least else np.zeros(4, bool)
        reduced = [
            remaining(x, blame & (at != np.arange(4)))
            - remaining(x, blame | (at == np.arange(4)))
            for at in range(4)
        ]
        reduced = np.where(plain >= 0.25 / 4, reduced, 0)
        weighted = plain * np.sqrt(np.maximum(reduced, 1e-9))
        assert_allclose(share, weighted / weighted.sum(), atol=1e-4)


def test_no_more_than_four_values_are_blamed():
    frame = pd.DataFrame(data_rng().normal(size=(20, 7)))
    frame.columns = list("abcdefg")

    class OwnError(DisturbedError):
        """Each wrong value has an error, and disturbs the last one."""

        def errors(self, rows, models=None, blank=None):
            square = np.square(rows.values)
            blank = np.zeros(square.shape, bool) if blank is None else blank
            square[:, 6] = (square * ~blank)[:, :6].sum(axis=1)
            yield square

    encoding, explanation = explained(frame, OwnError())
    X = np.zeros((1, 14))
    X[0, :6] = [5, 7, 6, 5.5, 6.5, 4.5]
    blamed, _, _ = explanation.reasons(encoding.encode(X))
    assert_array_equal(np.flatnonzero(blamed[0]), [1, 2, 4, 6])


# Training of the denoisers


def test_an_epoch_has_each_row_as_often_as_any_other_and_no_more_than_are_needed():
    training = DenoiserTraining((4,), 1.0, n_steps=10, batch_size=4, learning_rate=0.1,
                                in_order=True)  # fmt: skip

    def epoch(n, training=training):
        return training._epoch(n, np.random.RandomState(3))

    # Forty rows are needed.
    assert_array_equal(epoch(50), np.random.RandomState(3).permutation(50)[:40])
    assert_array_equal(epoch(41), np.random.RandomState(3).permutation(41)[:40])
    assert_array_equal(epoch(40), np.arange(40))
    assert_array_equal(epoch(30), np.arange(30))
    assert_array_equal(epoch(7), np.tile(np.arange(7), 6))
    # Many are needed: about 2**13 in an epoch.
    longer = replace(training, n_steps=10**6)
    assert_array_equal(epoch(1000, longer), np.tile(np.arange(1000), 8))
    assert_array_equal(epoch(20_000, longer), np.arange(20_000))


def test_another_thread_ends_training_after_the_epoch():
    calls = []

    class Monitor:
        stops = False

        def begin(self, training):
            calls.append(f"begin {training}")

        def end(self, training):
            calls.append(f"end {training}")
            return self.stops

        def close(self, training):
            calls.append(f"close {training}")

    monitor = Monitor()
    shared = _SharedMonitor(monitor)
    shared.begin(1)
    assert shared.end(1) is False
    shared.stopped = True
    assert shared.end(2) is True
    shared.stopped, monitor.stops = False, True
    assert shared.end(3) is True
    shared.close(4)
    assert calls == ["begin 1", "end 1", "end 2", "end 3", "close 4"]
