"""The loop over epochs: the best epoch, the end of training, reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from skae.training._engine import Arrays, Engine, Snapshot
from skae.training._schedule import Stopping

Ending = Literal["max_iter", "converged", "behind", "callback", "diverged", "interrupted"]


@dataclass
class Training:
    """Result of a training run.

    Attributes
    ----------
    best : tuple of lists
        Snapshot of the best epoch, as the backend holds it.

    unpack : callable
        Returns weights and statistics of a snapshot.

    best_iter : int
        The best epoch; 0 is the initialization.

    parts, validation_parts : list of ndarray of shape (n_parts,)
        Parts of the mean losses, one array an epoch; `validation_parts` begins with those of
        the initialization.

    ending : str
        Why training ended.

    n_held : int
        Epochs before the learning rate began to fall, where it does.

    optimizer_state : list of ndarray
        For a warm start.

    max_iter : int
        Largest number of epochs.

    seconds : float
        Duration, with compilation.
    """

    best: Snapshot
    unpack: Callable[[Snapshot], tuple[Arrays, Arrays]]
    best_iter: int = 0
    parts: Arrays = field(default_factory=list)
    validation_parts: Arrays = field(default_factory=list)
    ending: Ending = "max_iter"
    n_held: int = 0
    optimizer_state: Arrays = field(default_factory=list)
    max_iter: int = 0
    seconds: float = 0.0

    @property
    def weights(self) -> Arrays:
        """Weights of the best epoch."""
        return self.unpack(self.best)[0]

    @property
    def statistics(self) -> Arrays:
        """Moving statistics of the best epoch."""
        return self.unpack(self.best)[1]

    @property
    def loss_curve(self) -> list[float]:
        """Mean training loss of each epoch."""
        return [float(parts.sum()) for parts in self.parts]

    @property
    def validation_curve(self) -> list[float]:
        """Mean validation loss: of the initialization, then of each epoch."""
        return [float(parts.sum()) for parts in self.validation_parts]


class Monitor(Protocol):
    """Callbacks of a training run."""

    def begin(self) -> None:
        """Before an epoch."""

    def end(self, training: Training) -> bool:
        """After an epoch; True stops training."""

    def close(self, training: Training) -> None:
        """When training has ended, by an error too."""


def run(
    engine: Engine,
    n_rows: int,
    stopping: Stopping,
    rng: np.random.RandomState,
    monitor: Monitor,
    first: Sequence[float] = (),
) -> Training:
    """Train an engine that has weights and data.

    Parameters
    ----------
    engine : Engine
        After `load` and `put`.

    n_rows : int
        Number of training rows.

    stopping : Stopping
        The end of training.

    rng : RandomState
        Shuffles the rows.

    monitor : Monitor
        Called around each epoch; may stop training.

    first : sequence of float
        Losses after each epoch from another initialization: training that is far behind
        ends.

    Returns
    -------
    Training
        A loss that is not finite or a KeyboardInterrupt ends training with the best epoch
        until then.
    """
    training = Training(engine.snapshot(), engine.unpacked, max_iter=stopping.max_iter)
    validated = engine.has_validation
    order = np.zeros(engine.epoch_length, np.int32)
    _, start = engine.epoch(order, 0)
    training.validation_parts.append(start)
    best = start.sum() if validated else np.inf
    schedule = stopping.schedule(best)
    try:
        for epoch in range(1, stopping.max_iter + 1):
            monitor.begin()
            order = engine.order(rng, n_rows)
            loss, validation = engine.epoch(order, n_rows, schedule.rates)
            monitored = (validation if validated else loss).sum()
            if not np.isfinite(loss.sum() + monitored):
                training.ending = "diverged"
                break
            training.parts.append(loss)
            training.validation_parts.append(validation)
            if monitored < best or not stopping.keep_best:
                best = monitored
                training.best_iter = epoch
                training.best = engine.snapshot()
            if monitor.end(training):
                training.ending = "callback"
                break
            if schedule.update(monitored):
                training.ending = "converged" if schedule.has_converged else "max_iter"
                break
            if stopping.is_hopeless(schedule.curve, first):
                training.ending = "behind"
                break
    except KeyboardInterrupt:
        training.ending = "interrupted"
    finally:
        monitor.close(training)
    training.n_held = schedule.n_held
    training.optimizer_state = engine.optimizer_state()
    return training
