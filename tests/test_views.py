"""Relations between columns beside the components of the score: by hand, and what they find."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.linear_model import Ridge

import skae
from data import data_rng
from skae import AEAnomalyDetector
from skae.anomaly._components import DenoisingError, NeighborDistance
from skae.anomaly._encoding import NumberEncoding, TableEncoding, unseen_deviations
from skae.anomaly._folds import Folds
from skae.anomaly._rare import RareValues
from skae.anomaly._scores import CombinedScore, log_mean, log_score
from skae.anomaly._views import (
    ConditionalResiduals,
    LogConditionalResiduals,
    NormalScoreDistance,
    QuartileDistance,
    RangeDistance,
    make_views,
)
from skae.tables import TabularEncoder
from skae.tables._columns import number_units
from skae.tables._layout import ColumnLayout
from skae.utils._rows import Rows

pytestmark = pytest.mark.any_backend

QUICK = {"hidden_layer_sizes": (16,), "n_steps": 60, "random_state": 0}


def training_data(X, n_folds=2):
    """Rows of numbers, of which fold models have those at other positions modulo `n_folds`."""
    rows = Rows(X, None, None, None if not np.isnan(X).any() else ~np.isnan(X))
    encoding = NumberEncoding.from_data(rows)
    return _data(encoding, encoding.encode(X), n_folds)


def table_data(frame, n_folds=2):
    encoder = TabularEncoder().fit(frame)
    layout = ColumnLayout.from_encoder(encoder)
    zero, unit, *_ = number_units(encoder)
    deviations = unseen_deviations(np.zeros(layout.n_columns))
    encoding = TableEncoding(layout, deviations, None, zero, unit)
    rows = encoding.encode(encoding.join(*encoder.encode(frame)))
    return _data(encoding, rows, n_folds)


def _data(encoding, rows, n_folds):
    fold = np.arange(len(rows)) % n_folds
    masks = np.arange(n_folds)[:, None] != fold
    folds = Folds(masks, [np.flatnonzero(~mask) for mask in masks])
    return SimpleNamespace(
        rows=rows, weight=None, encoding=encoding, folds=folds, rng=data_rng(),
        reference_mask=np.ones(len(rows), bool),
    )  # fmt: skip


def related(n=600, seed=0):
    """Two columns, their sum and one of noise; a positive column, another, their product."""
    rng = data_rng(seed)
    a, b, noise = rng.normal(size=(3, n))
    price, items = np.exp(rng.normal(size=n)), rng.randint(1, 20, n)
    total = price * items * np.exp(0.005 * rng.normal(size=n))
    return np.column_stack(
        [a, b, a + b + 0.01 * rng.normal(size=n), noise, price, items, total]
    )


# Relations


def test_residuals_are_those_of_ridge_regressions():
    data = training_data(related())
    view = ConditionalResiduals(0.0).fit(data)
    mask = data.folds.train_mask[1]
    X = view.values(data.rows)
    assert_allclose(X, (data.rows.plain - data.rows.plain.mean(0)) / data.rows.plain.std(0))
    residuals = view.residuals(data.rows, 1)
    for j in range(7):
        others = np.delete(np.arange(7), j)
        mean, deviation = X[mask].mean(axis=0), X[mask].std(axis=0)
        Z = (X - mean) / deviation
        ridge = Ridge(mask.sum() * 0.01 * (7 / mask.sum()) ** 2, fit_intercept=False)
        ridge.fit(Z[mask][:, others], Z[mask, j])
        expected = (Z[:, j] - ridge.predict(Z[:, others])) * deviation[j]
        assert_allclose(residuals[:, j], expected, atol=1e-8)
    assert_array_equal(view.tight, [1, 1, 1, 0, 0, 0, 0])


def test_products_are_relations_of_logarithms():
    data = training_data(related())
    view = LogConditionalResiduals(0.0).fit(data)
    assert_array_equal(view.is_log, [0, 0, 0, 0, 1, 1, 1])
    assert_array_equal(view.tight, [1, 1, 1, 0, 1, 1, 1])
    new = related(seed=1)[:50]
    new[7, 6] *= 1.2
    rows = data.encoding.encode(new)
    (logs,) = view.logs(rows, [0])
    assert logs.argmax() == 7
    by_column = view.by_column(rows)[7]
    assert (by_column[4:] > 0.6).all()
    assert (by_column[:4] < 0.3).all()
    expected = view.expected(rows)[7] * data.encoding.deviation + data.encoding.scaler.centre
    assert expected[6] == pytest.approx(new[7, 6] / 1.2, rel=0.03)


def test_a_column_that_is_not_positive_has_no_logarithm_and_a_negative_value_is_found():
    X = related()
    data = training_data(X)
    view = LogConditionalResiduals(0.0).fit(data)
    X = X[:3].copy()
    X[1, 6] *= -1
    (logs,) = view.logs(data.encoding.encode(X), [0])
    assert np.isfinite(logs).all()
    assert logs.argmax() == 1


def test_a_missing_value_does_not_break_the_relations_of_the_others():
    X = related()
    X[::4, 1] = np.nan
    data = training_data(X)
    view = ConditionalResiduals(0.0).fit(data)
    assert_array_equal(view.tight, [1, 1, 1, 0, 0, 0, 0])
    scores = np.exp(view.logs(data.rows, [0])[0])
    missing = np.arange(len(X)) % 4 == 0
    assert np.quantile(scores[missing], 0.99) < 2 * np.quantile(scores[~missing], 0.99)
    assert_allclose(view.residuals(data.rows, 0)[missing, 1], 0)


def test_few_rows_with_a_broken_relation_do_not_hide_it():
    X = related()
    X[:30, 2] += 50
    held = ConditionalResiduals(0.1).fit(training_data(X))
    spoiled = ConditionalResiduals(0.0).fit(training_data(X))
    assert held.median[2] < spoiled.median[2] - 1


def test_a_category_is_predicted_from_the_other_columns_alone():
    rng = data_rng()
    city = rng.choice(["Bonn", "Ulm", "Kiel", "Jena"], 400)
    state = pd.Series(city).map({"Bonn": "NW", "Ulm": "BW", "Kiel": "SH", "Jena": "TH"})
    frame = pd.DataFrame({"city": city, "state": state, "size": rng.normal(size=400)})
    data = table_data(frame)
    view = ConditionalResiduals(0.0).fit(data)
    assert_array_equal(view.tight, [1, 1, 0])
    frame.loc[5, "state"] = {"NW": "BW"}.get(frame.loc[5, "state"], "NW")
    wrong = table_data(frame).rows
    (logs,) = view.logs(wrong, [0])
    assert logs.argmax() == 5
    assert_allclose(view.by_column(wrong)[5] > 0.3, [1, 1, 0])


def test_many_columns_have_no_relations(monkeypatch):
    monkeypatch.setattr("skae.anomaly._views._MOST_NUMBERS", 6)
    view = ConditionalResiduals(0.0).fit(training_data(related(60)))
    assert not view.tight.any()
    assert not view.applies
    assert not hasattr(view, "weights")


# Together


def broken(kind, rng, n=2000):
    """A table of which six rows break a relation, these rows, and its columns."""
    bad = rng.permutation(n)[:6]
    a, b = rng.uniform(size=(2, n))
    noise = rng.normal(size=n)
    if kind == "interval":
        X = pd.DataFrame({"start": a, "end": a + rng.exponential(0.01, n), "noise": noise})
        X.loc[bad, "end"] += 0.2
        return X, bad, {"start", "end"}
    if kind == "sum":
        X = pd.DataFrame({"net": a.round(2), "tax": b.round(2), "noise": noise})
        X["gross"] = (X["net"] + X["tax"]).round(2)
        X.loc[bad, "gross"] += 0.5
        return X, bad, {"net", "tax", "gross"}
    if kind == "product":
        price, items = np.exp(noise), rng.randint(1, 20, n)
        X = pd.DataFrame({"price": price, "items": items, "noise": rng.normal(size=n)})
        X["amount"] = price * items * np.exp(0.005 * rng.normal(size=n))
        X.loc[bad, "amount"] *= 1.1
        return X, bad, {"price", "items", "amount"}
    code = rng.randint(0, 5, n)
    X = pd.DataFrame({"city": np.array(list("abcde"))[code], "noise": noise, "n": b})
    X["state"] = np.array(list("vwxyz"))[code]
    X.loc[bad, "state"] = np.array(list("vwxyz"))[(code[bad] + 1) % 5]
    return X, bad, {"city", "state"}


@pytest.mark.parametrize(
    ("kind", "novelty"),
    [
        # A relation is found in the same way whatever the rows are said to be.
        ("interval", False),
        ("sum", True),
        ("product", False),
        ("category", True),
        *(
            pytest.param(kind, novelty, marks=pytest.mark.slow)
            for kind, novelty in [
                ("interval", True),
                ("sum", False),
                ("product", True),
                ("category", False),
            ]
        ),
    ],
)
def test_broken_tight_relations(kind, novelty):
    X, bad, columns = broken(kind, data_rng())
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    rank = (-detector.score_samples(X)).argsort().argsort()
    assert (rank[bad] >= 1980).all()
    assert (detector.predict(X.iloc[bad]) == -1).all()
    for text in detector.describe(X.iloc[bad]):
        named = {reason.split(" ")[0] for reason in text.split("; ")}
        assert named <= columns, text
    shares = detector.explain(X.iloc[bad])
    assert set(shares.sum().nlargest(len(columns)).index) == columns


def test_reasons_are_more_than_the_usual_deviation():
    rng = data_rng()
    a = rng.normal(size=500)
    X = pd.DataFrame({"a": a, "b": a + 0.3 * rng.normal(size=500), "c": rng.normal(size=500)})
    detector = AEAnomalyDetector(novelty=True, **QUICK | {"n_steps": 400}).fit(X)
    new = pd.DataFrame({"a": [0.0, 0.0], "b": [0.0, 5.0], "c": [0.0, 0.0]})
    near, far = detector.describe(new)
    assert near.startswith("far from all rows in ")
    assert far.startswith("b 5, expected about ")


def test_rows_in_any_memory_order():
    X = related()
    detector = AEAnomalyDetector(novelty=True, **QUICK).fit(np.asfortranarray(X))
    new = related(1500, 3)
    assert_allclose(detector.score_samples(np.asfortranarray(new)), detector.score_samples(new))


@pytest.mark.parametrize("novelty", [False, True])
def test_views_in_onnx(novelty):
    pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    X = np.column_stack([related(), np.arange(600) % 7 == 0])
    X[::9, 1] = np.nan
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    assert len(detector._score.relations) == 2
    assert len(detector._score.distances) == 2 * novelty
    new = X[:80].copy()
    new[5, 2] += 3
    new[6, 6] *= -1
    new[7, 7] = 4
    model = skae.to_onnx(detector, output="score_samples", dtype=np.float64)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (scores,) = session.run(None, {"X": new})
    assert_allclose(scores.ravel(), detector.score_samples(new), rtol=1e-4)


@pytest.mark.parametrize("novelty", [False, True])
@pytest.mark.parametrize("kind", ["numbers", "table"])
def test_without_relations_the_score_is_that_of_the_components(kind, novelty, monkeypatch):
    X = pd.DataFrame(data_rng().normal(size=(200, 3)), columns=list("abc"))
    if kind == "table":
        X = X.assign(kind=np.where(data_rng(1).uniform(size=200) < 0.3, "x", "y"))
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    views = [type(view) for view in detector._score.relations]
    assert views == ([RareValues] if kind == "table" else [])
    assert (detector._score.units is None) == (not views)
    monkeypatch.setattr(
        "skae.anomaly._detector.make_views",
        lambda *args: ([view() for view in views], make_views(*args)[1]),
    )
    plain = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    assert_array_equal(detector.score_samples(X), plain.score_samples(X))
    assert_array_equal(detector.p_values(X), plain.p_values(X))
    assert_array_equal(detector.calibration_scores_, plain.calibration_scores_)
    assert detector.offset_ == plain.offset_
    assert_array_equal(detector.explain(X), plain.explain(X))


@pytest.mark.parametrize("novelty", [False, True])
def test_the_larger_of_the_components_and_the_relations_counts(novelty):
    X = related()
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    score = detector._score
    new = related(seed=1)[:100]
    new[5, 2] += 0.5
    rows = score.encoding.encode(detector._rows(new))
    parts = score.logs(rows, range(5))
    general = np.exp(log_score(parts.T, score.distance_units, None))
    logs = [np.mean(view.logs(rows, range(5)), axis=0) for view in score.relations]
    assert len(logs) == 2
    (median, *medians), (unit, *units) = score.units
    views = [
        (log - of_log) / of_unit
        for log, of_log, of_unit in zip(logs, medians, units, strict=True)
    ]
    largest = np.maximum(*views)
    expected = np.maximum(general, np.exp(median + unit * largest))
    assert_allclose(score.score(new), expected)
    decided = largest > (np.log(general) - median) / unit
    assert decided[5]
    assert decided.sum() < 40
    # Where the components decide, their score is as without relations.
    assert_array_equal(score.score(new)[~decided], general[~decided])
    squares = np.stack([np.square(view.by_column(rows)) for view in score.relations])
    shares = squares / squares.sum(axis=2, keepdims=True)
    by_relation = shares[np.argmax(views, axis=0), np.arange(100)]
    assert_allclose(score.shares(new)[decided], by_relation[decided])
    assert_allclose(score.shares(new).sum(axis=1), 1)
    # Calibration is that of rows held out.
    p = detector.p_values(related(seed=2))
    assert abs((p <= 0.2).mean() - 0.2) < 0.08


@pytest.mark.parametrize("novelty", [False, True])
def test_views_are_saved(tmp_path, novelty):
    X, bad, _ = broken("sum", data_rng(), 400)
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    assert len(detector._score.relations)
    assert len(detector._score.distances) == 2 * novelty
    skae.save(detector, tmp_path / "detector.skae")
    loaded = skae.load(tmp_path / "detector.skae")
    assert_array_equal(loaded.score_samples(X), detector.score_samples(X))
    assert loaded.describe(X.iloc[bad]) == detector.describe(X.iloc[bad])


def test_rounding_to_float32_does_not_break_a_relation():
    rng = data_rng()
    a, b = 1000 + rng.normal(size=(2, 400))
    X = np.column_stack([a, b, a - b, rng.normal(size=400)])
    detector = AEAnomalyDetector(novelty=True, **QUICK).fit(X)
    rounded = X.astype(np.float32)
    # They count less, as they may be rounding, and never more.
    assert (detector.score_samples(rounded) > 1.01 * detector.score_samples(X)).all()
    rounded[3, 2] += 0.1
    assert detector.score_samples(rounded).argmin() == 3


# Distances in other units


def distance(kind, X, n_neighbors=3):
    return kind(n_neighbors, 100, relative=False).fit(training_data(X))


def test_distances_in_ranges():
    X = data_rng().normal(size=(50, 2)) * [1, 100]
    X[:, 1] = np.abs(X[:, 1])
    view, data = distance(RangeDistance, X), training_data(X)
    points = view.points(data.rows)
    assert_allclose(np.ptp(points, axis=0), 1)
    assert_allclose(points - points[0], (X - X[0]) / np.ptp(X, axis=0))
    constant = np.column_stack([X, np.full(50, 3.0)])
    assert_allclose(np.ptp(distance(RangeDistance, constant).range), view.range.max() - 1)


def test_distances_in_distances_between_quartiles():
    """From the median, in what would be standard deviations of a normal distribution."""
    quantiles = norm.ppf(np.arange(1, 402) / 402)
    X = np.column_stack([np.exp(quantiles), data_rng().permutation(401), quantiles > 0.8])
    data = training_data(X)
    points = distance(QuartileDistance, X).points(data.rows)
    low, high = np.exp(norm.ppf([0.25, 0.75]))
    expected = (X[:, 0] - 1) / (high - low) * 1.349
    near = np.abs(expected) < 3
    assert 0 < (~near).sum() < 60
    assert_allclose(points[near, 0], expected[near], rtol=0.02, atol=0.01)
    assert_allclose(points[~near, 0], 3 + 3 * np.log(expected[~near] / 3), rtol=0.02)
    assert_allclose(points[:, 1], (X[:, 1] - 200) / 200 * 1.349)
    # Half of the rows or more are equal: the column keeps its unit.
    assert_allclose(np.ptp(points[:, 2]), np.ptp(data.rows.plain[:, 2]))


def test_normal_scores_are_those_of_ranks():
    quantiles = norm.ppf(np.arange(1, 401) / 401)
    X = np.stack([quantiles, data_rng().permutation(quantiles)], axis=1)
    rows = training_data(X).rows
    points = distance(NormalScoreDistance, X).points(rows)
    assert_allclose(points, X / X.std(axis=0), atol=0.1)
    # Whatever the units: in logarithms, or if all is multiplied, the ranks are the same.
    skewed = training_data(np.exp(3 * X))
    again = NormalScoreDistance(3, 100, relative=False).fit(skewed).points(skewed.rows)
    assert_allclose(again, points, atol=0.25)


def test_equal_values_have_one_normal_score():
    """That of the mean of their ranks; values beyond those seen have that of the extreme."""
    X = np.column_stack([np.repeat([0.0, 1.0], [300, 100]), data_rng().normal(size=400)])
    data = training_data(X)
    view = NormalScoreDistance(3, 100, relative=False).fit(data)
    points = view.points(data.rows)[:, 0]
    low, high = norm.ppf([(300 / 2 + 0.5) / 401, (300 + 100 / 2 + 0.5) / 401])
    expected = np.where(X[:, 0] > 0, high, low)
    assert_allclose(points, expected / expected.std())
    beyond = data.encoding.encode(np.array([[7.0, 0.0], [-7.0, 0.0]]))
    assert_allclose(view.points(beyond)[:, 0], [points.max(), points.min()])


def test_what_is_near_in_deviations_and_far_in_ranks_is_found():
    """All columns at once are far below their medians, of which deviations show nothing."""
    rng = data_rng()
    X, new = np.exp(2.5 * rng.normal(size=(2, 500, 4)))
    new[:5] = np.exp(-7.5 + 0.1 * rng.normal(size=(5, 4)))
    detector = AEAnomalyDetector(novelty=True, **QUICK).fit(X)
    ranks = (detector.score_samples(new)[:, None] > detector.score_samples(new)).sum(axis=1)
    score = detector._score
    score.distance_units, views = None, score.distance_units
    plain = detector.score_samples(new)
    ranks_without = (plain[:, None] > plain).sum(axis=1)
    assert ranks[:5].max() < 60 < ranks_without[:5].max()
    score.distance_units = views
    assert_allclose(detector.explain(new).sum(axis=1), -detector.score_samples(new))


def test_what_distances_add():
    X = related()
    detector = AEAnomalyDetector(novelty=True, **QUICK).fit(X)
    score = detector._score
    new = related(seed=1)[:100]
    new[:4] *= 3
    rows = score.encoding.encode(detector._rows(new))
    parts = score.logs(rows, range(5))
    (_, *medians), (unit, *units) = score.distance_units
    by_hand = parts[:, 0].copy()
    for i, kind in enumerate((RangeDistance, NormalScoreDistance)):
        view = score.distances[i]
        assert type(view) is kind
        log = np.mean([np.log(each + 0.01) for each in view.scores(rows, range(5))], axis=0)
        units_above = np.minimum((log - medians[i]) / units[i], 5)
        by_hand += unit * np.maximum(units_above - 0.5, 0) / 2
    raised = log_score(parts.T, score.distance_units, None)
    assert_allclose(np.exp(raised), np.exp(by_hand), rtol=1e-6)
    assert (np.exp(by_hand) > 1.01 * np.exp(parts[:, 0])).sum() > 4


@pytest.mark.parametrize("kind", ["numbers", "table", "anomalies"])
def test_rows_that_equal_a_training_row_do_not_set_the_unit(kind):
    """Of numbers that are normal, whose distance counts from a hundredth of its mean."""
    X = pd.DataFrame(data_rng().normal(size=(80, 3)), columns=list("abc"))
    X = pd.concat([X, X[:30], X[:30], X[:30], X[:30]])
    if kind == "table":
        X["kind"] = np.where(X["a"] > 0, "x", "y")
    detector = AEAnomalyDetector(novelty=kind != "anomalies", **QUICK).fit(X)
    score, rows = detector._score, detector._score.encoding.encode(detector._rows(X))
    least = 0.01 if kind == "numbers" else 1e-9
    *_, distance = score.components
    for each in score.components[:-1]:
        assert each.least == 1e-9
    logs = [
        log_mean([s + each.least for s in each.scores(rows, range(5))])
        for each in score.components
    ]
    by_model = np.add(distance.scores(rows, range(5)), least)
    assert_allclose(logs[-1], np.mean(np.log(by_model), axis=0))
    assert_allclose(score.logs(rows, range(5))[:, 0], np.mean(logs, axis=0))
    if kind == "numbers":
        assert score.distance_units[1, 0] < 5
        in_ranges, in_ranks = (each.nearest.power for each in score.distances)
        assert (in_ranges, in_ranks) == (0.5, 1.0)
    assert_allclose(detector.explain(X).sum(axis=1), -detector.score_samples(X))


@pytest.mark.parametrize("novelty", [False, True])
@pytest.mark.parametrize("kind", ["numbers", "table"])
def test_other_distances_are_components_among_anomalies_and_absent_in_tables(kind, novelty):
    X = pd.DataFrame(data_rng().normal(size=(60, 3)), columns=list("abc"))
    if kind == "table":
        X = X.assign(kind=np.where(data_rng(1).uniform(size=60) < 0.3, "x", "y"))
    detector = AEAnomalyDetector(novelty=novelty, **QUICK).fit(X)
    is_raised = novelty and kind == "numbers"
    others = [] if novelty or kind == "table" else [QuartileDistance]
    components = [type(each) for each in detector._score.components]
    assert components == [DenoisingError, *others, NeighborDistance]
    assert len(detector._score.distances) == 2 * is_raised
    assert (detector._score.distance_units is None) == (not is_raised)


def test_among_anomalies_all_distances_count_the_same():
    X = data_rng().normal(size=(200, 4))
    detector = AEAnomalyDetector(**QUICK).fit(X)
    score = detector._score
    assert not score.relations
    encoded = score.encoding.encode(X)
    of_each = [
        np.mean([np.log(s + 1e-9) for s in each.scores(encoded, range(5))], axis=0)
        for each in score.components
    ]
    assert_allclose(np.log(score.score(X)), np.mean(of_each, axis=0))
    assert_allclose(detector.explain(X).sum(axis=1), -detector.score_samples(X))


@pytest.mark.parametrize("novelty", [False, True])
@pytest.mark.parametrize("is_table", [False, True])
def test_from_where_relations_count(is_table, novelty):
    """From one unit above their median; two among anomalies in numbers, of a longer unit."""
    logs = np.stack([np.arange(101), 10 * np.arange(101)[::-1]], axis=1) / 100.0
    score = CombinedScore(SimpleNamespace(is_table=is_table), [], [ConditionalResiduals(0.0)])
    score._logs_of_rows = lambda X, models: logs[X[:, 0]]
    rows, at = Rows(np.arange(101)[:, None], None, None), np.arange(101)
    score.held_out_scores(rows, Folds(np.ones((1, 101), bool), [at]), novelty)
    high, tail, n_units = 0.8, 0.8, 1
    if novelty:
        high = tail = 0.99
    elif not is_table:
        tail, n_units = 0.9, 2
    unit = 10 * (high - 0.5)
    assert_allclose(score.units, [[0.5, 5 + n_units * unit], [tail - 0.5, unit]])
