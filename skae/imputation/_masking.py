"""Masks of training: values that are hidden from the imputer, which has to fill them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.corruption._draws import Draws, NumpyDraws

# Share of the rows that miss what another row misses, and the largest share of values that
# is hidden besides: in these rows, and in the others.
_LIKE_OTHERS = 0.5
_MOST_BESIDES, _MOST = 0.3, 0.7


def visible_mask(
    xp: Any, draws: Draws, observed: Any, in_other_rows: Callable[[Any], Any]
) -> Any:
    """Mask of the observed values that are not hidden, 0 or 1, (n_samples, n_columns).

    Half of the rows miss what another row misses and some more; of the others a share of the
    values is hidden that is drawn for each row. Written, as corruptions are, for `xp` = `numpy`
    or `keras.ops`. `in_other_rows` gives, for a mask, that of another row for each row.
    """
    rate, kind = draws.uniform(observed[:, :1]), draws.uniform(observed[:, :1])
    like_others = kind < _LIKE_OTHERS
    rate = rate * xp.where(like_others, _MOST_BESIDES, _MOST)
    visible = xp.where(draws.uniform(observed) >= rate, observed, 0.0)
    return xp.where(like_others, visible * in_other_rows(observed), visible)


def hide_values(observed: NDArray[Any], rng: np.random.RandomState) -> NDArray[Any]:
    """Mask (n_samples, n_columns) of the observed values that are not hidden."""
    mask, draws = observed.astype(np.float64), NumpyDraws(rng)
    return np.asarray(
        visible_mask(np, draws, mask, lambda mask: mask[rng.permutation(len(mask))]) > 0
    )
