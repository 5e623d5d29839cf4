"""From an estimator to nodes and arrays.

A node is a list of its kind and its parts; parts are scalars, or ``["ref", i]`` for an earlier
node. What an estimator holds twice is one node, so that it comes back as one object.
"""

import warnings
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from skae.persistence import _keras, _scalars
from skae.persistence._classes import names_of_classes, names_of_functions
from skae.tables._schema import described, library_of

# What scikit-learn keeps of `set_callbacks`.
_CALLBACKS = "_skl_callbacks"

_SEQUENCES = {list: "list", tuple: "tuple"}
_SETS = {set: "set", frozenset: "frozenset"}


class Encoder:
    """Takes an estimator apart.

    Attributes
    ----------
    nodes : list
        What JSON can hold; parts stand before what is made of them.

    arrays : list of ndarray
        Of numbers, times or strings.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.has_keras = False
        self._seen: dict[int, Any] = {}
        # An object lives on as long as its id counts.
        self._kept: list[Any] = []

    def value(self, value: Any, where: str) -> Any:
        """What stands for a value in a node; nodes of what it is made of are added.

        Parameters
        ----------
        value : object
            An estimator, or what one holds.

        where : str
            The way to it, for messages.
        """
        if _scalars.is_scalar(value):
            return self._told(where, lambda: _scalars.written(value))
        if id(value) not in self._seen:
            self._seen[id(value)] = None
            self._kept.append(value)
            node = self._node(value, where)
            self._seen[id(value)] = len(self.nodes)
            self.nodes.append(node)
        position = self._seen[id(value)]
        if position is None:
            raise TypeError(_refusal(where, "what contains itself"))
        return ["ref", position]

    def _node(self, value: Any, where: str) -> list[Any]:
        kind: Any = type(value)
        if kind in _SEQUENCES:
            return [_SEQUENCES[kind], self._items(value, where)]
        if kind in _SETS:
            return [_SETS[kind], [self._key(key, where) for key in sorted(value, key=repr)]]
        if kind is dict:
            pairs = [
                [self._key(key, where), self.value(held, f"{where}[{key!r:.40}]")]
                for key, held in value.items()
            ]
            return ["dict", pairs]
        if kind in (np.ndarray, np.memmap):
            return self._array(value, where)
        if kind in names_of_classes():
            return ["object", names_of_classes()[kind], self._attributes(value, where)]
        if kind is np.random.RandomState:
            return ["generator", *self._generator(value)]
        if library_of(value):
            said = self._told(where, lambda: described(value))
            return ["table", self.value(said, where)]
        return self._of_functions_and_keras(value, where)

    def _of_functions_and_keras(self, value: Any, where: str) -> list[Any]:
        hashable = callable(value) and getattr(type(value), "__hash__", None) is not None
        if hashable and value in names_of_functions():
            return ["function", names_of_functions()[value]]
        if _keras.is_model(value):
            self.has_keras = True
            text, weights = self._told(where, lambda: _keras.written_model(value))
            return ["keras model", text, self.value(weights, where)]
        if _keras.is_keras(value):
            self.has_keras = True
            return ["keras", self._told(where, lambda: _keras.written_object(value))]
        raise TypeError(_refusal(where, _described(value)))

    def _items(self, value: Any, where: str) -> list[Any]:
        return [self.value(held, f"{where}[{i}]") for i, held in enumerate(value)]

    def _key(self, key: Any, where: str) -> Any:
        if not _scalars.is_scalar(key):
            raise TypeError(_refusal(where, f"a key of type {type(key).__name__}"))
        return self._told(where, lambda: _scalars.written(key))

    def _array(self, value: Any, where: str) -> list[Any]:
        array = np.asarray(value)
        if array.dtype == object:
            return ["objects", list(array.shape), self._items(array.ravel().tolist(), where)]
        if array.dtype.hasobject or array.dtype.kind not in "biufcMmUS" or not array.itemsize:
            raise TypeError(_refusal(where, f"an array of dtype {array.dtype}"))
        self.arrays.append(array)
        return ["array", len(self.arrays) - 1]

    def _attributes(self, value: Any, where: str) -> dict[str, Any]:
        return {
            name: self.value(held, f"{where}.{name}")
            for name, held in self._state(value, where).items()
        }

    def _state(self, value: Any, where: str) -> dict[str, Any]:
        if isinstance(value, tuple):
            return value._asdict()  # type: ignore[attr-defined]
        if is_dataclass(value):
            # Without what was computed from the fields.
            return {field.name: getattr(value, field.name) for field in fields(value)}
        if type(value).__name__ in ("DenseForward", "TimeLimit"):
            # They leave out what belongs to a running process.
            return dict(value.__getstate__())
        state = dict(vars(value))
        if _CALLBACKS in state:
            state[_CALLBACKS] = self._callbacks(state[_CALLBACKS], where)
        return state

    def _callbacks(self, callbacks: Any, where: str) -> list[Any]:
        ours = names_of_classes()
        left_out = [type(given).__name__ for given in callbacks if type(given) not in ours]
        if left_out:
            warnings.warn(
                f"skae.save leaves out callbacks that are not skae's own: of {where}, "
                f"{', '.join(left_out)}. Set them again on the "
                "loaded estimator before it is fitted further.",
                UserWarning,
                stacklevel=2,
            )
        return [given for given in callbacks if type(given) in ours]

    def _generator(self, value: np.random.RandomState) -> list[Any]:
        state: Any = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise TypeError(_refusal("random_state", f"a {state['bit_generator']} generator"))
        inner = state["state"]
        key = self.value(inner["key"], "random_state")
        gauss = _scalars.written(float(state["gauss"]))
        return [key, int(inner["pos"]), int(state["has_gauss"]), gauss]

    def _told(self, where: str, write: Any) -> Any:
        try:
            return write()
        except TypeError as error:
            raise TypeError(_refusal(where, str(error))) from error


def _described(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    name = getattr(value, "__qualname__", None)
    if callable(value) and name:
        return f"the function {name}"
    return f"an object of type {type(value).__module__}.{type(value).__qualname__}"


def _refusal(where: str, what: str) -> str:
    return (
        f"skae.save cannot write {where}: it is {what}. A saved file holds numbers, strings, "
        "dates, arrays, skae's own objects, Keras' own layers, losses and optimizers, and no "
        "code. Functions of your own can only be pickled."
    )
