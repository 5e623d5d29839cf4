"""Weights of a dense network after a change of the centre and scale of its rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._dense import DenseCoder, DenseNetwork
from skae.networks._layers import Weights

# Positively homogeneous activations: f(a x) = a f(x) for a > 0.
_PASS_FACTORS = {"linear", "relu", "leaky_relu"}


class AffineChange(NamedTuple):
    """From new units to old ones: ``old = factor * new + shift``."""

    factor: float
    shift: NDArray[Any] | float


def is_rescalable(network: Any) -> bool:
    """True for dense networks with neither normalization nor tied weights."""
    return isinstance(network, DenseNetwork) and not (network.normalization or network.tied)


def rescale_weights(
    network: DenseNetwork,
    weights: Sequence[NDArray[Any]],
    before: AffineChange,
    after: AffineChange | None,
) -> Weights:
    """The weights of the same function for rows in new units.

    The code is divided by the factor of the inputs, if its activation allows that, so that it
    stays in the units of the network's inputs. So do the hidden layers: where their activation
    passes on factors, their kernels stay and only biases change. Before any other activation
    the values stay as they are.

    Parameters
    ----------
    network : DenseNetwork
        One that `is_rescalable`.

    weights : sequence of ndarray
        For the old units.

    before, after : AffineChange
        Changes of the units of inputs and outputs; None: the outputs have no units.
    """
    encoder, decoder = network.split(weights)
    code = before.factor if network.code_activation in _PASS_FACTORS else 1.0
    return network.joined(
        _rescaled(network.encoder, encoder, before, AffineChange(code, 0.0)),
        _rescaled(
            network.decoder, decoder, AffineChange(code, 0.0), after or AffineChange(1.0, 0.0)
        ),
    )


def _rescaled(
    coder: DenseCoder, arrays: Weights, before: AffineChange, after: AffineChange
) -> Weights:
    """The weights of one direction."""
    weights = coder.named([array.astype(np.float64) for array in arrays])
    first, output, skip = weights.layers[0], weights.output, weights.skip
    shift = np.broadcast_to(before.shift, coder.n_inputs)
    first.bias[:] += shift @ first.kernel
    if skip is not None:
        output.bias[:] += shift @ skip
        skip *= before.factor / after.factor
    output.bias[:] -= after.shift
    factor = before.factor
    for one in weights.layers:
        passed = factor if coder.activation in _PASS_FACTORS else 1.0
        passed = after.factor if one is output else passed
        one.kernel[:] *= factor / passed
        one.bias[:] /= passed
        factor = passed
    return [array.astype(np.float32) for array in weights.arrays]
