"""ReconstructionDisplay: images, series and tables beside their reconstructions."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from skae.plotting._drawing import (
    GREY,
    MISSING,
    MOST_IN_ALL,
    MOST_NAMES,
    MOST_NUMBERS,
    Array,
    Band,
    Display,
    FromArrays,
    Numbers,
    add_grid,
    as_images,
    draw_cells,
    draw_mosaic,
    labels_of_columns,
    limits_of,
    numeric,
    panels_for,
    spreads_of,
)

# Panels of series in one line.
_MOST_ACROSS = 5


@dataclass(eq=False, repr=False)
class ReconstructionDisplay(Display):
    """Rows, their reconstructions, and what lies between the two.

    Make it by `from_estimator` or `from_arrays`.

    Parameters
    ----------
    originals : array-like of shape (n_samples, n_features), (n_samples, height, width), \
            (n_samples, height, width, channels) or (n_samples, n_steps, n_features)
        The rows.

    reconstructions : array-like of the shape of `originals`, or dict of str to such
        Reconstructions by the name of what made them; an array is one without a name.

    kind : {"auto", "image", "series", "table"}, default="auto"
        "image": originals over reconstructions over the absolute error of each pixel.
        "series": one panel for each row (and channel), reconstruction over original.
        "table": differences by row and column in standard deviations of the column over
        all originals; of categories in a data frame, those that are others. "auto": images
        where `image_shape` is given or the rows have more than one axis, and a table
        otherwise.

    image_shape : tuple of int, default=None
        (height, width) or (height, width, channels) of the image in each row.

    feature_names : list of str, default=None
        Names of the columns of a table. None: those of a data frame, else x0, x1 and so on.

    n_samples : int, default=10
        How many rows are drawn: the first.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made; divided where several panels are needed.

    axes_ : ndarray of matplotlib Axes
        Those drawn in.

    figure_ : matplotlib Figure
        The figure.

    colorbar_ : matplotlib Colorbar or None
        Scale of the errors or differences; None for series.

    See Also
    --------
    skae.metrics.reconstruction_score : The same in one figure.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.plotting import ReconstructionDisplay
    >>> X = load_digits().data
    >>> pca = PCA(8).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(pca, X, image_shape=(8, 8))
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['Original', 'PCA', 'Error']
    """

    originals: Any
    reconstructions: Any
    _: KW_ONLY
    kind: str = "auto"
    image_shape: tuple[int, ...] | None = None
    feature_names: list[str] | None = None
    n_samples: int = 10

    def __post_init__(self) -> None:
        if not isinstance(self.reconstructions, dict):
            self.reconstructions = {"Reconstruction": self.reconstructions}

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        kind: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        feature_names: list[str] | None = None,
        n_samples: int = 10,
        errors: bool = True,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Reconstruct X, draw, and return the display.

        Parameters
        ----------
        estimator : fitted estimator
            With `reconstruct`, or with `transform` and `inverse_transform`: an
            autoencoder, PCA, a Pipeline.

        X : array-like
            Rows, as the estimator takes them. All of them are reconstructed.

        kind, image_shape, feature_names, n_samples, errors, ax
            As in the class and in `plot`.

        name : str, default=None
            What to call the reconstructions. None: by the class of the estimator.
        """
        if hasattr(estimator, "reconstruct"):
            rows = estimator.reconstruct(X)
        elif hasattr(estimator, "inverse_transform"):
            rows = estimator.inverse_transform(estimator.transform(X))
        else:
            raise TypeError(
                "estimator must have the method reconstruct, or transform and "
                f"inverse_transform; {type(estimator).__name__} has neither."
            )
        steps = getattr(estimator, "steps", None)
        name = name or type(steps[-1][1] if steps else estimator).__name__
        return cls.from_arrays(
            X, {name: rows}, kind=kind, image_shape=image_shape, feature_names=feature_names,
            n_samples=n_samples, errors=errors, ax=ax,
        )  # fmt: skip

    from_arrays = FromArrays("Draw reconstructions by any methods, and return the display.")

    def plot(self, ax: Any = None, *, errors: bool = True) -> Self:
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        errors : bool, default=True
            Whether images have error maps.
        """
        if self.n_samples < 1:
            raise ValueError(f"n_samples must be at least 1; got {self.n_samples!r}.")
        can_be_table = self.kind in ("auto", "table") and self.image_shape is None
        originals = numeric("originals", self.originals, can_be_table)
        if not self.reconstructions:
            raise ValueError("reconstructions must hold at least one; got none.")
        shape, others = originals.values.shape, {}
        for name, rows in self.reconstructions.items():
            other = numeric(f"reconstructions[{name!r}]", rows, can_be_table)
            if other.values.shape != shape:
                raise ValueError(
                    f"reconstructions must have the shape of the originals, {shape}; "
                    f"{str(name)!r} has {other.values.shape}."
                )
            if other.texts.keys() != originals.texts.keys():
                raise ValueError(
                    f"reconstructions must have columns of the types of the originals; "
                    f"those of {str(name)!r} differ."
                )
            others[str(name)] = other.first(self.n_samples)
        kind, allowed = self.kind, ("auto", "image", "series", "table")
        if kind not in allowed:
            raise ValueError(f"kind must be one of {allowed}; got {kind!r}.")
        if kind == "auto":
            is_image = self.image_shape is not None or len(shape) > 2
            kind = "image" if is_image else "table"
        if kind == "table":
            self._draw_table(ax, originals, others)
            return self
        shown = originals.values[: self.n_samples]
        arrays = {name: other.values for name, other in others.items()}
        if kind == "image":
            self._draw_images(ax, shown, arrays, errors)
        else:
            self._draw_series(ax, shown, arrays)
        return self

    def _draw_images(
        self, ax: Any, shown: Array, others: dict[str, Array], errors: bool
    ) -> None:
        """Draw images (n_shown, ...) over reconstructions of that shape and their errors."""
        shown = as_images(shown, self.image_shape)
        bands = [Band("Original", shown)]
        for name, rows in others.items():
            other = as_images(rows, self.image_shape)
            bands.append(Band(name, other))
            if errors:
                error = np.abs(other - shown)
                error = error.mean(axis=-1) if error.ndim == 4 else error
                bands.append(Band("Error", error, is_error=True))
        # The scale of the originals: a reconstruction beyond it is cut off, as on screen.
        draw_mosaic(self, ax, bands, limits_of(shown), "Images and their reconstructions")
        self.colorbar_ = None
        if errors:
            label, picture = "Absolute error (units of X)", self.ax_.images[-len(shown)]
            self.colorbar_ = self.figure_.colorbar(picture, ax=self.ax_, label=label, pad=0.02)

    def _draw_series(self, ax: Any, shown: Array, others: dict[str, Array]) -> None:
        """Draw reconstructions over series (n_shown, n_steps[, n_channels])."""
        if shown.ndim > 3:
            raise ValueError(
                f"series must be (steps,) or (steps, features); got {shown.shape[1:]}."
            )
        lines = [np.atleast_3d(rows) for rows in (shown, *others.values())]
        n_columns, n_steps, n_rows = lines[0].shape
        has_channels = n_rows > 1
        if not has_channels:
            n_columns = min(n_columns, _MOST_ACROSS)
            n_rows = -(-len(shown) // n_columns)
        # One line for each panel, channel by channel.
        lines = [line.transpose(2, 0, 1).reshape(-1, n_steps) for line in lines]
        title = "Series and their reconstructions"
        size = (max(1.8 * n_columns + 1.8, 6.4), 1.7 * n_rows + 1.2)
        shared = {"sharex": True, "sharey": "row" if has_channels else True}
        axes = panels_for(self, ax, size, title, n_rows, n_columns, **shared)
        for i, (name, rows) in enumerate(zip(["Original", *others], lines, strict=True)):
            color = f"C{i - 1}" if i else GREY
            for panel, line in zip(axes.flat, rows, strict=False):
                panel.plot(line, label=name, color=color, lw=1.5 if i else 2.5)
        for panel in axes.flat[: len(lines[0])]:
            add_grid(panel, alpha=0.25)
        for spare in axes.flat[len(lines[0]) :]:
            spare.set_axis_off()
        for i, panel in enumerate(axes[:, 0]):
            channel = f"Channel {i}" if has_channels else "Value"
            panel.set_ylabel(f"{channel}\n(units of X)")
        for column in axes.T:
            last = [panel for panel in column if panel.axison][-1]
            last.set_xlabel("Step")
            last.tick_params(labelbottom=True)
        axes[0, -1].legend(
            loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, borderaxespad=0
        )
        self.colorbar_ = None

    def _draw_table(self, ax: Any, table: Numbers, others: dict[str, Numbers]) -> None:
        """Draw differences of the first rows of a table (n_samples, n_features)."""
        spread, shape = spreads_of(table.values), table.values.shape
        if len(shape) > 2:
            raise ValueError(f"kind='table' needs rows of two axes; got shape {shape}.")
        n_columns, first = shape[1], table.first(self.n_samples)
        names = labels_of_columns(self.feature_names, self.originals, n_columns)
        shown = first.values
        differences = {name: (other.values - shown) / spread for name, other in others.items()}
        for name, values in differences.items():
            for j in table.categories:
                given, other = first.texts[j][0], others[name].texts[j][0]
                values[given == other, j], values[given != other, j] = 0, np.inf
                values[given == MISSING, j] = np.nan
        most = max(np.abs(limits_of(*differences.values()))) or 1
        title, has_numbers = "Table rows and their reconstructions", shown.size <= MOST_NUMBERS
        if has_numbers:
            title = "Table rows, each over its reconstruction"
        step = -(-n_columns * len(others) // (MOST_NAMES if len(others) == 1 else MOST_IN_ALL))
        columns = "Column" if step == 1 else f"{n_columns} columns, one of {step} named"
        width = np.clip(0.62 * n_columns * len(others) + 2.6, 7.2, 16)
        size = (width, 0.42 * len(shown) + 2.0)
        axes = panels_for(self, ax, size, title, 1, len(others), sharey=True)
        for panel, (name, values) in zip(axes[0], differences.items(), strict=True):
            cells = None
            if has_numbers:
                cells = first.written("nan") + "\n" + others[name].written("nan")
            picture = draw_cells(panel, values, most, cells)
            slanted = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
            panel.set_xticks(range(0, n_columns, step), names[::step], **slanted)
            panel.set(xlabel=f"{columns}, by {name}", yticks=range(len(shown)))
        axes[0, 0].set_ylabel("Row")
        label = "Reconstruction minus original\n(standard deviations of the column)"
        if table.categories:
            label += "\nor the largest, of another category"
        self.colorbar_ = self.figure_.colorbar(picture, ax=list(axes[0]), label=label, pad=0.02)
