"""LatentSpaceDisplay."""

from sklearn.decomposition import PCA
from sklearn.utils import check_array, check_consistent_length

from skae.estimators._latent_paths import check_components
from skae.plotting._axes import COLORS, MARKERS, axes_for
from skae.plotting._labels import read_labels

# Points without a label lie below the others.
_MISSING = {"color": "0.85", "marker": "o", "zorder": 0.5, "label": "missing"}


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

    def __init__(self, codes, y=None, *, components=(0, 1), y_name=None):
        self.codes = codes
        self.y = y
        self.components = components
        self.y_name = y_name

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, components=(0, 1), y_name=None, ax=None, **scatter_params
    ):
        """Draw the codes of X.

        Parameters
        ----------
        estimator : fitted transformer
            An autoencoder, PCA, or a Pipeline that ends in one.

        X : array-like of shape (n_samples, n_features)
            Rows.

        y, components, y_name
            As in the class.

        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        **scatter_params : dict
            For matplotlib's `scatter`.

        Returns
        -------
        LatentSpaceDisplay
            The display.
        """
        codes = estimator.transform(X)
        return cls.from_codes(
            codes, y, components=components, y_name=y_name, ax=ax, **scatter_params
        )

    @classmethod
    def from_codes(
        cls, codes, y=None, *, components=(0, 1), y_name=None, ax=None, **scatter_params
    ):
        """Draw codes that came from anywhere.

        Parameters
        ----------
        codes, y, components, y_name
            As in the class.

        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        **scatter_params : dict
            For matplotlib's `scatter`.

        Returns
        -------
        LatentSpaceDisplay
            The display.
        """
        display = cls(codes, y, components=components, y_name=y_name)
        return display.plot(ax, **scatter_params)

    def plot(self, ax=None, **scatter_params):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        **scatter_params : dict
            For matplotlib's `scatter`.

        Returns
        -------
        LatentSpaceDisplay
            The display, with its attributes ending in an underscore.
        """
        points, labels = self._plane()
        y = None if self.y is None else read_labels(self.y)
        check_consistent_length(points, None if y is None else y.observed)
        style = {
            "s": 18,
            "alpha": 0.7,
            "edgecolors": "0.2",
            "linewidths": 0.3,
            **scatter_params,
        }
        ax = axes_for(type(self).__name__, ax)
        self.ax_, self.figure_ = ax, ax.figure
        self.legend_ = self.colorbar_ = None
        if y is None:
            self.scatters_ = [ax.scatter(*points.T, **{"color": COLORS[0], **style})]
        else:
            draw = self._draw_measured if y.classes is None else self._draw_classes
            self.scatters_ = draw(ax, points, y, style)
            if not y.observed.all():
                missing = points[~y.observed]
                self.scatters_.append(ax.scatter(*missing.T, **{**style, **_MISSING}))
            self._draw_legend(ax, y)
        ax.set(xlabel=labels[0], ylabel=labels[1], title="Codes in the plane")
        ax.grid(alpha=0.25)
        return self

    def _plane(self):
        """Two columns and what to call them."""
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

    def _draw_classes(self, ax, points, y, style):
        scatters = []
        for i, (label, rows) in enumerate(y.classes.items()):
            look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
            scatters.append(ax.scatter(*points[rows].T, label=label, **{**look, **style}))
        return scatters

    def _draw_measured(self, ax, points, y, style):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        values = y.values[y.observed]
        artist = ax.scatter(*points[y.observed].T, c=values, **{"cmap": "viridis", **style})
        label = (self.y_name or "y") + (f" ({y.unit})" if y.unit else "")
        self.colorbar_ = ax.figure.colorbar(artist, ax=ax, label=label)
        self.colorbar_.solids.set(alpha=1)
        if y.are_dates:
            locator = AutoDateLocator()
            self.colorbar_.locator = locator
            self.colorbar_.formatter = ConciseDateFormatter(locator)
            self.colorbar_.update_ticks()
        return [artist]

    def _draw_legend(self, ax, y):
        if y.classes is None:
            if y.observed.all():
                return
            self.legend_ = ax.legend(frameon=False)
        else:
            self.legend_ = ax.legend(
                title=self.y_name, loc="upper left", bbox_to_anchor=(1.01, 1),
                frameon=False, ncols=-(-len(self.scatters_) // 16),
            )  # fmt: skip
        for handle in self.legend_.legend_handles:
            handle.set(alpha=1, sizes=[36])
