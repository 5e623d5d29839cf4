"""Reconstruction losses that compare entry by entry, or row by row.

Each loss is written against the functions that NumPy and `keras.ops` share, so that the
network is trained on exactly what `score_samples` returns.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

EntryLoss = Callable[[Any, Any, Any], Any]

_HUBER_DELTA = 1.0
_EPSILON = 1e-7


def squared_error(xp: Any, target: Any, output: Any) -> Any:
    """Square of the difference."""
    return xp.square(output - target)


def absolute_error(xp: Any, target: Any, output: Any) -> Any:
    """Magnitude of the difference."""
    return xp.abs(output - target)


def huber(xp: Any, target: Any, output: Any) -> Any:
    """Half the square of the difference up to one, linear above."""
    # With m = min(|r|, delta): m * (|r| - m / 2) is r^2 / 2 inside and linear outside.
    error = xp.abs(output - target)
    inside = xp.minimum(error, _HUBER_DELTA)
    return inside * (error - 0.5 * inside)


def binary_crossentropy(xp: Any, target: Any, output: Any) -> Any:
    """Minus the log-likelihood of a bit with probability `output`."""
    # Added rather than clipped: a saturated wrong output still gets a gradient.
    return -(target * xp.log(output + _EPSILON) + (1 - target) * xp.log(1 - output + _EPSILON))


class Loss(ABC):
    """What is compared between a target and an output.

    Attributes
    ----------
    power : int
        How the loss scales with the unit of the data: data measured in a unit `u` times
        smaller have a loss ``u ** power`` times larger.

    bounded : bool
        Whether targets and outputs must lie in [0, 1].
    """

    power: int = 0
    bounded: bool = False

    @abstractmethod
    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """One value per row.

        Parameters
        ----------
        xp : module
            `numpy` or `keras.ops`.

        target, output : array of shape (n_samples, n_outputs)
            What should have been said, and what was.

        Returns
        -------
        array of shape (n_samples,)
        """


@dataclass(frozen=True)
class EntrywiseLoss(Loss):
    """Mean over the entries of a row.

    Parameters
    ----------
    entry : callable
        ``entry(xp, target, output)`` gives one value per entry.

    power : int
        See :class:`Loss`.

    bounded : bool
        See :class:`Loss`.
    """

    entry: EntryLoss
    power: int = 0
    bounded: bool = False

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Mean over all axes but the first."""
        values = self.entry(xp, target, output)
        return xp.mean(values, axis=tuple(range(1, len(values.shape))))


@dataclass(frozen=True)
class ObservedLoss(Loss):
    """A loss over the observed values of a row: a target that is NaN does not count.

    Parameters
    ----------
    loss : Loss
        A mean over entries becomes one over the observed entries. In any other loss the
        output takes the place of a missing target.
    """

    loss: Loss

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """One value per row; 0 for a row without an observed value."""
        missing = xp.isnan(target)
        target = xp.where(missing, output, target)
        if not isinstance(self.loss, EntrywiseLoss):
            return self.loss.per_sample(xp, target, output)
        observed = xp.where(missing, xp.zeros_like(target), xp.ones_like(target))
        axes = tuple(range(1, len(target.shape)))
        total = xp.sum(observed * self.loss.entry(xp, target, output), axis=axes)
        return total / xp.maximum(xp.sum(observed, axis=axes), 1)


@dataclass(frozen=True)
class CosineLoss(Loss):
    """One minus the cosine of the angle between target and output, both centred."""

    epsilon: ClassVar[float] = 1e-12

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Between 0, the same direction, and 2, the opposite one."""
        dot = xp.sum(target * output, axis=1)
        norms = xp.sum(xp.square(target), axis=1) * xp.sum(xp.square(output), axis=1)
        return 1 - dot / xp.sqrt(norms + self.epsilon)
