"""Dask: a search on a cluster, and a detector that scores an array by blocks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skae import AEAnomalyDetector

distributed = pytest.importorskip("distributed")


@pytest.fixture
def cluster():
    """A client of one worker of two threads, a process of its own on this machine."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_search_on_a_cluster(cluster, digits, compare_searches):
    compare_searches(backend="dask", scatter=[digits])


def test_a_detector_scores_by_blocks(digits):
    import dask.array as da

    detector = AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=20, random_state=0)
    detector.fit(digits[:200])
    X = da.from_array(digits, chunks=(70, 64))
    scores = X.map_blocks(detector.score_samples, drop_axis=1, dtype="float64")
    assert scores.shape == (300,)
    assert_allclose(scores.compute(), detector.score_samples(digits), rtol=1e-6)
    odd = X.map_blocks(detector.predict, drop_axis=1, dtype="int64") == -1
    assert_array_equal(np.flatnonzero(odd), np.flatnonzero(detector.predict(digits) == -1))
