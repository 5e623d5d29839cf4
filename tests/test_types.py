"""The public surface as type checkers see it, mypy and pyright; it runs as a test, too.

`assert_type` does nothing when it runs; the assertions beside it say that the types are true.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
from numpy.typing import NDArray

import skae
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
    metrics,
)
from skae.corruption import GaussianNoise
from skae.losses import L1Sparsity
from skae.tables import TabularEncoder

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

X = np.random.RandomState(0).standard_normal((60, 4))
y = np.arange(60) % 2


def test_an_autoencoder() -> None:
    ae = AutoencoderTransformer(
        2, hidden_layer_sizes=(8,), penalty=L1Sparsity(), max_iter=2, tol=None, random_state=0
    )
    assert_type(ae.fit(X, sample_weight=np.ones(60)), AutoencoderTransformer)
    assert_type(ae.partial_fit(X), AutoencoderTransformer)
    assert_type(ae.n_components_, int)
    assert_type(ae.columns_, dict[str, str])
    assert_type(ae.score(X), float)
    assert_type(ae.score_samples(X), NDArray[Any])
    assert_type(ae.interpolate(X[:1], X[1:2], n_steps=3), NDArray[Any])
    assert isinstance(ae.n_components_, int)
    assert isinstance(ae.columns_, dict)
    assert isinstance(ae.score(X), float)
    for rows in (ae.score_samples(X), ae.interpolate(X[:1], X[1:2]), ae.transform(X)):
        assert isinstance(rows, np.ndarray)
    assert_type(metrics.reconstruction_score(ae, X), float)
    with pytest.raises(TypeError):
        AutoencoderTransformer(2, hidden_layers=(8,))  # type: ignore[call-arg]


def test_other_autoencoders() -> None:
    denoiser = DenoisingAutoencoder(
        2, hidden_layer_sizes=[8], corruption=GaussianNoise(), max_iter=2, tol=None
    )
    assert_type(denoiser.fit(X, target=X), DenoisingAutoencoder)
    assert_type(denoiser.score_samples(X, target=X), NDArray[Any])
    vae = VAETransformer(2, hidden_layer_sizes=8, max_iter=2, tol=None, prior="normal")
    assert_type(vae.fit(X), VAETransformer)
    mean, deviation = vae.posterior(X)
    assert_type(mean, NDArray[Any])
    assert mean.shape == deviation.shape == (60, 2)
    assert_type(vae.score(X), float)
    assert isinstance(vae.score(X), float)


def test_a_detector() -> None:
    detector = AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=2, cv=2, contamination=0.1)
    assert_type(detector.fit(X), AEAnomalyDetector)
    assert_type(detector.predict(X), NDArray[Any])
    assert_type(detector.p_values(X), NDArray[Any])
    assert_type(detector.describe(X[:2]), list[str])
    assert [type(text) for text in detector.describe(X[:2])] == [str, str]


def test_a_classifier_and_an_imputer() -> None:
    ae = AutoencoderTransformer(1, hidden_layer_sizes=(8,), max_iter=2, tol=None)
    classifier = AEClassifier(ae, n_jobs=None).fit(X, y)
    assert_type(classifier, AEClassifier)
    assert_type(classifier.predict_proba(X), NDArray[Any])
    assert_type(classifier.score(X, y), float)
    assert isinstance(classifier.score(X, y), float)
    imputer = AEImputer(hidden_layer_sizes=8, n_steps=2, n_estimators=1)
    assert_type(imputer.fit(X), AEImputer)
    assert_type(imputer.get_feature_names_out(), NDArray[Any])
    assert isinstance(imputer.get_feature_names_out(), np.ndarray)


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(skae.__file__).parent / "py.typed").exists()


def test_tables_and_versions() -> None:
    encoder = TabularEncoder().fit([["a", "1"], ["b", "2"]])
    assert_type(encoder, TabularEncoder)
    assert isinstance(encoder, TabularEncoder)
    assert_type(skae.show_versions(), None)
