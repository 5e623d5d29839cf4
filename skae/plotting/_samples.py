"""SampleQualityDisplay: sampled rows beside real ones."""

from dataclasses import KW_ONLY, dataclass
from inspect import signature
from itertools import combinations
from typing import Any, Self

import numpy as np
from scipy.stats import ks_2samp

from skae.metrics import closest_distances
from skae.plotting._drawing import (
    GREY,
    MOST_NAMES,
    Array,
    Display,
    FromArrays,
    add_grid,
    labels_of_columns,
    look,
    means_of,
    numeric,
    panels_for,
)

# Categories of a column, the most frequent ones, whose correlations are drawn, and pairs.
_MOST_CATEGORIES, _MOST_PAIRS = 10, 5_000


@dataclass(eq=False, repr=False)
class SampleQualityDisplay(Display):
    """Sampled rows beside real ones: marginals, correlations, distances to training rows.

    Make it by `from_estimator` or `from_samples`.

    Parameters
    ----------
    X : data frame or array-like of shape (n_samples, n_features)
        Real rows, at best some that the models were not fitted on. Tables may have categories
        and dates.

    samples : data frame or array-like of shape (n_sampled, n_features), or dict of str to such
        Sampled rows by the name of what sampled them; without a dict they are of one model
        without a name.

    X_train : data frame or array-like of shape (n_train, n_features), default=None
        Rows that the models were fitted on: real rows too, as a reference. None: distances to
        them are not drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made, which are divided.

    axes_ : ndarray of matplotlib Axes
        Those drawn in. The first: the distance between the distributions of a column in
        sampled and in real rows, the Kolmogorov-Smirnov statistic of numbers and the total
        variation of categories. The second: correlations of pairs of columns, each of the ten
        most frequent categories on its own. The third, with `X_train`: share of the rows
        whose nearest training row is at most so far, in standard deviations of the columns.

    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skae.metrics.two_sample_score : How well a classifier distinguishes sampled and real rows.
    skae.metrics.closest_record_share : The third panel in one figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from skae.plotting import SampleQualityDisplay
    >>> X = load_iris().data
    >>> X_train, X_test = X[::2], X[1::2]
    >>> model = GaussianMixture(3, random_state=0).fit(X_train)
    >>> display = SampleQualityDisplay.from_estimator(
    ...     model, X_test, X_train=X_train
    ... )
    >>> display.axes_.shape
    (1, 3)
    """

    X: Any
    samples: Any
    _: KW_ONLY
    X_train: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.samples, dict):
            self.samples = {"Sampled rows": self.samples}

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        X_train: Any = None,
        n_samples: int | None = None,
        random_state: Any = None,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Sample rows, draw, and return the display.

        Parameters
        ----------
        estimator : fitted estimator
            With the method `sample`: a variational autoencoder, a Gaussian mixture, a kernel
            density.

        X, X_train, ax
            As in the class and in `plot`.

        n_samples : int, default=None
            Number of rows that are sampled. None: as many as `X` has.

        random_state : int, RandomState instance or None, default=None
            Seeds them, if `sample` has this parameter.

        name : str, default=None
            What to call the rows. None: the class of the estimator.
        """
        if not hasattr(estimator, "sample"):
            raise TypeError(
                f"estimator must have the method sample; {type(estimator).__name__} has none."
            )
        seeded = "random_state" in signature(estimator.sample).parameters
        seed = {"random_state": random_state} if seeded else {}
        rows = estimator.sample(len(X) if n_samples is None else n_samples, **seed)
        rows = rows[0] if isinstance(rows, tuple) else rows  # labels of components are second
        name = name or type(estimator).__name__
        return cls.from_samples(X, {name: rows}, X_train=X_train, ax=ax)

    from_samples = FromArrays(
        "Draw rows that were sampled by any models, and return the display."
    )

    def plot(self, ax: Any = None) -> Self:
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        """
        if not self.samples:
            raise ValueError("samples must hold rows of one model at least; got none.")
        tables = {f"samples[{name!r}]": rows for name, rows in self.samples.items()}
        labels = [str(name) for name in self.samples]
        has_train = self.X_train is not None
        if has_train:
            # First, so that sampled rows are drawn over them.
            tables, labels = {"X_train": self.X_train, **tables}, ["Training rows", *labels]
        real, *others = _columns_of({"X": self.X, **tables})
        n_columns, n_panels = len(real), 2 + has_train
        size = (4.3 * n_panels, np.clip(0.22 * min(n_columns, MOST_NAMES) + 1.6, 3.4, 8))
        title = "Sampled rows beside real ones"
        marginals, pairs, *near = panels_for(self, ax, size, title, 1, n_panels)[0]
        looks = [look(i) for i in range(len(self.samples))]
        features, pairs_of = _features(real)
        of_real = _correlations(real, features)[pairs_of]
        looks = [{"color": GREY, "marker": "o"}] * has_train + looks
        for table, label, style in zip(others, labels, looks, strict=True):
            dots = {"ls": "", "label": label, **style}
            larger = 3 if style["color"] == GREY else 0
            distances = [_distance(*both) for both in zip(real, table, strict=True)]
            marginals.plot(distances, range(n_columns), ms=5 + larger, **dots)
            of_table = _correlations(table, features)[pairs_of]
            pairs.plot(of_real, of_table, ms=3 + larger, alpha=0.7, **dots)
        step = -(-n_columns // MOST_NAMES)
        names = labels_of_columns(None, self.X, n_columns)
        marginals.set_yticks(range(0, n_columns, step), names[::step])
        columns = "Column" if step == 1 else f"{n_columns} columns, one of {step} named"
        marginals.set(ylabel=columns, xlabel="Distance of distributions from real rows'")
        marginals.set(xlim=(-0.02, None), ylim=(n_columns - 0.5, -0.5))
        pairs.axline((0, 0), slope=1, color=GREY, lw=1, zorder=0)
        pairs.set(xlabel="Correlation in real rows", ylabel="Correlation in others")
        if near:
            rows = {"X_train": self.X_train, "X": self.X, **tables}
            lines = [{"color": GREY, "lw": 2.5, "label": "Real rows"}]
            lines += [{"color": style["color"]} for style in looks[1:]]
            of_rows = closest_distances(list(rows), *rows.values())
            for line, values in zip(lines, of_rows, strict=True):
                share = np.arange(1, len(values) + 1) / len(values)
                near[0].plot(np.sort(values), share, **line)
            near[0].set(xlabel="Distance to the nearest training row", ylabel="Share of rows")
            near[0].legend(loc="lower right", frameon=False)
        for panel in self.axes_.flat:
            add_grid(panel, alpha=0.25)
        pairs.legend(loc="best", frameon=False)
        return self


def _columns_of(tables: dict[str, Any]) -> list[list[Array]]:
    """Columns, (n_samples,), of each table: numbers, or texts of categories."""
    columns: list[list[Array]] = []
    for name, rows in tables.items():
        numbers = numeric(name, rows, takes_texts=True)
        found = list(numbers.values.reshape(len(numbers.values), -1).T)
        for j in numbers.categories:
            found[j] = numbers.texts[j][0]
        columns.append(found)
        kinds, expected = ([c.dtype.kind == "f" for c in each] for each in (found, columns[0]))
        if kinds != expected:
            raise ValueError(
                f"{name} must have the columns of X, {len(expected)} of which "
                f"{sum(expected)} are numbers; it has {len(kinds)}, of which {sum(kinds)} are."
            )
    return columns


def _distance(first: Array, second: Array) -> float:
    """Distance of two distributions by their values: Kolmogorov-Smirnov or total variation."""
    if first.dtype.kind != "f":
        categories = np.union1d(first, second)[:, np.newaxis]
        shares = [(categories == values).mean(axis=1) for values in (first, second)]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    numbers: list[Any] = [values[~np.isnan(values)] for values in (first, second)]
    if not all(map(len, numbers)):
        return np.nan
    # Without the exact p-value, which would be slow.
    return float(ks_2samp(numbers[0], numbers[1], method="asymp").statistic)


def _features(columns: list[Array]) -> tuple[list[tuple[int, Any]], tuple[Array, Array]]:
    """Numbers, and categories, of columns, (n_samples,), and pairs of them to be correlated."""
    features: list[tuple[int, Any]] = []
    for j, values in enumerate(columns):
        if values.dtype.kind == "f":
            features.append((j, None))
            continue
        categories, counts = np.unique(values, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
        # One of two has all there is to know.
        features += [(j, category) for category in categories[order[len(order) == 2 :]]]
    both = combinations(range(len(features)), 2)
    pairs = [(a, b) for a, b in both if features[a][0] != features[b][0]]
    shown = np.array(pairs[:: -(-len(pairs) // _MOST_PAIRS) or 1], dtype=int).reshape(-1, 2)
    return features, (shown[:, 0], shown[:, 1])


def _correlations(columns: list[Array], features: list[tuple[int, Any]]) -> Array:
    """Correlations of features, (n_features, n_features), in columns, (n_samples,)."""
    values = []
    for j, category in features:
        column = columns[j] if category is None else (columns[j] == category).astype(float)
        values.append(np.where(np.isnan(column), 0.0, column - means_of(column)))
    with np.errstate(invalid="ignore", divide="ignore"):
        # NaN for constant columns.
        return np.atleast_2d(np.corrcoef(values))
