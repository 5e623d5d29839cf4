"""Ordered codes, whose first k columns are a code too: one network for every size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skae.networks._dense import DenseCoder, DenseNetwork, resize
from skae.networks._layers import Arrays, Weights


@dataclass(frozen=True)
class OrderedNetwork:
    """A dense autoencoder of every size up to the largest, as a value.

    All sizes share the encoder, whose columns are dropped from the end, and the hidden
    layers of the decoder, whose inputs are the remaining columns and their mask. Sizes in a
    band (1, 2, 3 to 4, 5 to 8, and so on) share output layers, the last layer and the linear
    path: coarse and fine reconstructions need different ones.

    `whole` is the network of the largest size. `each` : whether each size has a band of its
    own: so many output layers are not trained, but fitted once the layers before them are.
    """

    whole: DenseNetwork
    each: bool = False

    # The bands follow from the size.
    resizable = False
    starts_linear = True
    gains_from_xla = True
    has_dense_path = True
    has_linear_code = False

    @property
    def n_components(self) -> int:
        """The largest latent size."""
        return self.whole.n_components

    @property
    def output_activation(self) -> str:
        """Keras' name of the output activation."""
        return self.whole.output_activation

    @property
    def bands(self) -> list[tuple[int, int]]:
        """First and last size of each band."""
        size, lasts = self.n_components, [1]
        if self.each:
            return [(i, i) for i in range(1, size + 1)]
        while lasts[-1] < size:
            lasts.append(min(2 * lasts[-1], size))
        return list(zip([1, *(last + 1 for last in lasts)], lasts, strict=False))

    def band_of(self, size: int) -> int:
        """Position of the band of a size."""
        return next(i for i, (_, last) in enumerate(self.bands) if size <= last)

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of kernel, bias and, if there is one, linear path, of all bands together."""
        decoder = self.whole.coders[1]
        output = decoder.layers(decoder.shapes)[-1]
        return [(len(self.bands), *shape) for shape in output if shape is not None]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all weights that are trained: encoder, hidden layers, output layers."""
        outputs = self.output_shapes
        hidden = self._wide_decoder.shapes[: -len(outputs)]
        return [*self.whole.coders[0].shapes, *hidden, *outputs]

    @property
    def _wide_decoder(self) -> DenseCoder:
        """The decoder of the largest size, whose inputs are the columns and their mask."""
        return replace(self.whole.coders[1], n_inputs=2 * self.n_components)

    def cut(self, weights: Arrays, n_components: int) -> tuple[DenseNetwork, Weights]:
        """The plain network of the first columns: the mask becomes part of a bias."""
        network = replace(self.whole, n_components=n_components)
        encoder, trunk, outputs = self._split(weights)
        if trunk:
            of_mask = trunk[0][self.n_components :][:n_components]
            trunk[1] = trunk[1] + of_mask.sum(axis=0)
        output = [array[self.band_of(n_components)] for array in outputs]
        return network, resize([*encoder, *trunk, *output], network.shapes)

    def truncated(self, weights: Arrays, n_components: int) -> tuple["OrderedNetwork", Weights]:
        """The ordered network of the first columns."""
        network = replace(self, whole=replace(self.whole, n_components=n_components))
        encoder, trunk, outputs = self._split(weights)
        if trunk:
            columns, mask = np.split(trunk[0], 2)
            trunk[0] = np.concatenate([columns[:n_components], mask[:n_components]])
        outputs = [array[: self.band_of(n_components) + 1] for array in outputs]
        return network, resize([*encoder, *trunk, *outputs], network.shapes)

    def with_bands(self, weights: Arrays, each: bool) -> tuple["OrderedNetwork", Weights]:
        """Network and weights with other bands, with the output layers of their last sizes."""
        encoder, trunk, outputs = self._split(weights)
        other = replace(self, each=each)
        places = [self.band_of(last) for _, last in other.bands]
        return other, [*encoder, *trunk, *(array[places] for array in outputs)]

    def with_output_layers(self, weights: Arrays, outputs: Sequence[Weights]) -> Weights:
        """Weights with other output layers: kernel, bias and, if there is one, linear path."""
        encoder, trunk, _ = self._split(weights)
        shapes = [shape[1:] for shape in self.output_shapes]
        stacked = zip(*(resize(output, shapes) for output in outputs), strict=True)
        return [*encoder, *trunk, *map(np.stack, stacked)]

    def build(self) -> tuple[Any, Any]:
        """Keras models of the encoder and, if there are any, of the decoder's hidden layers."""
        import keras

        encoder = self.whole.coders[0].build("encoder")
        if not self.whole.hidden:
            return encoder, None
        wide = self._wide_decoder.build("decoder")
        hidden = keras.Model(wide.inputs, wide.get_layer("output").input, name="hidden")
        return encoder, hidden

    def inside(self, weights: Arrays, statistics: Any) -> tuple[Any, Any, Any]:
        """The network of the largest size, its weights and its statistics."""
        return *self.cut(weights, self.n_components), statistics

    def initial_values(
        self, rng: np.random.RandomState, *linear: Any
    ) -> tuple[Weights, Weights]:
        """Initial weights, those of the mask zero, and statistics: see `DenseNetwork`."""
        weights, statistics = self.whole.initial_values(rng, *linear)
        encoder, hidden, outputs = self._split(weights)
        outputs = [np.stack([array] * len(self.bands)) for array in outputs]
        return resize([*encoder, *hidden, *outputs], self.shapes), statistics

    def _split(self, weights: Arrays) -> tuple[Weights, Weights, Weights]:
        """Weights of the encoder, of the decoder's hidden layers and of the output layers."""
        (encoder, _), (decoder, _) = self.whole.split(weights)
        n_outputs = len(self.output_shapes)
        return encoder, decoder[:-n_outputs], decoder[-n_outputs:]
