"""Keras' global settings are neither heeded nor touched."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.networks import ConvNetwork, KerasNetwork
from skae.utils._arrays import as_array

pytestmark = pytest.mark.any_data

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 2, "batch_size": 32, "random_state": 0}


def encoder(input_shape, n_components):
    layers = [keras.Input(input_shape), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(n_components)])


def decoder(n_components, output_shape):
    layers = [keras.Input((n_components,)), keras.layers.Dense(64)]
    return keras.Sequential([*layers, keras.layers.Reshape(output_shape)])


ESTIMATORS = {
    "layers": AutoencoderTransformer(
        3,
        normalization="batch",
        dropout=0.2,
        tied_weights=True,
        penalty="contractive",
        loss=keras.losses.Huber(),
        **SMALL,
    ),
    "convolutional": AutoencoderTransformer(
        3, network=ConvNetwork((2,), image_shape=(8, 8)), **SMALL
    ),
    "denoising": DenoisingAutoencoder(
        3, loss="binary_crossentropy", normalization="layer", **SMALL
    ),
    "variational": VAETransformer(3, n_draws=4, **SMALL),
    "detector": AEAnomalyDetector(hidden_layer_sizes=(4,), n_steps=20, random_state=0),
}


# Keras' default dtype and its policy.
SETTINGS = [
    ("float64", "mixed_float16"),
    *(
        pytest.param(setting, marks=pytest.mark.slow)
        for setting in [("float16", None), (None, "mixed_float16"), (None, "mixed_bfloat16")]
    ),
]


@pytest.fixture(params=SETTINGS, ids=lambda setting: "-".join(filter(None, setting)))
def setting(request, empty_cache):
    """Keras' precision as a user may have set it, and an empty cache."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()

    def check():
        now = keras.config.dtype_policy().name, keras.config.floatx()
        assert now == asked

    default, mixed = request.param
    if default:
        keras.config.set_floatx(default)
    if mixed:
        keras.config.set_dtype_policy(mixed)
    asked = keras.config.dtype_policy().name, keras.config.floatx()
    yield check
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def fitted(name, pixels):
    X = pixels[:100]
    return ESTIMATORS[name].fit(X), X


@pytest.fixture(
    scope="module",
    params=[
        # Each is compiled twice. Of a backend, "layers" and "variational" have all there is.
        pytest.param(
            name,
            marks={"detector": pytest.mark.any_backend}.get(
                name, [pytest.mark.slow] * (name in ("convolutional", "denoising"))
            ),
        )
        for name in ESTIMATORS
    ],
)
def expected(request, pixels):
    """The name of an estimator, and its scores without any setting."""
    estimator, X = fitted(request.param, pixels)
    return request.param, estimator.score_samples(X)


def test_the_same_bits(setting, expected, pixels):
    name, scores = expected
    estimator, X = fitted(name, pixels)
    assert_array_equal(estimator.score_samples(X), scores)
    if name != "detector":
        code = as_array(estimator.encoder_(X.astype("f4")))
        assert code.dtype == "float32"
    setting()


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")  # JAX has none
def test_models_of_the_users_own_keep_their_precision(setting, pixels):
    network = KerasNetwork(encoder, decoder)
    ae = AutoencoderTransformer(3, network=network, **SMALL).fit(pixels[:100])
    assert np.isfinite(ae.score_samples(pixels[:100])).all()
    setting()
