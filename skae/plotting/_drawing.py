"""Axes, colours and mosaics of images, and the arrays that displays draw."""

from collections.abc import Callable
from importlib import import_module
from inspect import Signature, signature
from math import lcm
from types import MethodType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import in_microseconds
from skae.tables._frames import is_frame, read_columns
from skae.utils._arrays import column_names
from skae.utils._calls import missing_package

Array = NDArray[Any]
D = TypeVar("D", bound="Display")

# Beside the colours of matplotlib's cycle, whose number is of no consequence: see `look`.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

# Legible on white and on black.
GREY = "0.55"

# Text of a missing value.
MISSING = "missing"

# More names of columns, in one panel or in all, or numbers, than these are not legible.
MOST_NAMES = 30
MOST_IN_ALL = 45
MOST_NUMBERS = 120

# Between two images of a mosaic, as a share of their height.
_GAP = 0.08


class Display:
    """Attributes that drawing sets."""

    ax_: Any
    axes_: Any
    figure_: Any
    plot: Any


class FromArrays:
    """Class method that draws arrays, with the parameters of the class and of `plot`."""

    def __init__(self, summary: str) -> None:
        self.__doc__ = f"{summary}\n\nParameters are those of the class and of `plot`."

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__, self.__qualname__ = name, f"{owner.__qualname__}.{name}"

    def __get__(self, instance: Any, owner: type[D]) -> Callable[..., D]:
        of_class, (first, *of_plot) = (
            list(signature(function).parameters.values()) for function in (owner, owner.plot)
        )
        fields = {each.name for each in of_class}

        def draw(cls: Any, *arrays: Any, **params: Any) -> Any:
            display = cls(*arrays, **{name: params.pop(name) for name in fields & set(params)})
            return display.plot(**params)

        # Not by functools.wraps: Sphinx would take what is wrapped for an attribute.
        for name in ("__doc__", "__name__", "__qualname__"):
            setattr(draw, name, getattr(self, name))
        # The last one of `plot` may stand for any others.
        of_plot = [each.replace(kind=max(each.kind, each.KEYWORD_ONLY)) for each in of_plot]
        vars(draw)["__signature__"] = Signature([first, *of_class, *of_plot])
        return MethodType(draw, owner)


def axes_for(display: Display, ax: Any, size: Any = None) -> Any:
    """The axes given, or those of a new figure of this size in inches, as attributes."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise missing_package(type(display).__name__, "matplotlib", "plot") from error
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def panels_for(
    display: Display,
    ax: Any,
    size: tuple[float, float],
    title: str,
    n_rows: int,
    n_columns: int,
    **shared: Any,
) -> Array:
    """As `axes_for`, divided into a grid of `axes_`, (n_rows, n_columns), under one title.

    Where `ax` is an array, these are the panels.
    """
    if isinstance(ax, np.ndarray):
        if ax.size != n_rows * n_columns:
            raise ValueError(
                f"ax must be one matplotlib Axes or {n_rows * n_columns}; got {ax.size}."
            )
        display.axes_ = ax.reshape(n_rows, n_columns)
        axes_for(display, ax.flat[0])
        return display.axes_
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


def setting(name: str) -> Any:
    """One of matplotlib's settings, which a style sets."""
    settings: Any = import_module("matplotlib").rcParams
    return settings[name]


def look(i: int) -> dict[str, Any]:
    """Colour, of matplotlib's cycle, and marker of class number `i`: no pair comes up twice."""
    n_colors, n_markers = len(setting("axes.prop_cycle")), len(MARKERS)
    # Once all pairs of numbers that go on together are used, the markers move on by one.
    marker = MARKERS[(i + i // lcm(n_colors, n_markers)) % n_markers]
    return {"color": f"C{i}", "marker": marker}


def draw_cells(panel: Any, values: Array, most: float, cells: Array | None = None) -> Any:
    """Colours for values (n_rows, n_columns) up to `most`, with a text in each cell."""
    scale = {"vmin": -most, "vmax": most, "cmap": "PuOr_r"}
    picture = panel.imshow(np.minimum(values, most), aspect="auto", **scale)
    if cells is None:
        return picture
    for (i, j), text in np.ndenumerate(cells):
        color = "white" if abs(values[i, j]) > 0.6 * most else "black"
        style = {"fontsize": 7, "linespacing": 1.0, "ha": "center", "va": "center"}
        panel.text(j, i, text, color=None if np.isnan(values[i, j]) else color, **style)
    panel.set_xticks(np.arange(values.shape[1] + 1) - 0.5, minor=True)
    panel.set_yticks(np.arange(values.shape[0] + 1) - 0.5, minor=True)
    panel.grid(which="minor", color=GREY, lw=0.4)
    panel.tick_params(which="minor", length=0)
    return picture


def means_of(rows: Array) -> Array:
    """Means of the observed values of columns, (n_columns,); 0 where there are none."""
    return np.nansum(rows, axis=0) / np.maximum((~np.isnan(rows)).sum(axis=0), 1)


def spreads_of(rows: Array) -> Array:
    """Standard deviations of columns, (n_columns,); 1 of constant ones: their own units."""
    spread = np.sqrt(means_of(np.square(rows - means_of(rows))))
    return np.where(spread > 0, spread, 1)


def labels_of_columns(
    names: Any, rows: Any, n_columns: int, columns: str = "{} columns"
) -> list[str]:
    """Names as given, or those of a data frame, or x0, x1, ...; `columns` is for the error."""
    labels = column_names(rows, n_columns) if names is None else list(map(str, names))
    if len(labels) != n_columns:
        raise ValueError(
            f"feature_names must name {columns.format(n_columns)}; got {len(labels)} names."
        )
    return labels


def add_grid(panel: Any, alpha: float) -> None:
    """A pale grid, and axes at the left and the bottom only."""
    panel.grid(alpha=alpha)
    panel.spines[["top", "right"]].set_visible(False)


class Band(NamedTuple):
    """Images (n_images, height, width[, channels]) in a row of a mosaic, under one label."""

    label: str
    images: Array
    is_error: bool = False


def draw_mosaic(
    display: Display,
    ax: Any,
    bands: list[Band],
    limits: tuple[float, float],
    title: str,
    cmap: str = "gray",
    step_labels: list[str] | None = None,
) -> None:
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
        scale: dict[str, Any] = {"cmap": cmap, "vmin": low, "vmax": high}
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


def last_step(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The last step of a pipeline, of the best one of a search too, and the rows it gets."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not hasattr(estimator, "steps"):
        return estimator, X
    if X is not None and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    return estimator.steps[-1][1], X


def unwrap(estimator: Any, attribute: str) -> Any:
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


class Numbers(NamedTuple):
    """Rows as numbers, NaN where a value is missing, and the columns that are no numbers."""

    values: Array  # (n_samples, n_features, ...)
    # Texts, (n_samples,), of a column, by position, and whether they are categories, of which
    # the values are NaN; others are times.
    texts: dict[int, tuple[Array, bool]]

    @property
    def categories(self) -> list[int]:
        """Positions of the columns of categories."""
        return [j for j, (_, is_category) in self.texts.items() if is_category]

    def first(self, n_samples: int) -> "Numbers":
        """The first rows."""
        texts = {j: (column[:n_samples], kind) for j, (column, kind) in self.texts.items()}
        return Numbers(self.values[:n_samples], texts)

    def written(self, missing: str) -> Array:
        """Short texts of all values of a table, (n_samples, n_features)."""
        texts = [[f"{value:.3g}" for value in row] for row in self.values]
        cells = np.array(texts, dtype=object)
        cells[np.isnan(self.values)] = missing
        for j, (column, _) in self.texts.items():
            cells[:, j] = [text[:10] for text in column]
        return cells


def numeric(name: str, rows: Any, takes_texts: bool = False) -> Numbers:
    """Rows of two axes or more as numbers; with `takes_texts` tables may have other columns."""
    has_objects = isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind == "O"
    texts: dict[int, tuple[Array, bool]] = {}
    if is_frame(rows) or (has_objects and takes_texts):
        columns, others = [], []
        for j, data in enumerate(read_columns(rows)):
            values: Any = data.values
            is_category, present = data.family == "category", values[data.observed]
            are_flags = is_category and all(isinstance(value, bool) for value in present)
            if data.family != "number" and not are_flags:
                others.append(data.name)
                written = [str(v) for v in (values if is_category else data.times())]
                texts[j] = np.where(data.observed, written, MISSING), is_category
                # In microseconds, as in other tables of the same display.
                values = np.nan if is_category else in_microseconds(values, data.unit)
            columns.append(np.where(data.observed, values, np.nan).astype(np.float64))
        if others and not takes_texts:
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
    return Numbers(rows, texts)


def at_observed(values: Any, observed: Array) -> Array:
    """Numbers (n_observed,) where the mask (n_samples,) is True, NaN elsewhere."""
    result = np.full(len(observed), np.nan)
    result[observed] = values
    return result


def limits_of(*arrays: Array) -> tuple[float, float]:
    """Least and greatest of the finite values of arrays; 0 and 1 where there are none."""
    values = np.concatenate([np.ravel(array) for array in arrays])
    values = values[np.isfinite(values)]
    return (values.min(), values.max()) if len(values) else (0.0, 1.0)


def as_images(rows: Array, image_shape: tuple[int, ...] | None) -> Array:
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
