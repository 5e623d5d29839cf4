"""From estimators and rows to the arrays that are drawn."""

import numpy as np

from skae.tables._frames import is_frame, read_columns


def unwrap(estimator, attribute):
    """The estimator, or the last one inside a pipeline or search, that has `attribute`."""
    if hasattr(estimator, attribute):
        return estimator
    if hasattr(estimator, "best_estimator_"):
        return unwrap(estimator.best_estimator_, attribute)
    for _, step in reversed(getattr(estimator, "steps", [])):
        if hasattr(step, attribute):
            return step
    raise TypeError(
        f"estimator must be fitted and have {attribute}, or be a Pipeline with a step "
        f"that has; got {estimator!r}."
    )


def reconstruct(estimator, X):
    """Rows after their passage through the code, as an array."""
    if hasattr(estimator, "reconstruct"):
        return np.asarray(estimator.reconstruct(X))
    if hasattr(estimator, "inverse_transform"):
        return np.asarray(estimator.inverse_transform(estimator.transform(X)))
    raise TypeError(
        "estimator must have the method reconstruct, or transform and inverse_transform; "
        f"{type(estimator).__name__} has neither."
    )


def numeric(name, rows):
    """An array of float64, with its number of axes checked; missing values are NaN."""
    if is_frame(rows):
        rows = _numbers_of(name, rows)
    try:
        rows = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers only: {error}") from error
    if rows.ndim < 2 or not len(rows):
        raise ValueError(
            f"{name} must be rows, an array of two to four axes; got shape {rows.shape}."
        )
    return rows


def _numbers_of(name, frame):
    """The columns of a data frame as an array (n_samples, n_features)."""
    columns, others = [], []
    for data in read_columns(frame):
        are_flags = all(isinstance(value, bool) for value in data.values[data.observed])
        if data.family == "number" or (data.family == "category" and are_flags):
            column = np.full(len(data.observed), np.nan)
            column[data.observed] = data.values[data.observed]
            columns.append(column)
        else:
            others.append(data.name)
    if others:
        raise ValueError(
            f"{name} must hold numbers only; these columns hold others: "
            f"{', '.join(map(repr, others))}."
        )
    return np.column_stack(columns)


def limits_of(*arrays):
    """Least and greatest of the finite values of arrays; 0 and 1 where there are none."""
    values = np.concatenate([np.ravel(array) for array in arrays])
    values = values[np.isfinite(values)]
    return (values.min(), values.max()) if len(values) else (0.0, 1.0)


def choose_kind(kind, rows, image_shape):
    """Image, series or table: as asked, or as the shape suggests."""
    allowed = ("auto", "image", "series", "table")
    if kind not in allowed:
        raise ValueError(f"kind must be one of {allowed}; got {kind!r}.")
    if kind == "auto":
        return "image" if image_shape is not None or rows.ndim > 2 else "table"
    if kind == "table" and rows.ndim > 2:
        raise ValueError(f"kind='table' needs rows of two axes; got shape {rows.shape}.")
    return kind


def as_images(rows, image_shape):
    """Rows as (n, height, width) or (n, height, width, 3 or 4)."""
    if image_shape is not None:
        shape = tuple(np.atleast_1d(image_shape))
        if len(shape) not in (2, 3) or np.prod(shape) != np.prod(rows.shape[1:]):
            raise ValueError(
                "image_shape must be (height, width) or (height, width, channels) with "
                f"{np.prod(rows.shape[1:])} numbers in all; got {image_shape!r}."
            )
        rows = rows.reshape(-1, *shape)
    if rows.ndim == 4 and rows.shape[-1] == 1:
        rows = rows[..., 0]
    if rows.ndim == 3 or (rows.ndim == 4 and rows.shape[-1] in (3, 4)):
        return rows
    raise ValueError(
        "images must have the shape (height, width) or (height, width, 1, 3 or 4); got "
        f"{rows.shape[1:]}. Give image_shape, or kind='series' or 'table'."
    )


def as_series(rows):
    """Rows as (n, steps, features)."""
    if rows.ndim > 3:
        raise ValueError(f"series must be (steps,) or (steps, features); got {rows.shape[1:]}.")
    return rows[..., np.newaxis] if rows.ndim == 2 else rows
