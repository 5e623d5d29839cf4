"""Learning rates of epochs and the end of training, from the losses so far."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Learning rates at the beginning and at the end of an epoch; None: those of the optimizer.
Rates = tuple[float, float] | None

# Losses are averaged over so many epochs, as they jump at a high learning rate.
_WINDOW = 4

# So many epochs in a row without progress end the high rate.
_IN_A_ROW = 3

# Epochs in which the rate rises, and the share of all epochs in which it falls.
_RISE = 2
_FALLING = 0.3

# Typical number of epochs where a rate is held.
_TYPICAL_EPOCHS = 40

# The loss from a second initialization may at first be larger by so many times the progress
# that counts; where the rate of the first began to fall it must not.
_TOLERANCE = 2.5


@dataclass(frozen=True)
class Stopping:
    """The end of training.

    Parameters
    ----------
    max_iter : int
        Epochs at most.

    n_iter_no_change : int
        Epochs without progress after which training stops, or its learning rate falls.

    tol : float or None
        Progress that counts, in the unit of the loss; None: never stop early.

    keep_best : bool
        Whether the result is the best epoch, or the last.

    rate : float or None
        A learning rate that is held while there is progress and then falls to zero; None:
        that of the optimizer.

    share : float
        Where a rate is held, the share of the loss that counts as progress, if more than
        `tol`.
    """

    max_iter: int
    n_iter_no_change: int
    tol: float | None
    keep_best: bool
    rate: float | None = None
    share: float = 0.0

    def schedule(self, start: float) -> "Schedule":
        """The schedule of a training run with this initial loss."""
        kind: type[Schedule] = EarlyStopping if self.rate is None else WarmupStableDecay
        return kind(self, start)

    @property
    def likely_epochs(self) -> int:
        """Expected number of epochs."""
        return self.max_iter if self.rate is None else min(self.max_iter, _TYPICAL_EPOCHS)

    def progress(self, loss: float) -> float:
        """Decrease of a loss that counts."""
        return max(self.tol or 0.0, self.share * abs(loss))

    def is_hopeless(self, curve: Sequence[float], first: Sequence[float]) -> bool:
        """True if training from a second initialization is too far behind the first.

        Parameters
        ----------
        curve : sequence of float
            Losses after each epoch from the second initialization.

        first : sequence of float
            Those from the first, as long as its rate was held.
        """
        n = len(curve)
        if self.tol is None or not self.n_iter_no_change + _WINDOW <= n <= len(first):
            return False
        loss = float(np.mean(first[n - _WINDOW : n]))
        tolerance = _TOLERANCE * (1 - n / len(first)) * self.progress(loss)
        return float(np.mean(curve[-_WINDOW:])) > loss + tolerance


class Schedule(ABC):
    """Learning rates and the end of a training run.

    Parameters
    ----------
    stopping : Stopping
        Parameters.

    start : float
        The loss before the first epoch; infinite without validation rows.

    Attributes
    ----------
    curve : list of float
        The loss after each epoch.

    n_held : int
        Number of epochs before the rate begins to fall.
    """

    n_held = 0

    def __init__(self, stopping: Stopping, start: float) -> None:
        self.stopping = stopping
        self.start = start
        self.curve: list[float] = []

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """Learning rates of the next epoch."""

    @property
    @abstractmethod
    def has_converged(self) -> bool:
        """True once the loss has made no progress for `n_iter_no_change` epochs."""

    def update(self, loss: float) -> bool:
        """Append the loss of an epoch; True ends training."""
        self.curve.append(loss)
        return self._is_over()

    @abstractmethod
    def _is_over(self) -> bool:
        """True if training ends with the last epoch."""


class EarlyStopping(Schedule):
    """The optimizer's learning rate, until the loss no longer falls."""

    rates: Rates = None

    def __init__(self, stopping: Stopping, start: float) -> None:
        super().__init__(stopping, start)
        self._milestone, self._waited = start, 0

    @property
    def has_converged(self) -> bool:
        """True once the loss has made no progress for `n_iter_no_change` epochs."""
        return self._waited >= self.stopping.n_iter_no_change

    def _is_over(self) -> bool:
        if self.stopping.tol is None:
            return False
        self._waited += 1
        if self.curve[-1] < self._milestone - self.stopping.tol:
            self._milestone, self._waited = self.curve[-1], 0
        return self.has_converged


class WarmupStableDecay(Schedule):
    """A high learning rate while there is progress, which then falls to zero.

    It rises for the first two epochs or tenth of `max_iter`. Once the loss makes no progress,
    or `max_iter` is near, it falls, in three epochs for every seven before.
    """

    _n_slow = _n_falling = 0

    @property
    def rates(self) -> Rates:
        """Learning rates of the next epoch."""
        rate, done = self.stopping.rate or 0.0, len(self.curve)
        if self._n_falling:
            n, n_left = self._n_falling, self.n_held + self._n_falling - done
            return rate * n_left / n, rate * (n_left - 1) / n
        rise = min(_RISE, self.stopping.max_iter / 10)
        return rate * min(done / rise, 1), rate * min((done + 1) / rise, 1)

    @property
    def has_converged(self) -> bool:
        """False where the rate had to fall because `max_iter` was near."""
        return self._n_slow == _IN_A_ROW

    def _is_over(self) -> bool:
        done, most = len(self.curve), self.stopping.max_iter
        if self._n_falling:
            return done >= self.n_held + self._n_falling
        self.n_held = done
        self._n_slow = self._n_slow + 1 if self._is_slow() else 0
        if self._n_slow == _IN_A_ROW or done >= most * (1 - _FALLING):
            self._n_falling = min(round(done * _FALLING / (1 - _FALLING)), most - done)
        return False

    def _is_slow(self) -> bool:
        """True if the loss is not lower than the best of `n_iter_no_change` epochs before."""
        n = self.stopping.n_iter_no_change
        if self.stopping.tol is None or len(self.curve) < n + _WINDOW:
            return False
        means = np.convolve(self.curve, np.full(_WINDOW, 1 / _WINDOW), mode="valid")
        before = float(means[:-n].min())
        return bool(means[-1] > before - self.stopping.progress(before))
