"""Rows far from zero, very large ones and very small ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA

from data import centre_and_scale, data_rng
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.corruption import GaussianNoise
from skae.tables._squashing_scaler import SquashingScaler
from skae.utils._rows import moments

pytestmark = pytest.mark.any_backend

SMALL = {"n_components": 2, "hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
ENCODERS = {
    "autoencoder": AutoencoderTransformer(**SMALL),
    "denoising": DenoisingAutoencoder(**SMALL),
    "variational": VAETransformer(n_draws=4, **SMALL),
}


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def whole_numbers(n_samples, n_features, offset):
    """Columns around an offset, exact in float32."""
    X = data_rng().normal(0, 1000, size=(n_samples, n_features))
    return X.round() + offset


# Far from zero


@pytest.mark.parametrize("weighted", [False, True])
def test_float32_is_summed_as_float64(weighted):
    X = whole_numbers(20_000, 3, offset=2**23)
    weight = data_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    for single, double in zip(moments(X.astype("f4"), weight), moments(X, weight), strict=True):
        assert_allclose(single, double, rtol=1e-12)
    mean = np.average(X, axis=0, weights=weight)
    variance = np.average(np.square(X - mean), axis=0, weights=weight)
    assert_allclose(moments(X, weight)[1], np.sqrt(variance), rtol=1e-10)


def test_many_float32_rows():
    X = data_rng().normal(size=(500_000, 2)).astype("f4") + np.float32(1000)
    mean, scale = centre_and_scale(X, None)
    assert_allclose(mean, X.astype("f8").mean(axis=0), rtol=1e-9)
    assert_allclose(scale, 1, rtol=0.01)


def test_units_and_share_of_variance_do_not_drift(iris):
    """A tenth of the offset would be enough to lose all but the first component."""
    X = whole_numbers(500, 6, offset=0) @ np.diag([3, 2, 1, 1, 1, 1])
    expected = AutoencoderTransformer(**{**SMALL, "n_components": 0.9}).fit(X)
    far = (X + 2**23).astype("f4")
    assert_allclose(far, X + 2**23)
    ae = AutoencoderTransformer(**{**SMALL, "n_components": 0.9}).fit(far)
    assert ae.n_components_ == expected.n_components_ == PCA(0.9).fit(X).n_components_
    assert_allclose(ae.scale_, expected.scale_, rtol=1e-6)
    assert_allclose(ae.score(far), expected.score(X), atol=0.01)


def test_corruptions_and_tables_know_the_spread_of_far_columns():
    X = whole_numbers(2000, 3, offset=2**23)
    near = X - 2**23
    noisy = GaussianNoise(1.0)(X.astype("f4"), random_state=0)
    assert_allclose((noisy - X).std(axis=0), near.std(axis=0), rtol=0.1)
    assert_allclose(
        SquashingScaler.from_data(X.astype("f4")).scale, near.std(axis=0), rtol=1e-6
    )


def test_a_centre_that_float32_does_not_hold():
    """The mean is halfway between two numbers of float32, a whole deviation apart."""
    X = np.tile([[2.0**24], [2.0**24 + 2]], (20, 3)).astype("f4")
    ae = AutoencoderTransformer(1, hidden_layer_sizes=(), max_iter=1, random_state=0).fit(X)
    assert_allclose(ae.mean_, 2**24 + 1)
    codes = ae.transform(X)
    assert_allclose(codes[0], -codes[1], rtol=1e-5)


# Large and small


@pytest.mark.parametrize("power", [-130, -20, 20, 130])
@pytest.mark.parametrize("name", ENCODERS)
def test_within_reach(iris, name, power):
    X, _ = iris
    ae = ENCODERS[name]
    near = ae.fit(X).score(X)
    ae.fit(X * 10.0**power)
    score = ae.score(X * 10.0**power)
    assert np.isfinite(ae.score_samples(X * 10.0**power)).all()
    if name == "variational":
        score += X.shape[1] * power * np.log(10)
    assert_allclose(score, near, atol=0.01)


@pytest.mark.parametrize(
    ("dtype", "power", "says"),
    [
        ("f8", 155, r"X varies by about .*e\+155.*float64.*1e-140 and 1e\+140.*by 1e155 first"),
        ("f8", -170, r"out of reach in float64.*Divide X by 1e-170 first"),
        ("f4", -40, r"out of reach in float32.*1e-15 and 1e\+15.*Divide X by 1e-40 first"),
        ("f4", 37, r"out of reach in float32.*Divide X by 1e37 first"),
    ],
)
@pytest.mark.parametrize("name", ENCODERS)
def test_out_of_reach(iris, name, dtype, power, says):
    X, _ = iris
    large = (X * 10.0**power).astype(dtype)
    ae = ENCODERS[name].fit(X)
    before = ae.transform(X)
    with pytest.raises(ValueError, match=says):
        ae.fit(large)
    assert_allclose(ae.transform(X), before, rtol=0)
    # The remedy is one.
    ae.fit(large / large.dtype.type(10.0**power))


def test_a_target_out_of_reach_is_named(iris):
    X, _ = iris
    with pytest.raises(ValueError, match=r"^target varies by about .*Divide target by 1e200"):
        ENCODERS["denoising"].fit(X, target=X * 1e200)


def test_constant_rows_are_within_reach(iris):
    for value in (0.0, 0.1, 1e300):
        X = np.full((20, 3), value)
        ae = ENCODERS["autoencoder"].fit(X)
        assert ae.scale_ == 1
        assert_allclose(ae.reconstruct(X), X)


def test_keras_models_say_what_they_cannot_hold(iris):
    ae = ENCODERS["autoencoder"].fit(iris[0] * 1e50)
    with pytest.raises(ValueError, match="out of reach in float32"):
        _ = ae.encoder_


@pytest.mark.parametrize("power", [-300, -160, 160, 300])
def test_the_detector_has_no_bounds(iris, power):
    X, _ = iris
    detector = AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=20, random_state=0)
    scores = detector.fit(X).score_samples(X)
    large = X * 10.0**power
    # A product rounds other digits than its factor.
    assert_allclose(detector.fit(large).score_samples(large), scores, rtol=1e-3)
    assert np.isfinite(detector.expected(large)).all()


def test_the_detector_has_scores_of_rows_whose_deviations_overflow(iris):
    X = iris[0] * [1e-20, 1, 1, 1]
    detector = AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=20, random_state=0).fit(X)
    far = np.array([[1e300, 0, 0, 0], [-1e300, 0, 0, 0]])
    scores = detector.score_samples(far)
    assert np.isfinite(scores).all()
    assert scores.max() < detector.score_samples(X).min()


@pytest.mark.parametrize("power", [5, 50, 200])
def test_rows_far_from_every_class_have_probabilities(iris, power):
    X, y = iris
    classifier = AEClassifier(AutoencoderTransformer(**SMALL), random_state=0).fit(X, y)
    proba = classifier.predict_proba(X * 10.0**power)
    assert_allclose(proba.sum(axis=1), 1)
    single = classifier.fit(X.astype("f4"), y).predict_proba((X * 1e30).astype("f4"))
    assert_allclose(single.sum(axis=1), 1, rtol=1e-5)


tables = arrays(
    "f8",
    st.tuples(st.integers(2, 20), st.integers(1, 4)),
    elements=st.floats(-1e300, 1e300, allow_subnormal=False),
)


@given(X=tables)
def test_moments_of_any_numbers(X):
    mean, deviation = moments(X)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
    assert (deviation >= 0).all()
    # Not above half of the range, and zero only where there is none to speak of.
    half = X.max(axis=0) / 2 - X.min(axis=0) / 2
    largest = np.abs(X).max(axis=0)
    assert (deviation <= half * (1 + 1e-9) + 1e-13 * largest).all()
    varies = half > 1e-12 * largest
    assert (deviation[varies] > 0).all()
    assert (deviation[half == 0] == 0).all()
