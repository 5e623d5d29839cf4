"""The encoding of one column of a table: base class, numbers, ignored columns, and checks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import EXACT, ColumnValues, IsoFormat, as_times
from skae.tables._squashing_scaler import (
    deviations,
    is_narrow,
    narrow_moments,
    squash,
    unsquash,
    unsquash_log_derivative,
)
from skae.utils._rows import moments, scale_of

Array = NDArray[Any]

#: How many columns or unknown values an error names.
MOST_NAMED = 5

# Numbers that are rounded to at most this many decimals come back rounded.
_MOST_DECIMALS = 8

# Units of time in nanoseconds: times are counted in the largest that divides all of them.
_TIME_UNITS = (86400 * 10**9, 3600 * 10**9, 60 * 10**9, 10**9, 10**6, 10**3, 1)


class Block(NamedTuple):
    """The columns ``Z[:, start:stop]`` of the matrix that encode one column of the table."""

    name: str
    kind: str  # see :class:`TabularEncoder`
    start: int
    stop: int
    indicator: int | None  # column of the flag of missing values; None: none was missing in fit


@dataclass(frozen=True, kw_only=True)
class Column(ABC):
    """The encoding of the values of one column as numbers."""

    name: str
    kind: str  # see TabularEncoder
    dtype: Any  # of the values
    unit: str | None  # as in ColumnValues
    type: str

    width: ClassVar[Any] = 1  # numbers that encode one value
    family: ClassVar[str] = "number"  # as in ColumnValues, of a column without a unit

    @abstractmethod
    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """Numbers, (n_samples, width), zero where a value is missing, and known values.

        These, (n_samples,), are observed, and no category that was not seen in fit.
        """

    @abstractmethod
    def decode(self, numbers: Array, clip: bool, rounded: bool = True) -> Array:
        """Values, (n_samples,), for numbers of shape (n_samples, width).

        Without rounding, they may lie between those that the column can hold.
        """


class IgnoredColumn(Column):
    """A column without numbers: no value is observed, or nearly all values differ."""

    width = 0

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
    @np.errstate(over="ignore")  # numbers near the largest have no decimals
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
            # The largest unit that divides all counts.
            common = gcd(int(np.gcd.reduce(values - origin)), origin)
            smallest = 1000 if data.unit == "us" else 1
            units = [unit // smallest for unit in _TIME_UNITS if unit >= smallest]
            step = next(unit for unit in units if common % unit == 0)
        numbers = counted(values, origin, step)
        ((centre,), (deviation,)) = moments(numbers[:, np.newaxis], weight)
        is_constant = numbers.min() == numbers.max()
        if not origin and is_narrow(deviation, np.abs(numbers).max(), data.rounding):
            _, deviation = narrow_moments(values, weight, data.rounding)
            if not is_constant:
                origin = int(np.floor(values.min()))
                numbers = counted(values, origin, step)
                ((centre,), _) = moments(numbers[:, np.newaxis], weight)
        kind = "date" if is_time else "integer" if whole else "numeric"
        decimals: int | None = 0
        if kind == "numeric":
            floats, tried = values.astype(np.float64), range(1, _MOST_DECIMALS + 1)
            decimals = next((n for n in tried if (np.round(floats, n) == floats).all()), None)
        return cls(
            name=data.name,
            kind="constant" if is_constant else kind,
            dtype=values.dtype,
            unit=data.unit,
            type=data.type,
            centre=float(centre),
            scale=float(deviation) or 1.0,
            squash=squash,
            origin=origin,
            step=step,
            low=float(numbers.min()),
            high=float(numbers.max()),
            decimals=decimals,
        )

    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        values = np.where(data.observed, data.values, 0)  # pandas.NA is no float
        counts = counted(values, self.origin, self.step)
        z = self.numbers(np.where(data.observed, counts, self.centre))
        return z[:, np.newaxis], data.observed

    def numbers(self, counts: Array) -> Array:
        """Numbers of values that are counted from the origin in steps, (n_values,) each."""
        z = deviations(counts, self.centre, self.scale)
        return squash(z) if self.squash else z

    @np.errstate(over="ignore")
    def decode(self, numbers: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        z = unsquash(numbers[:, 0]) if self.squash else numbers[:, 0]
        values = z * self.scale + self.centre
        if clip:
            values = values.clip(self.low, self.high)
        if not rounded:
            return values * self.step + self.origin
        if self.dtype.kind in "iuO":
            return _as_integers(np.round(values), self.step, self.origin, self.dtype)
        if self.origin:
            values = values + self.origin
        return values if self.decimals is None else np.round(values, self.decimals)

    def log_unit(self, z: Array) -> Array:
        """Logarithm of the derivative of values by numbers at z, of the shape of z."""
        constant = np.log(self.scale * self.step)
        return constant + (unsquash_log_derivative(z) if self.squash else np.zeros_like(z))


def with_one_scale(columns: Sequence[Any]) -> list[Any]:
    """Columns whose numbers all have one scale, the root of their mean variance."""
    scales = [c.scale for c in columns if c.kind in ("numeric", "integer")]
    scale = scale_of(np.array(scales)) if scales else 1.0
    return [
        replace(column, scale=scale, squash=False)
        if isinstance(column, NumberColumn) and column.unit is None
        else column
        for column in columns
    ]


# Types of times that are moments, and so can be compared between columns; see `ColumnValues`.
_MOMENTS = ("time", "time with a zone", "period")


def number_units(encoder: Any) -> tuple[Array, Array, Array, Array]:
    """Zero in standard deviations, and these in the units of the data, (n_numbers,) each.

    Of the columns of the matrix of a fitted encoder; NaN for times, categories and indicators.
    And of moments, NaN of all others: the time of the number zero in seconds since 1970, and
    the seconds of one deviation.
    """
    zero, unit, time_zero, time_unit = np.full((4, encoder.n_numbers), np.nan)
    for column, block in zip(encoder._columns, encoder.blocks_, strict=True):
        if not isinstance(column, NumberColumn):
            continue
        if column.kind != "date":
            zero[block.start] = -(column.origin / column.step + column.centre) / column.scale
            unit[block.start] = column.scale * column.step
        if column.type in _MOMENTS:
            second = 1e-9 if column.unit == "ns" else 1e-6
            time_zero[block.start] = (column.origin + column.centre * column.step) * second
            time_unit[block.start] = column.scale * column.step * second
    return zero, unit, time_zero, time_unit


def counted(values: Array, origin: int, step: int) -> Array:
    """Numbers counted from `origin` in steps, in float64, both of shape (n_values,)."""
    if values.dtype == object:
        return (values - origin).astype(np.float64) / step
    if origin and values.dtype.kind in "iu":
        distance = values.astype(np.float64) - float(origin)
        # The difference before it is rounded, modulo 2**64 whatever the dtype.
        exact = (values.astype(np.uint64) - np.uint64(origin % 2**64)).view(np.int64)
        return np.where(np.abs(distance) < 2.0**62, exact.astype(np.float64), distance) / step
    return (values.astype(np.float64) - float(origin)) / step


def _as_integers(numbers: Array, step: int, origin: int, dtype: Any) -> Array:
    """Whole numbers counted from `origin` in steps as integers, both of shape (n_values,)."""
    if dtype.kind == "O":
        return np.fromiter((int(n) * step + origin for n in numbers), object)
    largest = np.abs(numbers).max(initial=0.0)
    if largest < EXACT and largest * step < 2.0**63 and -(2**63) <= origin < 2**63:
        # The product may be one that float64 has not: nanoseconds of years.
        whole = numbers.astype(np.int64) * step
        with np.errstate(over="ignore"):
            return np.asarray((whole + np.int64(origin)).astype(dtype))
    limits = np.iinfo(dtype)
    exact = [min(max(int(n) * step + origin, limits.min), limits.max) for n in numbers]
    return np.array(exact, dtype)


# Checks of the values of a column


def strings_as_times(column: Column, data: ColumnValues, form: Any) -> ColumnValues:
    """Strings as times where the column is one of times; other values as they are.

    A string that is no time is missing if the column had strings in fit, by `form`, the format
    of its values. Otherwise the strings stay, and are then of another type than the values in
    fit.
    """
    if column.unit is None or data.type != "str":
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


def as_in_fit(column: Column, data: ColumnValues, form: Any = None) -> ColumnValues:
    """Values in the type and unit of a column, strings as times by `form`.

    Raises if values are infinite, or of another type than in fit.
    """
    data = strings_as_times(column, data, form)
    check_finite(data)
    may_differ = column.width == 0 or not data.observed.any() or data.type == column.type
    if not may_differ and {data.type, column.type} != {"bool", "number"}:
        raise ValueError(
            f"Column {column.name!r} had values of type {column.type} in fit, and has values "
            f"of type {data.type} now."
        )
    if data.unit in (None, column.unit):
        return data
    values = data.values * 1000 if column.unit == "ns" else data.values // 1000
    return replace(data, values=values, unit=column.unit)


def check_learnable(columns: Sequence[Column]) -> None:
    """Raise if all columns are ignored: they are empty or identifiers."""
    if any(column.width for column in columns):
        return
    reasons = {"empty": "no observed value", "identifier": "values nearly all different"}
    found = [f"{column.name!r} ({reasons[column.kind]})" for column in columns]
    raise ValueError(
        f"X must have a column to learn from; got {', '.join(found[:MOST_NAMED])}"
        f"{' and others' if len(found) > MOST_NAMED else ''}."
    )


def check_known(column: Column, data: ColumnValues, known: Array) -> None:
    """Raise if observed values are not known; `known` has shape (n_samples,)."""
    unknown = sorted(map(str, set(data.values[data.observed & ~known].tolist())))
    if not unknown:
        return
    what = "strings that are no date" if column.kind == "date" else "categories"
    shown = ", ".join(unknown[:MOST_NAMED])
    raise ValueError(
        f"Found unknown {what} in column {column.name!r}: {shown}. With "
        "handle_unknown='ignore' they are encoded as no category at all."
    )
