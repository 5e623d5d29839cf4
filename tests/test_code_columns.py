"""Columns of the code are what PCA's are: centred, uncorrelated, ordered, of a fixed sign."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA

import skae
from data import data_rng
from saved_estimators import models
from settings import QUICK
from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae.estimators._model import ReconstructionModel
from skae.networks import ConvNetwork, RecurrentNetwork
from skae.networks._dense import DenseNetwork
from skae.utils._arrays import as_array
from tables import people

MAKERS = {
    "dense": lambda: AutoencoderTransformer(**QUICK),
    "tanh, two layers": lambda: AutoencoderTransformer(
        **QUICK | {"hidden_layer_sizes": (8, 6), "activation": "tanh"}
    ),
    "normalization": lambda: AutoencoderTransformer(normalization="batch", **QUICK),
    "tied": lambda: AutoencoderTransformer(tied_weights=True, **QUICK),
    "random": lambda: AutoencoderTransformer(init="random", **QUICK),
    "denoising": lambda: DenoisingAutoencoder(**QUICK),
    "convolutional": lambda: AutoencoderTransformer(
        network=ConvNetwork((2,), image_shape=(8, 8)), **QUICK
    ),
    "recurrent": lambda: AutoencoderTransformer(
        network=RecurrentNetwork(units=3, series_shape=(8, 8)), **QUICK
    ),
    "bidirectional": lambda: AutoencoderTransformer(
        network=RecurrentNetwork("gru", units=3, bidirectional=True, series_shape=(8, 8)),
        **QUICK,
    ),
}


def as_trained(model, rows):
    return model, None


# Layers that are slow to compile. What any of them compute on a backend is in `test_parts` and
# `test_networks`: here NumPy maps what was trained.
MARKS = {
    "tanh, two layers": pytest.mark.any_backend,
    "tied": pytest.mark.any_backend,
    "random": pytest.mark.any_backend,
    "recurrent": [pytest.mark.any_data, pytest.mark.any_backend],
    "bidirectional": pytest.mark.slow,
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=MARKS.get(name, ())) for name in MAKERS],
)
def fitted_one(request, pixels):
    return MAKERS[request.param]().fit(pixels)


def test_columns_are_centred_and_uncorrelated(fitted_one, pixels):
    code = fitted_one.transform(pixels)
    covariance = np.cov(code.T, bias=True)
    assert_allclose(code.mean(axis=0), 0, atol=1e-4 * code.std())
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert_allclose(correlation, np.eye(len(correlation)), atol=1e-3)


def test_columns_are_ordered_by_what_they_contribute(fitted_one, pixels):
    ratio = fitted_one.explained_variance_ratio_
    assert ratio.shape == (3,)
    assert (np.diff(ratio) <= 0).all()
    # What is lost without a column, by hand.
    code = fitted_one.transform(pixels)
    total = np.square(pixels - pixels.mean(axis=0)).sum()
    explained = []
    for left_out in [None, 0, 1, 2]:
        cut = code.copy()
        if left_out is not None:
            cut[:, left_out] = 0
        error = np.square(pixels - fitted_one.inverse_transform(cut)).sum()
        explained.append(1 - error / total)
    assert_allclose(ratio, explained[0] - np.array(explained[1:]), atol=1e-4)


def test_signs_are_those_of_pca(fitted_one, pixels):
    """Of the component to which a column is nearest."""
    code = fitted_one.transform(pixels)
    components = PCA(3, svd_solver="full").fit_transform(pixels)
    for column in code.T:
        correlation = np.corrcoef(column, components.T)[0, 1:]
        nearest = correlation[np.abs(correlation).argmax()]
        assert nearest > 0 or nearest > -0.8


def test_a_change_of_the_code_is_a_change_of_the_reconstruction(pixels):
    """In units of `scale_`: the decoder keeps lengths on the mean over rows, as PCA's does."""
    ae = AutoencoderTransformer(**QUICK).fit(pixels)
    code = ae.transform(pixels)
    for column, values in enumerate(code.T):
        step = np.zeros(3)
        step[column] = 0.05 * values.std()
        change = ae.inverse_transform(code + step) - ae.inverse_transform(code - step)
        length = np.sqrt(np.square(change / (2 * step.sum())).sum(axis=1).mean())
        assert_allclose(length, ae.scale_, rtol=0.02)


@pytest.mark.any_backend
@pytest.mark.parametrize("hidden", [(), (8,)])
def test_where_training_gains_nothing_the_code_is_pca(hidden, blob):
    """Also its signs and its scale, which is that of standardized rows."""
    ae = AutoencoderTransformer(
        2, hidden_layer_sizes=hidden, max_iter=1, learning_rate=1e-9, random_state=0
    ).fit(blob)
    pca = PCA(2).fit(blob)
    assert_allclose(ae.scale_ * ae.transform(blob), pca.transform(blob), atol=1e-3)
    assert_allclose(ae.explained_variance_ratio_, pca.explained_variance_ratio_, atol=1e-4)


@pytest.mark.any_backend
def test_two_seeds_have_the_same_columns():
    rng = data_rng()
    factors = rng.normal(size=(300, 3)) * [4, 2, 1]
    X = np.tanh(factors) @ rng.normal(size=(3, 9)) + factors @ rng.normal(size=(3, 9))
    params = {"hidden_layer_sizes": (16,), "max_iter": 30}
    codes = [
        AutoencoderTransformer(3, random_state=seed, **params).fit_transform(X)
        for seed in (0, 1)
    ]
    for one, other in zip(*(code.T for code in codes), strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.95


def test_the_reconstruction_is_that_of_the_network_as_trained(fitted_one, pixels, monkeypatch):
    reconstruction, code = fitted_one.reconstruct(pixels), fitted_one.transform(pixels)
    monkeypatch.setattr(ReconstructionModel, "with_principal_code", as_trained)
    raw = clone(fitted_one).fit(pixels)
    assert_allclose(raw.reconstruct(pixels), reconstruction, atol=1e-4)
    # Of PCA's code it is the identity.
    assert not fitted_one.best_iter_ or np.abs(raw.transform(pixels) - code).max() > 0.01


@pytest.mark.parametrize("name", ["dense", "tied", "convolutional"])
def test_keras_models_and_files_have_the_same_code(name, pixels, tmp_path):
    ae = MAKERS[name]().fit(pixels)
    code = ae.transform(pixels)
    assert_allclose(as_array(ae.encoder_(pixels[:5])), code[:5], atol=1e-4)
    decoded = ae.inverse_transform(code[:5])
    assert_allclose(as_array(ae.decoder_(code[:5])), decoded, atol=1e-4)
    skae.save(ae, tmp_path / "ae.skae")
    assert_array_equal(skae.load(tmp_path / "ae.skae").transform(pixels), code)


@pytest.mark.any_backend
def test_a_column_without_variance_is_the_last():
    rng = data_rng()
    X = np.outer(rng.normal(size=80), np.ones(4)) + 1e-9
    ae = AutoencoderTransformer(3, hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(X)
    code = ae.transform(X)
    assert np.isfinite(code).all()
    assert_allclose(ae.reconstruct(X), X, atol=0.1)
    assert ae.explained_variance_ratio_[0] > 0.99


def test_training_that_continues_continues_in_the_trained_weights(pixels):
    ae = AutoencoderTransformer(warm_start=True, **QUICK).fit(pixels)
    again = AutoencoderTransformer(warm_start=True, **QUICK).fit(pixels).fit(pixels)
    code = ae.fit(pixels).transform(pixels)
    assert_array_equal(again.transform(pixels), code)
    correlation = np.corrcoef(code.T)
    assert_allclose(correlation, np.eye(3), atol=1e-3)


def test_portions_keep_the_code_as_it_is(pixels):
    """Between two calls of partial_fit columns do not change places or signs."""
    ae = AutoencoderTransformer(**QUICK).fit(pixels)
    before = ae.transform(pixels)
    ae.set_params(learning_rate=1e-9).partial_fit(pixels)
    assert_allclose(ae.transform(pixels), before, atol=1e-3)


@pytest.mark.any_backend
def test_columns_of_tables():
    X = people(80)
    code = AutoencoderTransformer(**QUICK).fit_transform(X)
    assert_allclose(np.corrcoef(code.T), np.eye(3), atol=1e-3)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "params",
    [
        {"code_activation": "sigmoid"},
        pytest.param({"network": models()}, marks=pytest.mark.slow),
        {"ordered": True},
        pytest.param({"penalty": "l1"}, marks=pytest.mark.slow),
    ],
)
def test_codes_that_no_linear_map_can_change_stay(params, pixels, monkeypatch):
    ae = AutoencoderTransformer(**QUICK | params)
    code = ae.fit(pixels).transform(pixels)
    assert ae.explained_variance_ratio_.shape == (3,)
    monkeypatch.setattr(ReconstructionModel, "with_principal_code", as_trained)
    assert_array_equal(ae.fit(pixels).transform(pixels), code)


def test_codes_of_a_vae_are_ordered_by_their_divergence(pixels):
    vae = VAETransformer(**QUICK | {"max_iter": 10}).fit(pixels)
    assert (np.diff(vae.divergence_) <= 0).all()


@pytest.mark.any_backend
def test_a_linear_map_of_the_code_by_hand():
    """One hidden layer and linear paths; rows [1, 2], a map of two columns of the code."""
    rng = data_rng()
    network = DenseNetwork(4, 2, hidden=(3,))
    weights = [rng.normal(size=shape).astype(np.float32) for shape in network.shapes]
    matrix, shift = np.array([[2.0, 1.0], [0.0, -1.0]]), np.array([0.5, -0.25])
    mapped = network.with_linear_code(weights, matrix, shift)

    def encode(arrays, x):
        w, b, v, c, path = arrays[:5]
        return np.maximum(x @ w + b, 0) @ v + c + x @ path

    def decode(arrays, z):
        w, b, v, c, path = arrays[5:]
        return np.maximum(z @ w + b, 0) @ v + c + z @ path

    x = rng.normal(size=(6, 4))
    code = encode(weights, x)
    assert_allclose(encode(mapped, x), (code - shift) @ matrix, atol=1e-5)
    assert_allclose(decode(mapped, (code - shift) @ matrix), decode(weights, code), atol=1e-4)


@pytest.mark.any_backend
def test_a_rotation_of_the_code_of_tied_weights_by_hand():
    rng = data_rng()
    network = DenseNetwork(4, 2, hidden=(3,), tied=True)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in network.shapes]
    matrix, shift = np.array([[0.6, 0.8], [-0.8, 0.6]]), np.array([0.5, -0.25])
    (encoder, _), (decoder, _) = network.split(weights)
    after = network.split(network.with_linear_code(weights, matrix, shift))
    plain = DenseNetwork(4, 2, hidden=(3,))
    expected = plain.split(plain.with_linear_code([*encoder, *decoder], matrix, shift))
    for (mapped, _), (wanted, _) in zip(after, expected, strict=True):
        for one, other in zip(mapped, wanted, strict=True):
            assert_allclose(one, other, atol=1e-6)
