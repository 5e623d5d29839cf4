"""Descriptions of anomalous rows and the texts of their values: by hand."""

import datetime

import numpy as np
import pandas as pd
import pytest

from skae.anomaly._explanation import (
    above_fair_share,
    describe_row,
    number,
    spellings,
    texts_of_numbers,
    texts_of_table,
)
from skae.tables import TabularEncoder

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 6, "0"), (np.inf, 6, "inf"), (-np.inf, 6, "-inf"), (np.nan, 6, "nan"),
        (1234.5, 6, "1,234.5"), (1234.5678, 6, "1,234.57"), (-1234.0, 6, "-1,234"),
        (0.1 + 0.2, 6, "0.3"), (0.00012345678, 6, "0.000123457"), (1e-4, 6, "0.0001"),
        (9.9e-5, 6, "9.9e-05"), (1e15, 6, "1e+15"), (999e12, 6, "999,000,000,000,000"),
        (9.9999e14, 3, "1e+15"), (1500, 3, "1,500"), (100, 3, "100"), (99.96, 3, "100"),
        (12.345, 3, "12.3"),
    ],
)  # fmt: skip
def test_numbers_with_significant_digits(value, digits, text):
    assert number(value, digits) == text


def test_values_above_their_fair_share_are_named():
    names, values = ["a", "b", "c", "d"], np.array([[1234.56789, np.nan, 3, 4]])
    shares, expected = np.array([[5.0, 6, 1, 0.5]]), np.array([[1.23456, 2, 3, 4]])

    def described(shares, n_columns):
        blamed = above_fair_share(shares)
        (texts,), (about,) = (texts_of_numbers(each, None) for each in (values, expected))
        return describe_row(names, texts, about, blamed[0], shares[0], n_columns)

    both = "b missing, expected about 2; a 1,234.57, expected about 1.23"
    assert described(shares, 4) == both
    assert described(shares, 1) == both.split("; ")[0]
    # Where all shares are equal, the first is named.
    assert described(np.ones((1, 4)), 4) == "a 1,234.57, expected about 1.23"


def test_blamed_values_of_tables_are_named():
    names = ["a", "b", "c", "d"]
    values = [("1.234", "about 1.23"), ("x", "x"), ("missing", "missing"), ("7", "7")]
    expected = [("1.5", "about 1.5"), ("x", "x"), ("2", "about 2"), ("8", "8")]
    shares = np.array([1.0, 5.0, 3.0, -1.0])

    def named(shares, n_columns=4):
        shares = np.array(shares)
        return describe_row(names, values, expected, shares >= 0, shares, n_columns)

    assert named(shares) == "c missing, expected about 2; a 1.234, expected about 1.5"
    assert named(shares, 1) == "c missing, expected about 2"
    assert named([-1, 5, -1, 0]) == "d 7, expected 8"
    # Where no blamed value differs from what was expected, the row is far from all others.
    assert named([-1, 5, -1, -1]) == "far from all rows in b"


def test_a_spelling_is_described_instead_of_what_was_expected():
    texts = [('"x"', '"x"'), ("3", "about 3")], [('"y"', '"y"'), ("5", "about 5")]
    described = describe_row(
        ["a", "b"], *texts, np.ones(2, bool), np.array([2, 1]), 2, {0: 'perhaps "xx"'}
    )
    assert described == 'a "x", perhaps "xx"; b 3, expected about 5'


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("Manhatan", "Manhattan"), ("MANHATTAN", "Manhattan"), ("Queens ", "Queens"),
        ("Bronxx", "Bronx"), ("Brooklyn", None), ("Queens", None), ("Lima", None), (None, None),
    ],
)  # fmt: skip
def test_a_rare_category_that_is_spelled_like_a_frequent_one(value, meant):
    city = (
        ["Manhattan"] * 300 + ["Queens"] * 60 + ["Bronx"] * 40 + ["Brooklyn"] + ["Queen"] * 10
    )
    encoder = TabularEncoder().fit(pd.DataFrame({"city": city, "x": np.arange(len(city))}))
    cells = list(encoder.cells(pd.DataFrame({"city": pd.Series([value, value], dtype=object),
                                             "x": 0})))  # fmt: skip
    blamed = np.array([[True, True], [False, True]])
    assert spellings(cells, encoder, blamed) == [{0: f'perhaps "{meant}"'} if meant else {}, {}]


def test_categories_with_one_flag_are_the_same():
    frame = pd.DataFrame({"name": ["a"] * 9 + ["b"] * 8 + ["c", "d", "e"]})
    encoder = TabularEncoder(max_categories=3).fit(frame)
    about = [text for ((_, text),) in texts_of_table(encoder.cells(frame), encoder, None)]
    assert about[-4:] == ['"b"', '"c"', '"c"', '"c"']


def test_a_row_far_from_all_others_in_words():
    texts = [("1", "about 1")] * 4
    shares = np.array([0.3, 0.1, 0.35, 0.25])
    nothing = np.zeros(4, bool)

    def described(names, shares, n_columns=3):
        return describe_row(names, texts, texts, nothing, shares, n_columns)

    # Columns above their fair share, the largest first.
    assert described("abcd", shares) == "far from all rows in c and a together"
    assert described("abcd", shares, 1) == "far from all rows in c"
    assert described("abcd", np.full(4, 0.25)) == "far from all rows in a"
    shares = np.array([0.28, 0.27, 0.26, 0.19])
    assert described([0, 1, 2, 3], shares) == "far from all rows in 0, 1 and 2 together"


@pytest.mark.parametrize(
    ("value", "expected", "spread", "texts"),
    [
        (1014.6, 1013.2512, 0.4, ("1,014.6", "about 1,013.3")),
        (1014.6, 1013.2512, 0.02, ("1,014.6", "about 1,013.25")),
        (1014.6, 1013.2512, 30.0, ("1,014.6", "about 1,010")),
        (1014.6, 1013.2512, np.nan, ("1,014.6", "about 1,010")),
        (1700000012.5, 1700000001.2, 1.0, ("1,700,000,012", "about 1,700,000,001")),
        (0.0, 12.0, 0.5, ("0", "about 12")),
    ],
)
def test_numbers_are_rounded_by_the_spread_of_residuals(value, expected, spread, texts):
    of_value, of_expected = (
        texts_of_numbers(np.array([[each]]), np.array([spread])) for each in (value, expected)
    )
    assert (of_value[0][0][0], of_expected[0][0][1]) == texts


def test_texts_of_a_table():
    moment = datetime.datetime(2024, 1, 2, 3, 4, 5, 678000)
    X = pd.DataFrame(
        {
            "n": [1234.5678, np.nan, 0.5],
            "two": [0, 1, 1],
            "s": ["x", None, "y"],
            "b": [True, False, True],
            "day": pd.Series(["2024-01-02", None, "2024-01-05"], dtype="M8[us]"),
            "at": pd.Series([moment, moment.replace(microsecond=0), None], dtype="M8[us]"),
            "took": pd.Series(np.array([3600, "NaT", 90061], "m8[s]")),
            "clock": [datetime.time(8, 30), None, datetime.time(9, 15, 1)],
            "month": pd.PeriodIndex(["2024-01", "2024-03", "NaT"], freq="M"),
        }
    )
    encoder = TabularEncoder().fit(X)
    rows = texts_of_table(encoder.cells(X), encoder, None)
    texts = dict(zip(X.columns, map(list, zip(*rows, strict=True)), strict=True))
    missing = ("missing", "missing")
    assert texts["n"] == [("1,234.57", "about 1,230"), missing, ("0.5", "about 0.5")]
    assert texts["two"] == [("0", "0"), ("1", "1"), ("1", "1")]
    assert texts["s"] == [('"x"', '"x"'), missing, ('"y"', '"y"')]
    assert texts["b"] == [("True", "True"), ("False", "False"), ("True", "True")]
    exact = {name: [text for text, _ in found] for name, found in texts.items()}
    assert exact["day"] == ["2024-01-02", "missing", "2024-01-05"]
    assert exact["at"] == ["2024-01-02T03:04:05.678000", "2024-01-02T03:04:05", "missing"]
    assert exact["took"] == ["1:00:00", "missing", "1 day, 1:01:01"]
    assert exact["clock"] == ["08:30:00", "missing", "09:15:01"]
    assert exact["month"] == ["2024-01", "2024-03", "missing"]
    assert texts["day"][0][1] == "about 2024-01-02"
