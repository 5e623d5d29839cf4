"""LossCurveDisplay."""

import numpy as np

from skae.plotting._axes import COLORS, GREY, axes_for, set_title, split
from skae.plotting._rows import unwrap

_LOSS_NAMES = {
    "squared_error": "Squared error (squared units of X)",
    "absolute_error": "Absolute error (units of X)",
    "huber": "Huber loss (squared units of X)",
    "binary_crossentropy": "Binary cross-entropy (nats a column)",
    "cosine": "1 - cosine",
    "ssim": "1 - structural similarity",
}


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

    def __init__(
        self,
        training,
        validation=None,
        *,
        start_loss=None,
        best=None,
        parts=None,
        loss_name="Loss",
    ):
        self.training = training
        self.validation = validation
        self.start_loss = start_loss
        self.best = best
        self.parts = parts
        self.loss_name = loss_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, log_scale=False):
        """Draw the losses that a fitted estimator has kept.

        Parameters
        ----------
        estimator : fitted estimator
            With `loss_curve_`; or a Pipeline or search around one.

        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        log_scale : bool, default=False
            Whether the axis of the loss is logarithmic.

        Returns
        -------
        LossCurveDisplay
            The display.
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
    def from_curves(
        cls,
        training,
        validation=None,
        *,
        start_loss=None,
        best=None,
        parts=None,
        loss_name="Loss",
        ax=None,
        log_scale=False,
    ):
        """Draw losses that came from anywhere.

        Parameters
        ----------
        training, validation, start_loss, best, parts, loss_name
            As in the class.

        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        log_scale : bool, default=False
            Whether the axis of the loss is logarithmic.

        Returns
        -------
        LossCurveDisplay
            The display.
        """
        display = cls(
            training,
            validation,
            start_loss=start_loss,
            best=best,
            parts=parts,
            loss_name=loss_name,
        )
        return display.plot(ax, log_scale=log_scale)

    def plot(self, ax=None, *, log_scale=False):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        log_scale : bool, default=False
            Whether the axis of the loss is logarithmic.

        Returns
        -------
        LossCurveDisplay
            The display, with its attributes ending in an underscore.
        """
        parts = self.parts or {}
        width = 6.4 if not parts else 4 * (1 + len(parts))
        ax = axes_for(type(self).__name__, ax, (width, 4.2 if not parts else 3.8))
        self.ax_, self.figure_ = ax, ax.figure
        self.axes_ = split(ax, 1, 1 + len(parts))[0]
        self.lines_ = self._draw_loss(self.axes_[0])
        # The first two colours mean training and validation.
        for i, (name, part) in enumerate(parts.items()):
            self.lines_ += _line(self.axes_[i + 1], part, COLORS[2 + i % 6], name)
            self.axes_[i + 1].set_ylabel(f"Part: {name}")
        for panel in self.axes_:
            panel.set_xlabel("Epoch")
            panel.set_yscale("log" if log_scale else "linear")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.grid(alpha=0.3)
            panel.spines[["top", "right"]].set_visible(False)
        set_title(ax, "Loss by epoch", self.axes_)
        return self

    def _draw_loss(self, ax):
        lines = _line(ax, self.training, COLORS[0], "Training")
        start = np.nan if self.start_loss is None else self.start_loss
        if self.validation is not None:
            curve, first = list(self.validation), 1
            if np.isfinite(start):
                curve, first = [start, *curve], 0
            lines += _line(ax, curve, COLORS[1], "Validation", first)
        if self.best is not None and np.isfinite(self.best[1]):
            epoch, loss = self.best
            ax.axvline(epoch, color=GREY, ls=":", lw=1, zorder=1)
            ax.plot(
                epoch, loss, "*", ms=13, color="black", mec="white", zorder=4, ls="none",
                label=f"Kept: epoch {epoch}, {loss:.4g}",
            )  # fmt: skip
        ax.set_ylabel(self.loss_name)
        ax.legend()
        return lines


def _line(ax, losses, color, label, first=1):
    """One curve; with a marker where it is a single point."""
    epochs = np.arange(first, first + len(losses))
    marker = "." if len(losses) < 15 else None
    return ax.plot(epochs, losses, color=color, label=label, marker=marker)
