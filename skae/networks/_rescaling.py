"""Weights of a dense network that says the same in other units of its rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._dense import DenseCoder, DenseNetwork
from skae.networks._layers import Weights

# Activations that pass on a positive factor of what they read.
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
    stays in the units that the network reads. So do the hidden layers: their kernels stay as
    they are, and only biases change, where the activation passes on factors. Otherwise what
    stands before an activation stays as it is.

    Parameters
    ----------
    network : DenseNetwork
        One that `is_rescalable`.

    weights : sequence of ndarray
        For the old units.

    before, after : AffineChange
        Of the units of what is read and of what is said; None: what is said has none.
    """
    encoder, decoder = network.split(weights)
    code = before.factor if network.code_activation in _PASS_FACTORS else 1.0
    return network.joined(
        _moved(network.encoder, encoder, before, AffineChange(code, 0.0)),
        _moved(
            network.decoder, decoder, AffineChange(code, 0.0), after or AffineChange(1.0, 0.0)
        ),
    )


def _moved(
    coder: DenseCoder, arrays: Weights, before: AffineChange, after: AffineChange
) -> Weights:
    """The weights of one direction."""
    weights = [array.astype(np.float64) for array in arrays]
    last = coder.output_kernel
    read = np.broadcast_to(before.shift, coder.n_inputs)
    weights[1] += read @ weights[0]
    if coder.has_linear_path:
        weights[last + 1] += read @ weights[-1]
        weights[-1] *= before.factor / after.factor
    weights[last + 1] -= after.shift
    factor = before.factor
    for i in range(0, last + 1, 2):
        passed = factor if coder.activation in _PASS_FACTORS else 1.0
        passed = after.factor if i == last else passed
        weights[i] *= factor / passed
        weights[i + 1] /= passed
        factor = passed
    return [array.astype(np.float32) for array in weights]
