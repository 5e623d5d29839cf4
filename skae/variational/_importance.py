"""Log-likelihood of rows by adaptive importance sampling of their codes.

Written, as the losses are, against functions of `xp`: NumPy's, or those of an ONNX graph.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Draws come in so many rounds, unless there are fewer than this in a round.
_ROUNDS = 3
_FEWEST = 4

# Draws that the variance of the posterior counts as where it is estimated by draws, and the
# factor of such an estimate: few draws miss the tails.
_PRIOR_DRAWS = 2.0
_WIDENING = 1.3


def log_likelihood(
    xp: Any, mean: Any, std: Any, log_joint: Callable[[Any], Any], points: NDArray[Any]
) -> Any:
    """Logarithm of the mean weight of codes, by adaptive multiple importance sampling [1]_.

    Codes of the first round are drawn from the posterior of the encoder. Where their weights
    are uneven it is not exact, and the next round is drawn around the weighted mean of the
    draws so far. Each draw is weighted by its density under all rounds together. Where the
    posterior is exact all weights are the same, and so are all rounds.

    `xp` is `numpy`, or the functions of a graph; mean, std : (n_samples, n_components), of the
    posteriors; `log_joint` gives the log-density of rows and codes together, (n_draws,
    n_samples) and float64, for codes (n_draws, n_samples, n_components); points : (n_draws,
    n_components), standard normal, of the dtype of `mean`; result : (n_samples,), float64.

    References
    ----------
    .. [1] J.-M. Cornuet, J.-M. Marin, A. Mira and C. P. Robert, "Adaptive Multiple Importance
       Sampling", Scandinavian Journal of Statistics 39, 2012.
    """
    n_draws = len(points)
    n_rounds = _ROUNDS if n_draws >= _FEWEST * _ROUNDS else 1
    # Of each round so far: its normal distribution, its codes, and their log-densities with
    # the rows and under all rounds.
    proposals: list[tuple[Any, Any, Any]] = []
    codes: list[Any] = []
    joint: list[Any] = []
    mixture: list[Any] = []
    centre, spread = mean, std
    for part in np.array_split(points, n_rounds):
        new = centre + spread * part[:, np.newaxis]
        # Less the constant of every normal density.
        peak = float(np.log(len(part) / n_draws)) - _log_volume(xp, spread)
        density = peak - 0.5 * np.square(part).sum(axis=1, keepdims=True, dtype=np.float64)
        others = [_log_density(xp, new, *each) for each in proposals]
        proposals.append((centre, 1 / spread, peak))
        mixture = [
            xp.logaddexp(so_far, _log_density(xp, those, *proposals[-1]))
            for so_far, those in zip(mixture, codes, strict=True)
        ]
        mixture.append(reduce(xp.logaddexp, others, density))
        codes.append(new)
        joint.append(log_joint(new))
        log_weight = [one - other for one, other in zip(joint, mixture, strict=True)]
        most = reduce(xp.maximum, [xp.max(each, axis=0) for each in log_weight])
        weight = [xp.exp(each - most) for each in log_weight]
        total = reduce(add, [xp.sum(each, axis=0) for each in weight])
        if len(codes) < n_rounds:
            centre, spread = _next_proposal(xp, centre, spread, std, codes, weight, total)
    return most + xp.log(total) - float(np.log(n_draws))


def _log_volume(xp: Any, spread: Any) -> Any:
    """Logarithm of the product of the deviations of each row."""
    return xp.sum(xp.log(spread).astype(np.float64), axis=1)


def _log_density(xp: Any, codes: Any, centre: Any, precision: Any, peak: Any) -> Any:
    """Log-density, (n_draws, n_samples), under a normal distribution, `peak` at its centre."""
    square = xp.square((codes - centre) * precision)
    ones = np.ones(square.shape[-1], square.dtype)
    return peak - 0.5 * xp.matmul(square, ones).astype(np.float64)


def _next_proposal(
    xp: Any,
    centre: Any,
    spread: Any,
    std: Any,
    codes: Sequence[Any],
    weight: Sequence[Any],
    total: Any,
) -> tuple[Any, Any]:
    """Mean and standard deviation of the next round, (n_samples, n_components).

    The more uneven the weights, (n_draws, n_samples) of each round, the nearer it is to the
    weighted moments of the codes, (n_draws, n_samples, n_components) of each round.
    """
    dtype = codes[0].dtype
    squares = reduce(add, [xp.sum(xp.square(each), axis=0) for each in weight])
    even = xp.reshape(xp.square(total) / squares, (-1, 1)).astype(dtype)
    share = [(each / total).astype(dtype) for each in weight]
    mean = _weighted(xp, share, codes)
    variance = _weighted(xp, share, [xp.square(each - mean) for each in codes])
    variance = (even * variance + _PRIOR_DRAWS * xp.square(std)) / (even + _PRIOR_DRAWS)
    uneven = 1 - even / sum(each.shape[0] for each in codes)
    spread = xp.sqrt((1 - uneven) * xp.square(spread) + uneven * _WIDENING * variance)
    return centre + uneven * (mean - centre), spread


def _weighted(xp: Any, share: Sequence[Any], values: Sequence[Any]) -> Any:
    """Sum over the draws of all rounds, of shape (n_samples, n_components)."""
    pairs = zip(share, values, strict=True)
    return reduce(add, [xp.einsum("dn,dnk->nk", *pair) for pair in pairs])
