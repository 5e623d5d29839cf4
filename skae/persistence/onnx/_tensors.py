"""ONNX nodes by NumPy: tensors of a graph, to which its operators and functions apply."""

from collections import ChainMap
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial, reduce
from itertools import zip_longest
from typing import Any, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray
from scipy import special

from skae.networks import _base

# None stands for the number of rows.
Shape = tuple[Any, ...]


class Graph:
    """The nodes and constants of a converter, in a scope and a container of skl2onnx."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container
        # Tensors that several outputs share, by a key of the caller.
        self.shared: dict[Any, Tensor] = {}

    def node(
        self, kind: str, *inputs: Any, n_outputs: int = 1, names: Any = None, **attributes: Any
    ) -> list[str]:
        """Names of the outputs, new ones by default, of a new node of tensors or arrays."""
        tensors = [x if isinstance(x, Tensor) else self.constant(x) for x in inputs]
        stem, new_name = kind.lower(), self._scope.get_unique_variable_name
        names = [new_name(stem) for _ in range(n_outputs)] if names is None else names
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(
            kind, [x.name for x in tensors], names, name=name, **attributes
        )
        return list(names)

    def constant(self, array: Any) -> "Tensor":
        """A tensor with these values."""
        from onnx import numpy_helper

        array = np.asarray(array)
        name = self._scope.get_unique_variable_name("constant")
        proto = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self._container.add_initializer(name, proto.data_type, array.shape, proto)
        return Tensor(self, name, array.shape, array.dtype)


class Tensor(NDArrayOperatorsMixin):
    """The output of a node, or a constant, to which NumPy's functions apply: they add nodes."""

    def __init__(self, graph: Graph, name: str, shape: Shape, dtype: Any) -> None:
        self.graph = graph
        self.name = name
        self.shape = shape
        self.dtype = np.dtype(dtype)

    def apply(
        self, kind: str, *others: Any, shape: Any = None, dtype: Any = None, **attributes: Any
    ) -> "Tensor":
        """Output of an ONNX operator, by default of the shape and the dtype of this tensor."""
        (name,) = self.graph.node(kind, self, *others, **attributes)
        shape = self.shape if shape is None else shape
        return Tensor(self.graph, name, shape, self.dtype if dtype is None else dtype)

    def like(self, value: Any) -> "Tensor":
        """A number or an array as a constant of this dtype; a tensor as it is."""
        if isinstance(value, Tensor):
            return value
        return self.graph.constant(np.asarray(value, self.dtype))

    def astype(self, dtype: Any) -> "Tensor":
        """A tensor of another dtype."""
        from onnx.helper import np_dtype_to_tensor_dtype

        if self.dtype == dtype:
            return self
        return self.apply("Cast", dtype=dtype, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, *shape: int | None) -> "Tensor":
        """A tensor of another shape, in which None stands for the number of rows."""
        sizes = np.array([-1 if n is None else n for n in shape], np.int64)
        return self.apply("Reshape", sizes, shape=shape)

    def take(self, index: Any, axis: int = 1) -> "Tensor":
        """Entries at these positions of an axis."""
        index = index if isinstance(index, Tensor) else np.asarray(index, np.int64)
        shape = (*self.shape[:axis], *index.shape, *self.shape[axis + 1 :])
        return self.apply("Gather", index, axis=axis, shape=shape)

    def __getitem__(self, key: Any) -> "Tensor":
        """Columns of rows, as ``x[:, a:b:c]``."""
        _, columns = key
        return self.take(np.arange(self.shape[1])[columns])

    def transpose(self, *axes: int) -> "Tensor":
        """A tensor with its axes in another order."""
        return self.apply(
            "Transpose", perm=list(axes), shape=tuple(self.shape[i] for i in axes)
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Output of NumPy's function of each entry, which `out` then stands for, if given."""
        (out,) = options.pop("out", (None,))
        if method != "__call__" or options or isinstance(out, np.ndarray):
            return NotImplemented
        if ufunc in _OPERATORS:
            first, *others = (self.like(x) for x in inputs)
            shape = reduce(broadcast, [each.shape for each in others], first.shape)
            dtype = bool if ufunc in _CONDITIONS else None
            result = first.apply(_OPERATORS[ufunc], *others, shape=shape, dtype=dtype)
            return _stored(result, out)
        return self.__array_function__(ufunc, (), inputs, {"out": out})

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Output of another function of NumPy."""
        if function not in _FUNCTIONS:
            return NotImplemented
        out = kwargs.pop("out", None)
        return _stored(_FUNCTIONS[function](*args, **kwargs), out)


def _stored(result: Tensor, out: Tensor | None) -> Tensor:
    """The result, for which `out` stands from now on, if given."""
    if out is None:
        return result
    vars(out).update(vars(result))
    return out


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of the result of two shapes."""
    pairs = zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(n if m == 1 else m for m, n in pairs)[::-1]


# NumPy's functions

_OPERATORS: dict[Any, str] = {
    np.absolute: "Abs", np.add: "Add", np.exp: "Exp", np.greater: "Greater", np.isnan: "IsNaN",
    np.less: "Less", np.less_equal: "LessOrEqual", np.log: "Log", np.maximum: "Max",
    np.minimum: "Min", np.multiply: "Mul", np.negative: "Neg", np.power: "Pow",
    np.sign: "Sign", np.sqrt: "Sqrt", np.subtract: "Sub", np.tanh: "Tanh",
    np.true_divide: "Div", special.expit: "Sigmoid",
}  # fmt: skip
_CONDITIONS = {np.greater, np.isnan, np.less, np.less_equal}


def _where(condition: Any, yes: Any, no: Any) -> Tensor:
    """Entries of `yes` or `no`, one of which is a tensor, of any shapes that broadcast."""
    yes, no = (yes, yes.like(no)) if isinstance(yes, Tensor) else (no.like(yes), no)
    if not isinstance(condition, Tensor):
        condition = yes.graph.constant(condition)
    shape = broadcast(condition.shape, broadcast(yes.shape, no.shape))
    return condition.apply("Where", yes, no, shape=shape, dtype=yes.dtype)


def _reduced(kind: str, x: Tensor, axis: Any) -> Tensor:
    """Reduction of a tensor of any shape over one axis or more."""
    axes = np.atleast_1d(axis).astype(np.int64)
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return x.apply(kind, axes, keepdims=0, shape=shape)


def _logaddexp(x: Any, y: Any) -> Tensor:
    most = np.maximum(x, y)
    return most + np.log(1 + np.exp(np.minimum(x, y) - most))


def _concatenate(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of the same shape but for the first axis, one after the other."""
    first, *others = tensors
    n = sum(tensor.shape[0] for tensor in tensors)
    return first.apply("Concat", *others, axis=0, shape=(n, *first.shape[1:]))


def _einsum(subscripts: str, *tensors: Tensor) -> Tensor:
    """Einstein summation of tensors of any shapes, with the subscripts of the result given."""
    terms, result = subscripts.split("->")
    sizes: dict[str, Any] = {}
    for term, tensor in zip(terms.split(","), tensors, strict=True):
        sizes |= zip(term, tensor.shape, strict=True)
    shape = tuple(sizes[letter] for letter in result)
    return tensors[0].apply("Einsum", *tensors[1:], equation=subscripts, shape=shape)


def _matmul(x: Any, y: Any) -> Tensor:
    """Product of matrices in the last two axes, or of a matrix and a vector."""
    x, y = (y.like(x), y) if isinstance(y, Tensor) else (x, x.like(y))
    if len(y.shape) == 1:
        return x.apply("MatMul", y, shape=x.shape[:-1])
    longer = x.shape if len(x.shape) > len(y.shape) else y.shape
    return x.apply("MatMul", y, shape=(*longer[:-2], x.shape[-2], y.shape[-1]))


_FUNCTIONS: dict[Any, Callable[..., Tensor]] = {
    np.clip: lambda x, low, high: np.minimum(np.maximum(x, low), high),
    np.concatenate: _concatenate,
    np.einsum: _einsum,
    np.expm1: lambda x: np.exp(x) - 1,
    np.logaddexp: _logaddexp,
    np.matmul: _matmul,
    np.max: partial(_reduced, "ReduceMax"),
    np.mean: partial(_reduced, "ReduceMean"),
    np.ones_like: lambda x: x.like(1.0),
    np.reshape: lambda x, shape: x.reshape(*(None if n == -1 else n for n in shape)),
    np.square: lambda x: x * x,
    np.sum: partial(_reduced, "ReduceSum"),
    np.transpose: lambda x, axes: x.transpose(*axes),
    np.where: _where,
    np.zeros_like: lambda x: x.like(0.0),
    # onnxruntime has no erf in float64.
    special.erf: lambda x: x.astype(np.float32).apply("Erf").astype(x.dtype),
}


def affine(x: Tensor, kernel: NDArray[Any], bias: NDArray[Any]) -> Tensor:
    """Rows times a kernel of shape (n_inputs, n_outputs), plus a bias."""
    return x.apply("Gemm", x.like(kernel), x.like(bias), shape=(x.shape[0], kernel.shape[1]))


# Those of networks in NumPy take tensors too. Most of ONNX' own exist for float32 only in
# onnxruntime.
ACTIVATIONS: ChainMap[str, Callable[[Any], Any]] = ChainMap(
    {
        "relu": lambda x: x.apply("Relu"),
        "sigmoid": lambda x: x.apply("Sigmoid"),
        "softmax": lambda x: x.apply("Softmax", axis=-1),
    },
    _base.ACTIVATIONS,
)


def activate(name: str, x: Tensor) -> Tensor:
    """A tensor of any shape after an activation; those of NumPy compute in place."""
    return cast(Tensor, ACTIVATIONS[name](copy(x)))
