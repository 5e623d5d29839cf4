"""Rows as the compiled epoch wants them: padded to a bucket, in a shuffled order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rows that the validation pass takes at a time, at least.
VALIDATION_ROWS = 256


@dataclass(frozen=True)
class Rows:
    """What a network reads, what it should say, and how much each row counts.

    Parameters
    ----------
    inputs : ndarray of shape (n_samples, ...)
        What the encoder reads, float32.

    targets : ndarray of shape (n_samples, ...) or None
        What the decoder should say; None: the inputs.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows; None: all the same. Only their ratios matter.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32] | None = None
    weight: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: NDArray[np.intp] | slice) -> "Rows":
        """The rows at these positions."""
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


def bucket(n: int, multiple_of: int = 1) -> int:
    """Round up, by an eighth at most, so that similar sizes share one compilation."""
    step = max(2 ** (max(n - 1, 1).bit_length() - 4), 1)
    n = -(-n // step) * step
    return -(-n // multiple_of) * multiple_of


def shuffled(rng: np.random.RandomState, n: int, length: int) -> NDArray[np.int32]:
    """A permutation of n rows, repeated up to the length of a padded epoch.

    What is repeated counts for nothing in the loss; it completes the last batch with
    rows like the others, for the sake of batch normalisation.
    """
    return np.resize(rng.permutation(n).astype(np.int32), length)
