"""What a fitted autoencoder does: encode, decode, score, and show its Keras models."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skae.losses import LOSSES
from skae.metrics import variance_explained

DTYPES = (np.float64, np.float32)


class ReconstructionMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods that need a fitted autoencoder and nothing that trains one."""

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_components_)
            The code, float32 if X is float32 and float64 otherwise.
        """
        X = self._check_rows(X)
        return self._encoder(X)

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes, as `transform` gives them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Rows in the units of the data.
        """
        check_is_fitted(self)
        code = check_array(X, dtype=DTYPES, input_name="X")
        if code.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {code.shape[1]} columns, but {type(self).__name__} has a code of "
                f"{self.n_components_}: inverse_transform takes what transform returns."
            )
        return self._decoder(code)

    def reconstruct(self, X):
        """Encode X and decode it again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            What remains of X after its passage through the code.
        """
        return self._reconstruct(self._check_rows(X))

    def score_samples(self, X):
        """Minus the loss of each row: higher is more like the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Minus the mean over columns of the loss that was trained, in the units of
            the data (squared, for the squared error).
        """
        return self._score_rows(self._check_rows(X))

    def _score_rows(self, X):
        output = self._reconstruct(X)
        if self._scales_output:
            # In these units the network was trained; the centre cancels.
            X, output = X / self.scale_, output / self.scale_
        return -self._unit * LOSSES[self.loss].per_sample(np, X, output)

    def score(self, X, y=None, sample_weight=None):
        """Share of the variance of X that the reconstruction explains.

        One minus the squared error of the reconstruction over the squared distance of
        the rows from their mean, both summed over rows and columns. PCA's share on the
        same rows is comparable: see :func:`skae.metrics.reconstruction_score`.

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
        X = self._check_rows(X)
        return variance_explained(X, self._reconstruct(X), sample_weight=sample_weight)

    def _reconstruct(self, X):
        return self._decoder(self._encoder(X))

    def _check_rows(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=DTYPES, reset=False)

    @property
    def _scales_output(self):
        """Whether the decoder speaks in standardised data."""
        return self._network.output_activation == "linear"

    @property
    def _unit(self):
        """The unit of the loss, in the units of the data."""
        return self.scale_ ** LOSSES[self.loss].power if self._scales_output else 1.0

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
        from skae.models import in_units

        encoder, decoder = self._network.build()
        encoder.set_weights(self._encoder.weights)
        decoder.set_weights(self._decoder.weights)
        return in_units(encoder, decoder, self.mean_, self.scale_, self._scales_output)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_encoder")

    @property
    def _n_features_out(self):
        return self.n_components_
