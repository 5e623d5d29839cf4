"""Outputs of ONNX models in onnxruntime: those of skae."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import skae
from data import data_rng
from skae import AEAnomalyDetector, AEClassifier, DenoisingAutoencoder, VAETransformer
from skae.inference._dense import Affine, DenseForward
from skae.inference._forward import forward
from skae.networks import ConvNetwork, KerasNetwork, RecurrentNetwork
from skae.networks._base import ACTIVATIONS, LayerOptions
from skae.networks._dense import DenseCoder
from skae.persistence import register_converters
from skae.persistence.onnx import _tensors
from skae.persistence.onnx._tensors import Graph, Tensor
from skae.utils._arrays import overridable

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

DTYPES = (np.float32, np.float64)
OF_TRANSFORMERS = ("transform", "reconstruct", "score_samples")
OF_DETECTORS = ("predict", "decision_function", "score_samples")
# Of the range of the output.
TOLERANCE = 1e-5


def run(model, X):
    """All outputs of a model for rows."""
    content = model if isinstance(model, str | os.PathLike) else model.SerializeToString()
    return onnxruntime.InferenceSession(content).run(None, {"X": X})


def assert_same_output(estimator, X, outputs, dtypes=DTYPES, others=()):
    """For rows, and for other rows by the same model."""
    for dtype in dtypes:
        for output in outputs:
            model = skae.to_onnx(estimator, output=output, dtype=dtype)
            for rows in (X.astype(dtype), *(each.astype(dtype) for each in others)):
                (got,) = run(model, rows)
                expected = getattr(estimator, output)(rows)
                assert got.shape == expected.shape
                assert got.dtype == (np.int64 if output == "predict" else dtype)
                assert_near(got, expected)


def assert_near(got, expected):
    last_place = np.spacing(np.float32(np.abs(expected).max()))
    assert np.abs(got - expected).max() <= TOLERANCE * np.ptp(expected) + 2 * last_place


@pytest.fixture
def vae():
    return VAETransformer(
        3, hidden_layer_sizes=(8,), max_iter=3, n_draws=16, random_state=0, batch_size=32
    )


@pytest.fixture(scope="module")
def table():
    """Rows of which a third are far from the others, and a flag."""
    rng = data_rng()
    X = rng.normal(size=(240, 4))
    X[160:] += 6
    X[:, 3] = rng.uniform(size=240) < 0.3
    return X


@pytest.fixture(scope="module")
def detector(table):
    detector = AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=20, random_state=0)
    return detector.fit(table)


# Networks


@st.composite
def coders(draw):
    """A dense coder with random weights, and its units."""
    rng = np.random.RandomState(draw(st.integers(0, 2**31 - 1)))
    coder = DenseCoder(
        draw(st.integers(1, 5)),
        draw(st.integers(1, 4)),
        tuple(draw(st.lists(st.integers(1, 6), max_size=2))),
        draw(st.sampled_from(sorted(ACTIVATIONS))),
        draw(st.sampled_from(sorted(ACTIVATIONS))),
        linear_path=draw(st.booleans()),
        normalization=draw(st.sampled_from([None, "batch", "layer"])),
    )
    weights = [w + rng.normal(0, 0.3, w.shape) for w in coder.random_weights(rng)]
    statistics = [rng.uniform(0.5, 2, n) for n in coder.hidden for _ in range(2)]
    far = draw(st.sampled_from([0.0, 1e4]))
    units = Affine(far + rng.normal(size=coder.n_inputs), draw(st.floats(0.1, 10)))
    after = Affine(rng.normal(size=coder.n_outputs), 2.0)
    after = after if coder.output_activation == "linear" else None
    return DenseForward(coder, weights, before=units, after=after, statistics=statistics)


@pytest.mark.any_backend
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(coder=coders(), dtype=st.sampled_from(DTYPES), n_rows=st.integers(1, 40))
def test_dense_networks(coder, dtype, n_rows):
    rng = np.random.RandomState(n_rows)
    centre, scale = coder.before
    X = (centre + scale * rng.normal(size=(n_rows, len(centre)))).astype(dtype)
    expected = coder(X)
    (got,) = run(network_alone(coder, X, expected.shape[1]), X)
    near = TOLERANCE * max(np.abs(expected).max(), 1)
    # Of one unit that is normalised all digits are roundings.
    if coder.coder.normalization == "layer" and dtype == np.float32:
        near *= 100
    assert np.abs(got - expected).max() <= near


class Alone(TransformerMixin, BaseEstimator):
    """Stands for a network alone, for skl2onnx."""


def network_alone(coder, X, n_outputs):
    """The ONNX model of an encoder or a decoder."""

    def give_shapes(operator):
        operator.outputs[0].type.shape = [None, n_outputs]

    def convert(scope, operator, container):
        (given,), (returned,) = operator.inputs, operator.outputs
        graph = Graph(scope, container)
        rows = Tensor(graph, given.full_name, (None, X.shape[1]), X.dtype)
        graph.node("Identity", coder(rows), names=[returned.full_name])

    skl2onnx.update_registered_converter(Alone, "Alone", give_shapes, convert)
    return skl2onnx.to_onnx(Alone(), X)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_every_activation_is_supported():
    assert set(ACTIVATIONS) <= set(_tensors.ACTIVATIONS)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_functions_of_numpy_that_onnx_lacks_are_refused():
    tensor = Tensor(None, "rows", (None, 3), np.float32)
    for function in (np.cos, np.cumsum, np.add.reduce):
        with pytest.raises(TypeError):
            function(tensor)
    array = np.zeros(3)
    with pytest.raises(TypeError):
        array += tensor
    # Values that are not known would be wrong without an error.
    for function in (bool, np.asarray, np.any):
        with pytest.raises(TypeError):
            function(tensor)
    with pytest.raises(AttributeError, match="ONNX tensors have no attribute 'argmax'"):
        tensor.argmax(axis=1)
    with pytest.raises(TypeError, match="Tensor does not support double"):
        overridable(double)(tensor)


def double(x):
    return 2 * x


@pytest.mark.any_backend
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "function",
    [
        double,
        lambda x: x - np.arange(4.0),
        lambda x: np.isnan(x) * np.float32(0.5),
        lambda x: (~np.isnan(x)).sum(axis=1, keepdims=True) / 3,
        lambda x: np.where(np.isnan(x), 0, x).clip(-1, 1).mean(axis=-1)[:, np.newaxis],
        lambda x: x[:, ::-2] + np.nansum(x, axis=1)[:, np.newaxis],
        lambda x: np.concatenate([x[:, 1:3], np.full_like(x[:, :1], 7)], axis=1),
        lambda x: np.stack([x[:, 0], x[:, 1].clip(0)]).T,
        lambda x: np.square(x[:, :, np.newaxis] - np.ones(2)).sum(axis=1, dtype=np.float64),
        lambda x: (x.T[1:] + x.T[0]).T.copy(),
    ],
)
def test_tensors_have_the_values_and_the_dtypes_of_arrays(function, dtype):
    X = data_rng().normal(size=(9, 4)).astype(dtype)
    X[2, 1] = X[5, 3] = np.nan
    expected, found = function(X), []

    def compute(rows):
        found.append(function(rows))
        return found[0].astype(dtype)

    (got,) = run(network_alone(compute, X, expected.shape[1]), X)
    assert (found[0].dtype, found[0].shape[1:]) == (expected.dtype, expected.shape[1:])
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.any_data
@pytest.mark.parametrize(
    ("params", "options"),
    [
        ({"filters": (3, 2)}, {"normalization": "batch"}),
        pytest.param(
            {"filters": (3, 2), "upsampling": "transposed"},
            {"normalization": "layer"},
            marks=pytest.mark.slow,
        ),
        ({"downsampling": "max_pooling", "kernel_size": 4, "upsampling": "transposed"}, {}),
        ({"downsampling": "average_pooling", "kernel_size": 2}, {"activation": "tanh"}),
        pytest.param(
            {"n_dims": 1, "kernel_size": 1, "upsampling": "transposed"},
            {"dropout": 0.1},
            marks=pytest.mark.slow,
        ),
        ({"filters": (2,)}, {"hidden": (6, 4), "normalization": "layer"}),
    ],
)
def test_convolutions(params, options):
    # Not square, and not even: what is halved is rounded up, and cut again.
    assert_same_network_output(ConvNetwork(**params), options)


@pytest.mark.any_data
@pytest.mark.parametrize(
    ("params", "options"),
    [
        pytest.param({"n_layers": 2}, {"normalization": "layer"}, marks=pytest.mark.slow),
        ({"cell": "gru", "bidirectional": True}, {}),
        pytest.param(
            {"bidirectional": True, "n_layers": 2},
            {"code_activation": "tanh", "hidden": (6,)},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_recurrent_networks(params, options):
    assert_same_network_output(RecurrentNetwork(units=4, **params), options)


def assert_same_network_output(network, options, shape=(7, 5)):
    rng = np.random.RandomState(0)
    network = network.describe(shape, shape, 3, LayerOptions(**options))
    weights, statistics = network.initial_values(rng)
    weights = [w + rng.normal(0, 0.2, w.shape) for w in weights]
    statistics = [rng.uniform(0.5, 2, array.shape) for array in statistics]
    units = Affine(rng.normal(size=35), 2.0)
    coders = forward(network, weights, statistics, units, units)
    for coder, width in zip(coders, (35, 3), strict=True):
        for dtype in DTYPES:
            X = rng.normal(size=(9, width)).astype(dtype)
            expected = coder(X)
            assert_near(run(network_alone(coder, X, expected.shape[1]), X)[0], expected)


def test_images_with_channels_that_come_flat(quick, digits):
    network = ConvNetwork((2,), image_shape=(4, 8, 2))
    ae = quick(network=network, init="random", max_iter=1)
    pipe = make_pipeline(StandardScaler(), ae).fit(digits)
    assert_same_output(pipe, digits, ["transform", "score_samples"], [np.float32])


def images(digits):
    return digits.reshape(-1, 8, 8)[:, :7, :5]


def test_keras_models_of_ones_own(quick, digits):
    layers = keras.layers
    encoder = keras.Sequential(
        [
            keras.Input((7, 5)),
            layers.Reshape((7, 5, 1)),
            layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", activation="relu"),
            layers.Conv2D(4, 2, dilation_rate=2, groups=2),
            layers.MaxPooling2D((2, 1), padding="valid"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    code = keras.Input((3,))
    hidden = layers.Dense(6, activation="gelu")(code)
    output = layers.Dense(35)(layers.Add()([hidden, layers.Dense(6)(code)]))
    decoder = keras.Model(code, layers.Reshape((7, 5))(layers.Softmax()(output)))
    X = images(digits)
    with pytest.raises(
        NotImplementedError, match=r"layer 'softmax.*' of the class Softmax; it"
    ):
        skae.to_onnx(quick(network=KerasNetwork(encoder, decoder)).fit(X), output="reconstruct")
    decoder = keras.Model(code, layers.Reshape((7, 5))(output))
    ae = quick(network=KerasNetwork(encoder, decoder)).fit(X)
    assert_same_output(ae, X, OF_TRANSFORMERS, [np.float32])


# Estimators


@pytest.mark.any_backend
def test_autoencoders(fitted, digits):
    assert_same_output(fitted, digits, OF_TRANSFORMERS)
    (got,) = run(skae.to_onnx(fitted), digits[:1].astype(np.float32))
    assert got.shape == (1, 3)
    assert run(skae.to_onnx(fitted), digits[:0].astype(np.float32))[0].shape == (0, 3)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "loss",
    [
        # Entry by entry or by row: `test_registries` exports one of each, too.
        *(
            pytest.param(loss, marks=pytest.mark.slow)
            for loss in ("absolute_error", "huber", "cosine")
        ),
        "binary_crossentropy",
        "ssim",
    ],
)
def test_losses(quick, pixels, loss):
    X = pixels.reshape(-1, 8, 8)
    ae = quick(loss=loss, max_iter=1).fit(X)
    assert_same_output(ae, X, ["reconstruct", "score_samples"])


@pytest.mark.any_backend
def test_denoisers_and_their_targets(pixels):
    dae = DenoisingAutoencoder(3, hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    assert_same_output(dae.fit(pixels), pixels, OF_TRANSFORMERS)
    dae.fit(pixels, target=pixels[:, :10])
    assert_same_output(dae, pixels, ["transform", "reconstruct"])
    with pytest.raises(NotImplementedError, match="target of another shape"):
        skae.to_onnx(dae, output="score_samples")


@pytest.mark.any_backend
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_variational(vae, pixels, likelihood):
    vae.set_params(likelihood=likelihood).fit(pixels)
    assert_same_output(vae, pixels, OF_TRANSFORMERS)


@pytest.mark.any_backend
@pytest.mark.parametrize("n_draws", [1, 11, 12, 50])
def test_likelihoods_in_rounds_of_draws(vae, digits, n_draws):
    digits = digits[:100]
    vae.set_params(n_draws=n_draws).fit(digits)
    # TOLERANCE is enough for single precision, in which skae computes the scores of float64
    # rows that are not far away; the model computes them in float64.
    # The posterior of anomalous rows is wrong, and the rounds after the first move.
    anomalous = 3 * digits[::-1] - digits
    others = (anomalous, 1e8 * digits, digits[:2])
    assert_same_output(vae, digits, ["score_samples"], others=others)
    (got,) = run(skae.to_onnx(vae, output="score_samples"), digits[:0].astype(np.float32))
    assert got.shape == (0,)


@pytest.mark.slow
@pytest.mark.any_backend
def test_likelihoods_of_images(vae, digits):
    vae.set_params(n_draws=12, network=ConvNetwork((2,)))
    X = images(digits)
    assert_same_output(vae.fit(X), X, ["score_samples"])


@pytest.mark.any_backend
def test_the_prior_of_a_variational_one_counts(vae, blob):
    from skae.variational._generative import fit_mixture

    vae.set_params(n_components=2).fit(blob)
    vae.prior_ = fit_mixture(vae.transform(blob), 3, np.random.RandomState(0))
    assert_same_output(vae, blob, ["score_samples"])


@pytest.mark.any_backend
def test_ordered_codes(quick, digits):
    ae = quick(ordered=True).fit(digits)
    assert_same_output(ae.truncated(2), digits, OF_TRANSFORMERS, [np.float64])


# Detectors


@pytest.mark.any_backend
def test_detectors(detector, table):
    assert_same_output(detector, table, OF_DETECTORS, others=[1e3 * table[:5]])
    assert set(detector.predict(table)) == {-1, 1}


@pytest.mark.any_backend
def test_detectors_of_new_rows(detector, table):
    detector = AEAnomalyDetector(**detector.get_params() | {"novelty": True, "cv": 2})
    detector.fit(table)
    # Rows that were trained on are not their own neighbours, and repeated ones are.
    table = np.vstack([table, table[:7], table[:7] + 0.01])
    assert_same_output(detector, table, OF_DETECTORS)


@pytest.mark.any_backend
def test_few_rows_and_one_model(table):
    from sklearn.model_selection import ShuffleSplit

    params = {"hidden_layer_sizes": (), "n_steps": 5, "random_state": 0}
    few = AEAnomalyDetector(cv=2, n_neighbors=50, **params).fit(table[::24])
    assert_same_output(few, table, OF_DETECTORS)
    one = AEAnomalyDetector(cv=ShuffleSplit(1, random_state=0), **params).fit(table)
    assert_same_output(one, table, ["score_samples"])


@pytest.mark.any_backend
def test_detectors_by_reconstruction(quick, table, digits):
    by_error = {"scoring": "reconstruction", "cv": 2, "random_state": 0}
    detector = AEAnomalyDetector(estimator=quick(n_components=2, max_iter=1), **by_error)
    assert_same_output(detector.fit(table), table, OF_DETECTORS)
    convolutional = quick(network=ConvNetwork((2,)), max_iter=1)
    detector = AEAnomalyDetector(estimator=convolutional, **by_error)
    X = images(digits)
    assert_same_output(detector.fit(X), X, ["score_samples"], [np.float32])


# Pipelines, and skl2onnx itself


@pytest.mark.any_backend
def test_a_pipeline_with_a_detector(detector, table):
    pipe = make_pipeline(StandardScaler(), AEAnomalyDetector(**detector.get_params()))
    pipe.fit(table)
    assert len(pipe[-1]._binary_effects.binary.columns)
    assert_same_output(pipe, table, OF_DETECTORS)
    register_converters()
    label, scores = run(skl2onnx.to_onnx(pipe, table.astype(np.float32)), table.astype("f4"))
    assert label.shape == scores.shape == (len(table), 1)
    assert_array_equal(label[:, 0], pipe.predict(table))
    assert_near(scores[:, 0], pipe.decision_function(table))


@pytest.mark.any_backend
def test_an_autoencoder_between_other_steps(quick, digits):
    y = digits[:, 20] > 8
    pipe = make_pipeline(MinMaxScaler(), quick(), StandardScaler(), LogisticRegression())
    pipe.fit(digits, y)
    got, _ = run(skae.to_onnx(pipe), digits.astype(np.float32))
    assert_array_equal(got, pipe.predict(digits))
    pipe = make_pipeline("passthrough", StandardScaler(), PCA(10), quick()).fit(digits)
    assert_same_output(pipe, digits, ["transform", "score_samples"])
    (got,) = run(skae.to_onnx(pipe, output="reconstruct", dtype=np.float64), digits)
    assert_near(got, pipe[-1].reconstruct(pipe[:-1].transform(digits)))
    with pytest.raises(NotImplementedError, match="PCA with output='reconstruct'"):
        skae.to_onnx(pipe[:-1], output="reconstruct")


@pytest.mark.any_backend
def test_skl2onnx_converts_transformers(fitted, digits):
    register_converters()
    for dtype in (np.int64, np.uint8):
        counts = digits.astype(dtype)
        model = skl2onnx.to_onnx(fitted, counts, options={})
        assert_near(run(model, counts)[0], fitted.transform(digits))


@pytest.mark.any_backend
def test_a_search_is_its_best_estimator(quick, digits):
    search = GridSearchCV(quick(max_iter=1), {"n_components": [2]}, cv=2).fit(digits)
    (got,) = run(skae.to_onnx(search), digits.astype(np.float32))
    assert_near(got, search.transform(digits))


# The file


@pytest.mark.any_backend
def test_the_file_is_the_model(fitted, digits, tmp_path):
    path = tmp_path / "ae.onnx"
    path.write_text("before")
    model = skae.to_onnx(fitted, path, target_opset=18)
    assert path.read_bytes() == model.SerializeToString()
    assert os.listdir(tmp_path) == ["ae.onnx"]
    (given,), (returned,) = model.graph.input, model.graph.output
    assert (given.name, returned.name) == ("X", "transform")
    assert not given.type.tensor_type.shape.dim[0].dim_value
    assert model.opset_import[0].version == 18
    assert_near(run(str(path), digits.astype(np.float32))[0], fitted.transform(digits))


@pytest.mark.any_backend
def test_a_file_that_cannot_be_written_leaves_the_old_one(fitted, tmp_path, monkeypatch):
    path = tmp_path / "ae.onnx"
    path.write_text("before")

    def full(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        skae.to_onnx(fitted, str(path))
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["ae.onnx"]


@pytest.mark.slow
@pytest.mark.any_data
@pytest.mark.any_backend
def test_dense_networks_are_exported_without_keras(detector, table):
    """Neither Keras nor a backend is imported."""
    import pickle

    code = """
import pickle, sys, skae
detector = pickle.loads(sys.stdin.buffer.read())
print("skl2onnx" in sys.modules)
skae.to_onnx(detector)
print([m for m in ("keras", "tensorflow", "jax", "torch") if m in sys.modules])
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, input=pickle.dumps(detector), capture_output=True, check=True, timeout=120
    )
    assert done.stdout.split(b"\n")[:2] == [b"False", b"[]"]


# Refusals


@pytest.mark.any_data
@pytest.mark.any_backend
def test_wrong_parameters(fitted, detector):
    with pytest.raises(ValueError, match=r"one of 'transform', .* got 'predict'"):
        skae.to_onnx(fitted, output="predict")
    with pytest.raises(ValueError, match=r"output must be one of 'predict', .* 'transform'"):
        skae.to_onnx(detector, output="transform")
    with pytest.raises(ValueError, match="dtype must be float32 or float64; got 'float16'"):
        skae.to_onnx(fitted, dtype="float16")
    with pytest.raises(ValueError, match="target_opset must be an integer of at least 18"):
        skae.to_onnx(fitted, target_opset=12)


@pytest.mark.any_backend
@pytest.mark.any_data
def test_what_is_not_supported(quick, digits):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        skae.to_onnx(quick())
    with pytest.raises(NotFittedError):
        skae.to_onnx(make_pipeline(StandardScaler(), quick()))
    table = quick(max_iter=1, categorical_features=[0]).fit(digits[:, :5])
    with pytest.raises(NotImplementedError, match="does not support the encoding of tables"):
        skae.to_onnx(table)
    register_converters()
    with pytest.raises(NotImplementedError, match="does not support the encoding of tables"):
        skl2onnx.to_onnx(table, digits[:, :5])
    with pytest.raises(NotImplementedError, match="does not support AEClassifier; it supports"):
        skae.to_onnx(AEClassifier(quick()).fit(digits, digits[:, 20] > 8))
    loss = quick(loss=keras.losses.LogCosh(), max_iter=1).fit(digits)
    assert run(skae.to_onnx(loss), digits.astype(np.float32))[0].shape == (300, 3)
    with pytest.raises(NotImplementedError, match="does not support score_samples with loss="):
        skae.to_onnx(loss, output="score_samples")


@pytest.mark.any_data
@pytest.mark.any_backend
def test_the_extra_is_named_where_it_is_missing(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"to_onnx needs skl2onnx.*-e '\.\[onnx\]'"):
        skae.to_onnx(fitted)


# Keras' own export


@pytest.mark.any_data
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="by tf2onnx")
@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
@pytest.mark.parametrize(
    "network",
    [None, pytest.param(ConvNetwork((2,), image_shape=(8, 8)), marks=pytest.mark.slow)],
)
def test_keras_exports_encoder_and_decoder(quick, digits, tmp_path, network):
    pytest.importorskip("tf2onnx")
    ae = quick(network=network, init="random", max_iter=1).fit(digits)
    code = ae.transform(digits)
    for model, rows, expected in [
        (ae.encoder_, digits, code),
        (ae.decoder_, code, ae.inverse_transform(code)),
    ]:
        path = str(tmp_path / "model.onnx")
        model.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(path)
        (given,) = session.get_inputs()
        assert_near(session.run(None, {given.name: rows.astype(np.float32)})[0], expected)
