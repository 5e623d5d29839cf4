"""Data of the tests: the same in every run, other data with ``SKAE_DATA_SEED=1`` and so on."""

import os

import numpy as np
from sklearn.datasets import load_digits

from skae.utils._rows import moments, scale_of

SEED = int(os.environ.get("SKAE_DATA_SEED", "0"))


def data_rng(seed=0):
    """A generator for data; not for the `random_state` of an estimator."""
    return np.random.RandomState([SEED, seed] if SEED else seed)


def all_digits(n_class=10):
    """Digits of 64 pixels between 0 and 16, and which they are."""
    X, y = load_digits(n_class=n_class, return_X_y=True)
    order = data_rng().permutation(len(X)) if SEED else slice(None)
    return X[order], y[order]


def centre_and_scale(X, weight=None):
    """Mean of each column, and the root of their mean variance."""
    mean, deviation = moments(X, weight)
    return mean, scale_of(deviation)
