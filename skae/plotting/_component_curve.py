"""ComponentCurveDisplay."""

import numpy as np

from skae.metrics import reconstruction_score, variance_explained
from skae.plotting._axes import COLORS, GREY, axes_for, set_title
from skae.plotting._rows import unwrap


class ComponentCurveDisplay:
    """Share of variance explained by the first columns of an ordered code, beside PCA's.

    Make it by `from_estimator` or `from_curves`.

    Parameters
    ----------
    explained : array-like of shape (n_components,)
        What the first column explains, the first two, and so on.

    pca : array-like of shape (n_components,), default=None
        The same of principal components.

    share : float, default=None
        A share of variance to reach: the least size that does is marked.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn in.

    figure_ : matplotlib Figure
        The figure.

    lines_ : list of matplotlib Line2D
        The network's curve and, where there is one, PCA's.

    n_components_ : int or None
        The least size that reaches `share`; None where there is none.

    See Also
    --------
    skae.AutoencoderTransformer : With ``ordered=True`` it makes such codes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import ComponentCurveDisplay
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(8, ordered=True, max_iter=5, tol=None, random_state=0)
    >>> ae = ae.fit(X)
    >>> display = ComponentCurveDisplay.from_estimator(ae)
    >>> display.ax_.get_xlabel()
    'Columns of the code'
    """

    def __init__(self, explained, pca=None, *, share=None):
        self.explained = explained
        self.pca = pca
        self.share = share

    @classmethod
    def from_estimator(cls, estimator, X=None, *, pca=None, share=None, ax=None):
        """Draw what the columns of a fitted estimator explain.

        Parameters
        ----------
        estimator : AutoencoderTransformer
            Fitted with ``ordered=True``; or, without `X`, a Pipeline or search around one.

        X : data frame or array-like of shape (n_samples, n_features), default=None
            Rows to score by. None: those held out in `fit`, as in `variance_explained_`,
            beside `pca_variance_explained_`.

        pca : sklearn.decomposition.PCA, default=None
            Fitted on the same training rows, to be scored on `X` too.

        share : float, default=None
            A share of variance to reach: the least size that does is marked.

        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        Returns
        -------
        ComponentCurveDisplay
            The display.
        """
        if X is None:
            if pca is not None:
                raise ValueError("pca is scored on X: give X too, or neither.")
            estimator = unwrap(estimator, "variance_explained_")
            curves = estimator.variance_explained_, estimator.pca_variance_explained_
        else:
            if not hasattr(estimator, "variance_explained_"):
                raise TypeError(
                    "estimator must be an AutoencoderTransformer fitted with ordered=True; "
                    f"got {estimator!r}."
                )
            sizes = range(1, estimator.n_components_ + 1)
            explained = [reconstruction_score(estimator.truncated(k), X) for k in sizes]
            curves = explained, None if pca is None else _curve_of_pca(pca, X)[: len(sizes)]
        return cls.from_curves(*curves, share=share, ax=ax)

    @classmethod
    def from_curves(cls, explained, pca=None, *, share=None, ax=None):
        """Draw curves that came from anywhere.

        Parameters
        ----------
        explained, pca, share
            As in the class.

        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        Returns
        -------
        ComponentCurveDisplay
            The display.
        """
        return cls(explained, pca, share=share).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        Returns
        -------
        ComponentCurveDisplay
            The display, with its attributes ending in an underscore.
        """
        self.ax_ = ax = axes_for(type(self).__name__, ax, (6.4, 4.2))
        self.figure_ = ax.figure
        self.lines_ = _line(ax, self.explained, COLORS[0], "Network")
        if self.pca is not None:
            self.lines_ += _line(ax, self.pca, COLORS[1], "PCA")
        self.n_components_ = None
        if self.share is not None:
            self._mark_share(ax)
        ax.set_xlabel("Columns of the code")
        ax.set_ylabel("Share of variance explained")
        ax.set_ylim(top=1)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="lower right")
        set_title(ax, "What the first columns explain", np.array([ax]))
        return self

    def _mark_share(self, ax):
        ax.axhline(self.share, color=GREY, ls=":", lw=1, zorder=1)
        explained = np.asarray(self.explained)
        enough = np.flatnonzero(explained >= self.share)
        if not len(enough):
            return
        self.n_components_ = size = int(enough[0]) + 1
        ax.plot(
            size, explained[size - 1], "*", ms=13, color="black", mec="white", zorder=4,
            ls="none", label=f"{self.share:.0%} by {size} columns",
        )  # fmt: skip


def _line(ax, curve, color, label):
    curve = np.asarray(curve, dtype=np.float64)
    marker = "." if len(curve) <= 40 else None
    sizes = np.arange(1, len(curve) + 1)
    return ax.plot(sizes, curve, color=color, label=label, marker=marker)


def _curve_of_pca(pca, X):
    """Share of variance that the first principal components explain, (n_components,)."""
    code = np.ascontiguousarray(pca.transform(X))
    sizes = range(1, code.shape[1] + 1)
    truncated = (np.where(np.arange(code.shape[1]) < k, code, 0) for k in sizes)
    return [variance_explained(X, pca.inverse_transform(columns)) for columns in truncated]
