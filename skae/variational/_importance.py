"""Log-likelihoods by importance sampling: codes drawn in rounds, in NumPy and in ONNX."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Draws come in so many rounds, unless there are fewer than this in a round.
_ROUNDS, _FEWEST = 3, 4

# Draws that the variance of the posterior counts as where it is estimated by draws, and the
# factor of such an estimate: few draws miss the tails.
_PRIOR_DRAWS, _WIDENING = 2.0, 1.3


def normal_points(n_draws: int, n_components: int) -> NDArray[np.float64]:
    """Points that fill the standard normal evenly, of shape (n_draws, n_components).

    Shared by all rows, independent draws would be off in the same direction for each.
    """
    from scipy.stats import norm, qmc

    sequence = qmc.Sobol(n_components, seed=0)
    points = sequence.random_base2((n_draws - 1).bit_length())[:n_draws]
    return np.asarray(norm.ppf(points))


def log_likelihood(
    mean: Any, std: Any, log_joint: Callable[[Any], Any], points: NDArray[Any]
) -> Any:
    """Logarithm of the mean weight of codes, by adaptive multiple importance sampling.

    By Cornuet et al. (2012), see :class:`VAETransformer`. Codes of the first round are drawn
    from the posterior of the encoder. Where their weights are uneven it is not exact, and the
    next round is drawn around the weighted mean of the draws so far. Each draw is weighted by
    its density under all rounds together.

    Of arrays, or of tensors of an ONNX graph. mean, std : (n_samples, n_components), of the
    posteriors; `log_joint` gives the log-density of rows and codes, (n_draws, n_samples)
    and float64, for codes (n_draws, n_samples, n_components), less the constant of a normal
    density; points : (n_draws, n_components), standard normal, of the dtype of `mean`;
    result : (n_samples,), float64.
    """
    n_draws, dtype = len(points), points.dtype
    n_rounds = _ROUNDS if n_draws >= _FEWEST * _ROUNDS else 1
    densities: list[Callable[[Any], Any]] = []
    centre, spread = mean, std
    for part in np.array_split(points, n_rounds):
        drawn = centre + spread * part[:, np.newaxis]
        density = _normal(centre, spread, len(part) / n_draws)
        densities.append(density)
        # The density of all draws so far under all rounds so far.
        under = reduce(np.logaddexp, [each(drawn) for each in densities])
        if len(densities) == 1:
            codes, joint, under_all = drawn, log_joint(drawn), under
        else:
            under_all = np.concatenate([np.logaddexp(under_all, density(codes)), under])
            joint = np.concatenate([joint, log_joint(drawn)])
            codes = np.concatenate([codes, drawn])
        log_weight = joint - under_all
        most = np.max(log_weight, axis=0)
        weight = np.exp(log_weight - most)
        total = np.sum(weight, axis=0)
        if len(densities) == n_rounds:
            break
        # The more uneven the weights, the nearer is the next round to the weighted moments.
        n_even = np.square(total) / np.sum(np.square(weight), axis=0)
        n_even = np.reshape(n_even, (-1, 1)).astype(dtype)
        uneven = 1 - n_even / codes.shape[0]
        share = (weight / total).astype(dtype)
        found = np.einsum("dn,dnk->nk", share, codes)
        variance = np.einsum("dn,dnk->nk", share, np.square(codes - found))
        variance = n_even * variance + _PRIOR_DRAWS * np.square(std)
        variance = _WIDENING * variance / (n_even + _PRIOR_DRAWS)
        centre = centre + uneven * (found - centre)
        spread = np.sqrt((1 - uneven) * np.square(spread) + uneven * variance)
    return most + np.log(total) - float(np.log(n_draws))


def _normal(centre: Any, spread: Any, share: float) -> Callable[[Any], Any]:
    """Log-density, (n_draws, n_samples), of codes under a share of a normal distribution.

    Less the constant of normal densities; centre and spread : (n_samples, n_components).
    """
    precision = 1 / spread
    peak = float(np.log(share)) - np.sum(np.log(spread).astype(np.float64), axis=1)

    def log_density(codes: Any) -> Any:
        squares = np.square((codes - centre) * precision)
        ones = np.ones(squares.shape[-1], squares.dtype)
        return peak - 0.5 * np.matmul(squares, ones).astype(np.float64)

    return log_density
