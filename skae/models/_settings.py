"""Numbers of a fit that are not trained: another value is not another program."""

from collections.abc import Mapping
from typing import Any

import keras

from skae.networks import SINGLE


class Settings(keras.layers.Layer):
    """Holds numbers that a model is told and does not learn.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Name and shape of each, in the order of the layer's variables.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(dtype=SINGLE)
        self._names = tuple(shapes)
        self._settings = [
            self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)
            for name, shape in shapes.items()
        ]
        self.built = True

    def values(self) -> dict[str, Any]:
        """The numbers, by name."""
        tensors = map(keras.ops.convert_to_tensor, self._settings)
        return dict(zip(self._names, tensors, strict=True))
