"""Likelihoods, the divergence of codes, and the losses of tables, each column by its kind.

As the other losses, they are written against the functions that NumPy and `keras.ops` share. A
target of a table has two halves: the target of each column of the output, and its weight, zero
where the value is missing. The outputs for flags of categories are logits.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import log, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.losses._reconstruction import EntryLoss, Loss, binary_crossentropy

# Within these the exponential of a log-variance is a number in float32.
_LOG_VARIANCES = (-25.0, 10.0)

# Logits stay within this: their exponentials are numbers in float32.
_MOST_CERTAIN = 30.0


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


# Tables


@dataclass(frozen=True)
class Outputs:
    """The columns of the output.

    `widths` are those of each column of the table: 0 for a number, else the number of flags of
    its categories; 1 for the flag of the second of two categories.
    """

    widths: tuple[int, ...]

    n_outputs: int = field(init=False, repr=False, compare=False)
    # The outputs of each column of the table, and its width.
    parts: tuple[tuple[slice, int], ...] = field(init=False, repr=False, compare=False)
    # Mask of the outputs that are flags, (n_outputs,).
    is_flag: NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    # One where an output is a flag of a column, (n_outputs, n_categorical_columns).
    column_mask: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    # The first flag of each categorical column, as `column_mask`.
    first: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    # One where the first of two categories has no flag, for each categorical column.
    base: NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        widths = np.array(self.widths, dtype=int)
        sizes, categorical = np.maximum(widths, 1), np.flatnonzero(widths > 0)
        starts = np.cumsum([0, *sizes[:-1]])
        column = np.repeat(np.arange(len(widths)), sizes)
        column_mask = (column[:, np.newaxis] == categorical).astype(np.float32)
        first = np.zeros_like(column_mask)
        first[starts[categorical], np.arange(len(categorical))] = 1
        values = {
            "n_outputs": len(column),
            "parts": tuple(
                (slice(start, start + max(width, 1)), width)
                for start, width in zip(starts.tolist(), self.widths, strict=True)
            ),
            "is_flag": np.repeat(widths > 0, sizes),
            "column_mask": column_mask,
            "first": first,
            "base": (widths[categorical] == 1).astype(np.float32),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class MixedLoss(Loss):
    """A loss of numbers and the cross-entropy of categories, with the weights of columns.

    Categories have a softmax over the flags of a column, or the logistic function of a single
    flag.
    """

    outputs: Outputs
    entry: EntryLoss  # of numbers
    factor: float = 1.0  # of the loss of numbers

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Sum over the observed values, (n_samples,); see the module for the target."""
        outputs, n = self.outputs, self.outputs.n_outputs
        target, weight = target[:, :n], target[:, n:]
        constant = getattr(xp, "convert_to_tensor", np.asarray)
        arrays = (
            self.factor * ~outputs.is_flag,
            *(outputs.is_flag, outputs.column_mask, outputs.first, outputs.base),
        )
        numbers, flags, column_mask, first, base = (
            constant(array.astype(np.float32)) for array in arrays
        )
        error = xp.sum(numbers * weight * self.entry(xp, target, output), axis=1)
        if not outputs.is_flag.any():
            return error
        # Smooth, so that a large wrong logit still has a gradient.
        logits = _MOST_CERTAIN * xp.tanh(output / _MOST_CERTAIN) * flags
        total = xp.matmul(xp.exp(logits) * flags, column_mask) + base
        log_total = xp.sum(xp.log(total) * xp.matmul(weight, first), axis=1)
        return error + (log_total - xp.sum(weight * target * logits, axis=1))


@dataclass(frozen=True)
class MixedLikelihood(Likelihood):
    """Each column of numbers has its Gaussian noise, categories have probabilities."""

    outputs: Outputs

    noisy = True

    def per_sample(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Sum over the observed values, (n_samples,); see the module for the target."""

        def entry(xp: Any, target: Any, output: Any) -> Any:
            return xp.square(target - output) / variance + xp.log(variance) + log(2 * pi)

        return MixedLoss(self.outputs, entry, 0.5).per_sample(xp, target, output)


def probabilities(outputs: Outputs, output: NDArray[Any]) -> NDArray[Any]:
    """Logits of categories as probabilities; numbers unchanged, (n_samples, n_outputs)."""
    flags = outputs.is_flag
    odds = np.exp(_MOST_CERTAIN * np.tanh(output / _MOST_CERTAIN)) * flags
    total = odds @ outputs.column_mask + outputs.base
    return np.where(flags, odds / (total @ outputs.column_mask.T + ~flags), output)
