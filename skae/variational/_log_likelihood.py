"""Methods of a distribution: posterior, samples, log-likelihood."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.losses._likelihood import posterior
from skae.utils._arrays import check_weight
from skae.utils._calls import generator
from skae.utils._sklearn import Interval, validate_parameter_constraints
from skae.variational._mixture_prior import draw, log_gain

_CONSTRAINTS = {"n_samples": [Interval(Integral, 1, None, closed="left")]}


class LikelihoodMixin:
    """The methods of a code that is a distribution; stands before the base class."""

    # score_samples is a log-likelihood, and may be positive.
    _scores_are_errors = False

    # Codes lie about a sphere; a straight way between two of them leads through its inside,
    # where no rows are.
    _interpolation = "spherical"

    def posterior(self, X):
        """Mean and standard deviation of the code of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components_)
            The code, as `transform` gives it.

        std : ndarray of shape (n_samples, n_components_)
            Uncertainty of each number. Near one, that of the standard normal, the column
            has no information about the row.
        """
        X = self._check_rows(X)
        both = self._in_parts(X, "encoder")
        mean, log_variance = posterior(np, both)
        return np.ascontiguousarray(mean), np.exp(0.5 * log_variance)

    def sample(self, n_samples=1, random_state=None, *, noise=True):
        """Draw rows from the model: codes from the prior, `prior_`, and rows from them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        random_state : int, RandomState instance or None, default=None
            Draws codes and noise.

        noise : bool, default=True
            Whether the noise of the likelihood is added (for a Bernoulli likelihood,
            zeros and ones are drawn), as in the data. False: the means of rows given codes
            drawn from the prior.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...), or data frame
            Rows in the units of the data. Of a table, a data frame as X, without missing
            values: integers are whole, numbers in the range seen, categories are categories.
        """
        check_is_fitted(self)
        validate_parameter_constraints(
            _CONSTRAINTS, {"n_samples": n_samples}, caller_name="sample"
        )
        rng = generator(random_state)
        if self.prior_ is None:
            codes = rng.standard_normal((n_samples, self.n_components_))
        else:
            codes = draw(self.prior_, n_samples, rng)
        model = self._model
        rows = model.decoder(codes)
        if noise and self.table_ is not None:
            return model.preprocessing.sampled(rows, model.latent.noise, rng)
        return model.preprocessing.shaped(model.latent.with_noise(rows, rng) if noise else rows)

    def score_samples(self, X):
        """Log-likelihood of each row, estimated by weighted draws of codes.

        The logarithm of the mean weight of `n_draws` codes, which comes to the
        log-likelihood as draws grow in number. The first third of the codes is drawn from
        the posterior of the row. Where their weights are uneven, the posterior of the
        network is not exact, and each further third is drawn around the weighted mean of
        those before [1]_. The draws rest on the same points for all rows and in every call.
        Where `prior_` is a mixture, it is the prior here too.

        With fewer than 12 draws all come from the posterior, and in the mean over draws the
        estimate is not above the log-likelihood: it is the importance-weighted bound [2]_.
        Draws that depend on those before give no such guarantee; wherever it was measured,
        the estimate is below the log-likelihood on the mean over rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, in the shape the estimator was fitted on, or flat.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats, for the density in the units of the data (of a table, the density of
            the observed numbers and the probability of the categories): comparable with
            `score_samples` of :class:`~sklearn.decomposition.PCA` and
            :class:`~sklearn.mixture.GaussianMixture`. The decoder computes in single
            precision, good to about 1e-5 nats.

        References
        ----------
        .. [1] J.-M. Cornuet, J.-M. Marin, A. Mira and C. P. Robert, "Adaptive Multiple
           Importance Sampling", Scandinavian Journal of Statistics 39, 2012.

        .. [2] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance Weighted
           Autoencoders", ICLR 2016.
        """
        check_is_fitted(self)
        rows, preprocessing = self._rows(X), self._model.preprocessing
        gain = None if self.prior_ is None else log_gain(self.prior_)
        latent, args = self._model.latent, (int(self.n_draws), gain)
        scores = rows.apply(
            lambda part: latent.log_likelihood(part.inputs, *args, part.targets)
        )
        return scores if self.table_ is None else scores - preprocessing.log_volumes(rows)

    def score(self, X, y=None, sample_weight=None):
        """Mean of `score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, at best rows that were not used for training.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            Nats per row. The share of variance explained is given by
            :func:`skae.metrics.reconstruction_score`.
        """
        scores = self.score_samples(X)
        return float(np.average(scores, weights=check_weight(sample_weight, len(scores))))
