"""Principal axes of rows that are read in chunks: none of them is held, none made dense."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.utils import check_random_state

from skae.utils._lazy import LazyRows

# Rows whose products are added up at a time.
_CHUNK_ROWS = 4096

# Subspace iteration: columns beside those that are asked for, and rounds.
_MORE_COLUMNS = 10
_N_ROUNDS = 7


def exact_axes(
    rows: LazyRows, k: int, weight: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The k largest axes, and the sum of squares along each."""
    n_features = rows.shape[1]
    gram = _product(rows, weight, None)
    variance, axes = linalg.eigh(gram, subset_by_index=(n_features - k, n_features - 1))
    return axes[:, ::-1].astype(rows.dtype, copy=False), variance[::-1]


def truncated_axes(
    rows: LazyRows, k: int, weight: NDArray[Any], random_state: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same, nearly, of rows with many columns.

    Subspace iteration [1]_, in which the rows are read once in each round.

    References
    ----------
    .. [1] N. Halko, P.-G. Martinsson and J. A. Tropp, "Finding Structure with Randomness",
       SIAM Review 53, 2011.
    """
    size = min(k + _MORE_COLUMNS, *rows.shape)
    basis = check_random_state(random_state).standard_normal((rows.shape[1], size))
    for _ in range(_N_ROUNDS):
        basis, _ = linalg.qr(_product(rows, weight, basis), mode="economic")
    variance, mixing = linalg.eigh(basis.T @ _product(rows, weight, basis))
    axes = basis @ mixing[:, ::-1][:, :k]
    return axes.astype(rows.dtype, copy=False), variance[::-1][:k]


def _product(
    rows: LazyRows, weight: NDArray[Any], basis: NDArray[Any] | None
) -> NDArray[np.float64]:
    """Products of all pairs of columns of the rows, times a basis if there is one."""
    if rows.is_sparse:
        return _sparse_product(rows, weight, basis)
    n_features = rows.shape[1]
    total = np.zeros((n_features, n_features if basis is None else basis.shape[1]))
    for at, chunk in rows.chunks(_CHUNK_ROWS):
        weighted = chunk * weight[at, None].astype(chunk.dtype)
        if basis is None:
            total += weighted.T @ chunk
        else:
            total += weighted.T @ (chunk @ basis.astype(chunk.dtype, copy=False))
    return total


def _sparse_product(
    rows: LazyRows, weight: NDArray[Any], basis: NDArray[Any] | None
) -> NDArray[np.float64]:
    """The same of sparse rows, whose centre is taken off the product."""
    n_features = rows.shape[1]
    centre = np.zeros(n_features) if rows.units is None else rows.units.centre
    scale = 1.0 if rows.units is None else rows.units.scale
    if basis is not None and np.ndim(scale):
        basis = basis / np.reshape(scale, (-1, 1))
    total = np.zeros((n_features, n_features if basis is None else basis.shape[1]))
    sums = np.zeros(n_features)
    for at, chunk in rows.pieces(_CHUNK_ROWS):
        chunk = chunk.astype(np.float64)
        weighted = chunk.multiply(weight[at, None]).T.tocsr()
        sums += np.asarray(weighted.sum(axis=1)).ravel()
        if basis is None:
            total += (weighted @ chunk).toarray()
        else:
            total += weighted @ (chunk @ basis)
    # (X - c)' W (X - c), where c' times the basis takes the place of c' on the right.
    seen, known = (centre, sums) if basis is None else (centre @ basis, sums @ basis)
    total -= np.outer(sums, seen) + np.outer(centre, known)
    total += weight.sum() * np.outer(centre, seen)
    if not np.ndim(scale):
        return np.asarray(total / scale**2)
    column = np.reshape(scale, (-1, 1))
    return np.asarray(total / (column * column.T if basis is None else column))
