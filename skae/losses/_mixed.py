"""The loss of a table: each column by its kind, over the observed values.

A target has two halves: the target of each column of the output, and its weight, zero where
the value is missing. The outputs for flags of categories are logits.
"""

from dataclasses import dataclass, field
from math import log, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.losses._likelihood import Likelihood
from skae.losses._reconstruction import EntryLoss, Loss

# Logits stay within this: their exponentials are numbers in float32.
_MOST_CERTAIN = 30.0


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
