"""Rows and names: what comes in stays as it is, and what comes out is new and unique."""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from saved_estimators import OF_NUMBERS, OF_TABLES, QUICK_IMPUTER, answers, with_missing
from skae import AEImputer
from skae.tables import TabularEncoder
from skae.utils._arrays import unique_names
from tables import LIBRARIES, columns_of, people

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]


def imputer(**parameters):
    return AEImputer(**{**QUICK_IMPUTER, **parameters})


def whole():
    """A table without missing values."""
    return people().drop(columns=["notes", "deck", "age"])


# Rows


def overwrite(value):
    """Write into all that can be written into."""
    if isinstance(value, np.ndarray) and value.size:
        value.flags.writeable = True
        value[...] = value.ravel()[-1]
    elif isinstance(value, pd.DataFrame):
        for name in value.columns:
            if isinstance(value[name].dtype, np.dtype):
                overwrite(value[name].to_numpy())
        value.columns = [f"new {name}" for name in value.columns]
    elif isinstance(value, pl.DataFrame):
        value.columns = [f"new {name}" for name in value.columns]
    elif isinstance(value, list | tuple):
        for part in value:
            overwrite(part)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        # What is missing is marked before any of the autoencoders sees it.
        pytest.param(
            name,
            missing,
            marks=[pytest.mark.slow] * (missing and name in ("denoising", "variational")),
        )
        for missing in (False, True)
        for name in ("plain", "denoising", "variational", "classifier", "detector", "imputer")
    ],
)
def test_arrays_are_left_alone(name, missing, digits):
    X = digits[:80, : 12 if name == "imputer" else 64].copy()
    if missing:
        X = with_missing(X)
    before = X.copy()
    estimator = OF_NUMBERS[name]().fit(X, np.arange(80) % 2)
    results = answers(estimator, X)
    assert_array_equal(X, before)
    overwrite(list(results.values()))
    assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("name", "library"),
    [
        # A table of each library is read by each estimator in the same way.
        pytest.param(
            name,
            library,
            marks=[pytest.mark.slow]
            * (library != "pandas" and name not in ("encoder", "plain", "imputer")),
        )
        for library in LIBRARIES
        for name in OF_TABLES
    ],
)
def test_tables_are_left_alone(name, library):
    X = LIBRARIES[library](people())
    before, names = columns_of(X), list(columns_of(X))
    estimator = OF_TABLES[name]().fit(X, np.arange(60) % 2)
    overwrite(list(answers(estimator, X).values()))
    assert list(columns_of(X)) == names
    assert columns_of(X) == before


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_table_without_missing_values_is_copied(library):
    X = LIBRARIES[library](whole())
    before = columns_of(X)
    filled = imputer().fit(X).transform(X)
    assert columns_of(filled) == before
    overwrite(filled)
    assert columns_of(X) == before


def test_arrays_without_missing_values_are_copied():
    for X in (np.eye(6), np.eye(6, dtype=int), np.array([list("ab")] * 6, object)):
        for parameters in ({}, {"missing_values": -1}, {"missing_values": "?"}):
            filled = imputer(**parameters).fit_transform(X)
            assert not np.may_share_memory(filled, X)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_names_of_the_frame_that_came_stay(container):
    integers = pd.DataFrame(np.arange(120.0).reshape(60, 2))
    named = imputer().set_output(transform=container).fit_transform(integers)
    assert list(named.columns) == ["x0", "x1"]
    assert list(integers.columns) == [0, 1]


def test_frames_of_polars_are_other_objects():
    X = pl.from_pandas(whole())
    filled = imputer().fit(X).transform(X)
    filled.drop_in_place("fare")
    assert "fare" in X.columns


def test_a_fitted_estimator_is_not_changed_by_the_rows_it_saw(digits):
    for name in ("plain", "detector", "classifier", "imputer"):
        X = digits[:80, : 12 if name == "imputer" else 64]
        rows = with_missing(X) if name == "imputer" else X.copy()
        new = rows.copy()
        estimator = OF_NUMBERS[name]().fit(rows, np.arange(80) % 2)
        expected = copy.deepcopy(estimator)
        rows[...] = 0
        for one, other in zip(
            answers(estimator, new).values(), answers(expected, new).values(), strict=True
        ):
            assert_array_equal(np.asarray(one), np.asarray(other))


# Names


def test_flags_of_two_columns_have_two_names():
    X = pd.DataFrame({"a": ["b_c", "d", "e"] * 5, "a_b": ["c", "d", "f"] * 5})
    encoder = TabularEncoder().fit(X)
    names = encoder.get_feature_names_out()
    assert list(names) == ["a_b_c", "a_d", "a_e", "a_b_c_2", "a_b_d", "a_b_f"]
    for container in ("pandas", "polars"):
        encoded = encoder.set_output(transform=container).transform(X)
        assert list(encoded.columns) == list(names)


def test_columns_have_their_own_names_first():
    numbers = [1.5, 2, 3, 4.5]
    X = pd.DataFrame(
        {
            "x": [1, None, 3, 7.5] * 4,
            "x_missing": numbers * 4,
            "x_missing_2": numbers * 4,
            "kind": ["a", "b", "c", "a"] * 4,
            "kind_a": numbers * 4,
        }
    )
    names = list(TabularEncoder().fit(X).get_feature_names_out())
    assert names[:4] == ["x", "x_missing_3", "x_missing", "x_missing_2"]
    assert names[4:] == ["kind_a_2", "kind_b", "kind_c", "kind_a"]


def test_given_names_are_unique_too():
    X = np.array([["b_c", "c"], ["d", "d"], ["e", "f"]] * 5, object)
    names = TabularEncoder().fit(X).get_feature_names_out(["a", "a_b"])
    assert len(set(names)) == len(names) == 6


@pytest.mark.parametrize("library", LIBRARIES)
def test_indicators_do_not_replace_columns(library):
    frame = {"missingindicator_x": [1.5, 2.0, 3.0] * 20, "x": [1.0, None, 3.0] * 20}
    X = LIBRARIES[library](frame)
    fitted = imputer(add_indicator=True).fit(X)
    filled = columns_of(fitted.transform(X))
    assert list(filled) == ["missingindicator_x", "x", "missingindicator_x_2"]
    assert list(filled) == list(fitted.get_feature_names_out())
    assert filled["missingindicator_x"] == frame["missingindicator_x"]
    assert filled["missingindicator_x_2"] == [False, True, False] * 20


def test_indicators_beside_columns_that_are_named_by_integers():
    X = pd.DataFrame({0: [1.0, np.nan, 3.0, 2.0] * 15, 1: [1.0, 5.0, 2.0, 4.0] * 15})
    fitted = imputer(add_indicator=True).fit(X)
    assert list(fitted.transform(X)) == list(fitted.get_feature_names_out())
    # scikit-learn refuses integers among strings.
    pipeline = make_pipeline(imputer(add_indicator=True), LogisticRegression())
    assert pipeline.fit(X, np.arange(60) % 2).predict(X).shape == (60,)
    assert list(imputer().fit_transform(X)) == [0, 1]


def test_unique_names():
    names = ["a", "b", "a", "a", "a_2", "b"]
    assert unique_names(names, [True] * 6) == ["a", "b", "a_3", "a_4", "a_2", "b_2"]
    derived = [True, False, True, True, False, True]
    assert unique_names(names, derived) == ["a", "b", "a_3", "a_4", "a_2", "b_2"]
