"""Validation of X, target and sample_weight."""

import math

import numpy as np
from scipy import sparse
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skae.tables._column_values import ColumnValues
from skae.tables._columns import check_finite
from skae.tables._frames import check_numbers, checked_table, numbers_of
from skae.utils._arrays import (
    LAYOUT,
    check_floats,
    check_weight,
    column_labels,
    column_names,
    refuse_masked,
)
from skae.utils._lazy import FEW_BYTES, LazyRows, canonical
from skae.utils._rows import Rows, has_missing

# Scales whose squares, the unit of errors, are numbers of the dtype with room to spare.
_SCALES = {np.dtype(np.float32): (1e-15, 1e15), np.dtype(np.float64): (1e-140, 1e140)}

# Of rows that are read lazily, so many bytes in float32 are held out at most, or so many rows:
# more would not change the validation loss.
_MOST_HELD_OUT, _FEWEST_HELD_OUT = 2**25, 1000

# With fewer rows than this none are held out: all of them validate.
_FEWEST_TO_SPLIT = 10


def check_training_rows(estimator, X, target, sample_weight, reset, fewest=2):
    """Rows to train on, without those of weight zero.

    Parameters
    ----------
    estimator : estimator
        Gets the number and names of the columns, the shapes of a row and of a reconstruction,
        `_input_shape` and `_output_shape`, and the encoder of a table, `table_`, or None.

    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Rows; images and series have more axes, and tables columns of any kind.

    target : array-like of shape (n_samples, ...) or None
        What the rows should become.

    sample_weight : array-like of shape (n_samples,) or None
        Weights of the rows.

    reset : bool
        Whether the estimator starts afresh.

    fewest : int, default=2
        How many rows there must be.

    Returns
    -------
    Rows
        Flat rows in the units of the data.
    """
    if reset:
        fit_table(estimator, X, sample_weight)
    observed = None
    if estimator.table_ is not None:
        X, observed = check_table(estimator, X, fewest)
        estimator._input_shape = X.shape[1:]
    elif reset:
        X = check_features(estimator, X, ensure_min_samples=fewest, allow_nd=True)
        estimator._input_shape = X.shape[1:]
        X = _flat(X)
    else:
        X = check_rows(estimator, X, ensure_min_samples=fewest)
    if target is not None:
        target = check_target(estimator, X, target, reset)
    elif reset:
        estimator._output_shape = estimator._input_shape
    else:
        check_needs_no_target(estimator)
    if estimator.table_ is None and target is None:
        observed = _observed(X)
    X, target = _lazy(estimator, X), _lazy(estimator, target)
    rows = Rows(X, target, observed=observed)
    weight = check_weight(sample_weight, len(rows), fewest)
    if weight is None:
        return rows
    counts = weight > 0
    # Only ratios matter: equal weights are none.
    weight = None if np.ptp(weight[counts]) == 0 else weight
    rows = Rows(X, target, weight, observed)
    return rows if counts.all() else rows.take(counts)


def _flat(X):
    """Rows of any shape as (n_samples, n_features)."""
    return X if X.ndim == 2 else X.reshape(len(X), -1)


def _lazy(estimator, X):
    """Rows that are read in chunks where they are sparse, or many and the estimator can.

    Rows, (n_samples, n_features), with missing values are held as a whole.
    """
    if X is None or isinstance(X, LazyRows):
        return X
    if estimator.table_ is not None or not getattr(estimator, "_reads_lazily", False):
        return X
    rows = LazyRows(X)
    return rows if rows.nbytes > FEW_BYTES and not has_missing(X) else X


def _observed(X):
    """Mask of the observed values of an array, (n_samples, n_features); None: all are."""
    return None if isinstance(X, LazyRows) or not has_missing(X) else ~np.isnan(X)


def is_table(X, categorical_features):
    """True if X must be encoded: a column is no number, or is declared to be categorical.

    Numbers are rows as they are, in a data frame and with missing values too.

    Parameters
    ----------
    X : array-like
        As the user gave it.

    categorical_features : "from_dtype" or array-like
        As the user gave it.
    """
    declares = not isinstance(categorical_features, str) and np.size(categorical_features)
    if sparse.issparse(X):
        if declares:
            raise ValueError(
                "categorical_features must be 'from_dtype' for sparse X, which has numbers "
                f"only; got {categorical_features!r}."
            )
        return False
    return bool(declares) or numbers_of(X) is None


def fit_table(estimator, X, sample_weight):
    """Fit the encoder of X, `table_`, if it is a table; None: rows as they are.

    Parameters
    ----------
    estimator : estimator
        With `categorical_features` and `_new_encoder`.

    X : array-like
        As the user gave it.

    sample_weight : array-like of shape (n_samples,) or None
        Weights of the rows.
    """
    estimator.table_ = None
    estimator._labels = column_labels(X)
    if is_table(X, estimator.categorical_features):
        validate_data(estimator, checked_table(X), skip_check_array=True)
        estimator.table_ = estimator._new_encoder().fit(X, sample_weight=sample_weight)
        estimator.table_.check_learnable()


def check_table(estimator, X, fewest=1):
    """The matrix of a table, and the mask of its observed values.

    Parameters
    ----------
    estimator : estimator
        With the encoder of tables, `table_`.

    X : data frame or array-like of shape (n_samples, n_features)
        A table.

    fewest : int, default=1
        How many rows there must be.

    Returns
    -------
    tuple of ndarray
        Of shapes (n_samples, n_numbers) and (n_samples, n_features).
    """
    if sparse.issparse(X):
        raise TypeError(
            f"X is sparse, but {type(estimator).__name__} was fitted on a table with a "
            "column that is no number: it takes data frames and dense arrays."
        )
    Z, observed = estimator.table_.encode(X)
    if len(Z) < fewest:
        raise ValueError(
            f"Found array with {len(Z)} sample(s) while a minimum of {fewest} is required by "
            f"{type(estimator).__name__}."
        )
    return Z, observed


def check_target(estimator, X, target, reset):
    """Target rows, (n_samples, n_outputs)."""
    if estimator.table_ is not None:
        raise ValueError(
            "target must be None for tables with a column that is no number, whose loss "
            f"compares columns by their kind; got {type(target).__name__}."
        )
    refuse_masked(target, "target")
    target = check_floats(target, "target", allow_nd=True, ensure_all_finite="allow-nan")
    n_missing = np.isnan(target).sum()
    if n_missing:
        raise ValueError(
            f"Input target contains NaN, in {n_missing} of {target.size} values: target must "
            "have no missing values, X may have them."
        )
    check_consistent_length(X, target)
    if reset:
        estimator._output_shape = target.shape[1:]
    elif target.shape[1:] != estimator._output_shape:
        raise ValueError(
            f"target has rows of shape {target.shape[1:]}, but {type(estimator).__name__} "
            f"was trained on targets of shape {estimator._output_shape}."
        )
    return target.reshape(len(target), -1)


def check_needs_no_target(estimator):
    """Raise if a fitted estimator needs a target other than X."""
    if estimator.table_ is None and estimator._output_shape != estimator._input_shape:
        raise ValueError(
            f"target must be given: rows of X have shape {estimator._input_shape}, but "
            f"{type(estimator).__name__} was trained on targets of shape "
            f"{estimator._output_shape}."
        )


def check_features(estimator, X, **options):
    """Rows as scikit-learn checks them, in one layout; NaN where a value is missing."""
    refuse_masked(X, "X", takes_missing=True)
    if not sparse.issparse(X):
        checked = _validated(estimator, check_numbers(X), options)
        rows = checked[0] if "y" in options else checked
        if options.get("reset", True) and has_missing(rows) and np.isnan(rows).all():
            raise ValueError(f"X has no observed value: all {rows.size} are missing.")
        return checked
    if not getattr(estimator, "_reads_lazily", False):
        return validate_data(estimator, X, **LAYOUT, **options)
    try:
        X = validate_data(estimator, X, **LAYOUT, accept_sparse="csr", **options)
    except ValueError as error:
        if "contains NaN" not in str(error):
            raise
        raise ValueError(
            "Input X contains NaN: missing values are supported in dense rows only. Give "
            "X.toarray(), or fill them first."
        ) from None
    return LazyRows(canonical(X))


def _validated(estimator, X, options):
    """Checked numbers, (n_samples, ...); the error of an infinite one names its column."""
    options = {**LAYOUT, **options, "ensure_all_finite": "allow-nan"}
    try:
        return validate_data(estimator, X, **options)
    except ValueError as error:
        if "Input X contains infinity" in str(error):
            rows = check_array(X, **LAYOUT, ensure_all_finite=False, allow_nd=True)
            if rows.ndim == 2:
                names = column_names(X, rows.shape[1])
                for name, column in zip(names, rows.T, strict=True):
                    check_finite(ColumnValues(name, column, ~np.isnan(column), "number"))
        raise


def check_rows(estimator, X, **options):
    """Rows for a fitted estimator, flat: in the shape it was fitted on, or flat already.

    Missing values of numbers are NaN.
    """
    if not estimator.__sklearn_is_fitted__():
        check_is_fitted(estimator)  # slow
    if estimator.table_ is not None:
        return check_table(estimator, X)[0]
    shape = estimator._input_shape
    if len(shape) == 1:
        return check_features(estimator, X, reset=False, **options)
    refuse_masked(X, "X", takes_missing=True)
    if sparse.issparse(X):
        raise TypeError(
            f"X is sparse, but {type(estimator).__name__} was fitted on rows of shape {shape}: "
            "it takes dense arrays."
        )
    X = np.asarray(X)
    if X.ndim == 2 and X.shape[1] == np.prod(shape):
        X = X.reshape(len(X), *shape)
    X = check_features(estimator, X, reset=False, allow_nd=True, **options)
    if X.shape[1:] != shape:
        raise ValueError(
            f"X has rows of shape {X.shape[1:]}, but {type(estimator).__name__} was fitted "
            f"on rows of shape {shape}."
        )
    return X.reshape(len(X), -1)


def read_rows(estimator, X):
    """Rows for a fitted estimator, and which of their values were observed.

    Parameters
    ----------
    estimator : estimator
        Fitted.

    X : data frame or array-like
        Rows.
    """
    if estimator.table_ is None:
        X = check_rows(estimator, X)
        return Rows(_lazy(estimator, X), observed=_observed(X))
    Z, observed = check_table(estimator, X)
    return Rows(Z, observed=observed)


def check_bounded(parameter, value, instead, rows):
    """Raise if targets are outside [0, 1], which a parameter needs.

    Parameters
    ----------
    parameter : str
        Its name.

    value : object
        As the user gave it.

    instead : str
        What asks for less.

    rows : Rows
        Training rows in the units of the data.
    """
    target = rows.outputs
    if rows.observed is None:
        low, high = target.min(), target.max()
    else:
        low, high = np.nanmin(target), np.nanmax(target)
    if low < 0 or high > 1:
        which = "X" if rows.has_own_targets else "target"
        raise ValueError(
            f"{parameter}={value!r} needs {which} in [0, 1]; {which} ranges from "
            f"{low:.6g} to {high:.6g}. Scale it with "
            f"sklearn.preprocessing.MinMaxScaler or choose {instead}."
        )


def check_scale(name, scale, dtype):
    """Raise if the squared errors of what varies by this much exceed the dtype's range.

    Parameters
    ----------
    name : str
        The parameter it came in.

    scale : float or ndarray of shape (n_features,)
        Root of the mean variance of its columns, or the standard deviation of each.

    dtype : dtype
        In which it is computed with.
    """
    low, high = _SCALES[np.dtype(dtype)]
    outside = [value for value in np.ravel(scale) if not low <= value <= high]
    if not outside:
        return
    scale = outside[0]
    power = math.floor(math.log10(scale))
    raise ValueError(
        f"{name} varies by about {scale:.2g}, which is out of reach in {np.dtype(dtype)}: the "
        f"root of the mean variance of its columns must lie between {low:g} and {high:g}. "
        f"Divide {name} by 1e{power} first."
    )


def split_rows(rows, validation_fraction, rng, early_stopping):
    """Training rows, and validation rows or None.

    Parameters
    ----------
    rows : Rows
        All rows.

    validation_fraction : float
        Share of the validation rows.

    rng : RandomState
        Chooses them.

    early_stopping : bool
        Whether there are any.
    """
    n_samples = len(rows)
    if not early_stopping:
        return rows, None
    if n_samples < _FEWEST_TO_SPLIT:
        return rows, rows
    n_held_out = math.ceil(float(validation_fraction) * n_samples)
    if rows.is_lazy:
        most = max(_MOST_HELD_OUT // rows.row_bytes, _FEWEST_HELD_OUT)
        n_held_out = min(n_held_out, most)
    if n_held_out > n_samples - 2:
        raise ValueError(
            f"validation_fraction={validation_fraction} leaves "
            f"{n_samples - n_held_out} of {n_samples} rows to train on; "
            "at least two are needed."
        )
    order = rng.permutation(n_samples)
    return rows.take(order[n_held_out:]), rows.take(order[:n_held_out])
