"""The linear autoencoder that a network starts at."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.networks._principal import principal_axes, reduced_rank_map, shrunk_decoder
from skae.utils._rows import Rows

# Rows on which it is judged how much is explained.
_MOST_JUDGED = 10_000


class LinearMap(NamedTuple):
    """Encoder and decoder without hidden layers, and what they explain.

    Attributes
    ----------
    encoder : ndarray of shape (n_features, k)
        From centred rows to codes.

    decoder : ndarray of shape (k, n_outputs)
        From codes to centred rows.

    share : float
        Share of the variance of the targets that is explained on the same rows, or on the
        first ten thousand of them.
    """

    encoder: NDArray[Any]
    decoder: NDArray[Any]
    share: float


def linear_map(
    rows: Rows,
    n_components: int,
    rng: np.random.RandomState,
    corrupted: NDArray[Any] | None = None,
) -> LinearMap:
    """Principal components, or what takes their place where rows become something else.

    Parameters
    ----------
    rows : Rows
        Standardised rows.

    n_components : int
        Columns of the code.

    rng : RandomState
        Seeds randomized solvers.

    spoilt : ndarray of shape (n_spoilt, n_features) or None
        The first of the inputs, standardised, as the encoder will see them: noise calls
        for a decoder that shrinks.
    """
    seen = rows.inputs if corrupted is None else corrupted
    encoder, decoder = _maps(rows, seen, n_components, rng)
    n_judged = min(len(seen), _MOST_JUDGED)
    rows = rows.take(slice(n_judged))
    pairs = rows if corrupted is None else Rows(seen[:n_judged], rows.outputs)
    by_row = [_lost_and_total(part.dense(), encoder, decoder) for part in pairs.parts()]
    lost, total = np.average(np.concatenate(by_row, axis=1), axis=1, weights=rows.weight)
    return LinearMap(encoder, decoder, float(1 - lost / total) if total else 1.0)


def _lost_and_total(
    rows: Rows, encoder: NDArray[Any], decoder: NDArray[Any]
) -> NDArray[np.floating]:
    """Mean squares of what is lost of each row, and of all there is."""
    lost = rows.outputs - rows.inputs @ encoder @ decoder
    return np.stack([np.square(part).mean(axis=1) for part in (lost, rows.outputs)])


def _maps(
    rows: Rows, seen: NDArray[Any], n_components: int, rng: np.random.RandomState
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Encoder and decoder."""
    first = rows.take(slice(len(seen)))
    if first.targets is not None:
        return reduced_rank_map(seen, first.targets, n_components, first.weight, rng)
    ordered = rows.in_order()
    axes, _ = principal_axes(ordered.inputs, n_components, ordered.weight, rng)
    if seen is rows.inputs:
        return axes, axes.T
    first = first.dense()
    return axes, shrunk_decoder(seen @ axes, first.inputs, first.weight)
