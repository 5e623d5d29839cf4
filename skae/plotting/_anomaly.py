"""AnomalyScoreDisplay."""

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae.plotting._drawing import (
    GREY,
    MISSING,
    Array,
    Display,
    FromArrays,
    labels_of_columns,
    last_step,
    panels_for,
    unwrap,
)
from skae.tables._frames import columns_of_frame, is_frame
from skae.tables._objects import is_missing
from skae.utils._arrays import column_names
from skae.utils._sklearn import safe_indexing

# Scores beyond this quantile fall into the last bin, so that one wild row does not
# squeeze all the others into the first.
_LAST_BIN = 0.995


@dataclass(eq=False, repr=False)
class AnomalyScoreDisplay(Display):
    """Scores of rows, the threshold, and why one row, or several, have the scores they have.

    Make it by `from_estimator` or `from_scores`. To compare scores in the same axes, give each
    a name, and the `ax_` of the first display as `ax` of the others.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Scores as `score_samples` gives them: higher is more normal. They are drawn with
        the other sign, so that anomalies are on the right.

    offset : float, default=None
        The threshold: rows with a lower score are anomalies.

    false_alarm_rate : float, default=None
        Share of normal rows that lie beyond the threshold.

    held_out : array-like of shape (n_held_out,), default=None
        Scores of the rows that set the threshold.

    explanation : array-like of shape (n_features,) or (n_rows, n_features), default=None
        Parts of the columns in the score of one row, drawn as bars in a second panel. Of
        several rows, the mean share of each column in their scores is drawn.

    feature_names : list of str, default=None
        Names of the columns.

    notes : list of str, default=None
        Text beside the bar of each column, such as its value and the expected one.

    n_columns : int, default=10
        How many bars at most; the other columns are added up in one more.

    name : str, default=None
        Name of the estimator, before the labels of the histogram.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or those made; divided where there is an explanation.

    axes_ : ndarray of matplotlib Axes
        Those drawn in: the histogram, then the bars.

    figure_ : matplotlib Figure
        The figure.

    bars_ : matplotlib BarContainer or None
        The bars of the explanation, the largest first.

    See Also
    --------
    skae.AEAnomalyDetector : Has the scores.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AEAnomalyDetector
    >>> from skae.plotting import AnomalyScoreDisplay
    >>> X = np.random.RandomState(0).normal(size=(500, 3))
    >>> detector = AEAnomalyDetector(novelty=True, n_steps=50).fit(X)
    >>> X_new = np.vstack([X[:50], [[0, 9, 0]]])
    >>> display = AnomalyScoreDisplay.from_estimator(detector, X_new, row=50)
    >>> display.axes_[1].get_yticklabels()[0].get_text()
    'x1'
    """

    scores: ArrayLike
    offset: float | None = None
    _: KW_ONLY
    false_alarm_rate: float | None = None
    held_out: ArrayLike | None = None
    explanation: Any = None
    feature_names: list[str] | None = None
    notes: list[str] | None = None
    n_columns: int = 10
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        row: Any = None,
        feature_names: list[str] | None = None,
        n_columns: int = 10,
        name: str | None = None,
        ax: Any = None,
        **hist_params: Any,
    ) -> Self:
        """Score X, draw, and return the display.

        Parameters
        ----------
        estimator : fitted detector
            With `score_samples`; its `offset_`, `false_alarm_rate_` and
            `calibration_scores_` are drawn where it has them. Or a Pipeline that ends in
            one.

        X : array-like of shape (n_samples, n_features)
            Rows, as the estimator takes them.

        row : int, array-like of int or array-like of bool, default=None
            Position of a row to be explained beside the histogram, which wants an
            estimator with `explain`; its values and those of `expected`, where the
            estimator has it, are the notes. Positions of several rows, or a mask: the mean
            share of each column in their scores. None: the histogram alone.

        feature_names, n_columns, name, ax, **hist_params
            As in the class and in `plot`.
        """
        detector = unwrap(estimator, "score_samples")
        scores = np.asarray(estimator.score_samples(X))
        explanation = notes = None
        if row is not None:
            at = _positions(row, len(scores))
            rows = safe_indexing(last_step(estimator, X)[1], at.ravel())
            parts = unwrap(detector, "explain").explain(rows)
            parts = np.asarray(parts, dtype=np.float64).reshape(at.size, -1)
            explanation = parts if at.ndim else parts[0]
            if feature_names is None:
                feature_names = column_names(rows, parts.shape[1])
            if hasattr(detector, "expected") and not at.ndim:
                pairs = zip(_texts(rows), _texts(detector.expected(rows)), strict=True)
                notes = [f"{value} (expected {expected})" for value, expected in pairs]
        return cls.from_scores(
            scores,
            getattr(detector, "offset_", None),
            false_alarm_rate=getattr(detector, "false_alarm_rate_", None),
            held_out=getattr(detector, "calibration_scores_", None),
            explanation=explanation,
            feature_names=feature_names,
            notes=notes,
            n_columns=n_columns,
            name=name,
            ax=ax,
            **hist_params,
        )

    from_scores = FromArrays("Draw scores that came from anywhere, and return the display.")

    def plot(self, ax: Any = None, **hist_params: Any) -> Self:
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        **hist_params : dict
            For matplotlib's `hist`, of the scores.
        """
        n_panels = 1 if self.explanation is None else 2
        size = (5.5 * n_panels, 4.5)
        (self.axes_,) = panels_for(self, ax, size, "Anomaly scores", 1, n_panels)
        self._draw_histogram(self.axes_[0], hist_params)
        self.bars_ = None if n_panels == 1 else self._draw_bars(self.axes_[1])
        for panel in self.axes_:
            panel.spines[["top", "right"]].set_visible(False)
        return self

    def _draw_histogram(self, ax: Any, hist_params: dict[str, Any]) -> None:
        scores = -_finite("scores", self.scores)
        held_out = np.empty(0)
        if self.held_out is not None:
            held_out = -_finite("held_out", self.held_out)
        threshold = -np.inf if self.offset is None else -self.offset
        everything = np.r_[scores, held_out]
        first, last = everything.min(), max(np.quantile(everything, _LAST_BIN), 1.5 * threshold)
        # Scores that are all the same have a bar that is a tenth of them wide.
        least = 0.1 * abs(first) or 0.1
        edges = np.linspace(first, last if last > first else first + least, 41)
        style = {"bins": edges, "density": True}
        name = f"{self.name}: " if self.name else ""
        # Over each other, the first must shine through.
        of_scores = style | ({"alpha": 0.6} if name else {}) | hist_params
        drawn = scores.clip(max=edges[-1])
        _, _, patches = ax.hist(drawn, label=f"{name}{len(scores)} rows", **of_scores)
        if len(held_out):
            drawn, label = held_out.clip(max=edges[-1]), f"{name}{len(held_out)} held-out rows"
            ax.hist(drawn, histtype="step", color=GREY, lw=1.5, label=label, **style)
        if self.offset is not None:
            label = f"Threshold {threshold:.3g}, {np.mean(scores > threshold):.1%} beyond"
            if self.false_alarm_rate is not None:
                label += f"\n(of normal rows {self.false_alarm_rate:.1%})"
            color = patches[0].get_facecolor() if name else "C1"
            ax.axvline(threshold, color=color, alpha=1, lw=1.5, label=f"{name}{label}")
        beyond = " (last bar: all beyond)" if scores.max() > edges[-1] else ""
        ax.set(xlabel=f"Anomaly score{beyond}", ylabel="Density")
        # Below the label of the axis, where it covers no bars.
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=3.5)

    def _draw_bars(self, ax: Any) -> Any:
        parts = np.asarray(self.explanation, dtype=np.float64)
        label, n_rows = f"Part in the score of the row, {parts.sum():.3g}", len(parts)
        if parts.ndim > 1:
            total = parts.sum(axis=1, keepdims=True)
            parts = np.divide(parts, total, where=total > 0, out=np.zeros_like(parts)).mean(
                axis=0
            )
            label = f"Mean share in the scores of {n_rows} row" + "s" * (n_rows > 1)
        columns = "the {} columns of the explanation"
        names = labels_of_columns(self.feature_names, None, len(parts), columns)
        order = np.argsort(-parts, kind="stable")
        shown, rest = order[: self.n_columns], order[self.n_columns :]
        labels, values = [names[i] for i in shown], list(parts[shown])
        if len(rest):
            labels.append(f"{len(rest)} others")
            values.append(parts[rest].sum())
        colors = ["C0"] * len(shown) + [GREY] * bool(len(rest))
        bars = ax.barh(np.arange(len(values)), values, color=colors)
        ax.set_yticks(np.arange(len(values)), labels)
        if self.notes is not None:
            notes = [self.notes[i] for i in shown] + [""] * bool(len(rest))
            # Beside the bars, in the panel: the layout makes no room for them.
            ax.bar_label(bars, notes, padding=3, fontsize="small", in_layout=False)
            ax.set_xlim(right=1.9 * (max(values) or 1))
        ax.invert_yaxis()
        ax.locator_params(axis="x", nbins=5)
        ax.set_xlabel(label)
        return bars


def _positions(row: Any, n_samples: int) -> Array:
    """The position of a row, of shape (), or those of several, (n_rows,), none negative."""
    at = np.asarray(row)
    if at.dtype == bool and at.shape == (n_samples,):
        at = np.flatnonzero(at)
    is_right = at.dtype.kind in "iu" and at.ndim < 2 and at.size
    if not is_right or at.min() < -n_samples or at.max() >= n_samples:
        raise ValueError(
            "row must be the position of a row of X, an integer from 0 to "
            f"{n_samples - 1}, or some of them, or None; got {row!r}."
        )
    return at % n_samples


def _texts(row: Any) -> list[str]:
    """Values of one row, an array or a data frame (1, n_features), as texts."""
    if is_frame(row):
        return [_text(*series.to_list()) for series in columns_of_frame(row)]
    return list(map(_text, np.ravel(row)))


def _text(value: Any) -> str:
    if is_missing(value):
        return MISSING
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return f"{value:,.3g}" if is_number else str(value).removesuffix(" 00:00:00")


def _finite(name: str, scores: Any) -> Array:
    """Scores as an array (n_samples,) of finite numbers."""
    scores = np.asarray(scores, dtype=np.float64).ravel()
    n_others = int((~np.isfinite(scores)).sum())
    if not len(scores) or n_others:
        raise ValueError(
            f"{name} must be finite numbers, at least one; got {len(scores)} numbers, of which "
            f"{n_others} are NaN or infinite."
        )
    return scores
