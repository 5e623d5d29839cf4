"""Codes of which the first k columns are a code too: one encoder and a few decoders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.networks._dense import DenseCoder, DenseNetwork, resize
from skae.networks._variables import Weights


@dataclass(frozen=True)
class OrderedNetwork:
    """A dense autoencoder of every size up to the largest, as a value.

    All sizes share the encoder, whose columns are dropped from the end. Sizes in a band
    (1, 2, 3 to 4, 5 to 8, and so on) share a decoder, which reads the columns that are
    dropped as zeros: one decoder for all would have to say rough and fine things with the
    same last layer.

    Parameters
    ----------
    whole : DenseNetwork
        The network of the largest size.
    """

    whole: DenseNetwork

    # The bands follow from the size.
    resizable = False
    starts_linear = True
    gains_from_xla = True

    @property
    def n_components(self) -> int:
        """Columns of the whole code."""
        return self.whole.n_components

    @property
    def output_activation(self) -> str:
        """Keras' name of what the output passes last."""
        return self.whole.output_activation

    @property
    def bands(self) -> list[tuple[int, int]]:
        """First and last size of each band."""
        size, lasts = self.n_components, [1]
        while lasts[-1] < size:
            lasts.append(min(2 * lasts[-1], size))
        return list(zip([1, *(last + 1 for last in lasts)], lasts, strict=False))

    @property
    def decoders(self) -> list[DenseCoder]:
        """One for each band, of as many inputs as its last size."""
        return [self.of_size(last).decoder for _, last in self.bands]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all weights that are trained, the encoder's first."""
        return [s for coder in (self.whole.encoder, *self.decoders) for s in coder.shapes]

    def judged_sizes(self) -> list[tuple[int, float]]:
        """Sizes by which all are judged, and how much each counts: the ends of the bands."""
        bands = self.bands
        ends = [sorted({*band}) for band in bands]
        return [(size, 1 / len(bands) / len(of)) for of in ends for size in of]

    def of_size(self, n_components: int) -> DenseNetwork:
        """The plain network of the first columns."""
        return replace(self.whole, n_components=n_components)

    def truncated(self, n_components: int) -> "OrderedNetwork":
        """The ordered network of the first columns."""
        return OrderedNetwork(self.of_size(n_components))

    def cut(self, weights: Sequence[NDArray[Any]], n_components: int) -> Weights:
        """Weights of `of_size(n_components)`."""
        encoder, decoders = self._split(weights)
        decoder = decoders[self._band_of(n_components)]
        return resize([*encoder, *decoder], self.of_size(n_components).shapes)

    def cut_statistics(
        self, statistics: Sequence[NDArray[Any]], n_components: int
    ) -> Weights:
        """Moving statistics of `of_size(n_components)`."""
        n = self.whole.encoder.n_statistics
        start = n * (1 + self._band_of(n_components))
        return [*statistics[:n], *statistics[start : start + n]]

    def truncate(
        self, weights: Sequence[NDArray[Any]], n_components: int
    ) -> Weights:
        """Weights of `truncated(n_components)`."""
        encoder, decoders = self._split(weights)
        kept = decoders[: self._band_of(n_components) + 1]
        arrays = [*encoder, *(array for decoder in kept for array in decoder)]
        return resize(arrays, self.truncated(n_components).shapes)

    def truncate_statistics(
        self, statistics: Sequence[NDArray[Any]], n_components: int
    ) -> Weights:
        """Moving statistics of `truncated(n_components)`."""
        n = self.whole.encoder.n_statistics
        return list(statistics[: n * (2 + self._band_of(n_components))])

    def build(self) -> tuple[Any, list[Any]]:
        """Keras models of the encoder and of the decoders, their weights zero."""
        decoders = enumerate(self.decoders)
        return (
            self.whole.encoder.build("encoder"),
            [coder.build(f"decoder_{i}") for i, coder in decoders],
        )

    def trained(
        self, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]
    ) -> tuple[Any, Any]:
        """Keras models of encoder and decoder of the largest size."""
        size = self.n_components
        return self.whole.trained(
            self.cut(weights, size), self.cut_statistics(statistics, size)
        )

    def fresh_statistics(self) -> Weights:
        """Moving means and variances before training."""
        n = self.whole.encoder.n_statistics
        encoder, decoder = np.split(np.arange(2 * n), 2)
        fresh = self.whole.fresh_statistics()
        order = [*encoder, *(i for _ in self.bands for i in decoder)]
        return [fresh[i].copy() for i in order]

    def random_start(self, rng: np.random.RandomState) -> Weights:
        """Weights of a network that knows nothing of the data."""
        coders = self.whole.encoder, *self.decoders
        return [array for coder in coders for array in coder.random_weights(rng)]

    def linear_start(
        self,
        rng: np.random.RandomState,
        encoder: NDArray[Any],
        decoder: NDArray[Any],
        offset: NDArray[Any] | float = 0.0,
    ) -> Weights:
        """Weights of a network that is linear yet: see `DenseNetwork.linear_start`."""
        start = self.whole.linear_start(rng, encoder, decoder, offset)
        weights = self.whole.split(start)[0]
        for _, last in self.bands:
            network = self.of_size(last)
            start = network.linear_start(rng, encoder[:, :last], decoder[:last], offset)
            weights += network.split(start)[1]
        return weights

    def _band_of(self, size: int) -> int:
        return next(i for i, (_, last) in enumerate(self.bands) if size <= last)

    def _split(self, weights: Sequence[NDArray[Any]]) -> tuple[Weights, list[Weights]]:
        """Weights of the encoder and of each decoder."""
        n, m = len(self.whole.encoder.shapes), len(self.whole.decoder.shapes)
        starts = range(n, len(weights), m)
        return list(weights[:n]), [list(weights[i : i + m]) for i in starts]
