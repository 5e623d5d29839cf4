"""Keras layers as ONNX nodes, and the walk through a model that is made of them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.networks._layers import values
from skae.persistence import _onnx_functions as xp
from skae.persistence._onnx_activations import ACTIVATIONS
from skae.persistence._onnx_graph import Tensor
from skae.persistence._onnx_recurrent import GATES, read_both_ways, read_in_order


def said_by_model(model: Any, rows: Tensor) -> Tensor:
    """What a Keras model makes of rows.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, with one input and one output.

    rows : Tensor
        float32.

    Raises
    ------
    NotImplementedError
        If a layer of it is not known here.
    """
    import keras

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            rows = _said_by_layer(layer, [rows])
        return rows
    # Keras' symbolic tensors are the keys: cloning a model walks through its layers.
    said: dict[int, Tensor] = {}
    alive = []

    def called(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        read = args[0] if isinstance(args[0], list | tuple) else [args[0]]
        said[id(output)] = _said_by_layer(layer, [said.get(id(x), rows) for x in read])
        alive.append(output)
        return output

    clone = keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=called
    )
    return said[id(clone.output)]


def _said_by_layer(layer: Any, inputs: Sequence[Tensor]) -> Tensor:
    import keras

    if isinstance(layer, keras.Model):
        return said_by_model(layer, inputs[0])
    kind = type(layer).__name__
    own = getattr(keras.layers, kind, None) is type(layer)
    if not own or kind not in _LAYERS:
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r} of the class {kind}: it knows the "
            f"layers {', '.join(sorted(_LAYERS))} of Keras."
        )
    said = _LAYERS[kind](layer, *inputs)
    if kind in GATES or getattr(layer, "activation", None) is None:
        return said
    return _activated(layer, layer.activation, said)


def _activated(layer: Any, activation: Any, rows: Tensor) -> Tensor:
    name = getattr(activation, "__name__", type(activation).__name__)
    if name not in ACTIVATIONS:
        raise NotImplementedError(
            f"to_onnx cannot say the activation {name!r} of the layer {layer.name!r}: it "
            f"knows {', '.join(ACTIVATIONS)}."
        )
    return ACTIVATIONS[name](rows)


def _as_it_is(layer: Any, rows: Tensor) -> Tensor:
    return rows


def _dense(layer: Any, rows: Tensor) -> Tensor:
    kernel, *bias = values(layer.weights)
    if len(rows.shape) == 2:
        return xp.affine(rows, kernel, bias[0] if bias else np.zeros(kernel.shape[1]))
    return _plus(xp.matmul(rows, kernel), bias)


def _plus(rows: Tensor, bias: Sequence[NDArray[Any]]) -> Tensor:
    return rows + bias[0] if bias else rows


def _reshaped(layer: Any, rows: Tensor) -> Tensor:
    # With axes to be worked out, Keras has done so.
    return rows.reshape(None, *layer.compute_output_shape((None, *rows.shape[1:]))[1:])


def _added(layer: Any, *inputs: Tensor) -> Tensor:
    return sum(inputs[1:], inputs[0])


def _batch_normalized(layer: Any, rows: Tensor) -> Tensor:
    _refuse_axis(layer, rows)
    mean, variance = values([layer.moving_mean, layer.moving_variance])
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * values([layer.gamma])[0]
    shift = values([layer.beta])[0] if layer.center else 0.0
    return rows * scale + (shift - mean * scale)


def _layer_normalized(layer: Any, rows: Tensor) -> Tensor:
    _refuse_axis(layer, rows)
    width = rows.shape[-1]
    scale = values([layer.gamma])[0] if layer.scale else np.ones(width)
    shift = values([layer.beta])[0] if layer.center else np.zeros(width)
    return normalized(rows, scale, shift, layer.epsilon)


def normalized(rows: Tensor, scale: Any, shift: Any, epsilon: float) -> Tensor:
    """The last axis with its mean at zero and its variance at one, scaled and shifted."""
    parts = rows.like(scale), rows.like(shift)
    return rows.then("LayerNormalization", *parts, axis=-1, epsilon=epsilon)


def _refuse_axis(layer: Any, rows: Tensor) -> None:
    axis = np.atleast_1d(layer.axis)
    if len(axis) != 1 or axis[0] not in (-1, len(rows.shape) - 1):
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r}: it normalises along the last axis "
            f"only; axis is {layer.axis!r}."
        )


# Convolutions: Keras has channels last and ONNX has them first.


def _channels_first(layer: Any, rows: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    if layer.data_format != "channels_last":
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r} with "
            f"data_format={layer.data_format!r}: it knows 'channels_last' only."
        )
    n = len(rows.shape)
    outputs = function(xp.transpose(rows, (0, n - 1, *range(1, n - 1))))
    return xp.transpose(outputs, (0, *range(2, n), 1))


def _convolved(layer: Any, rows: Tensor) -> Tensor:
    kernel, *bias = values(layer.weights)
    n = kernel.ndim
    kernel = np.ascontiguousarray(kernel.transpose(n - 1, n - 2, *range(n - 2)))
    return _channels_first(
        layer,
        rows,
        lambda x: x.then(
            "Conv",
            kernel,
            *bias,
            strides=list(layer.strides),
            dilations=list(layer.dilation_rate),
            group=layer.groups,
            pads=_pads(layer, x, layer.kernel_size, layer.dilation_rate),
            shape=_channels_first_shape(layer, rows),
        ),
    )


def _convolved_back(layer: Any, rows: Tensor) -> Tensor:
    kernel, *bias = values(layer.weights)
    n = kernel.ndim
    kernel = np.ascontiguousarray(kernel.transpose(n - 1, n - 2, *range(n - 2)))
    if set(layer.dilation_rate) != {1} or layer.output_padding is not None:
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r} with dilation_rate or output_padding."
        )
    same = layer.padding == "same"
    # Of what the kernel adds beyond the strides, as the gradient of a convolution has it.
    excess = [k - s for k, s in zip(layer.kernel_size, layer.strides, strict=True)]
    cut = [max(n, 0) if same else 0 for n in excess]
    return _channels_first(
        layer,
        rows,
        lambda x: x.then(
            "ConvTranspose",
            kernel,
            *bias,
            strides=list(layer.strides),
            pads=[n // 2 for n in cut] + [n - n // 2 for n in cut],
            output_padding=[max(-n, 0) for n in excess],
            shape=_channels_first_shape(layer, rows),
        ),
    )


def _pooled(kind: str) -> Callable[[Any, Tensor], Tensor]:
    def pooled(layer: Any, rows: Tensor) -> Tensor:
        return _channels_first(
            layer,
            rows,
            lambda x: x.then(
                kind,
                kernel_shape=list(layer.pool_size),
                strides=list(layer.strides),
                pads=_pads(layer, x, layer.pool_size, [1] * len(layer.pool_size)),
                shape=_channels_first_shape(layer, rows),
            ),
        )

    return pooled


def _channels_first_shape(layer: Any, rows: Tensor) -> tuple[Any, ...]:
    _, *axes, channels = layer.compute_output_shape((None, *rows.shape[1:]))
    return (None, channels, *axes)


def _pads(layer: Any, x: Tensor, sizes: Any, dilations: Any) -> list[int]:
    """Zeros before each axis, then those after it."""
    if layer.padding not in ("same", "valid"):
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r} with padding={layer.padding!r}: it "
            "knows 'same' and 'valid'."
        )
    if layer.padding == "valid":
        return [0] * (2 * len(sizes))
    whole = []
    for n, k, step, apart in zip(x.shape[2:], sizes, layer.strides, dilations, strict=True):
        reach = (math.ceil(n / step) - 1) * step + (k - 1) * apart + 1
        whole.append(max(reach - n, 0))
    return [n // 2 for n in whole] + [n - n // 2 for n in whole]


def _repeated(layer: Any, rows: Tensor) -> Tensor:
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r} with "
            f"interpolation={layer.interpolation!r}: it knows 'nearest' only."
        )
    # A length of one after each axis, which is stretched.
    times = [1, *np.atleast_1d(layer.size), 1]
    shape = rows.shape
    apart = [n for axis, count in zip(shape, times, strict=True) for n in (axis, 1)]
    stretch = [n for count in times for n in (1, int(count))]
    stretched = rows.reshape(*apart).then(
        "Expand",
        np.array(stretch, np.int64),
        shape=tuple(a if s == 1 else s for a, s in zip(apart, stretch, strict=True)),
    )
    whole = [n and n * int(count) for n, count in zip(shape, times, strict=True)]
    return stretched.reshape(*whole)


def _cropped(layer: Any, rows: Tensor) -> Tensor:
    ends = [layer.cropping] if len(rows.shape) == 3 else layer.cropping
    for axis, (start, end) in enumerate(ends, start=1):
        rows = rows.take(np.arange(start, rows.shape[axis] - end), axis)
    return rows


def _told_again(layer: Any, rows: Tensor) -> Tensor:
    n, width = layer.n, rows.shape[1]
    whole = np.array([1, n, 1], np.int64)
    return rows.reshape(None, 1, width).then("Expand", whole, shape=(None, n, width))


_LAYERS: dict[str, Callable[..., Tensor]] = {
    "Activation": _as_it_is,
    "ActivityRegularization": _as_it_is,
    "Add": _added,
    "AveragePooling1D": _pooled("AveragePool"),
    "AveragePooling2D": _pooled("AveragePool"),
    "BatchNormalization": _batch_normalized,
    "Bidirectional": read_both_ways,
    "Conv1D": _convolved,
    "Conv1DTranspose": _convolved_back,
    "Conv2D": _convolved,
    "Conv2DTranspose": _convolved_back,
    "Cropping1D": _cropped,
    "Cropping2D": _cropped,
    "Dense": _dense,
    "Dropout": _as_it_is,
    "Flatten": _reshaped,
    "GRU": read_in_order,
    "GaussianNoise": _as_it_is,
    "InputLayer": _as_it_is,
    "LSTM": read_in_order,
    "LayerNormalization": _layer_normalized,
    "MaxPooling1D": _pooled("MaxPool"),
    "MaxPooling2D": _pooled("MaxPool"),
    "RepeatVector": _told_again,
    "Reshape": _reshaped,
    "UpSampling1D": _repeated,
    "UpSampling2D": _repeated,
}
