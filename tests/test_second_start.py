"""Where PCA explains little, random weights are tried too, and the better network is kept."""

import pickle
from dataclasses import replace

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skae import DenoisingAutoencoder, VAETransformer
from skae.estimators import _base
from skae.estimators._training import TrainingPlan
from skae.networks import ConvNetwork
from skae.training._engine import Engine
from skae.utils._arrays import as_array

pytestmark = pytest.mark.any_backend

# Of the digits one component explains a seventh.
PARAMS = {"n_components": 1, "hidden_layer_sizes": (32,), "max_iter": 30}


@pytest.fixture
def hindered(monkeypatch):
    """The first start has a single epoch, so that the second is the better one."""
    run = TrainingPlan.run

    def hinder(self, model, rng, init, *args, **kwargs):
        if init == "pca":
            self = replace(self, stopping=replace(self.stopping, max_iter=1))
        return run(self, model, rng, init, *args, **kwargs)

    monkeypatch.setattr(TrainingPlan, "run", hinder)


def test_random_weights_are_kept_where_they_are_better(quick, digits, hindered):
    ae = quick(**PARAMS).fit(digits)
    assert PCA(1).fit(digits).explained_variance_ratio_.sum() < 0.8
    assert ae.init_ == "random"
    assert ae.score(digits) > PCA(1).fit(digits).explained_variance_ratio_.sum()
    assert_array_equal(clone(ae).fit(digits).transform(digits), ae.transform(digits))
    first, second = ae.starts_["pca"], ae.starts_["random"]
    assert first["n_iter"] == 1
    assert second["best_loss"] == ae.best_loss_ < first["best_loss"]
    assert second["n_iter"] == ae.n_iter_
    assert second["loss_curve"] == ae.loss_curve_
    assert second["validation_loss_curve"] == ae.validation_loss_curve_
    assert min(first["seconds"], second["seconds"]) > 0


def test_what_lags_is_given_up(quick, digits, monkeypatch):
    """Random weights that hardly move cannot catch up with PCA."""
    run = TrainingPlan.run

    def hinder(self, model, rng, init, *args, **kwargs):
        rate = self.stopping.rate if init == "pca" else 1e-6
        stopping = replace(self.stopping, rate=rate, n_iter_no_change=4)
        return run(replace(self, stopping=stopping), model, rng, init, *args, **kwargs)

    monkeypatch.setattr(TrainingPlan, "run", hinder)
    ae = quick(**PARAMS, learning_rate="auto").fit(digits)
    assert ae.init_ == "pca"
    assert ae.starts_["random"]["ending"] == "behind"
    assert ae.starts_["pca"]["ending"] == "converged"
    # As soon as the mean of four epochs can be compared.
    assert ae.starts_["random"]["n_iter"] == 8 < ae.n_iter_


def test_the_first_is_kept_where_it_is_better(quick, digits, monkeypatch):
    # A network that hardly moves is still PCA, and random weights are still random.
    slow = quick(**PARAMS, learning_rate=1e-5)
    ae = clone(slow).fit(digits)
    assert ae.init_ == "pca"
    assert ae.n_iter_ == len(ae.validation_loss_curve_) <= 30
    monkeypatch.setattr(_base, "_SUFFICIENT_SHARE", 0.0)
    alone = slow.fit(digits)
    assert_array_equal(ae.transform(digits), alone.transform(digits))
    assert ae.validation_loss_curve_ == alone.validation_loss_curve_


def test_one_start_where_components_explain_much(quick, blob, capsys):
    assert PCA(2).fit(blob).explained_variance_ratio_.sum() > 0.8
    ae = quick(n_components=2, max_iter=4, verbose=True).fit(blob)
    assert ae.init_ == "pca"
    assert "random start" not in capsys.readouterr().out.lower()
    assert ae.n_iter_ <= 4


@pytest.mark.parametrize(
    "params", [{"init": "random"}, {"early_stopping": False}, {"penalty": "l1"}]
)
def test_one_start_where_nothing_can_choose(quick, digits, capsys, params):
    ae = quick(**PARAMS, **params).set_params(max_iter=2, verbose=True).fit(digits)
    # A line for each epoch, and one that says what is kept.
    assert len(capsys.readouterr().out.splitlines()) == ae.n_iter_ + 1 == 3


def test_what_was_kept_is_a_whole_estimator(quick, digits, hindered):
    ae = quick(**PARAMS, warm_start=True).fit(digits)
    code = ae.transform(digits)
    assert_array_equal(pickle.loads(pickle.dumps(ae)).transform(digits), code)
    by_keras = as_array(ae.encoder_(digits.astype("f4")))
    assert_allclose(by_keras, code, rtol=1e-3, atol=1e-3)
    before = ae.best_loss_
    assert ae.init_ == "random"
    assert ae.fit(digits).n_iter_ > 30
    assert ae.best_loss_ <= before


def test_denoising_starts_twice_and_judges_both_on_the_same_noise(digits, hindered):
    params = {**PARAMS, "max_iter": 80, "learning_rate": 0.01, "random_state": 0}
    ae = DenoisingAutoencoder(**params).fit(digits)
    assert ae.init_ == "random"
    assert ae.best_loss_ < ae.starts_["pca"]["best_loss"]


def test_a_likelihood_starts_once(digits):
    vae = VAETransformer(2, hidden_layer_sizes=(8,), max_iter=2, random_state=0).fit(digits)
    assert vae.init_ == "pca"
    assert vae.n_iter_ == 2


def test_convolutional_networks_start_twice_too(quick, pixels):
    images = pixels.reshape(-1, 8, 8)
    params = {"n_components": 2, "network": ConvNetwork(filters=(4,)), "max_iter": 4}
    params["penalty"] = None
    ae = quick(**params).fit(images)
    assert list(ae.starts_) == ["pca", "random"]
    assert ae.best_loss_ == min(start["best_loss"] for start in ae.starts_.values())


@pytest.mark.parametrize(
    ("epoch", "kept", "says"),
    [(1, "pca", "the first start is kept"), (30, "random", r"of epoch \d+ is kept")],
)
def test_interrupted_in_the_second_start(
    quick, digits, hindered, monkeypatch, epoch, kept, says
):
    """The better of what there is by then is kept."""
    ae = quick(**PARAMS, tol=None)
    epochs, run = [], Engine.epoch

    def interrupted(self, order, n_rows, rates=None):
        epochs.append(n_rows > 0)
        if sum(epochs) == 1 + epoch and n_rows > 0:
            raise KeyboardInterrupt
        return run(self, order, n_rows, rates)

    monkeypatch.setattr(Engine, "epoch", interrupted)
    with pytest.warns(ConvergenceWarning, match=f"Interrupted in epoch {epoch}; .*{says}"):
        ae.fit(digits)
    assert ae.init_ == kept
    assert ae.n_iter_ == (1 if kept == "pca" else epoch - 1)
    share = PCA(1).fit(digits).explained_variance_ratio_.sum()
    if kept == "pca":
        # The components themselves may be what is kept: float32 rounds them.
        assert ae.score(digits) > share - 1e-6
    else:
        assert ae.score(digits) > share
