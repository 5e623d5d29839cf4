"""Images, series and tables: how each kind of row is drawn beside its reconstruction.

Each takes the arrays, looks at them, and gives the size of the figure, a function that
draws in axes of it and returns the axes and the colour bar, and the title.
"""

import numpy as np

from skae.plotting._axes import GREY, draw_lines, split
from skae.plotting._mosaic import Band, draw_mosaic, mosaic_size
from skae.plotting._rows import as_images, as_series, limits_of
from skae.utils._arrays import column_names

# Panels of series in one line.
_MOST_ACROSS = 5
# More values than this in a table are not legible with numbers in them.
_MOST_NUMBERS = 120


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
        artists = draw_mosaic(
            ax, bands, cmap="gray", error_cmap="magma", limits=limits_of(shown)
        )
        colorbar = None
        if errors:
            colorbar = ax.figure.colorbar(
                artists[-1][0], ax=ax, label="Absolute error (units of X)", pad=0.02
            )
        return np.array([[ax]]), colorbar

    return mosaic_size(bands), draw, "Images and their reconstructions"


def _series(originals, others, *, n_shown, **_):
    lines = [as_series(rows[:n_shown]) for rows in (originals, *others.values())]
    n_channels = lines[0].shape[2]
    n_columns = n_shown if n_channels > 1 else min(n_shown, _MOST_ACROSS)
    n_rows = n_channels if n_channels > 1 else -(-n_shown // n_columns)
    # One line for each panel, channel by channel.
    lines = [line.transpose(2, 0, 1).reshape(-1, line.shape[1]) for line in lines]

    def draw(ax):
        axes = split(
            ax, n_rows, n_columns, sharex=True, sharey="row" if n_channels > 1 else True
        )
        draw_lines(axes.flat, lines, ["Original", *others])
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
    names = column_names(None, originals.shape[1])
    if feature_names is not None:
        names = [str(name) for name in feature_names]
    if len(names) != originals.shape[1]:
        raise ValueError(
            f"feature_names must name {originals.shape[1]} columns; got {len(names)}."
        )
    spread = _deviations(originals)
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


def _deviations(rows):
    """Standard deviation of each column, (n_features,), over the values that are there."""
    observed = ~np.isnan(rows)
    n_observed = np.maximum(observed.sum(axis=0), 1)
    residuals = rows - np.nansum(rows, axis=0) / n_observed
    return np.sqrt(np.nansum(np.square(residuals), axis=0) / n_observed)


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


KINDS = {"image": _images, "series": _series, "table": _table}
