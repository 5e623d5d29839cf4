"""Likelihoods and the divergence of codes, the parts of the evidence lower bound.

As the other losses, they are written against the functions that NumPy and `keras.ops` share.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log, pi
from typing import Any

from skae.losses._reconstruction import binary_crossentropy

# Within these the exponential of a log-variance is a number in float32.
_LOG_VARIANCES = (-25.0, 10.0)


class Likelihood(ABC):
    """Distribution of a row around the decoder's output for its code."""

    # Whether rows and outputs must lie in [0, 1].
    bounded: bool = False
    # Whether there is a noise to learn, one number for each column.
    noisy: bool = False

    @abstractmethod
    def per_sample(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Minus the log-likelihood of each row, (n_samples,), in nats.

        `target` and `output` are of shape (n_samples, n_outputs), `variance`, that of the
        noise if there is one, of shape (n_outputs,); `xp` is `numpy` or `keras.ops`.
        """


@dataclass(frozen=True)
class GaussianLikelihood(Likelihood):
    """The output is a mean; each column has its noise."""

    noisy = True

    def per_sample(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Half the squared distance in units of the noise, and the volume of the noise."""
        distance = xp.sum(xp.square(target - output) / variance, axis=1)
        return 0.5 * (distance + xp.sum(xp.log(variance)) + target.shape[1] * log(2 * pi))

    def per_entry(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Minus the log-likelihood of each entry, (n_samples, n_outputs)."""
        distance = xp.square(target - output) / variance
        return 0.5 * (distance + xp.log(variance) + log(2 * pi))


@dataclass(frozen=True)
class BernoulliLikelihood(Likelihood):
    """The output is the probability of a one."""

    bounded = True

    def per_sample(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Binary cross-entropy, summed over the columns."""
        return xp.sum(self.per_entry(xp, target, output, variance), axis=1)

    def per_entry(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Minus the log-likelihood of each entry, (n_samples, n_outputs)."""
        return binary_crossentropy(xp, target, output)


@dataclass(frozen=True)
class ObservedLikelihood(Likelihood):
    """The likelihood of the observed values of a row: a target that is NaN does not count."""

    likelihood: GaussianLikelihood | BernoulliLikelihood

    @property
    def noisy(self) -> bool:  # type: ignore[override]
        """That of the likelihood of all entries."""
        return self.likelihood.noisy

    def per_sample(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Sum over the observed entries."""
        missing = xp.isnan(target)
        target = xp.where(missing, output, target)
        entries = self.likelihood.per_entry(xp, target, output, variance)
        return xp.sum(xp.where(missing, xp.zeros_like(entries), entries), axis=1)


LIKELIHOODS: dict[str, Likelihood] = {
    "gaussian": GaussianLikelihood(),
    "bernoulli": BernoulliLikelihood(),
}


def noise_variance(xp: Any, noise: Any, floor: Any) -> Any:
    """Variance from the learned logarithm, above a floor; shape (n_outputs,)."""
    return xp.exp(noise) + floor * floor


def posterior(xp: Any, moments: Any) -> tuple[Any, Any]:
    """Mean and log-variance of codes, (n_samples, n_components), from the encoder's output.

    `moments`, (n_samples, 2 * n_components), are those of the first column of the code, of the
    second, and so on.
    """
    return moments[:, ::2], xp.clip(moments[:, 1::2], *_LOG_VARIANCES)


def divergence(xp: Any, mean: Any, log_variance: Any) -> Any:
    """Kullback-Leibler divergence of codes from a standard normal, (n_samples, n_components).

    In nats; `mean` and `log_variance`, of the same shape, are those of the posterior.
    """
    return 0.5 * (xp.square(mean) + xp.exp(log_variance) - 1 - log_variance)
