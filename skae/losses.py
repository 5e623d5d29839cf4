"""Reconstruction losses: one value per sample, defined once.

Each loss is written against the functions that NumPy and `keras.ops` share, so that the
network is trained on exactly what `score_samples` returns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Elementwise = Callable[[Any, Any, Any], Any]

_HUBER_DELTA = 1.0
_EPSILON = 1e-7


def _squared_error(xp: Any, target: Any, output: Any) -> Any:
    return xp.square(output - target)


def _absolute_error(xp: Any, target: Any, output: Any) -> Any:
    return xp.abs(output - target)


def _huber(xp: Any, target: Any, output: Any) -> Any:
    # With m = min(|r|, delta): m * (|r| - m / 2) is r^2 / 2 inside and linear outside.
    error = xp.abs(output - target)
    inside = xp.minimum(error, _HUBER_DELTA)
    return inside * (error - 0.5 * inside)


def _binary_crossentropy(xp: Any, target: Any, output: Any) -> Any:
    # Added rather than clipped: a saturated wrong output still gets a gradient.
    return -(target * xp.log(output + _EPSILON) + (1 - target) * xp.log(1 - output + _EPSILON))


@dataclass(frozen=True)
class Loss:
    """A reconstruction loss.

    Parameters
    ----------
    name : str
        What the user calls it.

    elementwise : callable
        ``elementwise(xp, target, output)`` gives one value per entry; `xp` is `numpy`
        or `keras.ops`.

    power : int
        How the loss scales with the unit of the data: data measured in a unit `u` times
        smaller have a loss ``u ** power`` times larger.

    bounded : bool
        Whether targets must lie in [0, 1].
    """

    name: str
    elementwise: Elementwise
    power: int = 0
    bounded: bool = False

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Mean over all axes but the first: an array of shape (n_samples,)."""
        values = self.elementwise(xp, target, output)
        return xp.mean(values, axis=tuple(range(1, len(values.shape))))


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("squared_error", _squared_error, power=2),
        Loss("absolute_error", _absolute_error, power=1),
        Loss("huber", _huber, power=2),
        Loss("binary_crossentropy", _binary_crossentropy, bounded=True),
    )
}
