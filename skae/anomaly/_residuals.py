"""What a denoiser that is told the noise level misses of rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.inference import DenseForward

Array = NDArray[Any]


class DenoisingResiduals:
    """Squared residuals of a denoiser, averaged over noise levels and fixed draws.

    Each level counts in units of its own mean over rows like those trained on. The same
    noise is added to every row, in pairs of opposite sign: a row's residuals depend on
    nothing but the row.

    Parameters
    ----------
    denoiser : DenseForward
        Reads a row and the noise level and says the clean row.

    levels : ndarray of shape (n_levels,)
        Standard deviations of the noise.

    noise : ndarray of shape (n_levels, n_draws, n_features)
        Standard normal numbers; each draw is used with both signs.

    rows : ndarray of shape (n_samples, n_features)
        Rows whose mean residual is one.
    """

    def __init__(
        self, denoiser: DenseForward, levels: Array, noise: Array, rows: Array
    ) -> None:
        self.denoiser = denoiser
        self.levels = levels
        self.noise = noise
        tiny = np.finfo(np.float32).tiny
        self.means = np.array(
            [self._squared(rows, i).mean() + tiny for i in range(len(levels))]
        )

    def squared(self, Z: Array) -> Array:
        """Mean squared residual of each cell, (n_samples, n_features)."""
        parts = (self._squared(Z, i) / mean for i, mean in enumerate(self.means))
        return np.asarray(sum(parts) / len(self.means))

    def denoised(self, Z: Array) -> Array:
        """What the denoiser makes of rows at the highest level."""
        outputs = list(self._outputs(Z, len(self.levels) - 1))
        return np.asarray(sum(outputs) / len(outputs))

    def _squared(self, Z: Array, i: int) -> Array:
        squares = [np.square(output - Z) for output in self._outputs(Z, i)]
        return np.asarray(sum(squares) / len(squares))

    def _outputs(self, Z: Array, i: int) -> Any:
        level = Z.dtype.type(self.levels[i])
        read = np.empty((len(Z), Z.shape[1] + 1), Z.dtype)
        read[:, -1] = level
        for draw in self.noise[i].astype(Z.dtype):
            for sign in (level, -level):
                np.add(Z, sign * draw, out=read[:, :-1])
                yield self.denoiser(read)
