"""The same rows give the same bits, whatever holds them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from data import all_digits
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.corruption import GaussianNoise
from skae.metrics import reconstruction_error, reconstruction_score

pytestmark = pytest.mark.any_backend

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 2, "batch_size": 32, "random_state": 0}
ESTIMATORS = {
    "autoencoder": AutoencoderTransformer(3, **SMALL),
    "denoising": DenoisingAutoencoder(3, **SMALL),
    "variational": VAETransformer(3, n_draws=4, **SMALL),
    "classifier": AEClassifier(AutoencoderTransformer(3, **SMALL), random_state=0),
    "detector": AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=20, random_state=0),
}


def strided(X):
    """The rows with a gap after each number, in both directions."""
    wide = np.full((2 * X.shape[0], 2 * X.shape[1]), np.nan, X.dtype)
    wide[::2, ::2] = X
    return wide[::2, ::2]


def backwards(X):
    return X[::-1, ::-1].copy()[::-1, ::-1]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def pandas(X):
    return pytest.importorskip("pandas").DataFrame(X)


def one_column_after_another(X):
    """A frame whose columns were added one by one, which lie apart."""
    frame = pytest.importorskip("pandas").DataFrame(index=range(len(X)))
    for i in range(4):
        frame[i] = X[:, i]
    return frame.join(pandas(X[:, 4:]).rename(columns=lambda i: i + 4))


def polars(X):
    return pytest.importorskip("polars").from_numpy(X)


HOLDERS = {
    "columns first": np.asfortranarray,
    "strided": strided,
    "backwards": backwards,
    "read only": read_only,
    "list": lambda X: X.tolist(),
    "pandas": pandas,
    "pandas by columns": one_column_after_another,
    "polars": polars,
}


@pytest.fixture(scope="module")
def labelled():
    X, y = all_digits()
    return X[:150], y[:150] % 2


def says(estimator, X):
    """All that a fitted estimator says of rows."""
    asked = ("transform", "reconstruct", "score_samples", "predict", "predict_proba", "explain")
    said = [getattr(estimator, name)(X) for name in asked if hasattr(estimator, name)]
    return [np.asarray(values) for values in said]


@pytest.fixture(scope="module", params=ESTIMATORS)
def fitted(request, labelled):
    return ESTIMATORS[request.param].fit(*labelled)


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.parametrize("holder", HOLDERS)
def test_prediction(fitted, labelled, holder):
    X, _ = labelled
    for one, other in zip(says(fitted, X), says(fitted, HOLDERS[holder](X)), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("holder", ["columns first", "strided", "pandas", "polars"])
def test_fit(fitted, labelled, holder):
    X, y = labelled
    held = HOLDERS[holder](X)
    again = type(fitted)(**fitted.get_params(deep=False)).fit(held, y)
    for one, other in zip(says(fitted, X), says(again, held), strict=True):
        assert_array_equal(one, other)


def test_targets_and_codes(labelled):
    X, _ = labelled
    ae = ESTIMATORS["denoising"]
    expected = ae.fit(X, target=X[:, ::2]).reconstruct(X)
    again = ae.fit(X, target=np.asfortranarray(X[:, ::2]))
    assert_array_equal(again.reconstruct(X), expected)
    code = again.transform(X)
    decoded = again.inverse_transform(code)
    assert_array_equal(again.inverse_transform(np.asfortranarray(code)), decoded)


def test_images(labelled):
    X, _ = labelled
    images = X.reshape(-1, 8, 8)
    ae = AutoencoderTransformer(3, **SMALL)
    expected = ae.fit(images).reconstruct(images)
    turned = np.asfortranarray(images)
    assert_array_equal(ae.fit(turned).reconstruct(turned), expected)


def test_metrics_and_corruptions(labelled):
    X, _ = labelled
    turned = np.asfortranarray(X)
    ae = ESTIMATORS["autoencoder"].fit(X)
    assert_array_equal(reconstruction_error(ae, turned), reconstruction_error(ae, X))
    assert reconstruction_score(ae, turned) == reconstruction_score(ae, X)
    noise = GaussianNoise(0.5)
    assert_array_equal(noise(turned, random_state=0), noise(X, random_state=0))
