"""ReconstructionDisplay: images, series and tables beside their reconstructions."""

import numpy as np

from skae.plotting._drawing import (
    COLORS,
    GREY,
    Band,
    add_grid,
    as_images,
    axes_for,
    draw_mosaic,
    limits_of,
    mosaic_size,
    numeric,
    set_title,
    split,
)
from skae.tables._frames import is_frame
from skae.utils._arrays import column_names

# Panels of series in one line.
_MOST_ACROSS = 5
# More values than this in a table are not legible with numbers in them.
_MOST_NUMBERS = 120


class ReconstructionDisplay:
    """Rows, their reconstructions, and what lies between the two.

    Make it by `from_estimator` or `from_arrays`.

    Parameters
    ----------
    originals : array-like of shape (n_samples, n_features), (n_samples, height, width), \
            (n_samples, height, width, channels) or (n_samples, n_steps, n_features)
        The rows.

    reconstructions : dict of str to array-like of the shape of `originals`
        Reconstructions by the name of what made them.

    kind : {"auto", "image", "series", "table"}, default="auto"
        "image": originals over reconstructions over the absolute error of each pixel.
        "series": one panel for each row (and channel), reconstruction over original.
        "table": differences by row and column in standard deviations of the column over
        all originals. "auto": images where `image_shape` is given or the rows have
        more than one axis, and a table otherwise.

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

    def __init__(
        self,
        originals,
        reconstructions,
        *,
        kind="auto",
        image_shape=None,
        feature_names=None,
        n_samples=10,
    ):
        self.originals = originals
        self.reconstructions = reconstructions
        self.kind = kind
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.n_samples = n_samples

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_samples=10,
        kind="auto",
        image_shape=None,
        feature_names=None,
        name=None,
        errors=True,
        ax=None,
    ):
        """Reconstruct X and draw.

        Parameters
        ----------
        estimator : fitted estimator
            With `reconstruct`, or with `transform` and `inverse_transform`: an
            autoencoder, PCA, a Pipeline.

        X : array-like
            Rows, as the estimator takes them. All of them are reconstructed.

        n_samples, kind, image_shape, feature_names, errors, ax
            As in the class and in `plot`.

        name : str, default=None
            What to call the reconstructions. None: by the class of the estimator.

        Returns
        -------
        display : ReconstructionDisplay
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
            X,
            {name: np.asarray(rows)},
            n_samples=n_samples,
            kind=kind,
            image_shape=image_shape,
            feature_names=feature_names,
            errors=errors,
            ax=ax,
        )

    @classmethod
    def from_arrays(
        cls,
        originals,
        reconstructions,
        *,
        n_samples=10,
        kind="auto",
        image_shape=None,
        feature_names=None,
        errors=True,
        ax=None,
    ):
        """Draw reconstructions that came from anywhere, of several methods at once.

        Parameters
        ----------
        reconstructions : array-like, or dict of str to array-like
            As in the class; an array is one reconstruction without a name.

        originals, n_samples, kind, image_shape, feature_names, errors, ax
            As in the class and in `plot`.

        Returns
        -------
        display : ReconstructionDisplay
        """
        if not isinstance(reconstructions, dict):
            reconstructions = {"Reconstruction": reconstructions}
        display = cls(
            originals,
            reconstructions,
            n_samples=n_samples,
            kind=kind,
            image_shape=image_shape,
            feature_names=feature_names,
        )
        return display.plot(ax, errors=errors)

    def plot(self, ax=None, *, errors=True):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        errors : bool, default=True
            Whether images have error maps.

        Returns
        -------
        display : ReconstructionDisplay
        """
        originals, others = self._arrays()
        kind, allowed = self.kind, ("auto", *_KINDS)
        if kind not in allowed:
            raise ValueError(f"kind must be one of {allowed}; got {kind!r}.")
        if kind == "auto":
            is_image = self.image_shape is not None or originals.ndim > 2
            kind = "image" if is_image else "table"
        elif kind == "table" and originals.ndim > 2:
            raise ValueError(
                f"kind='table' needs rows of two axes; got shape {originals.shape}."
            )
        names = self.feature_names
        if names is None:
            frame = self.originals if is_frame(self.originals) else None
            names = column_names(frame, originals.shape[1])
        size, draw, title = _KINDS[kind](
            originals,
            others,
            n_shown=min(self.n_samples, len(originals)),
            image_shape=self.image_shape,
            feature_names=names,
            errors=errors,
        )
        ax = axes_for(type(self).__name__, ax, size)
        self.ax_, self.figure_ = ax, ax.figure
        self.axes_, self.colorbar_ = draw(ax)
        set_title(ax, title, self.axes_)
        return self

    def _arrays(self):
        if self.n_samples < 1:
            raise ValueError(f"n_samples must be at least 1; got {self.n_samples!r}.")
        originals = numeric("originals", self.originals)
        if not self.reconstructions:
            raise ValueError("reconstructions must hold at least one; got none.")
        others = {
            str(name): numeric(f"reconstructions[{name!r}]", rows)
            for name, rows in self.reconstructions.items()
        }
        for name, rows in others.items():
            if rows.shape != originals.shape:
                raise ValueError(
                    f"reconstructions must have the shape of the originals, "
                    f"{originals.shape}; {name!r} has {rows.shape}."
                )
        return originals, others


# Each kind returns the size of the figure in inches, a function that draws in axes and returns
# the axes drawn in and the colour bar, and the title.


def _images(originals, others, *, n_shown, image_shape, errors, **_):
    shown = as_images(originals[:n_shown], image_shape)
    bands = [Band("Original", shown)]
    for name, rows in others.items():
        other = as_images(rows[:n_shown], image_shape)
        bands.append(Band(name, other))
        if errors:
            error = np.abs(other - shown)
            error = error.mean(axis=-1) if error.ndim == 4 else error
            bands.append(Band("Error", error, is_error=True))

    def draw(ax):
        # The scale of the originals: a reconstruction beyond it is cut off, as on screen.
        draw_mosaic(ax, bands, limits_of(shown))
        colorbar = None
        if errors:
            label = "Absolute error (units of X)"
            colorbar = ax.figure.colorbar(ax.images[-n_shown], ax=ax, label=label, pad=0.02)
        return np.array([[ax]]), colorbar

    return mosaic_size(bands), draw, "Images and their reconstructions"


def _series(originals, others, *, n_shown, **_):
    if originals.ndim > 3:
        raise ValueError(
            f"series must be (steps,) or (steps, features); got {originals.shape[1:]}."
        )
    lines = [np.atleast_3d(rows[:n_shown]) for rows in (originals, *others.values())]
    n_channels = lines[0].shape[2]
    n_columns = n_shown if n_channels > 1 else min(n_shown, _MOST_ACROSS)
    n_rows = n_channels if n_channels > 1 else -(-n_shown // n_columns)
    # One line for each panel, channel by channel.
    lines = [line.transpose(2, 0, 1).reshape(-1, line.shape[1]) for line in lines]

    def draw(ax):
        axes = split(
            ax, n_rows, n_columns, sharex=True, sharey="row" if n_channels > 1 else True
        )
        for i, (name, rows) in enumerate(zip(["Original", *others], lines, strict=True)):
            color = COLORS[(i - 1) % len(COLORS)] if i else GREY
            for panel, line in zip(axes.flat, rows, strict=False):
                panel.plot(line, label=name, color=color, lw=1.5 if i else 2.5)
        for panel in axes.flat[: len(lines[0])]:
            add_grid(panel, alpha=0.25)
        for spare in axes.flat[len(lines[0]) :]:
            spare.set_axis_off()
        for i, panel in enumerate(axes[:, 0]):
            channel = f"Channel {i}" if n_channels > 1 else "Value"
            panel.set_ylabel(f"{channel}\n(units of X)")
        for i in range(n_columns):
            last = [panel for panel in axes[:, i] if panel.axison][-1]
            last.set_xlabel("Step")
            last.tick_params(labelbottom=True)
        axes[0, -1].legend(
            loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, borderaxespad=0
        )
        return axes, None

    size = max(1.8 * n_columns + 1.8, 6.4), 1.7 * n_rows + 1.2
    return size, draw, "Series and their reconstructions"


def _table(originals, others, *, n_shown, feature_names, **_):
    names = [str(name) for name in feature_names]
    if len(names) != originals.shape[1]:
        raise ValueError(
            f"feature_names must name {originals.shape[1]} columns; got {len(names)}."
        )
    observed = ~np.isnan(originals)
    n_observed = np.maximum(observed.sum(axis=0), 1)
    residuals = originals - np.nansum(originals, axis=0) / n_observed
    spread = np.sqrt(np.nansum(np.square(residuals), axis=0) / n_observed)
    # A constant column has no standard deviation to measure by: its own units are left.
    spread = np.where(spread > 0, spread, 1)
    shown = originals[:n_shown]
    differences = {name: (rows[:n_shown] - shown) / spread for name, rows in others.items()}
    most = max(np.abs(limits_of(*differences.values()))) or 1

    def draw(ax):
        axes = split(ax, 1, len(others), sharey=True)
        for panel, (name, values) in zip(axes[0], differences.items(), strict=True):
            picture = panel.imshow(values, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
            panel.set_xticks(
                range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor"
            )
            panel.set(xlabel=f"Column, by {name}", yticks=range(n_shown))
            if values.size <= _MOST_NUMBERS:
                _write_numbers(panel, shown, others[name], np.abs(values) > 0.6 * most)
        axes[0, 0].set_ylabel("Row")
        label = "Reconstruction minus original\n(standard deviations of the column)"
        return axes, ax.figure.colorbar(picture, ax=list(axes[0]), label=label, pad=0.02)

    width = 0.62 * len(names) * len(others) + 2.6
    title = "Table rows and their reconstructions"
    if originals.shape[1] * n_shown <= _MOST_NUMBERS:
        title += ": original, and below it what became of it"
    return (np.clip(width, 7.2, 16), 0.42 * n_shown + 2.0), draw, title


def _write_numbers(ax, originals, others, is_dark):
    """Write both values into each square."""
    for (i, j), value in np.ndenumerate(originals):
        ax.text(
            j, i, f"{value:.3g}\n{others[i, j]:.3g}", ha="center", va="center", fontsize=7,
            color="white" if is_dark[i, j] else "black", linespacing=1.0,
        )  # fmt: skip
    ax.set_xticks(np.arange(originals.shape[1] + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(originals) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=GREY, lw=0.4)
    ax.tick_params(which="minor", length=0)


_KINDS = {"image": _images, "series": _series, "table": _table}
