"""The encoding of a column, chosen by its values and by what the user declares."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._category_column import CategoryColumn, is_identifier
from skae.tables._column_values import ColumnValues
from skae.tables._columns import Column, IgnoredColumn
from skae.tables._number_column import NumberColumn

Array = NDArray[Any]

# Numbers that are categories if they are a column's only values.
_BINARY = {(0, 1), (1, 2), (-1, 1)}


def make_column(
    data: ColumnValues,
    weight: Array | None,
    declared: bool,
    max_categories: int | None,
    squash: bool,
) -> Column:
    """Encoding of a column by its observed values in rows of positive weight, (n_samples,).

    `declared`: the user declares that it is categorical.
    """
    counts = data.observed if weight is None else data.observed & (weight > 0)
    values = data.values[counts]
    weight = None if weight is None else weight[counts]
    are_categories = declared or data.family == "category"
    ignored = "" if len(values) else "empty"
    if are_categories and not declared and not ignored:
        ignored = "identifier" * is_identifier(Counter(values.tolist()), max_categories)
    if ignored:
        return IgnoredColumn(
            name=data.name, kind=ignored, dtype=data.values.dtype, unit=data.unit, type="empty"
        )
    if are_categories or (data.family == "number" and _is_binary(values)):
        return CategoryColumn.from_data(data, values, weight, max_categories)
    return NumberColumn.from_data(data, values, weight, squash)


def _is_binary(values: Array) -> bool:
    """Return True if these numbers, (n_values,), are two like 0 and 1, or -1 and 1."""
    low, high = values.min(), values.max()
    return (float(low), float(high)) in _BINARY and bool(
        ((values == low) | (values == high)).all()
    )


def declared_columns(given: Any, names: Sequence[str], is_named: bool) -> Array:
    """Columns that the parameter declares to be categorical, as a mask (n_columns,).

    `given` is "from_dtype", a mask, positions, or names, which only data frames have.
    """
    declared = np.zeros(len(names), dtype=bool)
    if isinstance(given, str):
        return declared
    chosen = np.atleast_1d(np.asarray(given))
    if chosen.dtype == bool and len(chosen) == len(names):
        return chosen
    if chosen.dtype.kind in "iu" and np.isin(chosen, np.arange(len(names))).all():
        declared[chosen] = True
        return declared
    are_names = chosen.dtype.kind in "UO" and is_named and set(chosen) <= set(names)
    if len(chosen) and not are_names:
        raise ValueError(
            "categorical_features must be 'from_dtype', a mask over the "
            f"{len(names)} columns, their positions, or names of columns of a data "
            f"frame; got {given!r}."
        )
    return np.isin(names, chosen)
