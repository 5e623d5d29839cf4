"""How much of X survives a transformation and its inverse, for any transformer."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["reconstruction_error", "reconstruction_score"]


def variance_explained(X: Any, reconstruction: Any, sample_weight: Any = None) -> float:
    """Share of the variance of X, over all columns together.

    As scikit-learn's `r2_score` weighted by variance, except that errors in constant
    columns count.
    """
    X, reconstruction = (
        np.asarray(rows, np.float64).reshape(len(rows), -1) for rows in (X, reconstruction)
    )
    centre = np.average(X, axis=0, weights=sample_weight)
    lost, total = (
        np.average(np.square(X - other).sum(axis=1), weights=sample_weight)
        for other in (reconstruction, centre)
    )
    if total == 0:
        return float(lost == 0)
    return float(1 - lost / total)


def _rows_and_reconstruction(estimator: Any, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            "estimator must have the methods transform and inverse_transform; "
            f"{type(estimator).__name__} has no inverse_transform."
        )
    rows = np.ascontiguousarray(X)
    reconstruction = np.ascontiguousarray(estimator.inverse_transform(estimator.transform(X)))
    if rows.shape != reconstruction.shape:
        raise ValueError(
            f"X has shape {rows.shape}, but its reconstruction by "
            f"{type(estimator).__name__} has shape {reconstruction.shape}."
        )
    return rows, reconstruction


def reconstruction_score(
    estimator: Any, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
) -> float:
    """Share of the variance of X that survives `transform` and `inverse_transform`.

    One minus the squared error of the reconstruction over the squared distance of the
    rows from their mean, both summed over rows and columns, in the space of X. A scorer
    by its signature: pass it as ``scoring=`` to a search.

    Parameters
    ----------
    estimator : fitted estimator
        A transformer, or a Pipeline of transformers, with `inverse_transform`: PCA,
        KernelPCA with its inverse, NMF, FastICA, an autoencoder.

    X : array-like of shape (n_samples, n_features)
        Rows, at best rows that were not used for training.

    y : Ignored
        Not used, present for API consistency by convention.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    float
        At most 1; 0 is what the mean of X would reach, and worse is negative.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import reconstruction_score
    >>> X, _ = load_iris(return_X_y=True)
    >>> round(reconstruction_score(PCA(n_components=2).fit(X), X), 3)
    0.978
    """
    return variance_explained(*_rows_and_reconstruction(estimator, X), sample_weight)


def reconstruction_error(estimator: Any, X: Any) -> NDArray[Any]:
    """Mean squared difference between each row and its reconstruction.

    Parameters
    ----------
    estimator : fitted estimator
        A transformer, or a Pipeline of transformers, with `inverse_transform`.

    X : array-like of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        Mean over the columns, in the squared units of the data.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import reconstruction_error
    >>> X, _ = load_iris(return_X_y=True)
    >>> reconstruction_error(PCA(n_components=2).fit(X), X).shape
    (150,)
    """
    rows, reconstruction = _rows_and_reconstruction(estimator, X)
    return np.asarray(np.mean(np.square(rows - reconstruction).reshape(len(rows), -1), axis=1))
