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

# Ridge of the regression: as this many further rows of noise.
_RIDGE = 1.0

# Subspace iteration: columns beside those that are asked for, and rounds.
_MORE_COLUMNS = 10
_N_ROUNDS = 7

# Rows on which the explained variance is computed.
_MOST_EVALUATED = 10_000


class LinearMap(NamedTuple):
    """Encoder (n_features, k) and decoder (k, n_outputs) of centred rows, and their quality.

    `share` is the share of the variance of the targets explained on the same rows, or on the
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
    """Principal components, or a reduced-rank regression where targets are given.

    `rows` are standardised. `corrupted`, (n_corrupted, n_features), are the first of the
    inputs, corrupted as in training: noise calls for a decoder that shrinks. `rng` seeds
    randomized solvers.
    """
    inputs = rows.inputs if corrupted is None else corrupted
    first = rows.take(slice(len(inputs)))
    if first.targets is not None:
        args = (n_components, first.weight, rng)
        encoder, decoder = reduced_rank_map(inputs, first.targets, *args)
    else:
        ordered = rows.in_order() if rows.is_lazy else rows
        encoder, _ = principal_axes(ordered.inputs, n_components, ordered.weight, rng)
        decoder = encoder.T
        if corrupted is not None:
            # Least squares from codes to rows.
            first, code = first.dense(), corrupted @ encoder
            weight = np.ones(len(code)) if first.weight is None else first.weight
            weighted = code * weight[:, None]
            decoder = linalg.lstsq(weighted.T @ code, weighted.T @ first.inputs)[0]
    n_evaluated = min(len(inputs), _MOST_EVALUATED)
    rows = rows.take(slice(n_evaluated))
    pairs = rows if corrupted is None else Rows(inputs[:n_evaluated], rows.outputs)
    # Mean squares of the residual and of the outputs of each row, (2, n_samples).
    by_row = []
    for part in map(Rows.dense, pairs.parts()):
        residual = part.outputs - part.inputs @ encoder @ decoder
        by_row.append([np.square(array).mean(axis=1) for array in (residual, part.outputs)])
    error, total = np.average(np.concatenate(by_row, axis=1), axis=1, weights=rows.weight)
    return LinearMap(encoder, decoder, float(1 - error / total) if total else 1.0)


def principal_axes(
    X: Any,
    n_components: int,
    sample_weight: NDArray[Any] | None = None,
    random_state: np.random.RandomState | int | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Directions of largest variance of centred rows, and the variance along each.

    X : (n_samples, n_features); `sample_weight` : (n_samples,); axes : (n_features, k), with
    ``k <= min(n_samples, n_features)`` orthonormal columns, the entry of largest magnitude of
    each positive; variance : (k,), the largest first. `random_state` seeds the randomized
    solver, which serves wide data only.
    """
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    n_samples, n_features = X.shape
    k = min(n_components, n_samples, n_features)
    is_lazy, rows = isinstance(X, LazyRows), X
    if not (is_lazy or sample_weight is None):
        rows = X * np.sqrt(weight)[:, None].astype(X.dtype)
    if n_features <= (MOST_EXACT if is_lazy else min(n_samples, MOST_EXACT)):
        if is_lazy:
            gram = _product(rows, weight, None)
        elif rows.dtype == np.float64:
            gram = rows.T @ rows
        else:
            # Products of float32 are summed in float64.
            gram = np.zeros((n_features, n_features))
            for start in range(0, n_samples, _CHUNK_ROWS):
                chunk = rows[start : start + _CHUNK_ROWS]
                gram += chunk.T @ chunk
        top = (n_features - k, n_features - 1)
        variance, axes = linalg.eigh(gram, subset_by_index=top)
        axes, variance = axes[:, ::-1].astype(X.dtype, copy=False), variance[::-1]
    elif is_lazy:
        axes, variance = _truncated(rows, k, weight, random_state)
    elif n_samples <= MOST_EXACT:
        _, singular, right = linalg.svd(rows, full_matrices=False)
        axes, variance = right[:k].T, singular[:k] ** 2
    else:
        _, singular, right = randomized_svd(rows, k, random_state=random_state)
        axes, variance = right.T, singular**2
    largest = np.argmax(np.abs(axes), axis=0)
    axes = axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1, 1)
    return axes, np.maximum(variance, 0) / weight.sum()


def reduced_rank_map(
    X: NDArray[Any],
    Y: NDArray[Any],
    n_components: int,
    sample_weight: NDArray[Any] | None = None,
    random_state: np.random.RandomState | int | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The linear map of at most a given rank that takes centred X to centred Y.

    X : (n_samples, n_features), of many columns their principal components; Y : (n_samples,
    n_outputs); encoder : (n_features, k); decoder : (k, n_outputs), with orthonormal rows.

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


def _truncated(
    rows: LazyRows, k: int, weight: NDArray[Any], random_state: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The k largest axes, (n_features, k), and the sum of squares along each, (k,).

    Approximate, for many columns, by subspace iteration, which takes all rows once in each
    round: N. Halko, P.-G. Martinsson and J. A. Tropp, "Finding Structure with Randomness",
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
    """Products of all pairs of columns, (n_features, n_features), times a basis if given."""
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
    """The same of sparse rows, whose centre is subtracted from the product."""
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
    right_centre, right_sums = (
        (centre, sums) if basis is None else (centre @ basis, sums @ basis)
    )
    total -= np.outer(sums, right_centre) + np.outer(centre, right_sums)
    total += weight.sum() * np.outer(centre, right_centre)
    if not np.ndim(scale):
        return np.asarray(total / scale**2)
    column = np.reshape(scale, (-1, 1))
    return np.asarray(total / (column * column.T if basis is None else column))
