"""Keras optimizers by name or object, and the keys by which they share a compilation."""

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from skae.networks._layers import values

# These update every weight by itself, so all weights may be one vector.
_ELEMENTWISE = (
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "RMSprop",
    "SGD",
)


#: One for all steps, a Keras schedule, or a function of an array of step numbers.
LearningRate = Any


class Rate:
    """The learning rate of the current step, which an optimizer calls.

    The rates of the steps are data of the program: another rate, schedule or number of steps
    is not another program.
    """

    def __init__(self) -> None:
        self._value: Any = 0.0

    def get_config(self) -> dict[str, Any]:
        """Nothing; part of Keras' protocol."""
        return {}

    def __call__(self) -> Any:
        """The learning rate of the current step."""
        return self._value

    @contextmanager
    def at(self, value: Any) -> Iterator[None]:
        """Set the learning rate for the time of a step."""
        self._value = value
        try:
            yield
        finally:
            self._value = 0.0


def make(optimizer: Any, rate: Rate, weight_decay: float = 0.0) -> Any:
    """A fresh Keras optimizer.

    Parameters
    ----------
    optimizer : str or keras.optimizers.Optimizer
        Its name, or an object whose configuration is copied, but for the learning rate.

    rate : Rate
        Its learning rate.

    weight_decay : float
        For an optimizer given by name: the share of the learning rate by which weights
        shrink in a step.
    """
    if not isinstance(optimizer, str):
        return type(optimizer).from_config({**configuration(optimizer), "learning_rate": rate})
    for name, kind in vars(keras.optimizers).items():
        if name.lower() == optimizer and isinstance(kind, type):
            decay = {"weight_decay": weight_decay} if weight_decay else {}
            return kind(learning_rate=rate, **decay)
    raise ValueError(f"Keras {keras.__version__} has no optimizer {optimizer!r}.")


def configuration(optimizer: Any) -> dict[str, Any]:
    """The configuration of an optimizer object."""
    config: dict[str, Any] = _readable(optimizer).get_config()
    return config


def stored(optimizer: Any) -> Any:
    """An optimizer object as plain values; one that is not of Keras with its class."""
    if not type(optimizer).__module__.startswith("keras."):
        return type(optimizer), configuration(optimizer)
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
    # A copy whose rate is not a variable: NumPy warns of how Keras converts one.
    twin = object.__new__(type(optimizer))
    vars(twin).update(vars(optimizer))
    rate = vars(twin).get("_learning_rate")
    if isinstance(rate, keras.Variable):
        vars(twin)["_learning_rate"] = keras.ops.convert_to_tensor(rate.value)
    return twin


def learning_rate_of(optimizer: Any, learning_rate: Any) -> LearningRate:
    """A number or a schedule: of an optimizer object that of the object."""
    if isinstance(optimizer, str):
        return learning_rate
    # The public attribute is a schedule's rate of the next step.
    learning_rate = optimizer._learning_rate
    if isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        return learning_rate
    if callable(learning_rate):
        return lambda steps: np.full(len(steps), learning_rate(), np.float32)
    return float(values([learning_rate])[0])


def falling(learning_rate: float, n_steps: int) -> LearningRate:
    """A learning rate that falls linearly to zero."""
    return lambda steps: learning_rate * np.maximum(1 - steps / n_steps, 0)


def key(optimizer: Any, weight_decay: float) -> str | None:
    """Equal for optimizers that compile to the same program; None if unknown."""
    if isinstance(optimizer, str):
        return _key_by_name(optimizer, weight_decay)
    return _key(optimizer)


# A new Keras optimizer takes as long as an epoch of a small table.
@functools.lru_cache(maxsize=64)
def _key_by_name(name: str, weight_decay: float) -> str | None:
    return _key(make(name, Rate(), weight_decay))


def _key(optimizer: Any) -> str | None:
    config = configuration(optimizer)
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
