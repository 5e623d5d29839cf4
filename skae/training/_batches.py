"""Batches as the compiled epoch wants them: padded to a bucket, in a shuffled order."""

import numpy as np
from numpy.typing import NDArray

# Rows that the validation pass takes at a time, at least.
VALIDATION_ROWS = 256

# Up to so many rows are filled up to a power of two: a whole table then mostly shares a
# compilation with the folds that were cut from it.
_FEW_ROWS = 2**13


def bucket(n: int, multiple_of: int = 1) -> int:
    """Round up, so that similar sizes share one compilation; many rows by an eighth at most."""
    power = 2 ** max(n - 1, 1).bit_length()
    step = power if n <= _FEW_ROWS else power // 16
    n = -(-n // step) * step
    return -(-n // multiple_of) * multiple_of


def shuffled(rng: np.random.RandomState, n: int, length: int) -> NDArray[np.int32]:
    """A permutation of n rows, repeated up to the length of a padded epoch.

    What is repeated counts for nothing in the loss; it completes the last batch with
    rows like the others, for the sake of batch normalisation.
    """
    return np.resize(rng.permutation(n).astype(np.int32), length)
