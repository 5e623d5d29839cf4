"""scikit-learn's callbacks see every epoch and may stop training."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from data import data_rng
from settings import QUICK
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
    callbacks,
)
from skae.anomaly import _training
from skae.callbacks import TimeLimit
from skae.estimators._model import ReconstructionModel
from skae.metrics import reconstruction_score

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

callback = pytest.importorskip("sklearn.callback")


class Recorder:
    """Remembers what it is told; stops, or fails, at the end of an epoch."""

    def __init__(self, stop_at=None, fail_at=None):
        self.stop_at, self.fail_at = stop_at, fail_at
        self.begun, self.ended, self.scores = [], [], []
        self.n_setup = self.n_teardown = 0

    def setup(self, estimator, context):
        self.n_setup += 1

    def teardown(self, estimator, context):
        self.n_teardown += 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(
        self, estimator, context, *, X=None, metadata=None, fitted_estimator=None
    ):
        self.ended.append((context.task_name, context.task_id))
        self.metadata = metadata
        self.scores.append(fitted_estimator.score(X))
        if context.task_name != "epoch":
            return False
        if context.task_id + 1 == self.fail_at:
            raise RuntimeError("the callback fails")
        return context.task_id + 1 == self.stop_at


@pytest.mark.one_start
def test_every_epoch_is_told(quick, digits):
    recorder = Recorder()
    ae = quick().set_callbacks(recorder).fit(digits)
    assert recorder.begun == ["fit", "epoch", "epoch", "epoch"]
    assert recorder.ended == [("epoch", 0), ("epoch", 1), ("epoch", 2), ("fit", 0)]
    assert (recorder.n_setup, recorder.n_teardown) == (1, 1)
    assert recorder.scores[-1] == ae.score(digits)


def test_epochs_of_a_second_start_are_told_too(quick, digits):
    recorder = Recorder()
    ae = quick(n_components=1).set_callbacks(recorder).fit(digits)
    assert recorder.ended == [*(("epoch", i) for i in range(6)), ("fit", 0)]
    assert ae.n_iter_ == 3
    assert recorder.scores[-1] == ae.score(digits)


def test_a_callback_that_stops_the_first_start_stops_the_fit(quick, digits):
    recorder = Recorder(stop_at=2)
    ae = quick(n_components=1).set_callbacks(recorder).fit(digits)
    assert recorder.begun == ["fit", "epoch", "epoch"]
    assert ae.init_ == "pca"


def test_weights_are_told(quick, digits):
    recorder = Recorder()
    weight = np.linspace(1, 2, len(digits))
    quick().set_callbacks(recorder).fit(digits, sample_weight=weight)
    assert_array_equal(recorder.metadata["sample_weight"], weight)


def test_a_callback_stops_training(quick, digits):
    recorder = Recorder(stop_at=2)
    ae = quick(max_iter=5, tol=None).set_callbacks(recorder).fit(digits)
    assert ae.n_iter_ == 2
    assert len(ae.loss_curve_) == 2
    assert recorder.ended == [("epoch", 0), ("epoch", 1), ("fit", 0)]
    assert_array_equal(ae.transform(digits), quick(max_iter=2, tol=None).fit_transform(digits))


def test_watching_changes_nothing(quick, digits, fitted):
    watched = quick().set_callbacks(Recorder()).fit(digits)
    assert_array_equal(watched.transform(digits), fitted.transform(digits))
    assert vars(watched).keys() - vars(fitted).keys() == {"_skl_callbacks"}


def test_a_callback_that_fails_leaves_what_was_fitted(quick, digits):
    recorder = Recorder(fail_at=2)
    ae = quick().fit(digits)
    before = ae.transform(digits)
    attributes = set(vars(ae))
    ae.set_callbacks(recorder).set_params(n_components=5)
    with pytest.raises(RuntimeError, match="the callback fails"):
        ae.fit(digits)
    assert recorder.n_teardown == 1
    assert set(vars(ae)) == attributes | {"_skl_callbacks"}
    assert_array_equal(ae.transform(digits), before)
    ae.set_callbacks().fit(digits)
    assert ae.n_components_ == 5


@pytest.mark.one_start
def test_scoring_monitor_logs_a_score_per_epoch(quick, digits):
    monitor = callback.ScoringMonitor(scoring={"explained": reconstruction_score})
    ae = quick().set_callbacks(monitor).fit(digits)
    # What the task of the whole fit logs beside the epochs is not of interest here.
    log = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(log) == ae.n_iter_
    assert_allclose(log[-1]["explained"], ae.score(digits))
    assert log[0]["explained"] < log[-1]["explained"]


def test_partial_fit_is_one_epoch(quick, digits):
    recorder = Recorder()
    ae = quick().set_callbacks(recorder)
    ae.partial_fit(digits).partial_fit(digits)
    assert recorder.ended == [("epoch", 0), ("fit", 0)] * 2


def test_progress_bar_through_search_and_pipeline(quick, digits, capfd):
    pytest.importorskip("rich")
    pipeline = make_pipeline(StandardScaler(), quick(max_iter=2))
    search = GridSearchCV(
        pipeline, {"autoencodertransformer__n_components": [2, 3]}, cv=2, error_score="raise"
    )
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(digits)
    shown = capfd.readouterr().out
    assert "GridSearchCV" in shown
    assert "AutoencoderTransformer" in shown
    assert not hasattr(search.best_estimator_[-1], "_skl_callbacks")


# What callbacks are given


class Scores(Recorder):
    """Remembers what it is given, and scores it as the guide shows."""

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        super().on_fit_task_begin(estimator, context)
        self.given = X, y, metadata

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        assert all(map(lambda a, b: a is b, self.given, (X, y, metadata)))
        self.code = fitted_estimator.transform(X)
        self.scores.append(fitted_estimator.score(X))
        self.weighted = fitted_estimator.score(X, y, **metadata)


def mixed(n_rows=60):
    rng = data_rng()
    size = rng.normal(size=n_rows)
    kind = np.where(size > rng.normal(size=n_rows), "large", "small")
    return pd.DataFrame({"size": size, "kind": kind, "hole": np.where(size > 1, np.nan, size)})


GIVEN = {
    "array": lambda: data_rng().normal(size=(60, 5)),
    "single precision": lambda: data_rng().normal(size=(60, 5)).astype(np.float32),
    "list": lambda: data_rng().normal(size=(60, 5)).tolist(),
    "frame of numbers": lambda: pd.DataFrame(data_rng().normal(size=(60, 5))),
    "table": mixed,
    "table of polars": lambda: pl.from_pandas(mixed()),
    "images": lambda: data_rng().normal(size=(60, 5, 1)),
    "sparse": lambda: sparse.csc_array(data_rng().poisson(0.5, size=(60, 5)) * 1.0),
}


@pytest.mark.parametrize(
    ("estimator", "weighted", "kind"),
    [
        # All of them hand on what came in one place: one is tried with all that may come.
        pytest.param(
            estimator,
            weighted,
            kind,
            marks=[pytest.mark.slow]
            * (kind != "array" and (estimator, weighted) != (AutoencoderTransformer, True)),
        )
        for estimator, weighted in [
            (AutoencoderTransformer, False),
            (AutoencoderTransformer, True),
            (DenoisingAutoencoder, True),
            (VAETransformer, False),
        ]
        for kind in GIVEN
    ],
)
def test_callbacks_are_given_what_the_user_gave(estimator, kind, weighted):
    """Rows of weight zero too, so that X, y and weights are of one length."""
    X, callback = GIVEN[kind](), Scores()
    weight = (np.arange(60) % 3).astype(float) if weighted else None
    ae = estimator(2, hidden_layer_sizes=(4,), max_iter=2, n_iter_no_change=9, random_state=0)
    ae.set_callbacks(callback).fit(X, sample_weight=weight)
    given, target, metadata = callback.given
    assert given is X
    assert target is X
    assert metadata == {} if weight is None else metadata["sample_weight"] is weight
    assert len(callback.scores) >= 3
    assert callback.scores[-1] == ae.score(X)
    assert callback.weighted == ae.score(X, sample_weight=weight)
    assert_array_equal(callback.code, ae.transform(X))
    ae.partial_fit(X, sample_weight=weight)
    assert callback.given[0] is X


def test_callbacks_are_given_labels_and_targets(digits):
    ae = DenoisingAutoencoder(**QUICK)
    labels, target, weight = np.arange(300), digits[:, ::-1], np.arange(300) % 2
    callback = Scores()
    ae.set_callbacks(callback).fit(digits, labels, sample_weight=weight)
    assert callback.given[1] is labels
    ae.fit(digits, target=target, sample_weight=weight)
    assert callback.given[1] is target
    assert callback.given[2] == {"sample_weight": weight}


def test_scoring_monitor_of_a_table():
    X = mixed()
    monitor = callback.ScoringMonitor(scoring={"explained": reconstruction_score})
    ae = AutoencoderTransformer(1, hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    ae.set_callbacks(monitor).fit(X)
    log = [row for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert_allclose(log[-1]["explained"], ae.score(X))


# A limit to the time


@pytest.fixture
def ticks(monkeypatch):
    """A clock that goes on by a second whenever it is looked at, from the start of a fit."""
    seen = []

    def monotonic():
        seen.append(len(seen))
        return seen[-1]

    monkeypatch.setattr(callbacks, "monotonic", monotonic)
    return seen


def test_time_ends_training_and_the_best_epoch_is_kept(quick, digits, ticks):
    limited = quick(max_iter=50, tol=None).set_callbacks(TimeLimit(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limited.fit(digits)
    plain = quick(max_iter=4, tol=None).fit(digits)
    assert limited.n_iter_ == 4
    assert limited.best_iter_ == plain.best_iter_
    assert_array_equal(limited.transform(digits), plain.transform(digits))


def test_time_that_is_not_up_changes_nothing(quick, digits, fitted, ticks):
    limited = quick().set_callbacks(TimeLimit(100)).fit(digits)
    assert_array_equal(limited.transform(digits), fitted.transform(digits))


@pytest.mark.parametrize("seconds", [2, 5])
def test_time_is_counted_over_both_starts(quick, digits, ticks, seconds):
    """A second start is not begun when it is up, and is stopped when it is up by then."""
    recorder = Recorder()
    ae = quick(n_components=1, tol=None).set_callbacks(recorder, TimeLimit(seconds)).fit(digits)
    assert recorder.ended == [*(("epoch", i) for i in range(seconds)), ("fit", 0)]
    assert ae.n_iter_ <= 3


def test_checks_and_start_take_time(quick, digits, ticks, monkeypatch):
    """The clock runs from the beginning of fit."""
    initialized = ReconstructionModel.initialized

    def slow(self, *args):
        ticks.extend(range(len(ticks), len(ticks) + 10))
        return initialized(self, *args)

    monkeypatch.setattr(ReconstructionModel, "initialized", slow)
    ae = quick(max_iter=50, tol=None).set_callbacks(TimeLimit(5)).fit(digits)
    assert ae.n_iter_ == 1


def test_each_fit_has_its_clock(quick, digits, ticks):
    limit = TimeLimit(2)
    ae = quick(max_iter=50, tol=None).set_callbacks(limit)
    for again in (ae, ae, clone(ae), copy.deepcopy(ae), pickle.loads(pickle.dumps(ae))):
        assert again.fit(digits).n_iter_ == 2
    assert vars(limit) == vars(TimeLimit(2))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_fit_of_a_search_has_its_clock(quick, digits, ticks, n_jobs):
    pipeline = make_pipeline(
        StandardScaler(), quick(max_iter=50, tol=None).set_callbacks(TimeLimit(1))
    )
    search = GridSearchCV(
        pipeline, {"autoencodertransformer__n_components": [2, 3]}, cv=2, error_score="raise"
    )
    with joblib.parallel_config("threading", n_jobs=n_jobs):
        search.fit(digits)
    assert search.best_estimator_[-1].n_iter_ == 1


def test_fits_side_by_side(monkeypatch):
    """One callback, two fits: time is that of the fit whose task has ended."""
    now = iter([0, 10, 12, 13, 14])
    monkeypatch.setattr(callbacks, "monotonic", lambda: next(now))
    limit, one, two = TimeLimit(5), VAETransformer(), VAETransformer()
    fits = [ae.set_callbacks(limit)._init_callback_context(max_subtasks=1) for ae in (one, two)]
    epochs = [fit.subcontext(task_name="epoch") for fit in fits]
    assert limit.on_fit_task_end(one, epochs[0])
    assert not limit.on_fit_task_end(two, epochs[1])
    limit.teardown(one, fits[0])
    assert not limit.on_fit_task_end(one, epochs[0])


def test_a_limit_beside_other_callbacks(digits, ticks):
    recorder = Recorder()
    vae = VAETransformer(2, hidden_layer_sizes=(8,), max_iter=50, tol=None, random_state=0)
    vae.set_callbacks(recorder, TimeLimit(2)).fit(digits)
    assert vae.n_iter_ == 2
    assert recorder.ended == [("epoch", 0), ("epoch", 1), ("fit", 0)]


def test_a_limit_is_set_on_what_has_epochs(quick, digits):
    pipeline = make_pipeline(StandardScaler(), quick()).set_callbacks(TimeLimit(1))
    search = GridSearchCV(quick(), {"n_components": [2, 3]}).set_callbacks(TimeLimit(1))
    for meta in (pipeline, search):
        with pytest.raises(TypeError, match=f"{type(meta).__name__} has none: set it on the"):
            meta.fit(digits)


def test_estimators_of_scikit_learn_take_a_limit(digits):
    limit = TimeLimit(60)
    StandardScaler().set_callbacks(limit).fit(digits)
    LogisticRegression(max_iter=500).set_callbacks(limit).fit(digits / 16, digits[:, 20] > 8)
    assert repr(limit) == "TimeLimit(seconds=60)"


@pytest.mark.parametrize("seconds", [0, -1, None, "60", True, np.nan, np.inf])
def test_bad_seconds(seconds):
    with pytest.raises(ValueError, match="'seconds' parameter of TimeLimit must be"):
        TimeLimit(seconds)


def test_without_callbacks_in_scikit_learn(monkeypatch):
    monkeypatch.setattr(callbacks, "HAS_CALLBACKS", False)
    with pytest.raises(ImportError, match=r"scikit-learn 1\.9 or later; this is"):
        TimeLimit(60)


# Estimators that hold several networks


class Follower(Recorder):
    """Remembers the tasks of a fit; stops each network, or fails, after so many epochs."""

    def __init__(self, stop_at=None, fail_at=None):
        super().__init__(stop_at, fail_at)
        self.given = []

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.given.append((estimator, X, y, metadata))
        self.begun.append((path_of(context), context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.ended.append(path_of(context))
        self.fitted = fitted_estimator
        assert (fitted_estimator is None) == (context.task_name != "fit")
        if context.task_name == "epoch" and context.task_id + 1 == self.fail_at:
            raise RuntimeError("the callback fails")
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_at


def path_of(context):
    """Positions of a task in its parents: () of the fit, (network,) or (network, epoch)."""
    names = []
    while context.parent is not None:
        names.append(context.task_id)
        context = context.parent
    assert context.task_name == "fit"
    return tuple(reversed(names))


def steps(n_steps):
    return {"hidden_layer_sizes": (4,), "batch_size": 1024, "n_steps": n_steps}


TWO_EPOCHS = {"hidden_layer_sizes": (4,), "max_iter": 2, "tol": None, "init": "random"}

# Estimators that train two networks of two epochs each.
WITH_NETWORKS = {
    "detector": lambda **own: AEAnomalyDetector(cv=2, random_state=0, **steps(16), **own),
    "detector by an autoencoder": lambda **own: AEAnomalyDetector(
        cv=2,
        scoring="reconstruction",
        estimator=AutoencoderTransformer(2, **TWO_EPOCHS),
        random_state=0,
        **own,
    ),
    "imputer": lambda **own: AEImputer(random_state=0, **steps(6), **own),
    "classifier": lambda **own: AEClassifier(
        AutoencoderTransformer(2, **TWO_EPOCHS), random_state=0, **own
    ),
}
EPOCHS = [(i, j) for i in range(2) for j in range(2)]


@pytest.fixture
def labelled():
    rng = data_rng()
    labels = np.arange(60) % 2
    return rng.normal(size=(60, 4)) + labels[:, np.newaxis], labels


def outputs(estimator, X):
    if isinstance(estimator, AEImputer):
        return estimator.transform(np.where(np.eye(60, 4) == 1, np.nan, X))
    return estimator.decision_function(X)


@pytest.fixture(params=WITH_NETWORKS)
def make(request):
    return WITH_NETWORKS[request.param]


def test_callbacks_follow_every_epoch_of_every_network(make, labelled):
    follower, (X, y) = Follower(), labelled
    estimator = make().set_callbacks(follower)
    assert estimator.fit(X, y) is estimator
    networks = [((), 2), *(((i,), 2) for i in range(2)), *((path, 0) for path in EPOCHS)]
    assert follower.begun == sorted(networks)
    assert sorted(follower.ended) == sorted(path for path, _ in networks)
    assert follower.ended[:3] == [(0, 0), (0, 1), (0,)]
    assert follower.ended[-1] == ()
    assert (follower.n_setup, follower.n_teardown) == (1, 1)
    for given in follower.given:
        assert all(map(lambda a, b: a is b, given[:3], (estimator, X, y)))
        assert given[3] == {}
    # The fit's end has the estimator as it is then.
    assert_array_equal(outputs(follower.fitted, X), outputs(estimator, X))


def test_following_networks_changes_nothing(make, labelled):
    X, y = labelled
    plain, followed = make().fit(X, y), make().set_callbacks(Follower()).fit(X, y)
    assert_array_equal(outputs(followed, X), outputs(plain, X))
    assert vars(followed).keys() - vars(plain).keys() == {"_skl_callbacks"}
    for autoencoder in getattr(followed, "estimators_", None) or ():
        assert not hasattr(autoencoder, "_skl_callbacks")
    followed.set_callbacks()
    assert vars(followed).keys() == vars(plain).keys()


def test_callbacks_stop_each_network(make, labelled):
    follower, (X, y) = Follower(stop_at=1), labelled
    estimator = make().set_callbacks(follower).fit(X, y)
    assert follower.ended == [(0, 0), (0,), (1, 0), (1,), ()]
    for autoencoder in getattr(estimator, "estimators_", None) or ():
        assert autoencoder.stop_reason_ == "callback"
    if hasattr(estimator, "loss_curve_"):
        assert len(estimator.loss_curve_) == 1


def test_a_callback_that_fails_in_a_network(make, labelled):
    follower, (X, y) = Follower(fail_at=2), labelled
    estimator = make().fit(X, y)
    before, attributes = outputs(estimator, X), set(vars(estimator))
    estimator.set_callbacks(follower)
    with pytest.raises(RuntimeError, match="the callback fails"):
        estimator.fit(2 * X, y)
    assert (follower.n_setup, follower.n_teardown) == (1, 1)
    assert set(vars(estimator)) == attributes | {"_skl_callbacks"}
    assert_array_equal(outputs(estimator, X), before)
    assert not hasattr(getattr(estimator, "estimator", None), "_skl_callbacks")


def test_callbacks_are_taken_down_when_rows_are_refused(make, labelled):
    follower, (X, y) = Follower(), labelled
    with pytest.raises(ValueError, match="inf"):
        make().set_callbacks(follower).fit(np.where(X > 0, np.inf, X), y)
    assert (follower.n_setup, follower.n_teardown) == (1, 1)
    assert follower.begun == []


def test_callbacks_go_into_copies(make):
    follower = Follower()
    estimator = make().set_callbacks(follower)
    assert clone(estimator)._skl_callbacks == [follower]
    (again,) = pickle.loads(pickle.dumps(estimator))._skl_callbacks
    assert vars(again) == vars(follower)
    assert not hasattr(make().set_params(**estimator.get_params()), "_skl_callbacks")


def test_weights_of_networks_are_given(labelled):
    X, y = labelled
    weight = np.linspace(1, 2, 60)
    for name in ("detector", "classifier"):
        follower = Follower()
        WITH_NETWORKS[name]().set_callbacks(follower).fit(X, y, sample_weight=weight)
        assert follower.given[0][3]["sample_weight"] is weight


def test_fit_predict_gives_labels(labelled):
    follower, (X, y) = Follower(), labelled
    WITH_NETWORKS["detector"]().set_callbacks(follower).fit_predict(X, y)
    assert follower.given[0][2] is y
    WITH_NETWORKS["detector"]().set_callbacks(follower).fit_predict(X)
    assert follower.given[-1][2] is X


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_autoencoder_inside_has_its_own_callbacks_too(labelled, n_jobs):
    """Its clones share them; they run for each class, and the classifier's for all of them."""
    inner, outer, (X, y) = Recorder(), Follower(), labelled
    classifier = WITH_NETWORKS["classifier"](n_jobs=n_jobs)
    classifier.estimator.set_callbacks(inner)
    classifier.set_callbacks(outer).fit(X, y)
    assert (inner.n_setup, inner.n_teardown, len(inner.ended)) == (2, 2, 6)
    assert (outer.n_setup, outer.n_teardown) == (1, 1)
    assert sorted(outer.ended) == sorted([(), (0,), (1,), *EPOCHS])
    assert classifier.estimator._skl_callbacks == [inner]
    assert not hasattr(classifier.estimator, "n_iter_")
    for autoencoder in classifier.estimators_:
        assert autoencoder._skl_callbacks == [inner]


def test_both_starts_are_epochs_of_a_network(labelled):
    follower, (X, y) = Follower(), labelled
    autoencoder = AutoencoderTransformer(1, hidden_layer_sizes=(4,), max_iter=2, tol=None)
    AEClassifier(autoencoder, random_state=0).set_callbacks(follower).fit(X, y)
    assert [n for path, n in follower.begun if len(path) == 1] == [4, 4]
    assert len([path for path in follower.ended if len(path) == 2]) <= 8


def test_denoisers_are_trained_in_order_for_callbacks(labelled, monkeypatch):
    """Long training uses two threads without them, with the same result."""
    monkeypatch.setattr(_training, "_STEPS_TO_SHARE", 0)
    follower, (X, _), make = Follower(), labelled, WITH_NETWORKS["detector"]
    followed = make().set_callbacks(follower).fit(X)
    assert follower.ended == [(0, 0), (0, 1), (0,), (1, 0), (1, 1), (1,), ()]
    assert_array_equal(outputs(followed, X), outputs(make().fit(X), X))


def test_an_imputer_without_networks(labelled):
    follower, (X, _) = Follower(), labelled
    for few in (X[:5], X[:, :1]):
        AEImputer(**steps(6)).set_callbacks(follower).fit(few)
    assert follower.ended == [(), ()]


def test_scoring_monitor_of_networks(make, labelled):
    """It scores a fitted estimator, and there is none before the end."""
    X, y = labelled
    monitor = callback.ScoringMonitor(
        scoring={"sum": lambda fitted, X, y: float(np.sum(outputs(fitted, X)))}
    )
    estimator = make().set_callbacks(monitor).fit(X, y)
    (entry,) = monitor.get_logs().data
    assert entry["task_name"] == "fit"
    assert entry["sum"] == float(np.sum(outputs(estimator, X)))


def test_progress_bar_of_networks(make, labelled, capfd):
    pytest.importorskip("rich")
    X, y = labelled
    make().set_callbacks(callback.ProgressBar()).fit(X, y)
    shown = capfd.readouterr().out
    assert shown.count("network") >= 2
    assert "100%" in shown
    # As many rows as before: an imputer is compiled for their number.
    all_rows = [(np.arange(60), np.arange(60))]
    search = GridSearchCV(
        make(), {"random_state": [0, 1]}, cv=all_rows, scoring=lambda *args: 0.0
    )
    search.set_callbacks(callback.ProgressBar()).fit(X, y)
    assert "network" in capfd.readouterr().out
    assert not hasattr(search.best_estimator_, "_skl_callbacks")


def test_each_network_has_its_share_of_the_time(make, labelled, ticks):
    """Of four seconds: one look at the clock at the start, then one after each task."""
    follower, (X, y) = Follower(), labelled
    make().set_callbacks(TimeLimit(4), follower).fit(X, y)
    assert follower.ended == [(0, 0), (0, 1), (0,), (1, 0), (1,), ()]
    make().set_callbacks(TimeLimit(100), follower).fit(X, y)
    assert len(follower.ended) == 6 + 7


@pytest.mark.filterwarnings("ignore:skae.save leaves out callbacks")
def test_networks_with_callbacks_are_saved(make, labelled, tmp_path):
    X, y = labelled
    estimator = make().set_callbacks(TimeLimit(100), Follower()).fit(X, y)
    skae.save(estimator, tmp_path / "estimator.skae")
    again = skae.load(tmp_path / "estimator.skae")
    (limit,) = again._skl_callbacks
    assert limit.seconds == 100
    assert_array_equal(outputs(again, X), outputs(estimator, X))
