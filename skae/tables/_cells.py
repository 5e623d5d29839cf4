"""The cells of one column, and how they become objects again."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Relative rounding of the values of a column, unless its dtype is a coarser one.
FLOAT64_ROUNDING = float(np.finfo(np.float64).eps)

#: Beyond this, float64 does not hold every integer.
EXACT = 2.0**53

_DAY = 86400 * 10**6

# Half of the usual length of periods that are not all equally long, in microseconds: added to
# a time, it makes the period that contains it the one that starts nearest.
_HALF_PERIOD = {
    "A": 182 * _DAY,
    "Y": 182 * _DAY,
    "Q": 45 * _DAY,
    "M": 15 * _DAY,
    "W": 7 * _DAY // 2,
}


@dataclass(frozen=True)
class ColumnValues:
    """The cells of one column.

    Attributes
    ----------
    name : str
        Of the column.

    values : ndarray of shape (n_samples,)
        Integers or floats, for numbers, and Python's integers where they are too large for
        both; counted from 1970 in `unit`, for times; objects,
        for categories. The value where a cell is missing has no meaning.

    observed : ndarray of bool of shape (n_samples,)
        Which cells are not missing.

    family : {"number", "level", "time"}
        What the dtype or the objects are: numbers, categories or times.

    unit : {"ns", "us"} or None
        Of times.

    type : str
        The type, for messages and to compare two tables: "number"; "time", "time with a
        zone", "time of day", "duration" or "period"; or the class of categories, such as
        "str" or "bool". Empty where no cell is observed and the dtype is not known.

    format : ObjectFormat or IsoFormat or None
        How values become the objects or strings that the cells were; None: the dtype of
        the column is enough.

    rounding : float
        Relative rounding of numbers, by their dtype.

    declared : bool
        Whether the dtype declares that these are categories.
    """

    name: str
    values: Array
    observed: Array
    family: str
    unit: str | None = None
    type: str = ""
    format: Any = None
    rounding: float = FLOAT64_ROUNDING
    declared: bool = False


@dataclass(frozen=True)
class ObjectFormat:
    """The class of the objects of a column that are numbers or times.

    Parameters
    ----------
    kind : str
        Name of the class, one of those in `_MAKERS`.

    scale : int or None
        Decimals of a Decimal; largest denominator of a Fraction.

    zone : tzinfo or None
        Time zone of a datetime or a Timestamp.

    frequency : str or None
        Frequency of a Period.
    """

    kind: str
    scale: int | None = None
    zone: Any = None
    frequency: str | None = None

    def objects(self, values: Array, unit: str | None) -> Array:
        """Objects for values, both of shape (n_cells,)."""
        return as_objects(_MAKERS[self.kind](self, values, unit))


def as_objects(values: Sequence[Any]) -> Array:
    """An array of these objects, whatever they are, of shape (n_objects,)."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def in_microseconds(values: Array, unit: str | None) -> Array:
    """Counts of time in microseconds, rounded down; both of shape (n_cells,)."""
    values = values.astype(np.int64)
    return values // 1000 if unit == "ns" else values


def _ints(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    return [round(value) for value in values.tolist()]


def _decimals(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    if values.dtype.kind != "O":
        values = values.astype(np.float64)
    # Zero is added for the sign of a negative zero.
    exact = (Decimal(repr(value + 0)) for value in values.tolist())
    return [Decimal(f"{value:.{format.scale}f}") for value in exact]


def _fractions(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    most = max(int(format.scale or 1), 1)
    return [Fraction(value).limit_denominator(most) for value in values.tolist()]


def _naive(values: Array, unit: Any) -> list[datetime.datetime]:
    """Datetimes of Python, which has the years 1 to 9999."""
    first, last = np.array(["0001-01-01", "9999-12-31T23:59:59.999999"], "M8[us]").astype("i8")
    clipped = np.clip(in_microseconds(values, unit), first, last)
    return list(clipped.astype("M8[us]").tolist())


def _dates(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    return [moment.date() for moment in _naive(values, unit)]


def _datetimes(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    moments = _naive(values, unit)
    if format.zone is None:
        return moments
    return [moment.replace(tzinfo=datetime.UTC).astimezone(format.zone) for moment in moments]


def _timestamps(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    import pandas as pd

    stamps = pd.DatetimeIndex(values.astype(np.int64).astype(f"M8[{unit}]"))
    if format.zone is not None:
        stamps = stamps.tz_localize("UTC").tz_convert(format.zone)
    return list(stamps)


def _datetimes64(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    return list(values.astype(np.int64).astype(f"M8[{unit}]"))


def _timedeltas(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    return list(in_microseconds(values, unit).astype("m8[us]").tolist())


def _pandas_timedeltas(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    import pandas as pd

    return list(pd.TimedeltaIndex(values.astype(np.int64).astype(f"m8[{unit}]")))


def _timedeltas64(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    return list(values.astype(np.int64).astype(f"m8[{unit}]"))


def _times_of_day(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    clipped = np.clip(in_microseconds(values, unit), 0, _DAY - 1)
    return [moment.time() for moment in clipped.astype("M8[us]").tolist()]


def _periods(format: ObjectFormat, values: Array, unit: Any) -> list[Any]:
    import pandas as pd

    frequency = str(format.frequency)
    shift = _HALF_PERIOD.get(frequency.lstrip("0123456789")[:1], 0)
    if frequency.startswith(("ms", "min")):
        shift = 0
    if unit == "ns":
        stamps = (values.astype(np.int64) + 1000 * shift).astype("M8[ns]")
    else:
        stamps = (values.astype(np.int64) + shift).astype("M8[us]")
    return list(pd.PeriodIndex(pd.DatetimeIndex(stamps), freq=frequency))


_MAKERS: dict[str, Callable[[ObjectFormat, Array, Any], list[Any]]] = {
    "int": _ints,
    "Decimal": _decimals,
    "Fraction": _fractions,
    "date": _dates,
    "datetime": _datetimes,
    "Timestamp": _timestamps,
    "datetime64": _datetimes64,
    "timedelta": _timedeltas,
    "Timedelta": _pandas_timedeltas,
    "timedelta64": _timedeltas64,
    "time": _times_of_day,
    "Period": _periods,
}
