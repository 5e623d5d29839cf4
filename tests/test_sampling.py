"""`VAETransformer.sample` given some values, and with missing values."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal

import skae
from data import data_rng
from settings import QUICK
from skae import VAETransformer
from tables import LIBRARIES, columns_of, people
from test_variational import START, payments

BOTH = pytest.mark.parametrize("sampling", ["residuals", "likelihood"])


def quick_vae(**params):
    """A variational autoencoder that trains in a few steps."""
    return VAETransformer(**{**QUICK, **params})


@pytest.fixture(scope="module")
def vae_of_people():
    """Fitted on a table of pandas with columns of every kind, and holes."""
    return quick_vae().fit(people(200))


@pytest.mark.any_backend
@BOTH
def test_normal_columns_have_the_conditional_distribution(sampling):
    rng = data_rng()
    factor = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [-0.5, 0.5, 0.7]])
    X = rng.normal(size=(3000, 3)) @ factor.T + np.array([1.0, 0, 5])
    mean, covariance = X.mean(axis=0), np.cov(X.T)
    vae = VAETransformer(2, sampling=sampling, **START).fit(X)
    given = np.array([[2.5, np.nan, np.nan], [np.nan, -1.0, 6.0]])
    drawn = vae.sample(2000, random_state=0, given=given).reshape(2, 2000, 3)
    for row, draws in zip(given, drawn, strict=True):
        a, b = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
        assert_array_equal(draws[:, a], np.tile(row[a], (2000, 1)))
        slope = covariance[np.ix_(b, a)] @ np.linalg.inv(covariance[np.ix_(a, a)])
        expected = mean[b] + slope @ (row[a] - mean[a])
        rest = covariance[np.ix_(b, b)] - slope @ covariance[np.ix_(a, b)]
        assert_allclose(draws[:, b].mean(axis=0), expected, atol=0.2)
        assert_allclose(np.atleast_2d(np.cov(draws[:, b].T)), rest, atol=0.25)


@pytest.mark.any_backend
def test_spikes_and_whole_numbers_are_drawn_where_they_belong():
    X = payments(600)
    vae = VAETransformer(3, max_iter=15, random_state=0).fit(X)
    rows = np.full((2, 4), np.nan)
    rows[:, 0] = 40.0, 0.0
    paid, other = vae.sample(300, random_state=0, given=rows).reshape(2, 300, 4)
    assert (paid[:, 1] == 0).mean() > 0.8 > (other[:, 1] == 0).mean()
    assert (paid[:, 2] == np.round(paid[:, 2])).all()
    assert_allclose(np.median(paid[:, 3]), 40, atol=10)
    # Draws of a row differ.
    assert len(np.unique(paid[:, 3])) > 30


@pytest.mark.any_backend
@BOTH
def test_rows_are_drawn_given_a_category(sampling):
    rng = data_rng()
    kind = rng.choice(["a", "b", "c"], 500, p=[0.5, 0.45, 0.05])
    size = np.select([kind == "a", kind == "b"], [0.0, 10.0], 30.0) + rng.normal(size=500)
    frame = pd.DataFrame({"kind": kind, "size": size, "flag": kind == "b"})
    vae = VAETransformer(2, max_iter=20, sampling=sampling, random_state=0).fit(frame)
    for name, centre in zip("abc", (0, 10, 30), strict=True):
        drawn = vae.sample(200, random_state=0, given={"kind": name})
        assert (drawn["kind"] == name).all()
        assert abs(drawn["size"].median() - centre) < 3
        assert (drawn["flag"] == (name == "b")).mean() > 0.85
        assert drawn["size"].nunique() > 100
    drawn = vae.sample(200, random_state=0, given={"flag": True, "size": 10.0})
    assert (drawn["kind"] == "b").mean() > 0.9


@pytest.mark.any_backend
def test_draws_of_each_row_come_one_after_the_other(vae_of_people):
    given = people(200)[["sex", "survived", "fare"]].iloc[[3, 8]].set_axis(["x", "y"])
    drawn = vae_of_people.sample(3, random_state=0, given=given)
    assert list(drawn.index) == ["x"] * 3 + ["y"] * 3
    assert list(drawn.columns) == list(people(60).columns)
    assert_frame_equal(drawn[given.columns].iloc[::3], given)
    assert len(vae_of_people.sample(given=given)) == 2
    assert not drawn.drop(columns="notes").isna().any(axis=None)


@pytest.mark.any_backend
def test_one_row_comes_in_any_form(vae_of_people):
    row = people(200).iloc[3]
    some = row[["age", "deck", "port", "boarded", "alone"]]
    # As Series, dict, frame of some columns, and row of objects.
    whole = people(200).iloc[[3]].copy()
    whole[[name for name in whole if name not in some.index]] = np.nan
    first, *others = (
        columns_of(vae_of_people.sample(4, random_state=0, given=given))
        for given in (some, some.to_dict(), people(200)[list(some.index)].iloc[[3]], whole)
    )
    assert first["boarded"] == [row["boarded"]] * 4
    for other in others:
        assert str(other) == str(first)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        array = vae_of_people.sample(4, random_state=0, given=whole.to_numpy(object)[0])
    assert str(columns_of(array)) == str(first)


@pytest.mark.any_backend
@pytest.mark.parametrize("library", LIBRARIES)
def test_values_come_back_as_given_in_every_library(library):
    table = people(60)
    X = LIBRARIES[library](table)
    vae = quick_vae().fit(X)
    given = table.iloc[:4].copy()
    given["age"] = [200.5, np.nan, 31.0, -7.0]  # beyond what was seen, and not whole
    given.loc[1, "sex"] = None
    drawn = vae.sample(2, random_state=0, given=given[["age", "sex", "boarded"]])
    assert type(drawn) is type(X)
    found = columns_of(drawn)
    age = [float(value) for value in found["age"]]
    assert [age[0], age[1], age[4], age[6]] == [200.5, 200.5, 31, -7]
    assert 4 <= age[2] <= 80
    sex = found["sex"]
    assert [*sex[:2], *sex[4:]] == np.repeat(given["sex"].iloc[[0, 2, 3]], 2).tolist()
    assert set(sex) == {"female", "male"}
    assert found["boarded"] == np.repeat(given["boarded"], 2).tolist()
    assert set(map(str, found["port"])) <= {"0", "1", "2"}
    # A missing value makes floats of NumPy's integers, and objects of booleans.
    holed = table.iloc[:4].where(np.tile(np.arange(4)[:, np.newaxis] != 1, 10))
    drawn = vae.sample(random_state=0, given=holed)
    assert type(drawn) is type(X)
    for name in ("survived", "alone", "boarded", "port"):
        values, expected = columns_of(drawn)[name], columns_of(X[:4])[name]
        assert values[::2] == expected[::2]
        assert type(values[1]) is type(expected[1])
    # A table of the library itself.
    again = columns_of(vae.sample(random_state=0, given=X[:4]))
    for name in ("fare", "sex", "alone", "survived", "boarded", "ship"):
        assert again[name] == columns_of(X[:4])[name]


def test_arrays_of_objects_come_back_as_given():
    X = people(60).astype(object).to_numpy()
    vae = quick_vae().fit(X)
    drawn = vae.sample(2, random_state=0, given={2: "male", 7: X[3, 7], 0: 4})
    assert drawn.dtype == object
    assert drawn[:, [0, 2, 7]].tolist() == [[4, "male", X[3, 7]]] * 2


@pytest.mark.any_backend
def test_numbers_come_back_as_arrays(blob):
    vae = quick_vae(n_components=2).fit(blob)
    row = np.full(5, np.nan)
    row[1] = 1 / 3
    one = vae.sample(3, random_state=0, given=row)
    assert one.shape == (3, 5)
    assert (one[:, 1] == 1 / 3).all()
    assert np.isfinite(one).all()
    for given in ([row], row.tolist(), {1: 1 / 3}, pd.Series({1: 1 / 3})):
        assert_array_equal(vae.sample(3, random_state=0, given=given), one)
    # A complete row has nothing to be drawn.
    assert_array_equal(vae.sample(given=blob[:2]), blob[:2])
    single = blob[:2].astype(np.float32)
    assert_array_equal(vae.sample(given=single), single)
    frame = pd.DataFrame(blob, columns=list("abcde"))
    named = quick_vae(n_components=2).fit(frame)
    assert_array_equal(named.sample(3, random_state=0, given={"b": 1 / 3}), one)
    assert_array_equal(named.sample(3, random_state=0, given=pd.DataFrame({"b": [1 / 3]})), one)


@pytest.mark.any_backend
def test_columns_far_from_zero_empty_ones_and_values_far_from_all_rows():
    rng = data_rng()
    X = rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 4)) + [0, 1e9, 0, 0]
    X[:, 2] = np.nan
    with pytest.warns(UserWarning, match=r"without any observed values: \['x2'\]"):
        vae = VAETransformer(1, standardize=True, **START).fit(X)
    drawn = vae.sample(100, random_state=0, given={1: 1e9 + 1.5})
    assert_allclose(drawn[:, [0, 3]].mean(axis=0), 1.5, atol=0.3)
    assert np.isnan(drawn[:, 2]).all()
    assert (vae.sample(random_state=0, given={0: 1.0, 2: 7.0})[:, 2] == 7).all()
    for value in (1e30, -1e300):
        far = vae.sample(3, random_state=0, given={0: value})
        assert (far[:, 0] == value).all()
        assert np.isfinite(far[:, [1, 3]]).all()


@pytest.mark.any_backend
def test_pixels_are_drawn_given_others(digits):
    images = (digits > 8).astype(float).reshape(-1, 8, 8)
    vae = quick_vae(likelihood="bernoulli").fit(images)
    half = images[:3].copy()
    half[:, 4:] = np.nan
    drawn = vae.sample(2, random_state=0, given=half)
    assert drawn.shape == (6, 8, 8)
    assert_array_equal(drawn[:, :4], np.repeat(half[:, :4], 2, axis=0))
    assert set(np.unique(drawn)) == {0, 1}
    assert_array_equal(vae.sample(2, random_state=0, given=half[0]).shape, (2, 8, 8))
    means = vae.sample(2, random_state=0, given=half, noise=False)
    assert len(np.unique(means)) > 10


@pytest.mark.any_backend
def test_rows_without_values_are_drawn_as_all_others(blob):
    vae = quick_vae(n_components=2, **START).fit(blob)
    rows = vae.sample(2000, random_state=0, given=np.full((2, 5), np.nan))
    assert_allclose(rows.mean(axis=0), blob.mean(axis=0), atol=0.3)
    assert_allclose(np.cov(rows.T), np.cov(blob.T), atol=0.6)


@pytest.mark.any_backend
def test_conditional_draws_come_from_random_state(vae_of_people):
    given = {"sex": "male"}
    before = np.random.get_state()[1].copy()
    first, again = (vae_of_people.sample(5, random_state=1, given=given) for _ in range(2))
    assert_frame_equal(first, again)
    assert not first.equals(vae_of_people.sample(5, random_state=2, given=given))
    vae_of_people.sample(given=given)
    assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sox": "male", "age": 3}, "columns that VAETransformer was not fitted on: 'sox'"),
        (pd.DataFrame({"a": [1]}), "not fitted on: 'a'. It was fitted on 'age', 'fare'"),
        ({"sex": "none"}, "column 'sex' that were not seen in fit: 'none'"),
        ({"age": np.inf}, "infinity"),
        ({"age": "old"}, "had values of type number in fit, and has values of type str now"),
        (np.full((2, 3), np.nan), r"one row or rows of shape \(10,\).*got an array of shape"),
        (3.0, r"one row or rows of shape \(10,\)"),
        (people(60)[:0], "0 sample"),
    ],
)
def test_what_cannot_be_given(vae_of_people, given, message):
    with pytest.raises(ValueError, match=message):
        vae_of_people.sample(given=given)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({5: 1.0}, r"not fitted on: 5. It was fitted on 0, 1, 2, 3, 4\."),
        ([[1.0, np.nan]], r"rows of shape \(5,\)"),
        ([1.0, np.inf, 0, 0, 0], "infinity"),
        (["a", 1, 1, 1, 1], "number"),
    ],
)
def test_what_cannot_be_given_of_numbers(blob, given, message):
    vae = quick_vae(n_components=2).fit(blob)
    with pytest.raises(ValueError, match=message):
        vae.sample(given=given)


def test_zeros_of_sparse_rows_are_not_missing():
    from scipy.sparse import csr_array

    X = data_rng().normal(size=(30, 4))
    vae = quick_vae(n_components=2).fit(X)
    with pytest.raises(TypeError, match="given must be dense"):
        vae.sample(given=csr_array(X))


# Missing values


def holed(n_samples=800):
    """Numbers, two of which are missing together; a third where the first is large."""
    rng = data_rng()
    X = rng.normal(size=(n_samples, 1)) + 0.3 * rng.normal(size=(n_samples, 5))
    X[rng.uniform(size=n_samples) < 0.3, 1:3] = np.nan
    X[X[:, 0] > 1, 4] = np.nan
    return X


@pytest.mark.any_backend
@pytest.mark.parametrize("as_table", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_values_are_missing_as_often_and_together_as_in_the_rows(as_table):
    X = holed()
    columns = {"kind": np.where(X[:, 0] > 0, "high", "low")} if as_table else {}
    data = pd.DataFrame(X, columns=list("abcde")).assign(**columns) if as_table else X
    vae = VAETransformer(2, max_iter=15, random_state=0).fit(data)
    drawn = vae.sample(4000, random_state=0, draw_missing=True)
    missing = np.isnan(np.asarray(drawn.iloc[:, :5] if as_table else drawn, dtype=float))
    assert_allclose(missing.mean(axis=0), np.isnan(X).mean(axis=0), atol=0.03)
    assert_array_equal(missing[:, 1], missing[:, 2])
    assert not missing[:, [0, 3]].any()
    values = np.asarray(drawn)
    high = values[missing[:, 4], 0].astype(float)
    assert high.mean() > values[~missing[:, 4], 0].astype(float).mean() + 0.8
    if as_table:
        assert drawn["kind"].notna().all()
    complete = np.asarray(vae.sample(50, random_state=0))[:, :5].astype(float)
    assert np.isfinite(complete).all()


@pytest.mark.any_backend
def test_given_values_are_never_missing():
    X = holed()
    vae = VAETransformer(2, max_iter=15, random_state=0).fit(X)
    given = np.full((200, 5), np.nan)
    given[:, 1], given[100:, 0] = 0.5, -1.0
    drawn = vae.sample(random_state=0, given=given, draw_missing=True)
    assert (drawn[:, 1] == 0.5).all()
    assert np.isnan(drawn[:, 2]).any()
    assert np.isnan(drawn[100:, 4]).mean() < 0.1


@pytest.mark.any_backend
def test_saved_estimators_draw_the_same(tmp_path):
    vae = VAETransformer(2, max_iter=3, tol=None, random_state=0).fit(holed(200))
    skae.save(vae, tmp_path / "vae.skae")
    loaded = skae.load(tmp_path / "vae.skae")
    options = {"random_state": 0, "given": {0: 1.0}, "draw_missing": True}
    assert_array_equal(*(each.sample(9, **options) for each in (vae, loaded)))


@pytest.mark.any_backend
def test_missing_values_need_training_rows(blob):
    vae = quick_vae(n_components=2, sampling="likelihood").fit(blob)
    with pytest.raises(ValueError, match="draw_missing=True needs noise=True and the training"):
        vae.sample(draw_missing=True)
    vae = quick_vae(n_components=2).fit(blob)
    with pytest.raises(ValueError, match="draw_missing=True needs noise=True and the training"):
        vae.sample(draw_missing=True, noise=False)
    assert np.isfinite(vae.sample(5, random_state=0, draw_missing=True)).all()
    with pytest.raises(ValueError, match="'draw_missing' parameter of sample must be"):
        vae.sample(draw_missing="yes")


def test_series_of_other_libraries_are_rows(blob):
    pl = pytest.importorskip("polars")
    vae = quick_vae(n_components=2).fit(blob)
    row = pl.Series([1.0, None, None, 2.0, None])
    drawn = pd.DataFrame(vae.sample(2, random_state=0, given=row))
    assert_series_equal(drawn[0], pd.Series([1.0, 1.0]), check_names=False)
