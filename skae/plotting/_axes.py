"""Axes and colours of the displays, colours that all readers can distinguish."""

import numpy as np

from skae.utils._calls import missing_package

# Okabe and Ito, "Color Universal Design", 2008; the yellow, pale on white, comes last.
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
# As many as make each pair of colour and marker come up once in 72 classes.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

GREY = "0.55"


def import_pyplot(caller):
    """matplotlib.pyplot, or an error with the command that installs it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise missing_package(caller, "matplotlib", "plot") from error
    return plt


def axes_for(caller, ax, size=None):
    """The axes given, or those of a new figure of this size in inches."""
    plt = import_pyplot(caller)
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def split(ax, n_rows, n_columns, **shared):
    """A grid of axes in the place of one, which keeps the title."""
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    if n_rows == n_columns == 1:
        return np.array([[ax]])
    if ax.get_subplotspec() is None:
        raise ValueError("ax must be one of plt.subplots or add_subplot to be divided.")
    ax.set_axis_off()
    grid = GridSpecFromSubplotSpec(n_rows, n_columns, ax.get_subplotspec())
    return grid.subplots(squeeze=False, **shared)


def set_title(ax, title, axes):
    """Title of the whole: above the axes, or above the figure that they fill."""
    if axes.size == 1:
        ax.set_title(title)
    elif ax.get_gridspec().get_geometry() == (1, 1):
        ax.figure.suptitle(title)
    else:
        # In a part of a larger figure. The layout makes room for titles of panels only, and
        # takes no notice of the width of those in the middle.
        top = np.atleast_2d(axes)[0]
        top[len(top) // 2].set_title(title)


def draw_lines(panels, lines, names):
    """Lines in a grid of panels: ``lines[i][j]`` is that of name i in panel j."""
    for panel, *values in zip(panels, *lines, strict=False):
        for i, (name, line) in enumerate(zip(names, values, strict=True)):
            color = COLORS[(i - 1) % len(COLORS)] if i else GREY
            panel.plot(line, label=name, color=color, lw=1.5 if i else 2.5)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
