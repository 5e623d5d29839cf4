"""LatentSpaceDisplay: codes coloured by labels, some of them missing."""

from collections import Counter
from dataclasses import KW_ONLY, dataclass
from datetime import date, timedelta
from decimal import Decimal
from importlib import import_module
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skae.estimators._latent_paths import check_components
from skae.plotting._drawing import (
    GREY,
    MISSING,
    Array,
    Display,
    FromArrays,
    add_grid,
    at_observed,
    look,
    panels_for,
    setting,
)
from skae.tables._objects import is_missing

# Points without a label lie below the others.
_MISSING = {"color": GREY, "alpha": 0.4, "marker": "o", "zorder": 0.5, "label": MISSING}

# Whole numbers with more distinct values than this are measured, not classes.
_MOST_CLASSES = 20
# Of more classes than this the most frequent are drawn apart, and the others as one.
_MOST_SHOWN = 30

# Durations are measured in the largest unit that the longest has two of.
_UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


@dataclass(eq=False, repr=False)
class LatentSpaceDisplay(Display):
    """Codes coloured by y: in the plane, along a line, or each component against each.

    Make it by `from_estimator` or `from_codes`.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        The codes.

    y : array-like of shape (n_samples,), default=None
        What colours the points: classes (strings, categories, booleans, or up to 20
        different whole numbers) get a legend, other numbers, dates and durations a colour
        bar. Points whose label is missing (None, NaN, NaT, NA) are grey. Of more than 30
        classes, all but the 29 most frequent are drawn as one.

    components : int, sequence of int or "pca", default=None
        The columns of the code to draw. Of one, the points lie along a line, spread by how many
        there are, with a line for each class; of three or more, each pair has a panel. None:
        the first two, or the only one. "pca": the first two principal components of the codes,
        which show as much of their variance as a plane can.

    y_name : str, default=None
        Name of y, title of the legend or the colour bar.

    name : str, default=None
        Name of the estimator, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made; divided where there are three components or more.

    axes_ : ndarray of matplotlib Axes
        Those drawn in.

    figure_ : matplotlib Figure
        The figure.

    scatters_ : list of matplotlib PathCollection
        The points of each panel: one collection for each class, or one for all, and one for
        those whose label is missing.

    legend_ : matplotlib Legend or None
        The legend, where y has classes or missing labels.

    colorbar_ : matplotlib Colorbar or None
        The colour bar, where y is measured.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import LatentSpaceDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> ae = AutoencoderTransformer(2, max_iter=5, tol=None, random_state=0).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(ae, X, y, y_name="digit")
    >>> len(display.scatters_)
    10
    """

    codes: ArrayLike
    y: Any = None
    _: KW_ONLY
    components: Any = None
    y_name: str | None = None
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        components: Any = None,
        y_name: str | None = None,
        name: str | None = None,
        ax: Any = None,
        **scatter_params: Any,
    ) -> Self:
        """Draw the codes of X, and return the display.

        Parameters
        ----------
        estimator : fitted transformer
            An autoencoder, PCA, or a Pipeline that ends in one.

        X : array-like of shape (n_samples, n_features)
            Rows.

        y, components, y_name, name, ax, **scatter_params
            As in the class and in `plot`.
        """
        return cls.from_codes(
            estimator.transform(X),
            y,
            components=components,
            y_name=y_name,
            name=name,
            ax=ax,
            **scatter_params,
        )

    from_codes = FromArrays("Draw codes that came from anywhere, and return the display.")

    def plot(self, ax: Any = None, **scatter_params: Any) -> Self:
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        **scatter_params : dict
            For matplotlib's `scatter`.
        """
        points, labels = self._points()
        y = _Labels(np.ones(len(points), bool)) if self.y is None else _read_labels(self.y)
        check_consistent_length(points, y.observed)
        if points.shape[1] == 1:
            points = np.column_stack([points, y.heights(points[:, 0])])
        n_pairs = points.shape[1] - 1
        style: dict[str, Any] = {"s": 18, "alpha": 0.7, "linewidths": 0.3}
        side = np.clip(11 / n_pairs, 2, 4.8) if n_pairs > 1 else 4.8
        size = (side * n_pairs + 1.6, side * n_pairs)
        title = f"Codes by {self.name}" if self.name else "Codes"
        shared = {"sharex": "col", "sharey": "row"}
        panels = panels_for(self, ax, size, title, n_pairs, n_pairs, **shared)
        style |= {"edgecolors": setting("axes.facecolor")} | scatter_params
        self.scatters_: list[Any] = []
        self.legend_ = self.colorbar_ = None
        for (i, j), panel in np.ndenumerate(panels):
            if j > i:
                panel.set_axis_off()
                continue
            self._draw(panel, points[:, [j, i + 1]], y, style)
            panel.set_xlabel(labels[j] if i == n_pairs - 1 else "")
            panel.set_ylabel(labels[i + 1] if j == 0 and len(labels) > 1 else "")
            add_grid(panel, alpha=0.25)
        if y.values is not None:
            label = (self.y_name or "y") + (f" ({y.unit})" if y.unit else "")
            axes = list(panels.flat)
            bar = self.colorbar_ = self.figure_.colorbar(
                self.scatters_[0], ax=axes, label=label
            )
            bar.solids.set(alpha=1)
            if y.are_dates:
                dates: Any = import_module("matplotlib.dates")
                bar.locator = locator = dates.AutoDateLocator()
                bar.formatter = dates.ConciseDateFormatter(locator)
                bar.update_ticks()
        names = list(y.lines)
        if len(labels) == 1:
            panels[0, 0].set_yticks(range(len(names)), names)
            panels[0, 0].set_ylabel(self.y_name if y.classes and self.y_name else "")
            panels[0, 0].tick_params(axis="y", length=0)
        elif y.classes is not None or MISSING in names:
            # Beside the points, which it would cover.
            place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1)}
            if n_pairs > 1:
                place = {"loc": "upper right"}
            elif self.colorbar_ is not None:
                place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
            handles, names = panels[0, 0].get_legend_handles_labels()
            self.legend_ = panels[0, -1].legend(
                handles, names, title=self.y_name if y.classes else None,
                frameon=False, ncols=-(-len(names) // 16), **place,
            )  # fmt: skip
            for handle in self.legend_.legend_handles:
                handle.set(alpha=1, sizes=[36])
        return self

    def _points(self) -> tuple[Array, list[str]]:
        """Columns of the code to draw, (n_samples, n_drawn), and their labels."""
        codes = check_array(self.codes, order="C", input_name="codes")
        if isinstance(self.components, str):
            if self.components != "pca":
                raise ValueError(
                    f"components must be columns of the code or 'pca'; got {self.components!r}."
                )
            if (codes == codes[0]).all():
                raise ValueError("components='pca' needs codes of two rows that differ.")
            n_components = min(2, codes.shape[1])
            pca = PCA(n_components, svd_solver="full").set_output(transform="default")
            labels = [
                f"Principal component {i + 1} of the code ({share:.0%} of its variance)"
                for i, share in enumerate(pca.fit(codes).explained_variance_ratio_)
            ]
            return pca.transform(codes), labels
        first = range(min(2, codes.shape[1]))
        chosen = first if self.components is None else self.components
        chosen = check_components(chosen, codes.shape[1])
        return codes[:, chosen], [f"Component {i} of the code" for i in chosen]

    def _draw(self, panel: Any, points: Array, y: "_Labels", style: dict[str, Any]) -> None:
        """Draw points (n_samples, 2) by their labels."""
        if y.values is not None:
            look_of = {"c": y.values[y.observed], "cmap": "viridis"}
            artists = [panel.scatter(*points[y.observed].T, **{**look_of, **style})]
        elif y.classes is None:
            artists = [panel.scatter(*points.T, **{"color": "C0", **style})]
        else:
            artists = [
                panel.scatter(*points[rows].T, label=label, **{**look(i), **style})
                for i, (label, rows) in enumerate(y.classes.items())
            ]
        missing = points[~y.observed]
        if len(missing):
            artists.append(panel.scatter(*missing.T, **{**style, **_MISSING}))
        self.scatters_ += artists


class _Labels(NamedTuple):
    """Labels of rows: classes, or measured values where `classes` is None, or neither."""

    # Which rows have a label, (n_samples,).
    observed: Array
    # The rows of each class by its name, each (n_samples,).
    classes: dict[str, Array] | None = None
    # Measured labels (n_samples,), NaN where missing; dates as matplotlib counts them.
    values: Array | None = None
    # Of durations, else empty.
    unit: str = ""
    are_dates: bool = False

    @property
    def lines(self) -> dict[str, Array]:
        """Rows of each line from bottom to top, where codes of one number are drawn."""
        classes = {"": self.observed} if self.classes is None else self.classes
        lines = {MISSING: ~self.observed, **dict(reversed(classes.items()))}
        return {name: rows for name, rows in lines.items() if rows.any()}

    def heights(self, code: Array) -> Array:
        """Heights (n_samples,) of codes in their lines, wider where there are more."""
        heights, rng = np.empty(len(code)), np.random.RandomState(0)
        for i, rows in enumerate(self.lines.values()):
            counts, edges = np.histogram(code[rows], bins=30)
            width = 0.4 * counts / counts.max()
            width = width[np.digitize(code[rows], edges[1:-1])]
            heights[rows] = i + width * rng.uniform(-1, 1, len(width))
        return heights


def _read_labels(y: Any) -> _Labels:
    """Labels (n_samples,) of any library: None, NaN, NaT and NA are missing."""
    labels = _as_list(y)
    observed = np.array([not is_missing(label) for label in labels], dtype=bool)
    present = [label for label, is_present in zip(labels, observed, strict=True) if is_present]

    def are_all(*kinds: type) -> bool:
        return all(isinstance(label, kinds) for label in present)

    if are_all(Real, Decimal) and not any(isinstance(v, bool | np.bool_) for v in present):
        numbers = np.array([float(label) for label in present])
        if np.isinf(numbers).any():
            raise ValueError("y must hold finite numbers; it has infinite ones.")
        distinct = np.unique(numbers)
        if len(distinct) > _MOST_CLASSES or (distinct != np.round(distinct)).any():
            return _Labels(observed, values=at_observed(numbers, observed))
    elif are_all(date):
        dates: Any = import_module("matplotlib.dates")
        days = at_observed([dates.date2num(label) for label in present], observed)
        return _Labels(observed, values=days, are_dates=True)
    elif are_all(timedelta):
        seconds = at_observed([label.total_seconds() for label in present], observed)
        longest = np.nanmax(np.abs(seconds))
        unit = next((u for u, size in _UNITS.items() if longest >= 2 * size), "seconds")
        return _Labels(observed, values=seconds / _UNITS[unit], unit=unit)
    counts = Counter(present)
    # The order of a categorical dtype.
    order: Any = getattr(getattr(y, "dtype", None), "categories", None)
    if not hasattr(order, "__len__"):
        try:
            order = sorted(counts)
        except TypeError:
            order = sorted(counts, key=lambda label: (type(label).__name__, str(label)))
    order = [label for label in order if label in counts]
    frequent = sorted(order, key=lambda label: -counts[label])
    if len(order) > _MOST_SHOWN:
        frequent = frequent[: _MOST_SHOWN - 1]
    names = {label: str(label) for label in order if label in frequent}
    others = f"{len(order) - len(names)} others"
    name_of_row = np.array([names.get(label, others) for label in labels], dtype=object)
    classes = {name: observed & (name_of_row == name) for name in [*names.values(), others]}
    return _Labels(observed, {name: rows for name, rows in classes.items() if rows.any()})


def _as_list(y: Any) -> list[Any]:
    """Labels as a list of Python's objects, of length n_samples."""
    for name in ("to_pylist", "tolist", "to_list"):
        if hasattr(y, name) and getattr(y, "ndim", 1) == 1 and not isinstance(y, np.ndarray):
            return getattr(y, name)()
    y = column_or_1d(np.asarray(y))
    if y.dtype.kind in "mM":
        # In nanoseconds NumPy gives integers.
        y = y.astype(f"{y.dtype.kind}8[us]")
    return y.tolist()
