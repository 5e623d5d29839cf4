"""From epoch to epoch: what is best, when to stop, what to report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from skae.training._engine import Arrays, Engine, Snapshot
from skae.training._schedule import Stopping

Ending = Literal["max_iter", "converged", "behind", "callback", "diverged", "interrupted"]


@dataclass
class Training:
    """What training left.

    Attributes
    ----------
    kept : tuple of lists
        Snapshot of the epoch that was kept, as the backend holds it.

    unpack : callable
        Makes weights and statistics of a snapshot.

    weights, statistics : list of ndarray
        The model's weights and its moving statistics, of the epoch that was kept.

    best_iter : int
        The epoch that was kept; 0 is the start.

    parts, validation_parts : list of ndarray of shape (n_parts,)
        The parts of the mean losses, one array an epoch; `validation_parts` begins with
        the start.

    loss_curve, validation_curve : list of float
        What the parts add up to.

    ending : str
        Why training ended.

    n_held : int
        Epochs before the learning rate began to fall, where it does.

    optimizer_state : list of ndarray
        For training that goes on.

    max_iter : int
        Epochs that there could have been.

    seconds : float
        What it took, compilation included.
    """

    kept: Snapshot
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
        """Weights of the epoch that was kept."""
        return self.unpack(self.kept)[0]

    @property
    def statistics(self) -> Arrays:
        """Moving statistics of the epoch that was kept."""
        return self.unpack(self.kept)[1]

    @property
    def loss_curve(self) -> list[float]:
        """Mean training loss of each epoch."""
        return [float(parts.sum()) for parts in self.parts]

    @property
    def validation_curve(self) -> list[float]:
        """Mean loss on the rows to judge by: of the start, then of each epoch."""
        return [float(parts.sum()) for parts in self.validation_parts]


class Monitor(Protocol):
    """Told of each epoch."""

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
    """Train an engine that was loaded and given data.

    Parameters
    ----------
    engine : Engine
        The engine.

    n_rows : int
        Number of training rows.

    stopping : Stopping
        When to end.

    rng : RandomState
        Shuffles the rows.

    monitor : Monitor
        Told of each epoch; may stop training.

    first : sequence of float
        Losses after each epoch of another start: where this one is far behind, training
        ends.

    Returns
    -------
    Training
        What was kept. A loss that is no longer finite or a KeyboardInterrupt ends
        training with what was best until then.
    """
    training = Training(engine.snapshot(), engine.unpacked, max_iter=stopping.max_iter)
    validated = engine.has_validation
    order = np.zeros(engine.epoch_length, np.int32)
    _, start = engine.epoch(order, 0)
    training.validation_parts.append(start)
    best = start.sum() if validated else np.inf
    pace = stopping.pace(best)
    try:
        for epoch in range(1, stopping.max_iter + 1):
            monitor.begin()
            order = engine.order(rng, n_rows)
            loss, validation = engine.epoch(order, n_rows, pace.rates)
            judged = (validation if validated else loss).sum()
            if not np.isfinite(loss.sum() + judged):
                training.ending = "diverged"
                break
            training.parts.append(loss)
            training.validation_parts.append(validation)
            if judged < best or not stopping.keep_best:
                best = judged
                training.best_iter = epoch
                training.kept = engine.snapshot()
            if monitor.end(training):
                training.ending = "callback"
                break
            if pace.ends(judged):
                training.ending = "converged" if pace.has_converged else "max_iter"
                break
            if stopping.lags(pace.curve, first):
                training.ending = "behind"
                break
    except KeyboardInterrupt:
        training.ending = "interrupted"
    finally:
        monitor.close(training)
    training.n_held = pace.n_held
    training.optimizer_state = engine.optimizer_state()
    return training
