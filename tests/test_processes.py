"""Other processes: forked ones, and fresh ones in which a warning is an error."""

import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import AEAnomalyDetector
from skae.networks import ConvNetwork

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
