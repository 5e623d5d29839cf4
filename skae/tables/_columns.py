"""The encoding of one column of a table: base class, numbers, ignored columns, and checks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import EXACT, ColumnValues, IsoFormat, as_objects, as_times
from skae.tables._squashing_scaler import (
    is_narrow,
    narrow_moments,
    squash,
    unsquash,
    unsquash_log_derivative,
)
from skae.utils._rows import moments, scale_of

Array = NDArray[Any]

# How many columns an error names.
_MOST_NAMED = 5

# Numbers that are rounded to at most this many decimals come back rounded.
_MOST_DECIMALS = 8

# Units of time in nanoseconds: times are counted in the largest that divides all of them.
_TIME_UNITS = (86400 * 10**9, 3600 * 10**9, 60 * 10**9, 10**9, 10**6, 10**3, 1)


class Block(NamedTuple):
    """The columns of the matrix that encode one column of the table.

    Attributes
    ----------
    name : str
        Name of the column.

    kind : str
        See :class:`TabularEncoder`.

    start, stop : int
        Its values are ``Z[:, start:stop]``.

    indicator : int or None
        Position of the flag of missing values; None: no value was missing in fit.
    """

    name: str
    kind: str
    start: int
    stop: int
    indicator: int | None


@dataclass(frozen=True, kw_only=True)
class Column(ABC):
    """The encoding of the values of one column as numbers."""

    name: str
    kind: str  # see TabularEncoder
    dtype: Any  # of the values
    unit: str | None  # as in ColumnValues
    type: str

    @property
    def width(self) -> int:
        """Numbers that encode one value."""
        return 1

    @property
    def family(self) -> str:
        """As in :class:`ColumnValues`."""
        return "number" if self.unit is None else "time"

    @property
    def flag_names(self) -> list[str]:
        """Names of the numbers that encode one value."""
        return [self.name] * self.width

    @abstractmethod
    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """Numbers, (n_samples, width), zero where a value is missing, and known values.

        The mask, (n_samples,), of values that are observed, and no category that was not seen
        in fit.
        """

    @abstractmethod
    def decode(self, numbers: Array, clip: bool, rounded: bool = True) -> Array:
        """Values, (n_samples,), for numbers of shape (n_samples, width).

        Without rounding, they may lie between those that the column can hold.
        """

    def in_unit(self, data: ColumnValues) -> Array:
        """Values, (n_samples,), where times are counted in the unit of this column."""
        if data.unit == self.unit or data.unit is None:
            return data.values
        return data.values * 1000 if self.unit == "ns" else data.values // 1000


class IgnoredColumn(Column):
    """A column without numbers: no value is observed, or nearly all values differ."""

    @property
    def width(self) -> int:
        """See :class:`Column`."""
        return 0

    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        # No value of an identifier counts as unseen.
        known = data.observed & (self.kind == "identifier")
        return np.zeros((len(known), 0)), known

    def decode(self, numbers: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        return np.zeros(len(numbers), self.dtype)


@dataclass(frozen=True, kw_only=True)
class NumberColumn(Column):
    """A column of numbers or times, counted from `origin` in steps and standardised."""

    centre: float  # mean
    scale: float  # standard deviation
    squash: bool  # whether values beyond three standard deviations are squashed
    origin: int  # subtracted first, without rounding
    step: int  # of times, in their unit
    low: float  # least and largest value in fit
    high: float
    decimals: int | None  # to which numbers were rounded

    @classmethod
    def from_data(
        cls, data: ColumnValues, values: Array, weight: Array | None, squash: bool
    ) -> "NumberColumn":
        """Encoding of a column by its values that count, (n_values,), and their weights."""
        is_time = data.family == "time"
        are_integers = values.dtype.kind in "iuO"
        whole = are_integers or bool((values == np.round(values)).all())
        origin, step = 0, 1
        if is_time or (are_integers and np.abs(values.astype(float)).max() >= EXACT):
            origin = int(values.min())
        if is_time:
            step = _time_step(values, origin, data.unit)
        numbers = counted(values, origin, step)
        centre, deviation = _moments(numbers, weight)
        if not origin and is_narrow(deviation, np.abs(numbers).max(), data.rounding):
            deviation = 0.0
            if values.min() < values.max():
                _, deviation = narrow_moments(values, weight, data.rounding)
                origin = int(np.floor(values.min()))
                numbers = counted(values, origin, step)
                centre, _ = _moments(numbers, weight)
        kind = "date" if is_time else "integer" if whole else "numeric"
        return cls(
            name=data.name,
            kind="constant" if numbers.min() == numbers.max() else kind,
            dtype=values.dtype,
            unit=data.unit,
            type=data.type,
            centre=centre,
            scale=deviation or 1.0,
            squash=squash,
            origin=origin,
            step=step,
            low=float(numbers.min()),
            high=float(numbers.max()),
            decimals=0 if whole or is_time else _decimals(values.astype(np.float64)),
        )

    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        values = self.in_unit(data)
        if values.dtype == object:
            # Booleans, and pandas.NA, which is no float.
            values = np.where(data.observed, values, 0)
        numbers = counted(values, self.origin, self.step)
        z = (np.where(data.observed, numbers, self.centre) - self.centre) / self.scale
        return (squash(z) if self.squash else z)[:, np.newaxis], data.observed

    def decode(self, numbers: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        z = unsquash(numbers[:, 0]) if self.squash else numbers[:, 0]
        values = z * self.scale + self.centre
        if clip:
            values = values.clip(self.low, self.high)
        if not rounded:
            return values * self.step + self.origin
        if self.dtype.kind in "iuO":
            return _as_integers(np.round(values) * self.step, self.origin, self.dtype)
        if self.origin:
            values = values + self.origin
        return values if self.decimals is None else np.round(values, self.decimals)

    def log_unit(self, z: Array) -> Array:
        """Logarithm of the derivative of values by numbers at z, of the shape of z."""
        constant = np.log(self.scale * self.step)
        return constant + (unsquash_log_derivative(z) if self.squash else np.zeros_like(z))


def with_one_scale(columns: Sequence[Column]) -> list[Column]:
    """Columns whose numbers all have one scale, the root of their mean variance."""
    scales = [
        column.scale
        for column in columns
        if isinstance(column, NumberColumn) and column.kind in ("numeric", "integer")
    ]
    scale = scale_of(np.array(scales)) if scales else 1.0
    return [
        replace(column, scale=scale, squash=False)
        if isinstance(column, NumberColumn) and column.unit is None
        else column
        for column in columns
    ]


def number_units(encoder: Any) -> tuple[Array, Array]:
    """Zero in standard deviations, and these in the units of the data, (n_numbers,) each.

    Of the columns of the matrix of a fitted encoder; NaN for times, categories and indicators.
    """
    zero, unit = np.full((2, encoder.n_numbers), np.nan)
    for column, block in zip(encoder._columns, encoder.blocks_, strict=True):
        if isinstance(column, NumberColumn) and column.kind != "date":
            zero[block.start] = -(column.origin / column.step + column.centre) / column.scale
            unit[block.start] = column.scale * column.step
    return zero, unit


# Types of times that are moments, and so can be compared between columns; see `ColumnValues`.
_MOMENTS = ("time", "time with a zone", "period")


def time_units(encoder: Any) -> tuple[Array, Array]:
    """Time of the number zero in seconds since 1970, and seconds of one deviation.

    Of the columns of the matrix of a fitted encoder, (n_numbers,) each; NaN of all but moments.
    """
    zero, unit = np.full((2, encoder.n_numbers), np.nan)
    for column, block in zip(encoder._columns, encoder.blocks_, strict=True):
        if isinstance(column, NumberColumn) and column.type in _MOMENTS:
            second = 1e-9 if column.unit == "ns" else 1e-6
            zero[block.start] = (column.origin + column.centre * column.step) * second
            unit[block.start] = column.scale * column.step * second
    return zero, unit


def counted(values: Array, origin: int, step: int) -> Array:
    """Numbers counted from `origin` in steps, in float64, both of shape (n_values,)."""
    if values.dtype == object:
        return (values - origin).astype(np.float64) / step
    if origin and values.dtype.kind in "iu":
        distance = values.astype(np.float64) - origin
        # The difference before it is rounded, modulo 2**64 whatever the dtype.
        exact = (values.astype(np.uint64) - np.uint64(origin % 2**64)).view(np.int64)
        return np.where(np.abs(distance) < 2.0**62, exact.astype(np.float64), distance) / step
    return (values.astype(np.float64) - origin) / step


def _as_integers(numbers: Array, origin: int, dtype: Any) -> Array:
    """Whole numbers counted from `origin` as integers, both of shape (n_values,)."""
    if dtype.kind == "O":
        return as_objects([int(n) + origin for n in numbers])
    if np.abs(numbers).max(initial=0.0) < EXACT and -(2**63) <= origin < 2**63:
        whole = numbers.astype(np.int64)
        with np.errstate(over="ignore"):
            return np.asarray((whole + np.int64(origin)).astype(dtype))
    limits = np.iinfo(dtype)
    exact = [min(max(int(n) + origin, limits.min), limits.max) for n in numbers]
    return np.array(exact, dtype)


def _moments(numbers: Array, weight: Array | None) -> tuple[float, float]:
    """Mean and standard deviation of numbers of shape (n_values,)."""
    centre, deviation = moments(numbers[:, np.newaxis], weight)
    return float(centre[0]), float(deviation[0])


def _time_step(values: Array, origin: int, unit: str | None) -> int:
    """The largest unit of time that divides all counts, (n_values,), in their unit."""
    smallest = 1000 if unit == "us" else 1
    common = int(np.gcd.reduce(values - origin)) if len(values) > 1 else 0
    common = gcd(common, origin)
    steps = (step // smallest for step in _TIME_UNITS if step >= smallest)
    return next(step for step in steps if common % step == 0)


def _decimals(numbers: Array) -> int | None:
    """Decimals to which all numbers, (n_values,), are rounded, if to few."""
    tried = range(1, _MOST_DECIMALS + 1)
    return next((n for n in tried if (np.round(numbers, n) == numbers).all()), None)


# Checks of the values of a column


def strings_as_times(column: Column, data: ColumnValues, form: Any) -> ColumnValues:
    """Strings as times where the column is one of times; other values as they are.

    A string that is no time is missing if the column had strings in fit, by `form`, the format
    of its values. Otherwise the strings stay, and are then of another type than the values in
    fit.
    """
    if column.family != "time" or data.type != "str":
        return data
    times = replace(as_times(data, column.type, column.unit), format=form)
    are_times = isinstance(form, IsoFormat) or (times.observed == data.observed).all()
    return times if are_times else data


def check_finite(data: ColumnValues) -> None:
    """Raise if values are infinite."""
    is_float = data.family == "number" and data.values.dtype.kind == "f"
    n_infinite = int(np.isinf(data.values).sum()) if is_float else 0
    if n_infinite:
        raise ValueError(
            f"Input X contains infinity or a value too large for float64 in column "
            f"{data.name!r}, in {n_infinite} of {len(data.values)} rows."
        )


def check_type(column: Column, data: ColumnValues) -> None:
    """Raise if values are infinite, or not of the type that was seen in fit."""
    check_finite(data)
    if column.width == 0 or not data.observed.any() or data.type == column.type:
        return
    if {data.type, column.type} != {"bool", "number"}:
        raise ValueError(
            f"Column {column.name!r} had values of type {column.type} in fit, and has values "
            f"of type {data.type} now."
        )


def check_known(column: Column, data: ColumnValues, known: Array) -> None:
    """Raise if observed values are not known; `known` has shape (n_samples,)."""
    unknown = sorted(map(str, set(data.values[data.observed & ~known].tolist())))
    if not unknown:
        return
    what = "strings that are no date" if column.kind == "date" else "categories"
    raise ValueError(
        f"Found unknown {what} in column {column.name!r}: {', '.join(unknown[:5])}. With "
        "handle_unknown='ignore' they are encoded as no category at all."
    )


def check_learnable(columns: Sequence[Column]) -> None:
    """Raise if all columns are ignored: they are empty or identifiers."""
    if any(column.width for column in columns):
        return
    reasons = {"empty": "no observed value", "identifier": "values nearly all different"}
    found = [f"{column.name!r} ({reasons[column.kind]})" for column in columns]
    raise ValueError(
        f"X must have a column to learn from; got {', '.join(found[:_MOST_NAMED])}"
        f"{' and others' if len(found) > _MOST_NAMED else ''}."
    )
