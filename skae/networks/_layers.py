"""Keras layers in single precision, whatever Keras' global dtype policy is."""

from typing import Any

SINGLE = "float32"


def layer(kind: str, *args: Any, **config: Any) -> Any:
    """A Keras layer by its name.

    Parameters
    ----------
    kind : str
        A class of :mod:`keras.layers`.

    *args, **config
        What it is made with.
    """
    import keras

    return getattr(keras.layers, kind)(*args, dtype=SINGLE, **config)


def dense(width: int, **config: Any) -> Any:
    """A dense layer whose kernel is zero: weights come from `random_state` alone."""
    return layer("Dense", width, kernel_initializer="zeros", **config)


def rows_of(shape: tuple[int, ...]) -> Any:
    """The symbolic input of a model that reads rows of this shape."""
    import keras

    return keras.Input(shape, dtype=SINGLE)
