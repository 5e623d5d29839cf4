"""Any Keras loss as a loss of ours."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skae.losses._reconstruction import Loss


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
        from keras import backend, ops

        function = getattr(self.function, "call", self.function)
        if xp is np:
            target, output = map(ops.convert_to_tensor, (target, output))
        values = function(target, output)
        axes = tuple(range(1, len(values.shape)))
        values = ops.mean(values, axis=axes) if axes else values
        if xp is not np:
            return values
        if backend.backend() == "tensorflow":
            # NumPy warns of how Keras converts TensorFlow's tensors.
            return values.numpy()
        return ops.convert_to_numpy(values)


def _identity(function: Any) -> Any:
    """Equal for losses that compile to the same program."""
    kind = type(function)
    if not hasattr(function, "get_config"):
        return function
    try:
        return (kind.__module__, kind.__qualname__, json.dumps(function.get_config()))
    except TypeError:
        return function
