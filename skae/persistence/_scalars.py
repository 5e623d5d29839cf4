"""Single values as JSON: what JSON has no word for is a list of a kind and what it is made of.

Each kind is one entry of `_KINDS`: what is written of a value, and what makes the value again.
"""

import base64
import datetime
import math
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from skae.persistence._container import plain_dtype
from skae.persistence._errors import check

# Of a Decimal: enough for money, too few to choose its hash freely.
_MOST_DIGITS = 19

_PLAIN = (type(None), bool, int, str)


def is_scalar(value: Any) -> bool:
    """Whether a value is one of those that this module can write."""
    return _kind_of(value) is not None or type(value) in (*_PLAIN, float)


def written(value: Any) -> Any:
    """A value as JSON."""
    if type(value) in _PLAIN or (type(value) is float and math.isfinite(value)):
        return value
    kind = _kind_of(value)
    if kind is None:
        raise TypeError(f"a value of type {type(value).__name__}")
    return [kind, *_KINDS[kind][0](value)]


def read(said: Any) -> Any:
    """The value that was written."""
    if not isinstance(said, list):
        check(said is None or isinstance(said, bool | int | float | str), "No value.")
        return said
    check(len(said) > 0 and isinstance(said[0], str) and said[0] in _KINDS, "No known value.")
    return _KINDS[said[0]][1](*said[1:])


def as_key(value: Any) -> Any:
    """A value that may be looked up: none whose hashes a file could make all the same."""
    small = not isinstance(value, int) or abs(value) < 2**64
    check(small and not isinstance(value, list), "A key of the file is no key.")
    return value


def _kind_of(value: Any) -> str | None:
    kind = type(value)
    if kind in _KIND_OF:
        return _KIND_OF[kind]
    if isinstance(value, np.generic):
        is_plain = value.dtype.kind in "biufUmM" and not isinstance(value, np.longdouble)
        return "numpy" if is_plain else None
    if kind.__module__.partition(".")[0] == "pandas":
        return {
            "NAType": "NA",
            "NaTType": "NaT",
            "Timestamp": "timestamp",
            "Timedelta": "duration",
            "Interval": "interval",
            "Period": "period",
        }.get(kind.__name__)
    return None


def _pandas() -> Any:
    """The library, which a file that holds its values needs."""
    if "pandas" not in sys.modules:
        try:
            import pandas
        except ImportError:
            pandas = None
        check(pandas is not None, "The file holds values of pandas, which is not installed.")
    return sys.modules["pandas"]


def _numpy(dtype: Any, value: Any) -> Any:
    dtype = plain_dtype(dtype)
    check(dtype.kind in "biufUmM" and dtype.itemsize < 2**20, "No number of NumPy.")
    wanted: Any = {"b": bool, "U": str, "f": (int, float, str)}.get(dtype.kind, int)
    check(isinstance(value, wanted), "No number of NumPy.")
    if dtype.kind in "mM":
        return np.array(value, "i8").astype(dtype)[()]
    if dtype.kind == "U":
        return np.str_(value)
    return np.array(float(value) if dtype.kind == "f" else value, dtype)[()]


def _of_numpy(value: Any) -> list[Any]:
    if value.dtype.kind in "mM":
        return [value.dtype.str, int(value.astype("i8"))]
    item = value.item()
    if isinstance(item, float) and not math.isfinite(item):
        item = repr(item)
    return [value.dtype.str, item]


def zone_name(zone: Any) -> str | None:
    """The name of a time zone; an error if it has none that says all."""
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


def _of_offset(zone: datetime.timezone) -> list[Any]:
    offset = zone.utcoffset(None)
    return [offset.days, offset.seconds, offset.microseconds]


def _offset(days: Any, seconds: Any, microseconds: Any) -> datetime.timezone:
    offset = datetime.timedelta(days, seconds, microseconds)
    # Plain UTC, and no copy of it: its name and its text are others.
    return datetime.timezone(offset) if offset else datetime.UTC


def _datetime(text: str, zone: Any, fold: Any) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment.replace(tzinfo=_zone(zone), fold=fold)


def _of_datetime(value: datetime.datetime) -> list[Any]:
    naive = value.replace(tzinfo=None, fold=0)
    return [naive.isoformat(), zone_name(value.tzinfo), value.fold]


def _of_time(value: datetime.time) -> list[Any]:
    if value.tzinfo is not None:
        raise TypeError("a time of day with a time zone")
    return [value.isoformat()]


def _decimal(text: Any) -> Decimal:
    check(isinstance(text, str) and len(text) <= 2 * _MOST_DIGITS, "A decimal is too long.")
    value = Decimal(text)
    check(_is_short(value), "A decimal is too long.")
    return value


def _of_decimal(value: Decimal) -> list[Any]:
    if not _is_short(value):
        raise TypeError(f"a Decimal of more than {_MOST_DIGITS} digits")
    return [str(value)]


def _is_short(value: Decimal) -> bool:
    _, digits, exponent = value.as_tuple()
    return len(digits) <= _MOST_DIGITS and (
        isinstance(exponent, str) or abs(exponent) <= _MOST_DIGITS
    )


def _timestamp(value: Any, unit: Any, zone: Any) -> Any:
    naive = np.array(value, "i8").astype(plain_dtype(f"<M8[{unit}]"))
    stamp = _pandas().Timestamp(naive[()])
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(_zone(zone))


def _of_timestamp(value: Any) -> list[Any]:
    return [int(value.asm8.astype("i8")), value.unit, zone_name(value.tzinfo)]


def _duration(value: Any, unit: Any) -> Any:
    return _pandas().Timedelta(np.array(value, "i8").astype(plain_dtype(f"<m8[{unit}]"))[()])


def _period(ordinal: Any, frequency: Any) -> Any:
    check(isinstance(frequency, str) and len(frequency) < 100, "A period has no frequency.")
    return _pandas().Period(ordinal=ordinal, freq=frequency)


_Kind = tuple[Callable[[Any], list[Any]], Callable[..., Any]]

_KINDS: dict[str, _Kind] = {
    "float": (lambda v: [repr(v)], float),
    "bytes": (lambda v: [base64.b64encode(v).decode()], lambda text: base64.b64decode(text)),
    "date": (lambda v: [v.isoformat()], datetime.date.fromisoformat),
    "time": (_of_time, datetime.time.fromisoformat),
    "datetime": (_of_datetime, _datetime),
    "timedelta": (lambda v: [v.days, v.seconds, v.microseconds], datetime.timedelta),
    "decimal": (_of_decimal, _decimal),
    "numpy": (_of_numpy, _numpy),
    "dtype": (lambda v: [v.str], plain_dtype),
    "NA": (lambda v: [], lambda: _pandas().NA),
    "NaT": (lambda v: [], lambda: _pandas().NaT),
    "timestamp": (_of_timestamp, _timestamp),
    "duration": (lambda v: [int(v.asm8.astype("i8")), v.unit], _duration),
    "interval": (
        lambda v: [written(v.left), written(v.right), v.closed],
        lambda left, right, closed: _pandas().Interval(read(left), read(right), closed),
    ),
    "period": (lambda v: [v.ordinal, v.freqstr], _period),
    "zone": (lambda v: [zone_name(v)], _zone),
    "offset": (_of_offset, _offset),
}

_KIND_OF: dict[type, str] = {
    float: "float",
    bytes: "bytes",
    datetime.date: "date",
    datetime.time: "time",
    datetime.datetime: "datetime",
    datetime.timedelta: "timedelta",
    Decimal: "decimal",
    ZoneInfo: "zone",
    datetime.timezone: "offset",
    **{type(np.dtype(code)): "dtype" for code in "?bhilqBHILQefdFDOSUMm"},
}
