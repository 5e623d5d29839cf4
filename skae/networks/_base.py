"""What a user says of a network, before there are rows."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerOptions:
    """What the estimator says of every network.

    Parameters
    ----------
    activation, code_activation, output_activation : str
        Names that Keras knows.

    linear_path : bool
        Whether encoder and decoder have a linear path beside their layers.

    normalization : {"batch", "layer"} or None
        What stands between a hidden layer and its activation.

    dropout : float
        Share of the hidden units that are dropped in training.

    code_width : int
        How many numbers the encoder says for each column of the code, side by side.
    """

    activation: str = "relu"
    code_activation: str = "linear"
    output_activation: str = "linear"
    linear_path: bool = True
    normalization: str | None = None
    dropout: float = 0.0
    code_width: int = 1


class Network(ABC, BaseEstimator):
    """A kind of network; its parameters are searchable, as ``network__...``."""

    _parameter_constraints: dict[str, list[Any]] = {}

    @property
    def takes_flat_rows(self) -> bool:
        """Whether rows may come flat, as those of a table do."""
        return True

    @abstractmethod
    def row_shapes(self, input_shape: Shape, output_shape: Shape) -> tuple[Shape, Shape]:
        """Shapes of a row and of its reconstruction, as the network sees them.

        Parameters
        ----------
        input_shape, output_shape : tuple of int
            As they come: images and series may be flat.

        Returns
        -------
        tuple of tuple of int
        """

    @abstractmethod
    def describe(
        self, input_shape: Shape, output_shape: Shape, n_components: int, options: LayerOptions
    ) -> Any:
        """The network for such rows, as a value: equal where it is the same program.

        Parameters
        ----------
        input_shape, output_shape : tuple of int
            Shapes of a row and of its reconstruction, as they come.

        n_components : int
            Columns of the code.

        options : LayerOptions
            What the estimator says of every network.

        Returns
        -------
        value with the protocol of :class:`DenseNetwork`
        """


def whole_numbers(name: str, given: Any, fewest: int) -> tuple[int, ...]:
    """A parameter that is an integer of at least 1, or several: one for each layer."""
    numbers = np.atleast_1d(np.asarray(given))
    wrong = numbers.ndim > 1 or (numbers.size and numbers.dtype.kind not in "iu")
    if wrong or numbers.size < fewest or (numbers.size and numbers.min() < 1):
        raise ValueError(
            f"{name} must be integers of at least 1, one for each layer of the encoder"
            f"{' and at least one' if fewest else ''}; got {given!r}."
        )
    return tuple(map(int, numbers))


def with_channels(name: str, told: Any, rows: Shape, n_axes: int) -> Shape:
    """Shape of a row, its channels last: what was told, or else what the rows show.

    Parameters
    ----------
    name : str
        Of the parameter by which the shape is told.

    told : sequence of int or None
        Its value.

    rows : tuple of int
        Shape of a row of X as it comes.

    n_axes : int
        Axes before the channels, which may be left out where there is one.
    """
    shape = rows if told is None else _checked(name, told, n_axes)
    if len(shape) not in (n_axes, n_axes + 1) or (told is None and len(rows) == 1):
        raise ValueError(
            f"rows of X have shape {rows}: X must be of shape {_axes(n_axes)}, or {name} "
            f"must tell the shape of a row that comes flat; got {name}={told!r}."
        )
    full = (*shape, 1) if len(shape) == n_axes else tuple(shape)
    flat = len(rows) == 1 and rows[0] == math.prod(full)
    if not flat and rows not in (full, tuple(shape)) and (*rows, 1) != full:
        raise ValueError(
            f"{name}={told!r} is a row of {math.prod(full)} numbers, but rows of X have "
            f"shape {rows}."
        )
    return full


def output_with_channels(inputs: Shape, rows: Shape, outputs: Shape) -> Shape:
    """Shape of a reconstruction, its channels last.

    Parameters
    ----------
    inputs : tuple of int
        What `with_channels` gave for X.

    rows, outputs : tuple of int
        Shapes of a row of X and of target, as they come.
    """
    n_axes = len(inputs) - 1
    if outputs == rows:
        return inputs
    if len(outputs) == n_axes + 1:
        return outputs
    if len(outputs) == n_axes and n_axes > 1:
        return (*outputs, 1)
    channels, rest = divmod(math.prod(outputs), math.prod(inputs[:-1]))
    if len(outputs) > 1 or rest or not channels:
        raise ValueError(
            f"rows of target must be of the size of X's {inputs[:-1]}, with any number of "
            f"channels; they have shape {outputs}."
        )
    return (*inputs[:-1], channels)


def _axes(n_axes: int) -> str:
    if n_axes == 1:
        return "(n_samples, steps, features)"
    return "(n_samples, height, width) or (n_samples, height, width, channels)"


def _checked(name: str, told: Any, n_axes: int) -> Shape:
    numbers = all(isinstance(n, int | np.integer) and n > 0 for n in told)
    if len(told) not in (n_axes, n_axes + 1) or not numbers:
        raise ValueError(
            f"{name} must be {n_axes} or {n_axes + 1} integers of at least 1, the shape of a "
            f"row with or without channels; got {told!r}."
        )
    return tuple(map(int, told))
