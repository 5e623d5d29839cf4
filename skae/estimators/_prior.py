"""Where codes come from: a standard normal distribution, or a mixture that fits them."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from skae.estimators._validation import split_rows
from skae.utils._random import offspring

# Numbers of components that are tried, until one is no better than the one before.
_SIZES = (2, 4, 8, 16, 32)

# Codes drawn to fit mixtures to: so many for a row, and so many in all.
_DRAWS_PER_ROW = 10
_MOST_DRAWS = 10_000

# Share of the rows that judge where none are held out, and codes drawn for each.
_JUDGING_SHARE = 0.1
_JUDGING_DRAWS = 16

# Share of the codes that come from the standard normal in any case: no row loses more than
# three nats by the mixture, wherever its code lies.
_NORMAL_SHARE = 0.05

# Added to the variances of the components, where codes have one of about 1.
_LEAST_VARIANCE = 1e-4


def fit_prior(posterior, train, held_out, rng):
    """Mixture of normal distributions that suits codes better than the standard normal.

    Its parameters come from codes drawn from the posteriors of the training rows, its size
    from the rows held out. What is compared is the evidence lower bound, in which the prior
    stands apart from the likelihood; the gain of one row counts for no more than the most it
    could lose, so that a few odd rows decide nothing.

    Parameters
    ----------
    posterior : callable
        Mean and log-variance of the code of each row.

    train, held_out : Rows
        Rows that were trained on, and rows to judge by. None: a tenth of the training rows
        judges. The same rows: there are too few.

    rng : RandomState
        Draws the codes and starts the mixtures.

    Returns
    -------
    GaussianMixture or None
        With a standard normal as its last component; None: rows held out do not confirm
        that any mixture is better.
    """
    if held_out is None:
        train, held_out = split_rows(train, _JUDGING_SHARE, rng, True)
    if held_out is train:
        return None
    codes = _drawn(posterior, train, rng)
    judging = _spread(*posterior(held_out.inputs), rng, (_JUDGING_DRAWS,))
    best, best_gain, seed = None, np.zeros(len(held_out)), offspring(rng)
    for size in _SIZES:
        # No component has fewer rows than its covariance has columns.
        if size * (codes.shape[1] + 1) > len(train):
            break
        mixture = _mixture(codes, size, seed)
        gain = _gain(mixture, judging)
        if np.average(gain - best_gain, weights=held_out.weight) <= 0:
            break
        best, best_gain = mixture, gain
    return best if _is_clear(best_gain, held_out.weight) else None


def log_gain(mixture, codes):
    """Logarithm of the density of codes over that of the standard normal.

    Parameters
    ----------
    mixture : GaussianMixture
        What codes come from.

    codes : ndarray of shape (..., n_components)
        Codes.

    Returns
    -------
    ndarray of shape (...)
    """
    flat = codes.reshape(-1, codes.shape[-1]).astype(np.float64, copy=False)
    normal = -0.5 * (np.square(flat) + np.log(2 * np.pi)).sum(axis=1)
    gain = mixture.score_samples(flat) - normal
    return gain.reshape(codes.shape[:-1]).astype(codes.dtype, copy=False)


def draw(mixture, n_samples, rng):
    """Codes of shape (n_samples, n_components) from the mixture."""
    codes = rng.standard_normal((n_samples, mixture.means_.shape[1]))
    of = rng.choice(mixture.n_components, n_samples, p=mixture.weights_)
    for i in np.unique(of):
        factor = np.linalg.cholesky(mixture.covariances_[i])
        codes[of == i] = mixture.means_[i] + codes[of == i] @ factor.T
    return codes


def _drawn(posterior, rows, rng):
    """Codes of rows, each row drawn as often as its weight says."""
    n_draws = min(_DRAWS_PER_ROW * len(rows), _MOST_DRAWS)
    if rows.weight is None:
        rounds = [rng.permutation(len(rows)) for _ in range(-(-n_draws // len(rows)))]
        drawn = np.concatenate(rounds)[:n_draws]
    else:
        drawn = rng.choice(len(rows), n_draws, p=rows.weight / rows.weight.sum())
    mean, log_variance = posterior(rows.inputs)
    return _spread(mean[drawn], log_variance[drawn], rng)


def _spread(mean, log_variance, rng, n_draws=()):
    """Codes drawn from the posteriors of rows."""
    return mean + np.exp(0.5 * log_variance) * rng.standard_normal((*n_draws, *mean.shape))


def _mixture(codes, size, seed):
    """A mixture fitted to codes, the standard normal added to it."""
    fitted = GaussianMixture(
        size, reg_covar=_LEAST_VARIANCE, tol=0.01, max_iter=20, random_state=seed
    )
    with warnings.catch_warnings(), threadpool_limits(1):
        # One that has not converged is judged like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(codes)
    unit = np.eye(codes.shape[1])[np.newaxis]
    fitted.n_components = size + 1
    fitted.weights_ = np.append((1 - _NORMAL_SHARE) * fitted.weights_, _NORMAL_SHARE)
    fitted.means_ = np.append(fitted.means_, np.zeros_like(unit[:, 0]), axis=0)
    for name in ("covariances_", "precisions_", "precisions_cholesky_"):
        setattr(fitted, name, np.append(getattr(fitted, name), unit, axis=0))
    return fitted


def _gain(mixture, codes):
    """What the bound of each row gains by the mixture, at most what it could lose."""
    most = -np.log(_NORMAL_SHARE)
    return np.clip(log_gain(mixture, codes).mean(axis=0), -most, most)


def _is_clear(gain, weight):
    """Whether the mean gain is above its standard error."""
    mean = np.average(gain, weights=weight)
    variance = np.average(np.square(gain - mean), weights=weight)
    return mean > np.sqrt(variance / len(gain))
