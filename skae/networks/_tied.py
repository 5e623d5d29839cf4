"""A layer whose kernel is another layer's, transposed."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from skae.networks._layers import SINGLE


class MirroredDense(keras.layers.Layer):
    """Dense layer that goes the way of another one backwards.

    Parameters
    ----------
    layer : keras.layers.Dense
        Its kernel, transposed, is this layer's.

    use_bias : bool, default=True
        Whether a bias of its own is added.

    name : str
        Name of the layer.
    """

    def __init__(self, layer: Any, use_bias: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, dtype=SINGLE)
        # Behind a function: the kernel is the other layer's to count among its weights.
        self.kernel: Callable[[], Any] = lambda: layer.kernel
        self.use_bias = use_bias
        self.units = layer.kernel.shape[0]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the bias."""
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Multiply by the transposed kernel."""
        outputs = ops.matmul(inputs, ops.transpose(self.kernel()))
        return outputs + self.bias if self.use_bias else outputs
