"""ONNX nodes written like NumPy: tensors of a graph, their operators and the `xp` of losses."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        self, kind: str, *inputs: Any, names: Sequence[str] = (), **attributes: Any
    ) -> Any:
        """Names of the outputs, one by default, of a new node of tensors or arrays."""
        tensors = [x if isinstance(x, Tensor) else self.constant(x) for x in inputs]
        names = list(names) or [self.new_name(kind.lower())]
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(
            kind, [x.name for x in tensors], names, name=name, **attributes
        )
        return names

    def new_name(self, stem: str) -> str:
        """A name that no other tensor has."""
        return str(self._scope.get_unique_variable_name(stem))

    def constant(self, array: Any) -> "Tensor":
        """A tensor with these values."""
        from onnx import numpy_helper

        array = np.asarray(array)
        name = self.new_name("constant")
        proto = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self._container.add_initializer(name, proto.data_type, array.shape, proto)
        return Tensor(self, name, array.shape, array.dtype)


def _operator(
    kind: str, reverse: bool = False, dtype: Any = None
) -> Callable[["Tensor", Any], "Tensor"]:
    def operator(tensor: "Tensor", other: Any) -> "Tensor":
        other = tensor.like(other)
        first, second = (other, tensor) if reverse else (tensor, other)
        shape = broadcast(tensor.shape, other.shape)
        return first.apply(kind, second, shape=shape, dtype=dtype)

    return operator


class Tensor:
    """The output of a node, or a constant, with NumPy's operators, which add nodes."""

    # NumPy's arrays leave operators with tensors to these.
    __array_ufunc__ = None

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

    def __neg__(self) -> "Tensor":
        return self.apply("Neg")

    __add__ = _operator("Add")
    __radd__ = _operator("Add", reverse=True)
    __sub__ = _operator("Sub")
    __rsub__ = _operator("Sub", reverse=True)
    __mul__ = _operator("Mul")
    __rmul__ = _operator("Mul", reverse=True)
    __truediv__ = _operator("Div")
    __rtruediv__ = _operator("Div", reverse=True)
    __pow__ = _operator("Pow")
    __lt__ = _operator("Less", dtype=bool)
    __le__ = _operator("LessOrEqual", dtype=bool)
    __gt__ = _operator("Greater", dtype=bool)


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of the result of two shapes."""
    pairs = zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(n if m == 1 else m for m, n in pairs)[::-1]


# NumPy's functions


def _entrywise(kind: str, dtype: Any = None) -> Callable[[Tensor], Tensor]:
    return lambda x: x.apply(kind, dtype=dtype)


abs = _entrywise("Abs")
exp = _entrywise("Exp")
sqrt = _entrywise("Sqrt")
sign = _entrywise("Sign")
isnan = _entrywise("IsNaN", bool)
maximum = _operator("Max")
minimum = _operator("Min")


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


def _reduced(kind: str, x: Tensor, axis: Any) -> Tensor:
    """Reduction of a tensor of any shape over one axis or more."""
    axes = np.atleast_1d(axis).astype(np.int64)
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return x.apply(kind, axes, keepdims=0, shape=shape)


mean = partial(_reduced, "ReduceMean")
max = partial(_reduced, "ReduceMax")


def sum(x: Any, axis: Any = None) -> Any:
    """Sum over one axis or more, of a tensor or of an array."""
    return _reduced("ReduceSum", x, axis) if isinstance(x, Tensor) else np.sum(x, axis)


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
