"""Axes, colours and mosaics of images, and the arrays that displays draw."""

from typing import NamedTuple

import numpy as np

from skae.tables._frames import is_frame, read_columns
from skae.utils._arrays import column_names
from skae.utils._calls import missing_package

# Okabe and Ito, "Color Universal Design", 2008; the yellow, pale on white, comes last.
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
# As many as make each pair of colour and marker come up once in 72 classes.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

GREY = "0.55"

# Text of a missing value.
MISSING = "missing"

# Between two images of a mosaic, as a share of their height.
_GAP = 0.08


def axes_for(display, ax, size=None):
    """The axes given, or those of a new figure of this size in inches, as attributes."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise missing_package(type(display).__name__, "matplotlib", "plot") from error
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def panels_for(display, ax, size, title, n_rows, n_columns, **shared):
    """As `axes_for`, divided into a grid of `axes_`, (n_rows, n_columns), under one title."""
    ax = axes_for(display, ax, size)
    if n_rows == n_columns == 1:
        ax.set_title(title)
        display.axes_ = np.array([[ax]])
        return display.axes_
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("ax must be one of plt.subplots or add_subplot to be divided.")
    ax.set_axis_off()
    grid = place.subgridspec(n_rows, n_columns)
    display.axes_ = axes = grid.subplots(squeeze=False, **shared)
    if ax.get_gridspec().get_geometry() == (1, 1):
        ax.figure.suptitle(title)
    else:
        # In a part of a larger figure. The layout makes room for titles of panels only, and
        # takes no notice of the width of those in the middle.
        axes[0, n_columns // 2].set_title(title)
    return axes


def labels_of_columns(names, rows, n_columns, columns="{} columns"):
    """Names as given, or those of a data frame, or x0, x1, ...; `columns` is for the error."""
    labels = column_names(rows, n_columns) if names is None else list(map(str, names))
    if len(labels) != n_columns:
        raise ValueError(
            f"feature_names must name {columns.format(n_columns)}; got {len(labels)} names."
        )
    return labels


def add_grid(panel, alpha):
    """A pale grid, and axes at the left and the bottom only."""
    panel.grid(alpha=alpha)
    panel.spines[["top", "right"]].set_visible(False)


class Band(NamedTuple):
    """Images (n_images, height, width[, channels]) in a row of a mosaic, under one label."""

    label: str
    images: np.ndarray
    is_error: bool = False


def draw_mosaic(display, ax, bands, limits, title, cmap="gray", step_labels=None):
    """Draw bands one under the other in one `axes_`: errors on a scale that starts at zero."""
    n_columns, height, width = bands[0].images.shape[:3]
    gap = _GAP * height
    low, high = limits
    errors = [band.images for band in bands if band.is_error]
    most = (limits_of(*errors)[1] if errors else 0) or 1.0
    # In inches, so that the images are legible.
    side = np.clip(11 / n_columns, 0.55, 1.1)
    longest = max(len(line) for band in bands for line in band.label.split("\n"))
    size = (
        side * n_columns + 0.09 * longest + (1.3 if errors else 0.3),
        max(side * len(bands) * min(height / width, 3) + 0.8, 1.9),
    )
    ax = axes_for(display, ax, size)
    display.axes_ = np.array([[ax]])
    for i, band in enumerate(bands):
        scale = {"cmap": cmap, "vmin": low, "vmax": high}
        if band.is_error:
            scale = {"cmap": "magma", "vmin": 0, "vmax": most}
        top = i * (height + gap)
        for j, image in enumerate(band.images):
            if image.ndim == 3:
                image = np.clip((image - low) / ((high - low) or 1), 0, 1)
            left = j * (width + gap)
            extent = (left, left + width, top + height, top)
            ax.imshow(image, extent=extent, **scale)
    ax.set(
        title=title,
        xlim=(-gap, n_columns * (width + gap)),
        ylim=(len(bands) * (height + gap), -gap),
        xticks=[],
        yticks=[i * (height + gap) + height / 2 for i in range(len(bands))],
        yticklabels=[band.label for band in bands],
        aspect="equal",
    )
    if step_labels is not None:
        centres = [j * (width + gap) + width / 2 for j in range(len(step_labels))]
        ax.set_xticks(centres, step_labels)
        ax.tick_params(axis="x", top=False, labeltop=False, labelbottom=True)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


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


def numeric(name, rows, texts=None):
    """An array of float64 with two axes or more; missing values are NaN.

    With a dictionary `texts`, data frames may have categories, which are NaN, and times: it
    gets their texts, (n_samples,), by position, and whether they are categories.
    """
    if is_frame(rows):
        columns, others = [], []
        for j, data in enumerate(read_columns(rows)):
            values = data.values[data.observed]
            are_flags = data.family == "category" and all(isinstance(v, bool) for v in values)
            if data.family != "number" and not are_flags:
                if texts is None:
                    others.append(data.name)
                    continue
                is_category = data.family == "category"
                written = [str(v) for v in (data.values if is_category else data.times())]
                texts[j] = np.where(data.observed, written, MISSING), is_category
                values = np.nan if is_category else values
            columns.append(spread(values, data.observed))
        if others:
            raise ValueError(
                f"{name} must hold numbers only; these columns hold others: "
                f"{', '.join(map(repr, others))}."
            )
        rows = np.column_stack(columns)
    try:
        rows = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers only: {error}") from error
    if rows.ndim < 2 or not len(rows):
        raise ValueError(
            f"{name} must be rows, an array of two to four axes; got shape {rows.shape}."
        )
    return rows


def spread(values, observed):
    """Numbers (n_observed,) where the mask (n_samples,) is True, NaN elsewhere."""
    result = np.full(len(observed), np.nan)
    result[observed] = values
    return result


def limits_of(*arrays):
    """Least and greatest of the finite values of arrays; 0 and 1 where there are none."""
    values = np.concatenate([np.ravel(array) for array in arrays])
    values = values[np.isfinite(values)]
    return (values.min(), values.max()) if len(values) else (0.0, 1.0)


def as_images(rows, image_shape):
    """Rows as (n, height, width) or (n, height, width, 3 or 4)."""
    if image_shape is not None:
        shape, n_numbers = tuple(np.atleast_1d(image_shape)), np.prod(rows.shape[1:])
        if len(shape) not in (2, 3) or np.prod(shape) != n_numbers:
            raise ValueError(
                "image_shape must be (height, width) or (height, width, channels) with "
                f"{n_numbers} numbers in all; got {image_shape!r}."
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
