"""Cells as a person reads them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables import TabularEncoder
from skae.tables._column_values import ColumnValues

# Kinds of columns whose cells are numbers between others.
_CONTINUOUS = ("numeric", "integer", "date")


def number(value: float, digits: int = 6) -> str:
    """A number with so many significant digits and commas between thousands."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    rounded = float(f"{value:.{digits}g}")
    if 1e-4 <= abs(rounded) < 1e15:
        decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
        text = f"{rounded:,.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{rounded:g}"


def describe_values(
    names: Sequence[str],
    values: NDArray[Any],
    contributions: NDArray[Any],
    expected: NDArray[Any],
    n_columns: int,
) -> str:
    """Name the cells of a row that contribute more than their fair share.

    Parameters
    ----------
    names : sequence of str
        Of the columns.

    values, contributions, expected : ndarray of shape (n_features,)
        Of one row.

    n_columns : int
        How many cells at most.
    """
    order = np.argsort(-contributions, kind="stable")[:n_columns]
    fair = contributions.mean()
    named = [i for i in order if contributions[i] > fair] or list(order[:1])
    return "; ".join(
        f"{names[i]} {'missing' if np.isnan(values[i]) else number(values[i])}, "
        f"expected about {number(expected[i], 3)}"
        for i in named
    )


def texts_of(
    columns: Iterable[ColumnValues], encoder: TabularEncoder
) -> list[list[tuple[str, str]]]:
    """The cells of a table in words, column by column: exactly, and about.

    Parameters
    ----------
    columns : iterable of Cells
        Of a table.

    encoder : TabularEncoder
        Fitted on such tables.
    """
    return [
        [_texts(cells, row, block.kind) for row in range(len(cells.values))]
        for cells, block in zip(columns, encoder.blocks_, strict=True)
    ]


def _texts(cells: ColumnValues, row: int, kind: str) -> tuple[str, str]:
    if not cells.observed[row]:
        return "missing", "missing"
    value = cells.values[row]
    if cells.unit is not None:
        text = _time(cells, row)
        return text, f"about {text}"
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        text = f'"{value}"' if isinstance(value, str) else str(value)
        return text, text
    text = number(float(value))
    return text, f"about {number(float(value), 3)}" if kind in _CONTINUOUS else text


def _time(cells: ColumnValues, row: int) -> str:
    """A time as it is written, or as ISO 8601 writes it, no finer than it must be."""
    value, unit = cells.values[row : row + 1].astype(np.int64), cells.unit
    if cells.type == "duration":
        return str(value.astype(f"m8[{unit}]").astype("m8[us]").tolist()[0])
    if cells.format is not None and cells.type in ("period", "time of day"):
        return str(cells.format.objects(value, unit)[0])
    text = str(value.astype(f"M8[{unit}]")[0])
    whole = text.split(".")[0] if set(text.partition(".")[2]) <= {"0"} else text
    return whole.removesuffix("T00:00:00")


def describe_table_values(
    names: Sequence[str],
    cells: Sequence[tuple[str, str]],
    expected: Sequence[tuple[str, str]],
    parts: NDArray[Any],
    n_columns: int,
) -> str:
    """Name the cells of a row that are blamed.

    Parameters
    ----------
    names : sequence of str
        Of the columns.

    cells, expected : sequence of (str, str)
        Of one row, exactly and about.

    parts : ndarray of shape (n_features,)
        In the score of the row; negative for cells that are not blamed.

    n_columns : int
        How many cells at most.
    """
    order = np.argsort(-parts, kind="stable")
    blamed = [i for i in order if parts[i] >= 0]
    # What is as expected is no reason, but for want of others.
    odd = [i for i in blamed if cells[i][1] != expected[i][1]]
    return "; ".join(
        f"{names[i]} {cells[i][0]}, expected {expected[i][1]}"
        for i in (odd or blamed)[:n_columns]
    )
