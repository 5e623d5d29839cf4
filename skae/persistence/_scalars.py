"""Single values as JSON: those that JSON lacks are a list of a kind and its parts."""

import base64
import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from skae.persistence._container import SavedFileError, check, plain_dtype

# Of a Decimal: enough for money, too few to choose its hash freely.
_MAX_DIGITS = 19

_PLAIN = (type(None), bool, int, str)


def is_scalar(value: Any) -> bool:
    """True for values that this module can write."""
    return type(value) in _PLAIN or _kind_of(value) is not None


def to_json(value: Any) -> Any:
    """A value as JSON."""
    if type(value) in _PLAIN or (type(value) is float and math.isfinite(value)):
        return value
    kind = _kind_of(value)
    if kind is None:
        raise TypeError(f"a value of type {type(value).__name__}")
    return [kind, *_KINDS[kind][1](value)]


def from_json(value: Any) -> Any:
    """The value that was written."""
    if not isinstance(value, list):
        check(value is None or isinstance(value, bool | int | float | str), "No value.")
        return value
    known = len(value) > 0 and isinstance(value[0], str) and value[0] in _KINDS
    check(known, "No known value.")
    return _KINDS[value[0]][2](*value[1:])


def key(value: Any) -> Any:
    """A key of a dictionary: none of those of which a file could choose the hash."""
    value = from_json(value)
    check(not isinstance(value, int) or abs(value) < 2**64, "A key of the file is no key.")
    return value


def _kind_of(value: Any) -> str | None:
    kind = type(value)
    if isinstance(value, np.generic):
        is_plain = value.dtype.kind in "biufUmM" and not isinstance(value, np.longdouble)
        return "numpy" if is_plain else None
    is_pandas = kind.__module__.partition(".")[0] == "pandas"
    return _KIND_OF.get(kind.__name__ if is_pandas else kind)


def _pandas() -> Any:
    """The library, which a file that holds its values needs."""
    try:
        import pandas
    except ImportError:
        message = "The file holds values of pandas, which is not installed."
        raise SavedFileError(message) from None
    return pandas


# NumPy


def _numpy(dtype: Any, value: Any) -> Any:
    dtype = plain_dtype(dtype)
    types: Any = {"b": bool, "U": str, "f": (int, float, str)}.get(dtype.kind, int)
    is_one = dtype.kind in "biufUmM" and dtype.itemsize < 2**20 and isinstance(value, types)
    check(is_one, "No number of NumPy.")
    if dtype.kind in "mM":
        return np.array(value, "i8").astype(dtype)[()]
    if dtype.kind == "U":
        return np.str_(value)
    return np.array(float(value) if dtype.kind == "f" else value, dtype)[()]


def _of_numpy(value: Any) -> list[Any]:
    item = int(value.astype("i8")) if value.dtype.kind in "mM" else value.item()
    if isinstance(item, float) and not math.isfinite(item):
        item = repr(item)
    return [value.dtype.str, item]


# Times


def _zone_name(zone: Any) -> str | None:
    """The name of a time zone; an error if it has none that identifies it."""
    if zone is None:
        return None
    name = str(zone)
    if name == "UTC" or isinstance(zone, ZoneInfo) or type(zone).__module__.startswith("pytz"):
        return name
    raise TypeError(f"a time zone that has no name: {zone!r}")


def _zone(name: Any) -> Any:
    if name is None:
        return None
    check(isinstance(name, str) and len(name) < 100, "A time zone has no name.")
    return datetime.UTC if name == "UTC" else ZoneInfo(name)


def _offset(days: Any, seconds: Any, microseconds: Any) -> datetime.timezone:
    offset = datetime.timedelta(days, seconds, microseconds)
    # Plain UTC, and no copy of it: its name and its text are others.
    return datetime.timezone(offset) if offset else datetime.UTC


def _of_timedelta(value: Any) -> list[Any]:
    return [value.days, value.seconds, value.microseconds]


def _datetime(text: str, zone: Any, fold: Any) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=_zone(zone), fold=fold)


def _of_datetime(value: datetime.datetime) -> list[Any]:
    naive = value.replace(tzinfo=None, fold=0)
    return [naive.isoformat(), _zone_name(value.tzinfo), value.fold]


def _of_time(value: datetime.time) -> list[Any]:
    if value.tzinfo is not None:
        raise TypeError("a time of day with a time zone")
    return [value.isoformat()]


# Decimals


def _decimal(text: Any) -> Decimal:
    check(isinstance(text, str) and len(text) <= 2 * _MAX_DIGITS, "A decimal is too long.")
    value = Decimal(text)
    check(_is_short(value), "A decimal is too long.")
    return value


def _of_decimal(value: Decimal) -> list[Any]:
    if not _is_short(value):
        raise TypeError(f"a Decimal of more than {_MAX_DIGITS} digits")
    return [str(value)]


def _is_short(value: Decimal) -> bool:
    _, digits, exponent = value.as_tuple()
    is_small = isinstance(exponent, str) or abs(exponent) <= _MAX_DIGITS
    return len(digits) <= _MAX_DIGITS and is_small


# pandas


def _timestamp(value: Any, unit: Any, zone: Any) -> Any:
    stamp = _pandas().Timestamp(_numpy(f"<M8[{unit}]", value))
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(_zone(zone))


def _duration(value: Any, unit: Any) -> Any:
    return _pandas().Timedelta(_numpy(f"<m8[{unit}]", value))


def _period(ordinal: Any, frequency: Any) -> Any:
    check(isinstance(frequency, str) and len(frequency) < 100, "A period has no frequency.")
    return _pandas().Period(ordinal=ordinal, freq=frequency)


# For each kind, the types of its values, those of pandas by name; a function that takes a value
# apart, and one that makes it.
_Kind = tuple[tuple[type | str, ...], Callable[[Any], list[Any]], Callable[..., Any]]

_KINDS: dict[str, _Kind] = {
    "float": ((float,), lambda v: [repr(v)], float),
    "bytes": ((bytes,), lambda v: [base64.b64encode(v).decode()], base64.b64decode),
    "date": ((datetime.date,), lambda v: [v.isoformat()], datetime.date.fromisoformat),
    "time": ((datetime.time,), _of_time, datetime.time.fromisoformat),
    "datetime": ((datetime.datetime,), _of_datetime, _datetime),
    "timedelta": ((datetime.timedelta,), _of_timedelta, datetime.timedelta),
    "decimal": ((Decimal,), _of_decimal, _decimal),
    # Those that are plain, see `_kind_of`.
    "numpy": ((), _of_numpy, _numpy),
    "dtype": (
        tuple(type(np.dtype(code)) for code in "?bhilqBHILQefdFDOSUMm"),
        lambda v: [v.str],
        plain_dtype,
    ),
    "NA": (("NAType",), lambda v: [], lambda: _pandas().NA),
    "NaT": (("NaTType",), lambda v: [], lambda: _pandas().NaT),
    "timestamp": (
        ("Timestamp",),
        lambda v: [int(v.asm8.astype("i8")), v.unit, _zone_name(v.tzinfo)],
        _timestamp,
    ),
    "duration": (("Timedelta",), lambda v: [int(v.asm8.astype("i8")), v.unit], _duration),
    "interval": (
        ("Interval",),
        lambda v: [to_json(v.left), to_json(v.right), v.closed],
        lambda low, high, closed: _pandas().Interval(from_json(low), from_json(high), closed),
    ),
    "period": (("Period",), lambda v: [v.ordinal, v.freqstr], _period),
    "zone": ((ZoneInfo,), lambda v: [_zone_name(v)], _zone),
    "offset": ((datetime.timezone,), lambda v: _of_timedelta(v.utcoffset(None)), _offset),
}

_KIND_OF = {kind: name for name, (kinds, *_) in _KINDS.items() for kind in kinds}
