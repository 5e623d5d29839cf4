"""The generative model: a mixture as the prior of codes, samples of rows, log-likelihoods."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.cluster import kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from skae.estimators._validation import split_rows
from skae.losses._likelihood import posterior
from skae.utils._arrays import by_chunk, check_weight
from skae.utils._calls import generator
from skae.utils._lazy import dense
from skae.utils._process import BLAS_LIMITS
from skae.utils._sklearn import Interval, validate_parameter_constraints
from skae.variational._sampling import GivenRows, RowSampler

# Numbers of components that are tried, until one is no better than the one before.
_SIZES = (2, 4, 8, 16, 32)

# Codes drawn to fit mixtures to: so many for a row, and so many in all.
_DRAWS_PER_ROW, _MOST_DRAWS = 10, 10_000

# Share of the rows for validation where none are held out, and codes drawn for each.
_VALIDATION_SHARE, _VALIDATION_DRAWS = 0.1, 16

# Weight of the standard normal: no row loses more than three nats by the mixture, wherever
# its code lies.
_NORMAL_SHARE = 0.05

# Steps of k-means, then of expectation maximisation at most, and nats per code below which it
# stops. `GaussianMixture.fit` takes twice the time for 0.03 nats less on the codes of four of
# the tables of `benchmarks/samples.py`.
_K_MEANS_STEPS, _MOST_STEPS, _PROGRESS = 10, 20, 0.01

# Codes whose density is computed at a time.
_CHUNK = 2048

# Added to the variances of a component, in units of their mean where that is above 1.
_LEAST_VARIANCE = 1e-4


class LikelihoodMixin:
    """The methods of a code that is a distribution; stands before the base class."""

    # score_samples is a log-likelihood, and may be positive.
    _scores_are_errors = False

    # Codes lie about a sphere; a straight way between two of them leads through its inside,
    # where no rows are.
    _interpolation = "spherical"

    def posterior(self: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
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
        mean, log_variance = posterior(np, self._in_parts(X, "encoder"))
        return np.ascontiguousarray(mean), np.exp(0.5 * log_variance)

    def sample(
        self: Any,
        n_samples: int = 1,
        random_state: Any = None,
        *,
        given: Any = None,
        noise: bool = True,
        draw_missing: bool = False,
    ) -> Any:
        """Draw rows from the model: codes from the prior, `prior_`, and rows from them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows; with `given`, of draws of each given row.

        random_state : int, RandomState instance or None, default=None
            Draws codes and noise.

        given : data frame, array-like, Series or dict, default=None
            Rows with missing values, which are drawn given the others: rows in the shape the
            estimator was fitted on, or one row, or some columns of a data frame, or values of
            one row by the names of columns (by position, where X had none). A row without any
            value is drawn as without `given`.

        noise : bool, default=True
            Whether what `sampling` names is added to the decoder's output: residuals, or the
            noise of the likelihood (for a Bernoulli likelihood, zeros and ones are drawn).
            False: the means of rows given codes.

        draw_missing : bool, default=False
            Whether values that are not given are missing where the training row is, whose
            residuals are drawn: as often as in training rows, and in the same columns together.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...), or data frame
            Rows in the units of the data. Of a table, a data frame as X, without missing
            values: integers are whole, numbers in the range seen, categories are categories.
            With `given`, `n_samples` rows for each given row, one after the other, with the
            values that were given as they are; a data frame of pandas has its index.

        See Also
        --------
        skae.AEImputer.sample : Fills missing values by draws, for multiple imputation.
        """
        check_is_fitted(self)
        allowed = {
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "noise": ["boolean"],
            "draw_missing": ["boolean"],
        }
        found = {"n_samples": n_samples, "noise": noise, "draw_missing": draw_missing}
        validate_parameter_constraints(allowed, found, caller_name="sample")
        if draw_missing and not (noise and self._residuals is not None):
            raise ValueError(
                "draw_missing=True needs noise=True and the training rows of "
                "sampling='residuals', which partial_fit does not keep."
            )
        rng, model = generator(random_state), self._model
        sampler = RowSampler(model, self.prior_, self._residuals, noise)
        if given is None:
            values, observed = sampler.from_prior(n_samples, rng)
            return model.preprocessing.of_values(values, observed if draw_missing else None)
        rows = GivenRows(self, given)
        values, observed = sampler.given(rows.targets, rows.observed, n_samples, rng)
        observed = observed if draw_missing else None
        drawn = model.preprocessing.of_values(values, observed, rows.index(n_samples))
        return rows.put_into(drawn, n_samples)

    def score_samples(self: Any, X: Any) -> np.ndarray:
        """Log-likelihood of each row, estimated by weighted draws of codes.

        The logarithm of the mean weight of `n_draws` codes, which comes to the
        log-likelihood as draws grow in number. The first third of the codes is drawn from
        the posterior of the row; where their weights are uneven it is not exact, and each
        further third is drawn around the weighted mean of those before [1]_. The draws rest
        on the same points for all rows and in every call. The prior is `prior_`.

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
        return self._scores(self._rows(X))

    def _scores(self: Any, rows: Any) -> np.ndarray:
        """Log-likelihood of each of these rows, (n_samples,)."""
        gain = None if self.prior_ is None else log_gain(self.prior_)
        return rows.apply(
            lambda part: self._model.log_likelihood(part, int(self.n_draws), gain)
        )

    def score(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:
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


def fit_prior(posterior, train, held_out, rng):
    """Fit a mixture of normal distributions to codes; None: none is better than the normal one.

    It is fitted to codes drawn from the posteriors of the training rows. The number of its
    components is chosen by the evidence lower bound of the validation rows, in which the prior
    is a term of its own; the gain of a row is clipped to the most it could lose, so that a few
    outliers decide nothing. The last component is a standard normal.

    `posterior` gives mean and log-variance of the codes of rows. Without `held_out` rows a
    tenth of the training rows validates; where these are `train` itself there are too few.
    """
    if held_out is None:
        train, held_out = split_rows(train, _VALIDATION_SHARE, rng, True)
    if held_out is train:
        return None

    def draw(mean, log_variance, *n_draws):
        return mean + np.exp(0.5 * log_variance) * rng.standard_normal((*n_draws, *mean.shape))

    # Training rows are drawn in proportion to their weights, and a code for each.
    n_draws = min(_DRAWS_PER_ROW * len(train), _MOST_DRAWS)
    if train.weight is None:
        rounds = [rng.permutation(len(train)) for _ in range(-(-n_draws // len(train)))]
        index = np.concatenate(rounds)[:n_draws]
    else:
        index = rng.choice(len(train), n_draws, p=train.weight / train.weight.sum())
    chosen, at = np.unique(index, return_inverse=True)
    codes = draw(*(moment[at] for moment in posterior(dense(train.inputs[chosen]))))
    validation = draw(*posterior(dense(held_out.inputs)), _VALIDATION_DRAWS)
    best, best_gain, most = None, np.zeros(len(held_out)), -np.log(_NORMAL_SHARE)
    for size in _SIZES:
        # No component has fewer rows than its covariance has columns.
        if size * (codes.shape[1] + 1) > len(train):
            break
        mixture = fit_mixture(codes, size, rng)
        gain = log_gain(mixture)(validation).mean(axis=0).clip(-most, most)
        if np.average(gain - best_gain, weights=held_out.weight) <= 0:
            break
        best, best_gain = mixture, gain
    mean = np.average(best_gain, weights=held_out.weight)
    variance = np.average(np.square(best_gain - mean), weights=held_out.weight)
    return best if mean > np.sqrt(variance / len(held_out)) else None


def fit_mixture(codes, size, rng):
    """A mixture of `size` components, fitted to codes (n_codes, n_components), and a normal."""
    unit = np.eye(codes.shape[1])
    with BLAS_LIMITS.single(), threadpool_limits(1, user_api="openmp"):
        centres = kmeans_plusplus(codes, size, random_state=rng)[0]
        for _ in range(_K_MEANS_STEPS):
            group = pairwise_distances_argmin(codes, centres)
            for i in np.unique(group):
                centres[i] = codes[group == i].mean(axis=0)
        share, before = np.eye(size)[pairwise_distances_argmin(codes, centres)], -np.inf
        for _ in range(_MOST_STEPS):
            # The likeliest components for their shares in each code, (n_codes, size).
            total = share.sum(axis=0) + np.finfo(float).eps
            weights, means = total / total.sum(), share.T @ codes / total[:, np.newaxis]
            covariances = np.empty((size, *unit.shape))
            for i in range(size):
                centred = codes - means[i]
                covariance = (share[:, i, np.newaxis] * centred).T @ centred / total[i]
                least = _LEAST_VARIANCE * max(1.0, np.diagonal(covariance).mean())
                covariances[i] = covariance + least * unit
            factors = np.linalg.inv(np.linalg.cholesky(covariances)).transpose(0, 2, 1)
            # And the shares for these components.
            log_joint = _log_joint(weights, means, factors)(codes)
            log_density = _log_sum(log_joint)
            if log_density.mean() - before < _PROGRESS:
                break
            before, share = log_density.mean(), np.exp(log_joint - log_density[:, np.newaxis])
    mixture = GaussianMixture(size + 1)
    mixture.weights_ = np.append((1 - _NORMAL_SHARE) * weights, _NORMAL_SHARE)
    mixture.means_ = np.vstack([means, np.zeros(len(unit))])
    mixture.covariances_ = np.concatenate([covariances, unit[np.newaxis]])
    mixture.precisions_cholesky_ = np.concatenate([factors, unit[np.newaxis]])
    mixture.precisions_ = np.concatenate([factors @ factors.transpose(0, 2, 1), [unit]])
    mixture.n_features_in_, mixture.converged_ = len(unit), True
    return mixture


def log_gain(mixture):
    """A function of codes (..., n_components): their log-density less the standard normal's."""
    log_joint = _log_joint(mixture.weights_, mixture.means_, mixture.precisions_cholesky_)

    def gain(codes):
        return 0.5 * np.einsum("ij,ij->i", codes, codes) + _log_sum(log_joint(codes))

    def of_codes(codes):
        flat = codes.reshape(-1, codes.shape[-1]).astype(np.float64, copy=False)
        gains = by_chunk(gain, _CHUNK, 0, flat)
        gains = gains.reshape(*codes.shape[:-2], -1)
        return gains.astype(codes.dtype, copy=False)

    return of_codes


def _log_joint(weights, means, factors):
    """A function of codes, (n_codes, n_components): log-densities, (n_codes, size), of parts.

    They are weighted, and less the constant of all normals; `factors` are Cholesky factors of
    the precisions, (size, n_components, n_components). A sum over the products of two columns
    of the code: one matrix product for all components.
    """
    size, precisions = means.shape[1], factors @ factors.transpose(0, 2, 1)
    linear = np.einsum("ijk,ik->ij", precisions, means)
    constant = np.log(weights) - 0.5 * np.einsum("ij,ij->i", linear, means)
    constant += np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    row, column = np.triu_indices(size)
    quadratic = np.where(row == column, -0.5, -1.0) * precisions[:, row, column]
    coefficients = np.hstack([quadratic, linear])

    def of_codes(codes):
        columns = codes.T.copy()
        products = [columns[i] * columns[i:] for i in range(size)]
        log_joint = coefficients @ np.concatenate([*products, columns])
        log_joint += constant[:, np.newaxis]
        return log_joint.T

    return of_codes


def _log_sum(log_joint):
    """Logarithm of the sum of exponentials of each row, (n_codes,); SciPy's takes longer."""
    most = log_joint.max(axis=1)
    below = log_joint - most[:, np.newaxis]
    return most + np.log(np.exp(below, out=below).sum(axis=1))
