"""Principal axes of weighted rows, the place where training starts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.utils.extmath import randomized_svd

# Above this many columns and rows the covariance matrix costs more than a truncated SVD.
_MOST_EXACT = 1500


def principal_axes(
    X: NDArray[Any],
    n_components: int,
    sample_weight: NDArray[Any] | None = None,
    random_state: np.random.RandomState | int | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Directions of largest variance of centred rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
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
    rows = X if sample_weight is None else X * np.sqrt(weight)[:, None].astype(X.dtype)
    k = min(n_components, *X.shape)
    if min(X.shape) <= _MOST_EXACT:
        axes, variance = _exact(rows, k)
    else:
        _, singular, right = randomized_svd(rows, k, random_state=random_state)
        axes, variance = right.T, singular**2
    largest = np.argmax(np.abs(axes), axis=0)
    axes = axes * np.where(axes[largest, np.arange(k)] < 0, -1, 1)
    return axes, np.maximum(variance, 0) / weight.sum()


def _exact(rows: NDArray[Any], k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Eigenvectors of the smaller of the two Gram matrices."""
    n_samples, n_features = rows.shape
    if n_features <= n_samples:
        top = (n_features - k, n_features - 1)
        variance, axes = linalg.eigh(rows.T @ rows, subset_by_index=top)
        return axes[:, ::-1], variance[::-1]
    _, singular, right = linalg.svd(rows, full_matrices=False)
    return right[:k].T, singular[:k] ** 2
