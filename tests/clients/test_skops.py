"""skops: every estimator is saved without pickle and says the same afterwards."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.networks import ConvNetwork, KerasNetwork, RecurrentNetwork

sio = pytest.importorskip("skops.io")

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
FLAT = {"image_shape": (8, 8)}


def encoder(input_shape, n_components):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(n_components)])


def decoder(n_components, output_shape):
    return keras.Sequential([keras.Input((n_components,)), keras.layers.Dense(64)])


def models():
    return KerasNetwork(encoder((64,), 3), decoder(3, (64,)))


ESTIMATORS = {
    "autoencoder": lambda: AutoencoderTransformer(3, **SMALL),
    "warm start": lambda: AutoencoderTransformer(3, warm_start=True, **SMALL),
    "optimizer": lambda: AutoencoderTransformer(
        3, optimizer=keras.optimizers.SGD(0.01, momentum=0.5), **SMALL
    ),
    "schedule": lambda: AutoencoderTransformer(
        3, learning_rate=keras.optimizers.schedules.CosineDecay(0.01, 10), **SMALL
    ),
    "Keras loss": lambda: AutoencoderTransformer(3, loss=keras.losses.LogCosh(), **SMALL),
    "penalty": lambda: AutoencoderTransformer(3, penalty="contractive", **SMALL),
    "convolutional": lambda: AutoencoderTransformer(
        3, network=ConvNetwork((2,), image_shape=(8, 8)), **SMALL
    ),
    "recurrent": lambda: AutoencoderTransformer(
        3, network=RecurrentNetwork(units=2, series_shape=(8, 8)), **SMALL
    ),
    "functions": lambda: AutoencoderTransformer(
        3, network=KerasNetwork(encoder, decoder), **SMALL
    ),
    "models": lambda: AutoencoderTransformer(3, network=models(), **SMALL),
    "denoising": lambda: DenoisingAutoencoder(3, **SMALL),
    "variational": lambda: VAETransformer(3, n_draws=4, **SMALL),
    "classifier": lambda: AEClassifier(AutoencoderTransformer(3, **SMALL), random_state=0),
    "detector": lambda: AEAnomalyDetector(hidden_layer_sizes=(4,), n_steps=20, random_state=0),
    "pipeline": lambda: make_pipeline(StandardScaler(), AutoencoderTransformer(3, **SMALL)),
}


def through_a_file(estimator, path):
    """Saved, looked through, and loaded."""
    sio.dump(estimator, path)
    return sio.load(path, trusted=sio.get_untrusted_types(file=path))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_saved_and_loaded(digits, tmp_path, name):
    y = np.arange(len(digits)) % 2
    unfitted = through_a_file(ESTIMATORS[name](), tmp_path / "unfitted.skops")
    fitted = unfitted.fit(digits, y)
    again = through_a_file(fitted, tmp_path / "fitted.skops")
    for method in ("transform", "score_samples", "predict"):
        if hasattr(fitted, method):
            said = (getattr(estimator, method)(digits) for estimator in (fitted, again))
            assert_array_equal(*said)


def test_training_goes_on_after_loading(digits, tmp_path):
    ae = ESTIMATORS["warm start"]().fit(digits)
    again = through_a_file(ae, tmp_path / "ae.skops")
    assert_array_equal(again.fit(digits).transform(digits), ae.fit(digits).transform(digits))
    assert again.n_iter_ == 4
