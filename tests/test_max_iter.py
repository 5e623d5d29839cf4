"""Why training ended: an attribute, the last line of `verbose`, a warning at `max_iter`."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

import skae
from settings import QUICK
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.estimators._training import TrainingPlan

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

REACHED = r"Maximum epochs \(max_iter={}\) reached and the optimization hasn't converged yet"
VAE_QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture
def warned():
    """The warnings that a call gives."""

    def call(function, *args, **kwargs):
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            function(*args, **kwargs)
        return [w for w in record if w.category is ConvergenceWarning]

    return call


@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(**QUICK),
        AutoencoderTransformer(**{**QUICK, "learning_rate": "auto"}),
        AutoencoderTransformer(**QUICK, early_stopping=False),
        AutoencoderTransformer(**QUICK, init="random"),
        AutoencoderTransformer(**QUICK, penalty="l1"),
        AutoencoderTransformer(**QUICK, ordered=True),
        DenoisingAutoencoder(**QUICK),
        VAETransformer(3, **VAE_QUICK, warm_up=2),
    ],
    ids=str,
)
def test_a_few_epochs_give_one_warning_at_the_line_of_the_user(estimator, digits, warned):
    (warning,) = warned(estimator.fit, digits)
    assert str(warning.message).startswith(REACHED.replace("\\", "").format(3))
    assert estimator.stop_reason_ == "max_iter"
    # `call` above is where the user stands.
    assert warning.filename == __file__


def test_the_words_are_those_of_scikit_learn(digits, quick, warned):
    theirs, ours = (
        str(warned(each.fit, digits, digits)[0].message)
        for each in (MLPRegressor(hidden_layer_sizes=(8,), max_iter=3), quick())
    )
    for words in ("Maximum", "reached and the optimization hasn't converged yet."):
        assert words in theirs
        assert words in ours


def test_no_warning_where_as_many_epochs_were_asked_for(quick, digits, warned):
    ae = quick(tol=None)
    assert warned(ae.fit, digits) == []
    assert ae.stop_reason_ == "max_iter"
    assert ae.n_iter_ == 3


def test_one_epoch_at_a_time(quick, digits, warned):
    ae = quick()
    assert warned(ae.partial_fit, digits) == warned(ae.partial_fit, digits) == []
    assert ae.stop_reason_ == "max_iter"


def test_each_fit_of_a_warm_start(quick, digits, warned):
    ae = quick(warm_start=True)
    assert len(warned(ae.fit, digits)) == len(warned(ae.fit, digits)) == 1
    assert warned(ae.set_params(max_iter=200, tol=0.1).fit, digits) == []
    assert ae.stop_reason_ == "converged"


@pytest.mark.parametrize("rate", ["auto", 0.005])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_more_epochs_change_nothing_once_training_has_converged(
    quick, digits, warned, rate, early_stopping
):
    params = {"learning_rate": rate, "early_stopping": early_stopping, "tol": 0.05}
    short, long = (quick(**params, max_iter=most) for most in (100, 150))
    assert warned(short.fit, digits) == warned(long.fit, digits) == []
    assert short.stop_reason_ == long.stop_reason_ == "converged"
    assert short.loss_curve_ == long.loss_curve_


def test_a_rate_that_falls_as_max_iter_is_near_has_not_converged(quick, digits, warned):
    """The same training falls at once or later, by how many epochs there are."""
    params = {"learning_rate": "auto", "tol": 0.05}
    enough = quick(**params, max_iter=150)
    assert warned(enough.fit, digits) == []
    held = enough.n_iter_ * 7 // 10
    less = quick(**params, max_iter=held)
    assert len(warned(less.fit, digits)) == 1
    assert less.n_iter_ == held


def test_principal_components_are_a_reason(quick, digits, warned):
    """A network that does not move is no better than they are."""
    ae = quick(max_iter=100, learning_rate=1e-12)
    assert warned(ae.fit, digits) == []
    assert (ae.stop_reason_, ae.init_, ae.best_iter_) == ("pca", "pca", 0)
    assert ae.starts_["pca"]["ending"] == "converged"


def test_what_falls_back_at_max_iter_has_not_converged(quick, digits, warned):
    ae = quick(max_iter=3, learning_rate=1e-9)
    assert len(warned(ae.fit, digits)) == 1
    assert (ae.stop_reason_, ae.best_iter_) == ("max_iter", 0)


def test_a_time_limit_is_no_max_iter(quick, digits, warned):
    pytest.importorskip("sklearn.callback")
    ae = quick().set_callbacks(skae.callbacks.TimeLimit(1e-9))
    assert warned(ae.fit, digits) == []
    assert ae.stop_reason_ == "callback"
    assert ae.n_iter_ == 1


@pytest.mark.parametrize("kept", ["pca", "random"])
def test_of_two_starts_that_which_is_kept_gives_the_reason(
    quick, digits, monkeypatch, warned, kept
):
    run = TrainingPlan.run

    def hinder(self, model, rng, init, *args, first=(), **kwargs):
        n_epochs = {"pca": 2, "random": 30} if kept == "random" else {"pca": 30, "random": 2}
        stopping = replace(self.stopping, max_iter=n_epochs[init])
        done = run(replace(self, stopping=stopping), model, rng, init, *args, **kwargs)
        done.training.ending = "max_iter" if init == "pca" else "converged"
        return done

    monkeypatch.setattr(TrainingPlan, "run", hinder)
    ae = quick(n_components=1, hidden_layer_sizes=(32,), max_iter=30)
    record = warned(ae.fit, digits)
    assert ae.init_ == kept
    assert ae.stop_reason_ == ae.starts_[kept]["ending"]
    assert len(record) == (kept == "pca")


def test_a_failed_or_interrupted_epoch_is_the_reason(quick, digits, monkeypatch, warned):
    from skae.training._engine import Engine

    run = Engine.epoch

    def epoch(self, order, n_rows, rates=None, raised=None):
        if n_rows and len(counted) == 2:
            raise KeyboardInterrupt
        counted.extend([1] * bool(n_rows))
        return run(self, order, n_rows, rates)

    counted = []
    monkeypatch.setattr(Engine, "epoch", epoch)
    interrupted = quick()
    (warning,) = warned(interrupted.fit, digits)
    assert "Interrupted" in str(warning.message)
    assert interrupted.stop_reason_ == "interrupted"
    monkeypatch.undo()
    diverged = quick(learning_rate=1e30)
    (warning,) = warned(diverged.fit, digits)
    assert "not finite" in str(warning.message)
    assert diverged.stop_reason_ == "diverged"


# Estimators that hold several


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)


def test_a_classifier_names_its_classes_once(quick, wine, warned):
    X, y = wine
    labels = np.array(["barbera", "barolo", "grignolino"])[y]
    classifier = AEClassifier(quick(), random_state=0, n_jobs=2)
    (warning,) = warned(classifier.fit, X, labels)
    assert "yet for the autoencoders of the classes ['barbera', 'barolo', 'grignolino']. " in (
        str(warning.message)
    )
    assert warning.filename == __file__
    classifier.set_params(estimator__tol=None)
    assert warned(classifier.fit, X, labels) == []


def test_a_classifier_names_only_those_that_have_not_converged(quick, wine, warned):
    X, y = wine
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    # One class lies on a plane, and its components leave nothing to learn.
    X = np.where((y == 1)[:, np.newaxis], X[:, :2] @ X[:2, :2].T @ X[:2], X)
    estimator = quick(max_iter=12, n_iter_no_change=8, tol=1e-3, early_stopping=False)
    classifier = AEClassifier(estimator, random_state=0)
    (warning,) = warned(classifier.fit, X, y)
    assert "of the classes [0, 2]. " in str(warning.message)
    assert [ae.stop_reason_ for ae in classifier.estimators_][1] in ("converged", "pca")


def test_a_detector_counts_its_autoencoders_once(quick, digits, warned):
    detector = AEAnomalyDetector(scoring="reconstruction", estimator=quick(), cv=3)
    (warning,) = warned(detector.fit, digits)
    assert "yet in 3 of the 3 autoencoders. " in str(warning.message)
    assert warning.filename == __file__
    # They warn again in a fit of their own.
    assert len(warned(detector.estimators_[0].fit, digits)) == 1


def test_a_number_of_steps_is_no_max_iter(digits, warned):
    few = {"hidden_layer_sizes": (8,), "n_steps": 5, "random_state": 0}
    assert warned(AEAnomalyDetector(cv=2, **few).fit, digits) == []
    table = np.where(np.arange(300)[:, np.newaxis] % 7 == np.arange(6), np.nan, digits[:, 2:8])
    assert warned(AEImputer(**few).fit, table) == []


# What is printed, and what is saved


@pytest.mark.parametrize(
    ("params", "ending"),
    [
        ({}, "stopped at max_iter=3, not converged"),
        ({"tol": None}, "stopped at max_iter=3"),
        ({"max_iter": 150, "tol": 0.05}, "converged"),
    ],
)
def test_the_last_line_of_verbose(quick, digits, capsys, params, ending):
    quick(verbose=1, **params).fit(digits)
    assert capsys.readouterr().out.splitlines()[-1].endswith(f" s; {ending}.")


def test_every_reason_has_its_words(quick, digits, capsys):
    from typing import get_args

    from skae.estimators._fit_callbacks import ENDINGS
    from skae.training._train import Ending

    assert {*ENDINGS, "max_iter"} == {*get_args(Ending), "pca"}
    quick(verbose=1, max_iter=100, learning_rate=1e-12).fit(digits)
    assert capsys.readouterr().out.endswith("; converged, no better than the start.\n")


def test_the_reason_is_saved(fitted, tmp_path):
    skae.save(fitted, tmp_path / "ae.skae")
    assert skae.load(tmp_path / "ae.skae").stop_reason_ == fitted.stop_reason_ == "max_iter"


def test_a_warning_that_is_an_error_leaves_what_was_fitted(quick, digits):
    ae = quick(tol=None).fit(digits)
    before = ae.transform(digits)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning, match=REACHED.format(3)):
            ae.set_params(tol=1e-4).fit(digits)
    assert (ae.transform(digits) == before).all()
