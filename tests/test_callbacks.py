"""scikit-learn's callbacks see every epoch and may stop training."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae.metrics import reconstruction_score

pytestmark = pytest.mark.any_data

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


def test_every_epoch_is_told(quick, digits):
    recorder = Recorder()
    ae = quick().set_callbacks(recorder).fit(digits)
    assert recorder.begun == ["fit", "epoch", "epoch", "epoch"]
    assert recorder.ended == [("epoch", 0), ("epoch", 1), ("epoch", 2), ("fit", 0)]
    assert (recorder.n_setup, recorder.n_teardown) == (1, 1)
    assert recorder.scores[-1] == ae.score(digits)


def test_epochs_of_a_second_start_are_told_too(quick, digits, two_starts):
    recorder = Recorder()
    ae = quick(n_components=1).set_callbacks(recorder).fit(digits)
    assert recorder.ended == [*(("epoch", i) for i in range(6)), ("fit", 0)]
    assert ae.n_iter_ == 3
    assert recorder.scores[-1] == ae.score(digits)


def test_a_callback_that_stops_the_first_start_stops_the_fit(quick, digits, two_starts):
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
