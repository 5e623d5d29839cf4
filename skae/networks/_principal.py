"""Principal axes of weighted rows, the place where training starts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.utils.extmath import randomized_svd

from skae.networks._lazy_axes import exact_axes, truncated_axes
from skae.utils._lazy import LazyRows

# Above this many columns and rows the covariance matrix costs more than a truncated SVD.
MOST_EXACT = 1500

# Rows whose products are added up in float32.
_CHUNK_ROWS = 4096

# Regularises regression: this many rows more that say nothing.
_RIDGE = 1.0


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
