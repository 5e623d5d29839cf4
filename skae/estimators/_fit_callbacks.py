"""Reports of a fit: its epochs, to the user and to callbacks, and how it ended."""

import time
from typing import Any, NamedTuple

from sklearn.exceptions import ConvergenceWarning

from skae.utils._calls import warn_user

# The last line of `verbose` for each `stop_reason_` but "max_iter".
ENDINGS = {
    "converged": "converged",
    "pca": "converged, no better than the start",
    "behind": "behind the first start",
    "callback": "stopped by a callback",
    "interrupted": "interrupted",
    "diverged": "the loss was not finite",
}


class FitTask(NamedTuple):
    """A task that callbacks may follow: a fit, one of its networks, or an epoch."""

    context: Any = None  # scikit-learn's; None: nobody follows the task
    arguments: dict[str, Any] = {}  # of the hooks: the estimator, X, y and metadata

    def begin(self, n_subtasks):
        """Report the beginning of a task that has so many subtasks, at most."""
        if self.context is not None:
            self.context.max_subtasks = n_subtasks
            self.context.call_on_fit_task_begin(**self.arguments)

    def subtask(self, name, n_subtasks=0, position=None):
        """Begin a subtask: the next one, or that of a position if they run in parallel."""
        if self.context is None:
            return self
        task = self._replace(context=self.context.subcontext(task_name=name, task_id=position))
        task.begin(n_subtasks)
        return task

    def end(self, attributes=None):
        """Report the end; True when a callback asks to stop.

        `attributes` returns the fitted attributes were training to end now; None: no fitted
        estimator can be made yet.
        """
        return self.context is not None and self.context.call_on_fit_task_end(
            **self.arguments, reconstruction_attributes=attributes
        )


def fit_monitor(estimator, given, in_parallel=False):
    """The monitor of a fit, which does nothing where neither user nor callbacks follow it.

    See :class:`FitMonitor`, also for `given`; `in_parallel`: whether networks are.
    """
    outer, _ = getattr(estimator, "_outer", None) or (NullMonitor(), None)
    # Autoencoders inside may report their epochs, by a parameter of their own.
    reporting = (estimator, getattr(estimator, "estimator", None))
    is_verbose = any(getattr(each, "verbose", 0) for each in reporting)
    if is_verbose or hasattr(estimator, "_skl_callbacks") or outer.is_followed:
        return FitMonitor(estimator, given, in_parallel, is_verbose)
    return NullMonitor()


class NullMonitor:
    """Monitor of a fit that nobody follows: see :class:`FitMonitor`."""

    is_followed = False
    attributes_of = None

    def _ignore(self, *_):
        return False

    open = open_networks = begin = end = close = finish = _ignore


class FitMonitor:
    """Reports each epoch of a fit to the user and to callbacks.

    Its clock, and those of callbacks, run from when it is made: at the start of `fit`. `given`
    is what `fit` was given: X, y, target and sample_weight. The epochs are those of an
    autoencoder, after `open`, or of several networks, after `open_networks`. If another
    estimator holds the autoencoder (see `fit_network`), they are reported to that one as well.
    """

    def __init__(self, estimator, given, in_parallel=False, is_verbose=False):
        self.estimator = estimator
        self.is_verbose = is_verbose  # the estimator, or the autoencoders that it holds
        self.began = time.monotonic()
        # Tasks: the fit, and its current network and epoch.
        self.fit = self.network = self.epoch = FitTask()
        # The same network and epoch in the estimator that holds this one.
        self.outer_network = self.outer_epoch = FitTask()
        # Without callbacks there is no order in which networks must be trained.
        self.is_followed = hasattr(estimator, "_skl_callbacks")
        if self.is_followed:
            X, y, target, weight = given
            # Callbacks that score without labels get what the networks learn to output.
            y = next((each for each in (y, target) if each is not None), X)
            metadata = {} if weight is None else {"sample_weight": weight}
            context = estimator._init_callback_context(
                max_subtasks=None, sequential_subtasks=not in_parallel
            )
            arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
            self.fit = FitTask(context, arguments)
        self.progress = None
        self.training = None  # the current training run
        self.has_networks = False
        self.n_before = 0
        self.names = [""]
        self.terms = {"unit": 1.0}
        # Returns the fitted attributes were training to end now; set for each training run.
        self.attributes_of = None

    def open(self, start, n_epochs):
        """Begin the fit of an autoencoder from a :class:`Start`."""
        self.n_before = start.history.n_iter
        if start.random_rng is not None:
            self.names = ["PCA start", "random start"]
        self.terms = {"unit": start.model.unit}
        if self.estimator.verbose:
            self.terms |= _progress_terms(start)
        n_epochs *= len(self.names)
        self.fit.begin(n_epochs)
        monitor, position = self.estimator._outer or (None, None)
        if monitor is not None and monitor.is_followed:
            self.outer_network = monitor.fit.subtask("network", n_epochs, position)

    def open_networks(self, n_networks):
        """Begin the fit of so many networks, none of which can do without the others."""
        self.has_networks = True
        if n_networks > 1:
            self.names = [f"network {i + 1} of {n_networks}" for i in range(n_networks)]
        self.fit.begin(n_networks)

    def begin(self, training):
        """Report the beginning of an epoch."""
        if self.estimator.verbose and self.progress is None:
            self.progress = self._new_progress()
        if self.progress is not None:
            self.progress.begin(training)
        if self.has_networks and training is not self.training:
            self.network.end()
            self.training = training
            self.network = self.fit.subtask("network", training.max_iter)
        task = self.network if self.has_networks else self.fit
        self.epoch = task.subtask("epoch")
        self.outer_epoch = self.outer_network.subtask("epoch")

    def _new_progress(self):
        from skae.training._progress import Progress, ProgressFormat

        is_long = int(getattr(self.estimator, "verbose", 0)) > 1
        return Progress(is_long, self.names, ProgressFormat(**self.terms))

    def end(self, training):
        """Report the end of an epoch; True when a callback asks to stop."""
        attributes = None if self.has_networks else lambda: self.attributes_of(training)
        stops = self.epoch.end(attributes)
        stops = self.outer_epoch.end() or stops
        if self.progress is not None:
            self.progress.end(training)
        return stops

    def close(self, training):
        """Report the end of a training run, by an error too."""
        if self.progress is not None:
            self.progress.close()

    def finish(self):
        """Report the end of the fit, once the estimator has its attributes."""
        self.network.end()
        fitted = self.estimator
        if self.has_networks:
            if self.is_verbose:
                progress = self.progress or self._new_progress()
                losses = getattr(fitted, "loss_curve_", None)
                progress.finish_networks(losses, time.monotonic() - self.began)
        elif self.progress is not None:
            run = len(self.names) == 2 and fitted.init_ == "random"
            epoch = fitted.best_iter_ - self.n_before
            seconds = time.monotonic() - self.began
            ending = ENDINGS.get(fitted.stop_reason_)
            if ending is None:
                progress = ", not converged" * reached_max_iter(fitted)
                ending = f"stopped at max_iter={fitted.max_iter}{progress}"
            self.progress.finish(int(run), epoch, seconds, ending)
        self.fit.end(dict)
        self.outer_network.end()


def _progress_terms(start):
    """In which terms progress lines report losses, as arguments of `ProgressFormat`."""
    model, validation, network = start.model, start.validation, start.model.network
    spread = None if validation is None else model.loss_of_mean(validation)
    # Of a few rows none are held out, and all of them validate.
    held_out = validation is None or len(validation) < len(start.rows)
    # The label of the initialization; empty for random weights.
    label = "start"
    if spread is not None and not start.history.n_iter:
        if not start.is_linear:
            label = ""
        elif (
            network.has_linear_code
            and network.output_activation == "linear"
            and model.corruption is None
            and start.rows.has_own_targets
        ):
            label = "PCA"
    return {
        "spread": spread,
        "baseline": label,
        "rows": "held-out" if held_out else "training",
        "n_parts": model.n_reported,
    }


def warn_or_raise(training, has_start, result=None):
    """Warn or raise where training was interrupted or diverged.

    With `has_start` the initialization, or an earlier fit, is kept where no epoch is; `result`
    names what is kept instead of the network of the best epoch.
    """
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


def fit_network(autoencoder, X, sample_weight, monitor, position=None):
    """Fit one of the autoencoders in an estimator, whose monitor reports its epochs.

    :func:`warn_at_max_iter` warns once for all of them.
    """
    autoencoder._outer = monitor, position
    try:
        return autoencoder.fit(X, sample_weight=sample_weight)
    finally:
        del autoencoder._outer


def reached_max_iter(estimator):
    """True if training ended at `max_iter`, and not on purpose, as it does without `tol`."""
    return estimator.stop_reason_ == "max_iter" and estimator.tol is not None


def warn_at_max_iter(max_iter, where=""):
    """Warn that training reached `max_iter`, in the estimators that `where` names."""
    warn_user(
        f"Maximum epochs (max_iter={max_iter}) reached and the optimization hasn't converged "
        f"yet{where}. Increase max_iter, or set tol=None to train for max_iter epochs without "
        'this warning: "Did it converge?" in the user guide.',
        ConvergenceWarning,
    )
