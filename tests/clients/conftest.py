"""What the tests with clusters share."""

import os

import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score


@pytest.fixture(scope="session", autouse=True)
def graphs_as_traced():
    """In the workers of a cluster graphs are optimized, and so they must be here."""


@pytest.fixture
def compare_searches(digits):
    """Searches here and with a backend of joblib, and asserts that these are the same."""

    def compare(**backend):
        def scores(estimator, X, y=None):
            return {"score": reconstruction_score(estimator, X), "process": os.getpid()}

        search = GridSearchCV(
            AutoencoderTransformer(hidden_layer_sizes=(8,), max_iter=2, random_state=0),
            {"n_components": [2, 4]},
            scoring=scores,
            refit="score",
            cv=2,
            error_score="raise",
        )
        here = search.fit(digits).cv_results_
        with parallel_config(**backend):
            there = search.fit(digits).cv_results_
        for split in "split0_test", "split1_test":
            assert_array_equal(there[f"{split}_score"], here[f"{split}_score"])
            assert (there[f"{split}_process"] != os.getpid()).all()

    return compare
