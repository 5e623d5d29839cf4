"""What the autoencoders read of a table with categories or holes, and how they say it."""

from dataclasses import replace

import numpy as np

from skae.inference._dense import Affine
from skae.losses._mixed import MixedLikelihood, MixedLoss, Outputs, probabilities
from skae.losses._reconstruction import EntrywiseLoss
from skae.losses._registry import LOSSES
from skae.tables import TabularEncoder
from skae.utils._frames import index_of
from skae.utils._rows import moments

# The least that a column has to lose: a rarer level counts no more than this allows.
_LEAST_ENTROPY = 0.1
_LEAST_VARIANCE = 0.1

# Sharpness of probabilities at the start: the one that makes the levels likeliest.
_SHARPNESS = np.geomspace(1, 64, 13)
_MOST_JUDGED = 4096


class TablePreprocessor:
    """What an autoencoder reads of a table, what it should say, and what it has said.

    It reads the whole matrix of the encoder, and says the part without the flags of missing
    cells: numbers as they are there, and a logit for each flag of a level.

    Parameters
    ----------
    encoder : TabularEncoder
        Fitted.

    rows : Rows
        Training rows, whose columns say how much there is to lose.

    weighs : bool
        Whether columns count by that, and rows as much as each other; otherwise every cell
        counts as one.
    """

    def __init__(self, encoder: TabularEncoder, rows, weighs):
        self.encoder = encoder
        self.weighs = weighs
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
                (block.stop - block.start) * levels
                for block, levels in zip(blocks, is_level, strict=True)
            )
        )
        self.output_shape = (len(self.outputs),)
        # The encoder has centred and scaled already.
        self.units = Affine(np.zeros(encoder.n_numbers), 1.0)
        self.target_units = Affine(np.zeros(self.output_shape), 1.0)
        self._sizes = np.maximum(self.outputs.widths, 1)
        self._worth = self._what_columns_count(rows)

    @property
    def cells(self):
        """For each column of the matrix, the first of those that stand for the same cell."""
        cells = np.arange(self.encoder.n_numbers)
        for block in self.encoder.blocks_:
            stop = block.stop if block.indicator is None else block.indicator + 1
            cells[block.start : stop] = block.start
        return cells

    def with_targets(self, rows):
        """Rows, and what should be said of them: values, and how much each one counts."""
        observed = rows.observed[:, self._columns]
        worth = observed
        if self.weighs:
            n_observed = np.maximum(observed.sum(axis=1, keepdims=True), 1)
            worth = observed * self._worth / n_observed
        worth = np.repeat(worth, self._sizes, axis=1)
        return replace(rows, targets=np.hstack([self._said(rows.inputs), worth]))

    def loss(self, loss, image_shape):
        """The loss of a table: one for numbers, and the cross-entropy for levels."""
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
        """The likelihood of a table: a density for numbers, a probability for levels."""
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
            targets = self.said_inputs(rows.inputs)
        return replace(rows, targets=targets)

    def said_inputs(self, inputs):
        """The part of the matrix that is said, too."""
        return inputs[:, self.values]

    def over_all_inputs(self, model):
        """A linear model of `said_inputs` as one of the whole matrix."""
        encoder = np.zeros((self.encoder.n_numbers, model.encoder.shape[1]))
        encoder[self.values] = model.encoder
        return model._replace(encoder=encoder)

    def before_output(self, rows, linear, activation):
        """What makes the reconstruction of a linear start logits: a scale and an offset.

        The largest flag stays the largest, so that the start says the levels that the
        linear model says.

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
        some = slice(_MOST_JUDGED)
        said = self._said(rows.inputs[some])
        encoder, decoder = linear
        flags = rows.inputs[some] @ (encoder @ decoder) * unit + share
        parts = zip(self._columns, self.outputs.starts, self.outputs.widths, strict=True)
        for column, start, width in parts:
            if not width:
                continue
            part = slice(start, start + width)
            observed = rows.observed[some, column]
            middle = 0.5 if width == 1 else 0.0
            sharpness = _sharpness(flags[observed, part] - middle, said[observed, part])
            scale[part] = sharpness * unit[part]
            offset[part] = sharpness * (share[part] - middle)
        return scale, offset

    def shaped(self, output, like=None):
        """The table for what the decoder says, without missing cells.

        Parameters
        ----------
        output : ndarray of shape (n_samples, n_outputs)
            Numbers and logits.

        like : object, default=None
            What was given: a data frame of pandas gives its index to the result.
        """
        said = probabilities(self.outputs, output)
        return self.encoder.decode(self.matrix(said), index=index_of(like))

    def sampled(self, output, noise, rng):
        """Rows of the table drawn around what the decoder says.

        Parameters
        ----------
        output : ndarray of shape (n_samples, n_outputs)
            Numbers and logits.

        noise : ndarray of shape (n_outputs,)
            Standard deviation of the noise of numbers.

        rng : RandomState
            Draws noise and levels.
        """
        said = probabilities(self.outputs, output)
        parts = zip(self.outputs.starts, self.outputs.widths, strict=True)
        for start, width in parts:
            part = said[:, start : start + max(width, 1)]
            if not width:
                part += noise[start] * rng.standard_normal(part.shape)
                continue
            below = np.cumsum(part, axis=1) if width > 1 else part
            drawn = (rng.uniform(size=(len(part), 1)) >= below).sum(axis=1, keepdims=True)
            part[:] = drawn == (np.arange(width) if width > 1 else 0)
        return self.encoder.decode(self.matrix(said))

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

    def matrix(self, said):
        """Numbers and flags in the units of the encoder, no cell missing."""
        Z = np.tile(-self.encoder.flag_share / self.encoder.flag_unit, (len(said), 1))
        unit, share = self._flag_unit, self._flag_share
        Z[:, self.values] = (said - share) / unit
        return Z

    def _said(self, Z):
        """Numbers in the units of the matrix, and flags as 0 or 1."""
        unit, share = self._flag_unit, self._flag_share
        values = Z[:, self.values] * unit + share
        return np.where(self.outputs.is_flag, np.round(values), values)

    def _what_columns_count(self, rows):
        """One over what a column has to lose: variance of numbers, entropy of levels."""
        worth = np.zeros(len(self._columns))
        said = self._said(rows.inputs)
        parts = zip(self._columns, self.outputs.starts, self.outputs.widths, strict=True)
        for j, (column, start, width) in enumerate(parts):
            observed = rows.observed[:, column]
            weight = None if rows.weight is None else rows.weight[observed]
            cells = said[observed, start : start + max(width, 1)]
            if not len(cells):
                continue
            mean, deviation = moments(cells, weight)
            if width:
                worth[j] = 1 / max(_entropy(mean), _LEAST_ENTROPY)
            elif self.encoder.standardize:
                worth[j] = 1 / max(deviation[0] ** 2, _LEAST_VARIANCE)
            else:
                worth[j] = 1.0
        return worth


def _entropy(share):
    """Of levels that are that frequent, in nats."""
    share = np.r_[1 - share[0], share] if len(share) == 1 else share
    share = share[share > 0]
    return float(-share @ np.log(share))


def _sharpness(values, flags):
    """What values are multiplied with to be the best logits of these flags."""

    def cost(sharpness):
        logits = sharpness * values
        if values.shape[1] == 1:
            return np.logaddexp(0, logits).mean() - (flags * logits).mean()
        total = np.logaddexp.reduce(logits, axis=1)
        return total.mean() - (flags * logits).sum(axis=1).mean()

    if not len(values):
        return 1.0
    return float(min(_SHARPNESS, key=cost))
