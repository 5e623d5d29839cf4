"""Numbers as a person reads them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


def describe_cells(
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
        f"{names[i]} {number(values[i])}, expected about {number(expected[i], 3)}"
        for i in named
    )
