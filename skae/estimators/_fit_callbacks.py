"""What is told about a fit: its epochs, to the user and to callbacks, and how it ended."""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skae.losses._registry import LOSSES
from skae.utils._rows import moments
from skae.utils._sklearn import CallbackSupportMixin

# The last line of `verbose` for each `stop_reason_` but "max_iter".
_ENDINGS = {
    "converged": "converged",
    "pca": "converged, no better than the start",
    "behind": "behind the first start",
    "callback": "stopped by a callback",
    "interrupted": "interrupted",
    "diverged": "the loss was not finite",
}


class FitMonitor:
    """Tells the user and the callbacks of an estimator about each epoch.

    Its clock, and those of callbacks, run from when it is made: at the start of `fit`.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.

    n_networks : int, default=1
        How many are trained, where these are not the starts of one.

    fit_data : dict, default=None
        What callbacks get, see `as_given`; None: the estimator supports no callbacks.
    """

    def __init__(self, estimator, n_networks=1, fit_data=None):
        self.estimator = estimator
        self.fit_data = fit_data
        self.began = time.monotonic()
        self.context = self.epoch = self.progress = None
        self.n_before = 0
        self.names = [""]
        if n_networks > 1:
            self.names = [f"network {i + 1} of {n_networks}" for i in range(n_networks)]
        self.terms = {}
        if isinstance(estimator, CallbackSupportMixin) and hasattr(
            estimator, "_init_callback_context"
        ):
            self.context = estimator._init_callback_context(max_subtasks=None)

    def open(self, rows, held_out, n_epochs, starts_twice):
        """When the autoencoder stands at its start.

        Parameters
        ----------
        rows : Rows
            What it is fitted on.

        held_out : Rows or None
            What it is judged by.

        n_epochs : int
            Epochs of a start, at most.

        starts_twice : bool
            Whether there may be a second start.
        """
        self.n_before = self.estimator.n_iter_
        if starts_twice:
            self.names = ["PCA start", "random start"]
        if self.estimator.verbose:
            self.terms = self._terms(rows, held_out)
        if self.context is None:
            return
        self.context.max_subtasks = n_epochs * len(self.names)
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self.fit_data)

    def begin(self):
        """Before an epoch."""
        if self.estimator.verbose and self.progress is None:
            from skae.training._progress import Progress, Terms

            terms = Terms(self.estimator._unit, **self.terms)
            self.progress = Progress(int(self.estimator.verbose) > 1, self.names, terms)
        if self.progress is not None:
            self.progress.begin()
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.fit_data)

    def end(self, training):
        """After an epoch; True when a callback asks to stop."""
        stops = self._told(self.epoch, lambda: self.estimator._fitted_attributes(training))
        if self.progress is not None:
            self.progress.end(training)  # with the time that callbacks took
        return stops

    def close(self, training):
        """When training has ended, by an error too."""
        if self.progress is not None:
            self.progress.close(training)

    def finish(self):
        """When the autoencoder has what it keeps."""
        if self.progress is not None:
            run = len(self.names) == 2 and self.estimator.init_ == "random"
            epoch = self.estimator.best_iter_ - self.n_before
            seconds = time.monotonic() - self.began
            self.progress.finish(int(run), epoch, seconds, self._ending())
        self._told(self.context, dict)

    def _ending(self):
        """Why training ended, as the last line says it."""
        reason = self.estimator.stop_reason_
        if reason == "max_iter":
            progress = ", not converged" * reached_max_iter(self.estimator)
            return f"stopped at max_iter={self.estimator.max_iter}{progress}"
        return _ENDINGS[reason]

    def _terms(self, rows, held_out):
        """How losses of the autoencoder are told."""
        spread = _spread(self.estimator, held_out)
        # Of a few rows none are held out, and all of them judge.
        apart = held_out is None or len(held_out) < len(rows)
        is_known = spread is not None and not self.n_before
        return {
            "spread": spread,
            "start": self._name_of_start(rows) if is_known else "start",
            "judged_by": "held-out" if apart else "training",
        }

    def _name_of_start(self, rows):
        """What the start is called that other variance explained stands beside."""
        ae = self.estimator
        if not ae._starts_linear:
            return ""  # what random weights explain tells nothing
        options, (corruption, _) = ae._options(True), ae._corruption()
        linear = {options.code_activation, options.output_activation} == {"linear"}
        is_pca = linear and corruption is None and rows.has_own_targets
        return "PCA" if is_pca else "start"

    def _told(self, context, attributes):
        return context is not None and context.call_on_fit_task_end(
            estimator=self.estimator, **self.fit_data, reconstruction_attributes=attributes
        )


def as_given(X, y, target, sample_weight):
    """Arguments of `fit` for callbacks, as the user gave them.

    Parameters
    ----------
    X : data frame, array-like or sparse matrix of shape (n_samples, ...)
        Rows, those of weight zero too.

    y : array-like or None
        Where it is None, callbacks that score get what the autoencoder learns to output.

    target : array-like of shape (n_samples, ...) or None
        What the rows should become; None: X.

    sample_weight : array-like of shape (n_samples,) or None
        Weights of the rows.

    Returns
    -------
    dict
        Arguments of the methods of a callback context.
    """
    if y is None:
        y = X if target is None else target
    metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
    return {"X": X, "y": y, "metadata": metadata}


def _spread(estimator, held_out):
    """What the mean of rows held out would lose; None: losses are no shares of variance."""
    squared = getattr(estimator, "_loss", None) is LOSSES["squared_error"]
    # The loss of an ordered code is a mean over sizes.
    if held_out is None or not squared or getattr(estimator, "ordered", False):
        return None
    _, deviation = moments(held_out.outputs, held_out.weight)
    return float(np.square(deviation).mean()) or None


def warn_or_raise(training, has_start, kept=None):
    """Say why training ended if it was not as planned.

    Parameters
    ----------
    training : Training
        What it left.

    has_start : bool
        Whether the start, or an earlier fit, is worth keeping where no epoch is.

    kept : str, default=None
        What is kept. None: the network of its best epoch.
    """
    if training.ending not in ("diverged", "interrupted"):
        return
    epoch = len(training.parts) + 1
    worth_keeping = training.best_iter or has_start
    if training.ending == "interrupted":
        if not worth_keeping:
            raise KeyboardInterrupt
        message = f"Interrupted in epoch {epoch}"
    else:
        message = f"The loss is not finite in epoch {epoch}"
        if not worth_keeping:
            raise ValueError(f"{message}: choose a smaller learning_rate.")
        message += " (a smaller learning_rate may help)"
    kept = kept or f"the network of epoch {training.best_iter}"
    warnings.warn(
        f"{message}; {kept} is kept.",
        ConvergenceWarning,
        stacklevel=6,
    )


def fit_without_warning(estimator, X, sample_weight):
    """Fit one of several estimators, for all of which :func:`warn_at_max_iter` warns once."""
    estimator._warns_at_max_iter = False
    try:
        return estimator.fit(X, sample_weight=sample_weight)
    finally:
        del estimator._warns_at_max_iter


def reached_max_iter(estimator):
    """True if training ended at `max_iter`, and not on purpose, as it does without `tol`."""
    return estimator.stop_reason_ == "max_iter" and estimator.tol is not None


def warn_at_max_iter(estimators, where=""):
    """Warn if training of any of these estimators reached `max_iter` before it converged.

    Parameters
    ----------
    estimators : list of autoencoder
        Fitted.

    where : str, default=""
        Where there are several: which of them have not converged.
    """
    unfinished = [each for each in estimators if reached_max_iter(each)]
    if unfinished:
        warnings.warn(
            f"Maximum epochs (max_iter={unfinished[0].max_iter}) reached and the optimization "
            f"hasn't converged yet{where}. Increase max_iter, or set tol=None to train for "
            "max_iter epochs without this warning.",
            ConvergenceWarning,
            stacklevel=6,
        )
