"""Codes of every size at once: the Keras model that is trained."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log
from typing import Any

import keras
import numpy as np
from keras import ops

from skae.losses import Loss
from skae.models._settings import Settings
from skae.networks import SINGLE, OrderedNetwork


class OrderedObjective(keras.Model):
    """Loss of each row, its code cut to sizes that are drawn at random [1]_.

    In each step every band of sizes is given as many rows as the others, and within it the
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
        self.encoder, self.hidden, self.heads = network.build()
        self.bands = network.bands
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
        losses = []
        columns = ops.arange(code.shape[1], dtype="int32")
        for i, (_, size) in enumerate(self.bands):
            kept = ops.ones_like(code) * ops.cast(columns < size, "float32")
            output = self._said(i, self._features(code, kept, False), code * kept, False)
            loss = self.loss_of_row.per_sample(ops, target, output)
            losses.append(loss * weight[size - 1])
        return ops.mean(ops.stack(losses), axis=0)

    def _drawn(self, code: Any, target: Any, weight: Any) -> Any:
        n_rows, n_bands = code.shape[0], len(self.bands)
        # Each row is decoded at a size of the lower bands, and at one of the upper ones.
        code, target = (ops.concatenate([rows, ops.flip(rows, 0)]) for rows in (code, target))
        ends = np.linspace(0, 2 * n_rows, n_bands + 1).astype(int)
        groups = [slice(*pair) for pair in pairwise(ends.tolist())]
        jitter = keras.random.uniform((n_bands,), seed=self.seed_generator)
        size = ops.concatenate(
            [
                _spread(band, group.stop - group.start, jitter[i])
                for i, (band, group) in enumerate(zip(self.bands, groups, strict=True))
            ]
        )
        columns = ops.arange(code.shape[1], dtype="int32")
        kept = ops.cast(columns[None] < size[:, None], "float32")
        features, cut = self._features(code, kept, True), code * kept
        losses = []
        for i, group in enumerate(groups):
            output = self._said(i, features[group], cut[group], True)
            losses.append(self.loss_of_row.per_sample(ops, target[group], output))
        loss = ops.concatenate(losses) * ops.take(weight, size - 1)
        return (loss[:n_rows] + ops.flip(loss[n_rows:], 0)) / 2

    def _features(self, code: Any, kept: Any, training: bool) -> Any:
        """The last hidden layer of the decoder."""
        return self.hidden(ops.concatenate([code * kept, kept], axis=1), training=training)

    def _said(self, band: int, features: Any, cut: Any, training: bool) -> Any:
        """What the head of a band says."""
        cut = cut[:, : self.bands[band][1]]
        reads = [features, cut] if len(self.heads[band].inputs) == 2 else [cut]
        return self.heads[band](reads, training=training)


def _spread(band: Sequence[int], n: int, jitter: Any) -> Any:
    """So many sizes of a band, evenly on a logarithmic scale from a random place."""
    first, last = band
    place = (ops.arange(n, dtype="float32") + jitter) / n
    size = ops.exp(log(first) + place * log((last + 1) / first))
    return ops.clip(ops.cast(ops.floor(size), "int32"), first, last)
