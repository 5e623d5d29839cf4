"""Reports of a fit: its epochs, to the user and to callbacks, and how it ended."""

import time

from sklearn.exceptions import ConvergenceWarning

from skae.utils._calls import warn_user

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
    `n_networks` counts the trained networks that are not starts of one. `given` is what `fit`
    was given, X, y, target and sample_weight; None: the estimator supports no callbacks.
    """

    def __init__(self, estimator, n_networks=1, given=None):
        self.estimator = estimator
        self.began = time.monotonic()
        self.context = self.epoch = self.progress = None
        self.n_before = 0
        self.names = [f"network {i + 1} of {n_networks}" for i in range(n_networks)]
        if n_networks == 1:
            self.names = [""]
        self.terms = {"unit": 1.0}
        # Returns the fitted attributes were training to end now; set for each training run.
        self.attributes_of = None
        if given is None or not hasattr(estimator, "_init_callback_context"):
            return
        X, y, target, weight = given
        # Callbacks that score without labels get what the autoencoder learns to output.
        y = next((each for each in (y, target) if each is not None), X)
        metadata = {} if weight is None else {"sample_weight": weight}
        self.task = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.context = estimator._init_callback_context(max_subtasks=None)

    def open(self, start, n_epochs, options):
        """Begin the fit of an autoencoder, a :class:`Start` with `options` of its layers."""
        self.n_before = start.history.n_iter
        if start.tries_random:
            self.names = ["PCA start", "random start"]
        self.terms = {"unit": start.model.unit}
        if self.estimator.verbose:
            self.terms |= _progress_terms(start, options)
        if self.context is not None:
            self.context.max_subtasks = n_epochs * len(self.names)
            self.context.call_on_fit_task_begin(**self.task)

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
            self.epoch.call_on_fit_task_begin(**self.task)

    def end(self, training):
        """Report the end of an epoch; True when a callback asks to stop."""
        stops = self.epoch is not None and self.epoch.call_on_fit_task_end(
            **self.task, reconstruction_attributes=lambda: self.attributes_of(training)
        )
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
            fitted = self.estimator
            run = len(self.names) == 2 and fitted.init_ == "random"
            epoch = fitted.best_iter_ - self.n_before
            seconds = time.monotonic() - self.began
            ending = _ENDINGS.get(fitted.stop_reason_)
            if ending is None:
                progress = ", not converged" * reached_max_iter(fitted)
                ending = f"stopped at max_iter={fitted.max_iter}{progress}"
            self.progress.finish(int(run), epoch, seconds, ending)
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.task, reconstruction_attributes=dict)


def _progress_terms(start, options):
    """In which terms progress lines report losses, as arguments of `ProgressFormat`."""
    model, validation = start.model, start.validation
    spread = None if validation is None else model.loss_of_mean(validation)
    # Of a few rows none are held out, and all of them validate.
    held_out = validation is None or len(validation) < len(start.rows)
    # The label of the initialization; empty for random weights.
    label = "start"
    if spread is not None and not start.history.n_iter:
        is_linear = {options.code_activation, options.output_activation} == {"linear"}
        if not model.is_linear_at(start.init):
            label = ""
        elif is_linear and model.corruption is None and start.rows.has_own_targets:
            label = "PCA"
    return {
        "spread": spread,
        "baseline": label,
        "rows": "held-out" if held_out else "training",
        "n_parts": model.n_reported,
    }


def warn_or_raise(training, has_start, result=None):
    """Warn or raise if training was interrupted or diverged.

    With `has_start` the initialization, or an earlier fit, is kept where no epoch is; `result`
    names what is kept instead of the network of the best epoch.
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
    warn_user(f"{message}; {result} is kept.", ConvergenceWarning)


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
    """Warn if training of any fitted estimator reached `max_iter` before it converged.

    `where` names those, if there are several.
    """
    unfinished = [each for each in estimators if reached_max_iter(each)]
    if unfinished:
        warn_user(
            f"Maximum epochs (max_iter={unfinished[0].max_iter}) reached and the optimization "
            f"hasn't converged yet{where}. Increase max_iter, or set tol=None to train for "
            "max_iter epochs without this warning.",
            ConvergenceWarning,
        )
