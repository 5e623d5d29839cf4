"""Texts of values, as a person writes them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables import TabularEncoder
from skae.tables._column_values import ColumnValues

# Kinds of columns whose values are numbers between others.
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


def texts_of_numbers(X: NDArray[Any], expected: NDArray[Any]) -> tuple[list[Any], list[Any]]:
    """Texts of rows of numbers and of expected numbers, (n_samples, n_features) each."""
    values = [
        [("missing", "missing") if np.isnan(x) else (number(x),) * 2 for x in row] for row in X
    ]
    about = [[(number(x), f"about {number(x, 3)}") for x in row] for row in expected]
    return values, about


def texts_of_table(
    columns: Iterable[ColumnValues], encoder: TabularEncoder
) -> list[tuple[tuple[str, str], ...]]:
    """Texts of the values of a table, row by row: exact and about."""
    texts = [
        [_texts(column, row, block.kind) for row in range(len(column.values))]
        for column, block in zip(columns, encoder.blocks_, strict=True)
    ]
    return list(zip(*texts, strict=True))


def _texts(column: ColumnValues, row: int, kind: str) -> tuple[str, str]:
    """Texts of one value: exact and about."""
    if not column.observed[row]:
        return "missing", "missing"
    value = column.values[row]
    if column.unit is not None:
        text = _time(column, row)
        return text, f"about {text}"
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        text = f'"{value}"' if isinstance(value, str) else str(value)
        return text, text
    text = number(float(value))
    return text, f"about {number(float(value), 3)}" if kind in _CONTINUOUS else text


def _time(column: ColumnValues, row: int) -> str:
    """A time in its format, or in ISO 8601, no finer than it must be."""
    value, unit = column.values[row : row + 1].astype(np.int64), column.unit
    if column.type == "duration":
        return str(value.astype(f"m8[{unit}]").astype("m8[us]").tolist()[0])
    if column.format is not None and column.type in ("period", "time of day"):
        return str(column.format.objects(value, unit)[0])
    text = str(value.astype(f"M8[{unit}]")[0])
    whole = text.split(".")[0] if set(text.partition(".")[2]) <= {"0"} else text
    return whole.removesuffix("T00:00:00")


def describe_row(
    names: Sequence[str],
    values: Sequence[tuple[str, str]],
    expected: Sequence[tuple[str, str]],
    shares: NDArray[Any],
    n_columns: int,
) -> str:
    """Description of the blamed values of a row, by their exact texts or about.

    Shares in the score, (n_features,), are negative for values that are not blamed; so many
    columns are named at most.
    """
    order = np.argsort(-shares, kind="stable")
    blamed = [i for i in order if shares[i] >= 0]
    # A value that is as expected is named only if all of them are.
    unexpected = [i for i in blamed if values[i][1] != expected[i][1]]
    return "; ".join(
        f"{names[i]} {values[i][0]}, expected {expected[i][1]}"
        for i in (unexpected or blamed)[:n_columns]
    )
