"""How rows become what the networks read and say, and back: rows of numbers, or tables."""

from copy import copy

from skae.estimators._tables import TableCodec
from skae.estimators._validation import check_scale
from skae.inference import Affine
from skae.losses import make_loss
from skae.utils._rows import Rows, joined_moments, moments, scale_of


class RowsCodec:
    """Rows of numbers: centred, and divided by one scale.

    Parameters
    ----------
    rows : Rows
        Training rows, in the units of the data.

    output_shape : tuple of int
        Of one row of what is said.
    """

    def __init__(self, rows, output_shape):
        self.output_shape = output_shape
        self._moments = self._target_moments = moments(rows.inputs, rows.weight)
        self.units = self.target_units = _units_of("X", self._moments, rows.inputs)
        if rows.targets is not None:
            self._target_moments = moments(rows.targets, rows.weight)
            self.target_units = _units_of("target", self._target_moments, rows.targets)

    @property
    def deviation(self):
        """Standard deviation of each column that is read."""
        return self._moments[1]

    def with_more(self, rows, share):
        """The codec of the rows it has seen and of more.

        Parameters
        ----------
        rows : Rows
            What has come, in the units of the data.

        share : float
            Of the weight of all rows, how much is that of these.
        """
        codec = copy(self)

        def joined(seen, name, X):
            both = joined_moments(seen, moments(X, rows.weight), share)
            return both, _units_of(name, both, X)

        codec._moments, codec.units = joined(self._moments, "X", rows.inputs)
        codec._target_moments, codec.target_units = codec._moments, codec.units
        if rows.targets is not None or self.target_units is not self.units:
            told = joined(self._target_moments, "target", rows.outputs)
            codec._target_moments, codec.target_units = told
        return codec

    def with_targets(self, rows):
        """Rows, and what should be said of them."""
        return rows

    def loss(self, loss, image_shape):
        """The loss that the user asked for."""
        return make_loss(loss, image_shape)

    def likelihood(self, likelihood):
        """The likelihood that the user asked for."""
        return likelihood

    def linear_rows(self, rows):
        """Rows and targets that a linear model can compare."""
        targets = None
        if rows.targets is not None or self.target_units is not self.units:
            targets = self.target_units.inward(rows.outputs)
        return Rows(self.units.inward(rows.inputs), targets, rows.weight)

    def before_output(self, rows, linear, activation):
        """Map what a linear map makes of rows to what stands before the output's activation.

        Parameters
        ----------
        rows : Rows
            Training rows.

        linear : tuple of ndarray of shape (n_inputs, k) and (k, n_outputs)
            From rows, centred and scaled, to what is said of them, by way of the code.

        activation : str
            Of the output.

        Returns
        -------
        tuple of float or ndarray of shape (n_outputs,)
            A scale and an offset.
        """
        centre, scale = self.target_units
        if activation == "linear":
            return 1.0, 0.0
        if activation == "sigmoid":
            # The tangent of the logit at one half.
            return 4 * scale, 4 * (centre - 0.5)
        return scale, centre

    def said_inputs(self, inputs):
        """The part of what is read that is said, too."""
        return inputs

    def over_all_inputs(self, model):
        """A linear model of `said_inputs` as one of all that is read."""
        return model

    def shaped(self, output, like=None):
        """What the decoder says, in the shape of what it was trained to say."""
        return output.reshape(len(output), *self.output_shape)

    def by_column(self, noise):
        """The noise of each column, in the units of the data."""
        return None if noise is None else noise.reshape(self.output_shape)


def make_codec(estimator, rows):
    """What suits the training rows of an estimator.

    Parameters
    ----------
    estimator : autoencoder
        Has read the rows.

    rows : Rows
        Training rows.
    """
    if estimator.table_ is None:
        return RowsCodec(rows, estimator._output_shape)
    if estimator.network is not None:
        raise ValueError(
            "network must be None for tables with categories or missing cells, which dense "
            f"layers read; got network={estimator.network!r}."
        )
    return TableCodec(estimator.table_, rows, estimator._weighs_columns)


def _units_of(name, moments, X):
    mean, deviation = moments
    units = Affine(mean, scale_of(deviation))
    check_scale(name, units.scale, X.dtype)
    return units
