"""Objects of Keras in estimators: optimizers, losses, schedules, models of the user's own.

They are written as configurations, and built in Keras' safe mode, which makes no lambda, after
every name was looked up here. Keras is imported only for files that hold such objects.
"""

import json
import re
from copy import deepcopy
from typing import Any

import numpy as np

from skae.networks._keras import generator_untouched
from skae.persistence._container import SavedFileError, check
from skae.utils._process import choose_backend

# What configurations may name, by module and class: parts of training and, where there are
# weights to compare them with, of models. None reads a file or runs code that came with it.
_PARTS = re.compile(
    r"keras\.(activations|constraints|dtype_policies|initializers|losses|optimizers|"
    r"optimizers\.schedules|regularizers)\.[A-Z]\w*|keras\.DTypePolicy"
)
_LAYERS = re.compile(
    r"keras\.(layers|src\.(ops|models)\.\w+)\.[A-Z]\w*|keras\.(Functional|Model|Sequential)"
)
_FUNCTIONS = re.compile(r"(builtins|keras\.(activations|losses|ops))\.\w+")
_REFUSED = {
    # They run code or read files that a configuration names ...
    "FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer",
    "TextVectorization", "TorchModuleWrapper",
    # ... or repeat their work as often as it asks for.
    "AugMix", "RandAugment",
}  # fmt: skip
_VALUES = {
    f"__{name}__" for name in ("ellipsis", "keras_tensor", "numpy", "slice", "tensor", "tuple")
}

_MAX_TEXT = 2**22
_MAX_DEPTH = 64
_LARGEST = 2**32


def is_keras(value: Any) -> bool:
    """True for values that Keras can describe."""
    if isinstance(value, type):
        return False
    home = getattr(value, "__module__", None) or ""
    return hasattr(value, "get_config") or home.partition(".")[0] == "keras"


def written(value: Any) -> tuple[str, list[Any] | None]:
    """The configuration of an object as text, and the weights of a model; else None."""
    import keras

    from skae.networks._layers import values
    from skae.training._optimizers import described

    weights = None
    try:
        if isinstance(value, keras.Model):
            text, weights = value.to_json(), values(value.weights)
        elif isinstance(value, keras.optimizers.Optimizer):
            # Keras would read its learning rate in a way that NumPy warns of.
            text = json.dumps(described(value))
        else:
            text = json.dumps(keras.saving.serialize_keras_object(value))
        # Without how a model was compiled, which no fit here uses.
        config = json.loads(
            text, object_hook=lambda d: {k: v for k, v in d.items() if k != "compile_config"}
        )
        _check_config(config, weights is not None)
    except (SavedFileError, TypeError, ValueError) as error:
        raise TypeError(f"what Keras' safe mode would not load ({error})") from error
    return json.dumps(config), weights


def read(text: Any, weights: Any = None) -> Any:
    """The object that was written, a model with its weights."""
    choose_backend()
    import keras

    is_short = isinstance(text, str) and len(text) <= _MAX_TEXT
    check(is_short, "A Keras object of the file is damaged, or too large.")
    config, is_model = json.loads(text), weights is not None
    _check_config(config, is_model)
    with generator_untouched():
        if is_model:
            check(
                isinstance(config, dict)
                and isinstance(weights, list)
                and all(type(w) is np.ndarray for w in weights),
                "A Keras model is damaged.",
            )
            # Keras empties what it reads.
            _check_sizes(deepcopy(config), weights)
        value = keras.saving.deserialize_keras_object(config, safe_mode=True)
        if is_model:
            value.set_weights(weights)
    return value


def _check_config(config: Any, is_model: bool, depth: int = 0) -> None:
    """Raise if a configuration has what safe files have not."""
    check(depth <= _MAX_DEPTH, "A configuration of Keras is nested too deeply.")
    if isinstance(config, dict):
        if "class_name" in config:
            _check_name(config, is_model)
        repeats = config.get("unroll", False) is not False
        check(not repeats, "A layer of Keras has unroll=True.")
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            _check_config(part, is_model, depth + 1)
    elif isinstance(config, int):
        check(abs(config) <= _LARGEST, "A configuration of Keras has too large a number.")


def _check_name(config: dict[str, Any], is_model: bool) -> None:
    """Raise if a configuration names what is unknown, or a layer where there is no model."""
    from keras.saving import get_registered_object

    name, module = config["class_name"], str(config.get("module"))
    check(isinstance(name, str), "A class of Keras has no name.")
    if name in _VALUES:
        return
    is_function = name == "function"
    registered: Any = config.get("config" if is_function else "registered_name")
    if isinstance(registered, str) and get_registered_object(registered) is not None:
        # This process has it, by `keras.saving.register_keras_serializable`.
        return
    name = f"{module}.{registered if is_function else name}"
    kinds = [_FUNCTIONS] if is_function else [_PARTS, *[_LAYERS] * is_model]
    known = any(kind.fullmatch(name) for kind in kinds)
    check(
        known and name.rpartition(".")[2] not in _REFUSED,
        f"{name} is none of the losses, optimizers, functions and, in models, layers of Keras "
        "that skae loads, nor registered in this process by "
        "keras.saving.register_keras_serializable.",
    )


def _check_sizes(config: Any, weights: list[Any]) -> None:
    """Raise if a model has other weights than these: before it takes the memory."""
    import keras
    from keras.src.backend.common import global_state

    name = "uninitialized_variables"
    waiting = list(global_state.get_global_attribute(name) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    finally:
        # Keras would make these variables in the next scope.
        global_state.set_global_attribute(name, waiting)
    check(
        isinstance(model, keras.Model),
        "A Keras object of the file is no model, as it should be.",
    )
    shapes = [tuple(variable.shape) for variable in model.weights]
    check(
        shapes == [array.shape for array in weights] and len(model.variables) < 2**16,
        "A Keras model of the file has weights of other shapes than its layers.",
    )
    others = sum(int(np.prod(v.shape, dtype=object)) for v in model.variables)
    check(others <= sum(w.size for w in weights) + 2**16, "A Keras model is too large.")
