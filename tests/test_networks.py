"""Convolutional, recurrent and own networks: every estimator's behaviour, other layers."""

import copy
import pickle
import random
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data import data_rng
from skae import AutoencoderTransformer
from skae.inference import _forward
from skae.metrics import reconstruction_score
from skae.networks import ConvNetwork, KerasNetwork, RecurrentNetwork
from skae.networks._layers import values
from skae.utils._arrays import as_array

CONV = {"filters": (4, 3)}
RECURRENT = {"cell": "gru", "units": 4}


@pytest.fixture(scope="module")
def images(digits):
    """200 images of 8 x 8 pixels."""
    return digits[:200].reshape(-1, 8, 8)


@pytest.fixture(scope="module")
def make():
    """Makes an autoencoder that trains in a few steps."""

    def make(network, n_components=3, **params):
        quick = {"hidden_layer_sizes": (8,), "max_iter": 2, "batch_size": 32}
        quick |= {"learning_rate": 0.01, "random_state": 0}
        return AutoencoderTransformer(n_components, network=network, **{**quick, **params})

    return make


# Recurrent layers are slow to compile.
@pytest.fixture(
    scope="module", params=["conv", pytest.param("recurrent", marks=pytest.mark.slow)]
)
def network(request):
    return ConvNetwork(**CONV) if request.param == "conv" else RecurrentNetwork(**RECURRENT)


@pytest.fixture(scope="module")
def fitted(make, network, images):
    return make(network).fit(images)


def build_encoder(input_shape, n_components):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Reshape((*input_shape, 1)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(n_components),
        ]
    )


def build_decoder(n_components, output_shape):
    return keras.Sequential(
        [
            keras.Input((n_components,)),
            keras.layers.Dense(16, activation="relu", kernel_initializer="he_normal"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(int(np.prod(output_shape))),
            keras.layers.Reshape(output_shape),
        ]
    )


@pytest.fixture
def own():
    """The user's own models, for images of 8 x 8 and codes of 3."""
    return build_encoder((8, 8), 3), build_decoder(3, (8, 8))


# Shapes


@pytest.mark.any_data
@pytest.mark.parametrize(
    ("shape", "params", "init"),
    [
        pytest.param(
            *((7, 5), {"downsampling": "max_pooling"}, "random"), marks=pytest.mark.slow
        ),
        ((5, 6, 2), {"upsampling": "transposed"}, "pca"),
        pytest.param(
            *((1, 9), {"downsampling": "average_pooling", "kernel_size": 2}, "random"),
            marks=pytest.mark.any_backend,
        ),
        pytest.param((12, 2), {"n_dims": 1}, "random", marks=pytest.mark.slow),
        (
            (11, 1),
            {"n_dims": 1, "upsampling": "transposed", "downsampling": "max_pooling"},
            "pca",
        ),
    ],
)
def test_any_size_comes_back_at_its_own(make, shape, params, init):
    X = data_rng().normal(size=(20, *shape))
    ae = make(ConvNetwork(filters=(3, 2), **params), 2, init=init, max_iter=1).fit(X)
    assert ae.transform(X).shape == (20, 2)
    assert ae.reconstruct(X).shape == X.shape
    assert ae.decoder_.output_shape[1:] == shape
    assert ae.score_samples(X).shape == (20,)


@pytest.mark.any_data
@pytest.mark.parametrize(
    ("cell", "params"),
    [
        ("lstm", {"n_layers": 2}),
        pytest.param("lstm", {}, marks=pytest.mark.slow),
        pytest.param("gru", {}, marks=pytest.mark.slow),
        pytest.param("lstm", {"n_layers": 2, "bidirectional": True}, marks=pytest.mark.slow),
        pytest.param("gru", {"n_layers": 2, "bidirectional": True}, marks=pytest.mark.slow),
    ],
)
def test_series_come_back(make, cell, params):
    X = data_rng().normal(size=(20, 5, 2))
    ae = make(RecurrentNetwork(cell, units=3, **params), 2, max_iter=1).fit(X)
    assert ae.transform(X).shape == (20, 2)
    assert ae.reconstruct(X).shape == X.shape


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize(
    "network",
    [
        ConvNetwork(**CONV, image_shape=(8, 8)),
        pytest.param(
            RecurrentNetwork(**RECURRENT, series_shape=(8, 8)), marks=pytest.mark.slow
        ),
    ],
    ids=["conv", "recurrent"],
)
def test_a_told_shape_is_the_shape_seen(make, network, images, digits):
    flat = make(network).fit(digits[:200])
    assert flat.reconstruct(digits).shape == digits.shape
    told = {name: None for name in network.get_params() if name.endswith("_shape")}
    seen = make(clone(network).set_params(**told)).fit(images)
    assert_array_equal(flat.transform(digits), seen.transform(digits))
    assert_array_equal(seen.transform(images), seen.transform(images.reshape(200, -1)))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_images_travel_through_a_pipeline(make, digits):
    pipeline = make_pipeline(
        StandardScaler(), make(ConvNetwork(**CONV, image_shape=(8, 8, 1)))
    ).fit(digits)
    assert pipeline.inverse_transform(pipeline.transform(digits)).shape == digits.shape
    assert 0 < reconstruction_score(pipeline, digits) < 1


# The start


def test_training_starts_at_pca(make, network, images):
    """Same split, same start as a dense network."""
    dense = make(None).fit(images)
    ae = make(network).fit(images)
    assert_allclose(ae.start_loss_, dense.start_loss_, rtol=1e-5)
    assert ae.best_loss_ <= ae.start_loss_


def test_what_does_not_learn_is_pca(make, network, images):
    ae = make(network, learning_rate=1e-12, max_iter=1).fit(images)
    X = images.reshape(200, -1)
    pca = PCA(3).fit(X)
    assert ae.best_iter_ == 0
    assert_allclose(
        ae.reconstruct(X).reshape(200, -1),
        pca.inverse_transform(pca.transform(X)),
        atol=1e-3,
    )


def test_a_random_start_has_no_linear_path(make, network, images):
    ae = make(network, init="random").fit(images)
    names = [layer.name for layer in ae._model.network.build()[0].layers]
    assert "linear_path" not in names
    assert ae.start_loss_ > 1.5 * make(network).fit(images).start_loss_


@pytest.mark.any_data
@pytest.mark.any_backend
def test_dense_layers_stand_beside(make, network, images):
    """As many as `hidden_layer_sizes` asks for, in the encoder and in the decoder."""
    ae = make(network, hidden_layer_sizes=(6, 5)).fit(images)
    for model, widths in ((ae.encoder_, (6, 5)), (ae.decoder_, (5, 6))):
        dense = {layer.name: layer for layer in model._flatten_layers()}
        assert tuple(dense[f"hidden_{i}"].units for i in (0, 1)) == widths
        assert "linear_path" in dense
    alone = make(network, hidden_layer_sizes=()).fit(images)
    names = [layer.name for layer in alone.encoder_._flatten_layers()]
    assert "linear_path" in names
    assert not {"hidden_0", "dense_path"} & set(names)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_other_dense_layers_are_another_network(make, images):
    ae = make(ConvNetwork(**CONV), warm_start=True, max_iter=1).fit(images)
    with pytest.raises(ValueError, match="hidden_layer_sizes was"):
        ae.set_params(hidden_layer_sizes=(6,)).fit(images)


@pytest.mark.slow
@pytest.mark.parametrize("network", [ConvNetwork(), RecurrentNetwork()])
def test_the_defaults_are_not_below_pca(digits, network):
    images = digits.reshape(-1, 8, 8)
    train, test = images[:240], images[240:]
    ae = AutoencoderTransformer(4, network=network, max_iter=12, tol=None, random_state=0)
    pca = PCA(4).fit(train.reshape(-1, 64))
    assert ae.fit(train).score(test) > reconstruction_score(pca, test.reshape(-1, 64)) + 0.02


def test_training_gets_better(make, images):
    ae = make(ConvNetwork(**CONV), init="random", max_iter=15).fit(images)
    assert ae.best_loss_ < 0.8 * ae.start_loss_
    assert ae.n_iter_ == 15


def test_columns_that_are_masked_change_nothing(make, network, images, monkeypatch):
    """The network trained is exactly the smaller one."""
    roomy = make(network, optimizer="sgd").fit(images)
    monkeypatch.setattr("skae.estimators._training._CODE_BLOCKS", (1, 1))
    exact = make(network, optimizer="sgd").fit(images)
    assert_allclose(roomy.transform(images), exact.transform(images), rtol=1e-3, atol=1e-3)
    assert_allclose(roomy.loss_curve_, exact.loss_curve_, rtol=1e-4)


@pytest.mark.any_data
def test_latent_sizes_share_a_program(make, network, images, cache):
    for n_components in (1, 3, 5):
        make(network, n_components, max_iter=1).fit(images)
    assert len(cache) == 1


# What every fitted estimator owes


def test_methods(fitted, images):
    code = fitted.transform(images)
    assert_array_equal(fitted.inverse_transform(code), fitted.reconstruct(images))
    assert 0 < fitted.score(images) < 1
    error = np.square(images - fitted.reconstruct(images)).mean(axis=(1, 2))
    assert_allclose(fitted.score_samples(images), -error, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_dtypes(fitted, images, dtype):
    X = images.astype(dtype)
    code = fitted.transform(X)
    assert code.dtype == fitted.reconstruct(X).dtype == fitted.score_samples(X).dtype == dtype
    assert fitted.inverse_transform(code).dtype == dtype


def test_a_row_does_not_depend_on_its_company(fitted, images):
    together = fitted.transform(images)
    assert_allclose(
        np.vstack([fitted.transform(x[None]) for x in images[:70]]),
        together[:70],
        rtol=1e-5,
        atol=1e-5,
    )
    order = data_rng().permutation(len(images))
    assert_allclose(fitted.transform(images[order]), together[order], rtol=1e-5, atol=1e-5)


def test_keras_models_agree(fitted, images):
    X = images.astype("f4")
    code = as_array(fitted.encoder_(X))
    assert_allclose(code, fitted.transform(images), rtol=1e-4, atol=1e-3)
    assert fitted.decoder_.output_shape[1:] == (8, 8)
    rows = as_array(fitted.decoder_(code))
    assert_allclose(rows, fitted.reconstruct(images), rtol=1e-4, atol=1e-3)


def test_same_seed_same_bits(make, network, fitted, images):
    state = random.getstate()
    twin = clone(make(network)).fit(images)
    assert random.getstate() == state
    assert_array_equal(twin.transform(images), fitted.transform(images))
    other = make(network, random_state=1).fit(images)
    assert other.loss_curve_ != fitted.loss_curve_


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_a_copy_is_the_same(fitted, images, copied):
    assert_array_equal(copied(fitted).transform(images), fitted.transform(images))


@pytest.mark.slow
def test_unpickling_is_light(fitted, images, tmp_path):
    (tmp_path / "ae.pkl").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "X.npy", images)
    code = f"""
import pickle, sys, numpy as np
ae = pickle.load(open(r"{tmp_path}/ae.pkl", "rb"))
print([m for m in ("keras", "tensorflow", "jax", "torch") if m in sys.modules])
np.save(r"{tmp_path}/code.npy", ae.transform(np.load(r"{tmp_path}/X.npy")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
    assert_array_equal(np.load(tmp_path / "code.npy"), fitted.transform(images))


def test_two_estimators_of_one_architecture_do_not_mix(make, network, fitted, images):
    before = fitted.transform(images)
    other = make(network, random_state=5).fit(images)
    theirs = other.transform(images)
    results = {}

    def use(name, ae):
        results[name] = [ae.transform(images) for _ in range(5)]

    threads = [
        threading.Thread(target=use, args=pair) for pair in [("a", fitted), ("b", other)]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((code == before).all() for code in results["a"])
    assert all((code == theirs).all() for code in results["b"])


@pytest.mark.any_data
def test_programs_are_shared_and_bounded(fitted, images):
    fitted.transform(images)
    before = _forward._program.cache_info()
    pickle.loads(pickle.dumps(fitted)).transform(images)
    after = _forward._program.cache_info()
    assert after.misses == before.misses
    assert after.maxsize is not None


@pytest.mark.any_data
def test_partial_fit_and_warm_start(make, network, images):
    ae = make(network)
    for portion in np.array_split(images, 2):
        ae.partial_fit(portion)
    assert ae.n_iter_ == 2
    ae = make(network, warm_start=True).fit(images)
    assert ae.fit(images).n_iter_ == 4


@pytest.mark.any_data
@pytest.mark.parametrize(
    "normalization", ["batch", pytest.param("layer", marks=pytest.mark.slow)]
)
def test_normalization_and_dropout(make, network, images, normalization):
    if isinstance(network, ConvNetwork):
        network = ConvNetwork(filters=(3,))
    ae = make(network, early_stopping=False, normalization=normalization, dropout=0.2)
    ae.fit(images)
    code = as_array(ae.encoder_(images.astype("f4")))
    assert_allclose(code, ae.transform(images), rtol=1e-3, atol=1e-3)
    assert_array_equal(clone(ae).fit(images).transform(images), ae.transform(images))
    moves = [np.ptp(value) > 0 for value in ae._model.statistics]
    assert all(moves)
    assert bool(moves) == (normalization == "batch")


@pytest.mark.any_data
@pytest.mark.any_backend
def test_losses_that_compare_images(make, images):
    X = images[:60].reshape(60, -1) / 16
    ae = make(ConvNetwork(**CONV, image_shape=(8, 8)), loss="ssim", init="random", max_iter=1)
    assert -2 <= ae.fit(X).score_samples(X).min() <= 0


@pytest.mark.any_data
@pytest.mark.any_backend
def test_colour_from_grey(make, images):
    colour = np.stack([images, images / 2], axis=-1)
    ae = make(ConvNetwork(**CONV))
    rows = ae._fit(images, None, colour, None).reconstruct(images)
    assert rows.shape == colour.shape


@pytest.mark.any_data
@pytest.mark.slow
@pytest.mark.any_backend
def test_grid_search_over_the_network(make, images):
    search = GridSearchCV(
        make(ConvNetwork(**CONV), max_iter=1),
        [
            {"network__filters": [(3,)], "n_components": [1, 8]},
            {"network__filters": [(4, 3)], "n_components": [8]},
        ],
        cv=2,
        error_score="raise",
    ).fit(images)
    assert search.best_params_["n_components"] == 8
    assert search.best_estimator_.network.filters == search.best_params_["network__filters"]
    assert search.best_estimator_.reconstruct(images).shape == images.shape


# The user's own models


@pytest.mark.any_data
def test_functions_that_build_models(make, images):
    network = KerasNetwork(build_encoder, build_decoder)
    state = random.getstate()
    ae = make(network, max_iter=6).fit(images)
    assert random.getstate() == state
    assert ae.best_loss_ < ae.start_loss_
    assert ae.reconstruct(images).shape == images.shape
    assert_array_equal(clone(ae).fit(images).transform(images), ae.transform(images))
    twin = pickle.loads(pickle.dumps(ae))
    assert_array_equal(twin.transform(images), ae.transform(images))
    code = as_array(ae.encoder_(images.astype("f4")))
    assert_allclose(code, ae.transform(images), rtol=1e-3, atol=1e-3)
    # The moving statistics of batch normalisation.
    assert len(ae._model.statistics) == 2
    assert np.abs(ae._model.statistics[0]).max() > 0


@pytest.mark.any_data
@pytest.mark.any_backend
def test_functions_share_a_program(make, images, cache):
    network = KerasNetwork(build_encoder, build_decoder)
    for seed in (0, 1):
        make(clone(network), random_state=seed, max_iter=1).fit(images)
    assert len(cache) == 1


@pytest.mark.any_data
def test_initializers_are_kept_and_seeded(make, images):
    network = KerasNetwork(build_encoder, build_decoder)
    ae = make(network, 2, learning_rate=1e-12, max_iter=1).fit(images)
    value = ae._model.network
    first, again, other = (value.initial_values(np.random.RandomState(s))[0] for s in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        assert_array_equal(a, b)
    kernels = [i for i, w in enumerate(first) if w.ndim > 1]
    assert all((first[i] != other[i]).any() for i in kernels)
    # He's normal for the decoder's first layer, two rows in: a variance of one.
    he = [w for w in first if w.shape == (2, 16)]
    assert 0.5 < np.std(he) < 1.5
    assert all((first[i] == 0).all() or (first[i] == 1).all() for i in {0, 1, 2} - {*kernels})


def test_models_start_at_their_weights_and_are_left_alone(make, images, own):
    before = [w.copy() for model in own for w in values(model.weights)]
    ae = make(KerasNetwork(*own), learning_rate=1e-12, max_iter=1).fit(images)
    assert ae.best_loss_ > 0
    code = as_array(
        own[0](((images.reshape(200, -1) - ae.mean_) / ae.scale_).reshape(-1, 8, 8))
    )
    assert_allclose(ae.transform(images), code, rtol=1e-3, atol=1e-4)
    make(KerasNetwork(*own), max_iter=3).fit(images)
    for a, b in zip(before, [w for m in own for w in values(m.weights)], strict=True):
        assert_array_equal(a, b)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_models_are_cloned_and_pickled(make, images, own):
    ae = make(KerasNetwork(*own)).fit(images)
    assert_array_equal(clone(ae).fit(images).transform(images), ae.transform(images))
    twin = pickle.loads(pickle.dumps(ae))
    assert_array_equal(twin.transform(images), ae.transform(images))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_models_may_change_after_the_fit(make, images, own):
    ae = make(KerasNetwork(*own)).fit(images)
    code = ae.transform(images)
    own[0].trainable = False
    own[0].set_weights([0 * w for w in values(own[0].weights)])
    assert_array_equal(pickle.loads(pickle.dumps(ae)).transform(images), code)
    assert len(ae.encoder_.trainable_variables) == 4


@pytest.mark.any_data
@pytest.mark.slow
@pytest.mark.any_backend
def test_functions_with_recurrent_layers(make, images):
    def encoder(input_shape, n_components):
        rows = keras.Input(input_shape)
        hidden = keras.layers.Bidirectional(keras.layers.LSTM(4, dropout=0.1))(rows)
        return keras.Model(rows, keras.layers.Dense(n_components)(hidden))

    ae = make(KerasNetwork(encoder, build_decoder), max_iter=1).fit(images)
    assert ae.reconstruct(images).shape == images.shape
    first, again = (
        ae._model.network.initial_values(np.random.RandomState(0))[0] for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    # The bias of the forget gate begins at one.
    assert_array_equal(first[2], np.repeat([0, 1, 0, 0], 4))


@pytest.mark.any_data
def test_layers_that_are_not_trainable_stay(make, images, own):
    own[0].layers[1].trainable = False
    frozen = values(own[0].layers[1].weights)
    ae = make(KerasNetwork(*own)).fit(images)
    assert_array_equal(ae._model.statistics[0], frozen[0])
    assert not any(np.array_equal(frozen[0], w) for w in ae._model.weights)
    assert_array_equal(clone(ae).fit(images).transform(images), ae.transform(images))


@pytest.mark.any_backend
def test_a_decoder_with_an_activation_speaks_in_units_of_the_data(make, pixels):
    decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(64, "sigmoid")])
    encoder = keras.Sequential([keras.Input((64,)), keras.layers.Dense(3)])
    for loss in ("squared_error", "binary_crossentropy"):
        ae = make(KerasNetwork(encoder, decoder), loss=loss).fit(pixels)
        rows = ae.reconstruct(pixels)
        assert 0 < rows.min() < rows.max() < 1
    bare = keras.Sequential([keras.Input((3,)), keras.layers.Dense(64)])
    ae = make(KerasNetwork(encoder, bare), loss="binary_crossentropy").fit(pixels)
    assert ae.reconstruct(pixels).min() > 0


# Refusals


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"filters": ()}, "filters must be integers.*at least one; got \\(\\)"),
        ({"filters": (4, 0)}, "filters.*got \\(4, 0\\)"),
        ({"filters": 2.5}, "filters"),
        ({"kernel_size": 0}, "'kernel_size' parameter of ConvNetwork"),
        ({"downsampling": "halve"}, "'downsampling' parameter of ConvNetwork"),
        ({"upsampling": None}, "'upsampling' parameter of ConvNetwork"),
        ({"n_dims": 3}, "'n_dims' parameter of ConvNetwork"),
        ({"image_shape": (8, 8, 8, 8)}, "image_shape must be 2 or 3 integers"),
        ({"image_shape": (8, 7)}, r"image_shape=\(8, 7\) is a row of 56 numbers.*\(8, 8\)"),
        ({"image_shape": (8, 8.5)}, "image_shape must be 2 or 3 integers"),
    ],
)
def test_impossible_convolutions(make, images, params, match):
    with pytest.raises(ValueError, match=match):
        make(ConvNetwork(**{**CONV, **params})).fit(images)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "params",
    [{"cell": "rnn"}, {"units": 0}, {"n_layers": 0}, {"bidirectional": "yes"}],
)
def test_impossible_recurrences(make, images, params):
    (name,) = params
    with pytest.raises(ValueError, match=f"'{name}' parameter of RecurrentNetwork"):
        make(RecurrentNetwork(**params)).fit(images)


@pytest.mark.any_backend
def test_flat_rows_need_a_told_shape(make, digits):
    with pytest.raises(ValueError, match="image_shape must be the shape of a row"):
        make(ConvNetwork(**CONV)).fit(digits)
    with pytest.raises(ValueError, match="series_shape must be the shape of a row"):
        make(RecurrentNetwork(**RECURRENT)).fit(digits)


@pytest.mark.any_backend
def test_no_tied_convolutions(make, images):
    with pytest.raises(ValueError, match="tied_weights=True is for dense networks"):
        make(ConvNetwork(**CONV), tied_weights=True).fit(images)


@pytest.mark.any_backend
def test_models_that_do_not_match(make, images, own):
    encoder, decoder = own
    with pytest.raises(ValueError, match=r"last layer 'dense.*outputs.*\(3,\).*n_components=4"):
        make(KerasNetwork(encoder, decoder), 4).fit(images)
    with pytest.raises(ValueError, match=r"expects rows of shape \(8, 8\), but.*X.*\(8, 7\)"):
        make(KerasNetwork(encoder, decoder)).fit(images[:, :, :7])
    with pytest.raises(ValueError, match=r"expects rows of shape \(5,\), but the code.*\(3,\)"):
        make(KerasNetwork(encoder, build_decoder(5, (8, 8)))).fit(images)
    with pytest.raises(ValueError, match=r"decoder's last layer.*\(4, 4\).*\(8, 8\)"):
        make(KerasNetwork(encoder, build_decoder(3, (4, 4)))).fit(images)
    with pytest.raises(ValueError, match="'encoder' parameter of KerasNetwork"):
        make(KerasNetwork("dense", decoder)).fit(images)
    unbuilt = keras.Sequential([keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"encoder must be a Sequential or functional"):
        make(KerasNetwork(unbuilt, decoder)).fit(images)
    with pytest.raises(TypeError, match=r"must return a .*Model; it returned int"):
        make(KerasNetwork(lambda shape, n: 3, decoder)).fit(images)
