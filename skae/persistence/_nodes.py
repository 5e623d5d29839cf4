"""An estimator as a list of nodes and arrays, and back by data alone: no code of a file is run.

A node is a list of its kind and its parts; parts are scalars, or ``["ref", i]`` for an earlier
node. So nothing contains itself, and what an estimator holds twice comes back as one object.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from skae.persistence import _keras, _scalars
from skae.persistence._container import check
from skae.persistence._schema import object_of, savable_classes, savable_functions, state_of
from skae.utils._calls import warn_user

Array = np.ndarray[Any, Any]

# Where scikit-learn stores the callbacks of `set_callbacks`.
_CALLBACKS = "_skl_callbacks"

# Numbers in the state of the Mersenne twister.
_GENERATOR_LENGTH = 624


class Encoder:
    """Takes an estimator apart."""

    def __init__(self) -> None:
        # JSON values; parts stand before the nodes that refer to them.
        self.nodes: list[Any] = []
        # Of numbers, times or strings.
        self.arrays: list[Array] = []
        self._class_names = {kind: name for name, kind in savable_classes().items()}
        self._function_names = {value: name for name, value in savable_functions().items()}
        # Each object by its id, which counts as long as the object lives, and the position of
        # its node, None while it is written.
        self._written: dict[int, tuple[Any, int | None]] = {}
        # The way to the value that is written, for messages.
        self._path: list[str] = []

    def encode(self, estimator: Any) -> Any:
        """The reference to an estimator, whose nodes are added."""
        try:
            return self._value(estimator, type(estimator).__name__)
        except TypeError as error:
            raise TypeError(
                f"skae.save cannot write {''.join(self._path)}: it is {error}. A saved file "
                "holds numbers, strings, dates, arrays, skae's own objects, Keras' own layers, "
                "losses and optimizers, and no code. Functions of your own can only be pickled."
            ) from error

    def _value(self, value: Any, name: str) -> Any:
        """A scalar, or the reference to a new or an earlier node."""
        self._path.append(name)
        if _scalars.is_scalar(value):
            reference = _scalars.to_json(value)
        else:
            if id(value) not in self._written:
                self._written[id(value)] = value, None
                self.nodes.append(self._node(value))
                self._written[id(value)] = value, len(self.nodes) - 1
            _, position = self._written[id(value)]
            if position is None:
                raise TypeError("what contains itself")
            reference = ["ref", position]
        self._path.pop()
        return reference

    def _node(self, value: Any) -> list[Any]:
        kind: Any = type(value)
        if kind in (list, tuple):
            items = [self._value(item, f"[{i}]") for i, item in enumerate(value)]
            return [kind.__name__, items]
        if kind in (set, frozenset):
            return [kind.__name__, [_scalars.to_json(v) for v in sorted(value, key=repr)]]
        if kind is dict:
            items = value.items()
            pairs = [[_scalars.to_json(k), self._value(v, f"[{k!r:.40}]")] for k, v in items]
            return ["dict", pairs]
        if kind in (np.ndarray, np.memmap):
            array = np.asarray(value)
            if array.dtype == object:
                flat = array.ravel().tolist()
                items = [self._value(item, f"[{i}]") for i, item in enumerate(flat)]
                return ["objects", list(array.shape), items]
            if array.dtype.kind not in "biufcMmUS" or not array.itemsize:
                raise TypeError(f"an array of dtype {array.dtype}")
            self.arrays.append(array)
            return ["array", len(self.arrays) - 1]
        if kind in self._class_names:
            state = state_of(value)
            if _CALLBACKS in state:
                state[_CALLBACKS] = self._own_callbacks(state[_CALLBACKS])
            fields = {name: self._value(held, f".{name}") for name, held in state.items()}
            return ["object", self._class_names[kind], fields]
        if kind is np.random.RandomState:
            state = value.get_state(legacy=False)
            if state["bit_generator"] != "MT19937":
                raise TypeError(f"a {state['bit_generator']} generator")
            key, position = state["state"]["key"], int(state["state"]["pos"])
            gauss = int(state["has_gauss"]), _scalars.to_json(float(state["gauss"]))
            return ["generator", self._value(key, ""), position, *gauss]
        is_hashable = getattr(kind, "__hash__", None)
        if callable(value) and is_hashable and value in self._function_names:
            return ["function", self._function_names[value]]
        if _keras.is_keras(value):
            text, weights = _keras.written(value)
            if weights is None:
                return ["keras", text]
            return ["keras model", text, self._value(weights, ".weights")]
        if isinstance(value, type):
            raise TypeError(f"the class {value.__qualname__}")
        if callable(value) and getattr(value, "__qualname__", None):
            raise TypeError(f"the function {value.__qualname__}")
        raise TypeError(f"an object of type {kind.__module__}.{kind.__qualname__}")

    def _own_callbacks(self, callbacks: Any) -> list[Any]:
        """Callbacks without those of other packages, of which there is a warning."""
        others = [type(c).__name__ for c in callbacks if type(c) not in self._class_names]
        if others:
            warn_user(
                f"skae.save leaves out callbacks that are not skae's own: of "
                f"{''.join(self._path)}, {', '.join(others)}. Set them again on the loaded "
                "estimator before it is fitted further.",
            )
        return [callback for callback in callbacks if type(callback) in self._class_names]


class Decoder:
    """Puts together what an :class:`Encoder` took apart, from nodes and arrays of a file."""

    def __init__(self, nodes: Any, arrays: list[Array]) -> None:
        check(isinstance(nodes, list), "The file has no list of nodes.")
        self._values: list[Any] = []
        self._classes = savable_classes()
        self._functions = savable_functions()
        kinds: dict[str, Callable[..., Any]] = {
            "list": self._list,
            "tuple": lambda items: tuple(self._list(items)),
            "set": lambda items: set(map(_scalars.key, _items(items))),
            "frozenset": lambda items: frozenset(map(_scalars.key, _items(items))),
            "dict": lambda pairs: {_scalars.key(k): self.value(v) for k, v in _items(pairs)},
            "array": lambda at: _at(arrays, at, "The file names an array that it lacks."),
            "objects": self._objects,
            "object": self._object,
            "function": lambda name: _found(self._functions, name, "function"),
            "generator": self._generator,
            "keras": lambda text: _keras.read(text),
            "keras model": lambda text, weights: _keras.read(text, self.value(weights)),
        }
        for node in nodes:
            known = isinstance(node, list) and len(node) > 1 and isinstance(node[0], str)
            check(known and node[0] in kinds, "The file has a node of an unknown kind.")
            self._values.append(kinds[node[0]](*node[1:]))

    def value(self, part: Any) -> Any:
        """The value of a part of a node: a scalar, or a reference to an earlier node."""
        if isinstance(part, list) and len(part) == 2 and part[0] == "ref":
            message = "The file refers to a node that is not there yet."
            return _at(self._values, part[1], message)
        return _scalars.from_json(part)

    def _list(self, items: Any) -> list[Any]:
        return [self.value(item) for item in _items(items)]

    def _objects(self, shape: Any, items: Any) -> Array:
        values = self._list(items)
        is_shape = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
        check(is_shape and len(shape) <= 32, "An array of objects has no shape.")
        check(prod(shape) == len(values), "An array of objects has another shape than items.")
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array.reshape(shape)

    def _object(self, name: Any, state: Any) -> Any:
        kind = _found(self._classes, name, "class")
        check(isinstance(state, dict), "The file has an object without fields.")
        return object_of(kind, {key: self.value(held) for key, held in state.items()})

    def _generator(self, key: Any, position: Any, has_gauss: Any, gauss: Any) -> Any:
        key = self.value(key)
        is_state = isinstance(key, np.ndarray) and key.shape == (_GENERATOR_LENGTH,)
        check(is_state and key.dtype == np.uint32, "A random generator has no state.")
        # NumPy does not check it, and reads beyond the key.
        inside = type(position) is int and 0 <= position <= _GENERATOR_LENGTH
        check(inside and has_gauss in (0, 1), "A random generator has no state.")
        generator = np.random.RandomState()
        gauss = float(_scalars.from_json(gauss))
        generator.set_state(("MT19937", key, position, int(has_gauss), gauss))
        return generator


def _at(values: list[Any], position: Any, message: str) -> Any:
    """The item at a position, which comes from a file."""
    check(type(position) is int and 0 <= position < len(values), message)
    return values[position]


def _items(items: Any) -> list[Any]:
    check(isinstance(items, list), "A node of the file has no list of items.")
    return list(items)


def _found(known: dict[str, Any], name: Any, kind: str) -> Any:
    check(
        isinstance(name, str) and name in known,
        f"The file names a {kind} that it may not, or of another version: {name!r:.80}.",
    )
    return known[name]
