"""LossCurveDisplay and ComponentCurveDisplay."""

from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae.estimators._fit_callbacks import ENDINGS
from skae.metrics import reconstruction_score, variance_explained
from skae.plotting._drawing import (
    GREY,
    Array,
    Display,
    FromArrays,
    add_grid,
    axes_for,
    last_step,
    panels_for,
    setting,
    unwrap,
)

# Of each loss its name, and its unit for columns in the unit that is filled in.
_LOSS_NAMES = {
    "squared_error": "Squared error (squared {})",
    "absolute_error": "Absolute error ({})",
    "huber": "Huber loss (squared {})",
    "binary_crossentropy": "Binary cross-entropy (nats a column)",
    "cosine": "1 - cosine",
    "ssim": "1 - structural similarity",
}
_SHARE = "Share of variance explained"


@dataclass(eq=False, repr=False)
class LossCurveDisplay(Display):
    """Training and validation loss by epoch, and why training ended.

    Make it by `from_estimator` or `from_curves`. To compare estimators in the same axes, give
    each a name, and the `axes_` of the first display as `ax` of the others.

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

    others : dict of str to array-like of shape (n_epochs,), default=None
        Losses from other starts, which were not kept, by label.

    loss_name : str, default="Loss"
        What the loss is, and its unit.

    ending : str, default=""
        Why training ended.

    name : str, default=None
        Name of the estimator, before the labels of its lines.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made; divided where there are parts.

    axes_ : ndarray of matplotlib Axes
        Those drawn in: the loss, then its parts.

    figure_ : matplotlib Figure
        The figure.

    lines_ : list of matplotlib Line2D
        Training loss, validation loss where there is one, other starts and the parts.

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
    others: dict[str, ArrayLike] | None = None
    loss_name: str = "Loss"
    ending: str = ""
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        log_scale: bool = False,
        **line_params: Any,
    ) -> Self:
        """Draw the losses that a fitted estimator has kept, and return the display.

        Parameters
        ----------
        estimator : fitted estimator
            With `loss_curve_`; or a Pipeline or search around one. Of one with `starts_`, the
            start that was not kept is drawn, too, with the reason why its training ended.

        name, ax, log_scale, **line_params
            As in the class and in `plot`.
        """
        estimator = unwrap(estimator, "loss_curve_")
        best: Any = (
            getattr(estimator, "best_iter_", None),
            getattr(estimator, "best_loss_", None),
        )
        # Of a warm start, the start loss may be that of a later epoch, and so with the starts.
        is_first = not getattr(estimator, "warm_start", False)
        starts = getattr(estimator, "starts_", {}) if is_first else {}
        ending = getattr(estimator, "stop_reason_", "")
        return cls.from_curves(
            estimator.loss_curve_,
            getattr(estimator, "validation_loss_curve_", None),
            start_loss=getattr(estimator, "start_loss_", None) if is_first else None,
            best=None if None in best else best,
            parts=getattr(estimator, "loss_parts_", None),
            others={
                f"{'PCA' if key == 'pca' else key} start: {_ending(start['ending'])}": start[
                    "validation_loss_curve"
                ]
                for key, start in starts.items()
                if key != estimator.init_
            },
            loss_name=_loss_name(estimator),
            ending=_ending(ending),
            name=name,
            ax=ax,
            log_scale=log_scale,
            **line_params,
        )

    from_curves = FromArrays("Draw losses that came from anywhere, and return the display.")

    def plot(self, ax: Any = None, *, log_scale: bool = False, **line_params: Any) -> Self:
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Where to draw: one that may be divided, or `axes_` of another display. None: in a
            new figure.

        log_scale : bool, default=False
            Whether the axis of the loss is logarithmic.

        **line_params : dict
            For matplotlib's `plot`.
        """
        parts = self.parts or {}
        size = (4 * (1 + len(parts)), 3.8) if parts else (6.4, 4.2)
        title = "Loss by epoch" + f": {self.ending}" * bool(self.ending and not self.name)
        (self.axes_,) = panels_for(self, ax, size, title, 1, 1 + len(parts))
        first, *others = self.axes_
        label = f"{self.name}: {{}}" if self.name else "{}"
        is_alone = self.validation is None
        style: dict[str, Any] = ({} if is_alone else {"ls": "--", "lw": 1.2}) | line_params
        self.lines_ = _line(first, self.training, label.format("Training"), style)
        same = {"color": self.lines_[0].get_color()} | line_params
        if not is_alone:
            has_start = self.start_loss is not None and np.isfinite(self.start_loss)
            start = [self.start_loss] if has_start else []
            curve, text = [*start, *np.asarray(self.validation)], label.format("Validation")
            self.lines_ += _line(first, curve, text, same, 1 - len(start))
        for text, other in (self.others or {}).items():
            style = {"color": GREY, "lw": 1.2} | line_params
            self.lines_ += _line(first, other, label.format(text), style)
        if self.best is not None and np.isfinite(self.best[1]):
            epoch, loss = self.best
            first.axvline(epoch, color=GREY, ls=":", lw=1, zorder=1)
            _mark(first, epoch, loss, label.format(f"Kept: epoch {epoch}, {loss:.4g}"))
        first.set_ylabel(self.loss_name)
        first.legend()
        for panel, (name, part) in zip(others, parts.items(), strict=True):
            self.lines_ += _line(panel, part, name, same)
            panel.set_ylabel(f"Part: {name}")
        for panel in self.axes_:
            panel.set_xlabel("Epoch")
            if log_scale:
                panel.set_yscale("log")
            panel.xaxis.get_major_locator().set_params(integer=True)
            add_grid(panel, alpha=0.3)
        return self


@dataclass(eq=False, repr=False)
class ComponentCurveDisplay(Display):
    """Share of variance explained by the first columns of a code, beside PCA's.

    Make it by `from_estimator` or `from_curves`. To compare estimators in the same axes, give
    each a name, and the `ax_` of the first display as `ax` of the others.

    Parameters
    ----------
    explained : array-like of shape (n_sizes,)
        What the first column explains, the first two, and so on.

    pca : array-like of shape (n_sizes_of_pca,), default=None
        The same of principal components.

    sizes : array-like of shape (n_sizes,), default=None
        Numbers of columns that `explained` belongs to. None: 1, 2, and so on.

    share : float, default=None
        A share of variance to reach: the least size that does is marked.

    score_name : str, default="Share of variance explained"
        What `explained` is.

    name : str, default="Network"
        Name of the estimator.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn in.

    figure_ : matplotlib Figure
        The figure.

    lines_ : list of matplotlib Line2D
        The estimator's curve and, where there is one, PCA's.

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
    sizes: ArrayLike | None = None
    share: float | None = None
    score_name: str = _SHARE
    name: str = "Network"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        pca: Any = None,
        share: float | None = None,
        name: str | None = None,
        ax: Any = None,
        **line_params: Any,
    ) -> Self:
        """Draw what the columns of a fitted estimator explain, and return the display.

        Parameters
        ----------
        estimator : AutoencoderTransformer, PCA or search
            An autoencoder fitted with ``ordered=True``, or PCA; or a Pipeline that ends in one.
            Or a search over `n_components`, of which the best mean test score of each size is
            drawn; with `X`, or where it had one size alone, what its best estimator explains.

        X : data frame or array-like of shape (n_samples, n_features), default=None
            Rows to score by. None: those held out in `fit`, as in `variance_explained_`,
            beside `pca_variance_explained_`; of PCA, the training rows.

        pca : sklearn.decomposition.PCA, default=None
            Fitted on the same training rows, to be scored on `X` too.

        share, name, ax, **line_params
            As in the class and in `plot`. By default the name is "Network" or "PCA".
        """
        if X is None and pca is not None:
            raise ValueError("pca is scored on X: give X too, or neither.")
        curve_of_pca, score_name = None, _SHARE
        explained: Any
        sizes, explained = (None, None) if X is not None else _curve_of_search(estimator)
        if sizes is not None:
            score_name = "Mean test score"
            if isinstance(estimator.scoring, str):
                score_name += f" ({estimator.scoring})"
        else:
            estimator, rows = last_step(estimator, X)
            is_pca = hasattr(estimator, "components_")
            is_pca = is_pca and hasattr(estimator, "explained_variance_ratio_")
            if not is_pca and not hasattr(estimator, "variance_explained_"):
                raise TypeError(
                    "estimator must be an AutoencoderTransformer fitted with ordered=True, "
                    "which has variance_explained_, or PCA, or a search over n_components; "
                    f"got {estimator!r}."
                )
            name = name or ("PCA" if is_pca else "Network")
            n_sizes = len(estimator.components_) if is_pca else estimator.n_components_
            sizes = np.arange(1, n_sizes + 1)
            if X is not None:
                explained = _explained(estimator, rows, sizes)
            elif is_pca:
                explained = np.cumsum(estimator.explained_variance_ratio_)
            else:
                explained = estimator.variance_explained_
                curve_of_pca = estimator.pca_variance_explained_
            if pca is not None:
                curve_of_pca = _explained(pca, rows, sizes)
        return cls.from_curves(
            explained,
            curve_of_pca,
            sizes=sizes,
            share=share,
            score_name=score_name,
            name=name or "Network",
            ax=ax,
            **line_params,
        )

    from_curves = FromArrays("Draw curves that came from anywhere, and return the display.")

    def plot(self, ax: Any = None, **line_params: Any) -> Self:
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        **line_params : dict
            For matplotlib's `plot`.
        """
        ax = axes_for(self, ax, (6.4, 4.2))
        explained = np.asarray(self.explained, dtype=np.float64)
        sizes = 1 + np.arange(len(explained)) if self.sizes is None else np.asarray(self.sizes)
        self.lines_ = _line(ax, explained, self.name, line_params, sizes, 40)
        if self.pca is not None:
            style = {"color": self.lines_[0].get_color(), "ls": "--", "lw": 1.2} | line_params
            label = "PCA" if self.name == "Network" else f"PCA beside {self.name}"
            self.lines_ += _line(ax, self.pca, label, style, 1, 40)
        self.n_components_ = None
        if self.share is not None:
            ax.axhline(self.share, color=GREY, ls=":", lw=1, zorder=1)
            reached = explained >= self.share
            if reached.any():
                at = int(np.argmax(reached))
                self.n_components_ = size = int(sizes[at])
                _mark(ax, size, explained[at], f"{self.share:.0%} by {size} columns")
        title = "What the first columns explain"
        if self.score_name != _SHARE:
            title = "Score by number of columns"
        ax.set(xlabel="Columns of the code", ylabel=self.score_name, title=title)
        if self.score_name == _SHARE:
            ax.set_ylim(top=1)
        ax.xaxis.get_major_locator().set_params(integer=True)
        add_grid(ax, alpha=0.3)
        ax.legend(loc="lower right")
        return self


def _line(
    ax: Any,
    curve: Any,
    label: str,
    style: dict[str, Any],
    first: Any = 1,
    most_marked: int = 14,
) -> list[Any]:
    """A curve (n_points,) from `first` on, or over such an array; markers on few points."""
    curve = np.asarray(curve, dtype=np.float64)
    marker = "." if len(curve) <= most_marked else None
    at = first if np.ndim(first) else np.arange(first, first + len(curve))
    return list(ax.plot(at, curve, **{"label": label, "marker": marker} | style))


def _mark(ax: Any, x: float, y: float, label: str) -> None:
    """A star at the point that was chosen."""
    colors = {"color": setting("text.color"), "mec": setting("axes.facecolor")}
    ax.plot(x, y, "*", ms=13, zorder=4, ls="none", label=label, **colors)


def _loss_name(estimator: Any) -> str:
    """Name and unit of the losses that an estimator has kept."""
    if getattr(estimator, "table_", None) is not None:
        return "Loss of the table (weighted over its columns)"
    name = _LOSS_NAMES.get(str(getattr(estimator, "loss", "")), "Loss")
    is_standardized = getattr(estimator, "standardize", None) is True
    return name.format("standard deviations" if is_standardized else "units of X")


def _ending(reason: str) -> str:
    return ENDINGS.get(reason, f"stopped at {reason}" * bool(reason))


def _explained(estimator: Any, X: Any, sizes: Array) -> list[float]:
    """Variance of X (n_samples, n_features) explained by the first components, (n_sizes,)."""
    if hasattr(estimator, "truncated"):
        return [reconstruction_score(estimator.truncated(k), X) for k in sizes]
    code = np.ascontiguousarray(estimator.transform(X))
    columns = np.arange(code.shape[1])
    truncated = (np.where(columns < k, code, 0) for k in sizes if k <= len(columns))
    return [variance_explained(X, estimator.inverse_transform(codes)) for codes in truncated]


def _curve_of_search(search: Any) -> tuple[Any, Any]:
    """Sizes (n_sizes,) of a search over `n_components`, and the best mean score of each."""
    results = getattr(search, "cv_results_", {})
    refit = getattr(search, "refit", True)
    scores = results.get(f"mean_test_{refit if isinstance(refit, str) else 'score'}")
    params = results.get("params", [])
    for key in {name for each in params for name in each if name.endswith("n_components")}:
        # Not shares of variance, nor their absence.
        given = [each.get(key) for each in params]
        values = np.array([value if isinstance(value, Integral) else 0 for value in given])
        sizes = np.unique(values[values > 0])
        if len(sizes) > 1 and scores is not None:
            return sizes, [np.max(scores[values == size]) for size in sizes]
    return None, None
