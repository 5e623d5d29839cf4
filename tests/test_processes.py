"""Other processes: forked ones, fresh ones, and the programs that these leave on disk."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import AEAnomalyDetector
from skae.networks import ConvNetwork
from skae.utils import _process

pytestmark = pytest.mark.any_data

# What a child may take before it counts as hanging.
PATIENCE = 30


@pytest.fixture
def in_fork(fitted):
    """Calls a function in a process forked from this one, which has trained."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")

    def call(function):
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = os.fork()
        if process == 0:
            try:
                answer = function()
            except Exception as error:
                answer = error
            sender.send(answer)
            os._exit(0)
        try:
            assert receiver.poll(PATIENCE), "the forked process hangs"
            return receiver.recv()
        finally:
            os.kill(process, 9)
            os.waitpid(process, 0)

    return call


# Python and JAX warn of forks in processes with threads, which is what this is about.
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork")


@forks
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_training_after_a_fork_is_refused(in_fork, quick, digits, method):
    error = in_fork(lambda: getattr(quick(), method)(digits))
    assert isinstance(error, RuntimeError)
    assert "forked" in str(error)
    assert "loky" in str(error)
    assert "spawn" in str(error)


@forks
def test_all_that_runs_keras_is_refused(in_fork, fitted, quick, digits, pixels):
    images = pixels[:40].reshape(-1, 8, 8)
    convolutional = quick(network=ConvNetwork(filters=(2,)), max_iter=1).fit(images)
    for call in (
        lambda: AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=2).fit(digits),
        lambda: convolutional.transform(images),
        lambda: fitted.encoder_,
    ):
        assert isinstance(in_fork(call), RuntimeError)


@forks
def test_prediction_goes_on_after_a_fork(in_fork, fitted, digits):
    assert_array_equal(in_fork(lambda: fitted.transform(digits)), fitted.transform(digits))
    assert in_fork(lambda: fitted.score(digits)) == fitted.score(digits)


@forks
def test_a_detector_predicts_after_a_fork(in_fork, digits):
    """Where OpenMP has started threads that the child does not have."""
    detector = AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=2, random_state=0)
    scores = detector.fit(digits).score_samples(digits)
    assert_array_equal(in_fork(lambda: detector.score_samples(digits)), scores)


@pytest.mark.slow
def test_no_warning_anywhere(digits, tmp_path):
    """All estimators, as in a test suite that makes every warning an error."""
    np.save(tmp_path / "digits.npy", digits)
    code = """
import sys
import keras, numpy as np
from skae import *
from skae.networks import ConvNetwork, KerasNetwork
X = np.load(sys.argv[1])
small = {"hidden_layer_sizes": (8,), "max_iter": 2, "tol": None, "random_state": 0}
encoder = keras.Sequential([keras.Input((64,)), keras.layers.Dense(3)])
decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(64)])
for estimator in (
    AutoencoderTransformer(3, **small),
    AutoencoderTransformer(3, optimizer=keras.optimizers.SGD(0.01), loss=keras.losses.LogCosh(),
                           normalization="batch", **small),
    AutoencoderTransformer(3, network=ConvNetwork((2,), image_shape=(8, 8)), **small),
    AutoencoderTransformer(3, network=KerasNetwork(encoder, decoder), **small),
    DenoisingAutoencoder(3, **small),
    VAETransformer(3, **small),
    AEAnomalyDetector(n_steps=20, random_state=0),
    AEClassifier(AutoencoderTransformer(3, **small)),
):
    estimator.fit(X, np.arange(len(X)) % 2)
    for name in ("transform", "score_samples", "predict", "explain", "encoder_"):
        answer = getattr(estimator, name, None)
        answer(X) if callable(answer) else None
    print(type(estimator).__name__)
"""
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "digits.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == 8


@pytest.fixture
def cache_folder(monkeypatch, tmp_path):
    """The function, in a process that has not asked before; the user's caches are empty."""
    monkeypatch.delenv("SKAE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return _process.cache_folder.__wrapped__


@pytest.mark.any_backend
def test_programs_are_kept_among_the_caches_of_the_user(cache_folder, monkeypatch, tmp_path):
    folder = cache_folder()
    assert folder.parent == tmp_path / "skae"
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(_process, "_processor", lambda: "another")
    assert cache_folder() != folder
    assert cache_folder().parent == folder.parent
    monkeypatch.setenv("SKAE_CACHE", str(tmp_path / "mine"))
    assert cache_folder().parent == tmp_path / "mine"


@pytest.mark.any_backend
def test_no_programs_are_kept_where_that_is_off_or_impossible(
    cache_folder, monkeypatch, tmp_path
):
    monkeypatch.setenv("SKAE_CACHE", "off")
    assert cache_folder() is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("SKAE_CACHE", str(tmp_path / "file"))
    assert cache_folder() is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.any_backend
def test_the_oldest_programs_are_removed(cache_folder, monkeypatch):
    folder = cache_folder()
    for day, name in enumerate(["old", "new", "other"]):
        path = folder / f"{name}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (86400 * day, 86400 * day))
    monkeypatch.setattr(_process, "_MOST_ON_DISK", 200)
    cache_folder()
    assert sorted(path.name for path in folder.iterdir()) == ["new-cache", "other-cache"]


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX keeps programs on disk")
def test_a_fresh_process_takes_programs_from_disk(tmp_path):
    """With the same bits; settings of JAX are those of the user before and after."""
    code = """
import sys
import jax
import numpy as np
from skae import AutoencoderTransformer
own, kept = sys.argv[1:], jax.config.jax_compilation_cache_dir
if own:
    jax.config.update("jax_compilation_cache_dir", own[0])
X = np.random.default_rng(0).normal(size=(300, 20))
ae = AutoencoderTransformer(3, max_iter=2, tol=None, random_state=0).fit(X)
assert jax.config.jax_compilation_cache_dir == (own[0] if own else kept)
assert jax.config.jax_persistent_cache_min_compile_time_secs == 1.0
jax.jit(lambda x: (x @ x.T).sum())(X)
print(ae.transform(X).tobytes().hex())
"""

    def fit(*arguments, cache=str(tmp_path / "ours")):
        command = [sys.executable, "-W", "error", "-c", code, *arguments]
        env = os.environ | {"SKAE_CACHE": cache}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def programs(folder):
        return {path: path.stat().st_mtime_ns for path in Path(folder).glob("*/*-cache")}

    code_of_none = fit(cache="off")
    assert fit() == code_of_none
    (kept,) = programs(tmp_path / "ours").items()
    assert "epoch" in kept[0].name
    assert fit() == code_of_none
    assert dict([kept]) == programs(tmp_path / "ours")
    assert fit(str(tmp_path / "own"), cache=str(tmp_path / "none")) == code_of_none
    assert not programs(tmp_path / "none")


@pytest.mark.slow
@pytest.mark.any_backend
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no choice of processors")
def test_one_processor_is_enough_for_programs_with_branches():
    """TensorFlow has one thread there, which must not wait for a branch of the program."""
    code = """if 1:
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.environ["OMP_NUM_THREADS"] = "1"
        import keras, numpy as np, skae
        sgd = keras.optimizers.SGD(1.0, gradient_accumulation_steps=1000)
        X = np.random.RandomState(0).normal(size=(300, 64))
        skae.AutoencoderTransformer(
            3, hidden_layer_sizes=(8,), max_iter=2, batch_size=64, optimizer=sgd,
            init="random", early_stopping=False, tol=None, random_state=0,
        ).fit(X)
    """
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, timeout=4 * PATIENCE
    )
