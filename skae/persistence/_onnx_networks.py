"""The forward pass of networks as ONNX nodes."""

from functools import singledispatch
from typing import Any

import numpy as np

from skae.inference._dense import Affine, DenseForward
from skae.inference._forward import CompiledForward
from skae.networks._dense import NORMALIZATION_EPSILON
from skae.networks._layers import load
from skae.persistence._onnx_activations import ACTIVATIONS
from skae.persistence._onnx_functions import affine
from skae.persistence._onnx_graph import Tensor
from skae.persistence._onnx_layers import normalized, said_by_model


@singledispatch
def said(forward: Any, rows: Tensor, scaled: bool = True) -> Tensor:
    """What an encoder or a decoder makes of rows.

    Parameters
    ----------
    forward : DenseForward or CompiledForward
        With its weights.

    rows : Tensor of shape (n_samples, n_inputs)
        float32 or float64.

    scaled : bool, default=True
        Whether the output is in the units of the data; if not, it is as the network says it.

    Returns
    -------
    Tensor of shape (n_samples, n_outputs)
    """
    raise TypeError(f"no ONNX nodes for {type(forward).__name__}")


@said.register
def _said_by_dense(forward: DenseForward, rows: Tensor, scaled: bool = True) -> Tensor:
    coder = forward.coder
    before, weights = forward.prepared(rows.dtype, scaled)
    rows = rows if before is None else centred(before, rows)
    hidden, position = rows, 0
    n_arrays = 4 if coder.normalization == "layer" else 2
    for _ in coder.hidden:
        kernel, bias, *rest = weights[position : position + n_arrays]
        hidden = affine(hidden, kernel.T, bias.ravel())
        if rest:
            scale, shift = (array.ravel() for array in rest)
            hidden = normalized(hidden, scale, shift, NORMALIZATION_EPSILON)
        hidden = ACTIVATIONS[coder.activation](hidden)
        position += n_arrays
    output = affine(hidden, weights[position].T, weights[position + 1].ravel())
    if coder.has_linear_path:
        path = weights[-1].T
        output = output + rows.then("MatMul", rows.like(path), shape=output.shape)
    return ACTIVATIONS[coder.output_activation](output)


@said.register
def _said_by_compiled(forward: CompiledForward, rows: Tensor, scaled: bool = True) -> Tensor:
    model = forward.network.build()[forward.position]
    load(model, forward.weights, forward.statistics)
    dtype = rows.dtype
    rows = rows if forward.before is None else transform(forward.before, rows)
    output = said_by_model(model, rows.astype(np.float32)).astype(dtype)
    if scaled and forward.after is not None:
        output = output * forward.after.scale + forward.after.centre
    return output


def transform(units: Affine, rows: Tensor) -> Tensor:
    """From the units of the data to the network's."""
    return centred(units, rows) / units.scale


def centred(units: Affine, rows: Tensor) -> Tensor:
    """Rows less the centre, to the last digit where it is far from zero."""
    centre = units.centre.astype(rows.dtype)
    result = rows - centre
    if units.is_far_for(rows.dtype):
        result = result - (units.centre - centre)
    return result
