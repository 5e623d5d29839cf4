"""Columns of Python objects: a closed list of types that are numbers, times or categories."""

import datetime
from collections.abc import Callable, Sequence
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
    as_objects,
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
_CATEGORIES = ("str", "bytes", "bool", "Enum", "Interval")

# Half of the usual length of periods that are not all equally long: added to a time, it makes
# the period that contains it the one that starts nearest.
_HALF_PERIOD = {
    "A": 182 * DAY,
    "Y": 182 * DAY,
    "Q": 45 * DAY,
    "M": 15 * DAY,
    "W": 7 * DAY // 2,
}


@dataclass(frozen=True)
class ObjectFormat:
    """The class of the objects of a column that are numbers or times."""

    kind: str  # name of the class, one of those in `_MAKERS`
    scale: int | None = None  # decimals of a Decimal; largest denominator of a Fraction
    zone: Any = None  # tzinfo of a datetime or a Timestamp
    frequency: str | None = None  # of a Period

    def objects(self, values: Array, unit: str | None) -> Array:
        """Objects for values, both of shape (n_values,)."""
        return as_objects(_MAKERS[self.kind](self, values, unit))


def values_of_objects(name: str, objects: Array) -> ColumnValues:
    """A column of objects, (n_samples,): all numbers, all times, or categories of one type."""
    observed = _observed(objects)
    present = objects[observed]
    kind = _only_type(name, set(map(type, present)))
    if kind in (None, *_NUMBERS):
        return _numbers(name, present, observed, kind)
    if kind in _CATEGORIES:
        shown = type(present[0]).__name__ if kind == "Enum" else kind
        return ColumnValues(name, objects, observed, "category", type=shown)
    try:
        times, type_, form = _PARSERS[kind](present)
        return column_of_times(name, times, observed, type_, form)
    except (ValueError, TypeError, OverflowError) as error:
        refuse_type(name, f"{kind} objects that cannot be compared: {error}", error)


def categories_of_objects(name: str, objects: Array) -> ColumnValues:
    """A column, (n_samples,), whose dtype declares categories, of any one type."""
    observed = _observed(objects)
    classes = set(map(type, objects[observed]))
    names = sorted({_type_name(kind) or kind.__name__ for kind in classes})
    if len(names) > 1:
        _refuse_mixture(name, names)
    if names == ["float"]:
        objects, names = _numbers(name, objects[observed], observed, "float").values, ["number"]
    return ColumnValues(name, objects, observed, "category", type="".join(names), declared=True)


def refuse_type(name: str, found: str, cause: Exception | None = None) -> NoReturn:
    """Raise as a column is of a type that is no number, time or category."""
    raise TypeError(
        f"Column {name!r} must have real numbers, dates or times, strings, booleans or "
        f"categories; got {found}. This column of the argument must be turned into strings, "
        "for example with astype(str), or into numbers, or dropped."
    ) from cause


def _refuse_mixture(name: str, names: Sequence[str]) -> NoReturn:
    raise TypeError(
        f"Column {name!r} of the argument must be of uniformly strings or numbers, or of "
        f"one other type; got {', '.join(names)}. Give it one type, for example by "
        "astype(str)."
    )


def _observed(objects: Array) -> Array:
    """Mask of the objects that are not missing, (n_samples,)."""
    observed = (type(v) in _NEVER_MISSING or not is_missing(v) for v in objects)
    return np.fromiter(observed, bool, len(objects))


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


def _only_type(name: str, classes: set[type]) -> str | None:
    """The one known type of these classes; None where there is no object."""
    unknown = sorted(kind.__name__ for kind in classes if _type_name(kind) is None)
    if unknown:
        refuse_type(name, ", ".join(unknown))
    names = {str(_type_name(kind)) for kind in classes}
    exact = names & {"Decimal", "Fraction"}
    if len(exact) == 1 and names <= {"float", *exact}:
        # Numbers among exact numbers, as a zero that was filled in.
        names = exact
    if names == {"Enum"} and len(classes) > 1:
        _refuse_mixture(name, sorted(kind.__name__ for kind in classes))
    if len(names) > 1:
        _refuse_mixture(name, sorted(names))
    return names.pop() if names else None


# Numbers


def _numbers(name: str, present: Array, observed: Array, kind: str | None) -> ColumnValues:
    """A column of numbers: float64, but integers where all are Python's and fit into 64 bits.

    `present`, (n_observed,), are the objects where `observed`, (n_samples,).
    """
    form = _number_format(present, kind)
    type_ = "number" if kind else ""
    if form == ObjectFormat("int"):
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
    if _needs_python_integers(present, values[observed], kind):
        values = fill_missing(as_objects([int(v) for v in present]), observed)
    return ColumnValues(name, values, observed, "number", type=type_, format=form)


def _needs_python_integers(present: Array, rounded: Array, kind: str | None) -> bool:
    """Return True if these numbers, (n_values,), are whole, and float64 rounds them."""
    if not EXACT <= np.abs(rounded).max(initial=0.0) < np.inf:
        return False
    # Floats are themselves rounded, unless they are a few among exact numbers.
    are_exact = kind != "float" or all(isinstance(v, int | np.integer) for v in present)
    return are_exact and all(v == int(v) for v in present)


def _number_format(present: Array, kind: str | None) -> ObjectFormat | None:
    """Format of numbers, (n_values,); None: floats."""
    if kind == "Decimal":
        # Other numbers among them have no exponent; that of infinity is a letter.
        exponents = [v.as_tuple().exponent for v in present if isinstance(v, Decimal)]
        decimals = [-exponent for exponent in exponents if isinstance(exponent, int)]
        return ObjectFormat("Decimal", scale=max([0, *decimals]))
    if kind == "Fraction":
        return ObjectFormat("Fraction", scale=max(Fraction(v).denominator for v in present))
    if len(present) and all(type(v) is int for v in present):
        return ObjectFormat("int")
    return None


def _decimals(form: ObjectFormat, values: Array, unit: str | None) -> list[Any]:
    """Decimals for values (n_values,)."""
    if values.dtype.kind != "O":
        values = values.astype(np.float64)
    # Zero is added for the sign of a negative zero.
    exact = (Decimal(repr(value + 0)) for value in values.tolist())
    return [Decimal(f"{value:.{form.scale}f}") for value in exact]


def _fractions(form: ObjectFormat, values: Array, unit: str | None) -> list[Any]:
    """Fractions for values (n_values,)."""
    largest = max(int(form.scale or 1), 1)
    return [Fraction(value).limit_denominator(largest) for value in values.tolist()]


# Times: for each class, times of NumPy, the type, and the format of objects

_Times = tuple[Array, str, ObjectFormat]


def _parse_datetimes(present: Array) -> _Times:
    """Datetimes or Timestamps, (n_values,), in UTC if they have time zones."""
    zones = [value.tzinfo for value in present]
    if len({zone is None for zone in zones}) > 1:
        raise ValueError("some have a time zone and some have none")
    is_one = all(zone is zones[0] or zone == zones[0] for zone in zones)
    zone = zones[0] if is_one else datetime.UTC
    type_ = "time" if zone is None else "time with a zone"
    times = _times_of_pandas(present, "M", "nanosecond")
    if times is not None:
        return times, type_, ObjectFormat("Timestamp", zone=zone)
    if zone is not None:
        present = as_objects([v.astimezone(datetime.UTC).replace(tzinfo=None) for v in present])
    return np.array(present.tolist(), "M8[us]"), type_, ObjectFormat("datetime", zone=zone)


def _parse_timedeltas(present: Array) -> _Times:
    """Durations of Python or pandas, (n_values,)."""
    times = _times_of_pandas(present, "m", "nanoseconds")
    if times is not None:
        return times, "duration", ObjectFormat("Timedelta")
    return np.array(present.tolist(), "m8[us]"), "duration", ObjectFormat("timedelta")


def _times_of_pandas(present: Array, code: str, nanoseconds: str) -> Array | None:
    """Times of NumPy, (n_values,), for Timestamps or Timedeltas; None if some are none."""
    if not all(hasattr(value, "asm8") for value in present):
        return None
    unit = "ns" if any(getattr(value, nanoseconds) for value in present) else "us"
    return np.array([value.asm8.astype(f"{code}8[{unit}]") for value in present])


def _parse_numpy(present: Array) -> _Times:
    """Scalars of NumPy, (n_values,), in the finest unit among them."""
    times = np.array(list(present))
    if times.dtype.kind == "M":
        return times, "time", ObjectFormat("datetime64")
    return times, "duration", ObjectFormat("timedelta64")


def _parse_times_of_day(present: Array) -> _Times:
    """Times of day, (n_values,), since midnight."""
    if any(value.tzinfo is not None for value in present):
        raise ValueError("a time of day with a time zone has no place without its date")
    midnight = datetime.date(1970, 1, 1)
    moments = [datetime.datetime.combine(midnight, value) for value in present]
    return np.array(moments, "M8[us]"), "time of day", ObjectFormat("time")


def _parse_periods(present: Array) -> _Times:
    """Periods, (n_values,), by their starts."""
    import pandas as pd

    periods = pd.PeriodIndex(present)
    form = ObjectFormat("Period", frequency=periods.freqstr)
    return np.asarray(periods.to_timestamp()), "period", form


_PARSERS: dict[Any, Callable[[Array], _Times]] = {
    "date": lambda present: (np.array(present.tolist(), "M8[D]"), "time", ObjectFormat("date")),
    "datetime": _parse_datetimes,
    "datetime64": _parse_numpy,
    "time": _parse_times_of_day,
    "timedelta": _parse_timedeltas,
    "timedelta64": _parse_numpy,
    "Period": _parse_periods,
}


def _naive(values: Array, unit: str | None) -> list[datetime.datetime]:
    """Datetimes of Python, which has the years 1 to 9999, for counts (n_values,)."""
    first, last = np.array(["0001-01-01", "9999-12-31T23:59:59.999999"], "M8[us]").astype("i8")
    clipped = np.clip(in_microseconds(values, unit), first, last)
    return list(clipped.astype("M8[us]").tolist())


def _datetimes(form: ObjectFormat, values: Array, unit: str | None) -> list[Any]:
    """Datetimes in the zone of the format for counts (n_values,)."""
    moments = _naive(values, unit)
    if form.zone is None:
        return moments
    return [moment.replace(tzinfo=datetime.UTC).astimezone(form.zone) for moment in moments]


def _timestamps(form: ObjectFormat, values: Array, unit: str | None) -> list[Any]:
    """Timestamps in the zone of the format for counts (n_values,)."""
    import pandas as pd

    stamps = pd.DatetimeIndex(numpy_times(values, unit))
    if form.zone is not None:
        stamps = stamps.tz_localize("UTC").tz_convert(form.zone)
    return list(stamps)


def _pandas_timedeltas(form: ObjectFormat, values: Array, unit: str | None) -> list[Any]:
    """Timedeltas for counts (n_values,)."""
    import pandas as pd

    return list(pd.TimedeltaIndex(numpy_times(values, unit, "m")))


def _times_of_day(form: ObjectFormat, values: Array, unit: str | None) -> list[Any]:
    """Times of day for counts (n_values,), clipped to one day."""
    clipped = np.clip(in_microseconds(values, unit), 0, DAY - 1)
    return [moment.time() for moment in numpy_times(clipped, "us").tolist()]


def _periods(form: ObjectFormat, values: Array, unit: str | None) -> list[Any]:
    """Periods whose starts are nearest to counts (n_values,)."""
    import pandas as pd

    frequency = str(form.frequency)
    shift = _HALF_PERIOD.get(frequency.lstrip("0123456789")[:1], 0)
    counts = values.astype(np.int64) + shift * (1000 if unit == "ns" else 1)
    return list(pd.PeriodIndex(pd.DatetimeIndex(numpy_times(counts, unit)), freq=frequency))


# Objects of each class for values (n_values,).
_MAKERS: dict[str, Callable[[ObjectFormat, Array, str | None], list[Any]]] = {
    "int": lambda form, values, unit: [round(value) for value in values.tolist()],
    "Decimal": _decimals,
    "Fraction": _fractions,
    "date": lambda form, values, unit: [moment.date() for moment in _naive(values, unit)],
    "datetime": _datetimes,
    "Timestamp": _timestamps,
    "datetime64": lambda form, values, unit: list(numpy_times(values, unit)),
    "timedelta": lambda form, values, unit: (
        in_microseconds(values, unit).view("m8[us]").tolist()
    ),
    "Timedelta": _pandas_timedeltas,
    "timedelta64": lambda form, values, unit: list(numpy_times(values, unit, "m")),
    "time": _times_of_day,
    "Period": _periods,
}
