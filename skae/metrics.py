"""Scores of the reconstruction of X, of the code, and of sampled rows, by any model."""

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_scalar, gen_batches

from skae.tables import TabularEncoder
from skae.tables._column_values import ColumnValues, iso_times
from skae.tables._columns import counted
from skae.tables._frames import checked_table, numbers_of, read_columns
from skae.utils._arrays import check_floats, check_weight
from skae.utils._lazy import LazyRows, canonical
from skae.utils._rows import Rows, moments

__all__ = [
    "closest_record_share",
    "neighbor_recall",
    "reconstruction_error",
    "reconstruction_score",
    "two_sample_score",
]

# Entries of rows and their neighbours that are compared at a time.
_CHUNK_ENTRIES = 2**22

# Distances that differ by less, relatively, are equal but for rounding.
_TOLERANCE = 1e-9


def variance_explained(X: Any, reconstruction: Any, sample_weight: Any = None) -> float:
    """Share of the variance of X, over all columns together.

    As scikit-learn's `r2_score` weighted by variance, except that errors in constant
    columns count. Missing values of X do not count.
    """
    X, reconstruction = (
        np.asarray(rows, np.float64).reshape(len(rows), -1) for rows in (X, reconstruction)
    )
    sample_weight = check_weight(sample_weight, len(X))
    missing = np.isnan(X)
    if missing.any():
        centre = moments(X, sample_weight)[0]
        X = np.where(missing, centre, X)
        reconstruction = np.where(missing, centre, reconstruction)
    else:
        centre = np.average(X, axis=0, weights=sample_weight)
    error, total = (
        np.average(np.square(X - other).sum(axis=1), weights=sample_weight)
        for other in (reconstruction, centre)
    )
    return _explained(error, total)


def lazy_variance_explained(
    X: LazyRows, reconstruct: Callable[[LazyRows], NDArray[Any]], sample_weight: Any = None
) -> float:
    """The same of rows that are read in chunks; `reconstruct` is a function of a chunk."""
    weight = check_weight(sample_weight, len(X))
    error = np.average(_lazy_squares(X, reconstruct), weights=weight)
    return _explained(error, np.square(moments(X, weight)[1]).sum())


def _explained(error: Any, total: Any) -> float:
    """Share of the total variance that is no error; without a variance, 1 or 0."""
    return float(error == 0) if total == 0 else float(1 - error / total)


def _lazy_squares(
    X: LazyRows, reconstruct: Callable[[LazyRows], NDArray[Any]]
) -> NDArray[np.float64]:
    """Sum of the squared differences of each row and its reconstruction, (n_samples,)."""
    squares = []
    for part in Rows(X).parts():
        residual = part.inputs.dense() - reconstruct(part.inputs)
        squares.append(np.square(residual).sum(axis=1, dtype=np.float64))
    return np.concatenate(squares)


def share_explained(X: Any, reconstruction: Any, sample_weight: Any = None) -> float:
    """Share of the columns of a table that is explained, the mean over its columns.

    Of numbers and times, the share of the variance of the observed values. Of categories, the
    share of the errors of the most frequent category that are not made. Constant columns do
    not count.
    """
    errors, weight = _relative_errors(X, reconstruction, sample_weight)
    observed = np.ma.masked_array(errors, np.isnan(errors))
    by_column: Any = np.ma.average(observed, axis=0, weights=weight)
    return float(1 - by_column.mean()) if by_column.count() else 1.0


def _relative_errors(
    X: Any, reconstruction: Any, sample_weight: Any = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Error of each value over the mean error of a constant, (n_samples, n_columns).

    NaN where a value is missing or its column is constant. And the weights, (n_samples,).
    """
    columns = list(read_columns(checked_table(X)))
    others = read_columns(checked_table(reconstruction))
    n_samples = len(columns[0].observed)
    weight = check_weight(sample_weight, n_samples)
    weight = np.ones(n_samples) if weight is None else weight
    pairs = zip(columns, others, strict=True)
    return np.column_stack([_errors_of_column(*pair, weight) for pair in pairs]), weight


def _errors_of_column(
    column: ColumnValues, other: ColumnValues, weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The same of one column, (n_samples,)."""
    # Strings that are dates in both tables are times, in one unit.
    times, other_times = iso_times(column), iso_times(other)
    if (times.type, times.unit) == (other_times.type, other_times.unit):
        column, other = times, other_times
    observed = column.observed
    relative = np.full(len(observed), np.nan)
    values, others, weight = column.values[observed], other.values[observed], weight[observed]
    # A column that the estimator ignores comes back missing in all rows.
    is_ignored = column.family == "category" and not other.observed.any()
    if is_ignored or not weight.sum():
        return relative
    if column.family == "category":
        categories, position = np.unique(values.astype(str), return_inverse=True)
        counts = np.bincount(position, weights=weight, minlength=len(categories))
        errors, total = (values != others).astype(float), 1 - counts.max() / counts.sum()
    else:
        origin = int(values.min()) if values.dtype.kind in "iuO" else 0
        values, others = counted(values, origin, 1), counted(others, origin, 1)
        centre = np.average(values, weights=weight)
        # Missing values of the reconstruction count as the mean.
        others = np.where(other.observed[observed], others, centre)
        errors = np.square(values - others)
        total = np.average(np.square(values - centre), weights=weight)
    if total > 0:
        relative[observed] = errors / total
    return relative


def check_inverse(estimator: Any) -> None:
    """Raise unless an estimator goes back from codes to rows."""
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            "estimator must have the methods transform and inverse_transform; "
            f"{type(estimator).__name__} has no inverse_transform."
        )


def _reconstruction(estimator: Any, X: Any, shape: tuple[int, ...] | None = None) -> Any:
    """Rows after `transform` and `inverse_transform`: an array of this shape, or a table."""
    check_inverse(estimator)
    if isinstance(X, LazyRows):
        X, shape = X.given(), X.shape
    rows = estimator.inverse_transform(estimator.transform(X))
    if shape is None:
        return rows
    rows = np.ascontiguousarray(canonical(rows).toarray() if sparse.issparse(rows) else rows)
    if rows.dtype == object:
        # Decimals and fractions, or numbers with NA among them.
        rows = numbers_of(rows, unknown=True)
    if rows.shape != shape:
        raise ValueError(
            f"X has shape {shape}, but its reconstruction by {type(estimator).__name__} has "
            f"shape {rows.shape}."
        )
    return rows


def _checked_numbers(X: Any, name: str) -> NDArray[Any]:
    """Rows of numbers as floats, (n_samples, ...), with NaN where one is missing."""
    return check_floats(X, name, allow_nd=True, ensure_all_finite="allow-nan", ensure_2d=False)


def reconstruction_score(
    estimator: Any, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
) -> float:
    """Share of the variance of X that survives `transform` and `inverse_transform`.

    One minus the squared error of the reconstruction over the squared distance of the
    rows from their mean, both summed over rows and columns, in the space of X. A scorer
    by its signature: pass it as ``scoring=`` to a search.

    Missing values do not count. Of a table with a column that is no number, the mean over its
    columns: for numbers, the share of the variance; for categories, the share of the errors
    that are not made, of those that naming the most frequent category makes.

    Parameters
    ----------
    estimator : fitted estimator
        A transformer, or a Pipeline of transformers, with `inverse_transform`: PCA,
        KernelPCA with its inverse, NMF, FastICA, an autoencoder.

    X : data frame, array-like or sparse matrix of shape (n_samples, n_features)
        Rows, at best rows that were not used for training. Sparse ones are compared a chunk
        at a time.

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
    if sparse.issparse(X):
        reconstruct = partial(_reconstruction, estimator)
        return lazy_variance_explained(LazyRows(canonical(X)), reconstruct, sample_weight)
    numbers = numbers_of(X, unknown=True)
    if numbers is None:
        return share_explained(X, _reconstruction(estimator, X), sample_weight)
    rows = _checked_numbers(numbers, "X")
    return variance_explained(rows, _reconstruction(estimator, X, rows.shape), sample_weight)


def reconstruction_error(estimator: Any, X: Any) -> NDArray[Any]:
    """Mean squared difference between each row and its reconstruction.

    Parameters
    ----------
    estimator : fitted estimator
        A transformer, or a Pipeline of transformers, with `inverse_transform`.

    X : data frame, array-like or sparse matrix of shape (n_samples, n_features)
        Rows. Sparse ones are compared a chunk at a time.

    Returns
    -------
    ndarray of shape (n_samples,)
        Mean over the columns with an observed value, in the squared units of the data; 0 for
        a row without any. Of a table with a column that is no number, squared differences
        over the variance of the column in `X`, and for categories that are wrong one over
        the share of rows that do not have the most frequent one.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import reconstruction_error
    >>> X, _ = load_iris(return_X_y=True)
    >>> reconstruction_error(PCA(n_components=2).fit(X), X).shape
    (150,)
    """
    if sparse.issparse(X):
        lazy = LazyRows(canonical(X))
        return _lazy_squares(lazy, partial(_reconstruction, estimator)) / lazy.shape[1]
    numbers = numbers_of(X, unknown=True)
    if numbers is None:
        errors, _ = _relative_errors(X, _reconstruction(estimator, X))
    else:
        rows = _checked_numbers(numbers, "X")
        residual = rows - _reconstruction(estimator, X, rows.shape)
        errors = np.square(residual).reshape(len(rows), -1)
    n_observed = np.maximum((~np.isnan(errors)).sum(axis=1), 1)
    return np.asarray(np.nansum(errors, axis=1) / n_observed.astype(errors.dtype))


def neighbor_recall(transformer: Any, X_train: Any, X_test: Any, k: int = 15) -> float:
    """Share of the nearest rows in the code that are nearest in the data, too.

    Recall at `k`: each row of `X_test` has `k` nearest training rows by the Euclidean distance
    of the codes. Those count that are no farther from it, by the Euclidean distance of the
    rows, than its `k` nearest training rows are, so of training rows at equal distances any.

    Parameters
    ----------
    transformer : transformer
        Fitted, with the method `transform`: an autoencoder, PCA, a manifold learner that
        embeds new rows, or a pipeline.

    X_train : array-like, sparse matrix or data frame of shape (n_train, ...)
        Rows among which neighbours are found. Distances are in the units of the data, with
        missing values at the mean of their column, and of images over all pixels. Tables with
        columns that are not numeric are encoded by :class:`~skae.tables.TabularEncoder`.

    X_test : array-like, sparse matrix or data frame of shape (n_test, ...)
        Rows whose neighbours are found, none of which is a training row: it would be its own
        nearest neighbour.

    k : int, default=15
        Number of neighbours, at most `n_train`.

    Returns
    -------
    float
        Mean over the rows of `X_test`, between 0 and 1. A code without information about the
        rows has about ``k / n_train``.

    See Also
    --------
    sklearn.manifold.trustworthiness : Penalizes neighbours in an embedding by their rank.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae.metrics import neighbor_recall
    >>> X_train, X_test = train_test_split(load_iris().data, random_state=0)
    >>> print(f"{neighbor_recall(PCA(2).fit(X_train), X_train, X_test, k=10):.2f}")
    0.81
    """
    codes = [
        check_array(transformer.transform(X), accept_sparse="csr", input_name="code")
        for X in (X_train, X_test)
    ]
    train, test = _comparable(("X_train", "X_test"), X_train, X_test)
    check_scalar(k, "k", Integral, min_val=1, max_val=train.shape[0])
    found, nearest = (
        NearestNeighbors(n_neighbors=int(k)).fit(rows).kneighbors(others, return_distance=False)
        for rows, others in (codes, (train, test))
    )
    counts = []
    n_rows = max(_CHUNK_ENTRIES // (int(k) * train.shape[1]), 1)
    for at in gen_batches(test.shape[0], n_rows):
        farthest = _squares(train, test[at], nearest[at]).max(axis=1, keepdims=True)
        squares = _squares(train, test[at], found[at])
        counts.append((squares <= farthest * (1 + _TOLERANCE)).sum(axis=1))
    return float(np.concatenate(counts).mean() / k)


def two_sample_score(
    X: Any, X_sampled: Any, *, classifier: Any = None, cv: int = 3, random_state: Any = None
) -> float:
    """Area under the ROC curve of a classifier that distinguishes sampled rows from real ones.

    The classifier two-sample test [1]_: cross-validated, on as many real rows as sampled ones.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, ...)
        Real rows, at best some that the model of the sampled rows was not fitted on. Missing
        values of numbers are at the mean; tables with columns that are not numeric are encoded
        by :class:`~skae.tables.TabularEncoder`.

    X_sampled : array-like or data frame of shape (n_sampled, ...)
        Sampled rows of the same columns. Of the longer of the two the first rows are compared.

    classifier : classifier, default=None
        With the method `predict_proba` or `decision_function`; None:
        :class:`~sklearn.ensemble.RandomForestClassifier` of 150 trees.

    cv : int, default=3
        Number of stratified folds, at least 2.

    random_state : int, RandomState instance or None, default=None
        Shuffles the rows and seeds the forest.

    Returns
    -------
    float
        0.5, but for chance, if the rows cannot be distinguished; 1 if they always can.

    References
    ----------
    .. [1] D. Lopez-Paz and M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from skae.metrics import two_sample_score
    >>> X = load_iris().data
    >>> X_sampled, _ = GaussianMixture(3, random_state=0).fit(X).sample(150)
    >>> two_sample_score(X, X_sampled, random_state=0) < 0.9
    True
    """
    check_scalar(cv, "cv", Integral, min_val=2)
    real, sampled = _comparable(("X", "X_sampled"), X, X_sampled)
    n_rows = min(len(real), len(sampled))
    rows = np.concatenate([real[:n_rows], sampled[:n_rows]])
    is_sampled = np.repeat([0, 1], n_rows)
    if classifier is None:
        classifier = RandomForestClassifier(150, random_state=random_state)
    folds = StratifiedKFold(int(cv), shuffle=True, random_state=random_state)
    scores = cross_val_score(
        clone(classifier), rows, is_sampled, cv=folds, scoring="roc_auc", error_score="raise"
    )
    return float(scores.mean())


def closest_record_share(
    X_train: Any, X_test: Any, X_sampled: Any, quantile: float = 0.05
) -> float:
    """Share of sampled rows that are as near to a training row as the nearest real rows are.

    The distance to the closest record [1]_: of each row to the nearest training row, in
    standard deviations of the training rows' columns.

    Parameters
    ----------
    X_train : array-like or data frame of shape (n_train, ...)
        Rows that the model was fitted on. Missing values of numbers are at the mean; tables
        with columns that are not numeric are encoded by :class:`~skae.tables.TabularEncoder`.

    X_test : array-like or data frame of shape (n_test, ...)
        Real rows that the model was not fitted on.

    X_sampled : array-like or data frame of shape (n_sampled, ...)
        Rows that were sampled.

    quantile : float, default=0.05
        Share of the real rows that are at most so near, in (0, 1).

    Returns
    -------
    float
        Share of the sampled rows that are nearer to their nearest training row than the
        quantile of the distances of real rows, of those at this distance as many as of real
        rows: `quantile` for rows that are as near as real ones, one for copies.

    References
    ----------
    .. [1] Z. Zhao, A. Kunar, R. Birke and L. Y. Chen, "CTAB-GAN: Effective Table Data
       Synthesizing", ACML 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from skae.metrics import closest_record_share
    >>> X_train, X_test = load_iris().data[::2], load_iris().data[1::2]
    >>> X_sampled, _ = GaussianMixture(3, random_state=0).fit(X_train).sample(150)
    >>> closest_record_share(X_train, X_test, X_sampled) < 0.2
    True
    >>> closest_record_share(X_train, X_test, X_train)
    1.0
    """
    check_scalar(quantile, "quantile", Real, min_val=0, max_val=1, include_boundaries="neither")
    names = "X_train", "X_test", "X_sampled"
    real, sampled = closest_distances(names, X_train, X_test, X_sampled)
    limit = np.quantile(real, quantile, method="inverted_cdf")
    (real_near, real_equal), (near, equal) = (
        ((d < limit * (1 - _TOLERANCE)).mean(), np.isclose(d, limit, _TOLERANCE, 0).mean())
        for d in (real, sampled)
    )
    return float(near + equal * (quantile - real_near) / real_equal)


def closest_distances(names: Any, X_train: Any, *others: Any) -> list[NDArray[Any]]:
    """Distances of other rows to the nearest training row, (n_samples,) each."""
    train, *rest = _comparable(names, X_train, *others)
    deviation = np.where(train.std(axis=0) > 0, train.std(axis=0), 1.0)
    search = NearestNeighbors(n_neighbors=1).fit(train / deviation)
    return [search.kneighbors(rows / deviation)[0][:, 0] for rows in rest]


def _comparable(names: Any, X_train: Any, *others: Any) -> list[Any]:
    """Training rows and others, (n_samples, n_numbers) each, between which distances are."""
    given = X_train, *others
    if sparse.issparse(X_train):
        return [check_array(X, accept_sparse="csr") for X in given]
    numbers = [numbers_of(X, unknown=True) for X in given]
    if any(X is None for X in numbers):
        encoder = TabularEncoder().fit(X_train)
        return [np.asarray(encoder.transform(X)) for X in given]
    arrays = [
        _checked_numbers(X, name).reshape(len(X), -1)
        for X, name in zip(numbers, names, strict=True)
    ]
    width = arrays[0].shape[1]
    for name, rows in zip(names, arrays, strict=True):
        if rows.shape[1] != width:
            raise ValueError(
                f"{name} must have as many columns as {names[0]}, {width}; it has "
                f"{rows.shape[1]}."
            )
    # Columns without observed values are zero in all rows.
    mean = np.nan_to_num(moments(arrays[0])[0])
    return [np.where(np.isnan(rows), mean, rows) for rows in arrays]


def _squares(train: Any, rows: Any, index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Squared distances of rows, (n_rows, n_numbers), to training rows, (n_rows, k)."""
    others = train[index.ravel()]
    if sparse.issparse(train):
        others, rows = others.toarray(), rows.toarray()
    difference = others.reshape(*index.shape, -1).astype(np.float64) - rows[:, np.newaxis]
    return np.asarray(np.square(difference).sum(axis=2))
