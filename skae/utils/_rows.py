"""Rows to learn from: what is read, what should be said, how much each one counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """What a network reads, what it should say, and how much each row counts.

    Parameters
    ----------
    inputs : ndarray of shape (n_samples, n_features)
        What the encoder reads.

    targets : ndarray of shape (n_samples, n_outputs) or None
        What the decoder should say; None: the inputs.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows; None: all the same. Only their ratios matter.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any] | None = None
    weight: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def outputs(self) -> NDArray[Any]:
        """What the decoder should say."""
        return self.inputs if self.targets is None else self.targets

    def take(self, index: NDArray[Any] | slice) -> "Rows":
        """The rows at these positions, or of this mask."""
        return Rows(
            self.inputs[index],
            None if self.targets is None else self.targets[index],
            None if self.weight is None else self.weight[index],
        )

    def padded(self, length: int) -> list[NDArray[np.float32]]:
        """Inputs, targets if they differ, and weights of mean one, with rows of zeros."""
        if self.weight is None or len(self) == 0:
            weight = np.ones(len(self), np.float32)
        else:
            weight = (self.weight / np.mean(self.weight)).astype(np.float32)
        arrays = [self.inputs, self.targets, weight]
        return [_pad(array, length) for array in arrays if array is not None]


def _pad(array: NDArray[Any], length: int) -> NDArray[np.float32]:
    padded = np.zeros((length, *array.shape[1:]), np.float32)
    padded[: len(array)] = array
    return padded


def centre_and_scale(
    X: NDArray[Any], weight: NDArray[Any] | None
) -> tuple[NDArray[np.float64], float]:
    """Mean of each column, and the root of their mean variance."""
    mean = np.average(X, axis=0, weights=weight).astype(np.float64)
    variance = np.average(np.square(X - mean).mean(axis=1), weights=weight)
    return mean, float(np.sqrt(variance)) or 1.0
