"""Using what was fitted: in NumPy, without Keras, one row like a million."""

import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data import data_rng
from skae.inference import _dense
from skae.networks._base import ACTIVATIONS, KERAS_NAMES
from skae.networks._layers import values
from skae.utils._arrays import as_array

HEAVY = ("keras", "tensorflow", "jax", "torch", "matplotlib", "polars")


def fresh_interpreter(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout.strip()


@pytest.mark.slow
@pytest.mark.any_data
@pytest.mark.any_backend
def test_import_is_light():
    code = f"import sys, skae, skae.plotting; print([m for m in {HEAVY} if m in sys.modules])"
    assert fresh_interpreter(code) == "[]"


@pytest.mark.slow
@pytest.mark.any_data
@pytest.mark.any_backend
def test_unpickling_and_predicting_are_light(fitted, digits, tmp_path):
    (tmp_path / "ae.pkl").write_bytes(pickle.dumps((fitted, digits)))
    code = f"""
import pickle, sys
ae, X = pickle.load(open(sys.argv[1], "rb"))
code = ae.transform(X)
ae.inverse_transform(code), ae.reconstruct(X), ae.score_samples(X), ae.score(X)
print([m for m in {HEAVY} if m in sys.modules], code.tobytes().hex()[:64])
"""
    seen = fresh_interpreter(code, str(tmp_path / "ae.pkl"))
    assert seen == f"[] {fitted.transform(digits).tobytes().hex()[:64]}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("f4", "f4"), ("f8", "f8"), ("i4", "f8"), ("u1", "f8"), ("f2", "f8")],
)
def test_dtypes(fitted, digits, given, expected):
    X = digits.astype(given)
    code = fitted.transform(X)
    assert code.dtype == expected
    assert fitted.inverse_transform(code).dtype == expected
    assert fitted.reconstruct(X).dtype == expected
    assert fitted.score_samples(X).dtype == expected
    # Digits are small integers, exact in every dtype.
    assert_allclose(code, fitted.transform(digits), rtol=1e-3, atol=1e-4)


def test_trained_on_float32(quick, digits, fitted):
    code = quick().fit_transform(digits.astype(np.float32))
    assert code.dtype == np.float32
    # Another start, by the roundings of float32, three epochs that carry them on, and the map
    # of the code, which stretches some columns.
    expected = fitted.transform(digits)
    assert_allclose(code, expected, atol=0.03 * expected.std())


def test_inputs_are_left_alone(fitted, digits):
    X = digits.copy()
    code = fitted.transform(X)
    kept = code.copy()
    fitted.inverse_transform(code)
    fitted.reconstruct(X)
    fitted.score_samples(X)
    assert_array_equal(X, digits)
    assert_array_equal(code, kept)


def test_a_row_does_not_depend_on_its_company(fitted, digits):
    together = fitted.transform(digits)
    close = {"rtol": 1e-12, "atol": 1e-12}
    assert_allclose(np.vstack([fitted.transform(x[None]) for x in digits]), together, **close)
    order = data_rng().permutation(len(digits))
    assert_allclose(fitted.transform(digits[order]), together[order], **close)
    assert_allclose(fitted.transform(np.asfortranarray(digits)), together, **close)
    assert_allclose(fitted.transform(digits[::3]), together[::3], **close)


def test_chunks_do_not_show(fitted, digits, monkeypatch):
    code, scores = fitted.transform(digits), fitted.score_samples(digits)
    monkeypatch.setattr(_dense, "_CHUNK_ENTRIES", 7 * 64)
    assert_allclose(fitted.transform(digits), code, rtol=1e-12, atol=1e-12)
    assert_allclose(fitted.score_samples(digits), scores, rtol=1e-12)
    monkeypatch.setattr(_dense, "_CHUNK_ENTRIES", 1)
    assert_allclose(fitted.transform(digits), code, rtol=1e-12, atol=1e-12)


def test_more_rows_than_a_chunk(fitted, digits):
    many = np.resize(digits, (_dense._CHUNK_ENTRIES // 64 + 123, 64))
    assert_allclose(fitted.transform(many)[-5:], fitted.transform(many[-5:]), rtol=1e-10)


def test_transform_and_inverse_transform_make_reconstruct(fitted, digits):
    there_and_back = fitted.inverse_transform(fitted.transform(digits))
    assert_array_equal(there_and_back, fitted.reconstruct(digits))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": (), "init": "random"},
        {"hidden_layer_sizes": (8, 6), "activation": "gelu", "code_activation": "tanh"},
        {"loss": "binary_crossentropy"},
        {"output_activation": "relu"},
    ],
    ids=["default", "linear", "deep", "crossentropy", "relu"],
)
def test_keras_models_agree(quick, pixels, params):
    ae = quick(**params).fit(pixels)
    encoder, decoder = ae.encoder_, ae.decoder_
    assert isinstance(encoder, keras.Model)
    assert isinstance(decoder, keras.Model)
    code = ae.transform(pixels)
    assert_allclose(as_array(encoder(pixels.astype("f4"))), code, rtol=1e-4, atol=1e-4)
    assert_allclose(
        as_array(decoder(code.astype("f4"))), ae.inverse_transform(code), rtol=1e-4, atol=1e-4
    )


def test_keras_models_are_copies(quick, digits):
    ae = quick().fit(digits)
    before = ae.transform(digits)
    encoder = ae.encoder_
    encoder.set_weights([np.zeros_like(w) for w in values(encoder.weights)])
    assert_array_equal(ae.transform(digits), before)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", sorted(KERAS_NAMES))
def test_activations_are_those_of_keras(name, dtype):
    x = np.concatenate([np.linspace(-6, 6, 241), [-700, -90, -30, 30, 90, 700]]).astype(dtype)
    expected = keras.activations.get(KERAS_NAMES[name])(
        keras.ops.convert_to_tensor(x, "float32")
    )
    ours = ACTIVATIONS[KERAS_NAMES[name]](x.copy())
    assert ours.dtype == dtype
    # Keras computes in float32.
    assert_allclose(ours, as_array(expected), rtol=1e-4, atol=1e-5)
