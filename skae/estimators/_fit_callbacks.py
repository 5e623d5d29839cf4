"""Reports of a fit: its epochs, to the user and to callbacks, and how it ended."""

import time

from sklearn.exceptions import ConvergenceWarning

from skae.utils._calls import warn_user
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
    """Reports each epoch of a fit to the user and to callbacks.

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
        self.terms = {"unit": 1.0}
        # Returns the fitted attributes were training to end now; set for each training run.
        self.attributes_of = None
        if isinstance(estimator, CallbackSupportMixin) and hasattr(
            estimator, "_init_callback_context"
        ):
            self.context = estimator._init_callback_context(max_subtasks=None)

    def open(self, start, n_epochs, options):
        """Begin the fit of an autoencoder that has been initialized.

        Parameters
        ----------
        start : Start
            Where training starts.

        n_epochs : int
            Epochs of a training run, at most.

        options : LayerOptions
            Of the network.
        """
        self.n_before = start.history.n_iter
        if start.tries_random:
            self.names = ["PCA start", "random start"]
        self.terms = {"unit": start.model.unit}
        if self.estimator.verbose:
            self.terms |= _progress_terms(start, options)
        if self.context is None:
            return
        self.context.max_subtasks = n_epochs * len(self.names)
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self.fit_data)

    def begin(self):
        """Report the beginning of an epoch."""
        if self.estimator.verbose and self.progress is None:
            from skae.training._progress import Progress, ProgressFormat

            form = ProgressFormat(**self.terms)
            self.progress = Progress(int(self.estimator.verbose) > 1, self.names, form)
        if self.progress is not None:
            self.progress.begin()
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.fit_data)

    def end(self, training):
        """Report the end of an epoch; True when a callback asks to stop."""
        stops = self._end_task(self.epoch, lambda: self.attributes_of(training))
        if self.progress is not None:
            self.progress.end(training)
        return stops

    def close(self, training):
        """Report the end of a training run, by an error too."""
        if self.progress is not None:
            self.progress.close(training)

    def finish(self):
        """Report the end of the fit, once the estimator has its attributes."""
        if self.progress is not None:
            run = len(self.names) == 2 and self.estimator.init_ == "random"
            epoch = self.estimator.best_iter_ - self.n_before
            seconds = time.monotonic() - self.began
            self.progress.finish(int(run), epoch, seconds, self._ending())
        self._end_task(self.context, dict)

    def _ending(self):
        """Why training ended, for the last line of `verbose`."""
        reason = self.estimator.stop_reason_
        if reason == "max_iter":
            progress = ", not converged" * reached_max_iter(self.estimator)
            return f"stopped at max_iter={self.estimator.max_iter}{progress}"
        return _ENDINGS[reason]

    def _end_task(self, context, attributes):
        return context is not None and context.call_on_fit_task_end(
            estimator=self.estimator, **self.fit_data, reconstruction_attributes=attributes
        )


def _progress_terms(start, options):
    """In which terms progress lines report losses, as arguments of `ProgressFormat`."""
    spread = None if start.validation is None else start.model.loss_of_mean(start.validation)
    # Of a few rows none are held out, and all of them validate.
    held_out = start.validation is None or len(start.validation) < len(start.rows)
    label = "start"
    if spread is not None and not start.history.n_iter:
        label = _label_of_start(start, options)
    return {
        "spread": spread,
        "baseline": label,
        "rows": "held-out" if held_out else "training",
    }


def _label_of_start(start, options):
    """Label of the initialization in progress lines; empty for random weights."""
    if not start.model.is_linear_at(start.init):
        return ""
    linear = {options.code_activation, options.output_activation} == {"linear"}
    is_clean = start.model.corruption is None and start.rows.has_own_targets
    return "PCA" if linear and is_clean else "start"


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


def warn_or_raise(training, has_start, result=None):
    """Warn or raise if training was interrupted or diverged.

    Parameters
    ----------
    training : Training
        The training run.

    has_start : bool
        True if the initialization, or an earlier fit, can be kept where no epoch is.

    result : str, default=None
        Name of what is kept. None: the network of its best epoch.
    """
    if training.ending not in ("diverged", "interrupted"):
        return
    epoch = len(training.parts) + 1
    has_result = training.best_iter or has_start
    if training.ending == "interrupted":
        if not has_result:
            raise KeyboardInterrupt
        message = f"Interrupted in epoch {epoch}"
    else:
        message = f"The loss is not finite in epoch {epoch}"
        if not has_result:
            raise ValueError(f"{message}: choose a smaller learning_rate.")
        message += " (a smaller learning_rate may help)"
    result = result or f"the network of epoch {training.best_iter}"
    warn_user(
        f"{message}; {result} is kept.",
        ConvergenceWarning,
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
        warn_user(
            f"Maximum epochs (max_iter={unfinished[0].max_iter}) reached and the optimization "
            f"hasn't converged yet{where}. Increase max_iter, or set tol=None to train for "
            "max_iter epochs without this warning.",
            ConvergenceWarning,
        )
