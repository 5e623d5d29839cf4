"""The values of one column of a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Relative rounding of the values of a column, unless its dtype is a coarser one.
FLOAT64_ROUNDING = float(np.finfo(np.float64).eps)

#: Beyond this, float64 does not hold every integer.
EXACT = 2.0**53

#: Microseconds.
DAY = 86400 * 10**6


@dataclass(frozen=True)
class ColumnValues:
    """The values of one column, of any library.

    Attributes
    ----------
    name : str
        Name of the column.

    values : ndarray of shape (n_samples,)
        Numbers: integers or floats, or Python's integers where they are too large for both.
        Times: counts of `unit` since 1970. Categories: objects. Arbitrary where a value is
        missing.

    observed : ndarray of bool of shape (n_samples,)
        False where a value is missing.

    family : {"number", "category", "time"}
        By the dtype or the objects.

    unit : {"ns", "us"} or None
        Of times.

    type : str
        For messages and to compare two tables: "number"; "time", "time with a zone", "time of
        day", "duration" or "period"; or the class of categories, such as "str" or "bool".
        Empty where no value is observed and the dtype is not known.

    format : ObjectFormat or IsoFormat or None
        Makes the original objects or strings of values; None: the dtype of the column is
        enough.

    rounding : float
        Relative rounding of numbers, by their dtype.

    declared : bool
        True if the dtype declares that these are categories.
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


def as_objects(values: Sequence[Any]) -> Array:
    """An array of any objects, of shape (n_objects,)."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def fill_missing(values: Array, observed: Array) -> Array:
    """Observed values, (n_observed,), at their rows and the first elsewhere, (n_samples,)."""
    filled = np.full(len(observed), values[0] if len(values) else 0, values.dtype)
    filled[observed] = values
    return filled


def numpy_times(counts: Array, unit: str | None, code: str = "M") -> Array:
    """Times of NumPy, or durations for the code "m", for counts of a unit; of any shape."""
    return counts.astype(np.int64).view(f"{code}8[{unit}]")


def finest_unit(dtype: Any) -> str:
    """The unit in which times of a dtype of NumPy are counted."""
    return "ns" if np.datetime_data(dtype)[0] in ("ns", "ps", "fs", "as") else "us"


def in_microseconds(counts: Array, unit: str | None) -> Array:
    """Counts of time in microseconds, rounded down, of any shape."""
    counts = counts.astype(np.int64)
    return counts // 1000 if unit == "ns" else counts
