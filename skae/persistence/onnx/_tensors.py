"""ONNX nodes written like NumPy: tensors of a graph with NumPy's operators."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

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
        """Add a node of an ONNX operator and return the names of its outputs.

        Inputs are tensors, or arrays, which become constants. Without `names` there is one
        output, which gets a new name.
        """
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
    """The output of a node, or a constant, with NumPy's operators.

    Parameters
    ----------
    graph : Graph
        The graph to which operators add nodes.

    name : str
        Its name in the graph.

    shape : tuple of int or None
        None stands for the number of rows.

    dtype : dtype
        Of its entries.
    """

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
        """The output of an ONNX operator of this tensor and others, arrays among them.

        Without `shape` and `dtype` the output has those of this tensor.
        """
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
    maximum = _operator("Max")
    minimum = _operator("Min")


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of the result of two shapes."""
    pairs = zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(n if m == 1 else m for m, n in pairs)[::-1]
