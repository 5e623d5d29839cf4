"""Ordered codes: one network for every number of columns, and its output layers."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from scipy import linalg

from skae.estimators._model import ReconstructionModel
from skae.losses._reconstruction import LOSSES
from skae.metrics import variance_explained
from skae.networks._principal import linear_map
from skae.utils._process import parallel_slices
from skae.utils._rows import Rows

# A size is weighted by one over its loss at initialization, but no more than by this.
_LEAST_LOSS = 1e-3

# Rows from which the weights of the sizes, and what each explains, are estimated.
MOST_ROWS = 2000

# Rows from which the output layers of all sizes are learned, and weights that they may have.
_MOST_REFITTED = 5000
_MOST_HEADS = 2**22

# Penalties that are tried, over the mean square of the inputs: from one that leaves next to
# nothing of the change to one that only keeps the matrix invertible.
_PENALTIES = 10.0 ** np.arange(1, -7, -1)


@dataclass(frozen=True, eq=False, kw_only=True)
class OrderedModel(ReconstructionModel):
    """An autoencoder whose first columns are a code too.

    `size_weight` weights the loss at each size, (n_components,), one in the mean over the last
    sizes of the bands.
    """

    size_weight: Any = None

    def initialized(self, rows, rng, init):
        """Return the autoencoder with initial weights; random weights need no try.

        A size is weighted by one over its loss, between evaluated sizes interpolated.
        """
        model, _ = super().initialized(rows, rng, init)
        rows = rows.sample(MOST_ROWS)
        losses = model._losses_by_size(rows)
        mean = [np.average(loss, weights=rows.weight) for loss in losses.values()]
        mean = np.maximum(mean, _LEAST_LOSS * max(np.max(mean), np.finfo(np.float32).tiny))
        sizes = np.arange(1, self.network.n_components + 1)
        weight = np.exp(-np.interp(np.log(sizes), np.log(list(losses)), np.log(mean)))
        weight /= np.mean([weight[size - 1] for size in losses])
        return replace(model, size_weight=weight), 1.0

    def objective(self, network, mask, rows, batch_size, rng):
        """The Keras model that is trained, see :class:`FittedAutoencoder`."""
        loss = self.preprocessing.loss_of(self.loss, rows)

        def build():
            from skae.models._objective import OrderedObjective

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
        network, weights = self.network.truncated(self.weights, size)
        weight = self.size_weight[:size]
        return replace(self, network=network, weights=weights, size_weight=weight)

    # Output layers

    def with_refitted_outputs(self, train, validation):
        """Give each size the best output layer for the layers before it.

        For the squared error it is a linear regression; others, and large ones, stay.
        """
        n_weights = sum(map(prod, replace(self.network, each=True).output_shapes))
        is_squared = self.loss is LOSSES["squared_error"] and self.scales_output
        if not is_squared or n_weights > _MOST_HEADS:
            return self
        train, validation = (
            Rows(
                self.encode(rows.inputs),
                self.as_trained(rows).outputs.astype(np.float32),
                rows.weights(),
            )
            for rows in (train.sample(_MOST_REFITTED), validation.sample(_MOST_REFITTED))
        )
        n_sizes = self.network.n_components
        outputs = [[] for _ in range(n_sizes)]

        def find(at):
            for i in range(n_sizes)[at]:
                first = (replace(r, inputs=r.inputs[:, : i + 1]) for r in (train, validation))
                outputs[i] = refitted(self.decoder_of(i + 1), *first)

        parallel_slices(find, n_sizes, 1, len(train) * n_weights)
        network, weights = self.network.with_bands(self.weights, each=True)
        return replace(
            self, network=network, weights=network.with_output_layers(weights, outputs)
        )

    # By size

    def decoder_of(self, size):
        """Decoder of the first columns of the code."""
        network, weights = self.network.cut(self.weights, size)
        return replace(self, network=network, weights=weights).decoder

    def _losses_by_size(self, rows):
        """Loss of each row, (n_samples,), by the last size of each band."""
        code = self.encode(rows.inputs)
        return {
            size: self.losses_of(rows, self.decoder_of(size)(code[:, :size]))
            for _, size in self.network.bands
        }

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
        preprocessing, size = self.preprocessing, self.network.n_components
        linear = linear_map(preprocessing.linear_rows(train), size, rng)
        target = preprocessing.target_units.transform(rows.outputs)
        code, explained = preprocessing.units.transform(rows.inputs) @ linear.encoder, []
        for k in range(1, size + 1):
            output = code[:, :k] @ linear.decoder[:k]
            explained.append(variance_explained(target, output, rows.weight))
        return np.array(explained)


def refitted(decoder, train, validation):
    """Kernel, bias and, if there is one, linear path of the best output layer of a decoder.

    While an ordered code is trained, an output layer serves several sizes and receives a part
    of the rows, and the layers before it change. Afterwards the best one for a size is a ridge
    regression for the squared error. The penalty is on the distance from the trained weights;
    its strength is chosen on validation rows. Rows have codes, (n_samples, n_components),
    targets in the network's units, and weights of mean one.
    """
    output = decoder.coder.layers(decoder.weights)[-1]
    kernel, bias, *path = (array for array in output if array is not None)
    head = np.vstack([kernel, *path, bias]).astype(np.float64)

    def inputs_of(rows):
        """Inputs of the output layer, (n_samples, n_inputs): hidden units, code, ones."""
        code = rows.inputs.astype(np.float32, copy=False)
        parts = [
            decoder(code, scaled=False, last_layer=False),
            *[code] * len(path),
            np.ones((len(code), 1)),
        ]
        return np.hstack(parts).astype(np.float64, copy=False)

    inputs, held_out = inputs_of(train), inputs_of(validation)
    root = np.sqrt(train.weight)[:, None]
    weighted, residual = root * inputs, root * (train.targets - inputs @ head)
    gram, cross = weighted.T @ weighted, weighted.T @ residual
    unit = np.trace(gram) / len(gram)

    def loss(head):
        squares = np.square(validation.targets - held_out @ head)
        return np.average(squares.mean(axis=1), weights=validation.weight)

    best, least = head, loss(head)
    for penalty in unit * _PENALTIES:
        change = linalg.solve(gram + penalty * np.eye(len(gram)), cross, assume_a="pos")
        now = loss(head + change)
        if not now < least:
            break
        best, least = head + change, now
    rows = np.split(best.astype(np.float32), np.cumsum([len(kernel), *map(len, path)]))
    return [rows[0], rows[-1][0], *rows[1:-1]]
