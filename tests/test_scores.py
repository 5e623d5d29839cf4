"""What the scores of the anomaly detector are: each against plain NumPy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data import data_rng
from skae import AEAnomalyDetector
from skae.anomaly._binary_effects import BinaryEffects
from skae.anomaly._conformal import lower_quantile
from skae.anomaly._folds import Folds
from skae.anomaly._layout import TableLayout, share_of_new_levels
from skae.anomaly._neighbors import NearestRows
from skae.anomaly._residuals import DenoisingResiduals
from skae.anomaly._robust_calibration import (
    ContaminatedCalibration,
    _tail_scale,
    _truncated_mean,
)
from skae.anomaly._scores import DenoisingScore, ReconstructionScore
from skae.anomaly._table_residuals import TableResiduals
from skae.anomaly._table_scores import TableScore, _usual
from skae.anomaly._trimming import central, without_farthest
from skae.networks._dense import DenseCoder
from skae.tables import BinaryColumns, SquashingScaler, TabularEncoder
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


def distance_scores(Z, rows, known, k, relative):
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
            score = score * np.sqrt((mean + least) / (theirs + least))
        scores.append(score)
    return np.array(scores)


def distance_shares(Z, rows, known, k):
    """By hand: each member hands out one, by squared differences to its neighbours."""
    parts = np.zeros(Z.shape)
    for mask in known:
        square, at = neighbours(Z, rows[mask], k)
        cells = np.square(rows[mask][at] - Z[:, None]).sum(axis=1)
        parts += cells / square.sum(axis=1, keepdims=True)
    return parts / len(known)


@pytest.fixture
def reference():
    """Rows, which of them two members know, and new rows of which one is among them."""
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
    assert nearest.n_candidates >= k


def test_a_member_that_knows_few_rows_has_fewer_neighbours(reference):
    rows, _, Z = reference
    known = np.arange(30) < 3
    nearest = NearestRows(rows, known[None], 20, False)
    assert nearest.n_neighbors == 2
    assert_allclose(nearest.scores(Z, [0]), distance_scores(Z, rows, known[None], 2, False))


# Denoisers


def halving(read):
    """Reads rows and, last, the level."""
    return 0.5 * read[:, :-1] + read[:, -1:]


def shifting(read):
    return read[:, :-1] + [0.0, 1.0, 2.0]


NOISE = np.array([[1.0, -1, 2]])


def squares(denoiser, Z, level=0.5):
    """By hand: the mean over both signs of the noise."""
    level_column = np.full((len(Z), 1), level)
    read = [np.hstack([Z + sign * level * NOISE, level_column]) for sign in (1, -1)]
    return np.mean([np.square(denoiser(rows) - Z) for rows in read], axis=0)


def test_residuals_of_a_denoiser(reference):
    rows, _, Z = reference
    residuals = DenoisingResiduals(halving, 0.5, NOISE, rows)
    unit = squares(halving, rows).mean()
    assert_allclose(residuals.squared(Z), squares(halving, Z) / unit)
    denoised = residuals.denoised(Z, residuals.corrupted(Z, 2.0))
    assert_allclose(denoised, 0.5 * Z + 2)


@pytest.fixture
def by_hand(reference):
    """A score of two members, made of parts that are known."""
    rows, known, _ = reference
    scale = SquashingScaler(np.array([1.0, 0, -1]), np.array([2.0, 1, 0.5]))
    residuals = [DenoisingResiduals(f, 0.5, NOISE, rows) for f in (halving, shifting)]
    nearest = NearestRows(rows, known, 2, False)
    seen = np.array([-2.0, -2, -2]), np.array([2.0, 2, 2])
    return DenoisingScore(scale, residuals, nearest, 2.0, seen, [], 9.0)


def test_the_score_is_a_geometric_mean_of_error_and_distance(reference, by_hand):
    rows, known, Z = reference
    X = by_hand.scale.inverse_transform(Z)
    errors = [squares(f, Z).mean(axis=1) / squares(f, rows).mean() for f in (halving, shifting)]
    members = np.sqrt(errors * distance_scores(Z, rows, known, 2, False))
    assert_allclose(by_hand.score(X), np.sqrt(members[0] * members[1]), rtol=1e-4)
    for j in range(2):
        assert_allclose(by_hand.score_of_member(j, X), members[j], rtol=1e-4)


def test_a_column_has_half_of_its_shares_from_each(reference, by_hand):
    rows, known, Z = reference
    by_error = np.zeros(Z.shape)
    for denoiser in (halving, shifting):
        cells = squares(denoiser, Z)
        by_error += cells / cells.sum(axis=1, keepdims=True) / 2
    by_distance = distance_shares(Z, rows, known, 2)
    shares = by_hand.shares(by_hand.scale.inverse_transform(Z))
    assert_allclose(shares, (by_error + by_distance) / 2, atol=1e-6)


def test_cells_with_more_than_their_share_are_filled_by_the_networks(reference):
    rows, known, _ = reference
    residuals = [
        DenoisingResiduals(lambda read, c=c: np.full((len(read), 3), c), 0.5, NOISE, rows)
        for c in (0.5, 1.5)
    ]
    scale = SquashingScaler(np.array([10.0, 0, 0]), np.array([2.0, 1, 1]))
    nearest = NearestRows(rows, known, 2, False)
    seen = np.array([-9.0, -9, -9]), np.array([99.0, 0.9, 9])
    score = DenoisingScore(scale, residuals, nearest, 2.0, seen, [], 9.0)
    X = scale.inverse_transform(np.array([[40.0, 0.8, 1.1], [1.0, -30.0, 0.9]]))
    # The mean of both networks is one, in units of the column and within what was seen. The
    # other cells have less than their share, and are as they were.
    assert_allclose(score.expected(X), [[12, 0.9, 1], [12, 0.9, 1]])


def test_cells_that_turn_out_to_be_as_expected_are_given_back():
    """The second column should be what the first is, and the first should be two."""

    def denoiser(read):
        return np.stack([np.full(len(read), 2.0), read[:, 0], read[:, 2]], axis=1)

    rows = 0.01 * data_rng().normal(size=(10, 3))
    residuals = DenoisingResiduals(denoiser, 0.5, NOISE, rows)
    nearest = NearestRows(rows, np.ones((1, 10), bool), 2, False)
    seen = np.full(3, -9.0), np.full(3, 9.0)
    scale = SquashingScaler(np.zeros(3), np.ones(3))
    score = DenoisingScore(scale, [residuals], nearest, 2.0, seen, [], 9.0)
    X = np.array([[-2.0, 2.1, 0.5]])
    assert (score.shares(X)[0, :2] > 1 / 3).all()
    # Were the first cell given back and not the second, minus two would be expected of it.
    assert_allclose(score.expected(X), [[2, 2, 0.5]], atol=1e-6)


def test_a_row_that_is_repaired_without_error_has_a_score(reference, by_hand):
    """The least there is, and shares that add up to one."""
    rows, known, Z = reference
    perfect = DenoisingResiduals(lambda read: np.zeros((len(read), 3)), 0.5, NOISE, rows)
    score = DenoisingScore(
        SquashingScaler(np.zeros(3), np.ones(3)), [perfect],
        NearestRows(rows, known[:1], 2, False), 2.0,
        (np.full(3, -9.0), np.full(3, 9.0)), [], 9.0,
    )  # fmt: skip
    X = np.zeros((1, 3))
    assert 0 < score.score(X)[0] < 1e-3 * score.score(Z).min()
    by_distance = distance_shares(X, rows, known[:1], 2)
    assert_allclose(score.shares(X), (1 / 3 + by_distance) / 2, atol=1e-6)


def numbers(n=120):
    rng = data_rng()
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(n, 4))


@pytest.mark.parametrize("novelty", [True, False])
def test_the_score_of_a_detector_from_its_parts(novelty):
    X = numbers()
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    score = detector._score
    Z = score.scale.transform(X)
    logarithms, by_error = [], []
    nearest = score.nearest
    k, relative = nearest.n_neighbors, novelty
    distances = distance_scores(Z, nearest.rows, nearest._known, k, relative)
    for member, distance in zip(score.residuals, distances, strict=True):
        read = [
            np.hstack(
                [Z + sign * member.level * member.noise, np.full((len(Z), 1), member.level)]
            )
            for sign in (1, -1)
        ]
        cells = np.mean([np.square(member.denoiser(rows) - Z) for rows in read], axis=0)
        logarithms.append(np.log(cells.mean(axis=1) / member.usual) / 2 + np.log(distance) / 2)
        by_error.append(cells / cells.sum(axis=1, keepdims=True))
    expected = np.exp(np.mean(logarithms, axis=0)) / detector._usual
    assert len(detector._effects.effect) == 0
    assert_allclose(-detector.score_samples(X), expected, rtol=1e-4)
    by_distance = distance_shares(Z, nearest.rows, nearest._known, k)
    shares = (np.mean(by_error, axis=0) + by_distance) / 2
    assert_allclose(detector.explain(X), expected[:, None] * shares, rtol=1e-3, atol=1e-5)


def test_denoisers_are_plain_networks_that_read_the_level():
    detector = AEAnomalyDetector(**QUICK).fit(numbers())
    for residuals in detector._score.residuals:
        coder = DenseCoder(5, 4, (8,), "leaky_relu", "linear", linear_path=False)
        assert residuals.denoiser.coder == coder
    table = AEAnomalyDetector(**QUICK).fit(shop(90))
    # Six numbers, a flag for each of three columns that is blank, and the level.
    assert table._score.residuals[0].denoiser.coder == replace(coder, n_inputs=10, n_outputs=6)
    curves = detector._score.loss_curves
    assert len(curves) == 3
    assert_allclose(detector.loss_curve_, np.mean(curves, axis=0))


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


def test_the_score_by_reconstruction_is_a_mean_in_usual_losses():
    X = np.array([[1.0, 2], [3, 0]])
    seen = np.array([-2.0, -2]), np.array([2.0, 1.2])
    score = ReconstructionScore(None, [Known(0.5), Known(0.25)], (2,), seen, 9.0)
    score.usual = [2.0, 0.5]
    total = np.square(X).sum(axis=1)
    assert_allclose(score.score(X), (0.5 * total / 2 + 0.25 * total / 0.5) / 2)
    assert_allclose(score.score_of_member(1, X), 0.25 * total / 0.5)
    assert_allclose(score.shares(X), np.square(X) / total[:, None], atol=1e-8)
    assert_allclose(score.expected(X), [[0.625, 1.2], [1.875, 0]])


def test_reconstruction_in_units_of_columns():
    X = np.array([[3.0, 2], [1, 6]])
    scale = SquashingScaler(np.array([1.0, 2]), np.array([2.0, 4]))
    Z = np.array([[1.0, 0], [0, 1]])
    score = ReconstructionScore(scale, [Known(0.5)], (2,), (np.zeros(2), np.full(2, 9.0)), 9.0)
    assert_allclose(score.score(X), [0.5, 0.5])
    assert_allclose(score.shares(X), Z, atol=1e-8)
    assert_allclose(score.expected(X), [[2, 2], [1, 4]])


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
    made = []

    def make():
        made.append(Fitting(0.5))
        return made[-1]

    score = ReconstructionScore.fit(Rows(X, None, weight), folds, rng, make, (2,))
    scale = SquashingScaler.of(X[:10], weight[:10])
    assert_allclose([score.scale.centre, score.scale.scale], [scale.centre, scale.scale])
    Z = scale.transform(X)
    assert_allclose(
        score.usual, [0.5 * np.square(Z[mask]).sum(axis=1).mean() for mask in seen], rtol=1e-6
    )
    for mask, one in zip(seen, made, strict=True):
        assert_allclose(np.sort(one.X, axis=0), np.sort(Z[mask], axis=0))
        assert_array_equal(np.sort(one.weight), np.sort(weight[mask]))
    assert score.loss_curves == [[6.0], [4.0]]
    assert_array_equal(score.seen_range, [X[:10].min(axis=0), X[:10].max(axis=0)])


def test_losses_that_are_not_errors_are_refused():
    score = ReconstructionScore(None, [Known(-1.0)], (2,), None, 9.0)
    with pytest.raises(ValueError, match="so never positive; that of Known reaches 5"):
        score.score(np.array([[1.0, 2]]))


# Columns of two values


def test_the_effect_of_a_rarer_value_is_taken_back():
    levels = BinaryColumns(np.array([1]), np.array([0.0]), np.array([1.0]))
    effects = BinaryEffects(levels, np.array([0.25]), np.array([2.0]), 0.9)
    X = np.array([[5.0, 1], [5, 0]])
    assert_allclose(effects.factors(X), np.exp([-0.9, 0.5]))


def test_effects_are_ridge_regression_of_clipped_logarithms():
    rng = data_rng()
    X = np.column_stack(
        [rng.normal(size=200), np.arange(200) % 4 == 0, np.arange(200) % 3 == 0]
    )
    weight = rng.randint(1, 4, 200).astype(float)
    log = rng.normal(size=200) + 1.5 * X[:, 1]
    log[5] = 50
    effects = BinaryEffects.of(X, np.exp(log), weight)
    middle, high = np.quantile(log, [0.5, 0.8])
    clipped = log.clip(middle - 3 * (high - middle), middle + 3 * (high - middle))
    w = weight / weight.mean()
    has = X[:, 1:] - np.average(X[:, 1:], axis=0, weights=w)
    target = clipped - np.average(clipped, weights=w)
    expected = np.linalg.solve((has.T * w) @ has + 5 * np.eye(2), (has.T * w) @ target)
    assert_allclose(effects.effect, expected, rtol=1e-4)
    assert_allclose(effects.share, np.average(X[:, 1:], axis=0, weights=w))
    assert_allclose(effects.limit, high - middle)


def test_two_values_are_nearly_all_there_is_and_neither_is_rare():
    n = 200

    def is_one(n_rare, n_others):
        column = np.zeros(n)
        column[:n_rare] = 1
        column[n - n_others :] = np.linspace(2.13, 2.87, n_others)
        return len(BinaryColumns.of(column[:, None]).columns) == 1

    assert is_one(6, 0)
    assert not is_one(3, 0)
    assert is_one(60, 19)
    assert not is_one(60, 21)


@pytest.mark.parametrize(("other", "are_levels"), [(1.0, False), (-0.5, False), (0.3, True)])
def test_numbers_that_go_on_in_the_same_step_are_no_two_levels(other, are_levels):
    column = np.tile([0.0, 0.5], 100)
    column[:8] = other
    assert (len(BinaryColumns.of(column[:, None]).columns) == 1) is are_levels


# Rows that are trimmed, and folds


def test_central_rows_have_near_neighbours():
    rng = data_rng()
    Z = rng.normal(size=(100, 2))
    Z[:6] += 8
    kept = central(Z, 0.07, rng)
    distance = np.sort(np.abs(Z[:, None] - Z).sum(axis=2), axis=1)[:, 20]
    expected = np.ones(100, bool)
    expected[np.argsort(-distance)[:7]] = False
    assert_array_equal(kept, expected)
    assert not kept[:6].any()
    assert central(Z, 0.0, rng).all()
    assert central(Z[:2], 0.5, rng).all()


def test_a_rarer_value_loses_no_more_than_twice_its_share_of_rows():
    Z = np.column_stack([np.arange(100.0), np.arange(100) >= 80])
    kept = without_farthest(Z[:, 0], Z, 0.1)
    # Four of the twenty rows with the rarer value, and the next of the others.
    assert_array_equal(np.flatnonzero(~kept), [*range(74, 80), *range(96, 100)])
    alone = without_farthest(Z[:, 0], Z[:, :1], 0.1)
    assert_array_equal(np.flatnonzero(~alone), np.arange(90, 100))


def test_rows_are_scored_by_the_members_that_have_not_seen_them():
    splits = [(np.array([0, 1, 2]), np.array([3, 4])), (np.array([3, 4]), np.array([0, 3]))]
    folds = Folds.of(splits, np.array([True, False, True, False, False]))
    # The second member would be left without a row.
    assert_array_equal(folds.seen, [[1, 0, 1, 0, 0], [0, 0, 0, 1, 1]])
    judged = folds.judged(lambda member, rows: 10.0 * member + rows)
    assert_allclose(judged, [10, np.nan, np.nan, (3 + 13) / 2, 4])


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


@pytest.fixture
def encoded():
    """An encoder of a number with missing cells and two categories, and its layout."""
    encoder = TabularEncoder().fit(shop())
    layout = TableLayout(encoder.blocks_, np.zeros(3))
    return encoder, layout


def test_which_numbers_stand_for_which_column(encoded):
    _, layout = encoded
    assert layout.n_numbers == 6
    expected = [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]]
    assert_array_equal(layout.columns, expected)
    values = np.arange(12.0).reshape(2, 6)
    assert_allclose(layout.by_column(values), [[1, 9, 5], [13, 27, 11]])
    flags = np.array([[1.0, 0, 2], [0, 3, 0]])
    assert_allclose(layout.by_column(np.hstack([values, flags])), [[2, 9, 7], [13, 30, 11]])


def test_missing_cells_do_not_count_and_foreign_ones_are_far(encoded):
    encoder, layout = encoded
    rows = pd.DataFrame({"size": [0.5, np.nan], "kind": ["z", "b"], "new": [None, True]})
    Z, observed = encoder.encode(rows)
    X = layout.joined(Z, observed)
    parts = layout.parts(X)
    assert_array_equal(parts[2], [[0, 3, 3], [0, 0, 0]])
    assert_array_equal(parts[0][0, 2:], np.zeros(4))
    # A missing cell does not count, and that it is missing does.
    assert_array_equal(parts[1], [[1, 1, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1]])
    assert_array_equal(layout.transform(X), X[:, :6])
    assert_array_equal(layout.inverse_transform(X[:, :6])[:, 6:], np.zeros((2, 3)))


def test_a_cell_of_a_column_of_which_half_is_missing_is_not_foreign():
    table = pd.DataFrame({"kind": list("abab"), "size": [1.0, np.nan, 3, np.nan]})
    encoder = TabularEncoder().fit(table)
    layout = TableLayout(encoder.blocks_, np.zeros(2))
    X = layout.joined(*encoder.encode(table))
    assert layout.n_numbers == 3
    assert not X[:, 3:].any()
    assert_array_equal(layout.parts(X)[1][:, 1], [1, 0, 1, 0])


def test_columns_in_which_new_values_are_usual_are_less_foreign(encoded):
    encoder, _ = encoded
    layout = TableLayout(encoder.blocks_, np.array([0.0, 0.25, 1.0]))
    X = layout.joined(np.zeros((1, 6)) - 1, np.zeros((1, 3), bool))
    assert_allclose(X[0, 6:], [3, 3 * np.sqrt(0.01 / 0.25), 3 * np.sqrt(0.01)])


def test_the_share_of_values_that_are_new():
    table = pd.DataFrame({"key": list("aabcd"), "number": [1.0, 2, 3, 4, 5]})
    encoder = TabularEncoder().fit(table)
    assert_allclose(share_of_new_levels(encoder.cells(table), None), [3 / 5, 0])
    weight = np.array([1, 0, 1, 1, 0])
    assert_allclose(share_of_new_levels(encoder.cells(table), weight), [1, 0])


class Remembering:
    """A denoiser that remembers what it read."""

    def __call__(self, read):
        self.read = read
        return 0.5 * read[:, :6]


def test_a_denoiser_of_tables_reads_noise_in_flags_and_which_columns_are_blank(encoded):
    encoder, layout = encoded
    Z, observed = encoder.encode(shop())
    X = layout.joined(Z, observed)[:6]
    noise = np.array([[1.0, -1, 2, 0.5, 1, -2]])
    denoiser = Remembering()
    residuals = TableResiduals(denoiser, layout, 0.5, noise)
    blank = np.zeros((6, 3), bool)
    blank[1, 0] = blank[2, 1] = blank[2, 2] = True
    squared = residuals.squared(X, blank)
    Z, seen, _ = layout.parts(X)
    shown = 1 - blank @ layout.columns
    read = np.concatenate([(Z + sign * 0.5 * noise) * seen * shown for sign in (1, -1)])
    assert_allclose(denoiser.read[:, :6], read, rtol=1e-6)
    assert_array_equal(denoiser.read[:, 6:9], np.vstack([blank, blank]))
    assert_array_equal(denoiser.read[:, 9], np.full(12, 0.5, np.float32))
    both = np.square(0.5 * read - np.vstack([Z, Z])).reshape(2, 6, 6).mean(axis=0)
    assert_allclose(squared, layout.by_column(both * seen), rtol=1e-5)
    assert_allclose(residuals.said(X, blank), 0.5 * Z * seen * shown, rtol=1e-6)
    assert_array_equal(denoiser.read[:, 9], np.zeros(6))


def test_the_score_of_a_table_from_its_parts():
    # No two rows are alike, so that no two are as near.
    X = shop(90).assign(weight=data_rng(1).normal(size=90))
    detector = AEAnomalyDetector(novelty=True, **QUICK).fit(X)
    score = detector._score
    rows = score.layout.joined(*detector.table_.encode(X))
    known, k = score.nearest._known, score.nearest.n_neighbors
    distances = distance_scores(rows, score.nearest.rows, known, k, True)
    logarithms = [
        (np.log((member.squared(rows) / score.usual).mean(axis=1)) + np.log(distance)) / 2
        for member, distance in zip(score.residuals, distances, strict=True)
    ]
    assert isinstance(score, TableScore)
    assert_allclose(score.score(rows), np.exp(np.mean(logarithms, axis=0)), rtol=1e-4)
    factors = detector._effects.factors(rows)
    expected = score.score(rows) / detector._usual * factors
    assert_allclose(-detector.score_samples(X), expected, rtol=1e-6)


def test_a_column_that_follows_from_the_others_does_not_drown_them(encoded):
    _, layout = encoded
    usual = TableScore(layout, [], np.array([1.0, 0.001, 1.999]), None, []).usual
    assert_allclose(usual, [1, 0.02, 1.999], rtol=1e-6)


def test_what_is_usual_is_that_of_trusted_rows_that_were_held_out():
    missed = np.array([[1.0, 2], [3, 4], [np.nan, np.nan], [6, 9]])
    weight = np.array([1.0, 2, 5, 1])
    everyone = np.ones(4, bool)
    assert_allclose(_usual(missed, everyone, None), [10 / 3, 5])
    assert_allclose(_usual(missed, everyone, weight), [13 / 4, 19 / 4])
    assert_allclose(_usual(missed, np.array([True, True, True, False]), None), [2, 3])
    # Where none of them was held out, others must do.
    assert_allclose(_usual(missed, np.array([False, False, True, False]), None), [10 / 3, 5])


# Which cells of a table are wrong together


class Disturbed:
    """Residuals where a wrong cell that is seen disturbs what is expected of the others.

    What should be is zero. Of rows whose first cell is negative the cells beyond two vouch for
    each other: as long as one of them is seen, the others are missed by ten each.
    """

    def corrupted(self, X, blank):
        return X, np.zeros((len(X), 4), bool) if blank is None else blank

    def squared_of(self, rows):
        return np.array([self.missed(*row) for row in zip(*rows, strict=True)])

    def missed(self, x, blank):
        square = np.square(x[:4])
        if x[0] < 0:
            vouches = np.abs(x[:4]) > 2
            return np.where(vouches, 0.0, 10.0 * (not blank[vouches].all()))
        seen = square * ~blank
        return square + 0.5 * (seen.sum() - seen)

    def said(self, X, blank):
        return np.where(blank, 0.0, X[:, :4])


class AtZero:
    """Nearest rows: one, at zero."""

    rows, usual, n_neighbors, n_candidates = np.zeros((1, 8)), np.ones(1), 1, 1

    def shares(self, X):
        return np.full(X.shape, 1 / 8)


ROWS = np.array(
    [
        [4.0, 0.1, 0, 0],  # one wrong cell
        [4.0, 0.2, 0, 4],  # two
        [0.5, 0.1, 0, 0.2],  # none that is clear
        [-7.0, 7, 0.5, 0],  # two that vouch for each other
        [-7.0, 7, 0, 7],  # three
    ]
)


@pytest.fixture
def reasons():
    """A score of which every part is known, and what it says of the rows."""
    frame = pd.DataFrame(data_rng().normal(size=(20, 4)), columns=list("abcd"))
    layout = TableLayout(TabularEncoder().fit(frame).blocks_, np.zeros(4))
    score = TableScore(layout, [Disturbed(), Disturbed()], np.ones(4), AtZero(), [])
    return score, np.hstack([ROWS, np.zeros((5, 4))])


def left(x, blank):
    """What is missed of the cells that are seen."""
    return (Disturbed().missed(x, blank) * ~blank).sum()


def test_cells_are_blamed_that_spare_the_others(reasons):
    score, X = reasons
    blamed, shares, said = score.reasons(X)
    expected = [[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 1]]
    assert_array_equal(blamed, expected)
    assert_allclose(said, np.where(blamed, 0, ROWS))
    for x, blame, share in zip(X, blamed, shares, strict=True):
        missed = Disturbed().missed(x, np.zeros(4, bool))
        plain = (0.25 + missed / missed.sum()) / 2
        # Of a row of which nothing is blamed, the cell with the largest share is.
        blame = blame if left(x, blame) < left(x, np.zeros(4, bool)) - 4 else np.zeros(4, bool)
        spared = [
            left(x, blame & (at != np.arange(4))) - left(x, blame | (at == np.arange(4)))
            for at in range(4)
        ]
        spared = np.where(plain >= 0.25 / 4, spared, 0)
        weighed = plain * np.sqrt(np.maximum(spared, 1e-9))
        assert_allclose(share, weighed / weighed.sum(), atol=1e-4)


def test_no_more_than_four_cells_are_blamed():
    frame = pd.DataFrame(data_rng().normal(size=(20, 7)))
    frame.columns = list("abcdefg")
    layout = TableLayout(TabularEncoder().fit(frame).blocks_, np.zeros(7))

    class Own:
        """Each wrong cell is missed, and disturbs the last one."""

        def corrupted(self, X, blank):
            return X, np.zeros((len(X), 7), bool) if blank is None else blank

        def squared_of(self, rows):
            square = np.square(rows[0][:, :7])
            square[:, 6] = (square * ~rows[1])[:, :6].sum(axis=1)
            return square

        def said(self, X, blank):
            return X[:, :7]

    class Zero(AtZero):
        rows = np.zeros((1, 14))

        def shares(self, X):
            return np.full(X.shape, 1 / 14)

    score = TableScore(layout, [Own()], np.ones(7), Zero(), [])
    X = np.zeros((1, 14))
    X[0, :6] = [5, 7, 6, 5.5, 6.5, 4.5]
    blamed, _, _ = score.reasons(X)
    assert_array_equal(np.flatnonzero(blamed[0]), [1, 2, 4, 6])
