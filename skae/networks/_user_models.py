"""Whether models of the user's go together with the rows, and what can be seen of them."""

import math
from typing import Any

from skae.networks._base import Shape
from skae.networks._layers import layer


def called(model: Any, rows: Any, shape: Shape, which: str) -> Any:
    """A model on flat rows that stand for rows of this shape."""
    wanted = getattr(model, "input_shape", None) or (None, *shape)
    if isinstance(wanted, list | dict) or not isinstance(wanted[0], int | None):
        raise ValueError(f"network: {model.name!r} must have one input; it has {wanted}.")
    wanted = wanted[1:]
    if None in wanted:
        wanted = shape + (1,) * (len(wanted) - len(shape))
    if not _alike(shape, wanted):
        first = model.layers[0].name if model.layers else model.name
        raise ValueError(
            f"network: layer {first!r} of {model.name!r} reads rows of shape {wanted}, but "
            f"{which} {shape}."
        )
    return model(layer("Reshape", wanted)(rows))


def check_output_shape(model: Any, name: str, output: Any, shape: Shape, where: str) -> None:
    """Whether a model gives what is asked for; a code comes in its own shape."""
    given = tuple(output.shape[1:])
    enough = given == shape if name == "encoder" else _alike(shape, given)
    if enough:
        return
    last = model.layers[-1].name if model.layers else model.name
    raise ValueError(
        f"network: the {name}'s last layer {last!r} gives an array of shape {given} for each "
        f"row, but {where} asks for {shape}."
    )


def _alike(rows: Shape, model: Shape) -> bool:
    """Whether shapes are the same, one of them flat, or but for axes of length one."""
    if math.prod(rows) != math.prod(model):
        return False
    squeezed = [[n for n in shape if n != 1] for shape in (rows, model)]
    return 1 in (len(rows), len(model)) or squeezed[0] == squeezed[1]


def last_activation(model: Any) -> str:
    """What the output passes last, as far as it can be seen; "linear" if nothing."""
    for last in reversed(model.layers):
        last = getattr(last, "layer", last)  # inside a TimeDistributed
        if hasattr(last, "layers"):
            return last_activation(last)
        if hasattr(last, "activation"):
            return getattr(last.activation, "__name__", "custom")
        if ".activations." in type(last).__module__:
            return str(type(last).__name__).lower()
        if last.weights:
            break
    return "linear"
