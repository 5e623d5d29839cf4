"""The one module that prints."""

import math

from skae.training._loop import Training


def report(training: Training) -> None:
    """Print one line about the last epoch.

    Parameters
    ----------
    training : Training
        What happened so far.
    """
    line = f"Iteration {len(training.loss_curve)}, loss = {training.loss_curve[-1]:.6f}"
    if math.isfinite(training.validation_curve[-1]):
        line += f", validation loss = {training.validation_curve[-1]:.6f}"
    print(line)
