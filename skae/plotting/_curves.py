"""LossCurveDisplay and ComponentCurveDisplay."""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import ArrayLike

from skae.metrics import reconstruction_score, variance_explained
from skae.plotting._drawing import COLORS, GREY, add_grid, axes_for, panels_for, unwrap

_LOSS_NAMES = {
    "squared_error": "Squared error (squared units of X)",
    "absolute_error": "Absolute error (units of X)",
    "huber": "Huber loss (squared units of X)",
    "binary_crossentropy": "Binary cross-entropy (nats a column)",
    "cosine": "1 - cosine",
    "ssim": "1 - structural similarity",
}


@dataclass(eq=False, repr=False)
class LossCurveDisplay:
    """Training and validation loss by epoch.

    Make it by `from_estimator` or `from_curves`.

    Parameters
    ----------
    training : array-like of shape (n_epochs,)
        Loss on the training rows in each epoch.

    validation : array-like of shape (n_epochs,), default=None
        Loss on the rows held out.

    start_loss : float, default=None
        Loss on the rows held out before the first epoch, drawn as that of epoch 0.

    best : tuple of (int, float), default=None
        The epoch that was kept and its loss.

    parts : dict of str to array-like of shape (n_epochs,), default=None
        Parts of the training loss, each drawn in a panel of its own.

    loss_name : str, default="Loss"
        What the loss is, and its unit.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made; divided where there are parts.

    axes_ : ndarray of matplotlib Axes
        Those drawn in: the loss, then its parts.

    figure_ : matplotlib Figure
        The figure.

    lines_ : list of matplotlib Line2D
        Training loss, validation loss where there is one, and the parts.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores by number of rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import LossCurveDisplay
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(8, max_iter=5, tol=None, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(ae)
    >>> display.ax_.get_xlabel()
    'Epoch'
    """

    training: ArrayLike
    validation: ArrayLike | None = None
    _: KW_ONLY
    start_loss: float | None = None
    best: tuple[int, float] | None = None
    parts: dict[str, ArrayLike] | None = None
    loss_name: str = "Loss"

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, log_scale=False):
        """Draw the losses that a fitted estimator has kept, and return the display.

        Parameters
        ----------
        estimator : fitted estimator
            With `loss_curve_`; or a Pipeline or search around one.

        ax, log_scale
            As in `plot`.
        """
        estimator = unwrap(estimator, "loss_curve_")
        best = getattr(estimator, "best_iter_", None), getattr(estimator, "best_loss_", None)
        # Of a warm start, the start loss may be that of a later epoch.
        continues_training = getattr(estimator, "warm_start", False)
        return cls.from_curves(
            estimator.loss_curve_,
            getattr(estimator, "validation_loss_curve_", None),
            start_loss=None if continues_training else getattr(estimator, "start_loss_", None),
            best=None if None in best else best,
            parts=getattr(estimator, "loss_parts_", None),
            loss_name=_LOSS_NAMES.get(str(getattr(estimator, "loss", "")), "Loss"),
            ax=ax,
            log_scale=log_scale,
        )

    @classmethod
    def from_curves(cls, training, validation=None, *, ax=None, log_scale=False, **params):
        """Draw losses that came from anywhere, and return the display.

        Parameters are those of the class and of `plot`.
        """
        return cls(training, validation, **params).plot(ax, log_scale=log_scale)

    def plot(self, ax=None, *, log_scale=False):
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        log_scale : bool, default=False
            Whether the axis of the loss is logarithmic.
        """
        parts = self.parts or {}
        size = (4 * (1 + len(parts)), 3.8) if parts else (6.4, 4.2)
        (self.axes_,) = panels_for(self, ax, size, "Loss by epoch", 1, 1 + len(parts))
        first, *others = self.axes_
        self.lines_ = _line(first, self.training, COLORS[0], "Training")
        if self.validation is not None:
            has_start = self.start_loss is not None and np.isfinite(self.start_loss)
            start = [self.start_loss] if has_start else []
            curve = [*start, *self.validation]
            self.lines_ += _line(first, curve, COLORS[1], "Validation", 1 - len(start))
        if self.best is not None and np.isfinite(self.best[1]):
            epoch, loss = self.best
            first.axvline(epoch, color=GREY, ls=":", lw=1, zorder=1)
            _mark(first, epoch, loss, f"Kept: epoch {epoch}, {loss:.4g}")
        first.set_ylabel(self.loss_name)
        first.legend()
        # The first two colours mean training and validation.
        for i, (panel, (name, part)) in enumerate(zip(others, parts.items(), strict=True)):
            self.lines_ += _line(panel, part, COLORS[2 + i % 6], name)
            panel.set_ylabel(f"Part: {name}")
        for panel in self.axes_:
            panel.set_xlabel("Epoch")
            panel.set_yscale("log" if log_scale else "linear")
            panel.xaxis.get_major_locator().set_params(integer=True)
            add_grid(panel, alpha=0.3)
        return self


@dataclass(eq=False, repr=False)
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
    >>> ae = AutoencoderTransformer(8, ordered=True, max_iter=5, tol=None).fit(X)
    >>> display = ComponentCurveDisplay.from_estimator(ae)
    >>> display.ax_.get_xlabel()
    'Columns of the code'
    """

    explained: ArrayLike
    pca: ArrayLike | None = None
    _: KW_ONLY
    share: float | None = None

    @classmethod
    def from_estimator(cls, estimator, X=None, *, pca=None, share=None, ax=None):
        """Draw what the columns of a fitted estimator explain, and return the display.

        Parameters
        ----------
        estimator : AutoencoderTransformer
            Fitted with ``ordered=True``; or, without `X`, a Pipeline or search around one.

        X : data frame or array-like of shape (n_samples, n_features), default=None
            Rows to score by. None: those held out in `fit`, as in `variance_explained_`,
            beside `pca_variance_explained_`.

        pca : sklearn.decomposition.PCA, default=None
            Fitted on the same training rows, to be scored on `X` too.

        share, ax
            As in the class and in `plot`.
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
            curves = explained, None if pca is None else _curve_of_pca(pca, X, sizes)
        return cls.from_curves(*curves, share=share, ax=ax)

    @classmethod
    def from_curves(cls, explained, pca=None, *, share=None, ax=None):
        """Draw curves that came from anywhere, and return the display.

        Parameters are those of the class and of `plot`.
        """
        return cls(explained, pca, share=share).plot(ax)

    def plot(self, ax=None):
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        """
        ax = axes_for(self, ax, (6.4, 4.2))
        explained = np.asarray(self.explained, dtype=np.float64)
        self.lines_ = _line(ax, explained, COLORS[0], "Network", most_marked=40)
        if self.pca is not None:
            self.lines_ += _line(ax, self.pca, COLORS[1], "PCA", most_marked=40)
        self.n_components_ = None
        if self.share is not None:
            ax.axhline(self.share, color=GREY, ls=":", lw=1, zorder=1)
            reached = explained >= self.share
            if reached.any():
                self.n_components_ = size = int(np.argmax(reached)) + 1
                _mark(ax, size, explained[size - 1], f"{self.share:.0%} by {size} columns")
        title = "What the first columns explain"
        ax.set(xlabel="Columns of the code", ylabel="Share of variance explained", title=title)
        ax.set_ylim(top=1)
        ax.xaxis.get_major_locator().set_params(integer=True)
        add_grid(ax, alpha=0.3)
        ax.legend(loc="lower right")
        return self


def _line(ax, curve, color, label, first=1, most_marked=14):
    """A curve (n_points,) over whole numbers, with markers where it has few points."""
    curve = np.asarray(curve, dtype=np.float64)
    marker = "." if len(curve) <= most_marked else None
    positions = np.arange(first, first + len(curve))
    return ax.plot(positions, curve, color=color, label=label, marker=marker)


def _mark(ax, x, y, label):
    """A star at the point that was chosen."""
    ax.plot(x, y, "*", ms=13, color="black", mec="white", zorder=4, ls="none", label=label)


def _curve_of_pca(pca, X, sizes):
    """Variance of X (n_samples, n_features) explained by the first components, (n_sizes,)."""
    code = np.ascontiguousarray(pca.transform(X))
    columns = np.arange(code.shape[1])
    truncated = (np.where(columns < k, code, 0) for k in sizes if k <= len(columns))
    return [variance_explained(X, pca.inverse_transform(codes)) for codes in truncated]
