"""Encoders and decoders as ONNX nodes: dense networks, and Keras models layer by layer.

Keras' exporter does not replace the layers here: it writes files that onnxruntime refuses for
GELU and grouped convolutions on TensorFlow (tf2onnx 1.17) and for pooling by (2, 1) on JAX
(jax2onnx 0.17), and raises for layer normalisation on PyTorch 2.14.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.inference._dense import DenseForward
from skae.inference._forward import CompiledForward
from skae.networks._layers import NORMALIZATION_EPSILON, values
from skae.persistence.onnx._tensors import ACTIVATIONS, Tensor, activate, affine


def dense_output(forward: DenseForward, rows: Tensor, *, scaled: bool = True) -> Tensor:
    """As the call of a :class:`DenseForward`."""
    coder = forward.coder
    before, (*hidden_layers, final) = forward.prepared(rows.dtype, scaled)
    for part in before:
        rows = rows - part
    hidden = rows
    for kernel, bias, scale, shift, _ in hidden_layers:
        hidden = affine(hidden, kernel.T, bias.ravel())
        if scale is not None:
            hidden = _normalize(hidden, scale.ravel(), shift.ravel(), NORMALIZATION_EPSILON)
        hidden = activate(coder.activation, hidden)
    output = affine(hidden, final.kernel.T, final.bias.ravel())
    if final.path is not None:
        output = output + rows @ final.path.T
    return activate(coder.output_activation, output)


def keras_output(forward: CompiledForward, rows: Tensor) -> Tensor:
    """Output of the model of a :class:`CompiledForward`, in its units."""
    return _model_output(forward.keras_model("model"), rows.astype(np.float32))


# Keras models


def _model_output(model: Any, rows: Tensor) -> Tensor:
    """Output of a Sequential or functional model with one input and one output."""
    import keras

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            rows = _layer_output(layer, rows)
        return rows
    # Cloning a model calls its layers in order. Keys are Keras' symbolic tensors, which the
    # second entry keeps alive.
    outputs: dict[int, tuple[Tensor, Any]] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        symbolic = layer(*args, **kwargs)
        inputs = args[0] if isinstance(args[0], list | tuple) else [args[0]]
        tensors = [outputs[id(x)][0] if id(x) in outputs else rows for x in inputs]
        outputs[id(symbolic)] = _layer_output(layer, *tensors), symbolic
        return symbolic

    clone = keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call
    )
    return outputs[id(clone.output)][0]


def _layer_output(layer: Any, *inputs: Tensor) -> Tensor:
    import keras

    if isinstance(layer, keras.Model):
        return _model_output(layer, *inputs)
    kind = type(layer).__name__
    if getattr(keras.layers, kind, None) is not type(layer) or kind not in _LAYERS:
        raise NotImplementedError(
            f"to_onnx does not support the layer {layer.name!r} of the class {kind}; it "
            f"supports the layers {', '.join(sorted(_LAYERS))} of Keras."
        )
    output = _LAYERS[kind](layer, *inputs)
    activation = getattr(layer, "activation", None)
    if kind in _GATES or activation is None:
        return output
    name = getattr(activation, "__name__", type(activation).__name__)
    if name not in ACTIVATIONS:
        raise NotImplementedError(
            f"to_onnx does not support the activation {name!r} of the layer {layer.name!r}; "
            f"it supports {', '.join(sorted(ACTIVATIONS))}."
        )
    return activate(name, output)


def _require(layer: Any, **supported: tuple[Any, ...]) -> None:
    """Raise if an attribute of the layer has none of the values that are supported."""
    for name, allowed in supported.items():
        value = getattr(layer, name, allowed[0])
        value = getattr(value, "__name__", value)
        if value not in allowed:
            raise NotImplementedError(
                f"to_onnx does not support the layer {layer.name!r} with {name}={value!r}; it "
                f"supports {' or '.join(map(repr, allowed))}."
            )


def _dense(layer: Any, rows: Tensor) -> Tensor:
    kernel, *bias = values(layer.weights)
    if len(rows.shape) == 2:
        return affine(rows, kernel, bias[0] if bias else np.zeros(kernel.shape[1]))
    output = rows @ kernel
    return output + bias[0] if bias else output


def _batch_normalization(layer: Any, rows: Tensor) -> Tensor:
    _require(layer, axis=(-1, len(rows.shape) - 1))
    mean, variance = values([layer.moving_mean, layer.moving_variance])
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * values([layer.gamma])[0]
    shift = values([layer.beta])[0] if layer.center else 0.0
    return rows * scale + (shift - mean * scale)


def _layer_normalization(layer: Any, rows: Tensor) -> Tensor:
    last = len(rows.shape) - 1
    _require(layer, axis=(-1, last, [-1], [last]))
    width = rows.shape[-1]
    scale = values([layer.gamma])[0] if layer.scale else np.ones(width)
    shift = values([layer.beta])[0] if layer.center else np.zeros(width)
    return _normalize(rows, scale, shift, layer.epsilon)


def _normalize(rows: Tensor, scale: Any, shift: Any, epsilon: float) -> Tensor:
    """Standardise along the last axis, then scale and shift, both of its length."""
    parts = rows.like(scale), rows.like(shift)
    return rows.apply("LayerNormalization", *parts, axis=-1, epsilon=epsilon)


def _upsample(layer: Any, rows: Tensor) -> Tensor:
    _require(layer, interpolation=("nearest",))
    for axis, size in enumerate(np.atleast_1d(layer.size), start=1):
        rows = rows.take(np.repeat(np.arange(rows.shape[axis]), size), axis)
    return rows


def _crop(layer: Any, rows: Tensor) -> Tensor:
    ends = [layer.cropping] if len(rows.shape) == 3 else layer.cropping
    for axis, (start, end) in enumerate(ends, start=1):
        rows = rows.take(np.arange(start, rows.shape[axis] - end), axis)
    return rows


def _repeat(layer: Any, rows: Tensor) -> Tensor:
    return rows.reshape(None, 1, rows.shape[1]).take(np.zeros(layer.n), 1)


# Convolutions and pooling: channels are last in Keras and first in ONNX.


def _channels_first(layer: Any, rows: Tensor, kind: str, **attributes: Any) -> Tensor:
    """Output of an ONNX operator with the weights and the strides of a layer."""
    _require(layer, data_format=("channels_last",))
    n, weights = len(rows.shape), values(layer.weights)
    if weights:
        weights[0] = np.moveaxis(weights[0], (-1, -2), (0, 1))
    _, *axes, channels = layer.compute_output_shape((None, *rows.shape[1:]))
    options = {"strides": list(layer.strides), "shape": (None, channels, *axes), **attributes}
    output = rows.transpose(0, n - 1, *range(1, n - 1)).apply(kind, *weights, **options)
    return output.transpose(0, *range(2, n), 1)


def _convolve(layer: Any, rows: Tensor) -> Tensor:
    dilations, groups = list(layer.dilation_rate), layer.groups
    pads = _pads(layer, rows, layer.kernel_size, dilations)
    return _channels_first(layer, rows, "Conv", dilations=dilations, group=groups, pads=pads)


def _convolve_transposed(layer: Any, rows: Tensor) -> Tensor:
    _require(layer, dilation_rate=((1,), (1, 1)), output_padding=(None,))
    # A kernel that is larger than the strides makes the output longer, as does "valid".
    excess = [k - s for k, s in zip(layer.kernel_size, layer.strides, strict=True)]
    pads = _halves([max(n, 0) if layer.padding == "same" else 0 for n in excess])
    longer = [max(-n, 0) for n in excess]
    return _channels_first(layer, rows, "ConvTranspose", pads=pads, output_padding=longer)


def _pool(kind: str, layer: Any, rows: Tensor) -> Tensor:
    size = list(layer.pool_size)
    pads = _pads(layer, rows, size, [1] * len(size))
    return _channels_first(layer, rows, kind, kernel_shape=size, pads=pads)


def _pads(layer: Any, rows: Tensor, sizes: Any, dilations: Any) -> list[int]:
    """Zeros before each axis, then those after it."""
    _require(layer, padding=("same", "valid"))
    if layer.padding == "valid":
        return [0] * (2 * len(sizes))
    total = []
    for n, k, step, rate in zip(rows.shape[1:-1], sizes, layer.strides, dilations, strict=True):
        reach = (math.ceil(n / step) - 1) * step + (k - 1) * rate + 1
        total.append(max(reach - n, 0))
    return _halves(total)


def _halves(total: list[int]) -> list[int]:
    return [n // 2 for n in total] + [n - n // 2 for n in total]


# Recurrent layers

# Gates in the order of Keras, and in that of ONNX.
_GATES = {"LSTM": ("ifco", "iofc"), "GRU": ("zrh", "zrh")}


def _recurrent(layer: Any, rows: Tensor) -> Tensor:
    """States of series, (n_samples, steps, features), of one direction or of both."""
    layers, direction = [layer], "forward"
    if type(layer).__name__ == "Bidirectional":
        _require(layer, merge_mode=("concat",))
        layers, direction = [layer.forward_layer, layer.backward_layer], "bidirectional"
    else:
        _require(layer, go_backwards=(False,))
    kind, units = type(layers[0]).__name__, layers[0].units
    if kind not in _GATES:
        raise NotImplementedError(
            f"to_onnx does not support the layer {layer.name!r} of {kind}; it supports "
            "Bidirectional of LSTM and GRU."
        )
    weights = [np.stack(parts) for parts in zip(*map(_gates, layers), strict=True)]
    attributes: dict[str, Any] = {"hidden_size": units, "direction": direction}
    if kind == "GRU":
        attributes["linear_before_reset"] = int(layers[0].reset_after)
    series, n, steps = rows.transpose(1, 0, 2), len(layers), rows.shape[1]
    states, last = rows.graph.node(kind, series, *weights, n_outputs=2, **attributes)
    if layers[0].return_sequences:
        every = Tensor(rows.graph, states, (steps, n, None, units), rows.dtype)
        return every.transpose(2, 0, 1, 3).reshape(None, steps, n * units)
    final = Tensor(rows.graph, last, (n, None, units), rows.dtype)
    return final.transpose(1, 0, 2).reshape(None, n * units)


def _gates(layer: Any) -> tuple[NDArray[Any], ...]:
    """Kernels of input and state, (n_gates * units, ...), and the biases of both."""
    _require(layer, activation=("tanh",), recurrent_activation=("sigmoid",), stateful=(False,))
    theirs, ours = _GATES[type(layer).__name__]
    cell = layer.cell
    biases = np.zeros(layer.units * len(theirs), np.float32)
    if cell.use_bias:
        (biases,) = values([cell.bias])
    if biases.ndim == 1:
        biases = np.stack([biases, np.zeros_like(biases)])
    order = [theirs.index(gate) for gate in ours]
    of_input, of_state, biases = (
        np.concatenate([np.split(array, len(theirs), axis=-1)[i] for i in order], axis=-1)
        for array in (*values([cell.kernel, cell.recurrent_kernel]), biases)
    )
    return of_input.T, of_state.T, biases.ravel()


_LAYERS: dict[str, Callable[..., Tensor]] = {
    **dict.fromkeys(
        ["Activation", "ActivityRegularization", "Dropout", "GaussianNoise", "InputLayer"],
        lambda layer, rows: rows,
    ),
    **dict.fromkeys(
        ["Flatten", "Reshape"],
        lambda layer, rows: rows.reshape(*layer.compute_output_shape((None, *rows.shape[1:]))),
    ),
    **dict.fromkeys(["AveragePooling1D", "AveragePooling2D"], partial(_pool, "AveragePool")),
    **dict.fromkeys(["MaxPooling1D", "MaxPooling2D"], partial(_pool, "MaxPool")),
    **dict.fromkeys(["Conv1D", "Conv2D"], _convolve),
    **dict.fromkeys(["Conv1DTranspose", "Conv2DTranspose"], _convolve_transposed),
    **dict.fromkeys(["Cropping1D", "Cropping2D"], _crop),
    **dict.fromkeys(["UpSampling1D", "UpSampling2D"], _upsample),
    **dict.fromkeys(["Bidirectional", "GRU", "LSTM"], _recurrent),
    "Add": lambda layer, *inputs: sum(inputs[1:], inputs[0]),
    "BatchNormalization": _batch_normalization,
    "Dense": _dense,
    "LayerNormalization": _layer_normalization,
    "RepeatVector": _repeat,
}
