"""The encoding of one column of a table: base class, ignored columns, and checks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import ColumnValues
from skae.tables._iso import IsoFormat, as_times

Array = NDArray[Any]

# How many columns an error names.
_MOST_NAMED = 5


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
    """The encoding of the values of one column as numbers.

    Parameters
    ----------
    name : str
        Name of the column.

    kind : str
        One of those of :class:`~skae.tables.TabularEncoder`.

    dtype : dtype
        Of the values.

    unit, type : str
        As in :class:`ColumnValues`.
    """

    name: str
    kind: str
    dtype: Any
    unit: str | None
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
        return [self.name]

    @abstractmethod
    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """Encode values.

        Returns
        -------
        numbers : ndarray of shape (n_samples, width)
            Zero where a value is missing.

        known : ndarray of bool of shape (n_samples,)
            Values that are observed, and no category that was not seen in fit.
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

    @property
    def flag_names(self) -> list[str]:
        """See :class:`Column`."""
        return []

    def encode(self, data: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        # No value of an identifier counts as unseen.
        known = data.observed & (self.kind == "identifier")
        return np.zeros((len(known), 0)), known

    def decode(self, numbers: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        return np.zeros(len(numbers), self.dtype)


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
