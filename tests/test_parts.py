"""Losses, penalties, layers and shapes: parts that any autoencoder may have."""

import pickle

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from data import data_rng
from skae.losses import Contractive, KLSparsity, L1Sparsity
from skae.metrics import reconstruction_error, reconstruction_score
from skae.networks._layers import values
from skae.utils._arrays import as_array

LAYERS = [
    {"normalization": "batch"},
    {"normalization": "layer"},
    pytest.param({"dropout": 0.2}, marks=pytest.mark.slow),
    {"tied_weights": True},
    pytest.param({"tied_weights": True, "hidden_layer_sizes": (12, 8)}, marks=pytest.mark.slow),
    {"tied_weights": True, "normalization": "batch", "dropout": 0.1, "init": "random"},
    {"tied_weights": True, "hidden_layer_sizes": ()},
]


def called(model, X):
    return as_array(model(X.astype("f4")))


# Layers


@pytest.mark.parametrize("params", LAYERS, ids=str)
def test_layers_predict_as_keras_does(quick, digits, params):
    ae = quick(**params, early_stopping=False).fit(digits)
    code = ae.transform(digits)
    assert_allclose(called(ae.encoder_, digits), code, atol=2e-3)
    assert_allclose(called(ae.decoder_, code), ae.inverse_transform(code), atol=2e-3)
    assert_array_equal(pickle.loads(pickle.dumps(ae)).transform(digits), code)
    assert_array_equal(clone(ae).fit(digits).transform(digits), code)


@pytest.mark.parametrize("params", LAYERS, ids=str)
def test_layers_go_on_from_where_training_stands(quick, digits, params):
    still = {"early_stopping": False, "max_iter": 1, "learning_rate": 1e-12}
    ae = quick(**params, **still, warm_start=True).fit(digits)
    code = ae.transform(digits)
    # Statistics of batches move, weights do not.
    moves = params.get("normalization") == "batch"
    assert_allclose(ae.fit(digits).transform(digits), code, atol=1.0 if moves else 1e-5)


def test_tied_kernels_are_transposed(quick, digits):
    ae = quick(tied_weights=True, hidden_layer_sizes=(12, 8)).fit(digits)
    encoder = [w for w in values(ae.encoder_.weights) if w.shape in [(12, 8), (8, 3)]]
    decoder = [w for w in values(ae.decoder_.weights) if w.shape in [(8, 12), (3, 8)]]
    assert len(encoder) == len(decoder) == 2
    for one, two in zip(encoder, decoder[::-1], strict=True):
        assert_array_equal(one, two.T)


def test_weight_decay_shrinks_weights(quick, digits):
    def size(decay):
        ae = quick(weight_decay=decay, init="random", early_stopping=False, max_iter=10)
        return sum(np.square(w).sum() for w in values(ae.fit(digits).encoder_.weights)[:4:2])

    assert size(5.0) < 0.9 * size(0.0)


# Penalties


def test_sparsity_makes_codes_sparse(quick, pixels):
    params = {"n_components": 16, "max_iter": 20, "init": "random", "tol": None}
    relu = quick(code_activation="relu", **params)
    dense = relu.fit(pixels).transform(pixels)
    sparse = clone(relu).set_params(penalty=L1Sparsity(1.0)).fit(pixels).transform(pixels)
    assert np.abs(sparse).mean() < 0.5 * np.abs(dense).mean()
    bits = quick(code_activation="sigmoid", **params)
    dense = bits.fit(pixels).transform(pixels)
    penalty = KLSparsity(target=0.1, weight=1.0)
    sparse = clone(bits).set_params(penalty=penalty).fit(pixels).transform(pixels)
    assert np.abs(sparse.mean(axis=0) - 0.1).max() < np.abs(dense.mean(axis=0) - 0.1).max()


def test_a_contractive_code_changes_less(quick, pixels):
    params = {"n_components": 8, "max_iter": 10, "init": "random", "tol": None}
    step = 0.01 * data_rng().normal(size=pixels.shape)

    def change(penalty):
        ae = quick(penalty=penalty, **params).fit(pixels)
        return np.square(ae.transform(pixels + step) - ae.transform(pixels)).mean()

    assert change(Contractive(1.0)) < 0.5 * change(None)


def test_penalties_are_searchable_and_share_a_compilation(cache, quick, pixels):
    search = GridSearchCV(
        quick(penalty=L1Sparsity()),
        {"penalty__weight": [0.01, 0.1], "n_components": [2, 4]},
        cv=2,
    )
    search.fit(pixels)
    assert len(cache) == 1
    for name in ("l1", "kl", "contractive"):
        ae = quick(penalty=name, code_activation="sigmoid").fit(pixels)
        assert ae.loss_curve_[0] > -ae.score_samples(pixels).mean() * 0.5


@pytest.mark.parametrize(
    "penalty", [L1Sparsity(-1), KLSparsity(target=0), Contractive("much")], ids=repr
)
def test_impossible_penalties_are_named(quick, digits, penalty):
    with pytest.raises(ValueError, match=r"The '(weight|target)' parameter"):
        quick(penalty=penalty).fit(digits)


# Losses


def test_keras_losses(quick, digits):
    by_name = quick().fit(digits)
    for loss in (keras.losses.MeanSquaredError(), keras.losses.mean_squared_error):
        ae = quick(loss=loss).fit(digits)
        assert_allclose(ae.transform(digits), by_name.transform(digits), atol=1e-3)
        # In standardised data: Keras' losses do not say how they scale.
        scores = by_name.score_samples(digits) / by_name.scale_**2
        assert_allclose(ae.score_samples(digits), scores, rtol=1e-3)


@pytest.mark.any_data
def test_keras_losses_share_a_compilation_when_cloned(cache, quick, digits):
    ae = quick(loss=keras.losses.LogCosh())
    ae.fit(digits)
    clone(ae).fit(digits)
    assert len(cache) == 1


def test_cosine_is_that_of_centred_rows(quick, digits):
    ae = quick(loss="cosine").fit(digits)
    rows, output = digits - ae.mean_, ae.reconstruct(digits) - ae.mean_
    cosine = (rows * output).sum(axis=1)
    cosine /= np.linalg.norm(rows, axis=1) * np.linalg.norm(output, axis=1)
    assert_allclose(ae.score_samples(digits), cosine - 1, atol=1e-6)


def test_ssim_of_an_image_with_itself_is_one():
    from skae.losses._reconstruction import make_loss

    loss = make_loss("ssim", (12, 14, 3))
    images = data_rng().uniform(size=(4, 12 * 14 * 3))
    assert_allclose(loss.per_sample(np, images, images), 0, atol=1e-7)
    corrupted = loss.per_sample(np, images, 1 - images)
    assert (corrupted > 0.5).all()
    assert_allclose(loss.per_sample(np, 1 - images, images), corrupted)
    tensors = (keras.ops.convert_to_tensor(rows.astype("f4")) for rows in (images, 1 - images))
    by_keras = as_array(loss.per_sample(keras.ops, *tensors))
    assert_allclose(by_keras, corrupted, rtol=1e-4)


def test_ssim_wants_images(quick, pixels):
    with pytest.raises(ValueError, match="loss='ssim' compares images"):
        quick(loss="ssim").fit(pixels)


# Rows with more axes


def test_rows_with_more_axes(quick, pixels):
    images = pixels.reshape(-1, 8, 8)
    ae = quick().fit(images)
    flat = quick().fit(pixels)
    code = ae.transform(images)
    assert_array_equal(code, flat.transform(pixels))
    assert_array_equal(ae.transform(pixels), code)
    assert_array_equal(
        ae.inverse_transform(code).reshape(300, -1), flat.inverse_transform(code)
    )
    assert ae.reconstruct(images).shape == images.shape
    assert ae.score(images) == flat.score(pixels)
    assert_allclose(called(ae.encoder_, images), code, atol=1e-4)
    assert called(ae.decoder_, code).shape == images.shape
    assert_allclose(reconstruction_score(ae, images), ae.score(images))
    assert reconstruction_error(ae, images).shape == (300,)
    for wrong in (pixels[:, :7], images[:, :7], images[..., None]):
        with pytest.raises(ValueError, match=r"features|rows of shape"):
            ae.transform(wrong)
