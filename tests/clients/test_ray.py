"""Ray: a search through its joblib backend."""

import pytest

ray = pytest.importorskip("ray")


@pytest.fixture
def cluster():
    """Two workers on this machine."""
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1"
    )
    yield
    ray.shutdown()


def test_a_search_on_a_cluster(cluster, compare_searches):
    from ray.util.joblib import register_ray

    register_ray()
    compare_searches(backend="ray", n_jobs=-1)
