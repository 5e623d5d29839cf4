"""ONNX nodes written as NumPy is: tensors and their operators."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

# None: as many as there are rows.
Shape = tuple[Any, ...]


class Graph:
    """Where nodes are added.

    Parameters
    ----------
    scope, container : objects of skl2onnx
        Give names, and hold nodes and constants.
    """

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container
        # What several outputs share, by the key of whoever has said it.
        self.shared: dict[Any, Tensor] = {}

    def node(
        self, kind: str, *inputs: Any, names: Sequence[str] = (), **attributes: Any
    ) -> Any:
        """Add a node and return the names of its outputs.

        Parameters
        ----------
        kind : str
            An operator of ONNX.

        *inputs : Tensor or ndarray
            What it reads; arrays become constants.

        names : sequence of str, default=()
            Of the outputs; none: one output, with a name of its own.

        **attributes
            Of the operator.
        """
        read = [x.name if isinstance(x, Tensor) else self.constant(x).name for x in inputs]
        names = list(names) or [self.new_name(kind.lower())]
        self._container.add_node(
            kind, read, names, name=self._scope.get_unique_operator_name(kind), **attributes
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
        held = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self._container.add_initializer(name, held.data_type, array.shape, held)
        return Tensor(self, name, array.shape, array.dtype)


class Tensor:
    """The output of a node, with NumPy's operators.

    Parameters
    ----------
    graph : Graph
        Where it stands.

    name : str
        In the graph.

    shape : tuple of int or None
        None: as many as there are rows.

    dtype : dtype
        Of its numbers.
    """

    # NumPy's arrays leave operators with tensors to these.
    __array_ufunc__ = None

    def __init__(self, graph: Graph, name: str, shape: Shape, dtype: Any) -> None:
        self.graph = graph
        self.name = name
        self.shape = shape
        self.dtype = np.dtype(dtype)

    def then(self, kind: str, *others: Any, shape: Any = None, **attributes: Any) -> "Tensor":
        """The output of a node that reads this tensor first.

        Parameters
        ----------
        kind : str
            An operator of ONNX.

        *others : Tensor or ndarray
            What it reads besides.

        shape : tuple, default=None
            Of the output; None: that of this tensor.

        **attributes
            Of the operator.
        """
        (name,) = self.graph.node(kind, self, *others, **attributes)
        return Tensor(self.graph, name, self.shape if shape is None else shape, self.dtype)

    def like(self, value: Any) -> "Tensor":
        """A number or an array as a constant of this dtype; tensors as they are."""
        if isinstance(value, Tensor):
            return value
        return self.graph.constant(np.asarray(value, self.dtype))

    def paired(self, kind: str, other: Any, reverse: bool = False) -> "Tensor":
        """What an operator makes of this tensor and another, entry by entry."""
        other = self.like(other)
        first, second = (other, self) if reverse else (self, other)
        return first.then(kind, second, shape=_broadcast(self.shape, other.shape))

    def compared(self, kind: str, other: Any) -> "Tensor":
        """Whether each entry is "Less", "Greater" and so on."""
        result = self.paired(kind, other)
        result.dtype = np.dtype(bool)
        return result

    def where(self, yes: "Tensor", no: Any) -> "Tensor":
        """Entries of `yes` where this is true, of `no` elsewhere."""
        no = yes.like(no)
        shape = _broadcast(self.shape, _broadcast(yes.shape, no.shape))
        (name,) = self.graph.node("Where", self, yes, no)
        return Tensor(self.graph, name, shape, yes.dtype)

    def astype(self, dtype: Any) -> "Tensor":
        """In another dtype."""
        from onnx.helper import np_dtype_to_tensor_dtype

        if self.dtype == dtype:
            return self
        result = self.then("Cast", to=np_dtype_to_tensor_dtype(np.dtype(dtype)))
        result.dtype = np.dtype(dtype)
        return result

    def reshape(self, *shape: int | None) -> "Tensor":
        """In another shape, None being the rows."""
        whole = np.array([-1 if n is None else n for n in shape], np.int64)
        return self.then("Reshape", whole, shape=shape)

    def take(self, index: Any, axis: int = 1) -> "Tensor":
        """Entries at these positions of an axis."""
        index = np.asarray(index, np.int64) if not isinstance(index, Tensor) else index
        shape = (*self.shape[:axis], *index.shape, *self.shape[axis + 1 :])
        return self.then("Gather", index, axis=axis, shape=shape)

    def __getitem__(self, key: Any) -> "Tensor":
        """Columns of rows, as ``x[:, a:b:c]``."""
        _, columns = key
        return self.take(np.arange(self.shape[1])[columns])

    def __add__(self, other: Any) -> "Tensor":
        return self.paired("Add", other)

    def __radd__(self, other: Any) -> "Tensor":
        return self.paired("Add", other, reverse=True)

    def __sub__(self, other: Any) -> "Tensor":
        return self.paired("Sub", other)

    def __rsub__(self, other: Any) -> "Tensor":
        return self.paired("Sub", other, reverse=True)

    def __mul__(self, other: Any) -> "Tensor":
        return self.paired("Mul", other)

    def __rmul__(self, other: Any) -> "Tensor":
        return self.paired("Mul", other, reverse=True)

    def __truediv__(self, other: Any) -> "Tensor":
        return self.paired("Div", other)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return self.paired("Div", other, reverse=True)

    def __pow__(self, power: Any) -> "Tensor":
        return self.paired("Pow", power)

    def __neg__(self) -> "Tensor":
        return self.then("Neg")


def _broadcast(a: Shape, b: Shape) -> Shape:
    pairs = zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(n if m == 1 else m for m, n in pairs)[::-1]
