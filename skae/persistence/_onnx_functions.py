"""The functions of NumPy that are asked of `xp`, on tensors of a graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.persistence._onnx_graph import Shape, Tensor


def square(x: Tensor) -> Tensor:
    """Of each entry."""
    return x * x


def abs(x: Tensor) -> Tensor:
    """Of each entry."""
    return x.then("Abs")


def exp(x: Tensor) -> Tensor:
    """Of each entry."""
    return x.then("Exp")


def log(x: Any) -> Any:
    """Of each entry."""
    return x.then("Log") if isinstance(x, Tensor) else np.log(x)


def sqrt(x: Tensor) -> Tensor:
    """Of each entry."""
    return x.then("Sqrt")


def sign(x: Tensor) -> Tensor:
    """Of each entry."""
    return x.then("Sign")


def maximum(x: Tensor, y: Any) -> Tensor:
    """The larger of two entries."""
    return x.paired("Max", y)


def minimum(x: Tensor, y: Any) -> Tensor:
    """The smaller of two entries."""
    return x.paired("Min", y)


def isnan(x: Tensor) -> Tensor:
    """Whether each entry is NaN."""
    result = x.then("IsNaN")
    result.dtype = np.dtype(bool)
    return result


def where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Entries of `yes` where the condition holds, of `no` elsewhere."""
    return condition.where(yes, no)


def zeros_like(x: Tensor) -> Tensor:
    """Zero, for every entry."""
    return x.like(0.0)


def ones_like(x: Tensor) -> Tensor:
    """One, for every entry."""
    return x.like(1.0)


def clip(x: Tensor, low: Any, high: Any) -> Tensor:
    """Within limits."""
    return minimum(maximum(x, low), high)


def mean(x: Tensor, axis: Any) -> Tensor:
    """Over axes."""
    return _reduced("ReduceMean", x, axis)


def sum(x: Any, axis: Any = None) -> Any:
    """Over axes."""
    return _reduced("ReduceSum", x, axis) if isinstance(x, Tensor) else np.sum(x, axis)


def max(x: Tensor, axis: int) -> Tensor:
    """The largest along an axis."""
    return _reduced("ReduceMax", x, axis)


def logsumexp(x: Tensor, axis: int) -> Tensor:
    """Logarithm of the sum of exponentials along an axis."""
    most = max(x, axis)
    apart = x - most.then("Unsqueeze", np.array([axis], np.int64), shape=_kept(x, axis))
    return most + log(sum(exp(apart), axis))


def logaddexp(x: Tensor, y: Tensor) -> Tensor:
    """Logarithm of the sum of the exponentials of two entries."""
    most = maximum(x, y)
    return most + log(1 + exp(minimum(x, y) - most))


def einsum(subscripts: str, *tensors: Tensor) -> Tensor:
    """Products of entries, summed over the letters that are not in the result."""
    terms, result = subscripts.split("->")
    sizes: dict[str, Any] = {}
    for term, tensor in zip(terms.split(","), tensors, strict=True):
        sizes |= zip(term, tensor.shape, strict=True)
    shape = tuple(sizes[letter] for letter in result)
    return tensors[0].then("Einsum", *tensors[1:], equation=subscripts, shape=shape)


def matmul(x: Any, y: Any) -> Tensor:
    """Product of matrices, the last two axes, or of a matrix and a vector."""
    x, y = (y.like(x), y) if isinstance(y, Tensor) else (x, x.like(y))
    if len(y.shape) == 1:
        return x.then("MatMul", y, shape=x.shape[:-1])
    longer = x.shape if len(x.shape) > len(y.shape) else y.shape
    return x.then("MatMul", y, shape=(*longer[:-2], x.shape[-2], y.shape[-1]))


def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """In another shape, -1 being the rows."""
    return x.reshape(*(None if n == -1 else n for n in shape))


def transpose(x: Tensor, axes: Sequence[int]) -> Tensor:
    """With its axes in another order."""
    return x.then("Transpose", perm=list(axes), shape=tuple(x.shape[i] for i in axes))


def affine(x: Tensor, kernel: NDArray[Any], bias: NDArray[Any]) -> Tensor:
    """Rows times a kernel of shape (n_inputs, n_outputs), plus a bias."""
    return x.then("Gemm", x.like(kernel), x.like(bias), shape=(x.shape[0], kernel.shape[1]))


def _reduced(kind: str, x: Tensor, axis: Any) -> Tensor:
    axes = np.atleast_1d(axis).astype(np.int64)
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return x.then(kind, axes, keepdims=0, shape=shape)


def _kept(x: Tensor, axis: int) -> Shape:
    return tuple(1 if i == axis else n for i, n in enumerate(x.shape))
