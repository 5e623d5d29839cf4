"""Codes of every size at once: the Keras model that is trained."""

from collections.abc import Mapping, Sequence
from math import ceil, log
from typing import Any

import keras
import numpy as np
from keras import ops

from skae.losses import Loss
from skae.models._settings import Settings
from skae.networks import SINGLE, OrderedNetwork

# How many sizes a row is decoded at in one step.
_SIZES_A_ROW = 2


class OrderedObjective(keras.Model):
    """Loss of each row, its code cut to sizes that are drawn at random [1]_.

    In each step every decoder is given as many rows as the others, and within its band the
    sizes are spread evenly on a logarithmic scale.

    Parameters
    ----------
    network : OrderedNetwork
        What is trained.

    loss : Loss
        What is compared between target and output.

    settings : mapping of str to tuple of int
        Shape of "size_weight": how much the loss counts at each size.

    References
    ----------
    .. [1] O. Rippel, M. Gelbart and R. Adams, "Learning Ordered Representations with Nested
       Dropout", ICML 2014.
    """

    n_parts = 1

    def __init__(
        self, network: OrderedNetwork, loss: Loss, settings: Mapping[str, tuple[int, ...]]
    ) -> None:
        super().__init__(dtype=SINGLE)
        self.settings = Settings(settings)
        self.encoder, self.decoders = network.build()
        self.bands = network.bands
        self.judged = network.judged_sizes()
        self.loss_of_row = loss
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Weighted loss of each row, a mean over sizes.

        Parameters
        ----------
        inputs : tuple of tensors, (x, target)
            What the encoder reads and what the decoder should say.

        training : bool
            Whether sizes are drawn; otherwise they are those by which all are judged.

        Returns
        -------
        tensor of shape (n_rows, 1)
        """
        x, target = inputs
        code = self.encoder(x, training=training)
        weight = self.settings.values()["size_weight"]
        losses = self._drawn if training else self._judged
        return losses(code, target, weight)[:, None]

    def _judged(self, code: Any, target: Any, weight: Any) -> Any:
        total = ops.zeros_like(code[:, 0])
        for size, share in self.judged:
            band = next(i for i, (_, last) in enumerate(self.bands) if size <= last)
            kept = np.arange(self.bands[band][1]) < size
            cut = code[:, : len(kept)] * kept.astype(np.float32)
            output = self.decoders[band](cut, training=False)
            loss = self.loss_of_row.per_sample(ops, target, output)
            total = total + share * weight[size - 1] * loss
        return total

    def _drawn(self, code: Any, target: Any, weight: Any) -> Any:
        n_rows, n_bands = code.shape[0], len(self.bands)
        per_band = ceil(_SIZES_A_ROW * n_rows / n_bands)
        # The last rows of a batch may be padding: no band always gets these.
        first = keras.random.randint((), 0, n_rows, dtype="int32", seed=self.seed_generator)
        rows = (ops.arange(n_bands * per_band, dtype="int32") + first) % n_rows
        code, target = ops.take(code, rows, axis=0), ops.take(target, rows, axis=0)
        jitter = keras.random.uniform((n_bands,), seed=self.seed_generator)
        losses = []
        for i, (band, decoder) in enumerate(zip(self.bands, self.decoders, strict=True)):
            group = slice(i * per_band, (i + 1) * per_band)
            size = _spread(band, per_band, jitter[i])
            kept = ops.arange(band[1], dtype="int32")[None] < size[:, None]
            cut = code[group, : band[1]] * ops.cast(kept, "float32")
            loss = self.loss_of_row.per_sample(ops, target[group], decoder(cut, training=True))
            losses.append(loss * ops.take(weight, size - 1))
        share = n_rows / (n_bands * per_band)
        return ops.segment_sum(share * ops.concatenate(losses), rows, num_segments=n_rows)


def _spread(band: Sequence[int], n: int, jitter: Any) -> Any:
    """So many sizes of a band, evenly on a logarithmic scale from a random place."""
    first, last = band
    place = (ops.arange(n, dtype="float32") + jitter) / n
    size = ops.exp(log(first) + place * log((last + 1) / first))
    return ops.clip(ops.cast(ops.floor(size), "int32"), first, last)
