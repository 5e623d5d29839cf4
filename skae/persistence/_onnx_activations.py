"""Activations as ONNX nodes, in float32 and in float64."""

from collections.abc import Callable

import numpy as np

from skae.persistence import _onnx_functions as xp
from skae.persistence._onnx_graph import Tensor

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _leaky_relu(x: Tensor) -> Tensor:
    if x.dtype == np.float32:
        return x.then("LeakyRelu", alpha=0.2)
    return xp.maximum(x, 0.2 * x)


def _elu(x: Tensor) -> Tensor:
    return xp.maximum(x, 0) + (xp.exp(xp.minimum(x, 0)) - 1)


def _selu(x: Tensor) -> Tensor:
    negative = _SELU_ALPHA * (xp.exp(xp.minimum(x, 0)) - 1)
    return _SELU_SCALE * (xp.maximum(x, 0) + negative)


def _silu(x: Tensor) -> Tensor:
    return x * _sigmoid(x)


def _gelu(x: Tensor) -> Tensor:
    # onnxruntime has no erf in float64.
    erf = (x * np.sqrt(0.5)).astype(np.float32).then("Erf").astype(x.dtype)
    return 0.5 * x * (1 + erf)


def _sigmoid(x: Tensor) -> Tensor:
    return x.then("Sigmoid")


def _softplus(x: Tensor) -> Tensor:
    return xp.maximum(x, 0) + xp.log(1 + xp.exp(-xp.abs(x)))


def _softsign(x: Tensor) -> Tensor:
    return x / (1 + xp.abs(x))


def _softmax(x: Tensor) -> Tensor:
    return x.then("Softmax", axis=-1)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": _elu,
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "linear": lambda x: x,
    "relu": lambda x: x.then("Relu"),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softmax": _softmax,
    "softplus": _softplus,
    "softsign": _softsign,
    "tanh": lambda x: x.then("Tanh"),
}
