"""NumPy's functions and Keras' activations for tensors of a graph: the `xp` of losses."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.persistence.onnx._tensors import Tensor, broadcast


def _entrywise(kind: str, dtype: Any = None) -> Callable[[Tensor], Tensor]:
    return lambda x: x.apply(kind, dtype=dtype)


abs = _entrywise("Abs")
exp = _entrywise("Exp")
sqrt = _entrywise("Sqrt")
sign = _entrywise("Sign")
isnan = _entrywise("IsNaN", bool)
maximum = Tensor.maximum
minimum = Tensor.minimum


def log(x: Any) -> Any:
    """Natural logarithm of a tensor or of a number."""
    return x.apply("Log") if isinstance(x, Tensor) else np.log(x)


def square(x: Tensor) -> Tensor:
    """Square of each entry."""
    return x * x


def where(condition: Tensor, yes: Tensor, no: Any) -> Tensor:
    """Entries of `yes` where the condition holds, of `no` elsewhere."""
    no = yes.like(no)
    shape = broadcast(condition.shape, broadcast(yes.shape, no.shape))
    return condition.apply("Where", yes, no, shape=shape, dtype=yes.dtype)


def zeros_like(x: Tensor) -> Tensor:
    """Zero as a constant, which broadcasts."""
    return x.like(0.0)


def ones_like(x: Tensor) -> Tensor:
    """One as a constant, which broadcasts."""
    return x.like(1.0)


def clip(x: Tensor, low: Any, high: Any) -> Tensor:
    """Entries limited to an interval."""
    return minimum(maximum(x, low), high)


def mean(x: Tensor, axis: Any) -> Tensor:
    """Mean over one axis or more."""
    return _reduced("ReduceMean", x, axis)


def sum(x: Any, axis: Any = None) -> Any:
    """Sum over one axis or more, of a tensor or of an array."""
    return _reduced("ReduceSum", x, axis) if isinstance(x, Tensor) else np.sum(x, axis)


def max(x: Tensor, axis: int) -> Tensor:
    """Maximum along an axis."""
    return _reduced("ReduceMax", x, axis)


def _reduced(kind: str, x: Tensor, axis: Any) -> Tensor:
    """Reduction of a tensor of any shape over one axis or more."""
    axes = np.atleast_1d(axis).astype(np.int64)
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return x.apply(kind, axes, keepdims=0, shape=shape)


def logsumexp(x: Tensor, axis: int) -> Tensor:
    """Logarithm of the sum of exponentials along an axis."""
    most = max(x, axis)
    shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
    difference = x - most.apply("Unsqueeze", np.array([axis], np.int64), shape=shape)
    return most + log(sum(exp(difference), axis))


def logaddexp(x: Tensor, y: Tensor) -> Tensor:
    """Logarithm of the sum of the exponentials of two tensors."""
    most = maximum(x, y)
    return most + log(1 + exp(minimum(x, y) - most))


def einsum(subscripts: str, *tensors: Tensor) -> Tensor:
    """Einstein summation, with the subscripts of the result given."""
    terms, result = subscripts.split("->")
    sizes: dict[str, Any] = {}
    for term, tensor in zip(terms.split(","), tensors, strict=True):
        sizes |= zip(term, tensor.shape, strict=True)
    shape = tuple(sizes[letter] for letter in result)
    return tensors[0].apply("Einsum", *tensors[1:], equation=subscripts, shape=shape)


def matmul(x: Any, y: Any) -> Tensor:
    """Product of matrices in the last two axes, or of a matrix and a vector."""
    x, y = (y.like(x), y) if isinstance(y, Tensor) else (x, x.like(y))
    if len(y.shape) == 1:
        return x.apply("MatMul", y, shape=x.shape[:-1])
    longer = x.shape if len(x.shape) > len(y.shape) else y.shape
    return x.apply("MatMul", y, shape=(*longer[:-2], x.shape[-2], y.shape[-1]))


def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Tensor of another shape, in which -1 stands for the number of rows."""
    return x.reshape(*(None if n == -1 else n for n in shape))


def transpose(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Tensor with its axes in another order."""
    return x.apply("Transpose", perm=list(axes), shape=tuple(x.shape[i] for i in axes))


def affine(x: Tensor, kernel: NDArray[Any], bias: NDArray[Any]) -> Tensor:
    """Rows times a kernel of shape (n_inputs, n_outputs), plus a bias."""
    return x.apply("Gemm", x.like(kernel), x.like(bias), shape=(x.shape[0], kernel.shape[1]))


# Most of ONNX' own activations exist for float32 only in onnxruntime.

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """Exponential linear unit of a tensor of any shape."""
    return maximum(x, 0) + alpha * (exp(minimum(x, 0)) - 1)


def _gelu(x: Tensor) -> Tensor:
    """Gaussian error linear unit of a tensor of any shape."""
    # onnxruntime has no erf in float64.
    erf = (x * np.sqrt(0.5)).astype(np.float32).apply("Erf").astype(x.dtype)
    return 0.5 * x * (1 + erf)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": _elu,
    "gelu": _gelu,
    "leaky_relu": lambda x: maximum(x, 0.2 * x),
    "linear": lambda x: x,
    "relu": _entrywise("Relu"),
    "selu": lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA),
    "sigmoid": _entrywise("Sigmoid"),
    "silu": lambda x: x * x.apply("Sigmoid"),
    "softmax": lambda x: x.apply("Softmax", axis=-1),
    "softplus": lambda x: maximum(x, 0) + log(1 + exp(-abs(x))),
    "softsign": lambda x: x / (1 + abs(x)),
    "tanh": _entrywise("Tanh"),
}
