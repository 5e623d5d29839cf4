"""What is told about a fit: its epochs, to the user and to callbacks, and how it ended."""

import warnings

from sklearn.exceptions import ConvergenceWarning

from skae.utils._sklearn import CallbackSupportMixin


class FitMonitor:
    """Tells the user and the callbacks of an estimator about each epoch.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.

    rows : Rows
        What it is fitted on.

    y : array-like or None
        Callbacks that score are given the target of the rows where there is no `y`,
        since that is what an autoencoder learns.

    fitted_attributes : callable
        ``fitted_attributes(training)``: the attributes the estimator would have, had
        training ended now.

    n_epochs : int
        Epochs at most.
    """

    def __init__(self, estimator, rows, y, fitted_attributes, n_epochs):
        self.estimator = estimator
        self.fitted_attributes = fitted_attributes
        self.context = self.epoch = None
        if isinstance(estimator, CallbackSupportMixin) and hasattr(
            estimator, "_init_callback_context"
        ):
            self.fit_data = {
                "X": rows.inputs,
                "y": rows.outputs if y is None else y,
                "metadata": {} if rows.weight is None else {"sample_weight": rows.weight},
            }
            self.context = estimator._init_callback_context(max_subtasks=n_epochs)
            self.context.call_on_fit_task_begin(estimator=estimator, **self.fit_data)

    def begin(self):
        """Before an epoch."""
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.fit_data)

    def end(self, training):
        """After an epoch; True when a callback asks to stop."""
        if self.estimator.verbose:
            from skae.training import report

            report(training, self.estimator._unit)
        return self._told(self.epoch, lambda: self.fitted_attributes(training))

    def finish(self):
        """When the estimator has what it keeps."""
        self._told(self.context, dict)

    def _told(self, context, attributes):
        return context is not None and context.call_on_fit_task_end(
            estimator=self.estimator, **self.fit_data, reconstruction_attributes=attributes
        )


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
