"""Many images in one pair of axes: bands of them, one under the other."""

from typing import NamedTuple

import numpy as np

from skae.plotting._rows import limits_of

# Between two images, as a share of their height.
_GAP = 0.08


class Band(NamedTuple):
    """A row of images under one label; of errors, if `is_error`."""

    label: str
    images: np.ndarray
    is_error: bool = False


def mosaic_size(bands):
    """Width and height in inches at which the images are legible."""
    height, width = bands[0].images.shape[1:3]
    columns = max(len(band.images) for band in bands)
    longest = max(len(line) for band in bands for line in band.label.split("\n"))
    side = np.clip(11 / columns, 0.55, 1.1)
    return (
        side * columns + 0.09 * longest + (1.3 if any(b.is_error for b in bands) else 0.3),
        max(side * len(bands) * min(height / width, 3) + 0.8, 1.9),
    )


def draw_mosaic(ax, bands, *, cmap, error_cmap, limits=None):
    """Draw the bands; returns the image artists, band by band.

    Values share one scale, and errors another that starts at zero.
    """
    height, width = bands[0].images.shape[1:3]
    gap = _GAP * height
    low, high = limits or limits_of(*(band.images for band in bands if not band.is_error))
    errors = [band.images for band in bands if band.is_error]
    most = (limits_of(*errors)[1] if errors else 0) or 1.0
    artists = []
    for i, band in enumerate(bands):
        scale = (
            {"cmap": error_cmap, "vmin": 0, "vmax": most}
            if band.is_error
            else {"cmap": cmap, "vmin": low, "vmax": high}
        )
        top = i * (height + gap)
        artists.append([])
        for j, image in enumerate(band.images):
            if image.ndim == 3:
                image = np.clip((image - low) / ((high - low) or 1), 0, 1)
            left = j * (width + gap)
            extent = (left, left + width, top + height, top)
            artists[-1].append(ax.imshow(image, extent=extent, **scale))
    columns = max(len(band.images) for band in bands)
    ax.set(
        xlim=(-gap, columns * (width + gap)),
        ylim=(len(bands) * (height + gap), -gap),
        xticks=[],
        yticks=[i * (height + gap) + height / 2 for i in range(len(bands))],
        yticklabels=[band.label for band in bands],
        aspect="equal",
    )
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return artists


def label_columns(ax, images, labels):
    """Labels above the columns of a mosaic."""
    height, width = images.shape[1:3]
    centres = [j * (width + _GAP * height) + width / 2 for j in range(len(labels))]
    ax.set_xticks(centres, labels)
    ax.tick_params(axis="x", top=False, labeltop=False, labelbottom=True, length=0)
