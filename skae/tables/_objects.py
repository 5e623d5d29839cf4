"""Columns of Python objects: a closed list of types that are numbers, times or categories."""

import datetime
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._cells import EXACT, ColumnValues, ObjectFormat, as_objects

Array = NDArray[Any]

# Most objects of most tables: they need no closer look.
_NEVER_MISSING = frozenset({str, int, bool, bytes, datetime.date, datetime.datetime})

_NUMBERS = ("float", "Decimal", "Fraction")
_CATEGORIES = ("str", "bytes", "bool", "Enum", "Interval")


def type_name(kind: type) -> str | None:
    """The entry of the list of known types that a class belongs to; None: there is none."""
    for known, name in _KNOWN:
        if issubclass(kind, known):
            return name
    is_pandas = kind.__module__.partition(".")[0] == "pandas"
    return kind.__name__ if is_pandas and kind.__name__ in ("Interval", "Period") else None


# A bool is an int, a datetime a date, and a timedelta64 an integer of NumPy: the order counts.
_KNOWN: tuple[tuple[Any, str], ...] = (
    ((bool, np.bool_), "bool"),
    (Enum, "Enum"),
    (np.timedelta64, "timedelta64"),
    (np.datetime64, "datetime64"),
    ((int, float, np.integer, np.floating), "float"),
    (Decimal, "Decimal"),
    (Fraction, "Fraction"),
    (str, "str"),
    (bytes, "bytes"),
    (datetime.datetime, "datetime"),
    (datetime.date, "date"),
    (datetime.time, "time"),
    (datetime.timedelta, "timedelta"),
)


def is_missing(value: Any) -> bool:
    """Whether an object is None or not equal to itself, as NaN, NaT and NA are."""
    if value is None or value is getattr(nw.dependencies.get_pandas(), "NA", None):
        return True
    if value is np.ma.masked:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    unequal = None if isinstance(value, type) else value.__ne__(value)
    # What has no plain answer, as an array has not, is not missing.
    return isinstance(unequal, bool | np.bool_) and bool(unequal)


def observed_objects(values: Array) -> Array:
    """Which objects are not missing, of shape (n_cells,)."""
    there = (type(v) in _NEVER_MISSING or not is_missing(v) for v in values)
    return np.fromiter(there, bool, len(values))


def values_of_objects(name: str, values: Array) -> ColumnValues:
    """Cells of a column of objects: all numbers, all times, or categories of one type.

    Parameters
    ----------
    name : str
        Of the column.

    values : ndarray of object of shape (n_cells,)
        The objects.

    Raises
    ------
    TypeError
        If objects are of several types, or of one that is not known.
    """
    observed = observed_objects(values)
    kept = values[observed]
    kind = _only_kind(name, set(map(type, kept)))
    if kind in (None, *_NUMBERS):
        return _numbers(name, kept, observed, kind)
    if kind in _CATEGORIES:
        shown = type(kept[0]).__name__ if kind == "Enum" else kind
        return ColumnValues(name, values, observed, "level", type=shown)
    try:
        times = _TIMES[kind](kept)
    except (ValueError, TypeError, OverflowError) as error:
        raise TypeError(
            _refusal(name, f"{kind} objects that cannot be compared: {error}")
        ) from error
    counts = spread_out(times.counts.astype(np.int64), observed)
    return ColumnValues(name, counts, observed, "time", times.unit, times.type, times.format)


def categories_of_objects(name: str, values: Array) -> ColumnValues:
    """Cells of a column whose dtype declares categories, of any one type."""
    observed = observed_objects(values)
    names = sorted(
        {type_name(kind) or kind.__name__ for kind in set(map(type, values[observed]))}
    )
    if len(names) > 1:
        raise TypeError(_mixed(name, names))
    if names == ["float"]:
        cells = _numbers(name, values[observed], observed, "float")
        return ColumnValues(name, cells.values, observed, "level", type="number", declared=True)
    return ColumnValues(name, values, observed, "level", type="".join(names), declared=True)


def spread_out(kept: Array, observed: Array) -> Array:
    """Observed values at their places and the first one elsewhere, of shape (n_cells,)."""
    values = np.full(len(observed), kept[0] if len(kept) else 0, kept.dtype)
    values[observed] = kept
    return values


def refuse_type(name: str, what: str) -> None:
    """Raise as a column is of a type that is no number, time or category."""
    raise TypeError(_refusal(name, what))


def _refusal(name: str, what: str) -> str:
    return (
        f"Column {name!r} must have real numbers, dates or times, strings, booleans or "
        f"categories; got {what}. This column of the argument must be turned into strings, "
        "for example with astype(str), or into numbers, or dropped."
    )


def _mixed(name: str, names: Sequence[str]) -> str:
    return (
        f"Column {name!r} of the argument must be of uniformly strings or numbers, or of "
        f"one other type; got {', '.join(names)}. Give it one type, for example by "
        "astype(str)."
    )


def _only_kind(name: str, classes: set[type]) -> str | None:
    """The one known type of these classes; None where there is no object."""
    unknown = sorted(kind.__name__ for kind in classes if type_name(kind) is None)
    if unknown:
        raise TypeError(_refusal(name, ", ".join(unknown)))
    names = {str(type_name(kind)) for kind in classes}
    exact = names & {"Decimal", "Fraction"}
    if len(exact) == 1 and names <= {"float", *exact}:
        # Numbers among exact numbers, as a zero that was filled in.
        names = exact
    if names == {"Enum"} and len(classes) > 1:
        raise TypeError(_mixed(name, sorted(kind.__name__ for kind in classes)))
    if len(names) > 1:
        raise TypeError(_mixed(name, sorted(names)))
    return names.pop() if names else None


def _numbers(name: str, kept: Array, observed: Array, kind: str | None) -> ColumnValues:
    """Cells of numbers: float64, but integers where all are Python's and fit into 64 bits."""
    form = _number_format(kept, kind)
    if form == ObjectFormat("int"):
        for dtype in (np.int64, np.uint64):
            info = np.iinfo(dtype)
            if info.min <= kept.min() and kept.max() <= info.max:
                whole = spread_out(kept.astype(dtype), observed)
                return ColumnValues(name, whole, observed, "number", type="number", format=form)
    values = np.full(len(observed), np.nan)
    try:
        values[observed] = kept.astype(np.float64)
    except OverflowError:
        raise ValueError(
            f"Input X contains infinity or a value too large for float64 in column {name!r}."
        ) from None
    if _needs_python_integers(kept, values[observed], kind):
        values = spread_out(as_objects([int(v) for v in kept]), observed)
    return ColumnValues(
        name, values, observed, "number", type="number" if kind else "", format=form
    )


def _needs_python_integers(kept: Array, rounded: Array, kind: str | None) -> bool:
    """Whether these numbers, of shape (n_cells,), are whole, and float64 rounds them."""
    if not EXACT <= np.abs(rounded).max(initial=0.0) < np.inf:
        return False
    # Floats are themselves rounded, unless they are a few among exact numbers.
    are_exact = kind != "float" or all(isinstance(v, int | np.integer) for v in kept)
    return are_exact and all(v == int(v) for v in kept)


def _number_format(kept: Array, kind: str | None) -> ObjectFormat | None:
    if kind == "Decimal":
        return ObjectFormat("Decimal", scale=max(map(_scale, kept)))
    if kind == "Fraction":
        return ObjectFormat("Fraction", scale=max(Fraction(v).denominator for v in kept))
    if len(kept) and all(type(v) is int for v in kept):
        return ObjectFormat("int")
    return None


def _scale(value: Any) -> int:
    """How many decimals a Decimal has, or another number that is one among them."""
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else 0
    return max(-exponent, 0) if isinstance(exponent, int) else 0


class _Times(NamedTuple):
    """Times as counts, of shape (n_cells,), and how they become objects again."""

    counts: Array
    unit: str
    type: str
    format: ObjectFormat


def _of_dates(kept: Array) -> _Times:
    counts = np.array(kept.tolist(), "M8[D]").astype("M8[us]")
    return _Times(counts, "us", "time", ObjectFormat("date"))


def _of_datetimes(kept: Array) -> _Times:
    is_aware = {value.tzinfo is not None for value in kept}
    if len(is_aware) > 1:
        raise ValueError("some have a time zone and some have none")
    zone = _common([value.tzinfo for value in kept])
    type_ = "time with a zone" if True in is_aware else "time"
    if all(hasattr(value, "asm8") for value in kept):
        unit = "ns" if any(value.nanosecond for value in kept) else "us"
        counts = np.array([value.asm8.astype(f"M8[{unit}]") for value in kept])
        return _Times(counts, unit, type_, ObjectFormat("Timestamp", zone=zone))
    if True in is_aware:
        kept = as_objects([v.astimezone(datetime.UTC).replace(tzinfo=None) for v in kept])
    counts = np.array(kept.tolist(), "M8[us]")
    return _Times(counts, "us", type_, ObjectFormat("datetime", zone=zone))


def _common(zones: Sequence[Any]) -> Any:
    """The zone of all times; UTC where they have several."""
    same = all(zone is zones[0] or zone == zones[0] for zone in zones)
    return zones[0] if same else datetime.UTC


def _of_datetimes64(kept: Array) -> _Times:
    times = np.array(kept.tolist() if len(kept) == 0 else list(kept))
    unit = finest_unit(times.dtype)
    return _Times(times.astype(f"M8[{unit}]"), unit, "time", ObjectFormat("datetime64"))


def _of_timedeltas64(kept: Array) -> _Times:
    times = np.array(list(kept))
    unit = finest_unit(times.dtype)
    return _Times(times.astype(f"m8[{unit}]"), unit, "duration", ObjectFormat("timedelta64"))


def _of_timedeltas(kept: Array) -> _Times:
    if all(hasattr(value, "asm8") for value in kept):
        unit = "ns" if any(value.nanoseconds for value in kept) else "us"
        counts = np.array([value.asm8.astype(f"m8[{unit}]") for value in kept])
        return _Times(counts, unit, "duration", ObjectFormat("Timedelta"))
    counts = np.array(kept.tolist(), "m8[us]")
    return _Times(counts, "us", "duration", ObjectFormat("timedelta"))


def _of_times_of_day(kept: Array) -> _Times:
    if any(value.tzinfo is not None for value in kept):
        raise ValueError("a time of day with a time zone has no place without its date")
    midnight = datetime.date(1970, 1, 1)
    moments = [datetime.datetime.combine(midnight, value) for value in kept]
    return _Times(np.array(moments, "M8[us]"), "us", "time of day", ObjectFormat("time"))


def _of_periods(kept: Array) -> _Times:
    import pandas as pd

    periods = pd.PeriodIndex(kept)
    starts = np.asarray(periods.to_timestamp())
    unit = finest_unit(starts.dtype)
    form = ObjectFormat("Period", frequency=periods.freqstr)
    return _Times(starts.astype(f"M8[{unit}]"), unit, "period", form)


def finest_unit(dtype: Any) -> str:
    """The unit in which times of a dtype of NumPy are counted."""
    return "ns" if np.datetime_data(dtype)[0] in ("ns", "ps", "fs", "as") else "us"


_TIMES = {
    "date": _of_dates,
    "datetime": _of_datetimes,
    "datetime64": _of_datetimes64,
    "time": _of_times_of_day,
    "timedelta": _of_timedeltas,
    "timedelta64": _of_timedeltas64,
    "Period": _of_periods,
}
