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

# What configurations may name: parts of models and of training, none of which reads a file or
# runs code that came with it.
_MODULES = {
    "keras.activations", "keras.constraints", "keras.dtype_policies", "keras.initializers",
    "keras.layers", "keras.losses", "keras.optimizers", "keras.optimizers.schedules",
    "keras.regularizers",
}  # fmt: skip
_OF_KERAS = {"DTypePolicy", "Functional", "Model", "Sequential"}
_FUNCTION_MODULES = {"builtins", "keras.activations", "keras.losses", "keras.ops"}
_INSIDE = re.compile(r"keras\.src\.(ops|models)\.\w+")
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


def is_model(value: Any) -> bool:
    """True for Keras models."""
    return hasattr(value, "stateless_call") and hasattr(value, "to_json")


# Writing


def written_object(value: Any) -> str:
    """The configuration of an optimizer, a loss or a schedule, as text."""
    import keras

    from skae.training._optimizers import described

    if isinstance(value, keras.optimizers.Optimizer):
        # Keras would read its learning rate in a way that NumPy warns of.
        return _text(described(value))
    return _text(keras.saving.serialize_keras_object(value))


def written_model(model: Any) -> tuple[str, list[Any]]:
    """The configuration of a model as text, and its weights."""
    from skae.networks._layers import values

    return _text(json.loads(model.to_json())), values(model.weights)


def _text(config: Any) -> str:
    config = _without_training(config)
    try:
        _check_config(config)
        return json.dumps(config)
    except (SavedFileError, TypeError, ValueError) as error:
        raise TypeError(f"what Keras' safe mode would not load ({error})") from error


def _without_training(config: Any) -> Any:
    """A configuration without how a model was compiled, which no fit here uses."""
    if isinstance(config, dict):
        return {k: _without_training(v) for k, v in config.items() if k != "compile_config"}
    return [_without_training(v) for v in config] if isinstance(config, list) else config


# Reading


def read_object(text: Any) -> Any:
    """The object that was written."""
    import keras

    config = _config(text)
    with generator_untouched():
        return keras.saving.deserialize_keras_object(config, safe_mode=True)


def read_model(text: Any, weights: Any) -> Any:
    """The model that was written."""
    import keras

    config = _config(text)
    is_one = isinstance(config, dict) and isinstance(weights, list)
    check(is_one and all(type(w) is np.ndarray for w in weights), "A Keras model is damaged.")
    with generator_untouched():
        # Keras empties what it reads.
        _check_sizes(deepcopy(config), weights)
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        model.set_weights(weights)
    return model


def _config(text: Any) -> Any:
    is_short = isinstance(text, str) and len(text) <= _MAX_TEXT
    check(is_short, "A Keras object of the file is damaged, or too large.")
    config = json.loads(text)
    _check_config(config)
    return config


def _check_config(config: Any, depth: int = 0) -> None:
    """Raise if a configuration has what safe files have not."""
    check(depth <= _MAX_DEPTH, "A configuration of Keras is nested too deeply.")
    if isinstance(config, dict):
        if "class_name" in config:
            _check_name(config)
        repeats = config.get("unroll", False) is not False
        check(not repeats, "A layer of Keras has unroll=True.")
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            _check_config(part, depth + 1)
    elif isinstance(config, int):
        check(abs(config) <= _LARGEST, "A configuration of Keras has too large a number.")


def _check_name(config: dict[str, Any]) -> None:
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
    name = registered if is_function else name
    known = isinstance(name, str) and name not in _REFUSED
    if known and not is_function:
        inside = _INSIDE.fullmatch(module) or (module == "keras" and name in _OF_KERAS)
        known = name[:1].isupper() and (module in _MODULES or bool(inside))
    check(
        known and (not is_function or module in _FUNCTION_MODULES),
        f"{module}.{name} is none of the layers, losses, optimizers and functions of Keras "
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
