"""An estimator that is saved in a file and loaded is the same, to the bit."""

import errno
import json
import os
import re
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

import saved_estimators as saved
import skae
from skae import AEAnomalyDetector, AutoencoderTransformer, VAETransformer
from skae.networks import KerasNetwork
from skae.utils._sklearn import HAS_CALLBACKS
from tables import LIBRARIES, columns_of, people

SMALL = saved.SMALL
OF_NUMPY = (
    *("layers", "tied", "ordered", "schedule", "denoising"),
    *("classifier", "detector of autoencoders", "imputer"),
)


def through_a_file(estimator, path):
    """Saved and loaded; what was loaded gives the same file again."""
    skae.save(estimator, path)
    again = skae.load(path)
    skae.save(again, path.with_suffix(".again"))
    assert path.with_suffix(".again").read_bytes() == path.read_bytes()
    assert type(again) is type(estimator)
    return again


def assert_same(one, other, where=""):
    if isinstance(one, dict | list | tuple) and not hasattr(one, "schema"):
        assert len(one) == len(other), where
        keys = one if isinstance(one, dict) else range(len(one))
        for key in keys:
            assert_same(one[key], other[key], f"{where} {key}")
    elif hasattr(one, "columns") or hasattr(one, "schema"):
        assert type(one) is type(other), where
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
        else:
            assert one.schema == other.schema, where
            assert columns_of(one) == columns_of(other), where
    elif isinstance(one, np.ndarray) and one.dtype != object:
        assert one.dtype == other.dtype, where
        assert_array_equal(one, other, err_msg=where)
    else:
        assert_array_equal(np.vectorize(repr)(one), np.vectorize(repr)(other), err_msg=where)


def parameters_of(estimator):
    """In words, without the names that Keras counts and addresses."""
    return re.sub(r" at 0x\w+|(sequential|functional)(_\d+)?", "", str(estimator.get_params()))


def check_the_same(make, X, path, **fit):
    unfitted = through_a_file(make(), path)
    assert parameters_of(unfitted) == parameters_of(make())
    fitted = unfitted.fit(X, np.arange(len(X)) % 2, **fit)
    again = through_a_file(fitted, path)
    assert_same(saved.answers(fitted, X), saved.answers(again, X))
    assert_array_equal(
        getattr(again, "feature_names_in_", []), getattr(fitted, "feature_names_in_", [])
    )
    assert clone(again).get_params().keys() == fitted.get_params().keys()


# Keras on JAX, of how it copies an optimizer for `clone`.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    "name",
    [
        # What these save beside others are no objects of a backend.
        pytest.param(name, marks=[pytest.mark.any_backend] * (name in OF_NUMPY))
        for name in saved.OF_NUMBERS
    ],
)
def test_estimators(digits, tmp_path, name):
    X = saved.with_missing(digits[:, :12]) if name == "imputer" else digits
    check_the_same(saved.OF_NUMBERS[name], X, tmp_path / "estimator.skae")


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("name", saved.OF_TABLES)
def test_tables(tmp_path, name):
    check_the_same(saved.OF_TABLES[name], people(), tmp_path / "estimator.skae")


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ["encoder", "plain"])
def test_tables_of_every_library(tmp_path, name, library):
    table = LIBRARIES[library](people())
    check_the_same(saved.OF_TABLES[name], table, tmp_path / "estimator.skae")


@pytest.mark.any_data
@pytest.mark.any_backend
def test_columns_of_every_dtype(tmp_path):
    days = pd.date_range("2024-01-30", periods=4, tz="Europe/Paris")
    table = pd.DataFrame(
        {
            "zone": days,
            "length": pd.to_timedelta([1, 2, 3, 4], unit="h"),
            "cut": pd.cut([1.0, 2.0, 3.0, 4.0], 2),
            "ordered": pd.Categorical(list("abca"), categories=list("cba"), ordered=True),
            "whole": pd.array([1, None, 3, 4], dtype="Int32"),
            "flag": pd.array([True, None, False, True], dtype="boolean"),
            "text": pd.array(["a", None, "b", "ä\ud800"[:1]], dtype="string"),
            "date": [day.date() for day in days],
            "moment": [day.to_pydatetime() for day in days.tz_localize(None)],
            "bytes": [b"a", b"b", b"a", b"\xff"],
        }
    )
    for X in (table, table.astype(object).to_numpy()):
        check_the_same(saved.OF_TABLES["encoder"], X, tmp_path / "encoder.skae")


@pytest.mark.parametrize("name", ["plain", "variational", "models", "objects of Keras"])
def test_training_goes_on(digits, tmp_path, name):
    fitted = saved.OF_NUMBERS[name]().set_params(warm_start=True).fit(digits)
    for train in ("fit", "partial_fit"):
        again = through_a_file(fitted, tmp_path / "estimator.skae")
        getattr(fitted, train)(digits)
        getattr(again, train)(digits)
        assert again.n_iter_ == fitted.n_iter_ > 2
        assert_array_equal(again.transform(digits), fitted.transform(digits))


@pytest.mark.any_data
def test_the_activation_of_a_decoder_is_kept(pixels, tmp_path):
    """Whether its output is in the units of the data depends on it."""
    encoder = keras.Sequential([keras.Input((64,)), keras.layers.Dense(3)])
    decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(64, "sigmoid")])
    network = KerasNetwork(encoder, decoder)
    check_the_same(
        lambda: AutoencoderTransformer(3, network=network, **saved.SMALL),
        pixels,
        tmp_path / "estimator.skae",
    )


@pytest.mark.any_data
@pytest.mark.any_backend
def test_a_generator_goes_on(digits, tmp_path):
    generator = np.random.RandomState(3)
    generator.normal()
    vae = VAETransformer(random_state=generator)
    again = through_a_file(vae, tmp_path / "vae.skae").random_state
    assert_array_equal(again.normal(size=700), generator.normal(size=700))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_what_is_held_twice_is_one_object(fitted, tmp_path):
    again = through_a_file(fitted, tmp_path / "ae.skae")
    assert again._model.preprocessing.units is again._model.preprocessing.target_units
    assert again._model.encoder.weights[0] is again._model.weights[0]


@pytest.mark.any_data
@pytest.mark.any_backend
def test_any_program_can_look_inside(fitted, tmp_path):
    skae.save(fitted, tmp_path / "ae.skae")
    with zipfile.ZipFile(tmp_path / "ae.skae") as archive:
        assert archive.testzip() is None
        content = json.loads(archive.read("skae.json"))
        arrays = [name for name in archive.namelist() if name != "skae.json"]
        for name in arrays:
            with archive.open(name) as file:
                np.load(file, allow_pickle=False)
    assert content["format"] == 2
    assert content["estimator"] == "AutoencoderTransformer"
    assert content["written by"]["skae"] == skae.__version__
    assert "sklearn" in content["written by"]
    assert len(arrays) > 4


@pytest.mark.slow
@pytest.mark.any_data
def test_neither_keras_nor_a_backend_is_imported(fitted, digits, tmp_path):
    skae.save(fitted, tmp_path / "ae.skae")
    detector = AEAnomalyDetector(**saved.QUICK_DETECTOR).fit(digits)
    skae.save(detector, tmp_path / "detector.skae")
    np.save(tmp_path / "digits.npy", digits)
    code = """
import sys
import numpy as np, skae
X = np.load("digits.npy")
skae.load("ae.skae").transform(X)
skae.load("detector.skae").predict(X)
skae.save(skae.load("ae.skae"), "again.skae")
print([name for name in sys.modules if name in ("keras", "tensorflow", "jax", "torch")])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(skae.__file__).parents[1])},
    )
    assert done.stdout.strip() == "[]", done.stderr[-2000:]


# What a file cannot hold


def encoder(input_shape, n_components):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(n_components)])


class OwnSGD(keras.optimizers.SGD):
    """A class that is in no file."""


def with_a_lambda():
    layers = [keras.Input((64,)), keras.layers.Lambda(lambda x: x), keras.layers.Dense(3)]
    return keras.Sequential(layers)


REFUSED = {
    "a class of the user's": (lambda: type("Own", (AutoencoderTransformer,), {})(), "got Own"),
    "a pipeline": (lambda: make_pipeline(AutoencoderTransformer()), "trusted_types"),
    "another estimator": (PCA, "got PCA"),
    "functions": (
        lambda: AutoencoderTransformer(network=KerasNetwork(encoder, encoder)),
        r"AutoencoderTransformer.network.encoder: it is the function encoder",
    ),
    "a lambda layer": (
        lambda: AutoencoderTransformer(network=KerasNetwork(with_a_lambda(), encoder)),
        r"network.encoder: it is what Keras' safe mode would not load .*Lambda",
    ),
    "a function as loss": (
        lambda: AutoencoderTransformer(loss=encoder),
        "loss: it is the function",
    ),
    "an optimizer of the user's": (
        lambda: AutoencoderTransformer(optimizer=OwnSGD()),
        r"optimizer: it is what Keras' safe mode would not load .*OwnSGD.*registered",
    ),
    "an object": (
        lambda: AEAnomalyDetector(cv=iter([])),
        r"cv: it is an object of type builtins.list_iterator",
    ),
    "what contains itself": (
        lambda: AutoencoderTransformer(hidden_layer_sizes=looped()),
        r"hidden_layer_sizes\[1\]: it is what contains itself",
    ),
    "a record array": (
        lambda: AutoencoderTransformer(hidden_layer_sizes=np.zeros(2, [("a", "f8")])),
        "hidden_layer_sizes: it is an array of dtype",
    ),
}


def looped():
    sizes = [3]
    sizes.append(sizes)
    return sizes


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_file_cannot_hold(tmp_path, name):
    make, message = REFUSED[name]
    with pytest.raises(TypeError, match=message):
        skae.save(make(), tmp_path / "file.skae")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.any_data
@pytest.mark.any_backend
def test_what_was_registered_with_keras_is_saved(tmp_path):
    registered = keras.saving.register_keras_serializable("tests")(type("Own", (OwnSGD,), {}))
    ae = AutoencoderTransformer(optimizer=registered(0.25))
    again = through_a_file(ae, tmp_path / "ae.skae").optimizer
    assert type(again) is registered
    assert float(again.get_config()["learning_rate"]) == 0.25


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn before 1.9 has no callbacks")
def test_callbacks(tmp_path):
    from sklearn.callback import ProgressBar

    ae = AutoencoderTransformer()
    ae.set_callbacks(ProgressBar(), skae.callbacks.TimeLimit(seconds=5))
    with pytest.warns(UserWarning, match="leaves out callbacks .* ProgressBar"):
        skae.save(ae, tmp_path / "ae.skae")
    (limit,) = skae.load(tmp_path / "ae.skae")._skl_callbacks
    assert limit.seconds == 5


# Writing


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("named", [False, True])
def test_a_failed_write_leaves_the_old_file(fitted, tmp_path, monkeypatch, named, step, error):
    if named:
        # As where the system has no files without a name.
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "ae.skae"
    skae.save(AutoencoderTransformer(5), path)
    before = path.read_bytes()

    def fail(*args):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        skae.save(fitted, path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.skipif(os.name != "posix", reason="resource limits and permissions of POSIX")
def test_a_full_disk(fitted, tmp_path):
    """The system itself stops the writing."""
    import resource

    path = tmp_path / "ae.skae"
    skae.save(AutoencoderTransformer(5), path)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            skae.save(fitted, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == [path]
    assert skae.load(path).n_components == 5


@pytest.mark.slow
@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name, of Linux")
def test_a_process_killed_while_it_writes(tmp_path):
    path = tmp_path / "ae.skae"
    skae.save(AutoencoderTransformer(5), path)
    code = """
import os, signal, skae
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
skae.save(skae.AutoencoderTransformer(6), "ae.skae")
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(skae.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == [path]
    assert skae.load(path).n_components == 5


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.skipif(os.name != "posix", reason="links and permissions of POSIX")
def test_links_and_permissions(tmp_path):
    path, link = tmp_path / "ae.skae", tmp_path / "link.skae"
    skae.save(AutoencoderTransformer(5), path)
    fresh = tmp_path / "fresh"
    fresh.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(fresh.stat().st_mode)
    path.chmod(0o640)
    link.symlink_to(path)
    skae.save(AutoencoderTransformer(6), link)
    assert link.is_symlink()
    assert skae.load(path).n_components == 6
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
