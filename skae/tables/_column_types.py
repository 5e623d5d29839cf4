"""What a column of a table is, by its cells."""

from collections import Counter
from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._cells import EXACT, ColumnValues
from skae.tables._columns import (
    Column,
    EmptyColumn,
    LevelsColumn,
    NumberColumn,
    counted,
)
from skae.tables._squashing_scaler import is_narrow, narrow_moments
from skae.utils._rows import moments

Array = NDArray[Any]

# Numbers that are rounded to this many decimals come back rounded.
_MOST_DECIMALS = 8

# A column is an identifier if more than this share of values to come is new, and if more than
# so many values are different.
_MOST_UNSEEN = 0.5
_FEWEST_IDENTIFIERS = 50

# What times are counted in: the largest that all of them are multiples of, in nanoseconds.
_TIME_UNITS = (86400 * 10**9, 3600 * 10**9, 60 * 10**9, 10**9, 10**6, 10**3, 1)


def make_column(
    cells: ColumnValues,
    weight: Array | None,
    declared: bool,
    max_categories: int | None,
    squash: bool,
) -> Column:
    """Describe a column by the cells that are observed in rows of positive weight.

    Parameters
    ----------
    cells : ColumnValues
        All cells.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    declared : bool
        Whether the user says that it is categorical.

    max_categories : int or None
        How many flags a column may have.

    squash : bool
        Whether far values are drawn in.
    """
    counts = cells.observed if weight is None else cells.observed & (weight > 0)
    kept = cells.values[counts]
    if len(kept) == 0:
        return EmptyColumn(cells.name, cells.values.dtype, time_unit=cells.unit)
    if weight is not None:
        weight = weight[counts]
    if (
        cells.family == "level"
        and not declared
        and is_identifier(Counter(kept.tolist()), max_categories)
    ):
        return EmptyColumn(cells.name, cells.values.dtype, kind="identifier")
    if cells.family == "level" or declared:
        return _levels_column(cells, kept, weight, max_categories)
    if cells.family == "number" and _is_binary(kept):
        return _levels_column(cells, kept, weight, max_categories)
    return _number_column(cells, kept, weight, squash)


def is_identifier(counts: Counter[Any], max_categories: int | None) -> bool:
    """Whether nearly all of these categories differ, as identifiers and free text do.

    That is so if more than half of the values to come are expected not to be among them, as
    Good and Turing estimate it, and there are more than 50, and more than may have a flag.

    Parameters
    ----------
    counts : Counter
        How often each category was seen.

    max_categories : int or None
        Flags that a column has at most.
    """
    most = max(_FEWEST_IDENTIFIERS, max_categories or 0)
    return len(counts) > most and unseen_share(counts) > _MOST_UNSEEN


def unseen_share(counts: Counter[Any]) -> float:
    """Share of cells to come whose category is none of these: that of those seen once [1]_.

    Parameters
    ----------
    counts : Counter
        How often each category was seen.

    References
    ----------
    .. [1] I. J. Good, "The Population Frequencies of Species and the Estimation of Population
       Parameters", Biometrika 40, 1953.
    """
    return sum(n == 1 for n in counts.values()) / max(counts.total(), 1)


def declared_columns(given: Any, names: Sequence[str], is_named: bool) -> Array:
    """Columns that the user declares to be categorical, as a mask of shape (n_columns,).

    Parameters
    ----------
    given : "from_dtype" or array-like of {bool, int, str}
        A mask, positions, or names.

    names : sequence of str
        Of the columns.

    is_named : bool
        Whether these are the names of a data frame.
    """
    declared = np.zeros(len(names), dtype=bool)
    if isinstance(given, str):
        return declared
    chosen = np.atleast_1d(np.asarray(given))
    if chosen.dtype == bool and len(chosen) == len(names):
        return chosen
    if chosen.dtype.kind in "iu" and np.isin(chosen, np.arange(len(names))).all():
        declared[chosen] = True
        return declared
    are_names = chosen.dtype.kind in "UO" and is_named and set(chosen) <= set(names)
    if len(chosen) and not are_names:
        raise ValueError(
            "categorical_features must be 'from_dtype', a mask over the "
            f"{len(names)} columns, their positions, or names of columns of a data "
            f"frame; got {given!r}."
        )
    return np.isin(names, chosen)


def _number_column(
    cells: ColumnValues, kept: Array, weight: Array | None, squash: bool
) -> NumberColumn:
    is_time = cells.family == "time"
    are_integers = kept.dtype.kind in "iuO"
    whole = are_integers or bool((kept == np.round(kept)).all())
    origin, step = 0, 1
    if is_time or (are_integers and np.abs(kept.astype(float)).max() >= EXACT):
        origin = int(kept.min())
    if is_time:
        step = _time_step(kept, origin, cells.unit)
    numbers = counted(kept, origin, step)
    centre, deviation = _moments(numbers, weight)
    if not origin and is_narrow(deviation, np.abs(numbers).max(), cells.rounding):
        deviation = 0.0
        if kept.min() < kept.max():
            _, deviation = narrow_moments(kept, weight, cells.rounding)
            origin = int(np.floor(kept.min()))
            numbers = counted(kept, origin, step)
            centre, _ = _moments(numbers, weight)
    kind = "date" if is_time else "integer" if whole else "numeric"
    return NumberColumn(
        cells.name,
        "constant" if numbers.min() == numbers.max() else kind,
        centre,
        deviation or 1.0,
        squash,
        origin,
        step,
        float(numbers.min()),
        float(numbers.max()),
        0 if whole or is_time else _decimals(kept.astype(np.float64)),
        kept.dtype,
        cells.unit,
        cells.type,
    )


def _moments(numbers: Array, weight: Array | None) -> tuple[float, float]:
    """Mean and standard deviation of numbers of shape (n_samples,)."""
    centre, deviation = moments(numbers[:, np.newaxis], weight)
    return float(centre[0]), float(deviation[0])


def _levels_column(
    cells: ColumnValues, kept: Array, weight: Array | None, max_categories: int | None
) -> LevelsColumn:
    weight = np.ones(len(kept)) if weight is None else weight
    totals: dict[Any, float] = {}
    for value, counts in zip(kept.tolist(), weight, strict=True):
        totals[value] = totals.get(value, 0.0) + float(counts)
    levels = _in_order(totals)
    kind = {1: "constant", 2: "binary"}.get(len(levels), "categorical")
    flag_of = {level: i for i, level in enumerate(levels)}
    if max_categories is not None and len(levels) > max_categories:
        # Python's sort is stable: of equals, the first ones are kept.
        frequent = sorted(levels, key=lambda level: -totals[level])
        own = set(frequent[: max_categories - 1])
        levels = [*(level for level in levels if level in own), frequent[max_categories - 1]]
        places = {level: i for i, level in enumerate(levels)}
        flag_of = {level: places.get(level, len(levels) - 1) for level in totals}
    share = np.zeros(len(levels))
    for level, total in totals.items():
        share[flag_of[level]] += total
    share /= share.sum()
    return LevelsColumn(
        cells.name,
        kind,
        tuple(levels),
        flag_of,
        share[1:] if kind == "binary" else share,
        cells.values.dtype,
        cells.unit,
        cells.type,
    )


def _in_order(totals: dict[Any, float]) -> list[Any]:
    """Levels sorted, or as they come where they have no order: the same in all libraries."""
    try:
        return sorted(totals)
    except TypeError:
        return list(totals)


def _is_binary(kept: Array) -> bool:
    """Whether these numbers are two next to each other, as 0 and 1 are, or -1 and 1."""
    low, high = kept.min(), kept.max()
    pairs = {(0, 1), (1, 2), (-1, 1)}
    return (float(low), float(high)) in pairs and bool(((kept == low) | (kept == high)).all())


def _time_step(kept: Array, origin: int, unit: str | None) -> int:
    """The largest unit of time in which all times are whole, in theirs."""
    smallest = 1000 if unit == "us" else 1
    common = int(np.gcd.reduce(kept - origin)) if len(kept) > 1 else 0
    common = gcd(common, origin)
    for step in _TIME_UNITS:
        if step % smallest == 0 and common % (step // smallest) == 0:
            return step // smallest
    return 1


def _decimals(numbers: Array) -> int | None:
    """To how many decimals all numbers are rounded, if to few."""
    for decimals in range(1, _MOST_DECIMALS + 1):
        if (np.round(numbers, decimals) == numbers).all():
            return decimals
    return None
