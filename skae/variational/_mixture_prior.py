"""Prior of codes: a mixture of normal distributions in place of the standard normal."""

import numpy as np
from sklearn.cluster import kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from skae.estimators._validation import split_rows
from skae.utils._lazy import dense
from skae.utils._process import BLAS_LIMITS

# Numbers of components that are tried, until one is no better than the one before.
_SIZES = (2, 4, 8, 16, 32)

# Codes drawn to fit mixtures to: so many for a row, and so many in all.
_DRAWS_PER_ROW = 10
_MOST_DRAWS = 10_000

# Share of the rows for validation where none are held out, and codes drawn for each.
_VALIDATION_SHARE = 0.1
_VALIDATION_DRAWS = 16

# Weight of the standard normal: no row loses more than three nats by the mixture, wherever
# its code lies.
_NORMAL_SHARE = 0.05

# Steps of expectation maximisation at most, nats per code below which it stops, and steps of
# k-means before. `GaussianMixture.fit` takes twice the time for 0.03 nats less on the codes of
# four of the tables of `benchmarks/samples.py`.
_MOST_STEPS = 20
_PROGRESS = 0.01
_K_MEANS_STEPS = 10

# Codes whose density is computed at a time.
_CHUNK = 2048

# Added to the variances of a component, in units of their mean where that is above 1.
_LEAST_VARIANCE = 1e-4


def fit_prior(posterior, train, held_out, rng):
    """Fit a mixture of normal distributions to codes, if it is better than the standard normal.

    It is fitted to codes drawn from the posteriors of the training rows; the number of its
    components is chosen by the evidence lower bound of the validation rows, in which the prior
    is a term of its own. The gain of one row is clipped to the most it could lose, so that a
    few outliers decide nothing.

    `posterior` gives mean and log-variance of the codes of rows. Without `held_out` rows a
    tenth of the training rows validates; the same rows as `train`: there are too few. The last
    component of the result is a standard normal. None: no mixture is significantly better.
    """
    if held_out is None:
        train, held_out = split_rows(train, _VALIDATION_SHARE, rng, True)
    if held_out is train:
        return None
    codes = _training_codes(posterior, train, rng)
    validation = _draw_codes(*posterior(dense(held_out.inputs)), rng, (_VALIDATION_DRAWS,))
    best, best_gain = None, np.zeros(len(held_out))
    for size in _SIZES:
        # No component has fewer rows than its covariance has columns.
        if size * (codes.shape[1] + 1) > len(train):
            break
        mixture = _mixture(codes, size, rng)
        gain = _gain(mixture, validation)
        if np.average(gain - best_gain, weights=held_out.weight) <= 0:
            break
        best, best_gain = mixture, gain
    return best if _is_significant(best_gain, held_out.weight) else None


def log_gain(mixture):
    """A function of codes (..., n_components): their log-density less the standard normal's."""
    log_joint = _Joint(mixture)

    def of_codes(codes):
        flat = codes.reshape(-1, codes.shape[-1]).astype(np.float64, copy=False)
        gain = 0.5 * (np.einsum("ij,ij->i", flat, flat) + flat.shape[1] * np.log(2 * np.pi))
        for start in range(0, len(flat), _CHUNK):
            some = slice(start, start + _CHUNK)
            gain[some] += _log_sum(log_joint(flat[some]))
        return gain.reshape(codes.shape[:-1]).astype(codes.dtype, copy=False)

    return of_codes


def draw(mixture, n_samples, rng):
    """Codes of shape (n_samples, n_components) from the mixture."""
    codes = rng.standard_normal((n_samples, mixture.means_.shape[1]))
    of = rng.choice(mixture.n_components, n_samples, p=mixture.weights_)
    for i in np.unique(of):
        factor = np.linalg.cholesky(mixture.covariances_[i])
        codes[of == i] = mixture.means_[i] + codes[of == i] @ factor.T
    return codes


def _training_codes(posterior, rows, rng):
    """Codes (n_draws, n_components) of rows that are drawn in proportion to their weights."""
    n_draws = min(_DRAWS_PER_ROW * len(rows), _MOST_DRAWS)
    if rows.weight is None:
        rounds = [rng.permutation(len(rows)) for _ in range(-(-n_draws // len(rows)))]
        index = np.concatenate(rounds)[:n_draws]
    else:
        index = rng.choice(len(rows), n_draws, p=rows.weight / rows.weight.sum())
    chosen, at = np.unique(index, return_inverse=True)
    mean, log_variance = posterior(dense(rows.inputs[chosen]))
    return _draw_codes(mean[at], log_variance[at], rng)


def _draw_codes(mean, log_variance, rng, n_draws=()):
    """Codes (*n_draws, n_samples, n_components) from posteriors (n_samples, n_components)."""
    return mean + np.exp(0.5 * log_variance) * rng.standard_normal((*n_draws, *mean.shape))


def _mixture(codes, size, rng):
    """A mixture of `size` components fitted to codes (n_codes, n_components).

    By expectation maximisation; a standard normal is added as its last component.
    """
    with BLAS_LIMITS.single(), threadpool_limits(1, user_api="openmp"):
        share, before = np.eye(size)[_groups(codes, size, rng)], -np.inf
        for _ in range(_MOST_STEPS):
            mixture = _of_components(*_maximised(codes, share))
            log_joint = _Joint(mixture)(codes)
            log_density = _log_sum(log_joint)
            if log_density.mean() - before < _PROGRESS:
                break
            before, share = log_density.mean(), np.exp(log_joint - log_density[:, np.newaxis])
    unit = np.eye(codes.shape[1])[np.newaxis]
    return _of_components(
        np.append((1 - _NORMAL_SHARE) * mixture.weights_, _NORMAL_SHARE),
        np.append(mixture.means_, np.zeros_like(unit[0, :1]), axis=0),
        np.append(mixture.covariances_, unit, axis=0),
    )


def _groups(codes, size, rng):
    """Labels (n_codes,) of codes (n_codes, n_components) by some steps of k-means."""
    centres = kmeans_plusplus(codes, size, random_state=rng)[0]
    for _ in range(_K_MEANS_STEPS):
        group = pairwise_distances_argmin(codes, centres)
        for i in np.unique(group):
            centres[i] = codes[group == i].mean(axis=0)
    return pairwise_distances_argmin(codes, centres)


def _maximised(codes, share):
    """Weights, means and covariances of components by their shares, (n_codes, size)."""
    total = share.sum(axis=0) + np.finfo(float).eps
    means = share.T @ codes / total[:, np.newaxis]
    covariances = np.empty((len(total), codes.shape[1], codes.shape[1]))
    for i, mean in enumerate(means):
        centred = codes - mean
        covariance = (share[:, i, np.newaxis] * centred).T @ centred / total[i]
        least = _LEAST_VARIANCE * max(1.0, np.diagonal(covariance).mean())
        covariances[i] = covariance + least * np.eye(len(mean))
    return total / total.sum(), means, covariances


def _of_components(weights, means, covariances):
    """A fitted GaussianMixture of `size` weights, means and covariances."""
    mixture = GaussianMixture(len(weights))
    mixture.weights_, mixture.means_, mixture.covariances_ = weights, means, covariances
    factors = np.linalg.inv(np.linalg.cholesky(covariances))
    mixture.precisions_cholesky_ = np.ascontiguousarray(factors.transpose(0, 2, 1))
    mixture.precisions_ = mixture.precisions_cholesky_ @ factors
    mixture.n_features_in_, mixture.converged_ = means.shape[1], True
    return mixture


class _Joint:
    """Logarithm of the weighted density of each component, shape (n_codes, n_components).

    A sum over the products of two columns of the code: one matrix product for all components.
    """

    def __init__(self, mixture):
        precisions, size = mixture.precisions_, mixture.means_.shape[1]
        factors = mixture.precisions_cholesky_
        volume = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        linear = np.einsum("ijk,ik->ij", precisions, mixture.means_)
        square = np.einsum("ij,ij->i", linear, mixture.means_)
        self.constant = (
            np.log(mixture.weights_) + volume - 0.5 * (size * np.log(2 * np.pi) + square)
        )
        row, column = np.triu_indices(size)
        quadratic = np.where(row == column, -0.5, -1.0) * precisions[:, row, column]
        self.weights = np.hstack([quadratic, linear])

    def __call__(self, codes):
        columns = np.ascontiguousarray(codes.T)
        products = [columns[i] * columns[i:] for i in range(len(columns))]
        log_joint = self.weights @ np.concatenate([*products, columns])
        log_joint += self.constant[:, np.newaxis]
        return log_joint.T


def _log_sum(logarithms):
    """Logarithm of the sum of exponentials of each row, (n_codes,)."""
    most = logarithms.max(axis=1)
    below = logarithms - most[:, np.newaxis]
    return most + np.log(np.exp(below, out=below).sum(axis=1))


def _gain(mixture, codes):
    """Gain of the bound of each row, of codes (n_draws, n_samples, n_components)."""
    most = -np.log(_NORMAL_SHARE)
    return np.clip(log_gain(mixture)(codes).mean(axis=0), -most, most)


def _is_significant(gain, weight):
    """Return True if the mean of gains (n_samples,) is above its standard error."""
    mean = np.average(gain, weights=weight)
    variance = np.average(np.square(gain - mean), weights=weight)
    return mean > np.sqrt(variance / len(gain))
