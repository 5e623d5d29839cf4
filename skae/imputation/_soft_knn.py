"""Means over nearest rows in NumPy: no Keras, no backend."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.utils._threads import BLAS_LIMITS

Array = NDArray[Any]

# Entries of the matrix of rows and reference rows that are computed at a time.
_CHUNK_ENTRIES = 2**18

# What keeps a reference row out.
_NEVER = -1e9


class KernelRegression:
    """Means over reference rows, weighted for each column of a table by itself.

    The logarithm of the weight of a reference row is minus the squared distance over the
    cells that a row has, in which every column has a weight.

    Parameters
    ----------
    weight : ndarray of shape (n_columns, n_values)
        Weights of the columns of the matrix in the distances of each column of the table.

    column_of : ndarray of int of shape (n_told,)
        Which column of the table each column of `values` tells.

    reference : ndarray of shape (n_reference, n_values)
        Rows without missing cells, as distances see them.

    values : ndarray of shape (n_reference, n_told)
        What the rows tell.

    there : ndarray of bool of shape (n_reference, n_columns)
        Which columns of the table each row can tell.
    """

    weight: Array
    column_of: Array
    reference: Array
    values: Array
    there: Array

    def __init__(
        self, weight: Array, column_of: Array, reference: Array, values: Array, there: Array
    ) -> None:
        self.weight = weight.astype(np.float32)
        self.column_of = column_of
        self.reference = reference.astype(np.float32)
        self.values = values.astype(np.float32)
        self.there = there

    def __call__(
        self, cells: Array, kept: Array, wanted: Array, own: Array | None = None
    ) -> Array:
        """Means where they are wanted; zero elsewhere.

        Parameters
        ----------
        cells : ndarray of shape (n_samples, n_values)
            Rows, as distances see them.

        kept : ndarray of bool of shape (n_samples, n_values)
            Which cells are there.

        wanted : ndarray of bool of shape (n_samples, n_columns)
            Where a mean is wanted.

        own : ndarray of int of shape (n_samples,) or None
            Which reference row each row is itself and may not read; -1: none.
        """
        means = np.zeros((len(cells), len(self.column_of)))
        known = np.where(kept, cells, 0).astype(np.float32)
        # The products are narrow: where cores are busy, threads that wait for each other
        # take several times as long as one.
        with BLAS_LIMITS.single():
            for j in range(wanted.shape[1]):
                index = np.flatnonzero(wanted[:, j])
                if len(index):
                    mine = np.flatnonzero(self.column_of == j)
                    at = None if own is None else own[index]
                    told = self._of_column(j, mine, known[index], kept[index], at)
                    means[np.ix_(index, mine)] = told
        return means

    def draw(
        self, cells: Array, kept: Array, j: int, rng: np.random.RandomState
    ) -> tuple[Array, Array]:
        """What one near row tells of a column, drawn by the weights, and the mean.

        Parameters
        ----------
        cells, kept : ndarray of shape (n_samples, n_values)
            As they are called.

        j : int
            The column of the table.

        rng : RandomState
            Draws the rows.
        """
        mine = np.flatnonzero(self.column_of == j)
        known = np.where(kept, cells, 0).astype(np.float32)
        drawn = np.zeros((len(cells), len(mine)))
        mean = np.zeros_like(drawn)
        for part, share, total, values in self._shares(j, mine, known, kept, None):
            point = total * rng.uniform(size=total.shape)
            which = (np.cumsum(share, axis=1) < point).sum(axis=1)
            drawn[part] = values[which.clip(0, len(values) - 1)]
            mean[part] = share @ values / total
        return drawn, mean

    def _of_column(
        self, j: int, mine: Array, known: Array, kept: Array, own: Array | None
    ) -> Array:
        result = np.zeros((len(known), len(mine)))
        for part, share, total, values in self._shares(j, mine, known, kept, own):
            result[part] = share @ values / total
        return result

    def _shares(
        self, j: int, mine: Array, known: Array, kept: Array, own: Array | None
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Shares of the reference rows and their sums, some rows at a time; what they tell."""
        usable = np.flatnonzero(self.there[:, j])
        rows, values = self.reference[usable], self.values[np.ix_(usable, mine)]
        rows = np.hstack([rows, np.square(rows)]).T.copy()
        place = np.full(len(self.there) + 1, -1)
        place[usable] = np.arange(len(usable))
        size = max(_CHUNK_ENTRIES // max(len(usable), 1), 1)
        for start in range(0, len(known) if len(usable) else 0, size):
            part = slice(start, start + size)
            weight = np.hstack([2 * known[part], -kept[part].astype(np.float32)])
            near = weight * np.tile(self.weight[j], 2) @ rows
            if own is not None:
                at = place[own[part]]
                reads_itself = np.flatnonzero(at >= 0)
                near[reads_itself, at[reads_itself]] = _NEVER
            near -= near.max(axis=1, keepdims=True)
            share = np.exp(near, out=near)
            yield part, share, share.sum(axis=1, keepdims=True), values
