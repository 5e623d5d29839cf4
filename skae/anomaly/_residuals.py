"""What a denoiser that is told the noise level misses of rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.inference import DenseForward

Array = NDArray[Any]


class DenoisingResiduals:
    """Squared residuals of a denoiser, averaged over fixed draws of noise.

    The same noise is added to every row, in pairs of opposite sign: a row's residuals
    depend on nothing but the row.

    Parameters
    ----------
    denoiser : DenseForward
        Reads a row and the noise level and says the clean row.

    level : float
        Standard deviation of the noise.

    noise : ndarray of shape (n_draws, n_features)
        Standard normal numbers; each draw is used with both signs.

    rows : ndarray of shape (n_samples, n_features)
        Rows whose mean residual is one.
    """

    def __init__(self, denoiser: DenseForward, level: float, noise: Array, rows: Array) -> None:
        self.denoiser = denoiser
        self.level = level
        self.noise = noise
        self.usual = 1.0
        self.usual = float(self.squared(rows).mean()) or 1.0

    def squared(self, Z: Array) -> Array:
        """Squared residual of each cell, (n_samples, n_features)."""
        squares = [np.square(output - Z) for output in self._outputs(Z, self.level)]
        return np.asarray(sum(squares) / Z.dtype.type(len(squares) * self.usual))

    def denoised(self, Z: Array, level: float) -> Array:
        """What the denoiser makes of rows at a level of noise."""
        outputs = list(self._outputs(Z, level))
        return np.asarray(sum(outputs) / len(outputs))

    def _outputs(self, Z: Array, level: float) -> Iterator[Array]:
        level = Z.dtype.type(level)
        read = np.empty((len(Z), Z.shape[1] + 1), Z.dtype)
        read[:, -1] = level
        for draw in self.noise.astype(Z.dtype):
            for sign in (level, -level):
                np.add(Z, sign * draw, out=read[:, :-1])
                yield self.denoiser(read)
