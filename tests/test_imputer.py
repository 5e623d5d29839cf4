"""AEImputer: what is filled, what is kept, in which form, and how well."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from data import data_rng
from skae import AEImputer
from skae.imputation._predictors import Gaussian, NormalScores, hide_values
from skae.imputation._stacking import stacking_weights
from tables import LIBRARIES, columns_of, people

QUICK = {"hidden_layer_sizes": (8,), "n_estimators": 1, "n_steps": 10, "random_state": 0}


def holed(X, rate=0.2, seed=0):
    """X with NaN at a share of the values."""
    gone = np.random.RandomState(seed).uniform(size=X.shape) < rate
    return np.where(gone, np.nan, X), gone


@pytest.fixture(scope="module")
def numbers():
    """Rows of four columns that follow from two, and are not linear in them."""
    a, b = data_rng().normal(size=(2, 300))
    return np.column_stack([a, b, a * b, np.exp(a)])


@pytest.fixture(params=LIBRARIES)
def table(request):
    return LIBRARIES[request.param](people().drop(columns="notes"))


def missing_in(values):
    return pd.isna(pd.Series(list(values), dtype=object)).to_numpy()


# What is kept


def test_only_missing_values_change(numbers):
    X, gone = holed(numbers)
    before = X.copy()
    filled = AEImputer(**QUICK).fit_transform(X)
    assert_array_equal(X, before)
    assert_array_equal(filled[~gone], X[~gone])
    assert np.isfinite(filled).all()


@pytest.mark.any_backend
def test_complete_rows_are_returned(numbers):
    imputer = AEImputer(**QUICK).fit(numbers)
    filled = imputer.transform(numbers)
    assert_array_equal(filled, numbers)
    assert not np.shares_memory(filled, numbers)


@pytest.mark.any_backend
def test_filled_numbers_lie_within_the_range_seen(numbers):
    X, gone = holed(numbers)
    filled = AEImputer(**QUICK).fit_transform(X)
    for j in range(X.shape[1]):
        values = filled[gone[:, j], j]
        assert values.min() >= np.nanmin(X[:, j])
        assert values.max() <= np.nanmax(X[:, j])


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_arrays_is_kept(numbers, dtype):
    X, _ = holed(numbers)
    assert AEImputer(**QUICK).fit_transform(X.astype(dtype)).dtype == dtype


# Tables


@pytest.mark.any_data
@pytest.mark.any_backend
def test_tables_come_back_in_their_library_and_dtypes(table):
    imputer = AEImputer(**QUICK).fit(table)
    filled = imputer.transform(table)
    assert type(filled) is type(table)
    before, after = columns_of(table), columns_of(filled)
    assert list(before) == list(after)
    for name, values in before.items():
        empty = missing_in(values)
        pairs = [(a, b) for a, b, e in zip(values, after[name], empty, strict=True) if not e]
        assert all(a == b for a, b in pairs), name
        assert not missing_in(after[name]).any(), name
        if name != "age":
            assert set(after[name]) <= {a for a, _ in pairs}, name


@pytest.mark.any_data
@pytest.mark.any_backend
def test_dtypes_of_frames_are_kept():
    frame = people().drop(columns="notes").convert_dtypes()
    filled = AEImputer(**QUICK).fit_transform(frame)
    assert_array_equal(filled.dtypes, frame.dtypes)
    assert_array_equal(filled.index, frame.index)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_index_of_pandas_is_kept():
    frame = people().drop(columns="notes")
    frame.index = np.arange(len(frame))[::-1] + 100
    filled = AEImputer(**QUICK).fit_transform(frame)
    assert_array_equal(filled.index, frame.index)
    known = frame["age"].notna()
    assert_array_equal(filled.loc[known, "age"], frame.loc[known, "age"])


@pytest.mark.any_data
@pytest.mark.any_backend
def test_whole_numbers_stay_whole_in_frames():
    filled = AEImputer(**QUICK).fit_transform(people()[["age", "fare", "sex"]])
    assert_array_equal(filled["age"], filled["age"].round())


@pytest.mark.any_backend
def test_declared_categories_are_levels(numbers):
    X = np.column_stack([numbers, (numbers[:, 0] > 0) + 2.0 * (numbers[:, 1] > 0)])
    X, _ = holed(X)
    filled = AEImputer(categorical_features=[4], **QUICK).fit_transform(X)
    assert set(filled[:, 4]) == {0.0, 1.0, 2.0, 3.0}
    frame = pd.DataFrame(X, columns=list("abcde"))
    named = AEImputer(categorical_features=["e"], **QUICK).fit_transform(frame)
    assert_array_equal(named["e"], filled[:, 4])


@pytest.mark.any_data
@pytest.mark.any_backend
def test_unknown_levels_stay():
    frame = people().drop(columns="notes")
    imputer = AEImputer(**QUICK).fit(frame)
    new = frame[:4].copy()
    new.loc[0, "deck"], new.loc[1, "deck"] = "Z", None
    filled = imputer.transform(new)
    assert filled["deck"][0] == "Z"
    assert filled["deck"][1] in set("ABCD")


@pytest.mark.any_data
@pytest.mark.any_backend
def test_objects_in_arrays():
    X = np.array([["a", 1.0], ["b", 2.0], [np.nan, 1.0], ["b", np.nan]] * 10, dtype=object)
    filled = AEImputer(**QUICK).fit_transform(X)
    assert set(filled[:, 0]) == {"a", "b"}
    assert filled[2, 0] == "a"
    assert_array_equal(filled[:2], X[:2])


# New rows


def test_new_rows_with_other_missing_values(numbers):
    imputer = AEImputer(**QUICK).fit(numbers)
    X, gone = holed(numbers[:20], 0.5)
    filled = imputer.transform(X)
    assert_array_equal(filled[~gone], X[~gone])
    assert np.isfinite(filled).all()


@pytest.mark.any_backend
def test_rows_with_everything_missing_are_near_the_mean(numbers):
    imputer = AEImputer(**QUICK).fit(numbers)
    filled = imputer.transform(np.full((2, 4), np.nan))
    assert_allclose(filled[0], filled[1])
    assert (np.abs(filled[0] - numbers.mean(axis=0)) < numbers.std(axis=0)).all()


@pytest.mark.any_backend
def test_a_row_is_filled_alike_alone_and_among_others(numbers):
    X, _ = holed(numbers)
    imputer = AEImputer(**QUICK).fit(X)
    alone = np.vstack([imputer.transform(X[i : i + 1]) for i in range(5)])
    assert_allclose(alone, imputer.transform(X)[:5], atol=1e-5)


# As scikit-learn's imputers


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("keep", [False, True])
def test_empty_columns(numbers, keep):
    X, _ = holed(numbers)
    X[:, 1] = np.nan
    imputer = AEImputer(keep_empty_features=keep, **QUICK).fit(X)
    if keep:
        filled = imputer.transform(X)
        assert filled.shape == X.shape
        assert_array_equal(filled[:, 1], 0)
    else:
        with pytest.warns(UserWarning, match=r"without any observed values: \['x1'\]"):
            filled = imputer.transform(X)
        assert filled.shape == (300, 3)
    assert not np.isnan(filled).any()
    assert len(imputer.get_feature_names_out()) == filled.shape[1]


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.filterwarnings("ignore:Skipping features")
def test_nothing_but_empty_columns():
    X = np.full((12, 2), np.nan)
    assert AEImputer(**QUICK).fit_transform(X).shape == (12, 0)
    filled = AEImputer(keep_empty_features=True, **QUICK).fit_transform(X)
    assert_array_equal(filled, np.zeros((12, 2)))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_empty_columns_of_frames():
    frame = people()
    imputer = AEImputer(**QUICK).fit(frame)
    with pytest.warns(UserWarning, match="notes"):
        filled = imputer.transform(frame)
    assert list(filled.columns) == list(frame.columns.drop("notes"))
    filled = AEImputer(keep_empty_features=True, **QUICK).fit_transform(frame)
    assert_array_equal(filled["notes"], 0)


@pytest.mark.any_backend
@pytest.mark.parametrize("missing_values", [-1.0, 0.5])
def test_another_mark_of_missing_values(numbers, missing_values):
    X, gone = holed(numbers)
    expected = AEImputer(**QUICK).fit_transform(X)
    marked = np.where(gone, missing_values, numbers)
    imputer = AEImputer(missing_values=missing_values, **QUICK)
    assert_array_equal(imputer.fit_transform(marked), expected)
    with pytest.raises(ValueError, match="contains NaN"):
        imputer.fit(X)


@pytest.mark.any_backend
def test_a_word_that_marks_missing_values():
    frame = people()[["sex", "deck", "fare"]].fillna("?")
    filled = AEImputer(missing_values="?", **QUICK).fit_transform(frame)
    assert set(filled["deck"]) == set("ABCD")
    expected = AEImputer(**QUICK).fit_transform(people()[["sex", "deck", "fare"]])
    assert_array_equal(filled["deck"], expected["deck"])


@pytest.mark.any_data
@pytest.mark.any_backend
def test_integers_with_a_mark():
    X = data_rng().randint(0, 5, (40, 3))
    X[::7, 0] = -1
    filled = AEImputer(missing_values=-1, **QUICK).fit_transform(X)
    assert (filled[::7, 0] >= 0).all()
    assert_array_equal(filled[1:7], X[1:7])


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_none_nan_and_na_are_all_missing(missing):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0] * 5, "b": [missing, "x", "y", "x"] * 5})
    filled = AEImputer(missing_values=missing, **QUICK).fit_transform(frame)
    assert set(filled["b"]) == {"x", "y"}


@pytest.mark.any_data
@pytest.mark.any_backend
def test_indicators_of_arrays(numbers):
    X, gone = holed(numbers)
    X[:, 2], gone[:, 2] = numbers[:, 2], False
    imputer = AEImputer(add_indicator=True, **QUICK).fit(X)
    filled = imputer.transform(X)
    assert_array_equal(filled[:, 4:], gone[:, [0, 1, 3]])
    names = imputer.get_feature_names_out()
    assert list(names[4:]) == [f"missingindicator_x{j}" for j in (0, 1, 3)]


@pytest.mark.any_data
@pytest.mark.any_backend
def test_indicators_of_tables(table):
    imputer = AEImputer(add_indicator=True, **QUICK).fit(table)
    filled = columns_of(imputer.transform(table))
    assert list(filled) == list(imputer.get_feature_names_out())
    deck = columns_of(table)["deck"]
    assert_array_equal(filled["missingindicator_deck"], missing_in(deck))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_set_output(numbers):
    X, _ = holed(numbers)
    plain = AEImputer(**QUICK).fit_transform(X)
    framed = AEImputer(**QUICK).set_output(transform="pandas").fit_transform(X)
    assert list(framed.columns) == ["x0", "x1", "x2", "x3"]
    assert_array_equal(framed, plain)
    polar = AEImputer(**QUICK).set_output(transform="polars").fit_transform(X)
    assert isinstance(polar, pl.DataFrame)


@pytest.mark.any_backend
def test_in_a_pipeline(numbers):
    X, _ = holed(numbers)
    y = numbers[:, 2] > 0
    pipeline = make_pipeline(AEImputer(**QUICK), LogisticRegression()).fit(X, y)
    assert pipeline.score(X, y) > 0.8


@pytest.mark.any_backend
def test_transform_wants_a_fit(numbers):
    with pytest.raises(NotFittedError):
        AEImputer().transform(numbers)
    with pytest.raises(NotFittedError):
        AEImputer().get_feature_names_out()


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_estimators": 0}, "n_estimators"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes"),
        ({"activation": "sine"}, "activation"),
        ({"categorical_features": ["z"]}, "categorical_features"),
    ],
)
def test_parameters_are_checked(numbers, parameters, message):
    with pytest.raises(ValueError, match=message):
        AEImputer(**{**QUICK, **parameters}).fit(numbers)


@pytest.mark.any_backend
def test_a_failed_fit_loses_nothing(numbers):
    imputer = AEImputer(**QUICK).fit(numbers)
    X, _ = holed(numbers)
    before = imputer.transform(X)
    with pytest.raises(ValueError, match="infinity"):
        imputer.fit(np.where(np.isnan(X), np.inf, X))
    assert_array_equal(imputer.transform(X), before)


# The same again


def test_the_same_seed_gives_the_same(numbers):
    X, _ = holed(numbers)
    imputer = AEImputer(**QUICK)
    first = imputer.fit_transform(X)
    assert_array_equal(clone(imputer).fit_transform(X), first)
    assert_array_equal(pickle.loads(pickle.dumps(imputer)).transform(X), first)


def test_global_generators_stay(numbers):
    before = np.random.get_state()[1].copy()
    AEImputer(**{**QUICK, "random_state": None}).fit(numbers)
    assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("n_rows", [1, 2, 9, 12])
def test_few_rows(numbers, n_rows):
    X = numbers[:n_rows].copy()
    X[0, 0] = np.nan
    filled = AEImputer(keep_empty_features=True, **QUICK).fit_transform(X)
    assert np.isfinite(filled).all()


@pytest.mark.any_backend
def test_one_column_is_filled_with_its_mean():
    x = data_rng().normal(size=(50, 1))
    x[:5] = np.nan
    filled = AEImputer(**QUICK).fit_transform(x)
    assert_allclose(filled[:5], np.nanmean(x), atol=0.3)


@pytest.mark.any_backend
def test_constant_columns():
    X = np.column_stack([np.full(40, 3.0), data_rng().normal(size=(40, 2))])
    X[4:8, 0] = np.nan
    assert_array_equal(AEImputer(**QUICK).fit_transform(X)[:, 0], 3.0)


# How well


def error(filled, true, gone):
    scale = true.std(axis=0)
    return np.sqrt(np.mean(np.square((filled - true) / scale)[gone]))


def test_nonlinear_columns_are_filled_better_than_linearly(numbers):
    X, gone = holed(numbers)
    imputer = AEImputer(n_steps=150, random_state=0).fit(X)
    filled = imputer.transform(X)
    zeros, observed = np.nan_to_num(X), ~np.isnan(X)
    linear = Gaussian.from_data(zeros, observed, data_rng()).fill(zeros, observed)
    assert error(filled, numbers, gone) < 0.9 * error(linear, numbers, gone)
    assert np.isfinite(imputer.loss_curve_).all()


@pytest.mark.any_backend
def test_linear_columns_are_as_good_as_linear():
    rng = data_rng()
    true = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 6)) + 0.1 * rng.normal(size=(200, 6))
    X, gone = holed(true)
    linear = Gaussian.from_data(np.nan_to_num(X), ~gone, rng).fill(np.nan_to_num(X), ~gone)
    filled = AEImputer(n_steps=50, random_state=0).fit_transform(X)
    assert error(filled, true, gone) < 1.1 * error(linear, true, gone)


@pytest.mark.any_backend
def test_values_missing_by_their_size_are_less_biased():
    rng = data_rng()
    true = rng.normal(size=(600, 1)) + 0.7 * rng.normal(size=(600, 4))
    gone = np.zeros(true.shape, dtype=bool)
    gone[:, 0] = rng.uniform(size=600) < 0.8 / (1 + np.exp(-3 * true[:, 0]))
    X = np.where(gone, np.nan, true)
    imputer = AEImputer(n_steps=50, n_estimators=1, random_state=0).fit(X)
    filled = imputer.transform(X)[gone].mean()
    draws = np.mean([drawn[gone].mean() for drawn in imputer.sample(X, 5, random_state=0)])
    model = imputer._imputation.fold_models[0]
    object.__setattr__(model.neighbors, "log_odds", None)
    plain = imputer.transform(X)[gone].mean()
    assert plain < filled
    assert abs(filled - true[gone].mean()) < 0.7 * abs(plain - true[gone].mean())
    assert abs(draws - filled) < 0.15


@pytest.mark.any_backend
def test_many_columns():
    rng = data_rng()
    true = np.tanh(rng.normal(size=(90, 4)) @ rng.normal(size=(4, 140)))
    true += 0.3 * rng.normal(size=true.shape)
    X, gone = holed(true)
    imputer = AEImputer(**QUICK).fit(X)
    filled = imputer.transform(X)
    assert np.isfinite(filled).all()
    assert_array_equal(filled[~gone], X[~gone])
    mean = np.broadcast_to(np.nanmean(X, axis=0), X.shape)
    assert error(filled, true, gone) < 0.7 * error(mean, true, gone)
    first, second = imputer.sample(X, 2, random_state=0)
    assert_array_equal(first[~gone], X[~gone])
    assert np.isfinite(first).all()
    assert (first != second)[gone].mean() > 0.9


@pytest.mark.any_backend
def test_of_very_many_rows_some_are_used_and_the_range_of_all(numbers, monkeypatch):
    X, gone = holed(numbers)
    monkeypatch.setattr("skae.imputation._stacking._MOST_ROWS", 100)
    imputer = AEImputer(**QUICK | {"n_steps": 1, "batch_size": 60}).fit(X)
    neighbors = imputer._imputation.fold_models[0].neighbors
    assert len(neighbors.reference) == 120  # twice the rows of the steps
    Z, blocks = imputer.encoder_.transform(X), imputer.encoder_.blocks_
    observed = [Z[~gone[:, j], blocks[j].start] for j in range(4)]
    assert_array_equal(imputer._imputation.low, [column.min() for column in observed])
    assert_array_equal(imputer._imputation.high, [column.max() for column in observed])


@pytest.mark.any_backend
def test_complete_rows_are_not_imputed(numbers, monkeypatch):
    imputer = AEImputer(**QUICK).fit(holed(numbers)[0])

    def fail(*_):
        raise AssertionError("complete rows need no prediction")

    monkeypatch.setattr("skae.imputation._imputer.Imputation.__call__", fail)
    assert_array_equal(imputer.transform(numbers), numbers)


@pytest.mark.any_backend
def test_rows_are_filled_a_part_at_a_time(numbers, monkeypatch):
    X, _ = holed(numbers)
    imputer = AEImputer(**QUICK).fit(X)
    filled = imputer.transform(X)
    monkeypatch.setattr("skae.imputation._imputer._PART_VALUES", 4 * 70)
    monkeypatch.setattr("skae.imputation._imputer._LEAST_PART", 10)
    # Single precision in the network, whose products depend on the number of rows.
    assert_allclose(imputer.transform(X), filled, rtol=1e-5, atol=1e-5)


@pytest.mark.any_backend
def test_memory_besides_a_long_array():
    X = data_rng().normal(size=(200_000, 5))
    X[::50, 1] = np.nan
    imputer = AEImputer(**QUICK).fit(X[:1000])
    tracemalloc.start()
    filled = imputer.transform(X)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert filled.nbytes == X.nbytes
    # The filled array, and a few flags for each value.
    assert most < 2 * X.nbytes


# Draws


def test_draws_vary_where_values_are_missing(numbers):
    X, gone = holed(numbers)
    imputer = AEImputer(**QUICK).fit(X)
    draws = np.array(imputer.sample(X, 4, random_state=0))
    assert draws.shape == (4, *X.shape)
    assert_array_equal(draws[:, ~gone], np.broadcast_to(X[~gone], (4, (~gone).sum())))
    assert (draws.std(axis=0)[gone] > 0).mean() > 0.9
    assert_array_equal(np.array(imputer.sample(X, 4, random_state=0)), draws)


@pytest.mark.any_backend
def test_draws_vary_about_as_much_as_the_values():
    x, noise = data_rng().normal(size=(2, 400))
    true = np.column_stack([x, x + noise])
    X = true.copy()
    X[::2, 1] = np.nan
    imputer = AEImputer(n_steps=100, n_estimators=1, random_state=0).fit(X)
    draws = np.array(imputer.sample(X, 20, random_state=0))[:, ::2, 1]
    ratio = draws.std(axis=1).mean() / true[1::2, 1].std()
    assert 0.8 < ratio < 1.2
    assert imputer.transform(X)[::2, 1].std() < 0.95 * draws.std(axis=1).mean()


@pytest.mark.any_data
@pytest.mark.any_backend
def test_draws_of_tables(table):
    imputer = AEImputer(**QUICK).fit(table)
    first, _ = imputer.sample(table, 2, random_state=0)
    assert type(first) is type(table)
    assert set(columns_of(first)["deck"]) <= {*columns_of(table)["deck"]} - {None}


# Parts


@pytest.mark.any_backend
def test_normal_scores_go_back(numbers):
    scores = NormalScores.from_data(numbers, np.ones(numbers.shape, bool))
    Z = scores.transform(numbers)
    assert_allclose(Z.mean(axis=0), 0, atol=0.05)
    assert_allclose(scores.inverse_transform(Z), numbers, atol=0.2)


@pytest.mark.any_backend
def test_conditional_means_are_those_of_the_regression():
    rng = data_rng()
    X = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3))
    model = Gaussian.from_data(X, np.ones(X.shape, bool), rng)
    observed = np.ones(X.shape, bool)
    observed[:, 0] = False
    design = np.column_stack([np.ones(500), X[:, 1:]])
    fitted = design @ np.linalg.lstsq(design, X[:, 0], rcond=None)[0]
    mean_error = np.square(model.fill(X, observed)[:, 0] - fitted).mean()
    assert mean_error < 0.01 * X[:, 0].var()


# What it learns from


@pytest.mark.any_backend
def test_values_are_hidden_as_rows_miss_them():
    """Of complete rows, values of the column that others miss are hidden more often."""
    n = 20_000
    observed = np.ones((n, 2), bool)
    observed[n // 2 :, 0] = False
    visible = hide_values(observed, np.random.RandomState(0))
    assert not (visible & ~observed).any()
    gone = 1 - visible[: n // 2].mean(axis=0)
    # Half of the rows lose values at a rate of up to 0.7; the others at one of up to 0.3, and
    # what another row misses, which is the first value in half of them.
    assert_allclose(gone, [(0.35 + 1 - 0.5 * 0.85) / 2, (0.35 + 0.15) / 2], atol=0.02)


@pytest.mark.any_backend
def test_stacking_weights_are_those_of_a_ridge_regression():
    """Ridge regression to equal shares, which are not negative and add up to one."""
    rng = data_rng()
    target = rng.normal(size=400)
    predictions = target[:, None] + rng.normal(size=(400, 3)) * [0.1, 0.1, 5]
    weights = stacking_weights(predictions, target)
    assert_allclose(weights.sum(), 1)
    assert_allclose(weights, [0.5, 0.5, 0], atol=0.06)
    assert_allclose(stacking_weights(predictions[:3], target[:3]), np.full(3, 1 / 3))
    prior = target.var() * (0.005 * 400 + 1.25)
    # By Lagrange, where no weight is zero.
    predictions = target[:, None] + rng.normal(size=(400, 2))
    matrix = np.zeros((3, 3))
    matrix[:2, :2] = predictions.T @ predictions + prior * np.eye(2)
    matrix[2, :2] = matrix[:2, 2] = 1
    expected = np.linalg.solve(matrix, [*(predictions.T @ target + prior / 2), 1])[:2]
    assert_allclose(stacking_weights(predictions, target), expected, atol=1e-4)


@pytest.mark.any_backend
def test_the_weights_of_the_predictions_of_each_column(numbers):
    X, _ = holed(np.column_stack([numbers, np.full(len(numbers), np.nan)]))
    with pytest.raises(NotFittedError):
        _ = AEImputer().stacking_weights_
    imputer = AEImputer(**QUICK | {"n_estimators": 2}).fit(X)
    weights = imputer.stacking_weights_
    assert weights.shape == (5, 4)
    assert np.isnan(weights[4]).all()
    models = imputer._imputation.fold_models
    expected = np.mean([model.stacking_weights for model in models], axis=0).T
    assert_allclose(weights[:4], expected)
    # The normal distributions alone: too few rows.
    few = AEImputer(**QUICK).fit(numbers[:5])
    assert_allclose(few.stacking_weights_, [[0.5, 0.5, 0, 0]] * 4)
