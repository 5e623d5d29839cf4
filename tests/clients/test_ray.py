"""Ray: a search through its joblib backend."""

import os

import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

ray = pytest.importorskip("ray")


@pytest.fixture
def cluster():
    """Two workers on this machine."""
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1"
    )
    yield
    ray.shutdown()


def test_a_search_on_a_cluster(cluster, digits):
    from ray.util.joblib import register_ray

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
    register_ray()
    with parallel_config(backend="ray", n_jobs=-1):
        there = search.fit(digits).cv_results_
    for split in "split0_test", "split1_test":
        assert_array_equal(there[f"{split}_score"], here[f"{split}_score"])
        assert (there[f"{split}_process"] != os.getpid()).all()
