"""Optimizers by name or object, and what must be known of them to share a compilation."""

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from skae.networks._layers import values

# These treat every weight by itself, so they may be given all weights as one vector.
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


#: One for all steps, a Keras schedule, or a function of an array of numbers of steps.
LearningRate = Any


class Rate:
    """The learning rate of the step that is being computed.

    An optimizer asks for it. The program is told the rates of its steps as data: another
    rate or schedule, or another number of steps, is not another program.
    """

    def __init__(self) -> None:
        self._value: Any = 0.0

    def get_config(self) -> dict[str, Any]:
        """Nothing: Keras asks whatever an optimizer is made of."""
        return {}

    def __call__(self) -> Any:
        """What an optimizer is told."""
        return self._value

    @contextmanager
    def at(self, value: Any) -> Iterator[None]:
        """For the time of a step."""
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
        What it asks for its learning rate.

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
    """An optimizer object as what any format can hold; of the user's own, with its class."""
    if not type(optimizer).__module__.startswith("keras."):
        return type(optimizer), configuration(optimizer)
    return described(optimizer)


def described(optimizer: Any) -> dict[str, Any]:
    """An optimizer object in Keras' words."""
    said: dict[str, Any] = keras.saving.serialize_keras_object(_readable(optimizer))
    kind = type(optimizer)
    if kind.__module__.startswith("keras.") and hasattr(keras.optimizers, kind.__name__):
        # On PyTorch it is of a class inside Keras, which the public one makes there.
        said |= {"module": "keras.optimizers", "registered_name": None}
    return said


def restored(stored: Any) -> Any:
    """What `stored` was given: another object of the same configuration."""
    if isinstance(stored, tuple):
        kind, config = stored
        return kind.from_config(config)
    return keras.saving.deserialize_keras_object(stored)


def _readable(optimizer: Any) -> Any:
    # A twin whose rate is no variable: NumPy warns of how Keras reads one.
    twin = object.__new__(type(optimizer))
    vars(twin).update(vars(optimizer))
    rate = vars(twin).get("_learning_rate")
    if isinstance(rate, keras.Variable):
        vars(twin)["_learning_rate"] = keras.ops.convert_to_tensor(rate.value)
    return twin


def learning_rate_of(optimizer: Any, learning_rate: Any) -> LearningRate:
    """A number or a schedule: that of an optimizer object is its own."""
    if isinstance(optimizer, str):
        return learning_rate
    # The public attribute says what a schedule gives for the next step.
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
    """What makes two optimizers compile to the same program; None if it cannot be told."""
    if isinstance(optimizer, str):
        return _key_by_name(optimizer, weight_decay)
    return _key(optimizer)


# Making a Keras optimizer takes as long as an epoch of a small table.
@functools.lru_cache(maxsize=64)
def _key_by_name(name: str, weight_decay: float) -> str | None:
    return _key(make(name, Rate(), weight_decay))


def _key(optimizer: Any) -> str | None:
    config = configuration(optimizer)
    # Keras counts names: adam, adam_1, ...
    del config["name"], config["learning_rate"]
    kind = type(optimizer)
    try:
        return json.dumps([kind.__module__, kind.__qualname__, config], sort_keys=True)
    except TypeError:
        return None


def is_elementwise(optimizer: Any) -> bool:
    """Whether all weights may be given to the optimizer as one vector."""
    kind = type(optimizer)
    return (
        kind.__module__.startswith("keras.")
        and kind.__name__ in _ELEMENTWISE
        and optimizer.clipnorm is None
    )
