"""Ctrl-C at any moment of any fit, killed workers: nothing is lost, the next fit is as ever."""

import inspect
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import skae
from data import data_rng
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.tables import TabularEncoder
from skae.training._engine import Engine

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

PACKAGE = str(Path(skae.__file__).parent)

#: How many moments of a fit are tried, between its first call in skae and its last.
N_MOMENTS = 8

QUICK = {"hidden_layer_sizes": (8,), "batch_size": 32, "max_iter": 2, "random_state": 0}


def autoencoder(kind, **params):
    return kind(2, **QUICK, **params)


@pytest.fixture(scope="module")
def rows():
    rng = data_rng(3)
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 6))
    return X + 0.1 * rng.normal(size=X.shape), rng.randint(2, size=60)


def transformed(estimator, X):
    return estimator.transform(X)


def scored(estimator, X):
    return estimator.score_samples(X)


FITS = {
    "AutoencoderTransformer": (lambda: autoencoder(AutoencoderTransformer), transformed),
    "ordered": (lambda: autoencoder(AutoencoderTransformer, ordered=True), transformed),
    "DenoisingAutoencoder": (lambda: autoencoder(DenoisingAutoencoder), transformed),
    "VAETransformer": (lambda: autoencoder(VAETransformer, prior="mixture"), transformed),
    "AEAnomalyDetector": (
        lambda: AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=20, random_state=0),
        scored,
    ),
    "AEClassifier": (
        lambda: AEClassifier(autoencoder(AutoencoderTransformer), random_state=0),
        lambda estimator, X: estimator.predict_proba(X),
    ),
    "AEImputer": (
        lambda: AEImputer(hidden_layer_sizes=(8,), n_steps=20, random_state=0),
        lambda estimator, X: estimator.transform(np.where(np.eye(*X.shape), np.nan, X)),
    ),
    "TabularEncoder": (lambda: TabularEncoder(), transformed),
}
QUICKLY_TRIED = ("AutoencoderTransformer", "AEAnomalyDetector", "TabularEncoder")


class CtrlC:
    """Raises KeyboardInterrupt in the main thread, in the n-th call of a function of skae."""

    def __init__(self, after=None):
        self.after, self.n_calls, self.raised = after, 0, False

    def _called(self, frame, event, _):
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        if code.co_flags & inspect.CO_GENERATOR:  # Python ignores what is raised as one closes
            return
        self.n_calls += 1
        if self.n_calls == self.after:
            self.raised = True
            sys.setprofile(None)
            raise KeyboardInterrupt

    def __enter__(self):
        assert threading.current_thread() is threading.main_thread()
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)


# What an interrupted fit leaves is compiled again, at every moment: a few stand for all.
@pytest.mark.parametrize(
    ("name", "fitted_before"),
    [
        pytest.param(
            name,
            fitted_before,
            marks=[] if fitted_before and name in QUICKLY_TRIED else pytest.mark.slow,
            id=f"{name}-{'refit' if fitted_before else 'fresh'}",
        )
        for name in FITS
        for fitted_before in (False, True)
    ],
)
def test_interrupted_anywhere(rows, name, fitted_before):
    make, answer = FITS[name]
    X, y = rows
    expected = answer(make().fit(X, y), X)
    estimator = make()
    with CtrlC() as counted:
        estimator.fit(X, y)
    rng = data_rng(4)
    for after in np.sort(rng.choice(counted.n_calls, N_MOMENTS, replace=False)) + 1:
        estimator = make()
        if fitted_before:
            estimator.fit(X[::2], y[::2])
            before = answer(estimator, X)
        state = dict(vars(estimator))
        with warnings.catch_warnings(record=True) as record, CtrlC(after) as pressed:
            warnings.simplefilter("always")
            try:
                estimator.fit(X, y)
            except KeyboardInterrupt:
                assert vars(estimator).keys() == state.keys()
                assert all(vars(estimator)[name] is value for name, value in state.items())
                if fitted_before:
                    assert_array_equal(answer(estimator, X), before)
            else:
                # What it came to is kept, and said.
                assert np.isfinite(answer(estimator, X)).all()
                assert any(w.category is ConvergenceWarning for w in record)
        assert pressed.raised
        assert_array_equal(answer(estimator.fit(X, y), X), expected)


def test_an_interrupted_class_ends_the_classifier(rows, monkeypatch):
    """Else Ctrl-C would have to be pressed once for every class."""
    X, y = rows
    classifier = FITS["AEClassifier"][0]().fit(X[::2], y[::2])
    before, epoch, n_epochs = classifier.predict_proba(X), Engine.epoch, []

    def interrupted(self, order, n_rows, rates=None):
        n_epochs.append(n_rows > 0)
        if sum(n_epochs) == 2:
            raise KeyboardInterrupt
        return epoch(self, order, n_rows, rates)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "epoch", interrupted)
        with pytest.warns(ConvergenceWarning), pytest.raises(KeyboardInterrupt):
            classifier.fit(X, y)
    assert sum(n_epochs) == 2
    assert_array_equal(classifier.predict_proba(X), before)


def kills(estimator, X, y=None):
    """A scorer that the system kills."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_worker_is_killed(rows):
    X, _ = rows
    search = GridSearchCV(autoencoder(AutoencoderTransformer), {"n_components": [1, 2]}, cv=2)
    expected = search.fit(X).cv_results_["mean_test_score"]
    with pytest.raises(TerminatedWorkerError):
        clone(search).set_params(n_jobs=2, scoring=kills).fit(X)
    again = clone(search).set_params(n_jobs=2).fit(X)
    assert_array_equal(again.cv_results_["mean_test_score"], expected)
