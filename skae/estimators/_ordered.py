"""Ordered codes: sizes that are trained together, and what each of them explains."""

from copy import copy
from dataclasses import replace
from math import prod
from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skae.estimators._output_layers import LatentDataset, refitted
from skae.estimators._parameters import network_parameters
from skae.inference._forward import forward
from skae.losses._registry import LOSSES
from skae.metrics import variance_explained
from skae.networks._activations import keras_name
from skae.networks._dense import DenseNetwork
from skae.networks._ordered import OrderedNetwork
from skae.networks._principal import linear_map
from skae.utils._threads import parallel_slices

# A size counts by one over what it loses at the start, but no more than by this.
_LEAST_LOSS = 1e-3

# Rows from which it is learnt how sizes compare.
_MOST_ROWS = 2000

# Rows from which the heads of all sizes are learnt, and weights that they may have.
_MOST_LEARNT = 5000
_MOST_HEADS = 2**22


class OrderedCodeMixin:
    """What an autoencoder adds whose code may be cut: its answers to the base, and the cut.

    It stands before :class:`BaseAutoencoder`, and without ``ordered=True`` it is silent.
    """

    def truncated(self, n_components):
        """The fitted transformer of the first columns of an ordered code.

        Nothing is trained: the encoder keeps its first columns, and the decoder is the one
        that was trained for this size.

        Parameters
        ----------
        n_components : int
            How many columns, at most `n_components_`.

        Returns
        -------
        AutoencoderTransformer
            With ``n_components=n_components``, fitted; what it says of the training
            (`loss_curve_` and so on) is that of the training of all sizes.

        Raises
        ------
        ValueError
            If the transformer was not fitted with ``ordered=True``, or has fewer columns.
        """
        check_is_fitted(self)
        network = self._network
        if not isinstance(network, OrderedNetwork):
            raise ValueError(
                "truncated needs a code whose columns are ordered: fit with ordered=True."
            )
        size = check_scalar(
            n_components, "n_components", Integral, min_val=1, max_val=self.n_components_
        )
        small = copy(self)
        small.n_components = int(size)
        small._built_with = network_parameters(small)
        small._cut_to(int(size))
        return small

    def _cut_to(self, size):
        """Keep the first columns of the code."""
        network = self._network
        weights = network.truncate(self._weights, size)
        self._network = network.truncated(size)
        self._optimizer_state = None
        self.n_components_ = size
        self._size_weight = self._size_weight[:size]
        self.variance_explained_ = self.variance_explained_[:size]
        if self.pca_variance_explained_ is not None:
            self.pca_variance_explained_ = self.pca_variance_explained_[:size]
        vars(self).update(self._networks(weights, self._statistics))

    # Answers to the base

    @property
    def _tries_random(self):
        return not self.ordered

    def _check_parts(self, rows):
        super()._check_parts(rows)
        if not self.ordered:
            return
        allowed = {"network": None, "tied_weights": False, "penalty": None}
        for name, value in allowed.items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"ordered=True needs {name}={value}; got {getattr(self, name)!r}."
                )
        if keras_name(self.code_activation) != "linear":
            raise ValueError(
                f"ordered=True needs code_activation='identity'; got {self.code_activation!r}."
            )

    def _build(self, rows, rng):
        super()._build(rows, rng)
        self._may_shrink = self.ordered and not isinstance(self.n_components, Integral)

    def _check_network_stays(self):
        if isinstance(self._network, OrderedNetwork):
            # As it is trained.
            self._network, self._weights = self._network.with_bands(self._weights, each=False)
        super()._check_network_stays()

    def _described(self, n_components, linear_path):
        network = super()._described(n_components, linear_path)
        if self.ordered and isinstance(network, DenseNetwork):
            return OrderedNetwork(network)
        return network

    def _start(self, rows, rng):
        weights = super()._start(rows, rng)
        if self.ordered:
            statistics = self._network.fresh_statistics()
            self._size_weight = self._weights_of_sizes(_some(rows), weights, statistics)
        return weights

    def _objective(self, network, mask, pools, rows):
        if not self.ordered:
            return super()._objective(network, mask, pools, rows)
        loss = self._preprocessor.loss_of(self._loss, rows)
        settings = {"size_weight": self._size_weight}

        def build():
            from skae.models._ordered import OrderedObjective

            return OrderedObjective(network, loss, {"size_weight": (network.n_components,)})

        return build, (network, loss), settings

    def _validation_losses(self, rows):
        if not self.ordered:
            return super()._validation_losses(rows)
        losses = self._losses_by_size(rows.dense(), self._weights, self._statistics)
        weighted = [self._size_weight[size - 1] * loss for size, loss in losses.items()]
        return np.mean(weighted, axis=0)

    def _conclude(self, train, held_out, rng, one_epoch):
        super()._conclude(train, held_out, rng, one_epoch)
        if not self.ordered:
            for name in ("variance_explained_", "pca_variance_explained_"):
                vars(self).pop(name, None)
            return
        complete = held_out is not None and train.observed is None
        if complete and not one_epoch and self._gains_by_heads():
            self._give_heads(train, held_out)
        judged = _some(train if held_out is None else held_out)
        self.variance_explained_ = self._explained_by_size(judged)
        compares = self.table_ is None and not one_epoch
        self.pca_variance_explained_ = (
            self._explained_by_pca(train, judged, rng) if compares else None
        )
        if self._may_shrink and not one_epoch:
            enough = np.flatnonzero(self.variance_explained_ >= self.n_components)
            self._cut_to(int(enough[0]) + 1 if len(enough) else self.n_components_)
        self._may_shrink = False

    # Heads

    def _gains_by_heads(self):
        """Whether each size may have a head, and the best is a matter of linear regression."""
        squared = self._loss is LOSSES["squared_error"] and self._scales_output
        return squared and self.best_iter_ > 0 and self._head_weights() <= _MOST_HEADS

    def _head_weights(self):
        """How many weights the heads of all sizes would have."""
        return sum(map(prod, replace(self._network, each=True).head_shapes))

    def _give_heads(self, train, held_out):
        """Give each size the best head for the layers before it, as training left them."""
        train, held_out = (
            LatentDataset(
                self._encode(rows.inputs), self._as_trained(rows).outputs, rows.weights()
            )
            for rows in (_some(train, _MOST_LEARNT), _some(held_out, _MOST_LEARNT))
        )
        n_sizes = self._network.n_components
        heads = [[] for _ in range(n_sizes)]

        def find(at):
            for i in range(n_sizes)[at]:
                heads[i] = refitted(
                    self._decoder_of(i + 1), train.first(i + 1), held_out.first(i + 1)
                )

        parallel_slices(find, n_sizes, 1, len(train.code) * self._head_weights())
        self._network, weights = self._network.with_bands(self._weights, each=True)
        weights = self._network.with_heads(weights, heads)
        vars(self).update(self._networks(weights, self._statistics))

    # By size

    def _decoder_of(self, size):
        return self._coders(size, self._weights, self._statistics)[1]

    def _coders(self, size, weights, statistics):
        """Encoder and decoder of one size."""
        network = self._network
        return forward(
            network.of_size(size),
            network.cut(weights, size),
            statistics,
            self._units,
            self._target_units if self._scales_output else None,
        )

    def _losses_by_size(self, rows, weights, statistics):
        """Loss of each row at each of the sizes by which all are judged."""
        code = self._coders(self._network.n_components, weights, statistics)[0](rows.inputs)
        losses = {}
        for size in self._network.evaluated_sizes():
            output = self._coders(size, weights, statistics)[1](code[:, :size])
            losses[size] = self._losses_of(rows, output)
        return losses

    def _weights_of_sizes(self, rows, weights, statistics):
        """How much each size counts: by one over its loss, one in the mean."""
        losses = self._losses_by_size(rows, weights, statistics)
        mean = [np.average(loss, weights=rows.weight) for loss in losses.values()]
        mean = np.maximum(mean, _LEAST_LOSS * max(np.max(mean), np.finfo(np.float32).tiny))
        sizes = np.arange(1, self._network.n_components + 1)
        weight = np.exp(-np.interp(np.log(sizes), np.log(list(losses)), np.log(mean)))
        return weight / np.mean([weight[size - 1] for size in losses])

    def _explained_by_size(self, rows):
        """What the first columns explain, for each number of them."""
        code, explained = self._encode(rows.inputs), []
        for size in range(1, self._network.n_components + 1):
            output = self._decoder_of(size)(code[:, :size])
            if self.table_ is None:
                explained.append(variance_explained(rows.outputs, output, rows.weight))
            else:
                lost = self._losses_of(rows, output)
                explained.append(1 - np.average(lost, weights=rows.weight))
        return np.array(explained)

    def _explained_by_pca(self, train, judged, rng):
        """The same of the principal components of the training rows."""
        linear = linear_map(
            self._preprocessor.linear_rows(train), self._network.n_components, rng
        )
        judged = self._preprocessor.scaled(judged)
        code = judged.inputs @ linear.encoder
        outputs = (
            code[:, :size] @ linear.decoder[:size]
            for size in range(1, self._network.n_components + 1)
        )
        target, weight = judged.outputs, judged.weight
        return np.array([variance_explained(target, output, weight) for output in outputs])


def _some(rows, most=_MOST_ROWS):
    """At most so many rows, from all of them."""
    return rows.take(slice(None, None, -(-len(rows) // most))).dense()
