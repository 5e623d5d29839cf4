"""Optimizers by name or object, their learning rates, and the end of training."""

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from skae.networks._layers import values

# These update every weight by itself, so all weights may be one vector.
_ELEMENTWISE = (
    "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "RMSprop", "SGD"
)  # fmt: skip

#: One for all steps, a Keras schedule, or a function of an array of step numbers.
LearningRate = Any

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
TYPICAL_EPOCHS = 40


class Rate:
    """The learning rate of the current step, `value`, which an optimizer calls.

    The rates of the steps are data of the program: another rate, schedule or number of steps
    is not another program.
    """

    value: Any = 0.0

    def get_config(self) -> dict[str, Any]:
        """Nothing; part of Keras' protocol."""
        return {}

    def __call__(self) -> Any:
        return self.value


def make(optimizer: Any, rate: Rate, weight_decay: float = 0.0) -> Any:
    """A fresh Keras optimizer by name, or with an object's configuration, and with this rate.

    `weight_decay`, of an optimizer by name, is the share of the learning rate by which weights
    shrink in a step.
    """
    if not isinstance(optimizer, str):
        config = _readable(optimizer).get_config() | {"learning_rate": rate}
        return type(optimizer).from_config(config)
    for name, kind in vars(keras.optimizers).items():
        if name.lower() == optimizer and isinstance(kind, type):
            decay = {"weight_decay": weight_decay} if weight_decay else {}
            return kind(learning_rate=rate, **decay)
    raise ValueError(f"Keras {keras.__version__} has no optimizer {optimizer!r}.")


def stored(optimizer: Any) -> Any:
    """An optimizer object as plain values; one that is not of Keras with its class."""
    if not type(optimizer).__module__.startswith("keras."):
        return type(optimizer), _readable(optimizer).get_config()
    return described(optimizer)


def described(optimizer: Any) -> dict[str, Any]:
    """Keras' serialized form of an optimizer object."""
    config: dict[str, Any] = keras.saving.serialize_keras_object(_readable(optimizer))
    kind = type(optimizer)
    if kind.__module__.startswith("keras.") and hasattr(keras.optimizers, kind.__name__):
        # On PyTorch it is of a private class, of which the public one makes instances.
        config |= {"module": "keras.optimizers", "registered_name": None}
    return config


def restored(stored: Any) -> Any:
    """The inverse of `stored`: another object of the same configuration."""
    if isinstance(stored, tuple):
        kind, config = stored
        return kind.from_config(config)
    return keras.saving.deserialize_keras_object(stored)


def _readable(optimizer: Any) -> Any:
    """A copy whose rate is not a variable: NumPy warns of how Keras converts one."""
    twin = object.__new__(type(optimizer))
    vars(twin).update(vars(optimizer))
    rate = vars(twin).get("_learning_rate")
    if isinstance(rate, keras.Variable):
        vars(twin)["_learning_rate"] = keras.ops.convert_to_tensor(rate.value)
    return twin


def learning_rate_of(optimizer: Any) -> LearningRate:
    """The learning rate of an optimizer object."""
    # The public attribute is a schedule's rate of the next step.
    learning_rate = optimizer._learning_rate
    if isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        return learning_rate
    if callable(learning_rate):
        return lambda steps: np.full(len(steps), learning_rate(), np.float32)
    return float(values([learning_rate])[0])


def key(optimizer: Any, weight_decay: float) -> Hashable | None:
    """Equal for optimizers that compile to the same program; None if unknown."""
    if isinstance(optimizer, str):
        return optimizer, weight_decay
    config = _readable(optimizer).get_config()
    # Keras numbers names: adam, adam_1, ...
    del config["name"], config["learning_rate"]
    kind = type(optimizer)
    try:
        return json.dumps([kind.__module__, kind.__qualname__, config], sort_keys=True)
    except TypeError:
        return None


def is_elementwise(optimizer: Any) -> bool:
    """True if all weights may be one vector of the optimizer."""
    kind = type(optimizer)
    return (
        kind.__module__.startswith("keras.")
        and kind.__name__ in _ELEMENTWISE
        and optimizer.clipnorm is None
    )


@dataclass(frozen=True)
class Stopping:
    """The end of training.

    With a `rate`, this learning rate is held while there is progress and then falls to zero.
    Without, the optimizer's is taken, and training stops.
    """

    max_iter: int  # epochs at most
    n_iter_no_change: int  # epochs without progress until training stops, or the rate falls
    tol: float | None  # progress that counts, in the unit of the loss; None: never stop early
    keep_best: bool  # whether the result is the best epoch, or the last
    rate: float | None = None
    share: float = 0.0  # of the loss that counts as progress, if more than `tol`
    # Parts of an epoch, each of which is one to the schedule: many rows need fewer epochs.
    n_rounds: int = 1
    # The loss from a second initialization may at first be larger by so many times the progress
    # that counts, or must be smaller; where the rate of the first began to fall it must not be
    # larger.
    tolerance: float = 2.5

    def progress(self, loss: float) -> float:
        """Decrease of a loss that counts."""
        return max(self.tol or 0.0, self.share * abs(loss))

    def is_hopeless(self, curve: Sequence[float], first: Sequence[float]) -> bool:
        """True if training from a second initialization is too far behind the first.

        `curve` is its losses after each epoch, `first` those from the first initialization,
        as long as its rate was held.
        """
        n = len(curve)
        if self.tol is None or not self.n_iter_no_change + _WINDOW <= n <= len(first):
            return False
        loss = float(np.mean(first[n - _WINDOW : n]))
        tolerance = self.tolerance * (1 - n / len(first)) * self.progress(loss)
        return float(np.mean(curve[-_WINDOW:])) > loss + tolerance


@dataclass
class Schedule:
    """Learning rates and the end of a training run, whose loss is `best` at first.

    A rate of `stopping` rises for the first two epochs or tenth of `max_iter`. Once the loss
    makes no progress, or `max_iter` is near, it falls to zero, in three epochs for every seven
    before. Without one, training ends once the loss no longer falls.
    """

    stopping: Stopping
    best: float = np.inf  # the least loss, where no rate is held
    curve: list[float] = field(default_factory=list)  # the loss after each epoch
    n_held: int = 0  # epochs before the rate begins to fall
    # True once the loss has made no progress for `n_iter_no_change` epochs; False where the
    # rate had to fall because `max_iter` was near.
    has_converged: bool = False
    _n_slow: int = 0  # epochs without progress
    _n_falling: int = 0  # epochs in which the rate falls

    @property
    def rates(self) -> Rates:
        """Learning rates at the beginning and at the end of the next epoch."""
        rate, done = self.stopping.rate, len(self.curve)
        if rate is None:
            return None
        if self._n_falling:
            n, n_left = self._n_falling, self.n_held + self._n_falling - done
            return rate * n_left / n, rate * (n_left - 1) / n
        rise = min(_RISE, self.stopping.max_iter * self.stopping.n_rounds / 10)
        return rate * min(done / rise, 1), rate * min((done + 1) / rise, 1)

    def update(self, loss: float) -> bool:
        """Append the loss of an epoch; True ends training."""
        self.curve.append(loss)
        stopping, done = self.stopping, len(self.curve)
        n, most = stopping.n_iter_no_change, stopping.max_iter * stopping.n_rounds
        if stopping.rate is None:
            if stopping.tol is not None:
                self._n_slow += 1
                if loss < self.best - stopping.tol:
                    self.best, self._n_slow = loss, 0
                self.has_converged = self._n_slow >= n
            return self.has_converged
        if self._n_falling:
            return done >= self.n_held + self._n_falling
        self.n_held = done
        # Slow is a loss that is not lower than the best of `n` epochs before.
        is_slow = False
        if stopping.tol is not None and done >= n + _WINDOW:
            means = np.convolve(self.curve, np.full(_WINDOW, 1 / _WINDOW), mode="valid")
            before = float(means[:-n].min())
            is_slow = means[-1] > before - stopping.progress(before)
        self._n_slow = self._n_slow + 1 if is_slow else 0
        self.has_converged = self._n_slow == _IN_A_ROW
        if self.has_converged or done >= most * (1 - _FALLING):
            self._n_falling = min(round(done * _FALLING / (1 - _FALLING)), most - done)
        return False
