"""Ordered codes, whose first k columns are a code too: one network for every size."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skae.networks._dense import DenseCoder, DenseNetwork, Shapes, resize
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

    n_components: int = field(init=False, repr=False, compare=False)  # the largest
    output_activation: str = field(init=False, repr=False, compare=False)
    # First and last size of each band.
    bands: list[tuple[int, int]] = field(init=False, repr=False, compare=False)
    # Of kernel, bias and, if there is one, linear path, of all bands together.
    output_shapes: Shapes = field(init=False, repr=False, compare=False)
    # Of all weights that are trained: encoder, hidden layers, output layers.
    shapes: Shapes = field(init=False, repr=False, compare=False)
    # The decoder of the largest size, whose inputs are the columns and their mask.
    _wide_decoder: DenseCoder = field(init=False, repr=False, compare=False)

    # The bands follow from the size.
    resizable = False
    starts_linear = True
    gains_from_xla = True
    has_dense_path = True
    has_linear_code = False

    def __post_init__(self) -> None:
        whole = self.whole
        size, lasts = whole.n_components, [1]
        while lasts[-1] < size:
            lasts.append(lasts[-1] + 1 if self.each else min(2 * lasts[-1], size))
        bands = list(zip([1, *(last + 1 for last in lasts)], lasts, strict=False))
        encoder, decoder = whole.coders
        wide = replace(decoder, n_inputs=2 * size)
        output = [shape for shape in decoder.layers(decoder.shapes)[-1] if shape is not None]
        outputs = [(len(bands), *shape) for shape in output]
        values = {
            "n_components": size,
            "output_activation": whole.output_activation,
            "bands": bands,
            "output_shapes": outputs,
            "shapes": [*encoder.shapes, *wide.shapes[: -len(outputs)], *outputs],
            "_wide_decoder": wide,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def band_of(self, size: int) -> int:
        """Position of the band of a size."""
        return next(i for i, (_, last) in enumerate(self.bands) if size <= last)

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
