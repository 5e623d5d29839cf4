"""How odd a level of a column of two levels is by itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import lsqr

from skae.anomaly._conformal import logarithm
from skae.tables._binary_columns import BinaryColumns

Array = NDArray[Any]

# Of the distance from the median score to the end of the bulk: what levels excuse at most,
# and where scores stop counting.
_MOST_EXCUSED = 1.0
_FAR = 3.0

# Rows that a level must have for half of its effect to be believed, about.
_PRIOR_ROWS = 5.0


@dataclass(frozen=True)
class BinaryEffects:
    """What the rarer level of a column of two levels adds to the score of a row.

    A minority is not odd for being one: a row with a level that fewer rows have is farther
    from the others, and networks know it less. The mean effect of each level on the
    logarithm of the score is taken back, up to a limit: a level that nothing but anomalies
    have stays odd.

    Parameters
    ----------
    levels : BinaryColumns
        The columns.

    share : ndarray of shape (n_columns,)
        Of rows that have the higher level.

    effect : ndarray of shape (n_columns,)
        What it adds to the logarithm of the score.

    limit : float
        What is taken back at most.
    """

    levels: BinaryColumns
    share: Array
    effect: Array
    limit: float

    @classmethod
    def of(cls, X: Array, scores: Array, weight: Array | None = None) -> "BinaryEffects":
        """Effects in the scores of these rows, by least squares.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows.

        scores : ndarray of shape (n_samples,)
            Their scores.

        weight : ndarray of shape (n_samples,) or None
            Weights of the rows.
        """
        levels = BinaryColumns.from_data(X)
        if len(levels.columns) == 0:
            return cls(levels, np.zeros(0), np.zeros(0), 0.0)
        log = logarithm(scores)
        middle, high = np.quantile(log, [0.5, 0.8])
        width = high - middle
        log = log.clip(middle - _FAR * width, middle + _FAR * width)
        weight = np.ones(len(X)) if weight is None else weight / weight.mean()
        has = levels.has_high(X).astype(np.float64)
        observed = ~np.isnan(X[:, levels.columns])
        total = weight.sum() if observed.all() else weight @ observed
        share = weight @ has / total
        root = np.sqrt(weight)
        centred = log - weight @ log / weight.sum()
        effect = lsqr(
            root[:, np.newaxis] * np.where(observed, has - share, 0.0),
            root * centred,
            damp=np.sqrt(_PRIOR_ROWS),
        )[0]
        return cls(levels, share, effect, _MOST_EXCUSED * width)

    def factors(self, X: Array) -> Array:
        """What the score of each row is multiplied by."""
        observed = ~np.isnan(X[:, self.levels.columns])
        effect = np.where(observed, self.levels.has_high(X) - self.share, 0.0) @ self.effect
        return np.asarray(np.exp(-effect.clip(-self.limit, self.limit)))
