"""Autoencoders as values: what `fit` returns in the end and what it works on before."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from skae.corruption._corruptions import Corruption, Spread, draw_pool
from skae.inference._forward import forward
from skae.losses._likelihood import probabilities
from skae.losses._penalties import LinearCode, Penalty
from skae.losses._reconstruction import LOSSES, Loss
from skae.networks._dense import DenseNetwork, resize
from skae.networks._principal import linear_map
from skae.utils._lazy import FEW_BYTES, dense
from skae.utils._rows import Rows, moments

# Rows from which the shrinkage of the best linear denoiser is estimated.
_MOST_CORRUPTED = 4096

# Rows from which the covariance of the code is estimated; and those that are decoded once for
# each column or more, in all and for one column.
_MOST_ENCODED = 10_000
_MOST_DECODED, _DECODED, _FEWEST_DECODED = 8000, (100, 1000), 10

# Of a column of the code, in standard deviations: derivatives of the decoder are those between
# both ends of such a step.
_STEP = 0.1

# Of the largest: what has less variance or effect is not stretched further.
_LEAST_VARIANCE, _LEAST_EFFECT, _TINY = 1e-6, 1e-2, float(np.finfo(np.float32).tiny)

# Activations that are the identity for positive numbers only.
_RECTIFIERS = {"relu", "elu", "leaky_relu"}


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedAutoencoder(ABC):
    """An autoencoder: preprocessing, network and weights.

    Before its initialization it has no weights, and before that no network; each step of
    `fit` returns another value. With a `code_map` the code is that of the weights as trained,
    less a shift, (n_components,), times a matrix, (n_components, n_components).
    """

    preprocessing: Any  # NumericPreprocessor or TablePreprocessor
    network: Any = None  # the architecture
    weights: Any = ()  # trained arrays, in the order of `network.shapes`
    statistics: Any = ()  # moving means and variances of normalization layers
    code_map: Any = None  # matrix and shift

    # True if the network's output is standardized data.
    scales_output: bool = field(init=False)

    # Number of the parts of the loss that `loss_curve_` adds up; None: all.
    n_reported = None

    # True if what is added to the loss is zero at the principal components.
    is_zero_at_pca = True

    # The unit of the loss, in the units of the data.
    unit = 1.0

    def __post_init__(self) -> None:
        is_linear = getattr(self.network, "output_activation", None) == "linear"
        scales_output = is_linear and not self.preprocessing.is_table
        object.__setattr__(self, "scales_output", scales_output)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    # Encoding and decoding, in the units of the data

    @cached_property
    def _coders(self):
        """Encoder and decoder."""
        weights, units = self.weights, self.preprocessing.units
        if self.code_map is not None:
            # The map becomes part of the layers on both sides of the code.
            weights = self.network.with_linear_code(weights, *self.code_map)
        after = self.preprocessing.target_units if self.scales_output else None
        return forward(self.network, weights, self.statistics, units, after)

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

    def trained_models(self):
        """Keras models of encoder and decoder, in the units of the network."""
        return self.encoder.keras_model("encoder"), self.decoder.keras_model("decoder")

    def keras_models(self, input_shape):
        """Keras models of encoder and decoder, from rows and to rows in the data's units."""
        from skae.models._objective import keras_models_in_data_units

        return keras_models_in_data_units(
            *self.trained_models(),
            before=self.encoder.before,
            after=self.decoder.after,
            input_shape=input_shape,
            output_shape=self.preprocessing.output_shape,
        )

    @abstractmethod
    def with_principal_code(self, rows):
        """Return the autoencoder with ordered columns of the code, once it is trained.

        And for each column the share of the variance of these rows that it explains,
        (n_components,); None: not known.
        """

    # Losses

    @abstractmethod
    def losses(self, rows):
        """Loss of each row, (n_samples,), in the units of the network."""

    @abstractmethod
    def validation_losses(self, rows):
        """Loss of each validation row, (n_samples,), as in training."""

    def loss_of_mean(self, rows):
        """Squared error of the rows' mean; None: losses are no shares of variance."""
        return None

    # Training

    @abstractmethod
    def initialized(self, rows, rng, init):
        """Return the autoencoder with initial weights, "pca" or "random", for training rows.

        And the share of variance that they explain; 1 where random weights need no try.
        """

    @abstractmethod
    def objective(self, network, mask, rows, batch_size, rng):
        """The objective for rows in batches of this size: `build`, `key` and `settings`.

        `build` returns a Keras model, `key` is equal for models that compile to the same
        program, and `settings`, numbers or arrays by name, are values of its variables that
        are not trained. `network` has a code that is perhaps padded, by columns where `mask`,
        (n_components,), is zero.
        """

    def as_trained(self, rows):
        """Rows in the units of the network; missing targets are NaN."""
        units, target_units = self.preprocessing.units, self.preprocessing.target_units
        targets = rows.outputs
        if self.scales_output:
            is_same = rows.targets is None and target_units is units
            targets = None if is_same else target_units.transform(targets)
        return Rows(units.transform(rows.inputs), targets, rows.weight)

    def trainable(self):
        """Return the autoencoder with the network that is trained."""
        return self


@dataclass(frozen=True, eq=False, kw_only=True)
class ReconstructionModel(FittedAutoencoder):
    """An autoencoder trained by a reconstruction loss, of corrupted rows perhaps."""

    loss: Loss | None = None
    penalty: Penalty | None = None
    linear_code: Any = None  # of the initialization, (n_features, n_components)
    corruption: Corruption | None = None  # of the inputs in training
    spread: Spread | None = None  # statistics of the columns that corruptions use
    is_zero_at_pca: bool = field(init=False)
    n_reported: Any = field(init=False)
    unit: float = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        is_zero_at_pca = self.penalty is None or self.penalty.is_zero_at_pca
        object.__setattr__(self, "is_zero_at_pca", is_zero_at_pca)
        object.__setattr__(self, "n_reported", 1 if is_zero_at_pca else None)
        # One for standardized columns.
        scale, unit = self.preprocessing.target_units.scale, 1.0
        if self.loss is not None and self.scales_output and not np.ndim(scale):
            unit = scale**self.loss.power
        object.__setattr__(self, "unit", unit)

    def losses(self, rows):
        """Loss of each row, (n_samples,), in the units of the network."""
        encode, decode = self._coders
        return rows.apply(lambda part: self.losses_of(part, decode(encode(part.inputs))))

    validation_losses = losses

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

    def objective(self, network, mask, rows, batch_size, rng):
        """The Keras model that is trained, see :class:`FittedAutoencoder`."""
        loss = self.preprocessing.loss_of(self.loss, rows)
        corruption, penalty = self.corruption, self.penalty
        if isinstance(penalty, LinearCode) and self.linear_code is None:
            penalty = None
        settings = {"mask": mask}
        if corruption is not None:
            spread = self.spread.standardised(*self.preprocessing.units)
            settings |= corruption.settings(spread)
        if penalty is not None:
            settings |= penalty.settings()
        if isinstance(penalty, LinearCode):
            shape = len(self.linear_code), network.n_components
            (settings["linear_code"],) = resize([self.linear_code], [shape])
            if not (self.scales_output or self.preprocessing.is_table):
                # The loss is in the units of the data.
                settings["penalty_weight"] *= (
                    self.preprocessing.target_units.scale**self.loss.power
                )
        draws = {getattr(part, "draws", None) for part in (corruption, penalty)}
        for kind in sorted(draws - {None}):
            shape = batch_size, *rows.inputs.shape[1:]
            settings[f"{kind}_pool"] = draw_pool(kind, rng, shape)
        shapes = {name: np.shape(value) for name, value in settings.items()}

        def build():
            from skae.models._objective import ReconstructionObjective

            return ReconstructionObjective(
                *network.build(), loss, shapes, corruption=corruption, penalty=penalty
            )

        parts = (loss, corruption and corruption.key, type(penalty))
        return build, (network, *parts, *shapes.values()), settings

    def initialized(self, rows, rng, init):
        """Return the autoencoder with initial weights, see :class:`FittedAutoencoder`.

        The principal components are those of the best linear denoiser of corrupted rows.
        """
        network, preprocessing = self.network, self.preprocessing
        linear_code, share = self.linear_code, 0.0
        linear = ()  # encoder, decoder and offset
        if init == "pca" and network.starts_linear:
            if rows.is_lazy and not rows.has_own_targets:
                rows = rows.sample(FEW_BYTES // rows.row_bytes)
            corrupted = None
            if self.corruption is not None:
                few = rows
                if rows.has_own_targets:
                    few = rows.take(slice(_MOST_CORRUPTED)).dense()
                noisy = self.corruption.corrupt(few.inputs, self.spread, rng)
                corrupted = preprocessing.units.transform(noisy)
            encoder, decoder, share = linear_map(
                preprocessing.linear_rows(rows), network.n_components, rng, corrupted
            )
            scale, offset = preprocessing.before_output(
                rows, (encoder, decoder), network.output_activation
            )
            linear = encoder, scale * decoder, offset
            if network.has_linear_code:
                shape = len(encoder), network.n_components
                (linear_code,) = resize([encoder.astype(np.float32)], [shape])
        weights, statistics = network.initial_values(rng, *linear)
        cuts = isinstance(network, DenseNetwork) and network.code_activation in _RECTIFIERS
        if cuts and self.is_zero_at_pca:
            weights = self._with_positive_codes(weights, statistics, rows)
        model = replace(self, weights=weights, statistics=statistics, linear_code=linear_code)
        return model, share

    def _with_positive_codes(self, weights, statistics, rows):
        """Weights whose codes of the rows are positive, for a code with a rectifier.

        Centred rows have centred codes, of which a rectifier would cut off one half, and with
        it half of the principal components.
        """
        network = self.network
        linear = replace(network, code_activation="linear")
        encoder, _ = forward(linear, weights, statistics, self.preprocessing.units, None)
        least = np.min([encoder(dense(p.inputs)).min(axis=0) for p in rows.parts()], axis=0)
        shift = -np.maximum(-least, 0)
        return network.with_linear_code(weights, np.eye(len(shift)), shift)

    def with_principal_code(self, rows):
        """Return the autoencoder with a code as PCA's, see :class:`FittedAutoencoder`.

        Its columns are centred and uncorrelated on these rows, and as near to the principal
        components as that allows. A step along a column changes the output by its length in
        standardized units, in the root mean square over rows; with tied weights, which only a
        rotation keeps tied, the scale stays as it is. Signs are those of the components. A code
        with an activation or another penalty, or of a network of one's own, stays as it is.
        """
        rows = rows.sample(min(_MOST_ENCODED, FEW_BYTES // rows.row_bytes))
        size = self.network.n_components
        n_decoded = np.clip(_MOST_DECODED // size, *_DECODED)
        # All effects are held at once, which takes much for very wide rows.
        n_decoded = min(n_decoded, max(FEW_BYTES // (size * rows.row_bytes), _FEWEST_DECODED))
        few = rows.sample(n_decoded)
        if not (self.network.has_linear_code and self.is_zero_at_pca):
            return self, self._contributions(few)
        model = replace(self, code_map=None)
        matrix, shift = model._principal_axes(rows, few)
        mapped = replace(model, code_map=(matrix, shift))
        shares = mapped._contributions(few)
        order = np.argsort(-shares, kind="stable")
        return replace(mapped, code_map=(matrix[:, order], shift)), shares[order]

    def _principal_axes(self, rows, few):
        """Matrix, (k, k), and shift, (k,), of the code; few of the rows are decoded.

        The code is whitened, rotated, and stretched by its columns' effects. The rotation is
        that nearest to the principal components where training started; after random weights
        it makes the effects of different columns orthogonal on the mean, which is the same
        for a linear autoencoder.
        """
        encode, decode = self._coders
        weight = rows.weights()[:, np.newaxis] / len(rows)
        code = encode(rows.inputs).astype(np.float64)
        shift = (weight * code).sum(axis=0)
        code -= shift
        variance, axes = np.linalg.eigh((weight * code).T @ code)
        if variance[-1] <= _TINY:
            return np.eye(len(shift)), shift
        deviation = np.sqrt(variance.clip(max(_LEAST_VARIANCE * variance[-1], _TINY)))
        whitener = (axes / deviation) @ axes.T
        few_code = encode(few.inputs).astype(np.float64)
        loadings = self.linear_code
        if getattr(self.network, "tied", False):
            matrix, loadings = axes[:, ::-1], None
        else:
            # Derivatives of the outputs along directions of the code.
            effects = []
            for direction in (axes * deviation) @ axes.T:
                up, down = (
                    self._compared(decode(few_code + sign * _STEP * direction))
                    for sign in (1, -1)
                )
                effects.append((up - down) / (2 * _STEP))
            effects = np.array(effects, np.float32)
            share = few.weights() / len(few)
            gram = np.einsum("anp,bnp,n->ab", effects, effects, share, optimize=True)
            rotation = np.linalg.eigh(gram)[1]
            if loadings is not None:
                components = self.preprocessing.units.transform(rows.inputs) @ loadings
                left, _, right = np.linalg.svd((weight * (code @ whitener)).T @ components)
                rotation = left @ right
            length = np.sqrt(np.einsum("ij,ik,kj->j", rotation, gram, rotation).clip(0))
            if length.max() <= _TINY:
                return np.eye(len(shift)), shift
            matrix = whitener @ rotation * length.clip(max(_LEAST_EFFECT * length.max(), _TINY))
        if loadings is None:
            loadings = self._compared(self.reconstruct(rows.inputs)).T @ (
                weight * code @ matrix
            )
        largest = np.abs(loadings).argmax(axis=0)
        sign = np.where(loadings[largest, np.arange(len(largest))] < 0, -1.0, 1.0)
        return matrix * sign, shift

    def _compared(self, output):
        """Outputs, (n_samples, n_outputs), in units in which columns can be compared."""
        if self.scales_output:
            return output / self.preprocessing.target_units.scale
        if self.preprocessing.is_table:
            return probabilities(self.preprocessing.outputs, output)
        return output

    def _contributions(self, rows):
        """Share of the variance of rows that each column explains, (n_components,).

        It is what is explained with the column, less what is explained where it is set to its
        mean. The share is that of `score`: of tables the mean over columns, where the loss of
        categories takes the place of their variance.
        """
        encode, decode = self._coders
        weight = rows.weights() / len(rows)
        code = encode(rows.inputs)
        mean, size = weight @ code, code.shape[1]
        target, total = None, 1.0
        if not self.preprocessing.is_table:
            target = self._compared(rows.outputs.astype(np.float64))
            _, deviation = moments(rows.outputs, rows.weight)
            total = np.square(self._compared(deviation)).sum()
            if not total:
                return np.zeros(size)
        errors = []
        # With all columns, then without each of them.
        for without in np.eye(1 + size, size, k=-1, dtype=bool):
            output = decode(np.where(without, mean, code))
            if target is None:
                losses = self.losses_of(rows, output)
            else:
                losses = np.nansum(np.square(self._compared(output) - target), axis=1)
            errors.append(weight @ losses)
        return (np.array(errors[1:]) - errors[0]) / total
