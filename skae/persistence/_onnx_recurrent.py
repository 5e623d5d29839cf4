"""Keras' recurrent layers as ONNX nodes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.networks._layers import values
from skae.persistence import _onnx_functions as xp
from skae.persistence._onnx_graph import Tensor

# Gates in the order of Keras, and in that of ONNX.
GATES = {"LSTM": ("ifco", "iofc"), "GRU": ("zrh", "zrh")}


def read_in_order(layer: Any, rows: Tensor) -> Tensor:
    """What a layer makes of series, (n_samples, steps, features)."""
    if layer.go_backwards:
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r} with go_backwards=True; it knows "
            "Bidirectional."
        )
    return _recurrent([layer], rows, "forward")


def read_both_ways(layer: Any, rows: Tensor) -> Tensor:
    """What a layer and another that reads backwards make of series, side by side."""
    parts = [layer.forward_layer, layer.backward_layer]
    if type(parts[0]).__name__ not in GATES or layer.merge_mode != "concat":
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r}: it knows Bidirectional of LSTM and "
            "GRU with merge_mode='concat' only."
        )
    return _recurrent(parts, rows, "bidirectional")


def _recurrent(layers: list[Any], rows: Tensor, direction: str) -> Tensor:
    kind, units = type(layers[0]).__name__, layers[0].units
    weights = [np.stack(parts) for parts in zip(*map(_weights, layers), strict=True)]
    attributes = {"linear_before_reset": int(layers[0].reset_after)} if kind == "GRU" else {}
    graph, n = rows.graph, len(layers)
    names = [graph.new_name("states"), graph.new_name("last")]
    graph.node(
        kind,
        xp.transpose(rows, (1, 0, 2)),
        *weights,
        names=names,
        hidden_size=units,
        direction=direction,
        **attributes,
    )
    if not layers[0].return_sequences:
        last = Tensor(graph, names[1], (n, None, units), rows.dtype)
        return xp.transpose(last, (1, 0, 2)).reshape(None, n * units)
    steps = rows.shape[1]
    states = Tensor(graph, names[0], (steps, n, None, units), rows.dtype)
    return xp.transpose(states, (2, 0, 1, 3)).reshape(None, steps, n * units)


def _weights(layer: Any) -> tuple[NDArray[Any], ...]:
    """Kernels, and the biases of what is read and of the state."""
    kind = type(layer).__name__
    names = layer.activation.__name__, layer.recurrent_activation.__name__
    if names != ("tanh", "sigmoid") or layer.stateful:
        raise NotImplementedError(
            f"to_onnx cannot say the layer {layer.name!r}: it knows {kind} with the "
            f"activations 'tanh' and 'sigmoid', not stateful; the layer has {names}."
        )
    cell, width = layer.cell, layer.units * len(GATES[kind][0])
    biases = values([cell.bias])[0] if cell.use_bias else np.zeros(width, np.float32)
    if biases.ndim == 1:
        biases = np.stack([biases, np.zeros_like(biases)])
    kernels = values([cell.kernel, cell.recurrent_kernel])
    of_input, of_state = (_in_order(kind, kernel) for kernel in kernels)
    return of_input.T, of_state.T, _in_order(kind, biases).ravel()


def _in_order(kind: str, array: NDArray[Any]) -> NDArray[Any]:
    """The gates, along the last axis, in the order of ONNX."""
    theirs, ours = GATES[kind]
    parts = np.split(array, len(theirs), axis=-1)
    return np.concatenate([parts[theirs.index(gate)] for gate in ours], axis=-1)
