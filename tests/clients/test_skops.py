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
from skae.persistence import trusted_types
from skae.tables import TabularEncoder
from tables import LIBRARIES, people

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
    "pipeline of Keras": lambda: make_pipeline(
        StandardScaler(),
        AutoencoderTransformer(
            3, network=models(), optimizer=keras.optimizers.AdamW(0.01), **SMALL
        ),
    ),
    "pipeline": lambda: make_pipeline(StandardScaler(), AutoencoderTransformer(3, **SMALL)),
}


# What is of others' types: of Keras, and the user's own functions.
OF_OTHERS = {"schedule": "keras.", "Keras loss": "keras.", "functions": "test_skops."}


def through_a_file(estimator, path, of_others=None):
    """Saved, looked through, and loaded."""
    sio.dump(estimator, path)
    asked = set(sio.get_untrusted_types(file=path)) - set(trusted_types())
    assert bool(asked) == bool(of_others)
    assert all(name.startswith(of_others) for name in asked)
    return sio.load(path, trusted=[*trusted_types(), *asked])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_saved_and_loaded(digits, tmp_path, name):
    y = np.arange(len(digits)) % 2
    of_others = OF_OTHERS.get(name)
    unfitted = through_a_file(ESTIMATORS[name](), tmp_path / "unfitted.skops", of_others)
    fitted = unfitted.fit(digits, y)
    again = through_a_file(fitted, tmp_path / "fitted.skops", of_others)
    for method in ("transform", "score_samples", "predict"):
        if hasattr(fitted, method):
            said = (getattr(estimator, method)(digits) for estimator in (fitted, again))
            assert_array_equal(*said)


@pytest.mark.parametrize("library", LIBRARIES)
def test_tables(tmp_path, library):
    table = LIBRARIES[library](people())
    fitted = make_pipeline(TabularEncoder(), AutoencoderTransformer(3, **SMALL)).fit(table)
    again = through_a_file(fitted, tmp_path / "pipeline.skops")
    assert_array_equal(again.transform(table), fitted.transform(table))
    detector = AEAnomalyDetector(hidden_layer_sizes=(4,), n_steps=5, random_state=0).fit(table)
    again = through_a_file(detector, tmp_path / "detector.skops")
    assert_array_equal(again.score_samples(table), detector.score_samples(table))


def test_training_goes_on_after_loading(digits, tmp_path):
    ae = ESTIMATORS["warm start"]().fit(digits)
    again = through_a_file(ae, tmp_path / "ae.skops")
    assert_array_equal(again.fit(digits).transform(digits), ae.fit(digits).transform(digits))
    assert again.n_iter_ == 4
