"""Which numbers of an encoded table stand for which of its columns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables import Block, ColumnValues, unseen_share

Array = NDArray[Any]

# How many deviations a cell lies from all others that is missing where none was, or has a
# level that none had, as long as no more than this share of cells may be expected to.
FOREIGN = 3.0
_FOREIGN_SHARE = 0.01
_LEAST_FOREIGN = 1e-3


def share_of_new_levels(columns: Iterable[ColumnValues], weight: Any) -> Array:
    """What share of cells to come may have a level that none had, by column.

    Parameters
    ----------
    columns : iterable of Cells
        The columns of a table.

    weight : array-like of shape (n_samples,) or None
        Weights of the rows; those of weight zero are as good as absent.
    """
    shares = []
    for cells in columns:
        counts = cells.observed if weight is None else cells.observed & (np.asarray(weight) > 0)
        values = cells.values[counts].tolist() if cells.family == "level" else []
        shares.append(unseen_share(Counter(values)))
    return np.array(shares)


def foreign_error(share: Array) -> Array:
    """Deviations by which a missing value or an unseen category counts, (n_columns,).

    Three, as long as no more than one value in a hundred may be expected to be such; the
    square falls with the share beyond.

    Parameters
    ----------
    share : ndarray of shape (n_columns,)
        Share of such values that may be expected in each column.
    """
    rarity = np.sqrt(_FOREIGN_SHARE / np.maximum(share, _FOREIGN_SHARE))
    return np.maximum(FOREIGN * rarity, _LEAST_FOREIGN)


class TableLayout:
    """Which numbers stand for which column, in a matrix that an encoder gave.

    To the matrix a flag is added for each column, which tells that a cell is foreign: that
    it is missing where no cell was in training, or has a level that none had. In training
    rows these flags are zero.

    Parameters
    ----------
    blocks : sequence of Block
        Those of a fitted :class:`~skae.tables.TabularEncoder`.

    new_share : ndarray of shape (n_columns,)
        Share of cells whose level may be expected not to be one of those seen: names and
        keys often have a level of their own, and are not odd for that.

    Attributes
    ----------
    n_numbers : int
        Columns of the encoder's matrix.

    columns : ndarray of shape (n_columns, n_numbers)
        One where a number stands for a column, else zero.
    """

    n_numbers: int
    columns: Array
    _foreign: Array
    _values: Array
    _told: Array
    _indicators: Array
    _is_empty: Array

    def __init__(self, blocks: Sequence[Block], new_share: Array) -> None:
        self._foreign = foreign_error(new_share)
        last = blocks[-1]
        self.n_numbers = last.stop if last.indicator is None else last.indicator + 1
        self.columns = np.zeros((len(blocks), self.n_numbers))
        self._values = np.zeros_like(self.columns)
        for j, block in enumerate(blocks):
            self._values[j, block.start : block.stop] = 1
            self.columns[j, block.start : block.stop] = 1
            if block.indicator is not None:
                self.columns[j, block.indicator] = 1
        told = [(j, block.indicator) for j, block in enumerate(blocks)]
        told = [(j, at) for j, at in told if at is not None]
        self._told, self._indicators = np.array(told, dtype=np.intp).reshape(-1, 2).T
        self._is_empty = np.array([block.start == block.stop for block in blocks])

    def joined(self, Z: Array, observed: Array) -> Array:
        """Rows of numbers with a flag for each cell, (n_samples, n_numbers + n_columns).

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_numbers)
            As the encoder gave it.

        observed : ndarray of bool of shape (n_samples, n_columns)
            Which cells are there, and no level that was not seen.
        """
        foreign = ~observed & ~self._is_empty
        foreign[:, self._told] &= Z[:, self._indicators] <= 0
        Z = np.where(foreign @ self._values > 0, 0.0, Z)
        return np.hstack([Z, self._foreign * foreign])

    def parts(self, X: Array) -> tuple[Array, Array, Array]:
        """Numbers, which of them count, and by how much cells are foreign.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_numbers + n_columns)
            As `joined` gave it.
        """
        Z, foreign = X[:, : self.n_numbers], X[:, self.n_numbers :]
        absent = foreign > 0
        absent[:, self._told] |= Z[:, self._indicators] > 0
        return Z, 1.0 - absent @ self._values, foreign

    def by_column(self, values: Array) -> Array:
        """Sums over the numbers that stand for a column, with its flag's where there is one.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_numbers) or (n_samples, n_numbers + n_columns)
            One for each number.
        """
        sums = values[:, : self.n_numbers] @ self.columns.T
        flags = values[:, self.n_numbers :]
        return np.asarray(sums + flags if flags.shape[1] else sums)

    # The units in which an autoencoder compares rows: those of the encoder.

    def transform(self, X: Array) -> Array:
        """The numbers of rows, without the flags that were added."""
        return X[:, : self.n_numbers]

    def inverse_transform(self, Z: Array) -> Array:
        """Numbers with flags that say that no cell is foreign."""
        return np.hstack([Z, np.zeros((len(Z), len(self.columns)))])
