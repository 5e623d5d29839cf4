"""ONNX nodes by NumPy: tensors of a graph, to which its operators and functions apply."""

from collections import ChainMap
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial, reduce
from itertools import zip_longest
from operator import mul
from typing import Any, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray
from scipy import special

from skae.networks import _base
from skae.utils._arrays import by_chunk
from skae.utils._rows import has_missing

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

    def constant(self, array: Any, dtype: Any = None) -> "Tensor":
        """A tensor with these values."""
        from onnx import numpy_helper

        array = np.asarray(array, dtype)
        name = self._scope.get_unique_variable_name("constant")
        proto = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self._container.add_initializer(name, proto.data_type, array.shape, proto)
        return Tensor(self, name, array.shape, array.dtype)


class Tensor(NDArrayOperatorsMixin):
    """The output of a node, or a constant, to which NumPy's functions apply: they add nodes.

    Dtypes are those of NumPy's results. Its methods are functions of NumPy.
    """

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

    def like(self, value: Any, dtype: Any = None) -> "Tensor":
        """A tensor, a number or an array in a dtype, by default this one."""
        dtype = self.dtype if dtype is None else dtype
        if isinstance(value, Tensor):
            return value.astype(dtype)
        return self.graph.constant(value, dtype)

    def astype(self, dtype: Any, copy: bool = True) -> "Tensor":
        """A tensor of another dtype."""
        from onnx.helper import np_dtype_to_tensor_dtype

        if self.dtype == dtype:
            return self
        return self.apply("Cast", dtype=dtype, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, *shape: int | None) -> "Tensor":
        """A tensor of another shape, in which None or -1 stands for the number of rows."""
        sizes = np.array([-1 if n is None else n for n in shape], np.int64)
        return self.apply("Reshape", sizes, shape=tuple(None if n == -1 else n for n in shape))

    def take(self, index: Any, axis: int = 1) -> "Tensor":
        """Entries at these positions of an axis."""
        index = index if isinstance(index, Tensor) else np.asarray(index, np.int64)
        shape = (*self.shape[:axis], *index.shape, *self.shape[axis + 1 :])
        return self.apply("Gather", index, axis=axis, shape=shape)

    def __getitem__(self, key: Any) -> "Tensor":
        """Entries, as ``x[:, a:b:c]``: of rows, and of axes of another size, by constants."""
        tensor, axis = self, 0
        for index in key if isinstance(key, tuple) else (key,):
            if index is None:
                tensor = tensor.reshape(*tensor.shape[:axis], 1, *tensor.shape[axis:])
            elif not (isinstance(index, slice) and index == slice(None)):
                position = np.arange(tensor.shape[axis])[index]
                tensor, axis = tensor.take(position, axis), axis + position.ndim - 1
            axis += 1
        return tensor

    def transpose(self, *axes: int) -> "Tensor":
        """A tensor with its axes in another order."""
        return self.apply(
            "Transpose", perm=list(axes), shape=tuple(self.shape[i] for i in axes)
        )

    @property
    def T(self) -> "Tensor":  # noqa: N802
        """A tensor with its axes in reverse order."""
        return self.transpose(*reversed(range(len(self.shape))))

    def copy(self) -> "Tensor":
        """Another tensor for the same output."""
        return copy(self)

    def __getattr__(self, name: str) -> Any:
        """The method that is a function of NumPy."""
        function: Any = getattr(np, name, None)
        if function not in FUNCTIONS:
            raise AttributeError(f"ONNX tensors have no attribute {name!r}")
        return partial(function, self)

    def __bool__(self) -> bool:
        raise TypeError("an ONNX tensor has no value before the model is run")

    def __array__(self, *args: Any, **options: Any) -> Any:
        self.__bool__()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Output of NumPy's function of each entry, which `out` then stands for, if given."""
        (out,) = options.pop("out", (None,))
        if method != "__call__" or options or isinstance(out, np.ndarray):
            return NotImplemented
        if ufunc in _OPERATORS:
            given = [x.dtype if hasattr(x, "dtype") else type(x) for x in inputs]
            *dtypes, dtype = ufunc.resolve_dtypes((*given, None))
            first, *others = map(self.like, inputs, dtypes)
            shape = reduce(broadcast, [each.shape for each in others], first.shape)
            result = first.apply(_OPERATORS[ufunc], *others, shape=shape, dtype=dtype)
            return _stored(result, out)
        return self.__array_function__(ufunc, (), inputs, {"out": out})

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Output of another function of NumPy, or of one that is overridable."""
        if function not in FUNCTIONS:
            return NotImplemented
        out = kwargs.pop("out", None)
        return _stored(FUNCTIONS[function](*args, **kwargs), out)


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
    np.absolute: "Abs", np.add: "Add", np.exp: "Exp", np.greater: "Greater", np.invert: "Not",
    np.isnan: "IsNaN", np.less: "Less", np.less_equal: "LessOrEqual", np.log: "Log",
    np.maximum: "Max", np.minimum: "Min", np.multiply: "Mul", np.negative: "Neg",
    np.power: "Pow", np.sign: "Sign", np.sqrt: "Sqrt", np.subtract: "Sub", np.tanh: "Tanh",
    np.true_divide: "Div", special.expit: "Sigmoid",
}  # fmt: skip


def _broadcast_to(x: Tensor, shape: Shape) -> Tensor:
    sizes = np.array([1 if n is None else n for n in shape], np.int64)
    return x.apply("Expand", sizes, shape=shape)


def _clip(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _where(condition: Any, yes: Any, no: Any) -> Tensor:
    """Entries of `yes` or `no`, one of the three a tensor, of any shapes that broadcast."""
    given = [x.dtype if isinstance(x, Tensor) else x for x in (yes, no)]
    dtype = np.result_type(*given)
    tensor = next(x for x in (condition, yes, no) if isinstance(x, Tensor))
    condition, yes, no = map(tensor.like, (condition, yes, no), (np.bool_, dtype, dtype))
    shape = broadcast(condition.shape, broadcast(yes.shape, no.shape))
    return condition.apply("Where", yes, no, shape=shape, dtype=dtype)


def _reduced(
    kind: str, x: Tensor, axis: Any = None, dtype: Any = None, keepdims: bool = False
) -> Tensor:
    """Reduction of a tensor of any shape over one axis or more, of None over all."""
    if dtype is None and x.dtype == bool:
        dtype = np.int64 if kind == "ReduceSum" else np.float64
    x = x if dtype is None else x.astype(dtype)
    n, chosen = len(x.shape), range(len(x.shape)) if axis is None else np.atleast_1d(axis)
    axes = np.array([i % n for i in chosen], np.int64)
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
    if not keepdims:
        shape = [n for i, n in enumerate(shape) if i not in axes]
    return x.apply(kind, axes, keepdims=int(keepdims), shape=tuple(shape))


def _logaddexp(x: Any, y: Any) -> Tensor:
    most = np.maximum(x, y)
    return most + np.log(1 + np.exp(np.minimum(x, y) - most))


def _concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of the same dtype, and shape but for one axis, one after the other."""
    first, *others = tensors
    if not others:
        return first
    shape = list(first.shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    return first.apply("Concat", *others, axis=axis, shape=tuple(shape))


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of the same dtype and shape along a new axis, the first."""
    return _concatenate([tensor[None] for tensor in tensors])


def _einsum(subscripts: str, *tensors: Tensor) -> Tensor:
    """Einstein summation of tensors of any shapes, with the subscripts of the result given."""
    given, result = subscripts.split("->")
    terms = given.split(",")
    if len(set(terms)) == 1:
        # onnxruntime would multiply a matrix for each row.
        axes = [i for i, letter in enumerate(terms[0]) if letter not in result]
        product: Any = reduce(mul, tensors)
        return product.sum(axis=axes)
    sizes: dict[str, Any] = {}
    for term, tensor in zip(terms, tensors, strict=True):
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


#: The functions above, those of other modules that are overridable, and what computes them.
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    by_chunk: lambda function, n_rows, n_multiplications, *arrays: function(*arrays),
    has_missing: lambda x: True,
    np.broadcast_to: _broadcast_to,
    np.clip: _clip,
    np.concatenate: _concatenate,
    np.einsum: _einsum,
    np.expm1: lambda x: np.exp(x) - 1,
    np.full_like: lambda x, value: 0 * x + value,
    np.hstack: partial(_concatenate, axis=1),
    np.logaddexp: _logaddexp,
    np.matmul: _matmul,
    np.max: partial(_reduced, "ReduceMax"),
    np.mean: partial(_reduced, "ReduceMean"),
    np.min: partial(_reduced, "ReduceMin"),
    np.nansum: lambda x, axis: np.where(np.isnan(x), 0, x).sum(axis),
    np.ones_like: lambda x: x.like(1.0),
    np.reshape: lambda x, shape: x.reshape(*shape),
    np.square: lambda x: x * x,
    np.stack: _stack,
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
        "softmax": lambda x: x.apply("Softmax", axis=-1),
    },
    _base.ACTIVATIONS,
)


def activate(name: str, x: Tensor) -> Tensor:
    """A tensor of any shape after an activation; those of NumPy compute in place."""
    return cast(Tensor, ACTIVATIONS[name](x.copy()))
