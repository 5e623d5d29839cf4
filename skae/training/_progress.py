"""The one module that prints."""

import math

from skae.training._loop import Training


def report(training: Training, unit: float) -> None:
    """Print one line about the last epoch.

    Parameters
    ----------
    training : Training
        What happened so far.

    unit : float
        What the losses are multiplied with.
    """
    loss, validation = training.loss_curve[-1] * unit, training.validation_curve[-1] * unit
    line = f"Iteration {len(training.loss_curve)}, loss = {loss:.6f}"
    if math.isfinite(validation):
        line += f", validation loss = {validation:.6f}"
    print(line)
