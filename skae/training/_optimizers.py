"""Optimizers by name or object, and what must be known of them to share a compilation."""

import functools
import json
from typing import Any

import keras

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


def make(optimizer: Any, learning_rate: Any, weight_decay: float = 0.0) -> Any:
    """A fresh Keras optimizer.

    Parameters
    ----------
    optimizer : str or keras.optimizers.Optimizer
        Its name, or an object whose configuration is copied.

    learning_rate : float or LearningRateSchedule
        For an optimizer given by name; an object brings its own.

    weight_decay : float
        Likewise: the share of the learning rate by which weights shrink in a step.
    """
    if not isinstance(optimizer, str):
        return type(optimizer).from_config(optimizer.get_config())
    for name, kind in vars(keras.optimizers).items():
        if name.lower() == optimizer and isinstance(kind, type):
            decay = {"weight_decay": weight_decay} if weight_decay else {}
            return kind(learning_rate=learning_rate, **decay)
    raise ValueError(f"Keras {keras.__version__} has no optimizer {optimizer!r}.")


def falling(learning_rate: float, n_steps: int) -> Any:
    """A learning rate that falls linearly to zero."""
    return keras.optimizers.schedules.PolynomialDecay(
        learning_rate, n_steps, end_learning_rate=0.0
    )


def fixed_learning_rate(optimizer: Any) -> float | None:
    """The learning rate if it is one number, None if it follows a schedule."""
    rate = optimizer.get_config().get("learning_rate")
    return float(rate) if isinstance(rate, int | float) else None


def key(optimizer: Any) -> str | None:
    """What makes two optimizers compile to the same program; None if it cannot be told.

    A learning rate that is one number is left out: it can be set at any time.
    """
    config = dict(optimizer.get_config())
    del config["name"]  # Keras counts: adam, adam_1, ...
    if fixed_learning_rate(optimizer) is not None:
        del config["learning_rate"]
    kind = type(optimizer)
    try:
        return json.dumps([kind.__module__, kind.__qualname__, config], sort_keys=True)
    except TypeError:
        return None


def identity(
    optimizer: Any, learning_rate: Any, weight_decay: float
) -> tuple[str | None, float | None]:
    """Key and fixed learning rate of what `make` makes of the same arguments."""
    if isinstance(optimizer, str) and isinstance(learning_rate, int | float):
        return _key_by_name(optimizer, weight_decay), float(learning_rate)
    made = make(optimizer, learning_rate, weight_decay)
    return key(made), fixed_learning_rate(made)


# Making a Keras optimizer takes as long as an epoch of a small table.
@functools.lru_cache(maxsize=64)
def _key_by_name(name: str, weight_decay: float) -> str | None:
    return key(make(name, 0.001, weight_decay))


def is_elementwise(optimizer: Any) -> bool:
    """Whether all weights may be given to the optimizer as one vector."""
    kind = type(optimizer)
    return (
        kind.__module__.startswith("keras.")
        and kind.__name__ in _ELEMENTWISE
        and optimizer.clipnorm is None
    )
