"""Tables and requests that hypothesis draws, and those that once went wrong; see `fuzz.py`."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from data import SEED

strange_tables = pytest.importorskip("strange_tables")
pytest.importorskip("starlette")

import skae  # noqa: E402
import test_serve  # noqa: E402
from data import data_rng  # noqa: E402

# Other examples where other data are asked for.
few = settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=not SEED,
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.any_backend

# Found by `fuzz.py`.
FOUND = {
    "a signaling NaN": pd.DataFrame({"a": ["x", Decimal("sNaN"), "y"] * 2}),
    "numbers near the largest": pd.DataFrame({"a": [-1.7e308, -1.7e308, -1.7e308, 0.1]}),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(name):
    assert strange_tables.check_encoder(FOUND[name], FOUND[name]) == "encoded"


def test_numbers_far_beyond_those_of_fit_are_finite():
    """Found by `fuzz.py`: a quotient by a tiny deviation, and a difference, that overflow."""
    for values, other in (([0, 1e-20, 0, 0], 1e300), ([-1.7e308, -1.6e308, -1e308], 1.7e308)):
        table, new = pd.DataFrame({"a": values}), pd.DataFrame({"a": [other, -other]})
        assert strange_tables.check_encoder(table, new) == "encoded"
        for squash in (True, False):
            encoder = skae.tables.TabularEncoder(squash=squash).fit(table)
            high, low = encoder.transform(new)[:, 0]
            assert np.isfinite([high, low]).all()
            assert high > encoder.transform(table).max() > low


@few
@given(strange_tables.tables(labels=["a", "b"]), strange_tables.tables(labels=["a", "b"]))
def test_any_table_is_refused_or_encoded(table, other):
    strange_tables.check_encoder(table, other)


@few
@given(strange_tables.tables())
def test_any_names_of_columns(table):
    strange_tables.check_encoder(table, table)


app = test_serve.app


@pytest.fixture(scope="module")
def served(app):
    params = {"novelty": True, "hidden_layer_sizes": (8,), "n_steps": 50, "random_state": 0}
    detector = skae.AEAnomalyDetector(**params).fit(test_serve.table(300, data_rng()))
    return app.create_app(detector)


@few
@given(body=strange_tables.bodies(test_serve.ROW))
def test_any_request_is_refused_or_answered(served, body):
    strange_tables.check_service(served, body)


def test_outputs_far_from_all_rows_are_within_the_range():
    """Without a warning of NumPy about the exponential function."""
    X = pd.DataFrame({"a": np.arange(9.0), "b": np.linspace(0, 1, 9)})
    encoder = skae.tables.TabularEncoder().fit(X)
    decoded = encoder.inverse_transform(np.full((1, 2), 1e9))
    assert decoded.to_numpy().tolist() == [[8.0, 1.0]]
