"""LatentSpaceDisplay: codes in the plane, coloured by labels, some of them missing."""

from collections import Counter
from dataclasses import KW_ONLY, dataclass
from datetime import date, timedelta
from decimal import Decimal
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skae.estimators._latent_paths import check_components
from skae.plotting._drawing import COLORS, MARKERS, MISSING, axes_for, spread
from skae.tables._objects import is_missing

# Points without a label lie below the others.
_MISSING = {"color": "0.85", "marker": "o", "zorder": 0.5, "label": MISSING}

# Whole numbers with more distinct values than this are measured, not classes.
_MOST_CLASSES = 20
# Of more classes than this the most frequent are drawn apart, and the others as one.
_MOST_SHOWN = 30

# Durations are measured in the largest unit that the longest has two of.
_UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


@dataclass(eq=False, repr=False)
class LatentSpaceDisplay:
    """Codes in the plane, coloured by y.

    Make it by `from_estimator` or `from_codes`.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        The codes, of two columns or more.

    y : array-like of shape (n_samples,), default=None
        What colours the points: classes (strings, categories, booleans, or up to 20
        different whole numbers) get a legend, other numbers, dates and durations a colour
        bar. Points whose label is missing (None, NaN, NaT, NA) are grey. Of more than 30
        classes, all but the 29 most frequent are drawn as one.

    components : (int, int) or "pca", default=(0, 1)
        The columns of the code to draw. "pca": the first two principal components of
        the codes, which show as much of their variance as a plane can.

    y_name : str, default=None
        Name of y, title of the legend or the colour bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Those drawn in.

    figure_ : matplotlib Figure
        The figure.

    scatters_ : list of matplotlib PathCollection
        The points: one collection for each class, or one for all, and one for those whose
        label is missing.

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
    y: ArrayLike | None = None
    _: KW_ONLY
    components: tuple[int, int] | str = (0, 1)
    y_name: str | None = None

    @classmethod
    def from_estimator(cls, estimator, X, y=None, **params):
        """Draw the codes of X, and return the display.

        Parameters
        ----------
        estimator : fitted transformer
            An autoencoder, PCA, or a Pipeline that ends in one.

        X : array-like of shape (n_samples, n_features)
            Rows.

        y, **params
            As in `from_codes`.
        """
        return cls.from_codes(estimator.transform(X), y, **params)

    @classmethod
    def from_codes(
        cls, codes, y=None, *, components=(0, 1), y_name=None, ax=None, **scatter_params
    ):
        """Draw codes that came from anywhere, and return the display.

        Parameters are those of the class and of `plot`.
        """
        return cls(codes, y, components=components, y_name=y_name).plot(ax, **scatter_params)

    def plot(self, ax=None, **scatter_params):
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        **scatter_params : dict
            For matplotlib's `scatter`.
        """
        points, labels = self._plane()
        y = None if self.y is None else _read_labels(self.y)
        check_consistent_length(points, None if y is None else y.observed)
        style = {"s": 18, "alpha": 0.7, "edgecolors": "0.2", "linewidths": 0.3}
        style |= scatter_params
        ax = axes_for(self, ax)
        self.scatters_, self.legend_, self.colorbar_ = [], None, None
        if y is None:
            self.scatters_.append(ax.scatter(*points.T, **{"color": COLORS[0], **style}))
        elif y.classes is None:
            self._draw_measured(points, y, style)
        else:
            for i, (label, rows) in enumerate(y.classes.items()):
                look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
                artist = ax.scatter(*points[rows].T, label=label, **{**look, **style})
                self.scatters_.append(artist)
        if y is not None:
            missing = points[~y.observed]
            if len(missing):
                self.scatters_.append(ax.scatter(*missing.T, **{**style, **_MISSING}))
            if y.classes is not None:
                self.legend_ = ax.legend(
                    title=self.y_name, loc="upper left", bbox_to_anchor=(1.01, 1),
                    frameon=False, ncols=-(-len(self.scatters_) // 16),
                )  # fmt: skip
            elif len(missing):
                self.legend_ = ax.legend(frameon=False)
            for handle in self.legend_.legend_handles if self.legend_ else ():
                handle.set(alpha=1, sizes=[36])
        ax.set(xlabel=labels[0], ylabel=labels[1], title="Codes in the plane")
        ax.grid(alpha=0.25)
        return self

    def _plane(self):
        """Two columns, (n_samples, 2), and their labels."""
        codes = check_array(self.codes, order="C", ensure_min_features=2, input_name="codes")
        if isinstance(self.components, str):
            if self.components != "pca":
                raise ValueError(
                    f"components must be two columns or 'pca'; got {self.components!r}."
                )
            if (codes == codes[0]).all():
                raise ValueError("components='pca' needs codes of two rows that differ.")
            pca = PCA(2, svd_solver="full").set_output(transform="default").fit(codes)
            labels = [
                f"Principal component {i + 1} of the code ({share:.0%} of its variance)"
                for i, share in enumerate(pca.explained_variance_ratio_)
            ]
            return pca.transform(codes), labels
        chosen = check_components(self.components, codes.shape[1], how_many=2)
        return codes[:, chosen], [f"Component {i} of the code" for i in chosen]

    def _draw_measured(self, points, y, style):
        """Draw points (n_samples, 2) by their values, and the colour bar."""
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        points, values = points[y.observed], y.values[y.observed]
        artist = self.ax_.scatter(*points.T, c=values, **{"cmap": "viridis", **style})
        label = (self.y_name or "y") + (f" ({y.unit})" if y.unit else "")
        self.colorbar_ = self.figure_.colorbar(artist, ax=self.ax_, label=label)
        self.colorbar_.solids.set(alpha=1)
        if y.are_dates:
            self.colorbar_.locator = locator = AutoDateLocator()
            self.colorbar_.formatter = ConciseDateFormatter(locator)
            self.colorbar_.update_ticks()
        self.scatters_.append(artist)


class _Labels(NamedTuple):
    """Labels of rows: classes, or measured values where `classes` is None."""

    # Which rows have a label, (n_samples,).
    observed: np.ndarray
    # The rows of each class by its name, each (n_samples,).
    classes: dict | None = None
    # Measured labels (n_samples,), NaN where missing; dates as matplotlib counts them.
    values: np.ndarray | None = None
    # Of durations, else empty.
    unit: str = ""
    are_dates: bool = False


def _read_labels(y):
    """Labels (n_samples,) of any library: None, NaN, NaT and NA are missing."""
    labels = _as_list(y)
    observed = np.array([not is_missing(label) for label in labels], dtype=bool)
    present = [label for label, is_present in zip(labels, observed, strict=True) if is_present]

    def are_all(*kinds):
        return all(isinstance(label, kinds) for label in present)

    if are_all(Real, Decimal) and not any(isinstance(v, bool | np.bool_) for v in present):
        numbers = np.array([float(label) for label in present])
        if np.isinf(numbers).any():
            raise ValueError("y must hold finite numbers; it has infinite ones.")
        distinct = np.unique(numbers)
        if len(distinct) > _MOST_CLASSES or (distinct != np.round(distinct)).any():
            return _Labels(observed, values=spread(numbers, observed))
    elif are_all(date):
        from matplotlib.dates import date2num

        days = spread([date2num(label) for label in present], observed)
        return _Labels(observed, values=days, are_dates=True)
    elif are_all(timedelta):
        seconds = spread([label.total_seconds() for label in present], observed)
        longest = np.nanmax(np.abs(seconds))
        unit = next((u for u, size in _UNITS.items() if longest >= 2 * size), "seconds")
        return _Labels(observed, values=seconds / _UNITS[unit], unit=unit)
    counts = Counter(present)
    # The order of a categorical dtype.
    order = getattr(getattr(y, "dtype", None), "categories", None)
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


def _as_list(y):
    """Labels as a list of Python's objects, of length n_samples."""
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(y, name) and getattr(y, "ndim", 1) == 1 and not isinstance(y, np.ndarray):
            return getattr(y, name)()
    y = column_or_1d(np.asarray(y))
    if y.dtype.kind in "mM":
        # In nanoseconds NumPy gives integers.
        y = y.astype(f"{y.dtype.kind}8[us]")
    return y.tolist()
