"""Ordered codes: one network for every number of columns."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from skae.estimators._model import ReconstructionModel
from skae.estimators._output_layers import LatentDataset, refitted
from skae.inference._forward import forward
from skae.losses._registry import LOSSES
from skae.metrics import variance_explained
from skae.networks._principal import linear_map
from skae.utils._process import parallel_slices

# A size is weighted by one over its loss at initialization, but no more than by this.
_LEAST_LOSS = 1e-3

# Rows from which the weights of the sizes are estimated.
_MOST_ROWS = 2000

# Rows from which the output layers of all sizes are learned, and weights that they may have.
_MOST_REFITTED = 5000
_MOST_HEADS = 2**22


@dataclass(frozen=True, eq=False, kw_only=True)
class OrderedModel(ReconstructionModel):
    """An autoencoder whose first columns are a code too.

    Parameters
    ----------
    size_weight : ndarray of shape (n_components,) or None
        Weight of the loss at each size, one in the mean over the evaluated sizes.
    """

    size_weight: Any = None

    def initialized(self, rows, rng, init):
        """Return the autoencoder with initial weights; random weights need no try."""
        model, _ = super().initialized(rows, rng, init)
        return replace(model, size_weight=model._weights_of_sizes(some(rows))), 1.0

    def objective(self, network, mask, pools, rows, batch_size):
        """The Keras model that is trained, see :class:`FittedAutoencoder`."""
        loss = self.preprocessing.loss_of(self.loss, rows)

        def build():
            from skae.models._ordered import OrderedObjective

            return OrderedObjective(network, loss, {"size_weight": (network.n_components,)})

        return build, (network, loss), {"size_weight": self.size_weight}

    def validation_losses(self, rows):
        """Weighted mean over sizes of the loss of each row, (n_samples,)."""
        losses = self._losses_by_size(rows.dense())
        weighted = [self.size_weight[size - 1] * loss for size, loss in losses.items()]
        return np.mean(weighted, axis=0)

    def loss_of_mean(self, rows):
        """None: the loss is a mean over sizes."""
        return None

    def trainable(self):
        """Return the autoencoder with the output layers that are trained."""
        network, weights = self.network.with_bands(self.weights, each=False)
        return replace(self, network=network, weights=weights)

    def truncated(self, size):
        """The autoencoder of the first columns of the code."""
        return replace(
            self,
            network=self.network.truncated(size),
            weights=self.network.truncate(self.weights, size),
            size_weight=self.size_weight[:size],
        )

    # Output layers

    @property
    def can_refit_outputs(self):
        """True if the best output layer of each size is a linear regression, and not large."""
        n_weights = self._n_output_weights()
        squared = self.loss is LOSSES["squared_error"] and self.scales_output
        return squared and n_weights <= _MOST_HEADS

    def _n_output_weights(self):
        """Number of weights that the output layers of all sizes would have."""
        return sum(map(prod, replace(self.network, each=True).output_shapes))

    def with_refitted_outputs(self, train, validation):
        """Give each size the best output layer for the layers before it."""
        train, validation = (
            LatentDataset(self.encode(r.inputs), self.as_trained(r).outputs, r.weights())
            for r in (some(train, _MOST_REFITTED), some(validation, _MOST_REFITTED))
        )
        n_sizes = self.network.n_components
        outputs = [[] for _ in range(n_sizes)]

        def find(at):
            for i in range(n_sizes)[at]:
                outputs[i] = refitted(
                    self.decoder_of(i + 1), train.first(i + 1), validation.first(i + 1)
                )

        n_multiplications = len(train.code) * self._n_output_weights()
        parallel_slices(find, n_sizes, 1, n_multiplications)
        network, weights = self.network.with_bands(self.weights, each=True)
        return replace(
            self, network=network, weights=network.with_output_layers(weights, outputs)
        )

    # By size

    def decoder_of(self, size):
        """Decoder of the first columns of the code."""
        return self._coders_of(size)[1]

    def _coders_of(self, size):
        return forward(
            self.network.of_size(size),
            self.network.cut(self.weights, size),
            self.statistics,
            self.preprocessing.units,
            self.preprocessing.target_units if self.scales_output else None,
        )

    def _losses_by_size(self, rows):
        """Loss of each row, (n_samples,), by each of the evaluated sizes."""
        code = self._coders_of(self.network.n_components)[0](rows.inputs)
        return {
            size: self.losses_of(rows, self.decoder_of(size)(code[:, :size]))
            for size in self.network.evaluated_sizes()
        }

    def _weights_of_sizes(self, rows):
        """One over the loss at each size, one in the mean, (n_components,)."""
        losses = self._losses_by_size(rows)
        mean = [np.average(loss, weights=rows.weight) for loss in losses.values()]
        mean = np.maximum(mean, _LEAST_LOSS * max(np.max(mean), np.finfo(np.float32).tiny))
        sizes = np.arange(1, self.network.n_components + 1)
        weight = np.exp(-np.interp(np.log(sizes), np.log(list(losses)), np.log(mean)))
        return weight / np.mean([weight[size - 1] for size in losses])

    def explained_by_size(self, rows):
        """Share of variance that the first columns explain, (n_components,)."""
        code, explained = self.encode(rows.inputs), []
        for size in range(1, self.network.n_components + 1):
            output = self.decoder_of(size)(code[:, :size])
            if self.preprocessing.is_table:
                losses = self.losses_of(rows, output)
                explained.append(1 - np.average(losses, weights=rows.weight))
            else:
                explained.append(variance_explained(rows.outputs, output, rows.weight))
        return np.array(explained)

    def explained_by_pca(self, train, rows, rng):
        """The same of the principal components of the training rows, (n_components,)."""
        n_components = self.network.n_components
        linear = linear_map(self.preprocessing.linear_rows(train), n_components, rng)
        rows = self.preprocessing.scaled(rows)
        code = rows.inputs @ linear.encoder
        outputs = (
            code[:, :size] @ linear.decoder[:size] for size in range(1, n_components + 1)
        )
        return np.array(
            [variance_explained(rows.outputs, output, rows.weight) for output in outputs]
        )


def some(rows, most=_MOST_ROWS):
    """At most so many rows, at equal distances."""
    return rows.take(slice(None, None, -(-len(rows) // most))).dense()
