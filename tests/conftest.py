"""What the tests share: small data, and estimators that train in a blink."""

import gc
import os

import numpy as np
import pytest

from data import all_digits, data_rng
from settings import QUICK
from skae import AutoencoderTransformer
from skae.corruption import _corruptions
from skae.estimators import _base

# Files that fit much the same: they follow each other, while what one compiled is there for
# the next.
ALIKE = {
    f"test_{name}.py"
    for name in (
        *("copies", "layout", "lazy", "max_iter"),
        *("output_settings", "registries", "saving", "verbose"),
    )
}


def pytest_collection_modifyitems(items):
    """Run the files that are alike last."""
    items.sort(key=lambda item: item.path.name in ALIKE)


@pytest.fixture(autouse=True)
def one_start(request, monkeypatch):
    """Where a test is marked so, PCA is trusted whatever it explains: half the training.

    What is fitted once for many tests starts as it does for users: these fixtures come first.
    """
    if request.node.get_closest_marker("one_start"):
        monkeypatch.setattr(_base, "_SUFFICIENT_SHARE", 0.0)


@pytest.fixture(scope="session", autouse=True)
def no_programs_on_disk():
    """Compiled programs of earlier runs are not used, and none are left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKAE_CACHE", "off")
        yield


@pytest.fixture(scope="session", autouse=True)
def small_pools():
    """A million random numbers for each fit would take longer than most fits here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_corruptions, "_POOL_SIZE", 2**15)
        yield


@pytest.fixture(scope="session", autouse=True)
def room_for_engines():
    """The suite comes back to more shapes than a user does."""
    from skae.training._train import CACHE

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CACHE, "max_size", 192)
        yield


@pytest.fixture(scope="session", autouse=True)
def rounds_of_the_garbage_collector(room_for_engines):
    """None walks what was imported, and few walk the many objects of compiled programs."""
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(*thresholds[:2], 250)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def graphs_as_traced(request):
    """TensorFlow's rewriting of graphs takes a fifth of a compilation, and is not ours.

    Slow tests, some of which compare with fresh processes, have the graphs that users have, and
    with SKAE_OPTIMIZED_GRAPHS=1 all have.
    """
    import keras

    is_quick = "not slow" in request.config.option.markexpr
    is_optimized = not is_quick or os.environ.get("SKAE_OPTIMIZED_GRAPHS")
    if keras.backend.backend() == "tensorflow" and not is_optimized:
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture(scope="session")
def handed_to_xla():
    """Whether each training was, where TensorFlow leaves the choice."""
    import keras

    from skae.training import _train

    chosen, choose = [], _train._compiles_whole

    def recorded(*args):
        chosen.append(choose(*args))
        return chosen[-1]

    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() == "tensorflow":
            patch.setattr(_train, "_compiles_whole", recorded)
        yield chosen


@pytest.fixture(autouse=True)
def xla_is_marked(request, handed_to_xla):
    """What compiles with XLA carries the mark by which it is tried on other instructions."""
    yield
    used = any(handed_to_xla)
    handed_to_xla.clear()
    assert not used or request.node.get_closest_marker("xla"), "mark this test with `xla`"


@pytest.fixture(scope="session")
def quick():
    """Makes an autoencoder that trains in a few steps."""

    def make(**params):
        return AutoencoderTransformer(**{**QUICK, **params})

    return make


@pytest.fixture(scope="session")
def digits():
    """300 digits of 64 pixels between 0 and 16."""
    X = all_digits()[0][:300]
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def pixels(digits):
    """The digits between 0 and 1."""
    X = digits / 16
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def blob():
    """60 rows around a plane in five dimensions, off centre."""
    rng = data_rng()
    X = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5))
    X += 0.1 * rng.normal(size=X.shape) + np.arange(5)
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def fitted(quick, digits):
    """A fitted autoencoder; tests do not change it."""
    return quick().fit(digits)


@pytest.fixture
def empty_cache(monkeypatch):
    """An empty compilation cache."""
    from skae.training import _train

    fresh = _train.EngineCache()
    monkeypatch.setattr(_train, "CACHE", fresh)
    return fresh


@pytest.fixture
def cache(monkeypatch):
    """A compilation cache that is empty to see, and compiles only what no test did before."""
    from skae.training import _train

    earlier, taken = _train.CACHE, []

    class Backed(_train.EngineCache):
        def borrow(self, key, make):
            def found():
                for i, (other, engine) in enumerate(earlier._idle):
                    if other == key:
                        taken.append(engine)
                        del earlier._idle[i]
                        return engine
                return make()

            return super().borrow(key, found)

    fresh = Backed()
    monkeypatch.setattr(_train, "CACHE", fresh)
    yield fresh
    earlier._idle.extend(pair for pair in fresh._idle if pair[1] in taken)


@pytest.fixture
def plt():
    """matplotlib without a screen; figures are drawn, which finds what plot does not."""
    mpl = pytest.importorskip("matplotlib")
    mpl.use("agg")
    import matplotlib.pyplot as plt

    yield plt
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")
