"""Single values as JSON: those that JSON lacks are a list of a kind and its parts."""

import base64
import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from skae.persistence._container import check, plain_dtype

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
    package = kind.__module__.partition(".")[0]
    if package == "pytz" and value.zone:  # of pandas before 3
        return "zone"
    return _KIND_OF.get(kind.__name__ if package == "pandas" else kind)


def _pandas(kind: str, *args: Any, **options: Any) -> Any:
    """A value of pandas, which a file with such values needs."""
    return getattr(import_module("pandas"), kind)(*args, **options)


def _short(text: Any, most: int = 99) -> str:
    """A text that is not long."""
    check(isinstance(text, str) and len(text) <= most, "A text of the file is too long.")
    return str(text)


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
    return datetime.UTC if name == "UTC" else ZoneInfo(_short(name))


def _offset(*parts: Any) -> datetime.timezone:
    offset = datetime.timedelta(*parts)
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


def _few_digits(value: Decimal) -> Decimal:
    _, digits, exponent = value.as_tuple()
    n_digits = max(len(digits), abs(exponent) if isinstance(exponent, int) else 0)
    if n_digits > _MAX_DIGITS:
        raise TypeError(f"a Decimal that is too long, of more than {_MAX_DIGITS} digits")
    return value


def _timestamp(value: Any, unit: Any, zone: Any) -> Any:
    stamp = _pandas("Timestamp", _numpy(f"<M8[{unit}]", value))
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(_zone(zone))


def _of_stamp(value: Any) -> list[Any]:
    return [int(value.asm8.astype("i8")), value.unit]


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
    "decimal": (
        (Decimal,),
        lambda v: [str(_few_digits(v))],
        lambda text: _few_digits(Decimal(_short(text, 2 * _MAX_DIGITS))),
    ),
    # Those that are plain, see `_kind_of`.
    "numpy": ((), _of_numpy, _numpy),
    "dtype": (
        tuple(type(np.dtype(code)) for code in "?bhilqBHILQefdFDOSUMm"),
        lambda v: [v.str],
        plain_dtype,
    ),
    "NA": (("NAType",), lambda v: [], lambda: import_module("pandas").NA),
    "NaT": (("NaTType",), lambda v: [], lambda: import_module("pandas").NaT),
    "timestamp": (("Timestamp",), lambda v: [*_of_stamp(v), _zone_name(v.tzinfo)], _timestamp),
    "duration": (
        ("Timedelta",),
        _of_stamp,
        lambda v, unit: _pandas("Timedelta", _numpy(f"<m8[{unit}]", v)),
    ),
    "interval": (
        ("Interval",),
        lambda v: [to_json(v.left), to_json(v.right), v.closed],
        lambda low, high, closed: _pandas("Interval", from_json(low), from_json(high), closed),
    ),
    "period": (
        ("Period",),
        lambda v: [v.ordinal, v.freqstr],
        lambda ordinal, unit: _pandas("Period", ordinal=ordinal, freq=_short(unit)),
    ),
    "zone": ((ZoneInfo,), lambda v: [_zone_name(v)], _zone),
    "offset": ((datetime.timezone,), lambda v: _of_timedelta(v.utcoffset(None)), _offset),
}

_KIND_OF = {kind: name for name, (kinds, *_) in _KINDS.items() for kind in kinds}
