"""The principal components of weighted rows: the linear autoencoder where training starts."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd

from skae.utils._lazy import LazyRows
from skae.utils._rows import Rows

# Above this many columns and rows the covariance matrix costs more than a truncated SVD.
MOST_EXACT = 1500

# Rows whose products are added up at a time.
_CHUNK_ROWS = 4096

# Regularises regression: this many rows more that say nothing.
_RIDGE = 1.0

# Subspace iteration: columns beside those that are asked for, and rounds.
_MORE_COLUMNS = 10
_N_ROUNDS = 7

# Rows on which it is judged how much is explained.
_MOST_JUDGED = 10_000


class LinearMap(NamedTuple):
    """Encoder and decoder without hidden layers, and what they explain.

    Attributes
    ----------
    encoder : ndarray of shape (n_features, k)
        From centred rows to codes.

    decoder : ndarray of shape (k, n_outputs)
        From codes to centred rows.

    share : float
        Share of the variance of the targets that is explained on the same rows, or on the
        first ten thousand of them.
    """

    encoder: NDArray[Any]
    decoder: NDArray[Any]
    share: float


def linear_map(
    rows: Rows,
    n_components: int,
    rng: np.random.RandomState,
    corrupted: NDArray[Any] | None = None,
) -> LinearMap:
    """Principal components, or what takes their place where rows become something else.

    Parameters
    ----------
    rows : Rows
        Standardised rows.

    n_components : int
        Columns of the code.

    rng : RandomState
        Seeds randomized solvers.

    spoilt : ndarray of shape (n_spoilt, n_features) or None
        The first of the inputs, standardised, as the encoder will see them: noise calls
        for a decoder that shrinks.
    """
    seen = rows.inputs if corrupted is None else corrupted
    encoder, decoder = _maps(rows, seen, n_components, rng)
    n_judged = min(len(seen), _MOST_JUDGED)
    rows = rows.take(slice(n_judged))
    pairs = rows if corrupted is None else Rows(seen[:n_judged], rows.outputs)
    by_row = [_lost_and_total(part.dense(), encoder, decoder) for part in pairs.parts()]
    lost, total = np.average(np.concatenate(by_row, axis=1), axis=1, weights=rows.weight)
    return LinearMap(encoder, decoder, float(1 - lost / total) if total else 1.0)


def _lost_and_total(
    rows: Rows, encoder: NDArray[Any], decoder: NDArray[Any]
) -> NDArray[np.floating]:
    """Mean squares of what is lost of each row, and of all there is."""
    lost = rows.outputs - rows.inputs @ encoder @ decoder
    return np.stack([np.square(part).mean(axis=1) for part in (lost, rows.outputs)])


def _maps(
    rows: Rows, seen: NDArray[Any], n_components: int, rng: np.random.RandomState
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Encoder and decoder."""
    first = rows.take(slice(len(seen)))
    if first.targets is not None:
        return reduced_rank_map(seen, first.targets, n_components, first.weight, rng)
    ordered = rows.in_order()
    axes, _ = principal_axes(ordered.inputs, n_components, ordered.weight, rng)
    if seen is rows.inputs:
        return axes, axes.T
    first = first.dense()
    return axes, shrunk_decoder(seen @ axes, first.inputs, first.weight)


def principal_axes(
    X: NDArray[Any] | LazyRows,
    n_components: int,
    sample_weight: NDArray[Any] | None = None,
    random_state: np.random.RandomState | int | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Directions of largest variance of centred rows.

    Parameters
    ----------
    X : ndarray or LazyRows of shape (n_samples, n_features)
        Rows, centred already.

    n_components : int
        How many axes; at most ``min(n_samples, n_features)`` are returned.

    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    random_state : RandomState, int or None
        Seeds the randomized solver, which serves wide data only.

    Returns
    -------
    axes : ndarray of shape (n_features, k)
        Orthonormal columns, the largest variance first, with a fixed sign: each
        column's entry of largest magnitude is positive.

    variance : ndarray of shape (k,)
        Variance along each axis.
    """
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    k = min(n_components, *X.shape)
    if isinstance(X, LazyRows):
        if X.shape[1] <= MOST_EXACT:
            axes, variance = exact_axes(X, k, weight)
        else:
            axes, variance = truncated_axes(X, k, weight, random_state)
        return with_fixed_signs(axes), np.maximum(variance, 0) / weight.sum()
    rows = X if sample_weight is None else X * np.sqrt(weight)[:, None].astype(X.dtype)
    if min(X.shape) <= MOST_EXACT:
        axes, variance = _exact(rows, k)
    else:
        _, singular, right = randomized_svd(rows, k, random_state=random_state)
        axes, variance = right.T, singular**2
    return with_fixed_signs(axes), np.maximum(variance, 0) / weight.sum()


def with_fixed_signs(axes: NDArray[Any]) -> NDArray[Any]:
    """Columns whose entry of largest magnitude is positive."""
    largest = np.argmax(np.abs(axes), axis=0)
    return axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1, 1)


def _exact(rows: NDArray[Any], k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Eigenvectors of the smaller of the two Gram matrices."""
    n_samples, n_features = rows.shape
    if n_features <= n_samples:
        top = (n_features - k, n_features - 1)
        variance, axes = linalg.eigh(_gram(rows), subset_by_index=top)
        return axes[:, ::-1].astype(rows.dtype, copy=False), variance[::-1]
    _, singular, right = linalg.svd(rows, full_matrices=False)
    return right[:k].T, singular[:k] ** 2


def _gram(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Products of all pairs of columns; those of many float32 rows are added in float64."""
    if rows.dtype == np.float64:
        return np.asarray(rows.T @ rows)
    gram = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), _CHUNK_ROWS):
        chunk = rows[start : start + _CHUNK_ROWS]
        gram += chunk.T @ chunk
    return gram


def reduced_rank_map(
    X: NDArray[Any],
    Y: NDArray[Any],
    n_components: int,
    sample_weight: NDArray[Any] | None = None,
    random_state: np.random.RandomState | int | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The linear map of a given rank that takes centred X to centred Y.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, centred already; of many columns, their principal components are used.

    Y : ndarray of shape (n_samples, n_outputs)
        What the rows should become, centred already.

    n_components : int
        The rank, at most.

    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    random_state : RandomState, int or None
        Seeds the randomized solver, which serves wide data only.

    Returns
    -------
    encoder : ndarray of shape (n_features, k)
        From rows to code.

    decoder : ndarray of shape (k, n_outputs)
        From code to `Y`; orthonormal rows.

    References
    ----------
    .. [1] A. J. Izenman, "Reduced-rank regression for the multivariate linear model",
       Journal of Multivariate Analysis 5, 1975.
    """
    axes, variance = principal_axes(X, MOST_EXACT, sample_weight, random_state)
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    code = X @ axes
    # A little of the mean variance: rows may be fewer than columns.
    ridge = variance + _RIDGE * variance.sum() / max(len(X), 1) + np.finfo(np.float32).tiny
    covariance = (code * weight[:, None]).T @ Y / weight.sum()
    fitted = covariance / ridge[:, None]
    outputs, _ = principal_axes(code @ fitted, n_components, sample_weight, random_state)
    return axes @ (fitted @ outputs), outputs.T


def shrunk_decoder(
    code: NDArray[Any], Y: NDArray[Any], sample_weight: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Least squares from codes to centred Y: an array of shape (k, n_outputs)."""
    weight = np.ones(len(code)) if sample_weight is None else sample_weight
    weighted = code * weight[:, None]
    return linalg.lstsq(weighted.T @ code, weighted.T @ Y)[0]


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
