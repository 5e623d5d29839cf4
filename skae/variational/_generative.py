"""The generative model: a mixture as the prior of codes, samples of rows, log-likelihoods."""

from dataclasses import replace
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
from skae.utils._arrays import check_weight
from skae.utils._calls import generator
from skae.utils._lazy import dense
from skae.utils._process import BLAS_LIMITS
from skae.utils._rows import Rows
from skae.utils._sklearn import Interval, validate_parameter_constraints

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

# Training rows whose residuals are drawn, and numbers of these, at most (but a few hundred
# rows); and rows at random of which the one with the nearest code is drawn, chosen by
# `benchmarks/samples.py`.
_MOST_RESIDUALS, _MOST_NUMBERS, _FEWEST_RESIDUALS = 5_000, 2**21, 500
_CANDIDATES = 10

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
        self: Any, n_samples: int = 1, random_state: Any = None, *, noise: bool = True
    ) -> Any:
        """Draw rows from the model: codes from the prior, `prior_`, and rows from them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        random_state : int, RandomState instance or None, default=None
            Draws codes and noise.

        noise : bool, default=True
            Whether what `sampling` names is added to the decoder's output: residuals, or the
            noise of the likelihood (for a Bernoulli likelihood, zeros and ones are drawn).
            False: the means of rows given codes drawn from the prior.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, ...), or data frame
            Rows in the units of the data. Of a table, a data frame as X, without missing
            values: integers are whole, numbers in the range seen, categories are categories.
        """
        check_is_fitted(self)
        allowed = {"n_samples": [Interval(Integral, 1, None, closed="left")]}
        validate_parameter_constraints(allowed, {"n_samples": n_samples}, caller_name="sample")
        rng, model = generator(random_state), self._model
        codes = _draw_codes(self.prior_, n_samples, self.n_components_, rng)
        values = model.preprocessing.expected(model.decoder(codes))
        if noise and self._residuals is not None:
            values = self._residuals.draw(model, self.prior_, codes, values, rng)
        elif noise:
            parts = model.preprocessing.parts(model.noise)
            values = _draw(values, parts, model.noise, rng)
        return model.preprocessing.of_values(values)

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
        gain = None if self.prior_ is None else log_gain(self.prior_)
        return self._rows(X).apply(
            lambda rows: self._model.log_likelihood(rows, int(self.n_draws), gain)
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


class Residuals:
    """Training rows whose residuals are drawn with rows that are sampled.

    The noise of a likelihood is normal, and independent in each column; real rows deviate from
    what is decoded in several columns together, and their values have ties. So a row is the
    decoder's output for a code from the prior, and the residuals of a training row with a near
    code, the nearest of a few at random [1]_. Of categories the value of that row is drawn as
    often as its probabilities and those of the new code have it in common (the maximal
    coupling [2]_), in all columns by one uniform number. Then the numbers of a column are
    mapped by their ranks among such rows to the quantiles of the training rows, with linear
    interpolation between values that occur once: ties, whole numbers and bounds come back.

    References
    ----------
    .. [1] B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7,
       1979.

    .. [2] H. Thorisson, "Coupling, Stationarity, and Regeneration", Springer, 2000.
    """

    rows: Rows  # as the encoder accepts them, (n_reference, n_inputs)
    seed: int  # of what is drawn for these rows

    # Codes and outputs of the rows, and the quantiles, for one model: never saved.
    _reference = None

    def __init__(self, rows, rng):
        n_rows = max(min(_MOST_RESIDUALS, _MOST_NUMBERS // rows.inputs.shape[1]), 1)
        n_rows = min(max(n_rows, _FEWEST_RESIDUALS), len(rows))
        if rows.weight is None:
            index = rng.permutation(len(rows))[:n_rows]
        else:
            index = rng.choice(len(rows), n_rows, p=rows.weight / rows.weight.sum())
        self.rows = replace(rows.take(np.sort(index)), weight=None).dense()
        self.seed = int(rng.randint(2**31))

    def __getstate__(self):
        return {"rows": self.rows, "seed": self.seed}

    def draw(self, model, prior, codes, values, rng):
        """Rows around outputs, (n_samples, n_outputs), of codes, (n_samples, n_components)."""
        known = self._reference
        if known is None or known.model is not model or known.prior is not prior:
            known = self._reference = _Reference(model, prior, self.rows, self.seed)
        return known.draw(codes, values, rng)


class _Reference:
    """Codes, outputs, targets and quantiles of :class:`Residuals` for a model and a prior."""

    def __init__(self, model, prior, rows, seed):
        rng, preprocessing = np.random.RandomState(seed), model.preprocessing
        self.model, self.prior = model, prior
        mean, log_variance = model.posterior(rows.inputs)
        codes = mean + np.exp(0.5 * log_variance) * rng.standard_normal(mean.shape)
        self.codes = codes
        self.outputs = preprocessing.expected(model.decoder(codes))
        self.parts = preprocessing.parts(model.noise)
        self.targets, self.observed = preprocessing.targets(rows)
        n_draws, size = max(_MOST_NUMBERS // self.outputs.shape[1], len(codes)), codes.shape[1]
        n_draws = min(n_draws, _MOST_RESIDUALS)
        drawn = _draw_codes(prior, n_draws, size, rng)
        drawn = self._around(drawn, preprocessing.expected(model.decoder(drawn)), rng)
        self.quantiles = {
            j: (np.sort(drawn[:, j]), np.sort(self.targets[self.observed[:, j], j]))
            for part, width in self.parts
            for j in np.arange(drawn.shape[1])[part]
            if not width
        }

    def draw(self, codes, values, rng):
        """Rows around outputs, (n_samples, n_outputs), with the quantiles of training rows."""
        drawn = self._around(codes, values, rng)
        for j, (model_values, targets) in self.quantiles.items():
            rank = np.searchsorted(model_values, drawn[:, j]) + rng.uniform(size=len(drawn))
            drawn[:, j] = _quantile(targets, rank / (len(model_values) + 1))
        return drawn

    def _around(self, codes, values, rng):
        """Rows with the residuals of training rows, before their numbers are mapped."""
        row = rng.randint(len(self.codes), size=(len(codes), _CANDIDATES))
        distance = np.square(self.codes[row] - codes[:, np.newaxis]).sum(axis=2)
        row = row[np.arange(len(row)), distance.argmin(axis=1)]
        seen, target, output = (a[row] for a in (self.observed, self.targets, self.outputs))
        drawn = _draw(values, self.parts, self.model.noise, rng)
        shared = rng.uniform(size=(len(row), 1))
        for part, width in self.parts:
            observed, goal = seen[:, part], target[:, part]
            new, old = values[:, part], output[:, part]
            if not width:
                drawn[:, part] = np.where(observed, new + goal - old, drawn[:, part])
                continue
            flags = _coupled(goal, old, new, shared, rng, width == 1)
            drawn[:, part] = np.where(observed, flags, drawn[:, part])
        return drawn


def _draw(values, parts, noise, rng):
    """Rows around outputs, (n_samples, n_outputs), with the noise of the likelihood."""
    drawn = values.copy()
    for part, width in parts:
        share = values[:, part]
        if not width:
            drawn[:, part] += noise[part] * rng.standard_normal(share.shape)
        elif width == 1:
            drawn[:, part] = rng.uniform(size=share.shape) < share
        else:
            drawn[:, part] = _one_of(share, rng)
    return drawn


def _coupled(flags, before, after, shared, rng, binary):
    """Flags whose probabilities are `after`, as often as possible those given, of `before`.

    All of shape (n_samples, width), of one column of several categories, or `binary` ones.
    `shared` : (n_samples, 1), uniform numbers that decide which are the same.
    """
    if binary:
        old, new = (np.where(flags == 1, share, 1 - share) for share in (before, after))
        other = 1 - flags
    else:
        old, new = ((flags * p).sum(axis=1, keepdims=True) for p in (before, after))
        other = _one_of((after - before).clip(0), rng)
    return np.where(shared * old < new, flags, other)


def _one_of(weight, rng):
    """Flags of one column for each row, drawn in proportion to weights (n_samples, width)."""
    below = np.cumsum(weight, axis=1)
    index = (rng.uniform(size=(len(weight), 1)) * below[:, -1:] >= below).sum(axis=1)
    return index.clip(max=weight.shape[1] - 1)[:, np.newaxis] == np.arange(weight.shape[1])


def _quantile(values, share):
    """Quantiles of sorted values, (n_values,), for shares in [0, 1), (n_samples,)."""
    if not len(values):
        return np.full(len(share), np.nan)
    place = share * len(values)
    low = place.astype(int).clip(max=len(values) - 1)
    high = (low + 1).clip(max=len(values) - 1)
    repeated = np.r_[False, values[1:] == values[:-1]]
    repeated |= np.r_[repeated[1:], False]
    between = np.where(repeated[low] | repeated[high], 0.0, place - low)
    return values[low] + between * (values[high] - values[low])


def _draw_codes(prior, n_samples, n_components, rng):
    """Codes from the prior, (n_samples, n_components); None: the standard normal."""
    codes = rng.standard_normal((n_samples, n_components))
    if prior is not None:
        component = rng.choice(prior.n_components, n_samples, p=prior.weights_)
        for i in np.unique(component):
            factor, chosen = np.linalg.cholesky(prior.covariances_[i]), component == i
            codes[chosen] = prior.means_[i] + codes[chosen] @ factor.T
    return codes


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

    def of_codes(codes):
        flat = codes.reshape(-1, codes.shape[-1]).astype(np.float64, copy=False)
        gain = 0.5 * np.einsum("ij,ij->i", flat, flat)
        for start in range(0, len(flat), _CHUNK):
            some = slice(start, start + _CHUNK)
            gain[some] += _log_sum(log_joint(flat[some]))
        return gain.reshape(codes.shape[:-1]).astype(codes.dtype, copy=False)

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
        columns = np.ascontiguousarray(codes.T)
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
