"""What holds for whatever data: shapes, dtypes, scales."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data import SEED
from skae import AutoencoderTransformer
from skae.inference._dense import DenseForward
from skae.networks._base import ACTIVATIONS
from skae.networks._dense import DenseNetwork, resize
from skae.networks._principal import principal_axes

pytestmark = pytest.mark.any_backend

# Other examples where other data are asked for: then pytest's --hypothesis-seed decides.
settings.register_profile("skae", deadline=None, derandomize=not SEED, database=None)
settings.load_profile("skae")
few, many = settings(max_examples=12), settings(max_examples=100)

sizes = st.integers(1, 12)
shapes = st.lists(sizes, min_size=1, max_size=2).map(tuple)


def table(seed, n_samples, n_features, dtype="f8", exponent=0):
    rng = np.random.RandomState(seed)
    mixed = rng.normal(size=(n_samples, n_features)) @ rng.normal(size=(n_features,) * 2)
    return (mixed * 10.0**exponent).astype(dtype)


@few
@given(
    seed=st.integers(0, 100),
    n_samples=st.integers(2, 40),
    # Few widths, for each is a compilation of its own.
    n_features=st.sampled_from([1, 4, 9]),
    n_components=st.one_of(st.integers(1, 12), st.floats(0.01, 0.99)),
    dtype=st.sampled_from(["f4", "f8", "i8"]),
    exponent=st.integers(-8, 8),
)
def test_any_table(seed, n_samples, n_features, n_components, dtype, exponent):
    X = table(
        seed, n_samples, n_features, dtype, max(exponent, 1) if dtype == "i8" else exponent
    )
    ae = AutoencoderTransformer(
        n_components, hidden_layer_sizes=(4,), max_iter=2, batch_size=8, random_state=0
    )
    code = ae.fit_transform(X)
    expected = np.float32 if dtype == "f4" else np.float64
    assert code.shape == (n_samples, ae.n_components_)
    assert code.dtype == expected
    assert np.isfinite(code).all()
    back = ae.inverse_transform(code)
    assert back.shape == X.shape
    assert back.dtype == expected
    assert np.isfinite(back).all()
    assert (ae.score_samples(X) <= 0).all()
    assert ae.score(X) <= 1
    assert len(ae.get_feature_names_out()) == ae.n_components_


@many
@given(n=st.integers(1, 10**7), multiple_of=st.integers(1, 1000))
def test_bucket(n, multiple_of):
    from skae.training._engine import bucket

    assert n <= bucket(n) <= (2 * n if n <= 2**13 else n + n // 8)
    assert bucket(bucket(n)) == bucket(n)
    rounded = bucket(n, multiple_of)
    assert rounded % multiple_of == 0
    assert 0 <= rounded - bucket(n) < multiple_of


def test_a_small_table_and_its_folds_have_the_same_length():
    from skae.training._engine import bucket

    assert bucket(1437) == bucket(1438) == bucket(1797) == 2048


@many
@given(n=st.integers(1, 10**6), more=st.integers(0, 1000))
def test_bucket_is_monotone(n, more):
    from skae.training._engine import bucket

    assert bucket(n) <= bucket(n + more)


@many
@given(n=st.integers(1, 50), more=st.integers(0, 60), seed=st.integers(0, 100))
def test_shuffled_visits_every_row_once_and_only_then_again(n, more, seed):
    from skae.training._engine import Engine

    engine = SimpleNamespace(_stream=None, epoch_length=n + more, round_rows=n)
    ((order, n_counted),) = Engine.orders(engine, np.random.RandomState(seed), n)
    assert (len(order), n_counted) == (n + more, n)
    assert sorted(order[:n]) == list(range(n))
    assert_array_equal(order[n:], np.resize(order[:n], n + more)[n:])


@many
@given(
    n=st.integers(1, 20), more=st.integers(0, 20), weighted=st.booleans(), paired=st.booleans()
)
def test_padding_weighs_nothing(n, more, weighted, paired):
    from skae.utils._rows import Rows

    X = table(n, n, 3, "f4")
    weight = np.arange(1.0, n + 1) if weighted else None
    *arrays, padded = Rows(X, 2 * X if paired else None, weight).padded(n + more)
    assert len(arrays) == 1 + paired
    assert_array_equal(arrays[0][:n], X)
    assert_array_equal(arrays[-1][:n], 2 * X if paired else X)
    assert (padded[n:] == 0).all()
    assert_allclose(padded.sum(), n, rtol=1e-5)


@many
@given(shape=shapes, data=st.data())
def test_resize_there_and_back(shape, data):
    larger = tuple(n + data.draw(st.integers(0, 5)) for n in shape)
    array = np.random.RandomState(0).normal(size=shape).astype("f4")
    (grown,) = resize([array], [larger])
    assert grown.shape == larger
    assert_allclose(np.abs(grown).sum(), np.abs(array).sum(), rtol=1e-5)
    (back,) = resize([grown], [shape])
    assert_array_equal(back, array)


@many
@given(
    seed=st.integers(0, 100),
    n_samples=st.integers(1, 30),
    n_features=sizes,
    n_components=st.integers(1, 15),
    weighted=st.booleans(),
)
def test_principal_axes(seed, n_samples, n_features, n_components, weighted):
    X = table(seed, n_samples, n_features)
    weight = np.random.RandomState(seed).uniform(0.5, 2, n_samples) if weighted else None
    X = X - np.average(X, axis=0, weights=weight)
    axes, variance = principal_axes(X, n_components, weight)
    k = min(n_components, n_samples, n_features)
    assert axes.shape == (n_features, k)
    assert variance.shape == (k,)
    assert_allclose(axes.T @ axes, np.eye(k), atol=1e-10)
    assert (variance >= 0).all()
    assert (np.diff(variance) <= 1e-9).all()
    along = np.average(np.square(X @ axes), axis=0, weights=weight)
    assert_allclose(variance, along, rtol=1e-6, atol=1e-8)
    largest = axes[np.argmax(np.abs(axes), axis=0), np.arange(k)]
    assert (largest > 0).all()
    if k == min(n_samples, n_features):
        assert_allclose(X @ axes @ axes.T, X, atol=1e-6)


@many
@given(
    seed=st.integers(0, 100),
    n_features=sizes,
    n_components=sizes,
    hidden=st.lists(sizes, max_size=2).map(tuple),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
)
def test_a_linear_start_is_linear(seed, n_features, n_components, hidden, activation):
    """Whatever the hidden layers are: they add nothing yet."""
    X = table(seed, 20, n_features)
    axes, _ = principal_axes(X - X.mean(axis=0), n_components)
    network = DenseNetwork(n_features, n_components, hidden, activation)
    weights, _ = network.initial_values(np.random.RandomState(seed), axes, axes.T)
    assert [w.shape for w in weights] == network.shapes
    (encoder, _), (decoder, _) = network.split(weights)
    code = DenseForward(network.coders[0], encoder)(X)
    back = DenseForward(network.coders[1], decoder)(code)
    scale = np.abs(X).max()
    assert_allclose(code[:, : axes.shape[1]], X @ axes, atol=1e-5 * scale)
    assert (code[:, axes.shape[1] :] == 0).all()
    assert_allclose(back, X @ axes @ axes.T, atol=1e-5 * scale)
