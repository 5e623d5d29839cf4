"""The anomaly detector on people's own tables: what it finds, and what it says of it."""

import pickle
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from data import data_rng
from skae import AEAnomalyDetector, AutoencoderTransformer
from skae.anomaly._encoding import TableEncoding, unseen_deviations
from skae.tables import TabularEncoder
from skae.tables._layout import ColumnLayout
from tables import LIBRARIES, columns_of, people

QUICK = {"hidden_layer_sizes": (64, 64), "n_steps": 150, "random_state": 0}


def quick(**params):
    return AEAnomalyDetector(**{**QUICK, **params})


def shop(n_rows, seed=0):
    """What is sold: the kind tells about everything else; parts have no colour."""
    rng = data_rng(seed)
    kind = rng.choice(["car", "bike", "part"], n_rows, p=[0.4, 0.4, 0.2])
    code = np.select([kind == "car", kind == "bike"], [0, 1], 2)
    weight = np.array([1200, 15, 2])[code] * np.exp(0.1 * rng.normal(size=n_rows))
    colour = rng.choice(["red", "green", "blue"], n_rows).astype(object)
    colour[kind == "part"] = None
    days = np.array([0, 400, 800])[code] + rng.randint(0, 100, n_rows)
    return pd.DataFrame(
        {
            "kind": kind,
            "wheels": np.array([4, 2, 0])[code],
            "weight": weight.round(1),
            "engine": kind == "car",
            "colour": colour,
            "sold": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D"),
        }
    )


@pytest.fixture(scope="module")
def normal():
    return shop(500)


@pytest.fixture(scope="module")
def novelty(normal):
    return quick(novelty=True).fit(normal)


@pytest.fixture(scope="module")
def outlier(normal):
    return quick().fit(normal)


@pytest.fixture(scope="module")
def reference():
    """Scores of people in pandas, which is where each library begins."""
    X = people(120)
    return quick(n_steps=30).fit(X).score_samples(X)


@pytest.fixture(scope="module", params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


@pytest.fixture(scope="module")
def fitted(library):
    """A detector of people, and people, in one library."""
    X = library(people(120))
    return quick(n_steps=30).fit(X), X


def with_values(frame, **cells):
    """The first rows, with a cell each that was changed."""
    frame = frame.head(len(cells)).copy()
    for row, (name, value) in enumerate(cells.items()):
        column = frame[name]
        frame[name] = [value if i == row else cell for i, cell in enumerate(column)]
        if value is not None and not isinstance(value, str):
            frame[name] = frame[name].astype(column.dtype)
    return frame


def cars(n_rows):
    """New cars, as they should be."""
    new = shop(400, 7)
    return new[new["kind"] == "car"].head(n_rows).reset_index(drop=True)


# What is found


def test_finds_cells_that_do_not_go_with_the_others(normal):
    X = normal.copy()
    odd = np.arange(0, 400, 20)
    X.loc[odd, "kind"] = np.where(X.loc[odd, "kind"] == "car", "bike", "car")
    labels = np.isin(np.arange(len(X)), odd)
    detector = quick().fit(X)
    assert roc_auc_score(labels, -detector.score_samples(X)) > 0.95
    marked = detector.fit_predict(X) == -1
    assert marked[odd].mean() > 0.8
    assert marked[~labels].mean() < 0.1
    named = [text.startswith("kind ") for text in detector.describe(X.iloc[odd])]
    assert np.mean(named) > 0.8


@pytest.mark.any_backend
@pytest.mark.parametrize("novel", [False, True])
def test_few_clean_rows_are_marked(normal, novelty, outlier, novel):
    detector = novelty if novel else outlier
    assert (detector.predict(shop(1000, 3)) == -1).mean() < 0.1
    if not novel:
        assert detector.select(normal).mean() < 0.05


@pytest.mark.any_backend
def test_a_score_does_not_depend_on_the_other_rows(normal, novelty):
    one_by_one = [novelty.score_samples(normal[i : i + 1])[0] for i in range(20)]
    assert_allclose(one_by_one, novelty.score_samples(normal[:20]), rtol=1e-11)


def test_what_was_never_missing_is_odd_when_it_is(novelty):
    odd = with_values(cars(3), kind=None, weight=np.nan, sold=pd.NaT)
    assert (novelty.p_values(odd) < 0.05).all()
    texts = novelty.describe(odd)
    assert texts[0] == 'kind missing, expected "car"'
    assert texts[1].startswith("weight missing, expected about 1,")
    assert texts[2].startswith("sold missing, expected about 2020-0")


@pytest.mark.any_backend
def test_what_is_often_missing_is_not_odd(novelty):
    new = shop(400, 5)
    part = new["kind"] == "part"
    assert new["colour"].isna().equals(part)
    p = novelty.p_values(new)
    assert p[part].mean() > 0.3
    odd = with_values(cars(1), colour=None)
    assert novelty.p_values(odd)[0] < 0.1
    assert novelty.describe(odd)[0].startswith("colour missing, expected ")


@pytest.mark.any_backend
def test_levels_that_were_not_seen_are_odd_and_no_error(novelty):
    odd = with_values(cars(2), kind="boat", colour="plaid")
    assert (novelty.p_values(odd) < 0.1).all()
    assert novelty.describe(odd)[0] == 'kind "boat", expected "car"'


@pytest.mark.any_backend
@pytest.mark.parametrize("novel", [False, True])
def test_a_name_of_its_own_is_not_odd(normal, novel):
    def named(frame, prefix):
        return frame.assign(name=[f"{prefix} {i}" for i in range(len(frame))])

    with pytest.warns(UserWarning, match="identifiers or free text: 'name'"):
        detector = quick(novelty=novel).fit(named(normal, "old"))
    assert (detector.predict(named(shop(500, 3), "new")) == -1).mean() < 0.12


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "n_steps", [390, pytest.param(500, marks=[pytest.mark.xla, pytest.mark.slow])]
)
def test_cells_that_are_wrong_together_are_named_together(n_steps):
    """They vouch for each other; the rest of the row tells."""
    rng = data_rng()
    size = rng.uniform(2, 8, 600)
    sides = size[:, np.newaxis] * [1, 1.1, 0.6] + 0.02 * rng.normal(size=(600, 3))
    weight, price = size**3 / 100, 50 * size**2 + 20 * rng.normal(size=600)
    X = pd.DataFrame(np.column_stack([weight, price, sides]), columns=list("wpxyz"))
    X = X.round(3).assign(cut=rng.choice(["good", "fair"], 600))
    X.loc[:5, ["x", "y", "z"]] = 0.0
    detector = quick(n_steps=n_steps).fit(X)
    cells = [sorted(text.split("; ")) for text in detector.describe(X.head(6))]
    sides = [[cell[:4] for cell in each] == ["x 0,", "y 0,", "z 0,"] for each in cells]
    assert np.mean(sides) > 0.7
    assert_array_equal(detector.predict(X.head(6)), -1)
    expected = detector.expected(X.head(6))
    assert (expected[["w", "p"]] >= X[["w", "p"]].min()).all(axis=None)
    assert (np.abs(expected["x"] - size[:6]) < 1).mean() > 0.5


# In the user's own columns


@pytest.mark.any_backend
def test_reasons_in_the_columns_of_the_table(fitted):
    detector, X = fitted
    parts = detector.explain(X)
    assert type(parts) is type(X)
    values = np.array(list(columns_of(parts).values()), dtype=float).T
    assert list(columns_of(parts)) == list(columns_of(X))
    assert (values >= 0).all()
    assert_allclose(values.sum(axis=1), -detector.score_samples(X))


@pytest.mark.any_backend
def test_expected_is_a_table_like_the_one_that_came(fitted):
    detector, X = fitted
    expected = detector.expected(X)
    assert type(expected) is type(X)
    if isinstance(X, pa.Table):
        assert expected.schema == X.schema
    else:
        assert list(expected.dtypes) == list(X.dtypes)
    came, said = columns_of(X), columns_of(expected)
    assert list(came) == list(said)
    for name in ("sex", "deck", "alone", "survived", "port", "ship"):
        assert set(said[name]) <= set(came[name])
    for name in ("age", "fare", "boarded"):
        seen = [value for value in came[name] if value is not None]
        assert all(min(seen) <= v <= max(seen) for v in said[name] if v is not None)
    assert all(age is None or age == round(age) for age in said["age"])
    assert None not in said["fare"]
    assert set(said["notes"]) == {None}


@pytest.mark.any_backend
def test_libraries_agree(fitted, reference):
    detector, X = fitted
    assert_allclose(detector.score_samples(X), reference)
    texts = detector.describe(X)
    assert len(texts) == 120
    assert all(", expected " in text or text.startswith("far from all") for text in texts)


@pytest.mark.any_backend
def test_the_index_is_kept(novelty):
    odd = cars(3).set_axis(["a", "b", "c"])
    assert_array_equal(novelty.explain(odd).index, odd.index)
    assert_array_equal(novelty.expected(odd).index, odd.index)
    assert_array_equal(novelty.expected(odd).columns, odd.columns)


@pytest.mark.any_backend
def test_what_cells_are_in_words(novelty):
    odd = with_values(cars(3), wheels=1, engine=False, sold=pd.Timestamp("2022-11-05"))
    texts = novelty.describe(odd, n_columns=1)
    assert texts[0] == "wheels 1, expected about 4"
    assert texts[1] == "engine False, expected True"
    assert texts[2].startswith("sold 2022-11-05, expected about 2020-0")


@pytest.mark.any_backend
def test_arrays_with_holes_are_tables():
    rng = data_rng()
    X = rng.normal(size=(200, 1)) + 0.1 * rng.normal(size=(200, 4))
    X[rng.uniform(size=200) < 0.2, 2] = np.nan
    detector = quick(novelty=True).fit(X)
    odd = X[:1].copy()
    odd[0, 0] = np.nan
    assert detector.p_values(odd)[0] < 0.05
    assert detector.describe(odd)[0].startswith("x0 missing, expected about ")
    assert detector.explain(odd).shape == detector.expected(odd).shape == (1, 4)


@pytest.mark.any_backend
def test_numbers_without_holes_are_no_table(normal):
    numbers = normal[["wheels", "weight"]]
    detector = quick(n_steps=5).fit(numbers)
    assert detector.table_ is None
    scores = detector.score_samples(numbers)
    assert_array_equal(
        quick(n_steps=5).fit(numbers.to_numpy()).score_samples(numbers.to_numpy()), scores
    )
    declared = quick(n_steps=5, categorical_features=["wheels"]).fit(numbers)
    assert declared.table_.columns_ == {"wheels": "categorical", "weight": "numeric"}


# Everything else that a detector does


def test_same_seed_same_bits(novelty, normal):
    X = shop(50, 2)
    scores = novelty.score_samples(X)
    assert_array_equal(quick(novelty=True).fit(normal).score_samples(X), scores)
    assert_array_equal(pickle.loads(pickle.dumps(novelty)).score_samples(X), scores)
    alone = np.concatenate([novelty.score_samples(X.iloc[[i]]) for i in range(3)])
    assert_allclose(alone, scores[:3], rtol=1e-4)


@pytest.mark.any_backend
def test_chunks_change_nothing(novelty, monkeypatch):
    X = shop(50, 2)
    parts, expected = novelty.explain(X), novelty.expected(X)
    monkeypatch.setattr("skae.anomaly._scores._CHUNK_ENTRIES", 2000)
    assert_allclose(novelty.explain(X), parts, rtol=1e-3, atol=1e-3)
    assert (novelty.expected(X)["kind"] == expected["kind"]).all()


def test_weights_of_zero_are_absent_rows(normal):
    weight = np.ones(len(normal))
    weight[::4] = 0
    new = shop(50, 2)
    weighted = quick(n_steps=10).fit(normal, sample_weight=weight)
    without = quick(n_steps=10).fit(normal[weight > 0])
    assert_allclose(weighted.score_samples(new), without.score_samples(new), rtol=1e-4)


@pytest.mark.any_backend
def test_groups(normal):
    groups = np.arange(len(normal)) // 10
    detector = quick(n_steps=10).fit(normal, groups=groups)
    assert len(detector.calibration_scores_) == len(normal)


@pytest.mark.any_backend
def test_reconstruction_of_tables(normal):
    autoencoder = AutoencoderTransformer(4, hidden_layer_sizes=(8,), max_iter=3)
    detector = quick(scoring="reconstruction", estimator=autoencoder, novelty=True).fit(normal)
    odd = with_values(cars(2), kind="boat", weight=90_000.0)
    assert (detector.predict(odd) == -1).all()
    assert_allclose(detector.explain(odd).sum(axis=1), -detector.score_samples(odd))
    assert list(detector.expected(odd).columns) == list(odd.columns)
    assert detector.describe(odd)[1].startswith("weight 90,000, expected about ")


# Bad input


@pytest.mark.any_data
@pytest.mark.any_backend
def test_columns_must_be_those_of_fit(novelty):
    new = cars(3)
    with pytest.raises(ValueError, match="feature names"):
        novelty.predict(new.drop(columns="kind"))
    with pytest.raises(ValueError, match="feature names"):
        novelty.predict(new.assign(more=1))
    with pytest.raises(ValueError, match="feature names"):
        novelty.predict(new[new.columns[::-1]])


@pytest.mark.any_backend
def test_infinite_values_name_their_column(novelty, normal):
    with pytest.raises(ValueError, match=r"infinity .* column 'weight'"):
        novelty.predict(cars(3).assign(weight=np.inf))
    with pytest.raises(ValueError, match=r"infinity .* column 'weight'"):
        quick().fit(normal.assign(weight=-np.inf))


@pytest.mark.any_backend
def test_columns_that_say_nothing(normal):
    X = normal[["kind", "engine", "wheels"]].assign(nothing=np.nan, shop="here")
    detector = quick(n_steps=50).fit(X)
    parts = detector.explain(X)
    assert (parts["nothing"] < 0.5 * parts.max(axis=1)).all()
    assert np.isfinite(detector.score_samples(X)).all()
    assert detector.expected(X)["nothing"].isna().all()
    assert (detector.expected(X)["shop"] == "here").all()


@pytest.mark.any_backend
def test_a_table_without_numbers(normal):
    X = normal[["kind", "colour", "engine"]]
    detector = quick(novelty=True).fit(X)
    odd = pd.DataFrame({"kind": ["car"], "colour": ["red"], "engine": [False]})
    assert detector.predict(odd)[0] == -1


@pytest.mark.any_backend
def test_deviations_of_unseen_values():
    X = pd.DataFrame({"a": [1.0, 2, 4], "b": ["x", None, "y"], "c": [None, None, None]})
    encoder = TabularEncoder().fit(X)
    encoding = TableEncoding(ColumnLayout.from_encoder(encoder), unseen_deviations(np.zeros(3)))
    rows = encoding.encode(encoding.join(*encoder.encode(X)))
    assert not rows.unseen.any()
    assert_array_equal(rows.values, encoder.transform(X))
    assert_array_equal(rows.observed, [[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    odd = pd.DataFrame({"a": [np.nan], "b": ["z"], "c": [None]})
    rows = encoding.encode(encoding.join(*encoder.encode(odd)))
    assert_array_equal(rows.unseen[0] > 0, [True, True, False])
    assert rows.observed[0, 0] == 0


# Columns of other types


def _orders(n_rows=300):
    rng = data_rng()
    items = rng.randint(1, 30, n_rows)
    return items, (8 * items + rng.normal(size=n_rows)).round(2)


@pytest.mark.any_backend
@pytest.mark.parametrize("kind", ["Decimal", "polars", "pyarrow", "float"])
def test_amounts_of_every_class_are_numbers(kind):
    items, amounts = _orders()
    exact = [Decimal(f"{amount:.2f}") for amount in [*amounts, 9120]]
    columns = {
        "amount": [float(amount) for amount in exact] if kind == "float" else exact,
        "colour": ["red", "blue", "red"] * 100 + ["red"],
        "items": [*items.tolist(), 28],
    }
    make = {"polars": pl.DataFrame, "pyarrow": pa.table}.get(kind, pd.DataFrame)
    X = make(columns)
    last = X.slice(300) if kind == "pyarrow" else X[300:]
    detector = quick().fit(X)
    assert detector.columns_["amount"] == "numeric"
    assert detector.predict(last) == -1
    assert re.fullmatch(r"amount 9,120, expected about (1|2)\d\d", detector.describe(last)[0])


@pytest.mark.any_backend
def test_identifiers_do_not_count(normal, outlier):
    X = normal.assign(key=[f"order {i}" for i in range(len(normal))])
    with pytest.warns(UserWarning, match="identifiers or free text: 'key'") as caught:
        detector = quick().fit(X)
    assert sum("identifiers" in str(each.message) for each in caught) == 1
    new = X[:20].assign(key=[None, "new"] * 10)
    assert_array_equal(detector.score_samples(new), detector.score_samples(X[:20]))
    shares = detector.explain(X[:20])["key"] / -detector.score_samples(X[:20])
    assert_allclose(shares, 0, atol=1e-6)
    assert detector.expected(X[:20])["key"].isna().all()
    assert not any("key" in text for text in detector.describe(new))
    # The networks have other initial weights; everything else is as without the column.
    of_plain, of_detector = (
        each._score.logs(each._score.encoding.encode(each._rows(rows)))
        for each, rows in ((outlier, normal), (detector, X))
    )
    for logs in (of_plain, of_detector):
        logs[:, 0] = np.exp(logs[:, 0])
    for with_key, without in zip(of_detector.T, of_plain.T, strict=True):
        assert np.corrcoef(with_key, without)[0, 1] > 0.95


@pytest.mark.any_backend
def test_times_in_words():
    n_rows = 300
    days = pd.date_range("2024-01-01", periods=n_rows)
    minutes = data_rng().randint(480, 720, n_rows)
    X = pd.DataFrame(
        {
            "day": days.strftime("%Y-%m-%d"),
            "clock": [f"{m // 60:02d}:{m % 60:02d}" for m in minutes],
            "month": pd.Series(days.to_period("M")),
            "took": pd.to_timedelta(minutes - 400, unit="min"),
            "number": np.arange(n_rows) + data_rng().normal(size=n_rows),
            "minutes": minutes + data_rng().normal(size=n_rows),
        }
    )
    detector = quick(novelty=True).fit(X)
    assert set(detector.columns_.values()) == {"date", "numeric"}
    new = X[150:151]
    others = {
        "day": new.assign(day="2022-01-01"),
        "clock": new.assign(clock="23:50"),
        "month": new.assign(month=pd.Period("2019-03", "M")),
        "took": new.assign(took=pd.Timedelta("40 days")),
    }
    texts = {name: detector.describe(rows)[0] for name, rows in others.items()}
    assert re.search("day 2022-01-01, expected about 2024-0[4-7]-..", texts["day"])
    assert re.search(r"clock 23:50, expected about (0[89]|1[01]):\d\d", texts["clock"])
    assert re.search(r"month 2019-03, expected about 2024-0[4-7]", texts["month"])
    assert re.search(r"took 40 days, 0:00:00, expected about [1-5]:\d\d:\d\d", texts["took"])


@pytest.mark.any_backend
def test_a_string_that_is_no_date_is_foreign():
    X = pd.DataFrame(
        {
            "day": pd.date_range("2024-01-01", periods=300).strftime("%Y-%m-%d"),
            "number": np.arange(300) + data_rng().normal(size=300),
            "other": np.arange(300) + data_rng().normal(size=300),
        }
    )
    detector = quick(novelty=True).fit(X)
    new = X[150:152].assign(day=["2024-05-30", "soon"])
    usual, foreign = detector.score_samples(new)
    assert foreign < 2 * usual
    assert detector.describe(new)[1].startswith('day "soon", expected about 2024-0')


@pytest.mark.any_backend
@pytest.mark.parametrize("unit", [1, 10**6])
def test_epochs_in_an_array(unit):
    """Seconds or microseconds within seconds: columns count as they do from their own zero."""
    rng = data_rng()
    clock = rng.uniform(0, 5, 300).round(6)
    other = clock + 0.05 * rng.normal(size=300)
    near = np.column_stack([clock * unit, other, rng.normal(size=300)])
    odd = near[:1] + np.array([0, 3, 0])
    scores = []
    # From a zero in the midst, so that the column has no logarithms of its own.
    for shift in (-2 * unit, 1_700_000_000 * unit):
        origin = np.array([shift, 0, 0])
        detector = quick(novelty=True).fit(near + origin)
        scores.append(detector.score_samples(np.vstack([near, odd]) + origin))
    assert_allclose(scores[1], scores[0], rtol=0.05)
    assert scores[1][-1] < 1.2 * scores[1][:-1].min()
