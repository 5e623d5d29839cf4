"""From nodes and arrays to an estimator, by data alone: nothing that a file says is called.

A node is made of earlier nodes only, so nothing is nested and nothing contains itself.
"""

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from inspect import signature
from math import prod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skae.persistence import _keras, _scalars
from skae.persistence._classes import class_named, function_named
from skae.persistence._errors import check
from skae.tables._schema import table_of

_GENERATOR_LENGTH = 624


class Decoder:
    """Puts together what an :class:`~skae.persistence._encode.Encoder` took apart.

    Parameters
    ----------
    nodes : list
        From a file.

    arrays : list of ndarray
        Likewise.
    """

    def __init__(self, nodes: Any, arrays: list[np.ndarray[Any, Any]]) -> None:
        check(isinstance(nodes, list), "The file has no list of nodes.")
        self._arrays = arrays
        self._made: list[Any] = []
        kinds: dict[str, Callable[..., Any]] = {
            "list": self._list,
            "tuple": lambda items: tuple(self._list(items)),
            "set": lambda items: set(map(_scalars.as_key, self._scalars(items))),
            "frozenset": lambda items: frozenset(map(_scalars.as_key, self._scalars(items))),
            "dict": self._dict,
            "array": self._array,
            "objects": self._objects,
            "object": self._object,
            "function": function_named,
            "generator": self._generator,
            "table": lambda said: table_of(self.value(said)),
            "keras": _keras.read_object,
            "keras model": lambda text, weights: _keras.read_model(text, self.value(weights)),
        }
        for node in nodes:
            known = isinstance(node, list) and len(node) > 1 and isinstance(node[0], str)
            check(known and node[0] in kinds, "The file has a node of an unknown kind.")
            self._made.append(kinds[node[0]](*node[1:]))

    def value(self, said: Any) -> Any:
        """What stands for this in a node."""
        if isinstance(said, list) and len(said) == 2 and said[0] == "ref":
            position = said[1]
            known = type(position) is int and 0 <= position < len(self._made)
            check(known, "The file refers to a node that is not there yet.")
            return self._made[position]
        return _scalars.read(said)

    def _list(self, items: Any) -> list[Any]:
        check(isinstance(items, list), "The file has a list that is none.")
        return [self.value(item) for item in items]

    def _scalars(self, items: Any) -> list[Any]:
        check(isinstance(items, list), "The file has a set that is none.")
        return [_scalars.read(item) for item in items]

    def _dict(self, pairs: Any) -> dict[Any, Any]:
        check(isinstance(pairs, list), "The file has a dictionary that is none.")
        return {_scalars.as_key(_scalars.read(key)): self.value(held) for key, held in pairs}

    def _array(self, position: Any) -> np.ndarray[Any, Any]:
        known = type(position) is int and 0 <= position < len(self._arrays)
        check(known, "The file names an array that it does not have.")
        return self._arrays[position]

    def _objects(self, shape: Any, items: Any) -> np.ndarray[Any, Any]:
        values = self._list(items)
        is_shape = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
        check(is_shape and len(shape) <= 32, "An array of objects has no shape.")
        check(prod(shape) == len(values), "An array of objects has another shape than it says.")
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array.reshape(shape)

    def _generator(self, key: Any, position: Any, has_gauss: Any, gauss: Any) -> Any:
        key = self.value(key)
        is_state = isinstance(key, np.ndarray) and key.shape == (_GENERATOR_LENGTH,)
        check(is_state and key.dtype == np.uint32, "A random generator has no state.")
        # NumPy does not check it, and reads what lies beyond the key.
        inside = type(position) is int and 0 <= position <= _GENERATOR_LENGTH
        check(inside and has_gauss in (0, 1), "A random generator has no state.")
        generator = np.random.RandomState()
        gauss = float(_scalars.read(gauss))
        generator.set_state(("MT19937", key, position, int(has_gauss), gauss))
        return generator

    def _object(self, name: Any, attributes: Any) -> Any:
        kind: Any = class_named(name)
        check(isinstance(attributes, dict), "The file has an object without attributes.")
        state = {key: self.value(held) for key, held in attributes.items()}
        if issubclass(kind, tuple):
            _check_names(name, state, kind._fields, exactly=True)
            return tuple.__new__(kind, [state[field] for field in kind._fields])
        if is_dataclass(kind):
            names = [field.name for field in fields(kind)]
            if set(state) <= set(names):
                # Fields that came after the file was written have their defaults.
                state |= _without(_defaults(kind), state)
            _check_names(name, state, names, exactly=True)
        else:
            wanted = _parameters(kind)
            # Those that came after the file was written have their defaults.
            state |= _without(wanted, state) if state else {}
            _check_names(name, state, wanted)
            hidden = [key for key in state if callable(getattr(kind, key, None))]
            check(not hidden, f"An object {name} has attributes in place of methods: {hidden}.")
        made = object.__new__(kind)
        vars(made).update(state)
        return made


def _without(defaults: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """The defaults of what a state lacks."""
    return {key: value for key, value in defaults.items() if key not in state}


def _parameters(kind: Any) -> dict[str, Any]:
    """Parameters of an estimator that have a default, and their defaults."""
    if not issubclass(kind, BaseEstimator):
        return {}
    parameters = signature(kind).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def _defaults(kind: Any) -> dict[str, Any]:
    """Fields of a dataclass that have a default, and their defaults."""
    return {f.name: f.default for f in fields(kind) if f.default is not MISSING}


def _check_names(name: str, state: dict[str, Any], wanted: Any, exactly: bool = False) -> None:
    """Raise if attributes are not those of a class."""
    missing = sorted(set(wanted) - set(state))
    unknown = sorted(set(state) - set(wanted)) if exactly else []
    named = all(key.isidentifier() and not key.startswith("__") for key in state)
    check(
        named and not missing and not unknown,
        f"An object {name} has other attributes than in this version: without {missing}, and "
        f"with {unknown}.",
    )
