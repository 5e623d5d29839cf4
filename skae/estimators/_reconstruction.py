"""What a fitted autoencoder does: encode, decode, score, and show its Keras models."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skae.estimators._validation import check_rows, check_scale, read_rows
from skae.metrics import lazy_variance_explained, share_explained, variance_explained
from skae.utils._arrays import check_floats
from skae.utils._process import refuse_forked_process
from skae.utils._rows import Rows


class ReconstructionMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods that need a fitted autoencoder and nothing that trains one."""

    # Whether score_samples is minus an error.
    _scores_are_errors = True

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        ndarray of shape (n_samples, n_components_)
            The code, float32 if X is float32 and float64 otherwise.
        """
        return self._code_of(X)

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes, as `transform` gives them.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...), or data frame
            Rows in the units and the shape of what the estimator was trained to say. Of
            a table, a data frame of its library, with its columns and dtypes, without
            missing cells.
        """
        check_is_fitted(self)
        code = check_floats(X, "X")
        if code.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {code.shape[1]} columns, but {type(self).__name__} has a code of "
                f"{self.n_components_}: inverse_transform takes what transform returns."
            )
        return self._preprocessor.shaped(self._decoder(code), X)

    def reconstruct(self, X):
        """Encode X and decode it again.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...), or data frame
            What remains of X after its passage through the code. Of a table, a data frame
            as X, without missing cells.
        """
        output = self._in_parts(self._reconstruct, self._check_rows(X))
        return self._preprocessor.shaped(output, X)

    def score_samples(self, X):
        """Minus the loss of each row: higher is more like the training rows.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        ndarray of shape (n_samples,)
            Minus the mean over columns of the loss that was trained, in the units of
            the data (squared, for the squared error). Of a table, the mean over the cells
            that are there, of which each counts as a share of what its column has to lose:
            the variance of numbers, the entropy of categories.
        """
        check_is_fitted(self)
        losses = self._losses(self._rows(X))
        return -self._unit * losses

    def _losses(self, rows):
        """Loss of each row, in the units in which the network speaks."""
        return rows.apply(lambda part: self._losses_of(part, self._reconstruct(part.inputs)))

    def _losses_of(self, rows, output):
        """Loss of each row, of which this was said."""
        target = rows.outputs
        if self._scales_output:
            output, target = map(self._target_units.transform, (output, target))
        return self._preprocessor.loss_of(self._loss, rows).per_sample(np, target, output)

    def score(self, X, y=None, sample_weight=None):
        """Share of the variance of X that the reconstruction explains.

        One minus the squared error of the reconstruction over the squared distance of
        the rows from their mean, both summed over rows and columns. Of a table, the mean
        over its columns of the share of variance, or of errors that are not made:
        see :func:`skae.metrics.reconstruction_score`.

        ``PCA.score`` is something else, a log-likelihood, and so is
        :meth:`VAETransformer.score`. A search over these and autoencoders needs
        ``scoring=``:func:`skae.metrics.reconstruction_score`, which is this share for any
        transformer; without it the search compares shares with log-likelihoods.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, at best rows that were not used for training.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            At most 1; 0 is what the mean of X would reach.
        """
        check_is_fitted(self)
        if self.table_ is not None:
            return share_explained(X, self.reconstruct(X), sample_weight=sample_weight)
        rows = self._rows(X)
        if rows.is_lazy:
            return lazy_variance_explained(
                rows.inputs, lambda part: self._reconstruct(part.dense()), sample_weight
            )
        return variance_explained(rows.outputs, self._reconstruct(rows.inputs), sample_weight)

    def _code_of(self, X):
        """The code as an array (n_samples, n_components_), whatever `set_output` asks for."""
        return self._in_parts(self._encode, self._check_rows(X))

    def _in_parts(self, function, X):
        """A function of rows, a chunk at a time where they are read lazily."""
        return Rows(X).apply(lambda part: function(part.inputs))

    def _encode(self, X):
        return self._encoder(X)

    def _reconstruct(self, X):
        return self._decoder(self._encode(X))

    def _check_rows(self, X):
        """Flat rows, missing values at the mean of their column."""
        X = check_rows(self, X)
        return self._preprocessor.filled(X)

    def _rows(self, X):
        """Rows and, of a table, what should be said of them."""
        return self._preprocessor.with_targets(read_rows(self, X))

    @property
    def _scales_output(self):
        """Whether the decoder speaks in standardised data."""
        return self._network.output_activation == "linear" and self.table_ is None

    @property
    def _unit(self):
        """The unit of the loss, in the units of the data; 1 if columns are standardised."""
        scale = self._target_units.scale
        return scale**self._loss.power if self._scales_output and np.ndim(scale) == 0 else 1.0

    @property
    def encoder_(self):
        """Keras model from rows in the units of the data to codes, made anew each time."""
        return self._keras_models()[0]

    @property
    def decoder_(self):
        """Keras model from codes to rows in the units of the data, made anew each time."""
        return self._keras_models()[1]

    def _keras_models(self):
        check_is_fitted(self)
        # Keras computes in single precision, whatever the rows came in.
        check_scale("X", self._units.scale, np.float32)
        check_scale("target", self._target_units.scale, np.float32)
        refuse_forked_process()
        from skae.models._export import keras_models_in_data_units

        return keras_models_in_data_units(
            *self._network.trained(self._weights, self._statistics),
            before=self._units,
            after=self._target_units if self._scales_output else None,
            input_shape=self._input_shape,
            output_shape=self._output_shape,
        )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_encoder")

    @property
    def _n_features_out(self):
        return self.n_components_
