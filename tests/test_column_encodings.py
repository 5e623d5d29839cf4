"""The encoding of each kind of column, and the numbers that encode its values: by hand."""

import pickle
from collections import Counter
from dataclasses import replace
from enum import Enum

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skae.tables import TabularEncoder
from skae.tables._category_column import (
    CategoryColumn,
    declared_columns,
    flag_unit,
    make_column,
    unseen_share,
)
from skae.tables._column_values import ColumnValues, IsoFormat
from skae.tables._columns import (
    IgnoredColumn,
    NumberColumn,
    _as_integers,
    as_in_fit,
    check_finite,
    check_known,
    counted,
    number_units,
    strings_as_times,
    with_one_scale,
)

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]

DAY = 86400 * 10**6


def values_of(values, family="number", observed=None, dtype=None, **more):
    values = np.array(values, dtype=object if family == "category" else dtype)
    observed = np.ones(len(values), bool) if observed is None else np.array(observed, bool)
    type_ = {"number": "number", "time": "time", "category": "str"}[family]
    return ColumnValues("x", values, observed, family, **{"type": type_, **more})


def ignored(name, dtype, kind="empty", unit=None):
    return IgnoredColumn(name=name, kind=kind, dtype=np.dtype(dtype), unit=unit, type="empty")


def column_of(data, weight=None, declared=False, max_categories=None, squash=False):
    weight = None if weight is None else np.array(weight, float)
    return make_column(data, weight, declared, max_categories, squash)


# Numbers


def test_a_column_of_numbers_by_hand():
    column = column_of(values_of([1.0, 2.0, 3.0, 4.0], rounding=1e-7), squash=True)
    assert column == NumberColumn(
        name="x", kind="integer", dtype=np.dtype("f8"), unit=None, type="number", centre=2.5,
        scale=np.sqrt(1.25), squash=True, origin=0, step=1, low=1.0, high=4.0, decimals=0,
    )  # fmt: skip


def test_only_observed_values_of_positive_weight_describe_a_column():
    data = values_of([50.0, 1.5, 99.0, 3.5], observed=[1, 1, 0, 1])
    column = column_of(data, weight=[0, 3, 5, 1])
    assert (column.low, column.high, column.centre) == (1.5, 3.5, 2.0)
    assert column.scale == pytest.approx(np.sqrt((3 * 0.25 + 1 * 2.25) / 4))
    # A weight is positive, however small.
    assert column_of(data, weight=[0, 1, 0, 1e-9]).high == 3.5


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([1.0, 3.0], 0), ([0.5, 3.0], 1), ([0.25, 1.5], 2), ([0.12345678, 1.5], 8),
        ([0.123456789, 1.5], None), ([1 / 3, 0.5], None),
    ],
)  # fmt: skip
def test_decimals_of_numbers(values, decimals):
    column = column_of(values_of(values))
    assert column.decimals == decimals
    assert column.kind == ("integer" if decimals == 0 else "numeric")


def test_a_constant_column_keeps_its_value_as_centre_and_unit_one():
    column = column_of(values_of([7.5, 7.5, 7.5]))
    assert (column.kind, column.centre, column.scale) == ("constant", 7.5, 1.0)
    assert (column.origin, column.low, column.high) == (0, 7.5, 7.5)


@pytest.mark.parametrize(
    ("values", "origin"),
    [
        ([-5, 2**53], -5), ([-5, 2**53 - 1], 0), ([-(2**53), 3], -(2**53)),
        ([4 - 2**53, 3], 0), ([2**60, 2**60 + 2], 2**60),
    ],
)  # fmt: skip
def test_integers_that_float64_rounds_are_counted_from_the_least(values, origin):
    column = column_of(values_of(values, dtype=np.int64))
    assert column.origin == origin
    assert (column.low, column.high) == (values[0] - origin, float(values[1] - origin))
    assert column.centre == pytest.approx(sum(v - origin for v in values) / 2)
    assert column.scale == pytest.approx((values[1] - values[0]) / 2)
    encoded, _ = column.encode(values_of(values, dtype=np.int64))
    assert_allclose(encoded[:, 0], [-1, 1])
    # Of a range of 2**53 steps float64 misses one.
    back = column.decode(encoded, clip=True).tolist()
    assert max(abs(a - b) for a, b in zip(back, values, strict=True)) <= 1


def test_numbers_that_vary_little_for_their_size_are_counted_from_the_least():
    column = column_of(values_of([1e9 + 0.25, 1e9 + 0.5, 1e9 + 0.75]))
    assert column.origin == 10**9
    assert (column.low, column.high, column.decimals) == (0.25, 0.75, 2)
    assert column.centre == pytest.approx(0.5)
    assert column.scale == pytest.approx(0.25 * np.sqrt(2 / 3))
    weighted = column_of(values_of([1e9 + 0.25, 1e9 + 0.75]), weight=[3, 1])
    assert weighted.centre == pytest.approx(0.375)
    assert weighted.scale == pytest.approx(0.5 * np.sqrt(3) / 4)


def test_numbers_that_vary_by_rounding_have_unit_one():
    column = column_of(values_of([1e9, np.nextafter(1e9, 2e9), 1e9]))
    assert (column.scale, column.origin) == (1.0, 10**9)
    rounding = float(np.finfo(np.float32).eps)
    # Of float32, which holds whole numbers of this size exactly, and no quarters.
    assert column_of(values_of([1e7, 1e7 + 1], rounding=rounding)).scale == 0.5
    coarse = column_of(values_of([2e6 + 0.5, 2e6 + 0.75], rounding=rounding))
    assert (coarse.scale, coarse.origin) == (1.0, 2 * 10**6)
    assert column_of(values_of([2e6 + 0.5, 2e6 + 0.75])).scale == 0.125


@pytest.mark.parametrize(
    ("values", "unit", "step"),
    [
        ([0, 2 * DAY, 4 * DAY], "us", DAY),
        ([3 * DAY, 5 * DAY], "us", DAY),
        ([3600 * 10**6, 3 * 3600 * 10**6], "us", 3600 * 10**6),
        ([30 * 60 * 10**6, 90 * 60 * 10**6], "us", 60 * 10**6),
        ([5 * 10**6, 12 * 10**6], "us", 10**6),
        ([5000, 12000], "us", 1000),
        ([5, 12], "us", 1),
        ([7000], "us", 1000),
        ([7], "us", 1),
        ([0], "us", DAY),
        ([3 * DAY * 1000, 5 * DAY * 1000], "ns", DAY * 1000),
        ([5 * 10**6, 12 * 10**6], "ns", 10**6),
        ([5000, 12000], "ns", 1000),
        ([5, 12], "ns", 1),
    ],
)
def test_times_are_counted_in_the_largest_unit_in_which_they_are_whole(values, unit, step):
    data = values_of(values, "time", dtype=np.int64, unit=unit)
    column = column_of(data)
    assert (column.origin, column.step, column.unit) == (values[0], step, unit)
    assert column.low == 0
    assert column.high == (values[-1] - values[0]) / step
    assert column.kind == ("date" if len(values) > 1 else "constant")
    assert (column.decimals, column.type) == (0, "time")
    assert_array_equal(column.decode(column.encode(data)[0], clip=True), values)


NUMBERS = NumberColumn(
    name="x", kind="integer", dtype=np.dtype("i8"), unit=None, type="number", centre=2.0,
    scale=4.0, squash=False, origin=10, step=5, low=1.0, high=3.0, decimals=0,
)  # fmt: skip


def test_whole_numbers_count_steps_from_the_origin():
    data = values_of([20, 25, 0], observed=[1, 1, 0], dtype=np.int64)
    encoded, known = NUMBERS.encode(data)
    assert_array_equal(encoded, [[0.0], [0.25], [0.0]])
    assert_array_equal(known, [True, True, False])
    numbers = np.array([[0.0], [0.2], [10.0], [-10.0]])
    # 2, 2.8, 42 and -38 steps of five from ten; 1 to 3 were seen.
    assert_array_equal(NUMBERS.decode(numbers, clip=True), [20, 25, 25, 15])
    assert_array_equal(NUMBERS.decode(numbers, clip=False), [20, 25, 220, -180])
    assert NUMBERS.decode(numbers, clip=True).dtype == np.int64
    assert_allclose(NUMBERS.log_unit(np.array([0.0, 9.0])), np.log(20))
    assert (NUMBERS.unit, NUMBERS.type) == (None, "number")
    assert NUMBERS.width == 1


@pytest.mark.parametrize(("decimals", "expected"), [(1, 12.3), (0, 12.0), (None, 12.345)])
def test_floats_keep_their_decimals(decimals, expected):
    column = replace(NUMBERS, decimals=decimals, step=1, dtype=np.dtype("f8"))
    assert_allclose(column.decode(np.array([[0.08625]]), clip=True), expected, rtol=1e-14)
    at_zero = replace(column, origin=0)
    assert_allclose(at_zero.decode(np.array([[0.08625]]), clip=True), expected - 10)


def test_far_numbers_are_squashed_by_their_logarithm():
    column = replace(NUMBERS, squash=True, origin=0, step=1)
    squashed = 3 * (1 + np.log(2))
    encoded, _ = column.encode(values_of([14, 26, -22], dtype=np.int64))
    assert_allclose(encoded[:, 0], [3, squashed, -squashed])
    assert_array_equal(column.decode(encoded, clip=False), [14, 26, -22])
    expected = np.log(4) + np.array([0, np.log(2)])
    assert_allclose(column.log_unit(np.array([0.0, squashed])), expected)


def test_booleans_and_missing_objects_in_a_column_of_numbers():
    data = values_of([True, pd.NA, False], observed=[1, 0, 1], dtype=object)
    column = replace(NUMBERS, origin=0, step=1)
    assert_allclose(column.encode(data)[0][:, 0], [-0.25, 0, -0.5])


@pytest.mark.parametrize(
    ("unit", "seen", "expected"),
    [("us", "ns", 5), ("ns", "us", 5_500_000), ("us", "us", 5500), ("ns", "ns", 5500)],
)
def test_times_in_another_unit_than_in_fit(unit, seen, expected):
    column = replace(NUMBERS, unit=unit, type="time", centre=0.0, scale=1.0, origin=0, step=1)
    data = values_of([5500, 1], "time", dtype=np.int64, unit=seen)
    encoded, _ = column.encode(as_in_fit(column, data))
    assert encoded[0, 0] == expected
    times = CategoryColumn(
        name="x", kind="binary", dtype=np.dtype("i8"), unit=unit, type="time",
        categories=(0, expected), flag_of={0: 0, expected: 1}, share=np.array([0.5]),
    )  # fmt: skip
    encoded, known = times.encode(as_in_fit(times, data))
    assert (encoded[0, 0], known[0]) == (1, True)


@pytest.mark.parametrize(
    ("values", "dtype", "origin", "step", "expected"),
    [
        ([-5, 7], np.int64, 0, 2, [-2.5, 3.5]),
        ([2**60 + 1, 2**60 + 7], np.int64, 2**60, 1, [1, 7]),
        ([-(2**62) + 3, 5 - 2**62], np.int64, -(2**62), 2, [1.5, 2.5]),
        ([2**64 - 1, 2**64 - 4], np.uint64, 2**64 - 4, 1, [3, 0]),
        ([-(2**63), 2**63 - 1], np.int64, -(2**63), 1, [0, 2.0**64]),
        ([2**63 - 1, -(2**63)], np.int64, 2**63 - 1, 1, [0, -(2.0**64)]),
        ([2**70 + 6, 2**70], object, 2**70, 3, [2, 0]),
        ([1.5, 4.5], np.float64, 1, 2, [0.25, 1.75]),
    ],
)
def test_numbers_are_counted_from_an_origin_without_rounding(
    values, dtype, origin, step, expected
):
    assert_array_equal(counted(np.array(values, dtype), origin, step), expected)


@pytest.mark.parametrize(
    ("numbers", "origin", "dtype", "expected"),
    [
        ([0.0, 1, -2], 5, np.int64, [5, 6, 3]),
        ([0.0, 1], -(2**63), np.int64, [-(2**63), 1 - 2**63]),
        ([0.0, 1], 2**63, np.uint64, [2**63, 2**63 + 1]),
        ([2.0**53, -(2.0**53)], 1, np.int64, [2**53 + 1, 1 - 2**53]),
        ([2.0**53 - 1], 2**62, np.int64, [2**62 + 2**53 - 1]),
        ([2.0**64, -(2.0**64)], 0, np.int64, [2**63 - 1, -(2**63)]),
        ([2.0**54, -1], 2**63, np.uint64, [2**63 + 2**54, 2**63 - 1]),
        ([2.0**65, -(2.0**65)], 7, np.uint64, [2**64 - 1, 0]),
        ([1.0, -3], 2**80, object, [2**80 + 1, 2**80 - 3]),
    ],
)
def test_whole_numbers_become_integers_within_the_range_of_the_dtype(
    numbers, origin, dtype, expected
):
    found = _as_integers(np.array(numbers), 1, origin, np.dtype(dtype))
    assert found.dtype == dtype
    assert found.tolist() == expected


def test_steps_are_multiplied_as_integers():
    # Microseconds of three years in nanoseconds, which float64 does not have.
    numbers = np.array([0.0, 94_694_399_999_999, -94_694_399_999_999])
    expected = [5, 94_694_399_999_999_005, -94_694_399_999_998_995]
    for dtype in (np.int64, object):
        assert _as_integers(numbers, 1000, 5, np.dtype(dtype)).tolist() == expected
    far = _as_integers(np.array([2.0**50, -(2.0**50)]), 86400 * 10**9, 0, np.dtype(np.int64))
    assert far.tolist() == [2**63 - 1, -(2**63)]


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
def test_counts_of_any_integers_are_those_of_python(values):
    found = counted(np.array(values, np.int64), min(values), 1)
    assert_allclose(found, [float(v - min(values)) for v in values], rtol=1e-15)


def test_numbers_of_one_scale():
    one, two = replace(NUMBERS, scale=3.0, squash=True), replace(NUMBERS, scale=5.0)
    constant = replace(NUMBERS, kind="constant", scale=1.0)
    times = replace(NUMBERS, kind="date", unit="us", scale=7.0, squash=True)
    categories = column_of(values_of(["a", "b"], "category"))
    found = with_one_scale([one, times, two, constant, categories])
    assert [c.scale for c in found[:4]] == pytest.approx([np.sqrt(17), 7, *[np.sqrt(17)] * 2])
    assert [c.squash for c in found[:4]] == [False, True, False, False]
    assert found[4] is categories
    # Without a column that varies it is one.
    assert with_one_scale([constant])[0].scale == 1.0


# Categories


@pytest.mark.parametrize(
    ("values", "are_categories"),
    [
        ([0, 1], True), ([1, 2], True), ([-1, 1], True), ([0, 1, 1, 0], True),
        ([0, 2], False), ([-1, 0], False), ([2, 3], False), ([0, 0.5, 1], False),
        ([1, 1], False), ([-1, 0, 1], False),
    ],
)  # fmt: skip
def test_two_numbers_that_are_categories(values, are_categories):
    column = column_of(values_of(values, dtype=float))
    assert isinstance(column, CategoryColumn) == are_categories
    assert isinstance(column_of(values_of(values, dtype=float), declared=True), CategoryColumn)


def test_categories_by_hand():
    values = ["b", "a", "c", "a", None]
    data = values_of(values, "category", observed=[1, 1, 1, 1, 0])
    column = column_of(data)
    assert (column.kind, column.categories, column.width) == ("categorical", ("a", "b", "c"), 3)
    assert column.flag_of == {"a": 0, "b": 1, "c": 2}
    assert_allclose(column.share, [0.5, 0.25, 0.25])
    unit = np.sqrt(0.25 + 2 * 0.1875)
    assert flag_unit(column.share) == pytest.approx(unit)
    assert (column.unit, column.type) == (None, "str")
    new = values_of(["c", "z", "a"], "category", observed=[1, 1, 0])
    encoded, known = column.encode(new)
    expected = np.array([[-0.5, -0.25, 0.75], [-0.5, -0.25, -0.25], [0, 0, 0]]) / unit
    assert_allclose(encoded, expected)
    assert_array_equal(known, [True, False, False])
    assert column.decode(encoded[[0]], clip=True).tolist() == ["c"]
    weighted = column_of(data, weight=[2, 1, 1, 0, 1])
    assert_allclose(weighted.share, [0.25, 0.5, 0.25])


def test_two_categories_by_hand():
    column = column_of(values_of(["no", "yes", "no", "no"], "category"))
    assert (column.kind, column.width) == ("binary", 1)
    assert_allclose(column.share, [0.25])
    unit = np.sqrt(0.1875)
    new = values_of(["yes", "no", "z", "yes"], "category", observed=[1, 1, 1, 0])
    encoded, known = column.encode(new)
    assert_allclose(encoded[:, 0], np.array([0.75, -0.25, 0, 0]) / unit)
    assert_array_equal(known, [True, True, False, False])
    even = column_of(values_of(["no", "yes"], "category"))
    # Zero, midway, is the first category.
    assert even.decode(np.array([[0.0], [0.01], [-0.01]]), clip=True).tolist() == [
        "no", "yes", "no",
    ]  # fmt: skip


def test_two_numbers_that_are_categories_lie_between_each_other_before_rounding():
    data = ColumnValues(
        "x", np.array([2.0, 2.0, 5.0, 2.0]), np.ones(4, bool), "number", "number"
    )
    column = column_of(data, declared=True)
    assert column.kind == "binary"
    encoded, _ = column.encode(data)
    assert column.decode(encoded, clip=True).tolist() == [2.0, 2.0, 5.0, 2.0]
    halfway = (encoded[:1] + encoded[2:3]) / 2
    assert_allclose(column.decode(halfway, clip=True, rounded=False), [3.5])


def test_a_rare_category_is_no_farther_away_than_the_least_unit():
    data = values_of(["a"] * 99 + ["b"], "category")
    column = column_of(data)
    assert flag_unit(column.share) == 0.2
    assert_allclose(column.encode(data)[0][[0, 99], 0], [-0.05, 4.95])


def test_the_rarest_categories_share_the_last_flag():
    values = list("abbbccd")
    column = column_of(values_of(values, "category"), max_categories=2)
    assert (column.kind, column.categories, column.width) == ("categorical", ("b", "c"), 2)
    assert column.flag_of == {"a": 1, "b": 0, "c": 1, "d": 1}
    assert_allclose(column.share, [3 / 7, 4 / 7])
    encoded, known = column.encode(
        values_of(["b", "d", "new", None], "category", observed=[1, 1, 1, 0])
    )
    unit = np.sqrt(2 * 12 / 49)
    expected = np.array([[4, -4], [-3, 3], [-3, 3], [0, 0]]) / 7 / unit
    assert_allclose(encoded, expected)
    # A new category is as rare as those, and not known.
    assert_array_equal(known, [True, True, False, False])
    three = column_of(values_of(values, "category"), max_categories=3)
    assert (three.categories, three.flag_of["d"], three.flag_of["a"]) == (("b", "c", "a"), 2, 2)
    assert len(column_of(values_of(values, "category"), max_categories=4).categories) == 4
    assert len(column_of(values_of(values, "category")).categories) == 4


def test_of_equally_frequent_categories_the_first_have_flags():
    column = column_of(values_of(list("cba"), "category"), max_categories=2)
    assert column.flag_of == {"a": 0, "b": 1, "c": 1}
    assert_allclose(column.share, [1 / 3, 2 / 3])
    weighted = column_of(values_of(list("cba"), "category"), [3, 1, 1], max_categories=2)
    assert weighted.flag_of == {"c": 0, "a": 1, "b": 1}


def test_categories_without_an_order_stay_as_they_come():
    Colour = Enum("Colour", ["RED", "BLUE"])
    data = values_of([Colour.RED, Colour.BLUE, Colour.RED], "category", type="Colour")
    assert column_of(data).categories == (Colour.RED, Colour.BLUE)


def test_one_category_is_constant():
    column = column_of(values_of(["a", "a"], "category"))
    assert (column.kind, column.categories, column.width) == ("constant", ("a",), 1)
    assert_array_equal(column.encode(values_of(["a"], "category"))[0], [[0.0]])


def test_categories_are_pickled():
    column = column_of(values_of([True, False], "category", type="bool"))
    again = pickle.loads(pickle.dumps(column))
    assert again.flag_of == {False: 0, True: 1}
    assert again.categories == column.categories


def test_numbers_have_the_name_of_their_column_and_flags_that_of_their_category():
    table = {"n": [1.5, 2, 3], "c": ["a", "b", "c"], "b": ["no", "yes", "no"]}
    table["e"] = [np.nan] * 3
    names = TabularEncoder().fit(pd.DataFrame(table)).get_feature_names_out()
    assert names.tolist() == ["n", "c_a", "c_b", "c_c", "b_yes"]


def test_decoded_values_are_numbers_times_or_categories():
    days = pd.Series(["2020-01-01", "2020-01-03", "2020-01-02"]).astype("M8[us]")
    table = pd.DataFrame({"n": [1.5, 2, 3], "c": ["a", "b", "c"], "d": days, "t": days})
    encoder = TabularEncoder(categorical_features=["t"]).fit(table)
    cells = encoder.decoded_cells(encoder.transform(table))
    assert [data.family for data in cells] == ["number", "category", "time", "time"]


# Columns without numbers


def is_identifier(counts, max_categories):
    data = values_of([str(value) for value in counts.elements()], "category")
    return column_of(data, max_categories=max_categories).kind == "identifier"


def test_more_than_half_of_the_values_of_an_identifier_are_new():
    assert not is_identifier(Counter(range(50)), None)
    assert is_identifier(Counter(range(51)), None)
    # Of 51 categories 34 were seen once, in 68 values: one half.
    pairs = {f"two {i}": 2 for i in range(17)}
    half = Counter({**{i: 1 for i in range(34)}, **pairs})
    assert unseen_share(half) == 0.5
    assert not is_identifier(half, None)
    more = Counter({**{i: 1 for i in range(35)}, **pairs})
    assert unseen_share(more) == 35 / 69
    assert is_identifier(more, None)
    assert is_identifier(Counter(range(51)), 20)
    assert not is_identifier(Counter(range(60)), 60)
    assert is_identifier(Counter(range(61)), 60)
    assert unseen_share(Counter()) == 0.0


def test_identifiers_and_empty_columns_have_no_numbers():
    data = values_of([str(i) for i in range(60)], "category")
    column = column_of(data)
    assert column == ignored("x", "O", "identifier")
    assert isinstance(column_of(data, declared=True), CategoryColumn)
    assert isinstance(column_of(data, max_categories=70), CategoryColumn)
    encoded, known = column.encode(replace(data, observed=np.arange(60) % 2 == 0))
    assert encoded.shape == (60, 0)
    assert_array_equal(known, np.arange(60) % 2 == 0)
    empty = column_of(values_of([3, 4], "time", observed=[0, 0], dtype=np.int64, unit="us"))
    assert empty == ignored("x", "i8", unit="us")
    assert (empty.unit, empty.type, empty.width) == ("us", "empty", 0)
    encoded, known = empty.encode(values_of([3, 4], dtype=np.int64))
    assert encoded.shape == (2, 0)
    assert not known.any()
    back = empty.decode(np.zeros((3, 0)), clip=True)
    assert (back.dtype, back.tolist()) == (np.int64, [0, 0, 0])
    assert column_of(values_of([3.0]), weight=[0]).kind == "empty"


@pytest.mark.parametrize(
    ("given", "is_named", "expected"),
    [
        ("from_dtype", True, [0, 0, 0]),
        ([True, False, True], False, [1, 0, 1]),
        ([0, 2], False, [1, 0, 1]),
        (1, False, [0, 1, 0]),
        (["c"], True, [0, 0, 1]),
        ([], False, [0, 0, 0]),
        ([], True, [0, 0, 0]),
    ],
)
def test_columns_that_are_declared_categories(given, is_named, expected):
    assert_array_equal(declared_columns(given, ["a", "b", "c"], is_named), expected)


@pytest.mark.parametrize(
    ("given", "is_named"),
    [([0, 3], False), ([-1], False), ([True, False], True), (["c"], False), (["c", "d"], True),
     ([0.0], True)],
)  # fmt: skip
def test_columns_that_x_does_not_have_cannot_be_declared(given, is_named):
    with pytest.raises(ValueError, match="mask over the 3 columns"):
        declared_columns(given, ["a", "b", "c"], is_named)


# Errors


def test_infinite_values_are_counted():
    with pytest.raises(ValueError, match="'x', in 2 of 4 rows"):
        check_finite(values_of([1.0, np.inf, -np.inf, np.nan]))
    check_finite(values_of([1.0, np.nan]))
    check_finite(values_of(["inf", "a"], "category"))
    check_finite(values_of([1, 2**62], dtype=np.int64))


@pytest.mark.parametrize(
    ("seen", "now", "passes"),
    [
        ("number", "number", True), ("bool", "number", True), ("number", "bool", True),
        ("number", "str", False), ("bool", "str", False), ("str", "bool", False),
        ("time", "duration", False),
    ],
)  # fmt: skip
def test_values_have_the_type_that_they_had_in_fit(seen, now, passes):
    column = replace(NUMBERS, type=seen)
    data = values_of([1.0, 2.0], type=now)
    if passes:
        assert as_in_fit(column, data) is data
        return
    with pytest.raises(
        ValueError, match=f"type {seen} in fit, and has values of type {now} now"
    ):
        as_in_fit(column, data)
    # No observed value is of another type, and an ignored column has no type.
    as_in_fit(column, replace(data, observed=np.zeros(2, bool)))
    as_in_fit(ignored("x", "O"), data)


def test_times_of_another_type_are_refused():
    column = replace(NUMBERS, unit="us", type="time")
    duration = values_of([1], "time", dtype=np.int64, type="duration")
    with pytest.raises(ValueError, match="type time in fit"):
        as_in_fit(column, duration)
    with pytest.raises(ValueError, match="type time in fit"):
        as_in_fit(column, values_of([1.0]))
    with pytest.raises(ValueError, match="contains infinity"):
        as_in_fit(NUMBERS, values_of([np.inf]))


def check_learnable(columns):
    encoder = TabularEncoder()
    encoder._columns, encoder.blocks_ = columns, ()
    encoder.check_learnable()


def test_ignored_columns_are_named_if_there_are_no_others():
    empty = [ignored(f"c{i}", "f8") for i in range(4)]
    known = ignored("id", "O", "identifier")
    check_learnable([*empty, NUMBERS])
    with pytest.raises(
        ValueError, match=r"'c0' \(no obs.*, 'id' \(values nearly all .*nt\)\.$"
    ):
        check_learnable([*empty, known])
    with pytest.raises(ValueError, match=r"'id' \(values nearly all different\) and others\.$"):
        check_learnable([*empty, known, known])


def test_unknown_values_are_named():
    column = column_of(values_of(["a", "b"], "category"))
    data = values_of(list("zhgfedca"), "category", observed=[0, 1, 1, 1, 1, 1, 1, 1])
    known = np.array([0, 0, 0, 0, 0, 0, 0, 1], bool)
    with pytest.raises(ValueError, match=r"categories in column 'x': c, d, e, f, g\. With"):
        check_known(column, data, known)
    check_known(column, data, np.ones(8, bool))
    with pytest.raises(ValueError, match="strings that are no date in column 'x': c, d,"):
        check_known(replace(NUMBERS, kind="date"), data, known)


def test_strings_are_times_in_a_column_of_times():
    column = replace(NUMBERS, kind="date", unit="us", type="time")
    form = IsoFormat("time", "day", "", 0, "always", "")
    good = values_of(["1970-01-02", "1970-01-03", None], "category", observed=[1, 1, 0])
    bad = values_of(["1970-01-02", "tomorrow"], "category")
    for data, now in ((good, form), (good, None), (bad, form)):
        found = strings_as_times(column, data, now)
        assert (found.family, found.type, found.format) == ("time", "time", now)
        assert found.values[0] == DAY
    assert_array_equal(strings_as_times(column, bad, form).observed, [True, False])
    # Where the values in fit were no strings, all strings must be times.
    assert strings_as_times(column, bad, None) is bad
    assert strings_as_times(NUMBERS, good, form) is good
    numbers = values_of([1.0])
    assert strings_as_times(column, numbers, form) is numbers


def test_the_units_of_numbers_and_moments_are_those_of_the_data():
    """Of numbers counted from an origin, too, and of times in seconds."""
    X = pd.DataFrame({
        "plain": [1.0, 5.0],
        "far": [10**12 + 1, 10**12 + 5],
        "day": np.array(["1970-01-02", "1970-01-06"], "M8[us]"),
    })  # fmt: skip
    zero, unit, time_zero, time_unit = number_units(TabularEncoder().fit(X))
    assert_allclose(zero, [-1.5, -(10**12 + 3) / 2, np.nan])
    assert_allclose(unit, [2, 2, np.nan])
    assert_allclose(time_zero, [np.nan, np.nan, 3 * 86400])
    assert_allclose(time_unit, [np.nan, np.nan, 2 * 86400])
