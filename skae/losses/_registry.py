"""Losses by name, or around a Keras loss."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skae.losses._reconstruction import (
    CosineLoss,
    EntrywiseLoss,
    Loss,
    SSIMLoss,
    absolute_error,
    binary_crossentropy,
    huber,
    squared_error,
)
from skae.utils._arrays import as_array


@dataclass(frozen=True)
class KerasLoss(Loss):
    """What a Keras loss says of each row, in standardised data.

    Parameters
    ----------
    function : keras.losses.Loss or callable
        ``function(target, output)`` gives one value per row (of a Keras loss object, its
        `call`), or one per entry.
    """

    function: Any = field(compare=False)
    identity: Any = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", _identity(self.function))

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Mean of what the Keras loss says over all axes but the first."""
        from keras import ops

        if xp is np:
            # As in training, whatever the rows came in and Keras is set to.
            tensors = (ops.convert_to_tensor(x, "float32") for x in (target, output))
            return as_array(self.per_sample(ops, *tensors)).astype(output.dtype)
        values = getattr(self.function, "call", self.function)(target, output)
        axes = tuple(range(1, len(values.shape)))
        return ops.mean(values, axis=axes) if axes else values


def _identity(function: Any) -> Any:
    """Equal for losses that compile to the same program."""
    kind = type(function)
    if not hasattr(function, "get_config"):
        return function
    # Not every loss of Keras has all of its arguments in its configuration: Huber's delta.
    arguments = getattr(function, "_fn_kwargs", {})
    try:
        config = json.dumps([function.get_config(), arguments])
        return (kind.__module__, kind.__qualname__, config)
    except TypeError:
        return function


LOSSES: dict[str, Any] = {
    "squared_error": EntrywiseLoss(squared_error, power=2),
    "absolute_error": EntrywiseLoss(absolute_error, power=1),
    "huber": EntrywiseLoss(huber, power=2),
    "binary_crossentropy": EntrywiseLoss(binary_crossentropy, bounded=True),
    "cosine": CosineLoss(),
    "ssim": SSIMLoss,
}


def make_loss(loss: Any, output_shape: tuple[int, ...]) -> Loss:
    """A loss by name, or around a Keras loss.

    Parameters
    ----------
    loss : str, keras.losses.Loss or callable
        What the user asked for.

    output_shape : tuple of int
        Shape of one reconstruction.

    Returns
    -------
    Loss
    """
    if not isinstance(loss, str):
        return KerasLoss(loss)
    if loss != "ssim":
        return LOSSES[loss]
    if len(output_shape) not in (2, 3):
        raise ValueError(
            "loss='ssim' compares images: X must be of shape (n_samples, height, width) or "
            "(n_samples, height, width, channels), or network must say the image_shape; "
            f"one row has the shape {output_shape}."
        )
    return SSIMLoss(*output_shape)
