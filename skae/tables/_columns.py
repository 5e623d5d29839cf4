"""One column of a table as numbers of comparable size, and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.tables._cells import EXACT, ColumnValues, as_objects
from skae.tables._iso import IsoFormat, as_times
from skae.tables._squashing_scaler import log_slope, squashed, stretched
from skae.utils._rows import scale_of

Array = NDArray[Any]

# The least unit of flags: what is rarer than this allows lies no farther away.
LEAST_UNIT = 0.2

# How many columns an error names.
_MOST_NAMED = 5


class Block(NamedTuple):
    """Which numbers stand for a column of the table.

    Attributes
    ----------
    name : str
        Of the column.

    kind : str
        See :class:`TabularEncoder`.

    start, stop : int
        Where its values stand in the matrix.

    indicator : int or None
        Where the flag stands that tells that the cell is missing; None: no cell was
        missing in fit.
    """

    name: str
    kind: str
    start: int
    stop: int
    indicator: int | None


class Column(ABC):
    """How the cells of one column become numbers, and numbers cells.

    Attributes
    ----------
    name : str
        Of the column.

    kind : str
        One of those of :class:`~skae.tables.TabularEncoder`.

    width : int
        How many numbers stand for a cell.
    """

    name: str
    kind: str
    width: int = 1

    @abstractmethod
    def encode(self, cells: ColumnValues) -> tuple[Array, Array]:
        """Numbers for cells.

        Returns
        -------
        values : ndarray of shape (n_samples, width)
            Zero where a cell is missing.

        known : ndarray of bool of shape (n_samples,)
            Which cells are there, and no level that was not seen in fit.
        """

    @abstractmethod
    def decode(self, values: Array, clip: bool, rounded: bool = True) -> Array:
        """Cells, of shape (n_samples,), for numbers of shape (n_samples, width).

        Without rounding, numbers may lie between those that the column can hold.
        """

    @property
    def unit(self) -> str | None:
        """What times are counted in, as in :class:`ColumnValues`."""
        return None

    @property
    def family(self) -> str:
        """What the dtype says of cells, as in :class:`ColumnValues`."""
        return "number" if self.unit is None else "time"

    @property
    @abstractmethod
    def type_name(self) -> str:
        """Type that cells must have, as in :class:`ColumnValues`."""

    @property
    def flag_names(self) -> list[str]:
        """Names of the numbers that stand for a cell."""
        return [self.name]


@dataclass(frozen=True)
class NumberColumn(Column):
    """A column of numbers or times: standardised, far values drawn in.

    Parameters
    ----------
    name, kind : str
        See :class:`Column`.

    centre, scale : float
        Mean and standard deviation, counted from `origin` in steps.

    squash : bool
        Whether values beyond three deviations are drawn in.

    origin : int
        What is taken off first, without rounding.

    step : int
        What times are counted in, in their unit.

    low, high : float
        Range that was seen, counted from `origin` in steps.

    decimals : int or None
        To how many decimals numbers were rounded.

    dtype : dtype
        Of the cells.

    time_unit : str or None
        Of times.

    type : str or None
        As in :class:`ColumnValues`; None in files of earlier versions.
    """

    name: str
    kind: str
    centre: float
    scale: float
    squash: bool
    origin: int
    step: int
    low: float
    high: float
    decimals: int | None
    dtype: Any
    time_unit: str | None = None
    type: str | None = None

    def encode(self, cells: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        values = _in_unit(cells, self.time_unit)
        if values.dtype == object:
            # Booleans, and pandas.NA, which is no float.
            values = np.where(cells.observed, values, 0)
        numbers = counted(values, self.origin, self.step)
        z = (np.where(cells.observed, numbers, self.centre) - self.centre) / self.scale
        return (squashed(z) if self.squash else z)[:, np.newaxis], cells.observed

    def decode(self, values: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        z = stretched(values[:, 0]) if self.squash else values[:, 0]
        numbers = z * self.scale + self.centre
        if clip:
            numbers = numbers.clip(self.low, self.high)
        if not rounded:
            return numbers * self.step + self.origin
        if self.dtype.kind in "iuO":
            return _as_integers(np.round(numbers) * self.step, self.origin, self.dtype)
        if self.origin:
            numbers = numbers + self.origin
        return numbers if self.decimals is None else np.round(numbers, self.decimals)

    def log_unit(self, z: Array) -> Array:
        """Logarithm of the derivative of cells by numbers, at these numbers."""
        constant = np.log(self.scale * self.step)
        return constant + (log_slope(z) if self.squash else np.zeros_like(z))

    @property
    def unit(self) -> str | None:
        """See :class:`Column`."""
        return self.time_unit

    @property
    def type_name(self) -> str:
        """See :class:`Column`."""
        return self.type or ("number" if self.time_unit is None else "time")


@dataclass(frozen=True)
class LevelsColumn(Column):
    """A column of levels: one flag for each, or one in all where there are two.

    Flags are centred and have one unit for the column, in which they vary in all as much
    as a number does.

    Parameters
    ----------
    name, kind : str
        See :class:`Column`.

    levels : tuple
        In the order of the flags.

    flag_of : dict
        Position of the flag of each level; the rarest may share the last one.

    share : ndarray of shape (n_flags,)
        How often each flag is on.

    dtype : dtype
        Of the cells.

    time_unit : str or None
        Of times that are declared categories.

    type : str or None
        As in :class:`ColumnValues`; None in files of earlier versions.
    """

    name: str
    kind: str
    levels: tuple[Any, ...]
    flag_of: dict[Any, int] = field(repr=False)
    share: Array = field(repr=False)
    dtype: Any = field(repr=False)
    time_unit: str | None = None
    type: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        # skops makes other keys of keys that are no strings.
        return {**vars(self), "flag_of": list(self.flag_of.items())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({**state, "flag_of": dict(state["flag_of"])})

    @property
    def width(self) -> int:  # type: ignore[override]
        """Number of flags."""
        return 1 if self.kind == "binary" else len(self.levels)

    @property
    def type_name(self) -> str:
        """See :class:`Column`."""
        return self.type or _type_name(self.levels[0])

    @property
    def unit(self) -> str | None:
        """See :class:`Column`."""
        return self.time_unit

    @property
    def family(self) -> str:
        """See :class:`Column`."""
        return "level" if self.time_unit is None else "time"

    @property
    def flag_unit(self) -> float:
        """Root of the sum of the variances of the flags."""
        return max(float(np.sqrt((self.share * (1 - self.share)).sum())), LEAST_UNIT)

    def encode(self, cells: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        flags = self.flags(cells)
        known = cells.observed & (flags >= 0)
        if len(self.flag_of) > len(self.levels):
            # What was not seen is as rare as those that share a flag.
            flags[~known] = len(self.levels) - 1
        if self.kind == "binary":
            on = (flags == 1)[:, np.newaxis]
            use = known
        else:
            on = flags[:, np.newaxis] == np.arange(self.width)
            use = cells.observed
        z = (on - self.share) / self.flag_unit
        return np.where(use[:, np.newaxis], z, 0.0), known

    def flags(self, cells: ColumnValues) -> Array:
        """Position of the level of each cell; -1: missing, or not seen in fit."""
        values = _in_unit(cells, self.time_unit).tolist()
        flags = np.fromiter((self.flag_of.get(v, -1) for v in values), np.intp, len(values))
        flags[~cells.observed] = -1
        return flags

    def decode(self, values: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        on = values * self.flag_unit + self.share
        if self.kind == "binary" and not rounded:
            low, high = map(float, self.levels)
            return low + on[:, 0].clip(0, 1) * (high - low)
        which = (on[:, 0] > 0.5).astype(np.intp) if self.kind == "binary" else on.argmax(axis=1)
        levels = np.empty(len(self.levels), dtype=object)
        levels[:] = self.levels
        return np.asarray(levels[which].astype(self.dtype))

    @property
    def flag_names(self) -> list[str]:
        """See :class:`Column`."""
        shown = self.levels[1:] if self.kind == "binary" else self.levels
        return [f"{self.name}_{level}" for level in shown]


@dataclass(frozen=True)
class EmptyColumn(Column):
    """A column that is ignored: every cell is missing, or nearly all values differ."""

    name: str
    dtype: Any
    kind: str = "empty"
    width: int = 0
    time_unit: str | None = None

    def encode(self, cells: ColumnValues) -> tuple[Array, Array]:
        """See :class:`Column`."""
        # No value of an identifier is one that was not seen.
        known = cells.observed & (self.kind == "identifier")
        return np.zeros((len(known), 0)), known

    def decode(self, values: Array, clip: bool, rounded: bool = True) -> Array:
        """See :class:`Column`."""
        return np.zeros(len(values), self.dtype)

    @property
    def unit(self) -> str | None:
        """See :class:`Column`."""
        return self.time_unit

    @property
    def type_name(self) -> str:
        """See :class:`Column`."""
        return "empty"

    @property
    def flag_names(self) -> list[str]:
        """See :class:`Column`."""
        return []


def with_one_scale(columns: Sequence[Column]) -> list[Column]:
    """Columns of which all that are numbers have one scale, the root of their mean variance."""
    scales = [
        column.scale
        for column in columns
        if isinstance(column, NumberColumn) and column.kind in ("numeric", "integer")
    ]
    scale = scale_of(np.array(scales)) if scales else 1.0
    return [
        replace(column, scale=scale, squash=False)
        if isinstance(column, NumberColumn) and column.unit is None
        else column
        for column in columns
    ]


def check_finite(cells: ColumnValues) -> None:
    """Raise if cells are infinite."""
    is_float = cells.family == "number" and cells.values.dtype.kind == "f"
    n_infinite = int(np.isinf(cells.values).sum()) if is_float else 0
    if n_infinite:
        raise ValueError(
            f"Input X contains infinity or a value too large for float64 in column "
            f"{cells.name!r}, in {n_infinite} of {len(cells.values)} rows."
        )


def check_cells(column: Column, cells: ColumnValues) -> None:
    """Raise if cells are infinite, or not of the type that was seen in fit."""
    check_finite(cells)
    if column.width == 0 or not cells.observed.any():
        return
    now, before = cells.type, column.type_name
    if before == "time" and getattr(column, "type", None) is None and cells.family == "time":
        # Files of earlier versions do not contain which times there were.
        now = before
    if now != before and {now, before} != {"bool", "number"}:
        raise ValueError(
            f"Column {column.name!r} had cells of type {before} in fit, and has cells of type "
            f"{now} now."
        )


def understood(column: Column, cells: ColumnValues, form: Any) -> ColumnValues:
    """Cells of a column, strings as times where the column is one of times.

    A string that is no time is missing if the column was one of strings in fit. Otherwise
    the strings stay, which are then of another type than the cells in fit.

    Parameters
    ----------
    column : Column
        How the column is encoded.

    cells : ColumnValues
        As they were read.

    form : ObjectFormat, IsoFormat or None
        Format of the cells in fit.
    """
    if column.family != "time" or cells.type != "str":
        return cells
    times = replace(as_times(cells, column.type_name, column.unit), format=form)
    are_times = isinstance(form, IsoFormat) or (times.observed == cells.observed).all()
    return times if are_times else cells


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


def refuse_unknown(column: Column, cells: ColumnValues, known: Array) -> None:
    """Raise if observed cells are not known; `known` has shape (n_samples,)."""
    unknown = sorted(map(str, set(cells.values[cells.observed & ~known].tolist())))
    if not unknown:
        return
    what = "strings that are no date" if column.kind == "date" else "categories"
    raise ValueError(
        f"Found unknown {what} in column {column.name!r}: {', '.join(unknown[:5])}. With "
        "handle_unknown='ignore' they are encoded as no category at all."
    )


def _type_name(value: Any) -> str:
    """The type of a category, for files of earlier versions."""
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, int | float | np.integer | np.floating):
        return "number"
    return type(value).__name__


def _in_unit(cells: ColumnValues, unit: str | None) -> Array:
    """Values, times in this unit."""
    if cells.unit == unit or cells.unit is None:
        return cells.values
    return cells.values * 1000 if unit == "ns" else cells.values // 1000


def counted(values: Array, origin: int, step: int) -> Array:
    """Numbers counted from `origin` in steps, in float64, of shape (n_cells,)."""
    if values.dtype == object:
        return (values - origin).astype(np.float64) / step
    if origin and values.dtype.kind in "iu":
        distance = values.astype(np.float64) - origin
        # The difference before it is rounded, modulo 2**64 whatever the dtype.
        exact = (values.astype(np.uint64) - np.uint64(origin % 2**64)).view(np.int64)
        return np.where(np.abs(distance) < 2.0**62, exact.astype(np.float64), distance) / step
    return (values.astype(np.float64) - origin) / step


def _as_integers(numbers: Array, origin: int, dtype: Any) -> Array:
    """Whole numbers counted from `origin` as integers, both of shape (n_cells,)."""
    if dtype.kind == "O":
        return as_objects([int(n) + origin for n in numbers])
    if np.abs(numbers).max(initial=0.0) < EXACT and -(2**63) <= origin < 2**63:
        whole = numbers.astype(np.int64)
        with np.errstate(over="ignore"):
            return np.asarray((whole + np.int64(origin)).astype(dtype))
    limits = np.iinfo(dtype)
    exact = [min(max(int(n) + origin, limits.min), limits.max) for n in numbers]
    return np.array(exact, dtype)
