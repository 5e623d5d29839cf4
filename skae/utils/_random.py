"""Generators of random numbers that are nobody else's."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def generator(random_state: Any) -> np.random.RandomState:
    """What a `random_state` stands for; None: a new one, and not NumPy's global generator."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def draw_seed(random_state: Any) -> int:
    """A seed drawn from what a `random_state` stands for."""
    return int(generator(random_state).randint(2**31 - 1))
