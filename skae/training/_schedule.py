"""How fast an epoch learns, and when training ends: told of each epoch how it went."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Learning rates at the beginning and at the end of an epoch; None: as the optimizer says.
Rates = tuple[float, float] | None

# A loss is judged by its mean over so many epochs, as it jumps at a high learning rate.
_WINDOW = 4

# After so many epochs in a row without progress there is none.
_IN_A_ROW = 3

# Epochs in which the rate rises, and the share of all epochs in which it falls.
_RISE = 2
_FALLING = 0.3

# How many epochs training takes where a rate is held, about.
_USUAL = 40

# By how many times what counts as progress a second start may lag at first; where the rate
# of the first began to fall it must have caught up.
_LAG = 2.5


@dataclass(frozen=True)
class Stopping:
    """When training ends.

    Parameters
    ----------
    max_iter : int
        Epochs at most.

    n_iter_no_change : int
        Epochs without progress after which training stops, or its learning rate falls.

    tol : float or None
        What counts as progress, in the unit of the loss; None: never stop early.

    keep_best : bool
        Whether the best epoch is kept, or the last.

    rate : float or None
        A learning rate that is held as long as there is progress and then falls to zero;
        None: that of the optimizer.

    share : float
        Where a rate is held, the share of the loss that counts as progress, if that is
        more than `tol`.
    """

    max_iter: int
    n_iter_no_change: int
    tol: float | None
    keep_best: bool
    rate: float | None = None
    share: float = 0.0

    def pace(self, start: float) -> "Schedule":
        """The pace of one training that starts at this loss."""
        return (
            EarlyStopping(self, start) if self.rate is None else WarmupStableDecay(self, start)
        )

    @property
    def likely_epochs(self) -> int:
        """How many epochs there may be, about."""
        return self.max_iter if self.rate is None else min(self.max_iter, _USUAL)

    def progress(self, loss: float) -> float:
        """By how much a loss must fall for that to count."""
        return max(self.tol or 0.0, self.share * abs(loss))

    def lags(self, curve: Sequence[float], first: Sequence[float]) -> bool:
        """Whether a second start is so far behind the first that it may be given up.

        Parameters
        ----------
        curve : sequence of float
            Losses of the second start after each epoch.

        first : sequence of float
            Those of the first start, as long as its rate was held.
        """
        n = len(curve)
        if self.tol is None or not self.n_iter_no_change + _WINDOW <= n <= len(first):
            return False
        theirs = float(np.mean(first[n - _WINDOW : n]))
        may_lag = _LAG * (1 - n / len(first)) * self.progress(theirs)
        return float(np.mean(curve[-_WINDOW:])) > theirs + may_lag


class Schedule(ABC):
    """The learning rates of a training and its end.

    Parameters
    ----------
    stopping : Stopping
        What was asked for.

    start : float
        The loss before the first epoch; infinite where there are no rows to judge by.

    Attributes
    ----------
    curve : list of float
        The loss after each epoch.

    n_held : int
        For how many epochs the rate has not begun to fall.
    """

    n_held = 0

    def __init__(self, stopping: Stopping, start: float) -> None:
        self.stopping = stopping
        self.start = start
        self.curve: list[float] = []

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """Of the next epoch."""

    @property
    @abstractmethod
    def has_converged(self) -> bool:
        """True once the loss has made no progress for `n_iter_no_change` epochs."""

    def ends(self, loss: float) -> bool:
        """Take note of the loss after an epoch; whether training ends with it."""
        self.curve.append(loss)
        return self._ends()

    @abstractmethod
    def _ends(self) -> bool:
        """Whether training ends with the epoch that was noted last."""


class EarlyStopping(Schedule):
    """The optimizer's own rate, until the loss no longer falls."""

    rates: Rates = None

    def __init__(self, stopping: Stopping, start: float) -> None:
        super().__init__(stopping, start)
        self._milestone, self._waited = start, 0

    @property
    def has_converged(self) -> bool:
        """True once the loss has made no progress for `n_iter_no_change` epochs."""
        return self._waited >= self.stopping.n_iter_no_change

    def _ends(self) -> bool:
        if self.stopping.tol is None:
            return False
        self._waited += 1
        if self.curve[-1] < self._milestone - self.stopping.tol:
            self._milestone, self._waited = self.curve[-1], 0
        return self.has_converged


class WarmupStableDecay(Schedule):
    """A high rate as long as there is progress, and then one that falls to zero.

    It rises first, for two epochs or a tenth of all there may be. Once the loss is hardly
    less than some epochs before, or when no more epochs are left, it falls, in three epochs
    for every seven before.
    """

    _n_slow = _n_falling = 0

    @property
    def rates(self) -> Rates:
        """Of the next epoch."""
        rate, done = self.stopping.rate or 0.0, len(self.curve)
        if self._n_falling:
            left = self.n_held + self._n_falling - done
            return rate * left / self._n_falling, rate * (left - 1) / self._n_falling
        rise = min(_RISE, self.stopping.max_iter / 10)
        return rate * min(done / rise, 1), rate * min((done + 1) / rise, 1)

    @property
    def has_converged(self) -> bool:
        """False where the rate had to fall because `max_iter` was near."""
        return self._n_slow == _IN_A_ROW

    def _ends(self) -> bool:
        done, most = len(self.curve), self.stopping.max_iter
        if self._n_falling:
            return done >= self.n_held + self._n_falling
        self.n_held = done
        self._n_slow = self._n_slow + 1 if self._is_slow() else 0
        if self._n_slow == _IN_A_ROW or done >= most * (1 - _FALLING):
            self._n_falling = min(round(done * _FALLING / (1 - _FALLING)), most - done)
        return False

    def _is_slow(self) -> bool:
        """Whether the loss is hardly less than at best so many epochs ago."""
        lag = self.stopping.n_iter_no_change
        if self.stopping.tol is None or len(self.curve) < lag + _WINDOW:
            return False
        means = np.convolve(self.curve, np.full(_WINDOW, 1 / _WINDOW), mode="valid")
        before = float(means[:-lag].min())
        return bool(means[-1] > before - self.stopping.progress(before))
