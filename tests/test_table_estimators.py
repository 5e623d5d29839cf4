"""Tables of people, straight into the autoencoders."""

import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import trapezoid
from scipy.stats import norm
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data import data_rng
from settings import QUICK
from skae import (
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.metrics import reconstruction_error, reconstruction_score
from skae.networks import ConvNetwork
from skae.tables import TabularEncoder
from skae.utils._arrays import as_array
from tables import LIBRARIES, columns_of, people, rows_of

pytestmark = pytest.mark.any_backend


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


@pytest.fixture(scope="module")
def fitted():
    """Fitted on the table of people; tests do not change it."""
    return AutoencoderTransformer(**QUICK).fit(people())


def assert_valid(table, seen):
    """Rows that could be of the table: its kinds, levels, and ranges."""
    assert type(table) is type(seen)
    columns, known = columns_of(table), columns_of(seen)
    assert list(columns) == list(known)
    for name, cells in columns.items():
        there = [cell for cell in known[name] if cell is not None]
        if not there:
            assert set(cells) == {None}
        elif isinstance(there[0], str | bool):
            assert set(cells) <= set(there)
        else:
            assert all(min(there) <= cell <= max(there) for cell in cells)
        if there and all(cell == round(cell) for cell in there if isinstance(cell, float)):
            assert all(cell == round(cell) for cell in cells if isinstance(cell, float))


@pytest.mark.any_data
@pytest.mark.parametrize("kind", [AutoencoderTransformer, DenoisingAutoencoder])
def test_tables_go_in_and_come_out(kind, library):
    X = library(people())
    ae = kind(**QUICK).fit(X)
    code = ae.transform(X)
    assert code.shape == (60, 3)
    assert np.isfinite(code).all()
    assert_valid(ae.inverse_transform(code), X)
    assert_valid(ae.reconstruct(X), X)
    assert ae.columns_["deck"] == "categorical"
    assert ae.n_features_in_ == 10
    scores = ae.score_samples(X)
    assert scores.shape == (60,)
    assert (scores <= 0).all()


def test_all_libraries_give_the_same_codes():
    codes = [
        AutoencoderTransformer(**QUICK).fit(make(people())).transform(make(people()))
        for make in LIBRARIES.values()
    ]
    for code in codes[1:]:
        assert_allclose(code, codes[0], rtol=1e-4, atol=1e-4)


def test_dtypes_and_index_come_back(fitted):
    X = people(7).set_index(pd.Index(list("abcdefg")))
    back = fitted.reconstruct(X)
    assert list(back.index) == list("abcdefg")
    wanted = X.dtypes.to_dict()
    assert back.dtypes.to_dict() == wanted
    code = pd.DataFrame(fitted.transform(X), index=X.index)
    assert list(fitted.inverse_transform(code).index) == list("abcdefg")


def test_numbers_without_holes_are_read_as_ever(quick, blob):
    frame = pd.DataFrame(blob, columns=list("abcde"))
    ae, of_frame = quick().fit(blob), quick().fit(frame)
    assert of_frame.table_ is None
    assert_array_equal(of_frame.transform(frame), ae.transform(blob))
    assert set(of_frame.columns_.values()) == {"numeric"}


def test_objects_that_are_numbers_are_numbers(quick, blob):
    frame = pd.DataFrame(blob, columns=list("abcde")).astype(object)
    assert quick().fit(frame).table_ is None


def test_a_cell_counts_by_one_over_what_its_column_has_to_lose():
    """Numbers by their variance, categories by the entropy of their levels."""
    rng = data_rng()
    n = 200
    number = rng.normal(size=n) * 3 + 5
    number[::8] = np.nan
    three = np.repeat(["a", "b", "c"], [100, 60, 40])
    two = np.repeat([True, False], [180, 20])[rng.permutation(n)]
    X = pd.DataFrame({"number": number, "three": three, "two": two})
    ae = AutoencoderTransformer(**QUICK).fit(X)
    said = as_array(ae.decoder_(ae.transform(X))).copy()
    assert said.shape == (n, 5)
    # The logits are bounded.
    said[:, 1:] = 30 * np.tanh(said[:, 1:] / 30)
    standard = (number - np.nanmean(number)) / np.nanstd(number)
    lost = np.zeros((n, 3))
    lost[:, 0] = np.square(said[:, 0] - standard)
    levels = (three[:, None] == ["a", "b", "c"]).T
    of_level = np.choose(levels.argmax(axis=0), said[:, 1:4].T)
    lost[:, 1] = np.log(np.exp(said[:, 1:4]).sum(axis=1)) - of_level
    lost[:, 2] = np.log1p(np.exp(np.where(two, -1, 1) * said[:, 4]))
    three_shares, two_shares = np.array([0.5, 0.3, 0.2]), np.array([0.9, 0.1])
    lost[:, 1] /= -(three_shares * np.log(three_shares)).sum()
    lost[:, 2] /= -(two_shares * np.log(two_shares)).sum()
    # A mean over the cells that are there.
    expected = -np.nanmean(lost, axis=1)
    assert_allclose(ae.score_samples(X), expected, rtol=1e-3)


def test_columns_of_one_name(quick, blob):
    with pytest.raises(ValueError, match="several that are called 'b'"):
        quick().fit(pd.DataFrame(blob, columns=list("abbde")))


def test_missing_cells_do_not_count(fitted):
    """What the network says of a cell that is missing costs nothing."""
    X = people()[:1]
    nothing = pd.DataFrame([dict.fromkeys(X.columns)]).astype(object)
    assert fitted.score_samples(nothing) == 0
    age = nothing.assign(age=80.0)  # far from what is said, which is rounded
    said = fitted.table_.transform(fitted.reconstruct(age))[0, 0]
    seen = fitted.table_.transform(age)[0, 0]
    variance = fitted.table_.transform(people())[:, 0][people()["age"].notna()].var()
    assert_allclose(fitted.score_samples(age), -((seen - said) ** 2) / variance, rtol=0.2)


def test_unknown_levels_are_no_error(fitted):
    X = people(5)
    X["deck"] = "Z"
    assert np.isfinite(fitted.transform(X)).all()
    assert np.isfinite(fitted.score_samples(X)).all()


def test_the_start_says_the_levels_that_pca_says():
    """PCA of the encoded table, and probabilities whose largest is PCA's."""
    X = people(200).drop(columns=["age", "deck", "notes"])
    ae = AutoencoderTransformer(4, max_iter=1, learning_rate=1e-12, random_state=0).fit(X)
    pca = make_pipeline(TabularEncoder(), PCA(4)).fit(X)
    assert ae.init_ == "pca"
    said, linear = ae.reconstruct(X), pca.inverse_transform(pca.transform(X))
    for name in ("sex", "alone", "survived", "port"):
        assert (said[name] == linear[name]).mean() > 0.97
    assert_allclose(said["fare"], linear["fare"], atol=0.05 * X["fare"].std())


def test_better_than_pca_of_the_encoded_table():
    """Three numbers of six follow from one, and so do the categories."""
    rng = data_rng()
    angle = rng.uniform(0, 2 * np.pi, 600)
    X = pd.DataFrame(
        {
            "x": np.cos(angle),
            "y": np.sin(angle),
            "quarter": np.array(list("NESW"))[(angle // (np.pi / 2)).astype(int)],
            "above": np.sin(angle) > 0,
        }
    )
    X.loc[::7, "quarter"] = None
    train, test = X[:450], X[450:]
    ae = AutoencoderTransformer(1, hidden_layer_sizes=(64,), random_state=0, max_iter=60)
    pca = make_pipeline(TabularEncoder(), PCA(1))
    score = ae.fit(train).score(test)
    assert score == reconstruction_score(ae, test)
    assert score > reconstruction_score(pca.fit(train), test) + 0.1


def test_errors_of_the_rows_of_a_table():
    X = pd.DataFrame({"n": [0.0, 2, 0, 2], "c": ["a", "a", "b", "b"], "m": [1, None, 2, 5.5]})

    class Said:
        def transform(self, X):
            return X

        def inverse_transform(self, X):
            return X.assign(n=[0.0, 0, 0, 2], c=["a", "b", "b", "b"])

    assert_allclose(reconstruction_error(Said(), X), [0, (4 + 2) / 2, 0, 0])
    assert_allclose(reconstruction_score(Said(), X), 1 - np.mean([1, 0.5, 0]))
    weight = [1, 0, 1, 1]
    assert reconstruction_score(Said(), X, sample_weight=weight) == 1


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("1.5"), Decimal("2.25"), None, Decimal(4)],
        [Fraction(1, 3), Fraction(2, 7), None, Fraction(1)],
        [2**70, 2**70 + 2**30, None, 0],
        pd.array([7, 5, None, 3], "Int64"),
    ],
    ids=["decimals", "fractions", "large integers", "nullable integers"],
)
def test_errors_of_numbers_that_come_back_as_objects(values):
    X = pd.DataFrame({"n": values, "m": [1.5, 2.5, 4, 8]})
    for table in (X, X.to_numpy(object)):
        encoder = TabularEncoder().fit(table)
        assert_allclose(reconstruction_error(encoder, table), 0, atol=1e-20)
        assert reconstruction_score(encoder, table) == 1


def test_declared_categories(quick):
    X = np.c_[np.tile([1.0, 4, 9], 20), data_rng().normal(size=60)]
    ae = quick(categorical_features=[0]).fit(X)
    assert ae.columns_ == {"x0": "categorical", "x1": "numeric"}
    assert set(ae.reconstruct(X)[:, 0]) <= {1, 4, 9}


def test_numbers_may_go_beyond_the_range_when_asked(quick):
    X = pd.DataFrame({"n": np.linspace(0, 1, 40), "c": ["a", "b"] * 20})
    far = [[50.0, 0, 0], [-50.0, 0, 0]]
    for clip in (True, False):
        ae = quick(clip=clip).fit(X)
        back = ae.inverse_transform(far)["n"]
        assert back.between(0, 1).all() == clip


@pytest.mark.parametrize(
    "corruption",
    [
        *("swap", "masking", "salt_and_pepper"),
        # Which has no cells to itself.
        pytest.param("gaussian", marks=pytest.mark.slow),
    ],
)
def test_all_flags_of_a_cell_are_corrupted_together(corruption):
    X = pd.DataFrame({"c": list("abcd") * 15, "n": data_rng().normal(size=60)})
    dae = DenoisingAutoencoder(corruption=corruption, corruption_level=0.5, **QUICK).fit(X)
    Z = dae.table_.transform(X)
    corrupted = dae._model.corruption.corrupt(Z, dae._model.spread, data_rng())
    if corruption != "gaussian":
        changed = (corrupted != Z)[:, :4]
        whole = (corrupted[:, :4] > 0).sum(axis=1)
        assert 0.2 < changed.any(axis=1).mean() < 0.9
        assert set(whole) <= ({1} if corruption == "swap" else {0, 1, 4})


def test_weights_of_zero_are_as_good_as_absent(quick):
    X = people(40)
    X.loc[39, "sex"] = "neither"
    weight = np.r_[np.ones(39), 0]
    assert_allclose(
        quick().fit(X, sample_weight=weight).transform(X[:39]),
        quick().fit(X[:39]).transform(X[:39]),
        rtol=1e-3,
        atol=1e-4,
    )


def test_searches_pipelines_clones_and_pickles(fitted):
    X = people()
    search = GridSearchCV(clone(fitted), {"n_components": [1, 3]}, cv=2).fit(X)
    assert search.best_score_ <= 1
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(X), fitted.transform(X))
    assert clone(fitted).fit(X).transform(X).tolist() == fitted.transform(X).tolist()
    pipe = make_pipeline(clone(fitted), StandardScaler()).fit(X)
    assert list(pipe.inverse_transform(pipe.transform(X)).columns) == list(X.columns)


def test_training_goes_on():
    X = people()
    ae = AutoencoderTransformer(**QUICK, warm_start=True).fit(X)
    n_iter = ae.n_iter_
    assert ae.fit(X).n_iter_ > n_iter
    assert ae.partial_fit(X).n_iter_ > n_iter + 1


def test_classes_of_a_table(library):
    rng = data_rng()
    y = np.repeat([0, 1], 60)
    X = {
        "colour": [["red", "green"][i] if rng.rand() < 0.9 else None for i in y],
        "size": (rng.normal(size=120) + 3 * y).tolist(),
        "ok": [bool(i) for i in rng.rand(120) < 0.5],
    }
    classifier = AEClassifier(AutoencoderTransformer(**QUICK), random_state=0)
    X = library(X)
    assert classifier.fit(X, y).score(X, y) > 0.8
    assert classifier.n_features_in_ == 3


# Densities and samples


@pytest.mark.any_data
def test_rows_that_are_drawn_are_rows_of_the_table(library):
    X = library(people(120))
    vae = VAETransformer(**QUICK).fit(X)
    for noise in (True, False):
        drawn = vae.sample(40, random_state=0, noise=noise)
        assert_valid(drawn, X)
        assert len(rows_of(drawn)) == 40
    assert rows_of(vae.sample(3, random_state=1)) == rows_of(vae.sample(3, random_state=1))
    assert np.isfinite(vae.score_samples(X)).all()
    assert vae.transform(X).shape == (120, 3)


@pytest.mark.xla
def test_likelihood_of_a_table_whose_columns_are_independent():
    """The density of the numbers, and the probability of the categories."""
    rng = data_rng()
    X = pd.DataFrame(
        {
            "n": 100 + 5 * rng.normal(size=2000),
            "c": rng.choice(list("abc"), 2000, p=[0.6, 0.3, 0.1]),
        }
    )
    vae = VAETransformer(1, max_iter=30, hidden_layer_sizes=(8,), random_state=0).fit(X)
    share = X["c"].map(X["c"].value_counts(normalize=True))
    expected = norm.logpdf(X["n"], X["n"].mean(), X["n"].std()) + np.log(share)
    assert abs(vae.score(X) - expected.mean()) < 0.1
    missing = X.assign(c=None)
    assert abs(vae.score(missing) - norm.logpdf(X["n"], 100, 5).mean()) < 0.15
    drawn = vae.sample(2000, random_state=0)
    assert abs((drawn["c"] == "a").mean() - 0.6) < 0.07
    assert abs(drawn["n"].std() - 5) < 0.6
    assert 0 < vae.noise_[0] < 6
    assert np.isnan(vae.noise_[1])


def test_values_that_are_drawn_in_have_the_density_of_the_data():
    """The integral over a column with far values is one."""
    X = pd.DataFrame(
        {"n": np.r_[data_rng().normal(size=200), 30.0, -40], "c": ["a", "b"] * 101}
    )
    vae = VAETransformer(**QUICK).fit(X)
    grid = np.linspace(-400, 400, 8001)
    total = 0.0
    for level in "ab":
        density = np.exp(vae.score_samples(pd.DataFrame({"n": grid, "c": level})))
        total += trapezoid(density, grid)
    assert 0.85 < total < 1.1


def test_the_keras_models_speak_the_matrix_of_the_table(fitted):
    X = people()
    Z = fitted.table_.transform(X)
    assert_allclose(as_array(fitted.encoder_(Z)), fitted.transform(X), atol=1e-4)


def test_paths_between_rows(fitted):
    X = people()
    path = fitted.interpolate(X[:1], X[1:2], n_steps=4)
    assert path.shape == (1, 4, 10)
    assert fitted.latent_traversal(X, n_values=3).shape == (3, 3, 10)


# What tables cannot have


def test_parameters_for_numbers_only(quick):
    X = people()
    for params, match in (
        ({"loss": "cosine"}, "loss must be one of 'squared_error'.*tables"),
        ({"loss": "binary_crossentropy"}, "loss must be one of"),
        ({"network": ConvNetwork()}, "network must be None for tables"),
    ):
        with pytest.raises(ValueError, match=match):
            quick(**params).fit(X)
    with pytest.raises(ValueError, match="target must be None for tables"):
        DenoisingAutoencoder(**QUICK).fit(X, target=X)
    with pytest.raises(ValueError, match="likelihood must be 'gaussian' for tables"):
        VAETransformer(likelihood="bernoulli", **QUICK).fit(X)


def test_bad_tables(library, quick):
    X = {"a": [1.0, 2.5] * 20, "b": ["x", "y"] * 20}
    ae = quick().fit(library(X))
    with pytest.raises(ValueError, match="unseen at fit time:\n- c"):
        ae.transform(library(X | {"c": [1] * 40}))
    with pytest.raises(ValueError, match=r"infinity.*'a'"):
        quick().fit(library(X | {"a": [np.inf, 1.0] * 20}))
    with pytest.raises(ValueError, match="Column 'b' had values of type str"):
        ae.score_samples(library({"a": [1.0], "b": [2.0]}))
    with pytest.raises(ValueError, match="minimum of 2"):
        quick().fit(library({"a": [1.0], "b": ["x"]}))


@pytest.mark.any_data
@pytest.mark.parametrize(
    "columns",
    [
        {"c": ["a", "b", "c"] * 10},
        {"c": ["a"] * 30},
        {"c": ["a"] * 30, "n": [None] * 30},
        {"c": [f"level {i}" for i in range(30)]},
    ],
    ids=["no number", "one level", "one level and nothing", "all different"],
)
def test_tables_with_little_to_learn(columns, quick):
    X = pd.DataFrame(columns)
    ae = quick().fit(X)
    assert np.isfinite(ae.transform(X)).all()
    assert_valid(ae.reconstruct(X), X)


# Columns of types that data come in


def _growing(dates, n_rows=400):
    """A number that grows with the day."""
    noise = 0.05 * data_rng().normal(size=n_rows)
    return pd.DataFrame({"day": dates, "x": 0.01 * np.arange(n_rows) + noise})


_DAYS = pd.date_range("2024-01-01", periods=400)
_DATES = {
    "datetime64": _DAYS,
    "date": pd.Series(list(_DAYS.date), dtype=object),
    "datetime": pd.Series(list(_DAYS.to_pydatetime()), dtype=object),
    "string": _DAYS.strftime("%Y-%m-%d"),
    "Period": pd.Series(_DAYS.to_period("D")),
}


_SMALL = {"hidden_layer_sizes": (32,), "random_state": 0}


@pytest.fixture(scope="module")
def of_datetimes():
    """Codes, and days that are imputed, of a table of datetime64."""
    X = _growing(_DAYS)
    holed = X.copy()
    holed.loc[::5, "day"] = None
    ae = AutoencoderTransformer(1, **_SMALL, max_iter=30).fit(X)
    imputer = AEImputer(n_steps=100, **_SMALL).fit(holed)
    return ae.transform(X), pd.to_datetime(ae.reconstruct(X)["day"]), imputer.transform(holed)


@pytest.mark.parametrize(
    "name",
    [
        # A fit like that of the fixture, and days as `datetime` has them.
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("datetime64", "Period")))
        for name in _DATES
    ],
)
def test_dates_of_every_class_are_dates(name, of_datetimes):
    code, days, filled = of_datetimes
    assert np.abs((days - _DAYS).dt.days).mean() < 8
    X = _growing(_DATES[name])
    ae = AutoencoderTransformer(1, **_SMALL, max_iter=30).fit(X)
    assert_array_equal(ae.transform(X), code)
    back = ae.reconstruct(X)["day"]
    assert set(map(type, back)) == set(map(type, X["day"]))
    assert_array_equal(pd.to_datetime(back.astype(str)), days)
    holed = X.copy()
    holed.loc[::5, "day"] = None
    imputed = AEImputer(n_steps=100, **_SMALL).fit(holed).transform(holed)
    assert_array_equal(pd.to_datetime(imputed["day"].astype(str)), filled["day"])
    assert set(map(type, imputed["day"])) == set(map(type, X["day"]))
    assert ae.score(X) > 0.99


def _with_keys(n_rows=300):
    """Two numbers that belong together, and columns that nothing follows from."""
    rng = data_rng()
    size = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "key": [f"order {i}" for i in rng.permutation(n_rows)],
            "size": size,
            "weight": 2 * size + 0.1 * rng.normal(size=n_rows),
            "note": [f"see {i}, {i % 7}" for i in range(n_rows)],
            "colour": rng.choice(["red", "blue"], n_rows),
        }
    )


_KEYS = ["key", "note"]


@pytest.mark.any_data
@pytest.mark.parametrize("kind", [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer])
def test_identifiers_do_not_count(kind):
    X = _with_keys()
    with pytest.warns(UserWarning, match="identifiers or free text: 'key'.*'note'") as caught:
        ae = kind(**QUICK).fit(X)
    assert sum("identifiers" in str(each.message) for each in caught) == 1
    without = kind(**QUICK).fit(X.drop(columns=_KEYS))
    plain = X.drop(columns=_KEYS)
    assert_array_equal(ae.transform(X), without.transform(plain))
    assert ae.score(X) == without.score(plain)
    assert_array_equal(ae.score_samples(X), without.score_samples(plain))
    back = ae.reconstruct(X)
    assert back[_KEYS].isna().all(axis=None)
    assert back.drop(columns=_KEYS).equals(without.reconstruct(plain))
    new = X.assign(key=X["key"] + " new", note=None)
    assert_array_equal(ae.score_samples(new), ae.score_samples(X))


@pytest.mark.any_data
def test_identifiers_do_not_count_in_other_estimators():
    X = _with_keys()
    plain, y = X.drop(columns=_KEYS), (X["size"] > 0).astype(int)

    def make_classifier():
        return AEClassifier(AutoencoderTransformer(**QUICK), random_state=0, n_jobs=1)

    with pytest.warns(UserWarning, match="identifiers") as caught:
        classifier = make_classifier().fit(X, y)
    assert sum("identifiers" in str(each.message) for each in caught) == 1
    other = make_classifier().fit(plain, y)
    assert_array_equal(classifier.predict_proba(X), other.predict_proba(plain))
    holed = X.copy()
    holed.loc[::4, ["size", "key"]] = None
    with pytest.warns(UserWarning, match="identifiers") as caught:
        imputer = AEImputer(n_steps=30, **_SMALL).fit(holed)
    assert sum("identifiers" in str(each.message) for each in caught) == 1
    filled = imputer.transform(holed)
    assert filled["key"].equals(holed["key"])
    assert list(filled.columns) == list(imputer.get_feature_names_out()) == list(X.columns)
    others = AEImputer(n_steps=30, **_SMALL).fit_transform(holed.drop(columns=_KEYS))
    assert_array_equal(filled["size"], others["size"])


def test_identifiers_in_scores_of_any_pipeline():
    """A column that comes back missing in every row is not scored."""
    X = _with_keys()
    with pytest.warns(UserWarning, match="identifiers"):
        pca = make_pipeline(TabularEncoder(), PCA(1)).fit(X)
    plain = X.drop(columns=_KEYS)
    other = make_pipeline(TabularEncoder(), PCA(1)).fit(plain)
    assert reconstruction_score(pca, X) == reconstruction_score(other, plain)
    assert_array_equal(reconstruction_error(pca, X), reconstruction_error(other, plain))


def test_dates_in_strings_are_scored_as_dates():
    X = pd.DataFrame({"day": _DAYS[:40].strftime("%Y-%m-%d")})

    class NextDay:
        def transform(self, X):
            return X

        def inverse_transform(self, X):
            return X.assign(day=_DAYS[1:41].strftime("%Y-%m-%d"))

    variance = np.arange(40).var()
    assert_allclose(reconstruction_score(NextDay(), X), 1 - 1 / variance)


@pytest.mark.any_data
@pytest.mark.parametrize(
    "kind", [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer, AEClassifier]
)
@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([None] * 20, dtype=object),
        pd.Series([None] * 20, dtype="string"),
        pd.Series([pd.NaT] * 20),
        pl.Series([None] * 20),
        pa.nulls(20),
    ],
    ids=["object", "string", "NaT", "polars", "pyarrow"],
)
def test_a_table_without_a_value_names_its_columns(kind, cells):
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame}.get(
        type(cells).__module__.partition(".")[0], pa.table
    )
    match = r"X must have a column to learn from; got 'a' \(no observed value\), 'b' \("
    with pytest.raises(ValueError, match=match):
        kind().fit(make({"a": cells, "b": cells}), np.arange(20) % 2)


@pytest.mark.any_data
def test_a_table_of_keys_alone_is_refused(quick):
    with (
        pytest.warns(UserWarning, match="identifiers"),
        pytest.raises(
            ValueError, match=r"learn from; got 'key' \(values nearly all different\)"
        ),
    ):
        quick().fit(_with_keys()[["key"]])
