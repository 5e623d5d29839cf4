"""The loss of a table: each column by its kind, over the observed values.

A target has two halves: the target of each column of the output, and its weight, zero where
the value is missing. The outputs for flags of categories are logits.
"""

from dataclasses import dataclass
from functools import cached_property
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

    def __len__(self) -> int:
        return sum(max(width, 1) for width in self.widths)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Position of the first output of each column of the table, (n_columns,)."""
        return np.cumsum([0, *(max(width, 1) for width in self.widths[:-1])])

    @cached_property
    def is_flag(self) -> NDArray[np.bool_]:
        """Mask of the outputs that are flags, (n_outputs,)."""
        return np.repeat(np.array(self.widths) > 0, np.maximum(self.widths, 1))

    @cached_property
    def column_mask(self) -> NDArray[np.float32]:
        """One where an output is a flag of a column, (n_outputs, n_categorical_columns)."""
        column = np.repeat(np.arange(len(self.widths)), np.maximum(self.widths, 1))
        categorical = np.flatnonzero(np.array(self.widths) > 0)
        return (column[:, np.newaxis] == categorical).astype(np.float32)

    @cached_property
    def first(self) -> NDArray[np.float32]:
        """The first flag of each categorical column, as `column_mask`."""
        first = np.zeros_like(self.column_mask)
        categorical = np.array(self.widths) > 0
        first[self.starts[categorical], np.arange(categorical.sum())] = 1
        return first

    @cached_property
    def base(self) -> NDArray[np.float32]:
        """One where the first of two categories has no flag, for each categorical column."""
        widths = np.array(self.widths)
        return (widths[widths > 0] == 1).astype(np.float32)


def cross_entropy(xp: Any, outputs: Outputs, target: Any, weight: Any, output: Any) -> Any:
    """Minus the log-probability of the categories of each row, weighted sums, (n_samples,).

    Softmax over the flags of a column, or the logistic function of a single one. `target`,
    `weight` and `output`, (n_samples, n_outputs), are flags, 0 or 1, their weights, and logits;
    columns of numbers are ignored.
    """
    flags, column_mask, first, base = (
        _constant(xp, array)
        for array in (outputs.is_flag, outputs.column_mask, outputs.first, outputs.base)
    )
    # Smooth, so that a large wrong logit still has a gradient.
    logits = _MOST_CERTAIN * xp.tanh(output / _MOST_CERTAIN) * flags
    total = xp.matmul(xp.exp(logits) * flags, column_mask) + base
    log_total = xp.sum(xp.log(total) * xp.matmul(weight, first), axis=1)
    return log_total - xp.sum(weight * target * logits, axis=1)


def _constant(xp: Any, array: NDArray[Any]) -> Any:
    """A constant array, of any shape, for the functions of `xp`."""
    array = array.astype(np.float32)
    return xp.convert_to_tensor(array) if hasattr(xp, "convert_to_tensor") else array


@dataclass(frozen=True)
class MixedLoss(Loss):
    """A loss of numbers and the cross-entropy of categories, with the weights of columns."""

    outputs: Outputs
    entry: EntryLoss  # of numbers

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Sum over the observed values, (n_samples,); see the module for the target."""
        return _per_sample(xp, self.outputs, self.entry, target, output)


@dataclass(frozen=True)
class MixedLikelihood(Likelihood):
    """Each column of numbers has its Gaussian noise, categories have probabilities."""

    outputs: Outputs

    noisy = True

    def per_sample(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Sum over the observed values, (n_samples,); see the module for the target."""

        def entry(xp: Any, target: Any, output: Any) -> Any:
            return xp.square(target - output) / variance + xp.log(variance) + log(2 * pi)

        return _per_sample(xp, self.outputs, entry, target, output, 0.5)


def _per_sample(
    xp: Any, outputs: Outputs, entry: EntryLoss, target: Any, output: Any, factor: float = 1.0
) -> Any:
    """Loss of numbers, by a factor, and cross-entropy of categories, (n_samples,)."""
    target, weight = target[:, : len(outputs)], target[:, len(outputs) :]
    numbers = _constant(xp, factor * ~outputs.is_flag)
    error = xp.sum(numbers * weight * entry(xp, target, output), axis=1)
    if not outputs.is_flag.any():
        return error
    return error + cross_entropy(xp, outputs, target, weight, output)


def probabilities(outputs: Outputs, output: NDArray[Any]) -> NDArray[Any]:
    """Logits of categories as probabilities; numbers unchanged, (n_samples, n_outputs)."""
    flags = outputs.is_flag
    odds = np.exp(_MOST_CERTAIN * np.tanh(output / _MOST_CERTAIN)) * flags
    total = odds @ outputs.column_mask + outputs.base
    return np.where(flags, odds / (total @ outputs.column_mask.T + ~flags), output)
