"""The loss of a table: each column by its kind, over the cells that are there.

A target has two halves: what should be said in each column of the output, and how much it
counts, nothing where the cell is missing. Flags of levels are said as logits.
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
    """What stands in each column of the output.

    Parameters
    ----------
    widths : tuple of int
        Of each column of the table: 0 for a number, else how many flags say its level; 1
        for the flag of the second of two levels.
    """

    widths: tuple[int, ...]

    def __len__(self) -> int:
        return sum(max(width, 1) for width in self.widths)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Where each column of the table begins."""
        return np.cumsum([0, *(max(width, 1) for width in self.widths[:-1])])

    @cached_property
    def is_flag(self) -> NDArray[np.bool_]:
        """Which outputs are flags."""
        return np.repeat(np.array(self.widths) > 0, np.maximum(self.widths, 1))

    @cached_property
    def member(self) -> NDArray[np.float32]:
        """Which outputs are flags of which column of levels, (n_outputs, n_level_columns)."""
        column = np.repeat(np.arange(len(self.widths)), np.maximum(self.widths, 1))
        of_levels = np.flatnonzero(np.array(self.widths) > 0)
        return (column[:, np.newaxis] == of_levels).astype(np.float32)

    @cached_property
    def first(self) -> NDArray[np.float32]:
        """The first flag of each column of levels, as `member`."""
        first = np.zeros_like(self.member)
        of_levels = np.array(self.widths) > 0
        first[self.starts[of_levels], np.arange(of_levels.sum())] = 1
        return first

    @cached_property
    def base(self) -> NDArray[np.float32]:
        """One where the first of two levels has no flag, for each column of levels."""
        widths = np.array(self.widths)
        return (widths[widths > 0] == 1).astype(np.float32)


def cross_entropy(xp: Any, outputs: Outputs, target: Any, weight: Any, output: Any) -> Any:
    """Minus the log-probability of the levels of each row, weighted and summed.

    Softmax over the flags of a column, or the logistic function where there is one.

    Parameters
    ----------
    xp : module
        `numpy` or `keras.ops`.

    outputs : Outputs
        Which outputs are flags of what.

    target, weight, output : array of shape (n_samples, n_outputs)
        Flags, 0 or 1; what they count; and logits. Columns that are numbers are ignored.
    """
    flags, member, first, base = (
        _constant(xp, array)
        for array in (outputs.is_flag, outputs.member, outputs.first, outputs.base)
    )
    # Smooth, so that a logit that is far off still has a gradient.
    logits = _MOST_CERTAIN * xp.tanh(output / _MOST_CERTAIN) * flags
    total = xp.matmul(xp.exp(logits) * flags, member) + base
    log_total = xp.sum(xp.log(total) * xp.matmul(weight, first), axis=1)
    return log_total - xp.sum(weight * target * logits, axis=1)


def _constant(xp: Any, array: NDArray[Any]) -> Any:
    """A fixed array as what the functions of `xp` take."""
    array = array.astype(np.float32)
    return xp.convert_to_tensor(array) if hasattr(xp, "convert_to_tensor") else array


@dataclass(frozen=True)
class MixedLoss(Loss):
    """A loss of numbers and the cross-entropy of levels, by what each column counts.

    Parameters
    ----------
    outputs : Outputs
        Which outputs are flags of what.

    entry : callable
        Loss of numbers: ``entry(xp, target, output)`` gives one value per entry.
    """

    outputs: Outputs
    entry: EntryLoss

    def per_sample(self, xp: Any, target: Any, output: Any) -> Any:
        """Sum over the cells that are there; see the module for the target."""
        n_outputs = len(self.outputs)
        target, weight = target[:, :n_outputs], target[:, n_outputs:]
        numbers = _constant(xp, ~self.outputs.is_flag)
        missed = xp.sum(numbers * weight * self.entry(xp, target, output), axis=1)
        if not self.outputs.is_flag.any():
            return missed
        return missed + cross_entropy(xp, self.outputs, target, weight, output)


@dataclass(frozen=True)
class MixedLikelihood(Likelihood):
    """Numbers have a Gaussian noise of their own, levels a probability.

    Parameters
    ----------
    outputs : Outputs
        Which outputs are flags of what.
    """

    outputs: Outputs

    noisy = True

    def per_sample(self, xp: Any, target: Any, output: Any, variance: Any) -> Any:
        """Sum over the cells that are there; see the module for the target."""
        n_outputs = len(self.outputs)
        target, weight = target[:, :n_outputs], target[:, n_outputs:]
        numbers = _constant(xp, ~self.outputs.is_flag)
        distance = xp.square(target - output) / variance + xp.log(variance) + log(2 * pi)
        missed = 0.5 * xp.sum(numbers * weight * distance, axis=1)
        if not self.outputs.is_flag.any():
            return missed
        return missed + cross_entropy(xp, self.outputs, target, weight, output)


def probabilities(outputs: Outputs, output: NDArray[Any]) -> NDArray[Any]:
    """Logits of levels as probabilities; numbers as they are.

    Parameters
    ----------
    outputs : Outputs
        Which outputs are flags of what.

    output : ndarray of shape (n_samples, n_outputs)
        What the decoder says.
    """
    flags = outputs.is_flag
    odds = np.exp(_MOST_CERTAIN * np.tanh(output / _MOST_CERTAIN)) * flags
    total = odds @ outputs.member + outputs.base
    return np.where(flags, odds / (total @ outputs.member.T + ~flags), output)
