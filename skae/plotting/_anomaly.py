"""AnomalyScoreDisplay."""

from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike

from skae.plotting._drawing import COLORS, GREY, MISSING, labels_of_columns, panels_for, unwrap
from skae.tables._frames import columns_of_frame, is_frame
from skae.tables._objects import is_missing
from skae.utils._arrays import column_names
from skae.utils._sklearn import safe_indexing

# Scores beyond this quantile fall into the last bin, so that one wild row does not
# squeeze all the others into the first.
_LAST_BIN = 0.995


@dataclass(eq=False, repr=False)
class AnomalyScoreDisplay:
    """Scores of rows, the threshold, and why one row has the score it has.

    Make it by `from_estimator` or `from_scores`.

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

    explanation : array-like of shape (n_features,), default=None
        Parts of the columns in the score of one row, drawn as bars in a second panel.

    feature_names : list of str, default=None
        Names of the columns.

    notes : list of str, default=None
        Text beside the bar of each column, such as its value and the expected one.

    n_columns : int, default=10
        How many bars at most; the other columns are added up in one more.

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
    explanation: ArrayLike | None = None
    feature_names: list[str] | None = None
    notes: list[str] | None = None
    n_columns: int = 10

    @classmethod
    def from_estimator(cls, estimator, X, *, row=None, feature_names=None, **params):
        """Score X, draw, and return the display.

        Parameters
        ----------
        estimator : fitted detector
            With `score_samples`; its `offset_`, `false_alarm_rate_` and
            `calibration_scores_` are drawn where it has them. Or a Pipeline that ends in
            one.

        X : array-like of shape (n_samples, n_features)
            Rows, as the estimator takes them.

        row : int, default=None
            Position of a row to be explained beside the histogram, which wants an
            estimator with `explain`; its values and those of `expected`, where the
            estimator has it, are the notes. None: the histogram alone.

        feature_names, **params
            As in `from_scores`, also `n_columns` and `ax`.
        """
        detector = unwrap(estimator, "score_samples")
        scores = estimator.score_samples(X)
        explanation = notes = None
        if row is not None:
            last = len(scores) - 1
            if not isinstance(row, Integral) or not -last - 1 <= row <= last:
                raise ValueError(
                    "row must be the position of a row of X, an integer from 0 to "
                    f"{last}, or None; got {row!r}."
                )
            has_steps = hasattr(estimator, "steps") and len(estimator) > 1
            rows = estimator[:-1].transform(X) if has_steps else X
            parts = unwrap(detector, "explain").explain(rows)
            explanation = np.asarray(parts, dtype=np.float64)[row].ravel()
            if feature_names is None:
                feature_names = column_names(rows, len(explanation))
            if hasattr(detector, "expected"):
                one = safe_indexing(rows, [row % len(scores)])
                pairs = zip(_texts(one), _texts(detector.expected(one)), strict=True)
                notes = [f"{value} (expected {expected})" for value, expected in pairs]
        return cls.from_scores(
            scores,
            getattr(detector, "offset_", None),
            false_alarm_rate=getattr(detector, "false_alarm_rate_", None),
            held_out=getattr(detector, "calibration_scores_", None),
            explanation=explanation,
            feature_names=feature_names,
            notes=notes,
            **params,
        )

    @classmethod
    def from_scores(cls, scores, offset=None, *, ax=None, **params):
        """Draw scores that came from anywhere, and return the display.

        Parameters are those of the class and of `plot`.
        """
        return cls(scores, offset, **params).plot(ax)

    def plot(self, ax=None):
        """Draw, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        """
        n_panels = 1 if self.explanation is None else 2
        size = (5.5 * n_panels, 4.5)
        (self.axes_,) = panels_for(self, ax, size, "Anomaly scores", 1, n_panels)
        self._draw_histogram(self.axes_[0])
        self.bars_ = None if n_panels == 1 else self._draw_bars(self.axes_[1])
        for panel in self.axes_:
            panel.spines[["top", "right"]].set_visible(False)
        return self

    def _draw_histogram(self, ax):
        scores = -_finite("scores", self.scores)
        held_out = [] if self.held_out is None else -_finite("held_out", self.held_out)
        threshold = -np.inf if self.offset is None else -self.offset
        everything = np.r_[scores, held_out]
        first, last = everything.min(), max(np.quantile(everything, _LAST_BIN), 1.5 * threshold)
        # Scores that are all the same have a bar that is a tenth of them wide.
        least = 0.1 * abs(first) or 0.1
        edges = np.linspace(first, last if last > first else first + least, 41)
        style = {"bins": edges, "density": True}
        drawn = scores.clip(max=edges[-1])
        ax.hist(drawn, color=COLORS[5], label=f"{len(scores)} rows", **style)
        if len(held_out):
            drawn, label = held_out.clip(max=edges[-1]), f"{len(held_out)} held-out rows"
            ax.hist(drawn, histtype="step", color=GREY, lw=1.5, label=label, **style)
        if self.offset is not None:
            label = f"Threshold {threshold:.3g}, {np.mean(scores > threshold):.1%} beyond"
            if self.false_alarm_rate is not None:
                label += f"\n(of normal rows {self.false_alarm_rate:.1%})"
            ax.axvline(threshold, color=COLORS[1], lw=1.5, label=label)
        beyond = " (last bar: all beyond)" if scores.max() > edges[-1] else ""
        ax.set(xlabel=f"Anomaly score{beyond}", ylabel="Density")
        # Below the label of the axis, where it covers no bars.
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=3.5)

    def _draw_bars(self, ax):
        parts = np.asarray(self.explanation, dtype=np.float64)
        columns = "the {} columns of the explanation"
        names = labels_of_columns(self.feature_names, None, len(parts), columns)
        order = np.argsort(-parts, kind="stable")
        shown, rest = order[: self.n_columns], order[self.n_columns :]
        labels, values = [names[i] for i in shown], list(parts[shown])
        if len(rest):
            labels.append(f"{len(rest)} others")
            values.append(parts[rest].sum())
        colors = [COLORS[0]] * len(shown) + [GREY] * bool(len(rest))
        bars = ax.barh(np.arange(len(values)), values, color=colors)
        ax.set_yticks(np.arange(len(values)), labels)
        if self.notes is not None:
            notes = [self.notes[i] for i in shown] + [""] * bool(len(rest))
            # Beside the bars, in the panel: the layout makes no room for them.
            ax.bar_label(bars, notes, padding=3, fontsize="small", in_layout=False)
            ax.set_xlim(right=1.9 * (max(values) or 1))
        ax.invert_yaxis()
        ax.set_xlabel(f"Part in the score of the row, {parts.sum():.3g}")
        return bars


def _texts(row):
    """Values of one row, an array or a data frame (1, n_features), as texts."""
    if is_frame(row):
        return [_text(*series.to_list()) for series in columns_of_frame(row)]
    return list(map(_text, np.ravel(row)))


def _text(value):
    if is_missing(value):
        return MISSING
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return f"{value:,.3g}" if is_number else str(value).removesuffix(" 00:00:00")


def _finite(name, scores):
    """Scores as an array (n_samples,) of finite numbers."""
    scores = np.asarray(scores, dtype=np.float64).ravel()
    n_others = int((~np.isfinite(scores)).sum())
    if not len(scores) or n_others:
        raise ValueError(
            f"{name} must be finite numbers, at least one; got {len(scores)} numbers, of which "
            f"{n_others} are NaN or infinite."
        )
    return scores
