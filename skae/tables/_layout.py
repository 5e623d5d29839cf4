"""ColumnLayout: the columns of a matrix that stand for each column of a table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class ColumnLayout:
    """Columns of a matrix that stand for each column of a table.

    The matrix columns of a table column are neighbours: one number or the flags of its
    categories, then a missing indicator, where it has one. Columns that are not encoded have
    none. A numeric matrix is the layout with one value per column.
    """

    n_values: tuple[int, ...]  # matrix columns that hold the value of each table column
    categorical: tuple[bool, ...]  # True where these are flags of categories
    indicator: tuple[bool, ...]  # True where a missing indicator follows

    @classmethod
    def from_encoder(cls, encoder: Any) -> "ColumnLayout":
        """Layout of the matrix of a fitted :class:`~skae.tables.TabularEncoder`."""
        blocks, is_flag = encoder.blocks_, encoder.is_flag
        return cls(
            tuple(block.stop - block.start for block in blocks),
            tuple(block.stop > block.start and bool(is_flag[block.start]) for block in blocks),
            tuple(block.indicator is not None for block in blocks),
        )

    @classmethod
    def numeric(cls, n_columns: int) -> "ColumnLayout":
        """Layout of a numeric matrix: each column stands for itself."""
        return cls((1,) * n_columns, (False,) * n_columns, (False,) * n_columns)

    @property
    def n_columns(self) -> int:
        """Number of table columns."""
        return len(self.n_values)

    @property
    def n_numbers(self) -> int:
        """Number of matrix columns."""
        return sum(self.n_values) + sum(self.indicator)

    @cached_property
    def starts(self) -> Array:
        """First matrix column of each table column, shape (n_columns,)."""
        return np.cumsum([0, *np.add(self.n_values, self.indicator)[:-1]])

    @cached_property
    def column(self) -> Array:
        """Table column of each matrix column, shape (n_numbers,)."""
        return np.repeat(np.arange(self.n_columns), np.add(self.n_values, self.indicator))

    @cached_property
    def is_indicator(self) -> Array:
        """Mask of the missing indicators, shape (n_numbers,)."""
        mask = np.zeros(self.n_numbers, dtype=bool)
        mask[self.indicators] = True
        return mask

    @cached_property
    def is_flag(self) -> Array:
        """Mask of the flags of categories, shape (n_numbers,)."""
        return np.array(self.categorical, dtype=bool)[self.column] & ~self.is_indicator

    @cached_property
    def indicators(self) -> Array:
        """Matrix columns of the missing indicators, shape (n_indicators,)."""
        return np.add(self.starts, self.n_values)[np.array(self.indicator, dtype=bool)]

    @cached_property
    def with_indicator(self) -> Array:
        """Table columns that have a missing indicator, shape (n_indicators,)."""
        return np.flatnonzero(self.indicator)

    @cached_property
    def membership(self) -> Array:
        """One where a matrix column stands for a table column, (n_columns, n_numbers)."""
        return (np.arange(self.n_columns)[:, np.newaxis] == self.column).astype(np.float64)

    def sum_by_column(self, values: Array) -> Array:
        """Sum over the matrix columns of each table column, (n_samples, n_columns).

        `values` are those of matrix columns, (n_samples, n_numbers).
        """
        is_own_column = self.n_numbers == self.n_columns and min(self.n_values) == 1
        return values if is_own_column else values @ self.membership.T
