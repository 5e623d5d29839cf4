"""Between arrays and the variables of Keras models."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.utils._arrays import as_array

Weights = list[NDArray[np.float32]]


def load(model: Any, weights: Weights, statistics: Weights) -> None:
    """Set the variables of a Keras model, but for its seeds."""
    _assign(model.trainable_variables, weights)
    _assign(kept_variables(model), statistics)


def kept_variables(model: Any) -> list[Any]:
    """Variables that are neither trained nor seeds."""
    return [v for v in model.non_trainable_variables if v.name != "seed_generator_state"]


def values(variables: Iterable[Any]) -> Weights:
    """Copies of Keras variables or tensors as arrays."""
    import keras

    return [as_array(v.value if isinstance(v, keras.Variable) else v) for v in variables]


def _assign(variables: list[Any], arrays: Weights) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
