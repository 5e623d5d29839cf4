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

# Significant digits of a number, at most.
_MOST_DIGITS = 12


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


def significant_digits(value: float, spread: float, fewest: int) -> int:
    """Significant digits of a value down to the first digit of a spread, at least so many."""
    if not (math.isfinite(value) and math.isfinite(spread)) or value == 0 or spread <= 0:
        return fewest
    digits = math.floor(math.log10(abs(value))) - math.floor(math.log10(spread)) + 1
    return min(max(digits, fewest), _MOST_DIGITS)


def _texts_of_number(value: float, spread: float) -> tuple[str, str]:
    """Texts of a number in a column of a spread of residuals: exact and about."""
    exact = number(value, significant_digits(value, spread, 6))
    return exact, f"about {number(value, significant_digits(value, spread, 3))}"


def texts_of_numbers(
    X: NDArray[Any], expected: NDArray[Any], spread: NDArray[Any] | None
) -> tuple[list[Any], list[Any]]:
    """Texts of rows of numbers and of expected numbers, (n_samples, n_features) each.

    With the spread of residuals of each column, (n_features,).
    """
    spread = np.full(X.shape[1], np.nan) if spread is None else spread
    values, about = (
        [
            [
                ("missing", "missing") if np.isnan(x) else _texts_of_number(x, of_column)
                for x, of_column in zip(row, spread, strict=True)
            ]
            for row in rows
        ]
        for rows in (X, expected)
    )
    return values, about


def texts_of_table(
    columns: Iterable[ColumnValues], encoder: TabularEncoder, spread: NDArray[Any] | None
) -> list[tuple[tuple[str, str], ...]]:
    """Texts of the values of a table, row by row: exact and about.

    With the spread of residuals of each column, (n_columns,).
    """
    spread = np.full(len(encoder.blocks_), np.nan) if spread is None else spread
    texts = [
        [_texts(column, row, block.kind, of_column) for row in range(len(column.values))]
        for column, block, of_column in zip(columns, encoder.blocks_, spread, strict=True)
    ]
    return list(zip(*texts, strict=True))


def _texts(column: ColumnValues, row: int, kind: str, spread: float) -> tuple[str, str]:
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
    exact, about = _texts_of_number(float(value), spread)
    return exact, about if kind in _CONTINUOUS else exact


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
    blamed: NDArray[Any],
    shares: NDArray[Any],
    n_columns: int,
) -> str:
    """Description of a row: its blamed values, or that it is far from all others.

    The mask of the blamed values and the shares in the score, (n_features,) each; so many
    columns are named at most.
    """
    order = np.argsort(-shares, kind="stable")
    wrong = [i for i in order if blamed[i] and values[i][1] != expected[i][1]]
    if wrong:
        return "; ".join(
            f"{names[i]} {values[i][0]}, expected {expected[i][1]}" for i in wrong[:n_columns]
        )
    above = [str(names[i]) for i in order if shares[i] * len(shares) > 1][:n_columns]
    *others, last = above or [str(names[order[0]])]
    columns = f"{', '.join(others)} and {last} together" if others else last
    return f"far from all rows in {columns}"
