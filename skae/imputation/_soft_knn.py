"""Kernel regression on reference rows in NumPy: no Keras, no backend."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.utils._process import BLAS_LIMITS

Array = NDArray[Any]

# Entries of the matrix of rows and reference rows that are computed at a time.
_CHUNK_ENTRIES = 2**18

# Logit of a reference row that is masked.
MASKED = -1e9


class KernelRegression:
    """Weighted means over reference rows, with a kernel for each column of a table.

    The logarithm of the weight of a reference row is minus the squared distance over the
    observed values of a row, in which every column has a weight.

    Parameters
    ----------
    weight : ndarray of shape (n_columns, n_values)
        Weights of the columns of the matrix in the distances of each column of the table.

    column_of : ndarray of int of shape (n_targets,)
        The column of the table that each column of `targets` belongs to.

    reference : ndarray of shape (n_reference, n_values)
        Rows without missing values, between which distances are measured.

    targets : ndarray of shape (n_reference, n_targets)
        Values of these rows, of which means are taken.

    observed : ndarray of bool of shape (n_reference, n_columns)
        Where these are observed.
    """

    weight: Array
    column_of: Array
    reference: Array
    targets: Array
    observed: Array

    def __init__(
        self,
        weight: Array,
        column_of: Array,
        reference: Array,
        targets: Array,
        observed: Array,
    ) -> None:
        self.weight = weight.astype(np.float32)
        self.column_of = column_of
        self.reference = reference.astype(np.float32)
        self.targets = targets.astype(np.float32)
        self.observed = observed

    def __call__(
        self, X: Array, visible: Array, target_mask: Array, self_index: Array | None = None
    ) -> Array:
        """Means where the target mask, (n_samples, n_columns), is true; zero elsewhere.

        X, and the mask of the values that distances depend on : (n_samples, n_values);
        self_index : (n_samples,), the reference row that a row is itself, which is masked,
        or -1; result : (n_samples, n_targets).
        """
        means = np.zeros((len(X), len(self.column_of)))
        X = np.where(visible, X, 0).astype(np.float32)
        # The products are narrow: where cores are busy, threads that wait for each other
        # take several times as long as one.
        with BLAS_LIMITS.single():
            for j in np.flatnonzero(target_mask.any(axis=0)).tolist():
                index = np.flatnonzero(target_mask[:, j])
                at = None if self_index is None else self_index[index]
                columns = np.flatnonzero(self.column_of == j)
                of_column = np.zeros((len(index), len(columns)))
                for part, kernel, total, targets in self._kernel(
                    j, X[index], visible[index], at
                ):
                    of_column[part] = kernel @ targets / total
                means[np.ix_(index, columns)] = of_column
        return means

    def draw(
        self, X: Array, visible: Array, j: int, rng: np.random.RandomState
    ) -> tuple[Array, Array]:
        """Values of one column of the table in a reference row drawn by weight, and their mean.

        X, visible : (n_samples, n_values), as above; both results : (n_samples, n_targets of
        column j).
        """
        X = np.where(visible, X, 0).astype(np.float32)
        values = np.zeros((len(X), np.count_nonzero(self.column_of == j)))
        mean = np.zeros_like(values)
        for part, kernel, total, targets in self._kernel(j, X, visible, None):
            point = total * rng.uniform(size=total.shape)
            row = (np.cumsum(kernel, axis=1) < point).sum(axis=1)
            values[part] = targets[row.clip(0, len(targets) - 1)]
            mean[part] = kernel @ targets / total
        return values, mean

    def _kernel(
        self, j: int, X: Array, visible: Array, self_index: Array | None
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Kernel (n_part, n_usable) of column j, its sums, and targets, some rows at a time.

        X, visible : (n_samples, n_values); targets : (n_usable, n_targets of the column).
        """
        usable = np.flatnonzero(self.observed[:, j])
        rows, targets = (
            self.reference[usable],
            self.targets[np.ix_(usable, self.column_of == j)],
        )
        rows = np.hstack([rows, np.square(rows)]).T.copy()
        position = np.full(len(self.observed) + 1, -1)
        position[usable] = np.arange(len(usable))
        size = max(_CHUNK_ENTRIES // max(len(usable), 1), 1)
        for start in range(0, len(X) if len(usable) else 0, size):
            part = slice(start, start + size)
            weight = np.hstack([2 * X[part], -visible[part].astype(np.float32)])
            logit = weight * np.tile(self.weight[j], 2) @ rows
            if self_index is not None:
                at = position[self_index[part]]
                is_reference = np.flatnonzero(at >= 0)
                logit[is_reference, at[is_reference]] = MASKED
            logit -= logit.max(axis=1, keepdims=True)
            kernel = np.exp(logit, out=logit)
            yield part, kernel, kernel.sum(axis=1, keepdims=True), targets
