"""Autoencoders as values: what `fit` returns in the end and what it works on before."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from skae.corruption._corruptions import Corruption, Spread
from skae.estimators._initialization import pca_weights, shift_latent_positive
from skae.inference._forward import forward
from skae.losses._penalties import Penalty
from skae.losses._reconstruction import LOSSES, Loss
from skae.utils._lazy import FEW_BYTES
from skae.utils._rows import Rows, moments

# Rows from which the shrinkage of the best linear denoiser is estimated.
_MOST_CORRUPTED = 4096


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedAutoencoder(ABC):
    """An autoencoder: preprocessing, network and weights.

    Before its initialization it has no weights, and before that no network; each step of
    `fit` returns another value.

    Parameters
    ----------
    preprocessing : NumericPreprocessor or TablePreprocessor
        Converts rows to inputs and targets, and outputs to rows.

    network : network or None
        The architecture.

    weights : list of ndarray
        Trained arrays, in the order of ``network.shapes``.

    statistics : list of ndarray
        Moving means and variances of normalization layers.
    """

    preprocessing: Any
    network: Any = None
    weights: Any = ()
    statistics: Any = ()

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    # Encoding and decoding, in the units of the data

    @cached_property
    def _coders(self):
        after = self.preprocessing.target_units if self.scales_output else None
        units = self.preprocessing.units
        return forward(self.network, self.weights, self.statistics, units, after)

    @property
    def encoder(self):
        """Function of rows, (n_samples, n_features), in the units of the data."""
        return self._coders[0]

    @property
    def decoder(self):
        """Function of codes, (n_samples, n_components), to rows in the units of the data."""
        return self._coders[1]

    def encode(self, X):
        """Code of each row, (n_samples, n_components)."""
        return self._coders[0](X)

    def reconstruct(self, X):
        """Reconstruction of each row, (n_samples, n_outputs)."""
        return self._coders[1](self.encode(X))

    @property
    def scales_output(self):
        """True if the network's output is standardized data."""
        linear = self.network.output_activation == "linear"
        return linear and not self.preprocessing.is_table

    def keras_models(self, input_shape):
        """Keras models of encoder and decoder, from rows and to rows in the data's units."""
        from skae.models._export import keras_models_in_data_units

        return keras_models_in_data_units(
            *self.network.trained(self.weights, self.statistics),
            before=self.preprocessing.units,
            after=self.preprocessing.target_units if self.scales_output else None,
            input_shape=input_shape,
            output_shape=self.preprocessing.output_shape,
        )

    # Losses

    @property
    @abstractmethod
    def unit(self):
        """The unit of the loss, in the units of the data."""

    @abstractmethod
    def losses(self, rows):
        """Loss of each row, (n_samples,), in the units of the network."""

    def validation_losses(self, rows):
        """Loss of each validation row, (n_samples,), as in training."""
        return self.losses(rows)

    def loss_of_mean(self, rows):
        """Squared error of the rows' mean; None: losses are no shares of variance."""
        return None

    # Training

    @abstractmethod
    def objective(self, network, mask, pools, rows, batch_size):
        """The Keras model that is trained.

        Parameters
        ----------
        network : network
            The architecture, its code perhaps padded.

        mask : ndarray of shape (network.n_components,)
            Zero for columns of the code that pad it.

        pools : callable
            Returns pools of random numbers for kinds of draws.

        rows : Rows
            Training rows.

        batch_size : int
            Rows in a step.

        Returns
        -------
        build : callable
            Returns the Keras model.

        key : tuple
            Equal for models that compile to the same program.

        settings : dict of str to number or ndarray
            Values of its variables that are not trained.
        """

    @abstractmethod
    def initialized(self, rows, rng, init):
        """Return the autoencoder with initial weights.

        Parameters
        ----------
        rows : Rows
            Training rows.

        rng : RandomState
            Draws the weights.

        init : {"pca", "random"}
            As the user chose.

        Returns
        -------
        model : FittedAutoencoder
        share : float
            Share of variance that the initialization explains; 1 where random weights need
            no try.
        """

    def with_weights(self, weights, statistics=None):
        """Return the autoencoder with other weights; statistics None: fresh ones."""
        if statistics is None:
            statistics = self.network.fresh_statistics()
        return replace(self, weights=weights, statistics=statistics)

    def is_linear_at(self, init):
        """True if the initialization is a linear model of the data."""
        return init == "pca" and self.network.starts_linear

    def is_solution_at(self, init):
        """True if the initialization is a solution on which training has to improve."""
        return self.is_linear_at(init)

    def validation_rows(self, rows, rng):
        """Validation rows as the encoder receives them."""
        return rows

    def as_trained(self, rows):
        """Rows in the units of the network, float32; missing targets are NaN."""
        if self.scales_output:
            rows = self.preprocessing.scaled(rows)
        else:
            inputs = self.preprocessing.units.transform(rows.inputs)
            rows = Rows(inputs, rows.outputs, rows.weight)
        targets = rows.targets
        return Rows(
            rows.inputs.astype(np.float32, copy=False),
            None if targets is None else targets.astype(np.float32, copy=False),
            rows.weight,
        )

    def rescaled(self, preprocessing, weights, rows):
        """Return the autoencoder in other units, after more rows."""
        return replace(self, preprocessing=preprocessing, weights=weights)

    def trainable(self):
        """Return the autoencoder with the network that is trained."""
        return self


@dataclass(frozen=True, eq=False, kw_only=True)
class ReconstructionModel(FittedAutoencoder):
    """An autoencoder trained by a reconstruction loss, of corrupted rows perhaps.

    Parameters
    ----------
    loss : Loss
        Between target and output, per row.

    penalty : Penalty or None
        Added to the loss.

    corruption : Corruption or None
        Applied to the inputs in training.

    spread : Spread or None
        Statistics of the columns that corruptions use.
    """

    loss: Loss | None = None
    penalty: Penalty | None = None
    corruption: Corruption | None = None
    spread: Spread | None = None

    @property
    def unit(self):
        """The unit of the loss, in the units of the data; 1 for standardized columns."""
        scale = self.preprocessing.target_units.scale
        if not self.scales_output or np.ndim(scale):
            return 1.0
        return scale**self.loss.power

    def losses(self, rows):
        """Loss of each row, (n_samples,), in the units of the network."""
        return rows.apply(lambda part: self.losses_of(part, self.reconstruct(part.inputs)))

    def losses_of(self, rows, output):
        """Loss of each row, (n_samples,), for this output, (n_samples, n_outputs)."""
        target = rows.outputs
        if self.scales_output:
            output, target = map(self.preprocessing.target_units.transform, (output, target))
        return self.preprocessing.loss_of(self.loss, rows).per_sample(np, target, output)

    def loss_of_mean(self, rows):
        """Squared error of the rows' mean; None with other losses."""
        if self.loss is not LOSSES["squared_error"]:
            return None
        _, deviation = moments(rows.outputs, rows.weight)
        return float(np.square(deviation).mean()) or None

    def objective(self, network, mask, pools, rows, batch_size):
        """The Keras model that is trained, see :class:`FittedAutoencoder`."""
        loss, corruption, penalty = (
            self.preprocessing.loss_of(self.loss, rows), self.corruption, self.penalty
        )  # fmt: skip
        settings = {"mask": mask}
        if corruption is not None:
            spread = self.spread.standardised(*self.preprocessing.units)
            settings |= corruption.settings(spread)
        if penalty is not None:
            settings |= penalty.settings()
        settings |= pools({getattr(part, "draws", None) for part in (corruption, penalty)})
        shapes = {name: np.shape(value) for name, value in settings.items()}

        def build():
            from skae.models._objective import ReconstructionObjective

            return ReconstructionObjective(
                *network.build(), loss, shapes, corruption=corruption, penalty=penalty
            )

        parts = (loss, corruption and corruption.key, type(penalty))
        return build, (network, *parts, *shapes.values()), settings

    def initialized(self, rows, rng, init):
        """Return the autoencoder with initial weights, see :class:`FittedAutoencoder`."""
        if self.is_linear_at(init):
            if rows.is_lazy and not rows.has_own_targets:
                rows = rows.sample(FEW_BYTES)
            weights, share = pca_weights(self, rows, self.corrupted(rows, rng), rng)
        else:
            weights, share = self.network.random_start(rng), 0.0
        return self.with_weights(shift_latent_positive(self, weights, rows)), share

    def is_solution_at(self, init):
        """True if the initialization is a solution on which training has to improve."""
        return self.is_linear_at(init) and self.penalty is None

    def validation_rows(self, rows, rng):
        """Validation rows, corrupted once, so that epochs are compared on the same noise."""
        if self.corruption is None:
            return rows
        clean = rows.dense()
        inputs = self.corruption.corrupt(clean.inputs, self.spread, rng)
        return Rows(inputs, clean.outputs, clean.weight, clean.observed)

    def corrupted(self, rows, rng):
        """Standardized corrupted inputs, (n_samples, n_features); None: no corruption."""
        if self.corruption is None:
            return None
        if rows.has_own_targets:
            rows = rows.take(slice(_MOST_CORRUPTED)).dense()
        noisy = self.corruption.corrupt(rows.inputs, self.spread, rng)
        return self.preprocessing.units.transform(noisy)

    def rescaled(self, preprocessing, weights, rows):
        """Return the autoencoder in other units, after more rows."""
        spread = self.spread
        if spread is not None:
            spread = spread.widened(rows.inputs, preprocessing.deviation)
        return replace(self, preprocessing=preprocessing, weights=weights, spread=spread)
