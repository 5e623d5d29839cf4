"""Tables to inputs and targets of the networks, and outputs to tables."""

from dataclasses import replace

import numpy as np

from skae.inference._dense import Affine
from skae.losses._mixed import MixedLikelihood, MixedLoss, Outputs, probabilities
from skae.losses._reconstruction import EntrywiseLoss
from skae.losses._registry import LOSSES
from skae.tables import TabularEncoder
from skae.utils._arrays import index_of
from skae.utils._rows import moments

# Lower bounds of the entropy or variance by which the loss of a column is divided: rarer
# categories have no larger weight.
_LEAST_ENTROPY = 0.1
_LEAST_VARIANCE = 0.1

# Factors of the logits at initialization: the one with the least cross-entropy is taken.
_SHARPNESS = np.geomspace(1, 64, 13)
_MOST_COMPARED = 4096


class TablePreprocessor:
    """Preprocessing of tables.

    Inputs are the whole matrix of the encoder. Outputs are the part without the indicators of
    missing values: numbers as they are there, and a logit for each flag of a category.

    Parameters
    ----------
    encoder : TabularEncoder
        Fitted.

    rows : Rows
        Training rows.

    weights_columns : bool
        True to divide the loss of each column by its variance or entropy, and that of each
        row by its number of observed values; otherwise every value has weight one.
    """

    encoder: TabularEncoder
    outputs: Outputs
    output_shape: tuple
    units: Affine
    target_units: Affine
    values: np.ndarray
    weights_columns: bool
    _columns: list
    _flag_share: np.ndarray
    _flag_unit: np.ndarray
    _sizes: np.ndarray
    _column_weight: np.ndarray

    is_table = True

    def __init__(self, encoder: TabularEncoder, rows, weights_columns):
        self.encoder = encoder
        self.weights_columns = weights_columns
        blocks = [block for block in encoder.blocks_ if block.stop > block.start]
        self._columns = [encoder.blocks_.index(block) for block in blocks]
        self.values = np.concatenate(
            [np.arange(block.start, block.stop) for block in blocks] or [np.zeros(0, int)]
        ).astype(np.intp)
        self._flag_unit = encoder.flag_unit[self.values]
        self._flag_share = encoder.flag_share[self.values]
        is_level = [bool(encoder.is_flag[block.start]) for block in blocks]
        self.outputs = Outputs(
            tuple(
                (block.stop - block.start) * categories
                for block, categories in zip(blocks, is_level, strict=True)
            )
        )
        self.output_shape = (len(self.outputs),)
        # The encoder has centred and scaled already.
        self.units = Affine(np.zeros(encoder.n_numbers), 1.0)
        self.target_units = Affine(np.zeros(self.output_shape), 1.0)
        self._sizes = np.maximum(self.outputs.widths, 1)
        self._column_weight = self._weights_of_columns(rows)

    @property
    def value_groups(self):
        """First of the matrix columns that encode the same value, (n_inputs,)."""
        first = np.arange(self.encoder.n_numbers)
        for block in self.encoder.blocks_:
            stop = block.stop if block.indicator is None else block.indicator + 1
            first[block.start : stop] = block.start
        return first

    def with_targets(self, rows):
        """Rows and targets: values, and the weight of each."""
        observed = rows.observed[:, self._columns]
        weight = observed
        if self.weights_columns:
            n_observed = np.maximum(observed.sum(axis=1, keepdims=True), 1)
            weight = observed * self._column_weight / n_observed
        weight = np.repeat(weight, self._sizes, axis=1)
        return replace(rows, targets=np.hstack([self._target_values(rows.inputs), weight]))

    def loss(self, loss, image_shape):
        """The loss of a table: that of numbers, and the cross-entropy of categories."""
        allowed = [
            name
            for name, known in LOSSES.items()
            if isinstance(known, EntrywiseLoss) and not known.bounded
        ]
        if not (isinstance(loss, str) and loss in allowed):
            raise ValueError(
                f"loss must be one of {', '.join(map(repr, allowed))} for tables with "
                f"a column that is no number; got {loss!r}."
            )
        return MixedLoss(self.outputs, LOSSES[loss].entry)

    def likelihood(self, likelihood):
        """The likelihood of a table: a density for numbers, a probability for categories."""
        if likelihood.bounded:
            raise ValueError(
                "likelihood must be 'gaussian' for tables with a column that is no number: "
                "numbers have a normal distribution there, and categories a probability."
            )
        return MixedLikelihood(self.outputs)

    def filled(self, X):
        """Rows as the encoder made them: no value of the matrix is missing."""
        return X

    def loss_of(self, loss, rows):
        """The loss of these rows, whose targets hold the weights of their values."""
        return loss

    def likelihood_of(self, likelihood, rows):
        """The likelihood of these rows, whose targets hold the weights of their values."""
        return likelihood

    def linear_rows(self, rows):
        """Rows and targets that a linear model can compare: in the units of the matrix."""
        targets = None
        if len(self.values) < rows.inputs.shape[1]:
            targets = self.target_columns(rows.inputs)
        return replace(rows, targets=targets)

    def target_columns(self, inputs):
        """Columns of the matrix, (n_samples, n_numbers), that are targets too."""
        return inputs[:, self.values]

    def over_all_inputs(self, model):
        """A linear model of `target_columns` as one of the whole matrix."""
        encoder = np.zeros((self.encoder.n_numbers, model.encoder.shape[1]))
        encoder[self.values] = model.encoder
        return model._replace(encoder=encoder)

    def before_output(self, rows, linear, activation):
        """Scale and offset from the output of a linear map to numbers and logits.

        The largest flag stays the largest, so that the initialization decodes the categories
        that the linear model decodes.

        Parameters
        ----------
        rows : Rows
            Training rows.

        linear : tuple of ndarray of shape (n_inputs, k) and (k, n_outputs)
            From the matrix of rows to its values, by way of the code.

        activation : str
            Not used: outputs are numbers and logits.

        Returns
        -------
        tuple of ndarray of shape (n_outputs,)
        """
        unit, share = self._flag_unit, self._flag_share
        scale, offset = np.ones(len(unit)), np.zeros(len(unit))
        some = slice(_MOST_COMPARED)
        values = self._target_values(rows.inputs[some])
        encoder, decoder = linear
        flags = rows.inputs[some] @ (encoder @ decoder) * unit + share
        parts = zip(self._columns, self.outputs.starts, self.outputs.widths, strict=True)
        for column, start, width in parts:
            if not width:
                continue
            part = slice(start, start + width)
            observed = rows.observed[some, column]
            middle = 0.5 if width == 1 else 0.0
            sharpness = _sharpness(flags[observed, part] - middle, values[observed, part])
            scale[part] = sharpness * unit[part]
            offset[part] = sharpness * (share[part] - middle)
        return scale, offset

    def shaped(self, output, like=None):
        """The table for the decoder's output, without missing values.

        Parameters
        ----------
        output : ndarray of shape (n_samples, n_outputs)
            Numbers and logits.

        like : object, default=None
            What was given: a data frame of pandas gives its index to the result.
        """
        values = probabilities(self.outputs, output)
        return self.encoder.decode(self.matrix(values), index=index_of(like))

    def sampled(self, output, noise, rng):
        """Rows of the table drawn around the decoder's output.

        Parameters
        ----------
        output : ndarray of shape (n_samples, n_outputs)
            Numbers and logits.

        noise : ndarray of shape (n_outputs,)
            Standard deviation of the noise of numbers.

        rng : RandomState
            Draws noise and categories.
        """
        values = probabilities(self.outputs, output)
        parts = zip(self.outputs.starts, self.outputs.widths, strict=True)
        for start, width in parts:
            part = values[:, start : start + max(width, 1)]
            if not width:
                part += noise[start] * rng.standard_normal(part.shape)
                continue
            below = np.cumsum(part, axis=1) if width > 1 else part
            index = (rng.uniform(size=(len(part), 1)) >= below).sum(axis=1, keepdims=True)
            part[:] = index == (np.arange(width) if width > 1 else 0)
        return self.encoder.decode(self.matrix(values))

    def log_volumes(self, rows):
        """Logarithm of a unit of the matrix in the units of the data, of each row.

        Of the numbers that are there; values that are drawn in have larger units.
        """
        volumes = np.zeros(len(rows))
        for j, block in enumerate(self.encoder.blocks_):
            if j in self._columns and not self.encoder.is_flag[block.start]:
                z = rows.inputs[:, block.start]
                volumes += rows.observed[:, j] * self.encoder.log_unit(j, z)
        return volumes

    def by_column(self, noise):
        """Of each column of the table, the noise in its units; NaN for categories."""
        values = np.full(len(self.encoder.blocks_), np.nan)
        parts = zip(self._columns, self.outputs.starts, self.outputs.widths, strict=True)
        for column, start, width in parts:
            if not width:
                at_mean = np.zeros(1)
                values[column] = (
                    noise[start] * np.exp(self.encoder.log_unit(column, at_mean))[0]
                )
        return values

    def matrix(self, values):
        """Numbers and flags in the units of the encoder, (n_samples, n_numbers)."""
        Z = np.tile(-self.encoder.flag_share / self.encoder.flag_unit, (len(values), 1))
        unit, share = self._flag_unit, self._flag_share
        Z[:, self.values] = (values - share) / unit
        return Z

    def _target_values(self, Z):
        """Numbers in the units of the matrix, and flags as 0 or 1, (n_samples, n_outputs)."""
        unit, share = self._flag_unit, self._flag_share
        values = Z[:, self.values] * unit + share
        return np.where(self.outputs.is_flag, np.round(values), values)

    def _weights_of_columns(self, rows):
        """One over what a column has to lose: variance of numbers, entropy of categories."""
        result = np.zeros(len(self._columns))
        values = self._target_values(rows.inputs)
        parts = zip(self._columns, self.outputs.starts, self.outputs.widths, strict=True)
        for j, (column, start, width) in enumerate(parts):
            observed = rows.observed[:, column]
            weight = None if rows.weight is None else rows.weight[observed]
            observed_values = values[observed, start : start + max(width, 1)]
            if not len(observed_values):
                continue
            mean, deviation = moments(observed_values, weight)
            if width:
                result[j] = 1 / max(_entropy(mean), _LEAST_ENTROPY)
            elif self.encoder.standardize:
                result[j] = 1 / max(deviation[0] ** 2, _LEAST_VARIANCE)
            else:
                result[j] = 1.0
        return result


def _entropy(share):
    """Of categories that are that frequent, in nats."""
    share = np.r_[1 - share[0], share] if len(share) == 1 else share
    share = share[share > 0]
    return float(-share @ np.log(share))


def _sharpness(values, flags):
    """Factor that makes values, (n_samples, width), the best logits of these flags."""

    def cost(sharpness):
        logits = sharpness * values
        if values.shape[1] == 1:
            return np.logaddexp(0, logits).mean() - (flags * logits).mean()
        total = np.logaddexp.reduce(logits, axis=1)
        return total.mean() - (flags * logits).sum(axis=1).mean()

    if not len(values):
        return 1.0
    return float(min(_SHARPNESS, key=cost))
