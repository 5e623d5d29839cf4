"""`random_state` without NumPy's global generator."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def generator(random_state: Any) -> np.random.RandomState:
    """The generator of a `random_state`; None: a new one, not NumPy's global one."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def draw_seed(random_state: Any) -> int:
    """A seed from the generator of a `random_state`."""
    return int(generator(random_state).randint(2**31 - 1))
