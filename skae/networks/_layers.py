"""Keras layers in single precision, their variables as arrays, and initial weights."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.utils._arrays import as_array

Arrays = Sequence[NDArray[Any]]
Weights = list[NDArray[np.float32]]
# Weights and moving statistics, of the encoder and of the decoder.
Halves = tuple[tuple[Weights, Weights], tuple[Weights, Weights]]

SINGLE = "float32"

# Small tables train for few steps, in which Keras' own 0.99 would not forget the start.
_MOMENTUM = 0.9
NORMALIZATION_EPSILON = 1e-3


def layer(kind: str, *args: Any, **config: Any) -> Any:
    """A Keras layer by the name of its class, with arguments of that."""
    import keras

    return getattr(keras.layers, kind)(*args, dtype=SINGLE, **config)


def dense(width: int, **config: Any) -> Any:
    """A dense layer whose kernel is zero: weights come from `random_state` alone."""
    return layer("Dense", width, kernel_initializer="zeros", **config)


def mirrored_dense(mirrored: Any, use_bias: bool = True, name: str | None = None) -> Any:
    """A layer whose kernel is that of a dense layer, transposed, and whose bias is its own."""
    import keras

    class MirroredDense(keras.layers.Layer):
        def build(self, input_shape: tuple[int | None, ...]) -> None:
            if use_bias:
                shape = mirrored.kernel.shape[:1]
                self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")

        def call(self, inputs: Any) -> Any:
            outputs = keras.ops.matmul(inputs, keras.ops.transpose(mirrored.kernel))
            return outputs + self.bias if use_bias else outputs

    return MirroredDense(name=name, dtype=SINGLE)


def after_hidden_layer(outputs: Any, options: Any, activation: str) -> Any:
    """Normalization, activation and dropout; `options` has `normalization` and `dropout`."""
    if options.normalization == "batch":
        outputs = layer("BatchNormalization", momentum=_MOMENTUM)(outputs)
    elif options.normalization == "layer":
        outputs = layer("LayerNormalization", epsilon=NORMALIZATION_EPSILON)(outputs)
    if activation != "linear":
        outputs = layer("Activation", activation)(outputs)
    if options.dropout:
        outputs = layer("Dropout", options.dropout, seed=0)(outputs)
    return outputs


def rows_of(shape: tuple[int, ...]) -> Any:
    """The symbolic input of a model: rows of this shape."""
    import keras

    return keras.Input(shape, dtype=SINGLE)


def load(model: Any, weights: Weights, statistics: Weights) -> None:
    """Set the variables of a Keras model, but for its seeds."""
    variables = [*model.trainable_variables, *constant_variables(model)]
    for variable, array in zip(variables, [*weights, *statistics], strict=True):
        variable.assign(array)


def constant_variables(model: Any) -> list[Any]:
    """Variables that are neither trained nor seeds."""
    return [v for v in model.non_trainable_variables if v.name != "seed_generator_state"]


def values(variables: Iterable[Any]) -> Weights:
    """Copies of Keras variables or tensors as arrays."""
    import keras

    return [as_array(v.value if isinstance(v, keras.Variable) else v) for v in variables]


def initial_kernel(
    rng: np.random.RandomState, path: str, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Keras' default initialization of a kernel: orthogonal over time, else Glorot uniform."""
    if not path.endswith("recurrent_kernel"):
        limit = np.sqrt(6 / (math.prod(shape[:-2]) * sum(shape[-2:])))
        return rng.uniform(-limit, limit, shape).astype(np.float32)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1, 1)
    return (q if rows >= columns else q.T).reshape(shape).astype(np.float32)


def initial_weights(model: Any, rng: np.random.RandomState) -> Weights:
    """Weights of a model by the initializers of its layers, seeded by `rng`."""
    owners = {
        id(v): getattr(layer, "cell", layer)
        for layer in model._flatten_layers(include_self=False)
        for v in layer.variables
    }
    weights = values(model.trainable_variables)
    for i, variable in enumerate(model.trainable_variables):
        seed, shape = rng.randint(2**31 - 1), weights[i].shape
        owner, name = owners.get(id(variable)), f"{variable.name}_initializer"
        initializer: Any = getattr(owner, name, None)
        if hasattr(initializer, "get_config"):
            config = initializer.get_config()
            if "seed" in config:
                seeded = type(initializer).from_config({**config, "seed": seed})
                (weights[i],) = values([seeded(shape)])
        elif np.ptp(weights[i]) and len(shape) > 1:
            weights[i] = initial_kernel(np.random.RandomState(seed), variable.path, shape)
    return weights
