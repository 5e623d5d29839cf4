"""The anomaly detector: what it finds, how sure it is, and why."""

import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, PredefinedSplit, ShuffleSplit, StratifiedKFold

from data import data_rng
from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder
from skae.anomaly._calibration import Calibration, ContaminatedCalibration, lower_quantile
from skae.anomaly._explanation import number
from skae.anomaly._folds import central_mask, split_folds
from skae.anomaly._neighbors import NearestRows
from skae.tables._squashing_scaler import BinaryColumns, SquashingScaler

QUICK = {"hidden_layer_sizes": (16,), "n_steps": 60, "random_state": 0}


def quick(**params):
    return AEAnomalyDetector(**{**QUICK, **params})


def table(n, seed):
    """Four columns that go together, a log-normal, an integer and a constant one."""
    rng = data_rng(seed)
    mixing = data_rng(42).normal(size=(2, 4))
    mixing /= np.linalg.norm(mixing, axis=0)
    X = rng.normal(size=(n, 2)) @ mixing + 0.2 * rng.normal(size=(n, 4))
    more = [np.exp(rng.normal(size=n)), rng.poisson(3, n), np.full(n, 7.0)]
    return np.column_stack([1000 * X[:, 0], X[:, 1:], *more])


@pytest.fixture(scope="module")
def normal():
    return table(400, 0)


@pytest.fixture(scope="module")
def planted():
    """Rows of which one cell each was moved, and the columns of these cells."""
    X = table(60, 1)
    columns = np.arange(60) % 4
    X[np.arange(60), columns] += 8 * np.array([1000, 1, 1, 1])[columns]
    return X, columns


@pytest.fixture(scope="module")
def novelty(normal):
    return quick(novelty=True).fit(normal)


@pytest.fixture(scope="module")
def outlier(normal, planted):
    return quick().fit(np.vstack([normal, planted[0]]))


def test_tells_new_anomalies_from_new_normal_rows(novelty, planted):
    new = table(200, 2)
    X = np.vstack([new, planted[0]])
    labels = np.arange(len(X)) < 200
    assert roc_auc_score(labels, novelty.score_samples(X)) > 0.98
    assert (novelty.predict(planted[0]) == -1).mean() > 0.9
    assert (novelty.predict(new) == 1).mean() > 0.85


@pytest.mark.any_backend
def test_finds_anomalies_among_the_training_rows(normal, planted):
    X = np.vstack([normal, planted[0]])
    labels = np.arange(len(X)) < len(normal)
    detector = quick(contamination=60 / 460)
    marked = detector.fit_predict(X)
    assert (marked == -1).sum() == 60
    assert ((marked == 1) == labels).mean() > 0.95
    forest = IsolationForest(random_state=0).fit(X)
    ours = roc_auc_score(labels, detector.score_samples(X))
    assert ours > roc_auc_score(labels, forest.score_samples(X))


@pytest.mark.any_backend
def test_a_dense_group_of_anomalies_does_not_shelter_itself(normal):
    group = np.median(normal, axis=0) + 6 * normal.std(axis=0)
    group = group + 0.01 * data_rng().normal(size=(15, 7)) * normal.std(axis=0)
    X = np.vstack([normal, group])
    labels = np.arange(len(X)) < len(normal)
    assert roc_auc_score(labels, quick().fit(X).score_samples(X)) > 0.99
    sheltered = quick(trim_fraction=0.0, n_neighbors=3).fit(X)
    assert roc_auc_score(labels, sheltered.score_samples(X)) < 0.99


def test_typical_rows_score_about_minus_one(novelty):
    scores = novelty.score_samples(table(200, 2))
    assert -1.5 < np.median(scores) < -0.5
    assert (scores <= 0).all()


def test_decision_is_a_translation_of_the_score(outlier, planted):
    X = planted[0]
    decision = outlier.decision_function(X)
    assert_allclose(decision, outlier.score_samples(X) - outlier.offset_)
    assert_array_equal(outlier.predict(X), np.where(decision < 0, -1, 1))


@pytest.mark.any_backend
@pytest.mark.parametrize("contamination", [0.05, 0.1, 0.3])
def test_with_novelty_contamination_is_what_p_values_say(normal, planted, contamination):
    detector = quick(novelty=True, contamination=contamination).fit(normal)
    X = np.vstack([table(200, 2), planted[0]])
    assert_array_equal(detector.predict(X) == -1, detector.p_values(X) <= contamination)


@pytest.mark.any_backend
def test_false_alarms_are_as_rare_as_p_values_say():
    """Means over data sets: what is promised is a mean over the training rows as well."""
    shares = []
    for seed in range(12):
        detector = quick(novelty=True, n_steps=20, random_state=seed)
        detector.fit(table(300, 10 + seed))
        p = detector.p_values(table(1000, 100 + seed))
        shares.append([(p <= rate).mean() for rate in (0.01, 0.05, 0.1)])
    mean = np.mean(shares, axis=0)
    error = np.std(shares, axis=0) / np.sqrt(len(shares) - 1)
    assert (np.abs(mean - [0.01, 0.05, 0.1]) < 3 * error + 0.005).all(), (mean, error)


@pytest.mark.any_backend
@pytest.mark.parametrize("novel", [False, True])
def test_few_of_those_selected_are_normal(novel):
    found, false = [], []
    for seed in range(6):
        X = table(400, 100 + seed)
        X[:30, 1:3] += 30
        detector = quick(novelty=novel, random_state=seed)
        detector.fit(table(600, 10 + seed) if novel else X)
        selected = detector.select(X, fdr=0.2)
        assert selected.dtype == bool
        found.append(selected[:30].mean())
        false.append(selected[30:].sum() / max(selected.sum(), 1))
    assert np.mean(found) > 0.9
    assert np.mean(false) < 0.2 + 3 * np.std(false) / np.sqrt(len(false) - 1)


@pytest.mark.any_backend
def test_nothing_is_selected_among_normal_rows(normal):
    assert quick().fit(normal).select(normal).sum() == 0


@pytest.mark.any_backend
def test_a_selection_that_cannot_find_anything_says_so(normal):
    detector = quick(novelty=True, n_steps=5).fit(normal[:50])
    X = table(400, 2)
    X[0, 1] = 1000
    with pytest.warns(UserWarning, match=r"50 training rows allow is 0.0196.* 79 must"):
        assert not detector.select(X).any()
    X[:100, 1] = 1000
    assert detector.select(X)[:100].all()


@pytest.mark.any_backend
@pytest.mark.parametrize("fdr", [0, 1.0, "few"])
def test_fdr_is_checked(novelty, normal, fdr):
    with pytest.raises(ValueError, match="fdr must be"):
        novelty.select(normal, fdr=fdr)


@pytest.mark.any_backend
@pytest.mark.parametrize("n_samples", [50, 400])
def test_all_rows_calibrate(normal, n_samples):
    detector = quick(novelty=True, n_steps=20).fit(normal[:n_samples])
    assert len(detector.calibration_scores_) == n_samples
    assert detector.false_alarm_rate_ <= 0.05


@pytest.mark.any_backend
def test_one_set_of_rows_may_be_held_out(normal):
    split = ShuffleSplit(1, test_size=0.25, random_state=0)
    detector = quick(novelty=True, n_steps=20, cv=split).fit(normal)
    assert len(detector.calibration_scores_) == 100
    assert detector.false_alarm_rate_ == pytest.approx(5 / 101)


FOLD = np.arange(400) % 3


class OwnSplitter:
    """Splits by positions that it holds; looks at the rows it is given."""

    def get_n_splits(self, X=None, y=None, groups=None):
        return 3

    def split(self, X, y=None, groups=None):
        assert len(X) == len(FOLD)
        assert np.ptp(X[:, 0]) > 0
        return PredefinedSplit(FOLD).split()


POSITIONS = {
    "pairs": lambda: list(PredefinedSplit(FOLD).split()),
    "lists": lambda: [(a.tolist(), b.tolist()) for a, b in PredefinedSplit(FOLD).split()],
    "masks": lambda: [(fold != FOLD, fold == FOLD) for fold in range(3)],
    "generator": lambda: PredefinedSplit(FOLD).split(),
    "predefined": lambda: PredefinedSplit(FOLD),
    "own": OwnSplitter,
}


@pytest.mark.any_backend
@pytest.mark.parametrize("kind", POSITIONS)
def test_positions_are_those_of_the_rows_as_given(normal, kind):
    """Rows of weight zero are dropped, and the positions of the others stay what they were."""
    counted = np.arange(400) % 4 != 0
    few = {"novelty": True, "n_steps": 2}
    weighted = quick(**few, cv=POSITIONS[kind]())
    weighted.fit(normal, sample_weight=counted.astype(float))
    without = quick(**few, cv=PredefinedSplit(FOLD[counted])).fit(normal[counted])
    assert_array_equal(weighted.calibration_scores_, without.calibration_scores_)
    assert_array_equal(weighted.score_samples(normal), without.score_samples(normal))


@pytest.mark.any_backend
@pytest.mark.parametrize("cv", [3, KFold(3), ShuffleSplit(2, random_state=0)])
def test_folds_that_follow_from_the_number_of_rows_are_of_rows_with_weight(normal, cv):
    counted = np.arange(400) >= 300
    weighted = quick(cv=cv, n_steps=2).fit(normal, sample_weight=counted)
    without = quick(cv=cv, n_steps=2).fit(normal[counted])
    assert_array_equal(weighted.score_samples(normal), without.score_samples(normal))


@pytest.mark.any_backend
def test_a_split_of_rows_without_weight_is_left_out(normal):
    """With the rows of one fold gone, two of the three folds are left."""
    detector = quick(novelty=True, n_steps=2, cv=PredefinedSplit(FOLD))
    detector.fit(normal, sample_weight=(FOLD != 1).astype(float))
    assert len(detector.calibration_scores_) == (FOLD != 1).sum()


@pytest.mark.any_backend
def test_rows_that_no_split_has_are_not_calibrated_on(normal):
    detector = quick(novelty=True, n_steps=2, cv=[(np.arange(100), np.arange(100, 120))])
    assert len(detector.fit(normal).calibration_scores_) == 20


@pytest.mark.any_backend
def test_an_iterator_of_splits_serves_every_fit(normal):
    detector = quick(n_steps=2, cv=KFold(3).split(normal))
    once = detector.fit(normal).score_samples(normal)
    assert_array_equal(detector.fit(normal).score_samples(normal), once)
    listed = quick(n_steps=2, cv=list(KFold(3).split(normal))).fit(normal)
    assert_array_equal(listed.score_samples(normal), once)
    # Another iterator is another set of splits, and one that was used up has none.
    detector.set_params(cv=KFold(2).split(normal)).fit(normal)
    with pytest.raises(ValueError, match="cv is an iterator without splits, or was used up"):
        quick(n_steps=2, cv=detector.cv).fit(normal)


BAD_SPLITS = {
    "beyond the rows": ([([0, 1], [2]), ([0], [400])], "from 0 to 399; those of split 1"),
    "negative": ([([0, 1], [-1])], "from 0 to 399; .* range from -1 to -1"),
    "nothing held out": ([([0, 1], [])], "cv must hold out at least one row; split 0"),
    "nothing to train on": ([([], [2])], "cv must train on at least one row; split 0"),
    "both": ([([0, 1, 2], [2, 3, 1])], "cv must hold out .* split 0 has 2 rows in both"),
    "no splits": ([], "cv must hold out rows of positive weight"),
    "fractions": ([([0.5], [1])], "cv must give positions .* dtype float64"),
    "a short mask": ([([True, False], [False, True])], r"masks of shape \(400,\)"),
    "no pairs": ([3, 4], "cv must give pairs of positions, .* split 0 is 3"),
    "one part": ([([0, 1],)], "cv must give pairs of positions"),
    "labels": (StratifiedKFold(3), r"cv=StratifiedKFold\(.* cannot split the rows"),
}


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("container", [np.asarray, list, pd.DataFrame, pl.DataFrame])
def test_of_many_rows_a_sample_is_used(normal, container):
    """Drawn from the rows of positive weight, with their weights and groups."""
    X, weight = normal.copy(), np.tile([0.0, 1.0, 2.0, 1.0], 100)
    X[weight == 0] += 1e6
    groups = np.repeat(np.arange(100), 4)
    detector = quick(subsample=60, n_steps=5)
    detector.fit(container(X), sample_weight=weight, groups=groups)
    assert detector.n_samples_fit_ == len(detector.calibration_scores_) == 60
    assert detector.predict(container(X[weight == 0])).max() == -1
    again = clone(detector).fit(container(X), sample_weight=weight, groups=groups)
    few = container(X[:9])
    assert_array_equal(detector.score_samples(few), again.score_samples(few))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_all_rows_are_used_up_to_the_sample_or_by_positions(normal):
    few = normal[:60]
    half = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    whole = quick(subsample=None, n_steps=5).fit(few)
    assert_array_equal(
        quick(subsample=60, n_steps=5).fit(few).score_samples(normal),
        whole.score_samples(normal),
    )
    assert quick(subsample=20, n_steps=5, cv=half).fit(few).n_samples_fit_ == 60


@pytest.mark.any_data
@pytest.mark.any_backend
def test_rows_beyond_the_sample_are_checked(normal):
    X = normal.copy()
    X[7, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        quick(subsample=20).fit(X)


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("kind", BAD_SPLITS)
def test_bad_splits(normal, kind):
    cv, says = BAD_SPLITS[kind]
    with pytest.raises(ValueError, match=says):
        quick(cv=cv).fit(normal)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_splits_without_a_row_that_counts(normal):
    with pytest.raises(ValueError, match="cv must hold out rows of positive weight"):
        quick(cv=[(FOLD > 0, FOLD == 0)]).fit(normal, sample_weight=FOLD == 0)


@pytest.fixture(scope="module")
def visits():
    """Rows in groups, those of a group nearly the same, and rows of other groups."""
    rng = data_rng()
    groups = np.repeat(np.arange(60), 8)
    near = 0.01 * rng.normal(size=(480, 4))
    return rng.normal(size=(60, 4))[groups] + near, groups, rng.normal(size=(500, 4))


@pytest.mark.any_backend
@pytest.mark.parametrize("novel", [False, True])
def test_rows_of_a_group_are_held_out_together(visits, novel):
    X, groups, new = visits
    few = {"novelty": novel, "n_neighbors": 3}
    apart = quick(**few).fit(X)
    together = quick(**few).fit(X, groups=groups)
    if novel:
        assert (apart.predict(new) == -1).mean() > 0.3
    assert (together.predict(new) == -1).mean() < 0.2
    names = np.array([f"visitor {group}" for group in groups])
    assert np.mean(quick(**few).fit(X, groups=names).predict(new) == -1) < 0.2


@pytest.mark.any_backend
def test_groups_of_rows_without_weight_are_absent(visits):
    X, groups, new = visits
    weight = np.where(groups < 30, 1.0, 0.0)
    weighted = quick(n_steps=5).fit(X, sample_weight=weight, groups=groups)
    without = quick(n_steps=5).fit(X[groups < 30], groups=groups[groups < 30])
    assert_array_equal(weighted.score_samples(new), without.score_samples(new))


@pytest.mark.any_backend
def test_bad_groups(visits):
    X, groups, _ = visits
    with pytest.raises(ValueError, match="at least two different values"):
        quick().fit(X, groups=np.zeros(len(X)))
    with pytest.raises(ValueError, match="inconsistent numbers"):
        quick().fit(X, groups=groups[:-1])
    with pytest.raises(ValueError, match=r"groups must have one entry .* \(480, 1\)"):
        quick().fit(X, groups=groups[:, np.newaxis])
    with pytest.raises(ValueError, match="groups contains NaN"):
        quick().fit(X, groups=np.where(groups == 3, np.nan, groups))
    mixed = np.array([*groups[1:].tolist(), "last"], dtype=object)
    with pytest.raises(TypeError, match=r"groups must be of one type .* got int, str"):
        quick().fit(X, groups=mixed)


@pytest.mark.any_backend
@pytest.mark.parametrize("n_samples", [2, 3, 7])
@pytest.mark.parametrize("novel", [False, True])
def test_a_handful_of_rows_will_do(normal, n_samples, novel):
    detector = quick(novelty=novel, n_steps=5).fit(normal[:n_samples])
    assert np.isfinite(detector.score_samples(normal)).all()
    assert np.isfinite(detector.offset_)


@pytest.mark.any_backend
def test_a_rate_too_small_for_the_rows_is_said(normal):
    with pytest.warns(UserWarning, match="least p-value that 40 training rows allow") as said:
        quick(novelty=True, contamination=0.01, n_steps=5).fit(normal[:40])
    assert said[0].filename == __file__


@pytest.mark.any_backend
@pytest.mark.parametrize("n_odd", [0, 8, 20])
def test_auto_is_not_carried_away_by_anomalies(normal, planted, n_odd):
    """With none, a fiftieth and a twentieth of the rows odd, few of the others are marked."""
    detector = quick().fit(np.vstack([normal, planted[0][:n_odd]]))
    new = table(1000, 3)
    marked = (detector.predict(new) == -1).mean()
    assert marked < 0.1
    assert abs(marked - detector.false_alarm_rate_) < 0.06
    assert (detector.predict(planted[0]) == -1).mean() > 0.8


def with_levels(n, seed):
    """Numbers, and columns of which 23 and 10 % of the rows have the upper level."""
    rng = data_rng(seed)
    levels = [rng.uniform(size=n) < share for share in (0.23, 0.1)]
    return np.column_stack([table(n, seed)[:, :6], *levels]).astype(float)


@pytest.mark.any_backend
def test_minorities_stay():
    """Rows with a level that few have are not trimmed away, and seldom marked for it."""
    X, new = with_levels(800, 0), with_levels(3000, 1)
    levels = X[:, 6:]
    kept = central_mask(SquashingScaler.from_data(X).transform(X), 0.3, data_rng())
    assert kept.mean() == pytest.approx(0.7)
    assert ((levels * kept[:, np.newaxis]).sum(axis=0) >= 0.39 * levels.sum(axis=0)).all()
    marked = quick().fit(X).predict(new) == -1
    for column in (6, 7):
        has = new[:, column] == 1
        assert marked[has].mean() < 3 * marked[~has].mean() + 0.02


@pytest.mark.any_backend
def test_a_level_that_only_anomalies_have_is_no_excuse(normal):
    """A flag that goes with what is odd may excuse a little, and not everything."""
    rng = data_rng()
    X = np.hstack([normal, np.zeros((len(normal), 1))])
    moves = rng.uniform(4, 12, (10, 4)) * rng.choice([-1, 1], (10, 4))
    X[:10, :4] += moves * normal[:, :4].std(axis=0)
    X[:10, -1] = 1
    detector = quick().fit(X)
    assert (detector.predict(X[:10]) == -1).mean() > 0.8


def test_reasons_add_up_and_name_the_planted_column(novelty, planted):
    X, columns = planted
    parts = novelty.explain(X)
    assert parts.shape == X.shape
    assert (parts >= 0).all()
    assert_allclose(parts.sum(axis=1), -novelty.score_samples(X))
    assert (parts.argmax(axis=1) == columns).mean() > 0.9


@pytest.mark.any_backend
def test_expected_is_nearer_to_what_the_cell_was(normal, planted):
    X, columns = planted
    detector = quick(novelty=True, hidden_layer_sizes=(64, 64), n_steps=300).fit(normal)
    rows, were = np.arange(len(X)), table(60, 1)
    unit = normal.std(axis=0)[columns]
    error = np.abs(detector.expected(X) - were)[rows, columns] / unit
    rescale_weights = np.abs(X - were)[rows, columns] / unit
    assert np.median(error) < 0.15 * np.median(rescale_weights)


@pytest.mark.xla
@pytest.mark.any_backend
def test_cells_that_are_wrong_together_are_expected_together(normal):
    """Of several wrong cells none is believed because it agrees with the others."""
    rng = data_rng(5)
    mixing = rng.normal(size=(2, 8))
    mixing /= np.linalg.norm(mixing, axis=0)
    X = rng.normal(size=(860, 2)) @ mixing + 0.1 * rng.normal(size=(860, 8))
    train, were = X[:800], X[800:]
    detector = quick(novelty=True, hidden_layer_sizes=(64, 64), n_steps=400).fit(train)
    cells = np.argsort(rng.uniform(size=were.shape), axis=1) < 3
    rescale_weights = np.where(cells, were + 4 * rng.choice([-1, 1], were.shape), were)
    error = np.abs(detector.expected(rescale_weights) - were)[cells]
    assert np.median(error) < 0.15 * 4


@pytest.mark.any_backend
@pytest.mark.parametrize("scoring", ["denoising", "reconstruction"])
def test_expected_is_what_has_been_seen(normal, scoring):
    X = normal.copy()
    X[:, 0] = np.exp(X[:, 1])
    autoencoder = AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_iter=2)
    detector = quick(novelty=True, scoring=scoring, estimator=autoencoder).fit(X)
    wild = X[:50] * data_rng().choice([-30, 0, 30], (50, 7))
    expected = detector.expected(wild)
    assert (expected >= X.min(axis=0)).all()
    assert (expected <= X.max(axis=0)).all()


@pytest.mark.any_data
@pytest.mark.any_backend
def test_data_frames_in_data_frames_out(normal, planted):
    pd = pytest.importorskip("pandas")
    names = ["area", "b", "c", "d", "price", "count", "one"]
    frame = pd.DataFrame(normal, columns=names)
    detector = quick(novelty=True).fit(frame)
    odd = pd.DataFrame(planted[0], columns=names, index=[f"row{i}" for i in range(60)])
    for result in (detector.explain(odd), detector.expected(odd)):
        assert isinstance(result, pd.DataFrame)
        assert_array_equal(result.index, odd.index)
        assert_array_equal(result.columns, odd.columns)
    assert_array_equal(detector.explain(odd), detector.explain(odd).to_numpy())
    texts = detector.describe(odd, n_columns=2)
    assert len(texts) == 60
    assert texts[0].startswith("area ")
    assert ", expected about " in texts[0]
    assert texts[0].count(";") <= 1


@pytest.mark.any_data
@pytest.mark.any_backend
def test_polars_frames(normal):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(normal, schema=[f"c{i}" for i in range(7)])
    detector = quick(novelty=True, n_steps=5).fit(frame)
    result = detector.explain(frame)
    assert isinstance(result, pl.DataFrame)
    assert result.columns == frame.columns
    assert_allclose(result.to_numpy().sum(axis=1), -detector.score_samples(frame))


def test_names_without_a_data_frame(novelty, planted):
    assert novelty.describe(planted[0][:1])[0].startswith("x0 ")


@pytest.mark.any_backend
def test_units_of_the_columns_do_not_matter(normal, planted):
    units = 2.0 ** np.array([20, -20, 0, 3, -30, 1, 5])
    scores = quick(novelty=True).fit(normal).score_samples(planted[0])
    scaled = quick(novelty=True).fit(normal * units).score_samples(planted[0] * units)
    assert_allclose(scaled, scores, rtol=1e-4)


def test_wild_values_stay_finite(novelty, normal):
    X = normal[:4].copy()
    X[0, 0], X[1, 4], X[2, 6] = 1e12, -1e300, 8
    scores = novelty.score_samples(X)
    assert np.isfinite(scores).all()
    assert (novelty.predict(X[:2]) == -1).all()


def test_training_rows_are_not_their_own_neighbours(novelty, normal):
    """So training rows and new rows have about the same distances."""
    seen = np.median(novelty.score_samples(normal))
    new = np.median(novelty.score_samples(table(400, 2)))
    assert seen / new > 0.75


def test_same_seed_same_bits_and_rows_stand_alone(novelty, normal, planted):
    X = planted[0]
    scores = novelty.score_samples(X)
    assert_array_equal(clone(novelty).fit(normal).score_samples(X), scores)
    assert_array_equal(pickle.loads(pickle.dumps(novelty)).score_samples(X), scores)
    alone = np.concatenate([novelty.score_samples(row[np.newaxis]) for row in X[:5]])
    assert_allclose(alone, scores[:5], rtol=1e-9)
    other = clone(novelty).set_params(random_state=1).fit(normal)
    assert not np.array_equal(other.score_samples(X), scores)


def test_chunks_change_nothing(novelty, normal, monkeypatch):
    rows = normal[:100]
    scores, parts = novelty.score_samples(rows), novelty.explain(rows)
    monkeypatch.setattr("skae.anomaly._scores._CHUNK_ENTRIES", 7 * 4 * 30)
    assert_allclose(novelty.score_samples(rows), scores, rtol=1e-9)
    assert_allclose(novelty.explain(rows), parts, rtol=1e-9)


def test_denoisers_side_by_side_are_those_one_after_the_other(normal, monkeypatch):
    scores = quick().fit(normal).score_samples(normal)
    monkeypatch.setattr("skae.anomaly._training._STEPS_TO_SHARE", 1)
    assert_array_equal(quick().fit(normal).score_samples(normal), scores)


def test_float32(normal, novelty):
    single = quick(novelty=True).fit(normal.astype(np.float32))
    scores = single.score_samples(normal[:50].astype(np.float32))
    assert scores.dtype == np.float64
    assert_allclose(scores, novelty.score_samples(normal[:50]), rtol=0.02)


@pytest.mark.slow
@pytest.mark.any_data
@pytest.mark.any_backend
def test_no_keras_to_score(novelty, planted, tmp_path):
    path = tmp_path / "detector.pickle"
    path.write_bytes(pickle.dumps((novelty, planted[0])))
    code = (
        "import pickle, sys, pathlib\n"
        f"detector, X = pickle.loads(pathlib.Path({str(path)!r}).read_bytes())\n"
        "detector.predict(X), detector.explain(X), detector.describe(X), detector.p_values(X)\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.any_data
def test_a_refit_compiles_nothing(cache, normal):
    for n_samples, seed in [(400, 0), (390, 1)]:
        quick(novelty=True, noise_level=0.5 + seed, n_steps=20).fit(normal[:n_samples])
        assert len(cache) == 1


def test_one_weight_for_all_rows(normal):
    weighted = quick(novelty=True, n_steps=2).fit(normal, sample_weight=2.0)
    without = quick(novelty=True, n_steps=2).fit(normal)
    assert_array_equal(weighted.calibration_scores_, without.calibration_scores_)


def test_weights_of_zero_are_absent_rows(normal):
    weight = np.ones(len(normal))
    weight[::4] = 0
    weighted = quick(novelty=True, n_steps=20).fit(normal, sample_weight=weight)
    without = quick(novelty=True, n_steps=20).fit(normal[weight > 0])
    assert_allclose(weighted.score_samples(normal), without.score_samples(normal), rtol=1e-4)


@pytest.mark.any_backend
def test_weights_count(normal, planted):
    """Rows of little weight are not worth much in scale and calibration."""
    X = np.vstack([normal, planted[0]])
    weight = np.r_[np.ones(len(normal)), np.full(60, 1e-6)]
    detector = quick(novelty=True, n_steps=20).fit(X, sample_weight=weight)
    plain = quick(novelty=True, n_steps=20).fit(X)
    assert detector.p_values(planted[0]).mean() < plain.p_values(planted[0]).mean()
    marked = quick(contamination=0.1, n_steps=20)
    marked = marked.fit(X, sample_weight=weight).predict(X) == -1
    assert np.average(marked, weights=weight) == pytest.approx(0.1, abs=0.01)


@pytest.mark.any_backend
def test_fit_predict_is_for_outliers_only(normal):
    assert not hasattr(quick(novelty=True), "fit_predict")
    with pytest.raises(AttributeError, match="fit_predict"):
        quick(novelty=True).fit_predict(normal)
    assert hasattr(quick(), "fit_predict")


def test_plain_reconstruction_error(normal, planted):
    autoencoder = AutoencoderTransformer(3, hidden_layer_sizes=(8,), max_iter=3)
    detector = quick(scoring="reconstruction", estimator=autoencoder, novelty=True)
    detector.fit(normal)
    new = table(200, 2)
    labels = np.r_[np.ones(200), np.zeros(60)]
    X = np.vstack([new, planted[0]])
    assert roc_auc_score(labels, detector.score_samples(X)) > 0.9
    parts = detector.explain(X)
    assert (parts >= 0).all()
    assert_allclose(parts.sum(axis=1), -detector.score_samples(X))
    assert detector.expected(X).shape == X.shape
    assert [member.n_components_ for member in detector.estimators_] == [3] * 5
    assert not hasattr(autoencoder, "n_components_")


@pytest.mark.any_backend
def test_images_have_error_maps(digits):
    images = digits.reshape(-1, 8, 8)
    autoencoder = DenoisingAutoencoder(8, hidden_layer_sizes=(8,), max_iter=3)
    detector = quick(scoring="reconstruction", estimator=autoencoder, novelty=True)
    detector.fit(images[:250])
    odd = images[250:].copy()
    odd[:, 0, 0] = 16
    assert detector.explain(odd).shape == odd.shape
    assert (detector.explain(odd)[:, 0, 0] > 0.05 * -detector.score_samples(odd)).all()
    assert detector.expected(odd).shape == odd.shape
    assert_array_equal(detector.score_samples(odd.reshape(-1, 64)), detector.score_samples(odd))


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "n_rows", [40, pytest.param(400, marks=[pytest.mark.xla, pytest.mark.slow])]
)
def test_reconstruction_by_default_takes_a_share_of_variance(normal, n_rows):
    detector = quick(scoring="reconstruction").fit(normal[:n_rows])
    assert detector.estimators_[0].n_components == 0.9


@pytest.mark.any_backend
def test_bad_input(normal):
    with pytest.raises(ValueError, match="contamination"):
        quick(contamination=0.7).fit(normal)
    with pytest.raises(ValueError, match="hidden_layer_sizes must be"):
        quick(hidden_layer_sizes=(0.5,)).fit(normal)
    with pytest.raises(ValueError, match=r"sample_weight must|non-zero"):
        quick().fit(normal, sample_weight=np.zeros(len(normal)))


def test_a_loss_that_diverges_is_said(normal):
    fitted = quick(n_steps=5).fit(normal)
    offset = fitted.offset_
    fitted.set_params(learning_rate=1e30, n_steps=200)
    with pytest.raises(ValueError, match="not finite"), np.errstate(all="ignore"):
        fitted.fit(normal)
    assert fitted.offset_ == offset


@pytest.mark.any_data
def test_an_interrupted_fit_keeps_what_was_fitted(normal, monkeypatch):
    """Ctrl-C is raised where the threads that train are waited for; they end, too."""
    fitted = quick(n_steps=5).fit(normal)
    offset = fitted.offset_
    ended = []

    class Interrupted(ThreadPoolExecutor):
        def map(self, function, *iterables):
            super().map(lambda *each: ended.append(function(*each).ending), *iterables)
            time.sleep(0.1)
            raise KeyboardInterrupt

    monkeypatch.setattr("skae.anomaly._training.ThreadPoolExecutor", Interrupted)
    # What is compiled already does here, however long it would train.
    monkeypatch.setattr("skae.training._train._XLA_MIN_STEPS", np.inf)
    fitted.set_params(n_steps=1_000_000)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(normal)
    assert set(ended) <= {"callback"}
    assert len(ended) <= 2
    assert fitted.offset_ == offset


@pytest.mark.any_backend
def test_display(novelty, planted):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot as plt

    from skae.plotting import AnomalyScoreDisplay

    X, columns = planted
    display = AnomalyScoreDisplay.from_estimator(novelty, X, row=1, n_columns=3)
    histogram, bars = display.axes_
    labels = [label.get_text() for label in bars.get_yticklabels()]
    assert labels[0] == f"x{columns[1]}"
    assert labels[-1] == "4 others"
    total = sum(bar.get_width() for bar in display.bars_)
    assert total == pytest.approx(-novelty.score_samples(X)[1])
    assert "of normal rows" in histogram.get_legend().get_texts()[-1].get_text()
    alone = AnomalyScoreDisplay.from_estimator(IsolationForest(random_state=0).fit(X), X)
    assert alone.axes_.size == 1
    assert alone.bars_ is None
    plt.close("all")


# Other rows


@pytest.mark.any_backend
@pytest.mark.parametrize("novel", [False, True])
def test_thresholds_and_p_values_of_new_rows_without_training(normal, novel):
    detector = quick(novelty=novel, n_steps=20).fit(normal)
    drifted = table(400, 5)
    drifted[:, 1] += 3 * normal[:, 1].std()
    new = table(1000, 6)
    new[:, 1] += 3 * normal[:, 1].std()
    scores, before = detector.score_samples(new), (detector.predict(new) == -1).mean()
    assert before > 0.1
    assert detector.recalibrate(drifted) is detector
    assert_array_equal(detector.score_samples(new), scores)
    assert_allclose(detector.calibration_scores_, np.sort(detector.score_samples(drifted)))
    assert abs((detector.predict(new) == -1).mean() - 0.05) < 0.04
    assert abs((detector.p_values(new) <= 0.2).mean() - 0.2) < 0.08
    # Rows of weight zero do not count.
    both = np.vstack([drifted, normal])
    weight = np.r_[np.ones(400), np.zeros(400)]
    offset = detector.offset_
    assert detector.recalibrate(both, sample_weight=weight).offset_ == pytest.approx(offset)


@pytest.mark.any_backend
def test_recalibration_of_a_table():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"kind": ["a", "b"] * 50, "n": np.arange(100.0)})
    detector = quick(novelty=True, n_steps=5, contamination=0.1).fit(frame)
    detector.recalibrate(frame.iloc[::2])
    assert len(detector.calibration_scores_) == 50
    with pytest.raises(ValueError, match="feature names"):
        detector.recalibrate(frame[["n"]])


# Parts


@pytest.mark.any_backend
def test_squash_is_monotone_smooth_and_invertible():
    x = np.linspace(-50, 50, 2001)[:, np.newaxis]
    scale = SquashingScaler(np.array([2.0]), np.array([0.5]))
    z = scale.transform(x)
    assert (np.diff(z, axis=0) > 0).all()
    assert np.abs(np.diff(z, n=2, axis=0)).max() < 0.01
    assert_allclose(scale.inverse_transform(z), x, rtol=1e-9, atol=1e-12)
    assert_allclose(z[980:1020], 2 * (x[980:1020] - 2)[:40], atol=3.1)


@pytest.mark.any_backend
def test_a_constant_column_keeps_its_unit():
    scale = SquashingScaler.from_data(np.array([[0.1, 1e-20], [0.1, 3e-20], [0.1, 2e-20]]))
    assert scale.scale[0] == 1
    assert scale.scale[1] < 1e-19


@pytest.mark.any_backend
def test_columns_of_two_levels():
    rng = data_rng()
    flag = (rng.uniform(size=400) < 0.1).astype(float)
    wrong = np.where(rng.uniform(size=400) < 0.05, rng.normal(size=400), 2 - 4 * flag)
    count = np.where(rng.uniform(size=400) < 0.05, 2, flag)
    rare = (np.arange(400) < 4).astype(float)
    X = np.column_stack([rng.normal(size=400), flag, wrong, count, rare, np.ones(400)])
    levels = BinaryColumns.from_data(X)
    assert_array_equal(levels.columns, [1, 2])
    assert_array_equal(levels.low, [0, -2])
    assert_array_equal(levels.high, [1, 2])
    assert_array_equal(levels.has_high(X)[:, 0], flag == 1)
    assert_array_equal(levels.has_either(X)[:, 1], np.isin(wrong, [-2, 2]))
    Z = SquashingScaler.from_data(X).transform(X)
    assert np.ptp(Z[:, 1]) == pytest.approx(2)


@pytest.mark.any_backend
def test_a_level_is_known_in_another_dtype_and_after_scaling():
    """A flag that was scaled is no number of float32."""
    rng = data_rng()
    X = np.column_stack([rng.normal(size=(200, 3)), rng.uniform(size=200) < 0.3])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    detector = AEAnomalyDetector(hidden_layer_sizes=(4,), n_steps=10, random_state=0).fit(X)
    assert len(detector._binary_effects.binary.columns)
    scores = detector.score_samples(X)
    assert_allclose(detector.score_samples(X.astype(np.float32)), scores, rtol=1e-3)
    assert not BinaryColumns.from_data(X).has_either(X + 0.01)[:, 0].any()


@pytest.mark.any_backend
def test_threshold_is_where_the_p_value_falls_below_the_rate():
    scores = np.array([3.0, 1, 2, 2, 5, 4, 2, 9, 7])
    calibration = Calibration(scores)
    grid = np.linspace(0, 10, 201)
    for rate in (0.1, 0.2, 0.35, 0.5):
        above = grid > calibration.threshold(rate)
        assert_array_equal(above, calibration.p_values(grid) <= rate)
    assert calibration.threshold(0.05) == 9
    assert calibration.rate(4) == pytest.approx(4 / 10)


@pytest.mark.any_backend
def test_weights_are_repeated_rows_to_p_values():
    scores, weight = np.array([1.0, 2, 3]), np.array([1.0, 3, 2])
    repeated = Calibration(np.repeat(scores, weight.astype(int)))
    at = [0, 1.5, 2.5, 4]
    # Of weights only the ratios count: theirs stand for three rows, and not for six.
    ours, theirs = Calibration(scores, weight).p_values(at), repeated.p_values(at)
    assert_allclose(4 * ours - 1, (7 * theirs - 1) / 2)


@pytest.mark.any_backend
def test_the_bulk_says_what_is_normal():
    """Rows far beyond the fence change neither the threshold nor the tail by much."""
    rng = data_rng()
    scores, new = np.exp(rng.normal(size=(2, 20_000)))
    clean = ContaminatedCalibration(scores)
    mixed = ContaminatedCalibration(np.r_[scores, np.full(1000, 5000.0)])
    for calibration in (clean, mixed):
        for rate in (0.2, 0.1, 0.05):
            assert (calibration.p_values(new) <= rate).mean() == pytest.approx(rate, abs=0.02)
        assert calibration.p_values(np.array([5000.0]))[0] < 1e-4
    for calibration in (clean, ContaminatedCalibration(np.r_[scores, np.full(3000, 5000.0)])):
        assert (new > calibration.threshold(0.05)).mean() < 0.06
        assert calibration.threshold(0.05) < 5000
    assert (np.diff(mixed.p_values(np.sort(new))) <= 1e-12).all()


@pytest.mark.any_backend
def test_weights_are_repeated_rows_to_the_bulk():
    scores = np.exp(data_rng().normal(size=300))
    weight = data_rng(1).randint(1, 4, size=300)
    ours = ContaminatedCalibration(scores, weight.astype(float))
    theirs = ContaminatedCalibration(np.repeat(scores, weight))
    at = np.exp(np.linspace(-2, 6, 50))
    assert_allclose(ours.p_values(at), theirs.p_values(at), rtol=0.15, atol=0.005)
    assert_allclose(ours.threshold(0.05), theirs.threshold(0.05), rtol=0.05)


@pytest.mark.any_backend
@pytest.mark.parametrize("scores", [np.ones(50), np.zeros(3), np.r_[np.ones(49), 9.0]])
def test_a_bulk_without_width(scores):
    calibration = ContaminatedCalibration(scores)
    p = calibration.p_values(np.array([0.0, 1.0, 2.0, 10.0]))
    assert ((p > 0) & (p <= 1)).all()
    assert (np.diff(p) <= 0).all()
    assert np.isfinite(calibration.threshold(0.05))


@pytest.mark.any_backend
def test_lower_quantile_with_weights():
    values = np.array([4.0, 1, 3, 2])
    assert lower_quantile(values, 0.5, np.array([1.0, 1, 1, 1])) == 2
    assert lower_quantile(values, 0.5, np.array([9.0, 1, 1, 1])) == 4
    assert lower_quantile(values, 0.5) == 2.5


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("cv", "n_samples", "n_folds"), [(5, 60, 5), (5, 3, 3), (2, 60, 2), (None, 60, 5)]
)
def test_rows_are_held_out_once(cv, n_samples, n_folds):
    X, counted = np.zeros((n_samples, 1)), np.ones(n_samples, bool)
    folds = split_folds(cv, X, None, counted, data_rng())
    assert len(folds) == n_folds
    assert_array_equal(np.sort(np.concatenate([t for _, t in folds])), np.arange(n_samples))
    for train, test in folds:
        assert not set(train) & set(test)


@pytest.mark.any_backend
@pytest.mark.parametrize("relative", [False, True])
def test_members_know_no_rows_but_theirs(relative):
    """What members find together is what each finds alone."""
    rng = data_rng()
    rows, Z = rng.normal(size=(80, 3)), rng.normal(size=(30, 3))
    rows[1] = Z[0] = rows[0]
    known = rng.uniform(size=(4, 80)) < 0.7
    together = NearestRows(rows, known, 3, relative)
    for j, mask in enumerate(known):
        alone = NearestRows(rows[mask], np.ones((1, mask.sum()), bool), 3, relative)
        assert_allclose(together.scores(Z, [j]), alone.scores(Z, [0]))
        assert_allclose(together.scores(Z, range(4))[j], alone.scores(Z, [0])[0])
    assert_allclose(together.shares(Z).sum(axis=1), 1)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("value", "text"),
    [(9120, "9,120"), (0.25, "0.25"), (0, "0"), (1234567.8, "1,234,570"), (1e-7, "1e-07")],
)
def test_numbers_as_a_person_reads_them(value, text):
    assert number(value) == text
