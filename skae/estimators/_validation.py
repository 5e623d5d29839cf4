"""Validation of X, target and sample_weight."""

import math
from dataclasses import replace

import numpy as np
from scipy import sparse
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skae.tables import TabularEncoder
from skae.tables._column_values import ColumnValues
from skae.tables._columns import check_finite
from skae.tables._frames import checked_table, numbers_of
from skae.utils._arrays import (
    LAYOUT,
    check_floats,
    check_weight,
    column_names,
    overridable,
    refuse_masked,
)
from skae.utils._calls import warn_user
from skae.utils._lazy import FEW_BYTES, LazyRows, canonical
from skae.utils._rows import Rows, has_missing

# Scales whose squares, the unit of errors, are numbers of the dtype with room to spare.
_SCALES = {np.dtype(np.float32): (1e-15, 1e15), np.dtype(np.float64): (1e-140, 1e140)}

# Of rows that are read lazily, so many bytes in float32 are held out at most, and rows in this
# range: more would not change the validation loss.
_MOST_HELD_OUT, _HELD_OUT = 2**25, (1000, 20_000)

_FLOAT_BYTES = 4

# With fewer rows than this none are held out: all of them validate.
_FEWEST_TO_SPLIT = 10

# Rows that a first fit needs.
_FEWEST = 2

# Share of the variance of X from which on one column is named in a warning.
_DOMINANT_SHARE = 0.999


def check_training_rows(estimator, X, target, sample_weight, reset, fewest=_FEWEST):
    """Flat rows to train on, in the units of the data, without those of weight zero.

    With `reset` the estimator gets what its rows look like: number and names of the columns,
    `_input_shape` and `_output_shape`, and `table_`, the encoder of a table, or None.
    """
    if reset:
        X, observed = fit_table(estimator, X, sample_weight)
        if estimator.table_ is None:
            X = check_features(estimator, X, ensure_min_samples=fewest, allow_nd=True)
        estimator._input_shape = estimator._output_shape = X.shape[1:]
        X = X if X.ndim == 2 else X.reshape(len(X), -1)
        if target is not None:
            target = _check_target(estimator, X, target, reset)
        if estimator.table_ is None:
            rows = _numeric_rows(estimator, X, target)
        else:
            rows = Rows(X, observed=observed)
    else:
        rows = read_rows(estimator, X, target, fewest)
    if sample_weight is None:
        return rows
    weight = check_weight(sample_weight, len(rows), fewest)
    counts = weight > 0
    # Only ratios matter: equal weights are none.
    rows = replace(rows, weight=None if np.ptp(weight[counts]) == 0 else weight)
    return rows if counts.all() else rows.take(counts)


def _numeric_rows(estimator, X, target=None):
    """Rows, (n_samples, n_features): read in chunks where they are many and none is missing."""
    is_complete = target is not None or isinstance(X, LazyRows) or not has_missing(X)
    observed = None if is_complete else ~np.isnan(X)
    arrays = [X, target]
    for i, array in enumerate(arrays):
        if (
            getattr(estimator, "_reads_lazily", False)
            and isinstance(array, np.ndarray)
            and _FLOAT_BYTES * array.size > FEW_BYTES
            and not has_missing(array)
        ):
            arrays[i] = LazyRows(array)
    return Rows(*arrays, observed=observed)


def fit_table(estimator, X, sample_weight):
    """Fit the encoder of X, `table_`, if a column is no number, or declared to be categorical.

    Otherwise it is None: numbers are rows as they are, in a data frame and with missing values
    too. Returns what `check_table` does for the table, or X as numbers, not yet checked, and
    None.
    """
    estimator.table_ = None
    is_pandas = hasattr(X, "iloc") and hasattr(X, "columns")  # and no series
    estimator._labels = list(X.columns) if is_pandas else None
    categorical = estimator.categorical_features
    declares = not isinstance(categorical, str) and np.size(categorical) > 0
    if sparse.issparse(X):
        if declares:
            raise ValueError(
                "categorical_features must be 'from_dtype' for sparse X, which has numbers "
                f"only; got {categorical!r}."
            )
        return X, None
    numbers = None if declares else numbers_of(X)
    if numbers is not None:
        return numbers, None
    X = checked_table(X)
    if X.shape[0] < _FEWEST:
        raise _too_few(estimator, X.shape[0], _FEWEST)
    encoder = TabularEncoder(
        categorical_features=categorical,
        standardize=getattr(estimator, "standardize", True) is not False,
        clip=getattr(estimator, "clip", True),
    )
    Z, observed = encoder._fit_encode(X, sample_weight)
    if Z.shape[1] == 0:
        encoder.check_learnable()
    estimator.table_ = encoder
    for name in ("n_features_in_", "feature_names_in_"):
        vars(estimator).pop(name, None)
        if hasattr(encoder, name):
            setattr(estimator, name, getattr(encoder, name))
    return Z, observed


def check_table(estimator, X, fewest=1):
    """Matrix of a table, (n_samples, n_numbers), and mask of observed values by column."""
    if sparse.issparse(X):
        raise TypeError(
            f"X is sparse, but {type(estimator).__name__} was fitted on a table with a "
            "column that is no number: it takes data frames and dense arrays."
        )
    Z, observed = estimator.table_.encode(X)
    if len(Z) < fewest:
        raise _too_few(estimator, len(Z), fewest)
    return Z, observed


def _too_few(estimator, n_samples, fewest):
    """The error for fewer rows of a table than are needed."""
    return ValueError(
        f"Found array with {n_samples} sample(s) while a minimum of {fewest} is required by "
        f"{type(estimator).__name__}."
    )


def _check_target(estimator, X, target, reset):
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


def check_features(estimator, X, **options):
    """Rows as scikit-learn checks them, in one layout; NaN where a value is missing."""
    options = {**LAYOUT, **options}
    is_sparse = sparse.issparse(X)
    reads_sparse = is_sparse and getattr(estimator, "_reads_lazily", False)
    if reads_sparse:
        options["accept_sparse"] = "csr"
    elif not is_sparse:
        X = numbers_of(X, unknown=True, refuse=True)
        options["ensure_all_finite"] = "allow-nan"
    try:
        checked = validate_data(estimator, X, **options)
    except ValueError as error:
        if reads_sparse and "contains NaN" in str(error):
            raise ValueError(
                "Input X contains NaN: missing values are supported in dense rows only. Give "
                "X.toarray(), or fill them first."
            ) from None
        if not is_sparse and "Input X contains infinity" in str(error):
            _refuse_infinite(X)
        raise
    if reads_sparse:
        return LazyRows(canonical(checked))
    rows = checked[0] if "y" in options else checked
    if options.get("reset", True) and has_missing(rows) and np.isnan(rows).all():
        raise ValueError(f"X has no observed value: all {rows.size} are missing.")
    return checked


def _refuse_infinite(X):
    """Name the column of an infinite value in the error, for rows, (n_samples, n_features)."""
    rows = check_array(X, **LAYOUT, ensure_all_finite=False, allow_nd=True)
    if rows.ndim == 2:
        names = column_names(X, rows.shape[1])
        for name, column in zip(names, rows.T, strict=True):
            check_finite(ColumnValues(name, column, ~np.isnan(column), "number"))


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


def read_rows(estimator, X, target=None, fewest=1):
    """Rows for a fitted estimator, with a target or the mask of their observed values."""
    if target is None and estimator.table_ is not None:
        Z, observed = check_table(estimator, X, fewest)
        return Rows(Z, observed=observed)
    shapes = estimator._input_shape, estimator._output_shape
    if target is None and shapes[0] != shapes[1]:
        raise ValueError(
            f"target must be given: rows of X have shape {shapes[0]}, but "
            f"{type(estimator).__name__} was trained on targets of shape {shapes[1]}."
        )
    X = check_rows(estimator, X, ensure_min_samples=fewest)
    if target is not None:
        target = _check_target(estimator, X, target, reset=False)
    return _numeric_rows(estimator, X, target)


def check_bounded(parameter, value, instead, rows):
    """Raise if targets are outside [0, 1], which this value needs, unlike that `instead`."""
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
    """Raise if the square of a scale, a number or (n_features,), exceeds the dtype's range."""
    low, high = _SCALES[np.dtype(dtype)]
    outside = [value for value in np.ravel(scale) if not low <= value <= high]
    if outside:
        power = math.floor(math.log10(outside[0]))
        raise ValueError(
            f"{name} varies by about {outside[0]:.2g}, which is out of reach in "
            f"{np.dtype(dtype)}: the root of the mean variance of its columns must lie between "
            f"{low:g} and {high:g}. Divide {name} by 1e{power} first."
        )


def split_rows(rows, validation_fraction, rng, early_stopping):
    """Training rows, and validation rows: this share of all, or None without early stopping."""
    n_samples = len(rows)
    if not early_stopping:
        return rows, None
    if n_samples < _FEWEST_TO_SPLIT:
        return rows, rows
    n_held_out = math.ceil(float(validation_fraction) * n_samples)
    if rows.is_lazy:
        most = np.clip(_MOST_HELD_OUT // rows.row_bytes, *_HELD_OUT)
        n_held_out = min(n_held_out, int(most))
    if n_held_out > n_samples - 2:
        raise ValueError(
            f"validation_fraction={validation_fraction} leaves "
            f"{n_samples - n_held_out} of {n_samples} rows to train on; "
            "at least two are needed."
        )
    order = rng.permutation(n_samples)
    return rows.take(order[n_held_out:]), rows.take(order[:n_held_out])


def warn_of_empty(estimator, empty):
    """Name the columns at these positions, without an observed value; positions for images."""
    names = _feature_names(estimator) if len(estimator._input_shape) == 1 else None
    shown = [int(j) if names is None else names[j] for j in empty]
    warn_user(
        f"Features without any observed values: {shown}. They have no effect, and are NaN "
        "where rows are reconstructed.",
    )


@overridable
def reconstruction_errors(autoencoder, X):
    """Error of each row of X, (n_samples, ...), by an autoencoder that the user chose."""
    errors = -autoencoder.score_samples(X).astype(np.float64, copy=False)
    if errors.min() < 0:
        raise ValueError(
            "estimator must be an autoencoder whose score_samples is minus an error, "
            f"so never positive; that of {type(autoencoder).__name__} reaches "
            f"{-errors.min():.6g}."
        )
    return errors


def warn_if_dominated(estimator, deviation, remedy):
    """Name a column with nearly all the variance, given all deviations, (n_features,)."""
    largest = deviation.argmax()
    variance = np.square(deviation / (deviation[largest] or 1.0))
    share = variance[largest] / (variance.sum() or 1.0)
    if _DOMINANT_SHARE < share < 1:
        name = _feature_names(estimator)[largest]
        warn_user(
            f"Column {name!r} holds more than {100 * _DOMINANT_SHARE:g} % of the "
            f"variance of X: the other columns hardly count. {remedy}",
        )


def _feature_names(estimator):
    """Names of the columns that an estimator was fitted on, or x0, x1, ..."""
    names = getattr(estimator, "feature_names_in_", None)
    return column_names(None, estimator.n_features_in_) if names is None else list(names)
