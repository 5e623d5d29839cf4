"""keras.distribution: the same models on one device and on two, which JAX makes of one CPU."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("jax")

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

# The number of devices is set before JAX is imported, so this runs in a process of its own.
SCRIPT = """
import json, keras, numpy as np
from sklearn.datasets import load_digits
from skae import AutoencoderTransformer, VAETransformer
from skae.training import _backend_jax

X = load_digits().data[:200]
small = {"init": "random", "max_iter": 4, "tol": None, "random_state": 0}
dense = {"hidden_layer_sizes": (8,), **small}
answers, used = {}, []
load = _backend_jax.JaxEngine.load

def recorded(engine, *args, **options):
    load(engine, *args, **options)
    used.append([len(v.sharding.device_set) for v in engine._state["params"]])

_backend_jax.JaxEngine.load = recorded
two = keras.distribution.DataParallel()

def compared(estimator):
    alone = estimator.fit(X).score_samples(X)
    with two.scope():
        together = estimator.fit(X).score_samples(X)
    return float(np.abs(alone / together - 1).max())

answers["differences"] = [compared(estimator) for estimator in (
    AutoencoderTransformer(3, batch_size=33, dropout=0.2, normalization="batch", **dense),
    AutoencoderTransformer(3, hidden_layer_sizes=(128,), **small),
    VAETransformer(3, hidden_layer_sizes=(8,), max_iter=4, random_state=0),
)]
answers["devices"] = [sorted({n for numbers in used for n in numbers}) for used in (
    used[0::2], used[1::2])]
layouts = keras.distribution.LayoutMap(two.device_mesh)
with keras.distribution.ModelParallel(layout_map=layouts).scope():
    try:
        AutoencoderTransformer(3, **dense).fit(X)
    except ValueError as error:
        answers["error"] = str(error)
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers():
    env = os.environ | {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_same_models_on_two_devices(answers):
    assert answers["devices"] == [[1], [2]]
    assert max(answers["differences"]) < 1e-3


def test_models_that_are_split_are_refused(answers):
    assert "DataParallel" in answers["error"]
    assert "ModelParallel" in answers["error"]
