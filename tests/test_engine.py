"""The compiled epoch: shared, bounded, reproducible, the same for every optimizer."""

import gc
import hashlib
import random
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import joblib
import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from data import data_rng
from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
)
from skae.estimators import _training
from skae.estimators._parameters import OPTIMIZERS
from skae.training import _engine, _train
from skae.training._data import sum_of_squares
from skae.training._optimizers import Stopping
from skae.training._train import EngineCache
from skae.utils._arrays import as_array
from skae.utils._rows import Rows

BACKEND = keras.backend.backend()
KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
only_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="looks into TensorFlow's functions"
)
only_jax = pytest.mark.skipif(BACKEND != "jax", reason="looks into JAX's functions")


def engines(cache):
    return [engine for _, engine in cache._idle]


# Sharing a compilation


@pytest.mark.any_data
def test_what_shares_an_engine(cache, quick, digits):
    quick().fit(digits)
    assert len(cache) == 1
    first = engines(cache)
    quick().fit(digits)
    quick(random_state=1, learning_rate=0.5, max_iter=2, tol=None).fit(digits)
    quick(learning_rate=1e-5, n_iter_no_change=1, validation_fraction=0.2).fit(digits)
    for n_components in (2, 7, 16, 0.5):
        quick(n_components=n_components).fit(digits)
    for n_samples in (299, 297, 250, 200):
        quick().fit(digits[:n_samples])
    quick().fit(digits, sample_weight=np.arange(1, 301))
    quick(early_stopping=False).fit(digits)
    quick(warm_start=True).fit(digits).fit(digits).partial_fit(digits)
    assert engines(cache) == first


@pytest.mark.any_data
def test_what_does_not_share_an_engine(cache, quick, digits):
    quick(max_iter=1).fit(digits)
    others = (
        {"hidden_layer_sizes": (9,)},
        {"activation": "tanh"},
        {"loss": "absolute_error"},
        {"batch_size": 50},
        {"optimizer": "sgd"},
        {"init": "random"},
    )
    for n_engines, other in enumerate(others, start=2):
        quick(max_iter=1, **other).fit(digits)
        assert len(cache) == n_engines, other


def test_an_engine_used_before_gives_the_same_bits(cache, quick, digits, fitted):
    quick(n_components=9, random_state=5, learning_rate=0.1).fit(digits[:280])
    again = quick().fit(digits)
    assert len(cache) == 1
    assert_array_equal(again.transform(digits), fitted.transform(digits))


class Sized:
    """An engine of which only the size counts."""

    def __init__(self, nbytes):
        self.nbytes = nbytes

    def release(self):
        pass


def borrow(cache, *keys, nbytes=1):
    for key in keys:
        with cache.borrow(key, lambda: Sized(nbytes)):
            pass


@pytest.mark.any_data
@pytest.mark.any_backend
def test_the_cache_is_bounded():
    cache = EngineCache(max_size=2)
    borrow(cache, "a", "b", "c")
    assert [key for key, _ in cache._idle] == ["b", "c"]
    borrow(cache, "b", "d")
    assert [key for key, _ in cache._idle] == ["b", "d"]


@pytest.mark.any_data
def test_the_cache_is_bounded_by_memory(cache, quick, digits):
    quick(hidden_layer_sizes=(64,), max_iter=1, penalty=None).fit(digits)
    (engine,) = engines(cache)
    weights = sum(np.prod(w.shape) for w in engine.model.trainable_variables)
    # The weights and Adam's two moments of each.
    assert 3 * 4 * weights <= engine.nbytes <= 3.1 * 4 * weights

    bounded = EngineCache(max_bytes=20)
    borrow(bounded, "a", "b", "c", nbytes=10)
    assert [key for key, _ in bounded._idle] == ["b", "c"]
    bounded.max_bytes = 9
    borrow(bounded, "d", nbytes=10)
    assert "d" not in [key for key, _ in bounded._idle]


@pytest.mark.any_data
@only_tensorflow
def test_nothing_holds_on_to_an_engine_that_was_dropped(empty_cache, quick, blob):
    """Its graph neither, which would take the weights with it."""
    import tensorflow as tf

    quick(max_iter=1).fit(blob)
    # What is made from here on stays among the young, where it is quickly found.
    gc.disable()
    try:
        quick(max_iter=1, batch_size=8).fit(blob)
        # By their type: some modules' objects warn when they are asked for anything.
        young = gc.get_objects(generation=0)
        graphs = [weakref.ref(thing) for thing in young if issubclass(type(thing), tf.Graph)]
    finally:
        gc.enable()
    assert graphs
    del young
    empty_cache._idle.clear()
    gc.collect()
    assert all(graph() is None for graph in graphs)


@pytest.mark.any_data
def test_idle_engines_hold_no_data(cache, quick, digits):
    quick().fit(digits)
    (engine,) = engines(cache)
    assert engine._data == []
    assert engine._state == {}


@pytest.mark.any_data
def test_tables_of_a_few_rows_share_an_engine(cache, quick, digits):
    for n_samples in (300, 35, 30, 20, 9, 3):
        quick(batch_size="auto", max_iter=1).fit(digits[:n_samples])
    assert len(cache) == 1


def test_threads_train_as_if_alone(quick, digits):
    estimators = [quick(random_state=seed, n_components=seed + 2) for seed in range(4)]
    alone = [clone(ae).fit_transform(digits) for ae in estimators]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda ae: ae.fit_transform(digits), estimators))
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one, other)


@pytest.mark.any_data
def test_refits_add_nothing_to_memory(quick, digits):
    def refit(n):
        for seed in range(n):
            quick(random_state=seed).fit(digits)
        gc.collect()
        return len(gc.get_objects())

    before = refit(3)
    # One object a fit would be a leak worth a look; a fresh trace leaves thousands.
    assert refit(20) - before < 20


# Optimizers

RATES = {"adadelta": 10.0, "adagrad": 0.1, "ftrl": 0.5, "sgd": 0.1, "lion": 0.001}


# Keras' Nadam reads a tensor of PyTorch's in a way that NumPy warns of.
@pytest.mark.any_data
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
@pytest.mark.parametrize(
    "optimizer",
    [
        # Keras' own, to which all weights are one vector, as they are to others of them.
        pytest.param(
            name,
            marks=[pytest.mark.slow]
            * (name in ("adadelta", "adagrad", "adamax", "ftrl", "nadam", "rmsprop")),
        )
        for name in sorted(OPTIMIZERS)
    ],
)
def test_every_named_optimizer_learns(quick, pixels, optimizer):
    if optimizer == "muon" and KERAS < (3, 13):
        pytest.skip("Muon of Keras before 3.13 takes no variables of TensorFlow")
    rate = RATES.get(optimizer, 0.01)
    ae = quick(
        optimizer=optimizer, learning_rate=rate, init="random", batch_size=64, max_iter=4
    ).fit(pixels)
    assert min(ae.validation_loss_curve_) < 0.99 * ae.start_loss_
    assert ae.loss_curve_[-1] < ae.loss_curve_[0]


def settle(quick, X, optimizer, **params):
    """Codes after a short fit without early stopping, from a start far from the end."""
    params = {"batch_size": 64, "max_iter": 2, "init": "random", **params}
    return quick(optimizer=optimizer, early_stopping=False, **params).fit_transform(X)


@pytest.mark.parametrize("in_lanes", [False, True])
@pytest.mark.parametrize(
    "shape", [(), (7,), (0,), (10, 143), (300, 242), (3, 3, 8, 64)], ids=str
)
def test_the_length_of_a_gradient(shape, in_lanes):
    gradient = data_rng().normal(size=shape).astype(np.float32)
    total = sum_of_squares(keras.ops.convert_to_tensor(gradient), in_lanes)
    assert_allclose(as_array(total), np.square(gradient).sum(), rtol=1e-5)


@pytest.mark.parametrize("sizes", [(8,), (128, 64)], ids=["one vector", "arrays"])
def test_long_gradients_are_cut_where_the_rate_is_ours(quick, pixels, monkeypatch, sizes):
    params = {"hidden_layer_sizes": sizes, "learning_rate": "auto"}
    free = settle(quick, pixels, "sgd", **params)
    monkeypatch.setattr(_training, "_CLIP_NORM", 1e-12)
    held = settle(quick, pixels, "sgd", **params)
    still = settle(quick, pixels, "sgd", **params | {"learning_rate": 1e-30})
    assert_allclose(held, still, atol=1e-5)
    assert np.abs(free - still).max() > 1e-4


class Product(keras.Model):
    """Loss of each row: its product with weights, whose gradient is the mean row."""

    def __init__(self, shapes=((3,), (2,))):
        super().__init__()
        self.arrays = [self.add_weight(shape=shape, initializer="zeros") for shape in shapes]
        self.built = True

    def call(self, inputs, training=False):
        x, _ = inputs
        return keras.ops.matmul(x, keras.ops.concatenate(self.arrays))


@pytest.mark.parametrize(
    ("size", "clip", "factor"),
    [(0.4, 1.0, 1.0), (0.4, None, 1.0), (5.0, 1.0, 0.2), (5.0, 2.0, 0.4), (5.0, None, 1.0)],
)
def test_only_gradients_longer_than_the_limit_are_cut_to_it(cache, size, clip, factor):
    gradient = size * np.array([0.1, -0.5, 0.5, 0.5, np.sqrt(0.24)], np.float32)
    assert_allclose(np.linalg.norm(gradient), size, rtol=1e-6)
    done = _train.train(
        Product,
        None,
        [np.ones(3, np.float32), np.zeros(2, np.float32)],
        Rows(np.tile(gradient, (8, 1))),
        None,
        optimizer="sgd",
        learning_rate=1.0,
        clip_norm=clip,
        batch_size=8,
        stopping=Stopping(1, 10, None, keep_best=False),
        rng=np.random.RandomState(0),
        monitor=Silent(),
    )
    # Both arrays by one factor, that of their common length.
    weights = np.concatenate(done.weights)
    assert_allclose(weights, [1, 1, 1, 0, 0] - factor * gradient, rtol=1e-5, atol=1e-6)


def test_the_limit_of_gradients_is_one_where_the_rate_is_ours(quick, pixels, monkeypatch):
    limits, run = [], _training.TrainingPlan.run

    def recorded(self, *args, **kwargs):
        limits.append(self.options["clip_norm"])
        return run(self, *args, **kwargs)

    monkeypatch.setattr(_training.TrainingPlan, "run", recorded)
    for rate in ("auto", 0.1):
        quick(init="random", learning_rate=rate).fit(pixels)
    assert limits == [1, None]


def test_an_optimizer_object_is_the_same_as_its_name(quick, pixels):
    by_name = settle(quick, pixels, "adam", learning_rate=0.01)
    by_object = settle(quick, pixels, keras.optimizers.Adam(0.01))
    assert_array_equal(by_name, by_object)


# Where clone copies an optimizer, Keras reads its variables in a way that NumPy warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_an_optimizer_object_is_not_used_up(quick, pixels):
    optimizer = keras.optimizers.Adam(0.01)
    first = settle(quick, pixels, optimizer)
    second = settle(quick, pixels, optimizer)
    assert_array_equal(first, second)
    assert not optimizer.built
    copied = clone(quick(optimizer=optimizer)).optimizer
    assert_allclose(copied.get_config()["learning_rate"], 0.01, rtol=1e-6)


@pytest.mark.parametrize(
    "option",
    [
        {"clipnorm": 1e-12},
        {"clipvalue": 1e-12},
        {"global_clipnorm": 1e-12},
        {"gradient_accumulation_steps": 1000},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_that_hold_an_optimizer_still(quick, pixels, option):
    """Each of them is heeded: with it nothing moves, without it much does."""
    free = settle(quick, pixels, keras.optimizers.SGD(1.0))
    held = settle(quick, pixels, keras.optimizers.SGD(1.0, **option))
    still = settle(quick, pixels, keras.optimizers.SGD(1e-30))
    assert_allclose(held, still, atol=1e-5)
    assert np.abs(free - still).max() > 1e-2


def test_clipping_by_norm_goes_array_by_array(quick, pixels):
    """The weights are one vector for the optimizer, unless that would change the norm."""
    by_array = settle(quick, pixels, keras.optimizers.SGD(1.0, clipnorm=0.01))
    together = settle(quick, pixels, keras.optimizers.SGD(1.0, global_clipnorm=0.01))
    assert np.abs(by_array - together).max() > 1e-4


def test_accumulated_gradients_are_larger_batches(quick, pixels):
    small = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    twice = settle(quick, pixels[:256], small, batch_size=32)
    once = settle(quick, pixels[:256], keras.optimizers.SGD(0.1), batch_size=64)
    assert_allclose(twice, once, atol=1e-5)


def averaging(momentum):
    return keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=momentum)


def test_moving_average_of_the_weights(quick, pixels):
    plain = settle(quick, pixels, keras.optimizers.SGD(1.0))
    # An average that forgets at once is the weights.
    assert_allclose(settle(quick, pixels, averaging(0.0)), plain, atol=1e-6)
    # One that never learns stays where Keras begins it: after the first step.
    one_step = {"batch_size": 300, "max_iter": 1}
    first = settle(quick, pixels, keras.optimizers.SGD(1.0), **one_step)
    stays = settle(quick, pixels, averaging(1.0), batch_size=300, max_iter=3)
    assert_allclose(stays, first, atol=1e-6)
    assert np.abs(plain - first).max() > 1e-3


def test_the_averaged_weights_are_those_judged(quick, pixels):
    ae = quick(optimizer=averaging(1.0), init="random", batch_size=300).fit(pixels)
    later = ae.validation_loss_curve_
    assert ae.start_loss_ > later[0]
    assert_allclose(later, later[0], rtol=1e-6)
    # While the weights themselves go on.
    assert ae.loss_curve_[2] < ae.loss_curve_[1] < ae.loss_curve_[0]


def test_weight_decay_shrinks_the_weights(quick, pixels):
    def size(decay):
        ae = quick(optimizer=keras.optimizers.AdamW(1e-3, weight_decay=decay))
        ae.set_params(init="random", early_stopping=False).fit(pixels)
        return sum(np.square(w).sum() for w in ae._model.weights)

    assert size(50.0) < 0.9 * size(0.0)


def test_learning_rate_schedules(quick, pixels):
    schedules = keras.optimizers.schedules
    # 300 rows in batches of 64: five steps an epoch. After four the rate is zero.
    halting = schedules.PiecewiseConstantDecay([3], [0.1, 0.0])
    one = settle(quick, pixels, "sgd", learning_rate=halting, max_iter=1)
    two = settle(quick, pixels, "sgd", learning_rate=halting, max_iter=2)
    assert_array_equal(one, two)
    constant = settle(
        quick, pixels, "sgd", learning_rate=schedules.ExponentialDecay(0.1, 10, 1.0)
    )
    plain = settle(quick, pixels, "sgd", learning_rate=0.1)
    assert_allclose(constant, plain, atol=1e-6)
    with_object = settle(quick, pixels, keras.optimizers.SGD(halting), max_iter=2)
    assert_array_equal(with_object, two)


@pytest.mark.any_data
def test_schedules_share_an_engine(cache, quick, pixels):
    """With one another, with a constant rate, and whatever the number of steps."""
    schedules = keras.optimizers.schedules
    rates = [
        0.01,
        schedules.CosineDecay(0.01, 10, warmup_target=0.1, warmup_steps=3),
        schedules.CosineDecay(0.01, 20),
        schedules.PolynomialDecay(0.01, 30),
    ]
    for rate in rates:
        settle(quick, pixels, "adam", learning_rate=rate)
    settle(quick, pixels, keras.optimizers.Adam(rates[1]))
    assert len({key[0] for key, _ in cache._idle}) == 1
    by_name = len(cache)
    assert by_name <= 2  # an object may decay weights, and so another program
    for n_steps in (20, 30):
        AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=n_steps).fit(pixels)
    assert len(cache) == by_name + 1


def test_a_schedule_goes_on_where_training_stood(quick, pixels):
    """Two fits of one epoch are one of two, down to the rate of each step."""
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 10, end_learning_rate=0.0)
    params = {"learning_rate": schedule, "optimizer": "sgd", "batch_size": 64}
    apart = quick(**params).partial_fit(pixels).partial_fit(pixels)
    third = apart.transform(pixels)
    # Ten steps are over: the rate is zero from here on, or what rounding leaves of it.
    assert_allclose(apart.partial_fit(pixels).transform(pixels), third, atol=1e-6)


def test_a_rate_that_a_function_gives(quick, pixels):
    def rate():
        return 0.1

    by_function = settle(quick, pixels, keras.optimizers.SGD(rate))
    assert_array_equal(by_function, settle(quick, pixels, keras.optimizers.SGD(0.1)))


# A model made by hand


class SquaredError(keras.Model):
    """Loss of each row under a small network with dropout and normalisation."""

    def __init__(self):
        super().__init__()
        self.network = keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.Dense(8, activation="relu", kernel_initializer="zeros"),
                keras.layers.BatchNormalization(momentum=0.5),
                keras.layers.Dropout(0.5, seed=0),
                keras.layers.Dense(5, kernel_initializer="zeros"),
            ]
        )
        self.built = True

    def call(self, inputs, training=False):
        x, target = inputs
        output = self.network(x, training=training)
        return keras.ops.mean(keras.ops.square(output - target), axis=1)


class Silent:
    def begin(self, training):
        pass

    def end(self, training):
        return False

    def close(self, training):
        pass


def train_by_hand(X, seed, key=None, max_iter=3):
    rng = data_rng()
    shapes = [v.shape for v in SquaredError().trainable_variables]
    weights = [0.3 * rng.normal(size=shape) for shape in shapes]
    return _train.train(
        SquaredError,
        key,
        weights,
        Rows(X.astype("f4")),
        Rows(X[:10].astype("f4")),
        optimizer="adam",
        learning_rate=0.01,
        batch_size=16,
        stopping=Stopping(max_iter, 10, None, keep_best=False),
        rng=np.random.RandomState(seed),
        monitor=Silent(),
    )


def test_dropout_and_moving_statistics(empty_cache, blob):
    first = train_by_hand(blob, seed=1, key="by hand")
    _, (moving_mean, moving_variance) = first.unpack(first.best)
    assert np.abs(moving_mean).max() > 0.01
    assert np.abs(moving_variance - 1).max() > 0.01
    assert first.loss_curve[-1] < first.loss_curve[0]
    assert len(empty_cache) == 1

    again = train_by_hand(blob, seed=1, key="by hand")
    fresh = train_by_hand(blob, seed=1)
    assert len(empty_cache) == 1
    for other in (again, fresh):
        assert other.loss_curve == first.loss_curve
        assert other.validation_curve == first.validation_curve
        for those, these in zip(*(t.unpack(t.best) for t in (first, other)), strict=True):
            for one, two in zip(those, these, strict=True):
                assert_array_equal(one, two)
    assert train_by_hand(blob, seed=2).loss_curve != first.loss_curve


def test_the_kept_epoch_brings_its_statistics(blob):
    """What was kept is judged as it was when it was kept."""
    result = train_by_hand(blob, seed=1)
    weights, statistics = result.unpack(result.best)
    model = SquaredError()
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)
    moving = [v for v in model.non_trainable_variables if "moving" in v.name]
    for variable, value in zip(moving, statistics, strict=True):
        variable.assign(value)
    X = blob[:10].astype("f4")
    losses = as_array(model((X, X), training=False))
    assert_allclose(losses.mean(), result.validation_curve[result.best_iter], rtol=1e-4)


# Determinism


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_same_seed_same_bits(quick, digits, fitted):
    again = quick().fit(digits)
    assert_array_equal(again.transform(digits), fitted.transform(digits))
    assert again.loss_curve_ == fitted.loss_curve_
    assert again.validation_loss_curve_ == fitted.validation_loss_curve_
    other = quick(random_state=1).fit(digits)
    assert np.abs(other.transform(digits) - fitted.transform(digits)).max() > 1e-3


def test_a_generator_as_random_state_moves_on(quick, digits):
    rng = np.random.RandomState(0)
    one = quick(random_state=rng).fit_transform(digits)
    two = quick(random_state=rng).fit_transform(digits)
    assert np.abs(one - two).max() > 0
    again = quick(random_state=np.random.RandomState(0)).fit_transform(digits)
    assert_array_equal(one, again)


def test_without_a_seed_no_two_fits_are_the_same(quick, digits):
    ae = quick(random_state=None, init="random")
    assert np.abs(ae.fit_transform(digits) - ae.fit_transform(digits)).max() > 0


@pytest.mark.slow
def test_same_bits_in_a_fresh_process(fitted, digits, tmp_path):
    np.save(tmp_path / "digits.npy", digits)
    code = f"""
import hashlib, sys
import numpy as np
from skae import AutoencoderTransformer
ae = AutoencoderTransformer(**{fitted.get_params()!r})
X = np.load(sys.argv[1])
print(hashlib.sha256(ae.fit(X).transform(X).tobytes()).hexdigest())
"""
    command = [sys.executable, "-c", code, str(tmp_path / "digits.npy")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == digest(fitted.transform(digits))


@pytest.mark.slow
def test_same_bits_through_joblib(quick, digits):
    estimators = [quick(random_state=seed) for seed in range(2)]
    here = [clone(ae).fit_transform(digits) for ae in estimators]
    there = joblib.Parallel(n_jobs=2)(
        joblib.delayed(AutoencoderTransformer.fit_transform)(ae, digits) for ae in estimators
    )
    for one, other in zip(here, there, strict=True):
        assert_array_equal(one, other)


def test_no_global_generator_is_touched(empty_cache, quick, digits):
    kept = np.random.get_state(), random.getstate()
    try:
        keras.utils.set_random_seed(1)
        expected = as_array(keras.random.uniform((3,)))
        keras.utils.set_random_seed(1)
        numpy_state, python_state = np.random.get_state(), random.getstate()
        quick(random_state=None).fit(digits)
        assert len(empty_cache) == 1
        assert_array_equal(np.random.get_state()[1], numpy_state[1])
        assert np.random.get_state()[2:] == numpy_state[2:]
        assert random.getstate() == python_state
        # Keras before 3.13 goes on with its generator when it is seeded again.
        if KERAS >= (3, 13):
            seen = as_array(keras.random.uniform((3,)))
            assert_array_equal(seen, expected)
    finally:
        np.random.set_state(kept[0])
        random.setstate(kept[1])


def test_global_seeds_change_nothing(empty_cache, quick, digits, fitted):
    kept = np.random.get_state(), random.getstate()
    try:
        keras.utils.set_random_seed(123)
        assert_array_equal(quick().fit_transform(digits), fitted.transform(digits))
    finally:
        np.random.set_state(kept[0])
        random.setstate(kept[1])


@pytest.mark.any_data
@only_tensorflow
def test_a_call_that_checks_its_arguments_computes_the_same():
    import tensorflow as tf

    from skae.training._backend_tensorflow import _of_a_list

    class Checked:
        """What TensorFlow is known to have, and nothing else."""

        def __init__(self, function):
            self.function = function
            self.structured_input_signature = function.structured_input_signature

        def __call__(self, *args):
            return self.function(*args)

    variable = tf.Variable(2.0)
    several = {"others": [tf.TensorSpec([2]), tf.TensorSpec([])]}
    concrete = tf.function(
        lambda state, factor: ({"others": [variable * s for s in state["others"]]}, -factor),
        input_signature=[several, tf.TensorSpec([])],
    ).get_concrete_function()
    tensors = [tf.constant([1.0, 2.0]), tf.constant(3.0), tf.constant(4.0)]
    for function in (concrete, Checked(concrete)):
        state, factor = _of_a_list(function)(tensors)
        assert_array_equal(state["others"][0], [2, 4])
        assert (state["others"][1], factor) == (6, -4)


@only_tensorflow
def test_operations_of_a_small_network_run_one_after_the_other(
    monkeypatch, empty_cache, quick, blob
):
    """With the results of threads; large networks have these, and programs with branches."""
    import tensorflow as tf

    kinds = []

    def executor(kind):
        kinds.append(kind)
        return nullcontext()

    code = quick(max_iter=2).fit_transform(blob)
    monkeypatch.setattr(tf.experimental, "function_executor_type", executor)
    monkeypatch.setattr(_train, "CACHE", EngineCache())
    assert_array_equal(quick(max_iter=2).fit_transform(blob), code)
    assert set(kinds) == {"SINGLE_THREADED_EXECUTOR"}
    kinds.clear()
    quick(max_iter=1, hidden_layer_sizes=(600,)).fit(blob)
    assert not kinds
    accumulating = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    quick(max_iter=2, optimizer=accumulating).fit(blob)
    assert len(kinds) == 1  # to compile


@only_jax
def test_a_device_that_is_told_the_number_of_steps_computes_the_same(
    monkeypatch, cache, quick, digits
):
    from skae.training._backend_jax import JaxEngine

    asked = [quick().fit(rows) for rows in (digits, digits[:200])]
    monkeypatch.setattr(JaxEngine, "_is_accelerated", True)
    monkeypatch.setattr(_train, "CACHE", EngineCache())
    for before, rows in zip(asked, (digits, digits[:200]), strict=True):
        told = quick().fit(rows)
        assert_allclose(told.loss_curve_, before.loss_curve_, rtol=1e-4)
        assert_allclose(told.validation_loss_curve_, before.validation_loss_curve_, rtol=1e-4)


@pytest.mark.xla
@pytest.mark.any_data
@only_tensorflow
def test_xla_pays_for_many_steps_and_sooner_for_many_weights():
    pays = _train._compiles_whole
    assert [pays(True, steps, 1000) for steps in (1999, 2000)] == [False, True]
    assert [pays(True, steps, 200_000) for steps in (999, 1000)] == [False, True]
    assert not pays(False, 10**6, 10**6)
    assert not pays(True, 10, 0)


@pytest.mark.xla
@pytest.mark.slow
@only_tensorflow
def test_xla_computes_the_same(monkeypatch, cache, quick, pixels):
    params = {"optimizer": "sgd", "learning_rate": 0.1, "early_stopping": False}
    plain = quick(**params).fit(pixels)
    monkeypatch.setattr(_train, "_XLA_MIN_STEPS", 0)
    whole = quick(**params).fit(pixels)
    assert sorted(engine.whole_program for engine in engines(cache)) == [False, True]
    assert_allclose(whole.loss_curve_, plain.loss_curve_, rtol=1e-5)
    assert_allclose(whole.transform(pixels), plain.transform(pixels), atol=1e-4)
    assert_array_equal(quick(**params).fit_transform(pixels), whole.transform(pixels))


@pytest.mark.slow
@pytest.mark.xla
@only_tensorflow
def test_xla_with_many_weights_updates_array_by_array(monkeypatch, cache, quick, pixels):
    monkeypatch.setattr(_train, "_XLA_MIN_STEPS", 0)
    together = settle(quick, pixels, "adam")
    monkeypatch.setattr(_engine, "_MOST_FLAT", 0)
    monkeypatch.setattr(_train, "CACHE", EngineCache())
    by_array = settle(quick, pixels, "adam")
    assert [len(engine._params) for engine in engines(cache)] == [1]
    assert [len(engine._params) for engine in engines(_train.CACHE)] == [8]
    assert_allclose(by_array, together, atol=1e-4)


@pytest.mark.xla
@pytest.mark.any_data
@only_tensorflow
def test_large_steps_are_shared_among_the_cores(monkeypatch, cache, quick, digits):
    """XLA's program has one thread on a CPU, and suits a GPU."""
    monkeypatch.setattr(_train, "_XLA_MIN_STEPS", 0)
    monkeypatch.setattr(_train, "_GRAPH_PRODUCTS", 1)
    monkeypatch.setattr(_train, "_GRAPH_ROWS", 33)
    few = quick(max_iter=1, batch_size=64)
    few.fit(digits)
    (engine,) = engines(cache)
    assert not engine.whole_program
    monkeypatch.setattr(type(engine), "has_accelerator", classmethod(lambda cls: True))
    few.fit(digits)
    assert [engine.whole_program for engine in engines(cache)] == [False, True]
