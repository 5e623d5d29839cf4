"""The likelihood of rows by codes that are drawn in rounds and weighted."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Draws come in so many rounds, unless there are fewer than this in a round.
_ROUNDS = 3
_FEWEST = 4

# Draws that the spread of the posterior counts as where draws tell the spread, and by how
# much a spread that they tell is widened: few draws miss the tails.
_PRIOR_DRAWS = 2.0
_WIDENING = 1.3


def log_likelihood(
    mean: Array, std: Array, log_joint: Callable[[Array], Array], points: Array
) -> Array:
    """Logarithm of the mean weight of codes, by adaptive multiple importance sampling [1]_.

    Codes of the first round are drawn from the posterior that the encoder says. Where their
    weights are uneven it is off, and the next round is drawn around the weighted mean of the
    draws so far. Each draw is weighted by its density under all rounds together. Where the
    posterior is exact all weights are the same, and nothing is moved.

    Parameters
    ----------
    mean, std : ndarray of shape (n_samples, n_components)
        Of the posterior of each row.

    log_joint : callable
        Log-density of rows and codes together, of shape (n_draws, n_samples), for codes of
        shape (n_draws, n_samples, n_components).

    points : ndarray of shape (n_draws, n_components)
        Standard normal numbers.

    Returns
    -------
    ndarray of shape (n_samples,)

    References
    ----------
    .. [1] J.-M. Cornuet, J.-M. Marin, A. Mira and C. P. Robert, "Adaptive Multiple Importance
       Sampling", Scandinavian Journal of Statistics 39, 2012.
    """
    n_draws = len(points)
    n_rounds = _ROUNDS if n_draws >= _FEWEST * _ROUNDS else 1
    proposals: list[tuple[Array, Array, float]] = []
    codes = np.empty((0, *mean.shape), points.dtype)
    joint = mixture = np.empty((0, len(mean)))
    centre, spread = mean, std
    for part in np.array_split(points, n_rounds):
        drawn = centre + spread * part[:, np.newaxis]
        proposals.append((centre, spread, np.log(len(part) / n_draws)))
        mixture = np.concatenate(
            [
                np.logaddexp(mixture, _log_density(codes, *proposals[-1])),
                np.logaddexp.reduce([_log_density(drawn, *each) for each in proposals]),
            ]
        )
        codes = np.concatenate([codes, drawn])
        joint = np.concatenate([joint, log_joint(drawn)])
        log_weight = joint - mixture
        most = log_weight.max(axis=0)
        weight = np.exp(log_weight - most)
        if len(codes) < n_draws:
            centre, spread = _moved(centre, spread, std, codes, weight)
    return np.asarray(most + np.log(weight.sum(axis=0)) - np.log(n_draws))


def _log_density(codes: Array, centre: Array, spread: Array, log_share: float) -> Array:
    """Of codes under a share of a normal distribution, less the constant of every one."""
    square = np.square((codes - centre) / spread)
    volume = np.log(spread).sum(axis=1, dtype=np.float64)
    ones = np.ones(square.shape[-1], square.dtype)
    return log_share - volume - 0.5 * (square @ ones).astype(np.float64)


def _moved(
    centre: Array, spread: Array, std: Array, codes: Array, weight: Array
) -> tuple[Array, Array]:
    """Where to draw next: as far from where one has drawn as the weights are uneven."""
    total = weight.sum(axis=0)
    even = (np.square(total) / np.square(weight).sum(axis=0))[:, np.newaxis]
    share = (weight / total).astype(codes.dtype)
    mean = np.einsum("dn,dnk->nk", share, codes)
    variance = np.einsum("dn,dnk->nk", share, np.square(codes - mean))
    variance = (even * variance + _PRIOR_DRAWS * np.square(std)) / (even + _PRIOR_DRAWS)
    uneven = 1 - even / len(codes)
    spread = np.sqrt((1 - uneven) * np.square(spread) + uneven * _WIDENING * variance)
    moved = centre + uneven * (mean - centre)
    return moved.astype(codes.dtype), spread.astype(codes.dtype)
