"""How much of X survives a transformation and its inverse, for any transformer."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skae.tables import Cells, checked_table, is_beyond_numbers, read_columns

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


def _goes_back(estimator: Any) -> Any:
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            "estimator must have the methods transform and inverse_transform; "
            f"{type(estimator).__name__} has no inverse_transform."
        )
    return estimator


def share_explained(X: Any, reconstruction: Any, sample_weight: Any = None) -> float:
    """Share of what the columns of a table have to lose, the mean over its columns.

    Of numbers and times, the share of the variance over the cells that are there. Of
    levels, the share of the errors of the most frequent level that are not made. Columns
    that have nothing to lose do not count.
    """
    columns, said = (read_columns(checked_table(table)) for table in (X, reconstruction))
    pairs = zip(columns, said, strict=True)
    shares = [_share_of_column(*pair, sample_weight) for pair in pairs]
    return float(np.mean([share for share in shares if share is not None] or [1.0]))


def _share_of_column(cells: Cells, said: Cells, sample_weight: Any) -> float | None:
    there = cells.observed
    weight = np.ones(len(there)) if sample_weight is None else np.asarray(sample_weight)
    weight, values, others = weight[there], cells.values[there], said.values[there]
    if not weight.sum():
        return None
    if cells.family == "level":
        levels, position = np.unique(values.astype(str), return_inverse=True)
        counts = np.bincount(position, weights=weight, minlength=len(levels))
        total, lost = counts.sum() - counts.max(), weight @ (values != others)
    else:
        values = values.astype(np.float64) - np.average(values.astype(np.float64))
        others = others.astype(np.float64) - np.average(cells.values[there].astype(np.float64))
        centre = np.average(values, weights=weight)
        total = weight @ np.square(values - centre)
        # Where nothing is said, the mean.
        lost = weight @ np.square(values - np.where(said.observed[there], others, centre))
    return float(1 - lost / total) if total > 0 else None


def _rows_and_reconstruction(estimator: Any, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    _goes_back(estimator)
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

    Of a table with categories or missing cells, the mean over its columns: for numbers, the
    share of the variance of the cells that are there; for categories, the share of the
    errors that are not made, of those that naming the most frequent level makes.

    Parameters
    ----------
    estimator : fitted estimator
        A transformer, or a Pipeline of transformers, with `inverse_transform`: PCA,
        KernelPCA with its inverse, NMF, FastICA, an autoencoder.

    X : data frame or array-like of shape (n_samples, n_features)
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
    if is_beyond_numbers(X):
        reconstruction = _goes_back(estimator).inverse_transform(estimator.transform(X))
        return share_explained(X, reconstruction, sample_weight)
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
