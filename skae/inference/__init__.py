"""What is done with trained weights: the forward pass."""

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

from numpy.typing import NDArray

from skae.inference._compiled import CompiledForward
from skae.inference._dense import Affine, DenseForward
from skae.networks import BuiltNetwork, DenseNetwork, OrderedNetwork

__all__ = [
    "Affine",
    "CompiledForward",
    "DenseForward",
    "forward",
]

Forward = Callable[[NDArray[Any]], NDArray[Any]]


@singledispatch
def forward(
    network: Any,
    weights: Sequence[NDArray[Any]],
    statistics: Sequence[NDArray[Any]],
    before: Affine,
    after: Affine | None,
) -> tuple[Forward, Forward]:
    """Encoder and decoder as functions of rows in the units of the data.

    Parameters
    ----------
    network : DenseNetwork or BuiltNetwork
        The architecture.

    weights, statistics : list of ndarray
        As training left them.

    before : Affine
        Units of what is encoded.

    after : Affine or None
        Units of what is decoded; None: as the network says it.

    Returns
    -------
    tuple of callable
    """
    raise TypeError(f"no forward pass for {type(network).__name__}")


@forward.register
def _dense_forward(
    network: DenseNetwork,
    weights: Sequence[NDArray[Any]],
    statistics: Sequence[NDArray[Any]],
    before: Affine,
    after: Affine | None,
) -> tuple[Forward, Forward]:
    encoder, decoder = network.split(weights)
    moments = network.split_statistics(statistics)
    return (
        DenseForward(network.encoder, encoder, before=before, statistics=moments[0]),
        DenseForward(network.decoder, decoder, after=after, statistics=moments[1]),
    )


@forward.register
def _compiled_forward(
    network: BuiltNetwork,
    weights: Sequence[NDArray[Any]],
    statistics: Sequence[NDArray[Any]],
    before: Affine,
    after: Affine | None,
) -> tuple[Forward, Forward]:
    return (
        CompiledForward(network, 0, weights, statistics, before=before),
        CompiledForward(network, 1, weights, statistics, after=after),
    )


@forward.register
def _ordered_forward(
    network: OrderedNetwork,
    weights: Sequence[NDArray[Any]],
    statistics: Sequence[NDArray[Any]],
    before: Affine,
    after: Affine | None,
) -> tuple[Forward, Forward]:
    arrays = network.cut(weights, network.n_components)
    return forward(network.whole, arrays, statistics, before, after)
