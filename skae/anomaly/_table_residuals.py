"""What a denoiser of tables misses of rows, and what it fills blank columns with."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.anomaly._layout import TableLayout
from skae.inference._dense import DenseForward

Array = NDArray[Any]


class TableResiduals:
    """Squared residuals of a denoiser in each column of a table.

    As in :class:`~skae.anomaly._residuals.DenoisingResiduals` the same noise is added to
    every row, in pairs of opposite sign.

    Parameters
    ----------
    denoiser : DenseForward
        Reads a row, which columns are blank, and the noise level, and says the clean row.

    layout : TableLayout
        Which numbers stand for which column.

    level : float
        Standard deviation of the noise.

    noise : ndarray of shape (n_draws, n_numbers)
        Standard normal numbers; each draw is used with both signs.
    """

    def __init__(
        self, denoiser: DenseForward, layout: TableLayout, level: float, noise: Array
    ) -> None:
        self.denoiser = denoiser
        self.layout = layout
        self.level = level
        self.noise = noise

    def squared(self, X: Array, blank: Array | None = None) -> Array:
        """Squared residual of each cell, (n_samples, n_columns).

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_numbers + n_columns)
            As the layout gives it.

        blank : ndarray of bool of shape (n_samples, n_columns), default=None
            Which cells the denoiser is not to see; None: it sees all.
        """
        return self.squared_of(self.corrupted(X, blank))

    def corrupted(self, X: Array, blank: Array | None = None) -> "Corrupted":
        """Rows with each draw of noise in both signs, as every member reads them."""
        Z, seen, foreign = self.layout.parts(X)
        noise = self.level * np.stack([self.noise, -self.noise], axis=1)
        read = self._read(Z, seen, blank, self.level, noise.reshape(-1, 1, Z.shape[1]))
        return Corrupted(Z, seen, foreign, read)

    def squared_of(self, rows: "Corrupted") -> Array:
        """Squared residual of each cell of rows that were corrupted."""
        squares = np.square(self._said(rows.read, rows.Z) - rows.Z)
        total = self.layout.by_column(sum(squares) * rows.seen)
        return np.asarray(total / len(squares) + np.square(rows.foreign))

    def said(self, X: Array, blank: Array) -> Array:
        """What the denoiser says of rows without noise, (n_samples, n_numbers).

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_numbers + n_columns)
            As the layout gives it.

        blank : ndarray of bool of shape (n_samples, n_columns)
            Which cells the denoiser is not to see.
        """
        Z, seen, _ = self.layout.parts(X)
        return self._said(self._read(Z, seen, blank, 0.0, np.zeros((1, 1, 1))), Z)[0]

    def _read(
        self, Z: Array, seen: Array, blank: Array | None, level: float, noise: Array
    ) -> Array:
        n_numbers, n_columns = self.layout.n_numbers, len(self.layout.columns)
        read = np.zeros((len(noise), len(Z), n_numbers + n_columns + 1), np.float32)
        read[..., :n_numbers] = (Z + noise) * seen
        if blank is not None:
            read[..., :n_numbers] *= 1 - blank @ self.layout.columns
            read[..., n_numbers:-1] = blank
        read[..., -1] = level
        return read.reshape(-1, read.shape[-1])

    def _said(self, read: Array, Z: Array) -> Array:
        return self.denoiser(read).astype(np.float64).reshape(-1, *Z.shape)


class Corrupted(NamedTuple):
    """Rows of a table as denoisers read them.

    Attributes
    ----------
    Z, seen, foreign : ndarray
        Numbers, which of them count, and by how much cells are foreign.

    read : ndarray of shape (n_draws * n_samples, n_numbers + n_columns + 1)
        With noise.
    """

    Z: Array
    seen: Array
    foreign: Array
    read: Array
