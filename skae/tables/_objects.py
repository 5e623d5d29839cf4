"""Columns of Python objects: a closed list of types that are numbers, times or categories."""

import datetime
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, NoReturn

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import (
    DAY,
    EXACT,
    ColumnValues,
    column_of_times,
    fill_missing,
    in_microseconds,
    numpy_times,
)

Array = NDArray[Any]

# Most objects of most tables are of these classes, which have no missing value.
_NEVER_MISSING = frozenset({str, int, bool, bytes, datetime.date, datetime.datetime})

# The types that are known, with their classes. A bool is an int, a datetime a date, and a
# timedelta64 an integer of NumPy: the first that fits counts.
_TYPES: dict[str, type | tuple[type, ...]] = {
    "bool": (bool, np.bool_),
    "Enum": Enum,
    "timedelta64": np.timedelta64,
    "datetime64": np.datetime64,
    "float": (int, float, np.integer, np.floating),
    "Decimal": Decimal,
    "Fraction": Fraction,
    "str": str,
    "bytes": bytes,
    "datetime": datetime.datetime,
    "date": datetime.date,
    "time": datetime.time,
    "timedelta": datetime.timedelta,
}
_OF_PANDAS = ("Interval", "Period")

_NUMBERS = ("float", "Decimal", "Fraction")
_CATEGORIES = ("str", "bytes", "bool", "Interval")

# Half of the usual length of periods that are not all equally long: added to a time, it makes
# the period that contains it the one that starts nearest.
_HALF_PERIOD = {"A": 182 * DAY, "Y": 182 * DAY, "Q": 45 * DAY, "M": 15 * DAY, "W": 7 * DAY // 2}


@dataclass(frozen=True)
class ObjectFormat:
    """The class of the objects of a column that are numbers or times."""

    kind: str  # "int", "Timestamp", "Timedelta", "Period", or a type of `_TYPES`
    scale: int | None = None  # decimals of a Decimal; largest denominator of a Fraction
    zone: Any = None  # tzinfo of a datetime or a Timestamp
    frequency: str | None = None  # of a Period

    def objects(self, values: Array, unit: str | None) -> Array:
        """Objects for values, both of shape (n_values,)."""
        if self.kind in ("int", "Decimal", "Fraction"):
            return np.fromiter(self._numbers(values), object)
        counts, of_pandas = values.astype(np.int64), ("Timestamp", "Timedelta", "Period")
        make = self._times_of_pandas if self.kind in of_pandas else self._times
        return np.fromiter(make(counts, unit), object)

    def _numbers(self, values: Array) -> list[Any]:
        """Numbers of Python for values (n_values,)."""
        if self.kind == "int":
            return [round(value) for value in values.tolist()]
        if self.kind == "Fraction":
            largest = max(int(self.scale or 1), 1)
            return [Fraction(value).limit_denominator(largest) for value in values.tolist()]
        if values.dtype.kind != "O":
            values = values.astype(np.float64)
        # Zero is added for the sign of a negative zero.
        exact = (Decimal(repr(value + 0)) for value in values.tolist())
        return [Decimal(f"{value:.{self.scale}f}") for value in exact]

    def _times(self, counts: Array, unit: str | None) -> list[Any]:
        """Times of NumPy or Python for counts (n_values,)."""
        if self.kind == "datetime64":
            return list(numpy_times(counts, unit))
        if self.kind == "timedelta64":
            return list(numpy_times(counts, unit, "m"))
        counts = in_microseconds(counts, unit)
        if self.kind == "timedelta":
            return list(numpy_times(counts, "us", "m").tolist())
        if self.kind == "time":
            counts = np.clip(counts, 0, DAY - 1)
            return [moment.time() for moment in numpy_times(counts, "us").tolist()]
        # Python has the years 1 to 9999.
        ends = np.array(["0001-01-01", "9999-12-31T23:59:59.999999"], "M8[us]").astype("i8")
        moments = numpy_times(np.clip(counts, *ends), "us").tolist()
        if self.kind == "date":
            return [moment.date() for moment in moments]
        if self.zone is None:
            return list(moments)
        return [moment.replace(tzinfo=datetime.UTC).astimezone(self.zone) for moment in moments]

    def _times_of_pandas(self, counts: Array, unit: str | None) -> list[Any]:
        """Timestamps, Timedeltas or Periods that start nearest, for counts (n_values,)."""
        import pandas as pd

        if self.kind == "Timedelta":
            return list(pd.TimedeltaIndex(numpy_times(counts, unit, "m")))
        if self.kind == "Period":
            frequency = str(self.frequency)
            shift = _HALF_PERIOD.get(frequency.lstrip("0123456789")[:1], 0)
            starts = numpy_times(counts + shift * (1000 if unit == "ns" else 1), unit)
            return list(pd.PeriodIndex(pd.DatetimeIndex(starts), freq=frequency))
        stamps = pd.DatetimeIndex(numpy_times(counts, unit))
        if self.zone is not None:
            stamps = stamps.tz_localize("UTC").tz_convert(self.zone)
        return list(stamps)


def values_of_objects(name: str, objects: Array, declared: bool = False) -> ColumnValues:
    """A column of objects, (n_samples,): all numbers, all times, or categories of one type.

    Those that the dtype declares to be categories are, and may be of any one type.
    """
    are_observed = (type(v) in _NEVER_MISSING or not is_missing(v) for v in objects)
    observed = np.fromiter(are_observed, bool, len(objects))
    present = objects[observed]
    name_of = {kind: _type_name(kind) for kind in set(map(type, present))}
    unknown = sorted(kind.__name__ for kind, known in name_of.items() if known is None)
    if unknown and not declared:
        refuse_type(name, ", ".join(unknown))
    names = sorted({known or kind.__name__ for kind, known in name_of.items()})
    are_enums = names == ["Enum"] and not declared
    if are_enums:
        names = sorted(kind.__name__ for kind in name_of)
    elif names in (["Decimal", "float"], ["Fraction", "float"]) and not declared:
        # Numbers among exact numbers, as a zero that was filled in.
        names.pop()
    if len(names) > 1:
        raise TypeError(
            f"Column {name!r} of the argument must be of uniformly strings or numbers, or of "
            f"one other type; got {', '.join(names)}. Give it one type, for example by "
            "astype(str)."
        )
    kind = names[0] if names else ""
    if declared and kind == "float":
        objects, kind = _column_of_numbers(name, present, observed, kind).values, "number"
    if declared or are_enums or kind in _CATEGORIES:
        return ColumnValues(name, objects, observed, "category", type=kind, declared=declared)
    if kind in ("", *_NUMBERS):
        return _column_of_numbers(name, present, observed, kind)
    try:
        times, type_, form = _numpy_times(present, kind)
        return column_of_times(name, times, observed, type_, form)
    except (ValueError, TypeError, OverflowError) as error:
        refuse_type(name, f"{kind} objects that cannot be compared: {error}", error)


def refuse_type(name: str, found: str, cause: Exception | None = None) -> NoReturn:
    """Raise as a column is of a type that is no number, time or category."""
    raise TypeError(
        f"Column {name!r} must have real numbers, dates or times, strings, booleans or "
        f"categories; got {found}. This column of the argument must be turned into strings, "
        "for example with astype(str), or into numbers, or dropped."
    ) from cause


def is_missing(value: Any) -> bool:
    """Return True for None and for what is not equal to itself, as NaN, NaT and NA."""
    if value is None or value is getattr(nw.dependencies.get_pandas(), "NA", None):
        return True
    if value is np.ma.masked:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    unequal = None if isinstance(value, type) else value.__ne__(value)
    # An array has no plain answer, and is not missing.
    return isinstance(unequal, bool | np.bool_) and bool(unequal)


def _type_name(kind: type) -> str | None:
    """The known type that a class belongs to; None: there is none."""
    for name, classes in _TYPES.items():
        if issubclass(kind, classes):
            return name
    is_pandas = kind.__module__.partition(".")[0] == "pandas"
    return kind.__name__ if is_pandas and kind.__name__ in _OF_PANDAS else None


def _column_of_numbers(name: str, present: Array, observed: Array, kind: str) -> ColumnValues:
    """A column of numbers: float64, but integers where all are Python's and fit into 64 bits.

    `present`, (n_observed,), are the objects where `observed`, (n_samples,).
    """
    form, type_ = None, "number" if kind else ""
    if kind == "Decimal":
        # Other numbers among them have no exponent; that of infinity is a letter.
        exponents = [v.as_tuple().exponent for v in present if isinstance(v, Decimal)]
        decimals = [-exponent for exponent in exponents if isinstance(exponent, int)]
        form = ObjectFormat("Decimal", scale=max([0, *decimals]))
    elif kind == "Fraction":
        form = ObjectFormat("Fraction", scale=max(Fraction(v).denominator for v in present))
    elif len(present) and all(type(v) is int for v in present):
        form = ObjectFormat("int")
        for dtype in (np.int64, np.uint64):
            info = np.iinfo(dtype)
            if info.min <= present.min() and present.max() <= info.max:
                whole = fill_missing(present.astype(dtype), observed)
                return ColumnValues(name, whole, observed, "number", type=type_, format=form)
    values = np.full(len(observed), np.nan)
    try:
        values[observed] = present.astype(np.float64)
    except OverflowError:
        raise ValueError(
            f"Input X contains infinity or a value too large for float64 in column {name!r}."
        ) from None
    # Whole numbers that float64 rounds stay exact. Floats are themselves rounded, unless they
    # are a few among exact numbers.
    if EXACT <= np.abs(values[observed]).max(initial=0.0) < np.inf:
        are_exact = kind != "float" or all(isinstance(v, int | np.integer) for v in present)
        if are_exact and all(v == int(v) for v in present):
            values = fill_missing(np.fromiter(map(int, present), object), observed)
    return ColumnValues(name, values, observed, "number", type=type_, format=form)


def _numpy_times(present: Array, kind: Any) -> tuple[Array, str, ObjectFormat]:
    """Times of NumPy, (n_values,), for objects of one class, their type and format."""
    if kind in ("datetime64", "timedelta64"):
        # In the finest unit among them.
        type_ = "time" if kind == "datetime64" else "duration"
        return np.array(list(present)), type_, ObjectFormat(kind)
    if kind == "timedelta":
        times = _from_pandas(present, "m", "nanoseconds")
        if times is not None:
            return times, "duration", ObjectFormat("Timedelta")
        return np.array(present.tolist(), "m8[us]"), "duration", ObjectFormat("timedelta")
    if kind == "date":
        return np.array(present.tolist(), "M8[D]"), "time", ObjectFormat("date")
    if kind == "time":
        if any(value.tzinfo is not None for value in present):
            raise ValueError("a time of day with a time zone has no place without its date")
        midnight = datetime.date(1970, 1, 1)
        moments = [datetime.datetime.combine(midnight, value) for value in present]
        return np.array(moments, "M8[us]"), "time of day", ObjectFormat("time")
    if kind == "Period":
        import pandas as pd

        periods = pd.PeriodIndex(present)
        form = ObjectFormat("Period", frequency=periods.freqstr)
        return np.asarray(periods.to_timestamp()), "period", form
    # Datetimes or Timestamps, in UTC if they have time zones.
    zones = [value.tzinfo for value in present]
    if len({zone is None for zone in zones}) > 1:
        raise ValueError("some have a time zone and some have none")
    is_one = all(zone is zones[0] or zone == zones[0] for zone in zones)
    zone = zones[0] if is_one else datetime.UTC
    type_ = "time" if zone is None else "time with a zone"
    times = _from_pandas(present, "M", "nanosecond")
    if times is not None:
        return times, type_, ObjectFormat("Timestamp", zone=zone)
    if zone is not None:
        in_utc = (v.astimezone(datetime.UTC).replace(tzinfo=None) for v in present)
        present = np.fromiter(in_utc, object)
    return np.array(present.tolist(), "M8[us]"), type_, ObjectFormat("datetime", zone=zone)


def _from_pandas(present: Array, code: str, nanoseconds: str) -> Array | None:
    """Times of NumPy, (n_values,), for Timestamps or Timedeltas; None if some are none."""
    if not all(hasattr(value, "asm8") for value in present):
        return None
    unit = "ns" if any(getattr(value, nanoseconds) for value in present) else "us"
    return np.array([value.asm8.astype(f"{code}8[{unit}]") for value in present])
