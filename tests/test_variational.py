"""VAETransformer: a likelihood that starts at PCA's, codes with a spread, samples."""

import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import skae
from data import data_rng
from settings import QUICK
from skae import AEClassifier, VAETransformer
from skae.losses._likelihood import LIKELIHOODS, divergence
from skae.metrics import reconstruction_score
from skae.networks import ConvNetwork, KerasNetwork
from skae.utils._arrays import as_array
from skae.utils._rows import Rows
from skae.variational import _model
from skae.variational._sampling import _coupled, _quantile

# One epoch in which nothing moves: what is kept is the start.
START = {
    "max_iter": 1,
    "learning_rate": 1e-12,
    "early_stopping": False,
    "prior": "normal",
}


@pytest.fixture(scope="module")
def quick_vae():
    """Makes a variational autoencoder that trains in a few steps."""

    def make(**params):
        return VAETransformer(**{**QUICK, **params})

    return make


@pytest.fixture(scope="module")
def fitted_vae(quick_vae, digits):
    return quick_vae().fit(digits)


@pytest.fixture(scope="module")
def bent():
    """Rows along a parabola: what no linear model can describe."""
    rng = data_rng()
    t = rng.normal(size=400)
    X = np.stack([t, t**2 / 2, -t], axis=1) + 0.1 * rng.normal(size=(400, 3))
    X.flags.writeable = False
    return X


@pytest.fixture(scope="module")
def clusters():
    """Rows around three points, far from each other, in five columns."""
    rng = data_rng()
    centres = np.array([[4, 0, 0, 4, 0], [-4, 3, 0, 0, 0], [0, -4, 3, 0, 4]])
    X = centres[rng.randint(3, size=400)] + rng.normal(size=(400, 5))
    X.flags.writeable = False
    return X


@pytest.fixture(scope="module")
def of_clusters(quick_vae, clusters):
    """Fitted with either prior to the first 300 rows."""
    return {
        prior: quick_vae(n_components=2, prior=prior).fit(clusters[:300])
        for prior in ("normal", "mixture")
    }


# The start


@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_the_start_is_probabilistic_pca(quick_vae, blob, n_components, scale):
    X = scale * blob
    vae = quick_vae(n_components=n_components, noise_floor=1e-3, **START).fit(X)
    pca = PCA(n_components).fit(X)
    # Maximum likelihood divides by the number of rows, PCA by one less.
    ratio = (len(X) - 1) / len(X)
    pca.explained_variance_ *= ratio
    pca.noise_variance_ *= ratio
    assert_allclose(vae.score_samples(X), pca.score_samples(X), rtol=1e-4, atol=1e-3)


def test_the_bound_is_tight_at_the_start(quick_vae, digits):
    """The posterior is the true one, so all draws have the same weight."""
    vae = quick_vae(**START).fit(digits)
    one = clone(vae).set_params(n_draws=1).fit(digits)
    assert_allclose(one.score_samples(digits), vae.score_samples(digits), atol=0.05)
    loss = vae.loss_curve_[0]
    assert_allclose(-loss, vae.score(digits), atol=1.5)


def test_the_start_is_turned_and_pruned(quick_vae, blob):
    """Columns come in the order of their divergence; those without support are the prior."""
    vae = quick_vae(n_components=5, **START).fit(blob)
    mean, std = vae.posterior(blob)
    assert (np.diff(vae.divergence_) <= 1e-6).all()
    assert vae.n_active_ < 5
    idle = vae.divergence_ < 1e-6
    assert_allclose(mean[:, idle], 0, atol=1e-6)
    assert_allclose(std[:, idle], 1, atol=1e-6)


@pytest.mark.any_backend
def test_training_adds_to_the_likelihood(quick_vae, bent):
    train, test = bent[:300], bent[300:]
    vae = quick_vae(n_components=2, hidden_layer_sizes=(16,), max_iter=60).fit(train)
    assert vae.best_iter_ > 0
    assert vae.best_loss_ < vae.start_loss_
    assert vae.score(test) > max(PCA(k).fit(train).score(test) for k in (1, 2)) + 0.3


def test_a_start_that_cannot_be_improved_is_kept(quick_vae, digits):
    vae = quick_vae(learning_rate=1e-12).fit(digits)
    assert vae.best_iter_ == 0
    assert vae.best_loss_ == vae.start_loss_


# The likelihood


def test_score_samples_are_the_same_in_every_call_and_for_every_row(fitted_vae, digits):
    scores = fitted_vae.score_samples(digits)
    assert_array_equal(fitted_vae.score_samples(digits), scores)
    close = {"rtol": 1e-6, "atol": 1e-4}
    assert_allclose(fitted_vae.score_samples(digits[::-1])[::-1], scores, **close)
    assert_allclose(fitted_vae.score_samples(digits[7:8]), scores[7:8], **close)
    assert_allclose(fitted_vae.score(digits), scores.mean())


def normal_rows(codes, centre, spread):
    """Log-density as `log_likelihood` wants it, of rows whose log-likelihood is 3."""
    square = np.square((codes - centre) / spread).sum(axis=2)
    return 3.0 - np.log(spread).sum(axis=1) - 0.5 * square


@pytest.mark.any_backend
def test_draws_go_where_the_encoder_did_not_see_the_row(monkeypatch):
    rng = data_rng()
    mean, std = rng.normal(size=(20, 2)), np.full((20, 2), 0.5)
    points = rng.standard_normal((48, 2))
    log_joint = partial(normal_rows, centre=mean + 1.5, spread=0.8 * std)
    off = np.abs(_model.log_likelihood(mean, std, log_joint, points) - 3)
    monkeypatch.setattr(_model, "_ROUNDS", 1)
    off_before = np.abs(_model.log_likelihood(mean, std, log_joint, points) - 3)
    assert off.mean() < 0.5 * off_before.mean()


@pytest.mark.any_backend
@pytest.mark.parametrize("n_draws", [1, 11, 12, 48, 50])
def test_an_exact_posterior_is_left_alone(n_draws):
    rng = data_rng()
    mean, std = rng.normal(size=(5, 3)), rng.uniform(0.1, 2, size=(5, 3))
    log_joint = partial(normal_rows, centre=mean, spread=std)
    points = rng.standard_normal((n_draws, 3))
    found = _model.log_likelihood(mean, std, log_joint, points)
    assert_allclose(found, np.full(5, 3.0), rtol=1e-10)


@pytest.mark.parametrize("times", [1e6, 1e25])
def test_rows_far_away_have_a_likelihood(fitted_vae, digits, times):
    scores = fitted_vae.score_samples(np.vstack([digits[:3], times * digits[3:6]]))
    assert np.isfinite(scores).all()
    close = {"rtol": 1e-6, "atol": 1e-4}
    assert_allclose(scores[:3], fitted_vae.score_samples(digits[:3]), **close)
    assert (scores[3:] < -(times**1.5)).all()


def test_score_takes_weights(fitted_vae, digits):
    weight = np.arange(len(digits))
    expected = np.average(fitted_vae.score_samples(digits), weights=weight)
    assert_allclose(fitted_vae.score(digits, sample_weight=weight), expected)


@pytest.mark.any_backend
def test_it_is_a_density(quick_vae, bent):
    """In the units of the data it integrates to one."""
    X = 7 * bent[:, :2] + 3
    vae = quick_vae(n_components=1, max_iter=10, n_draws=128).fit(X)
    axes = [np.linspace(*(X[:, j].mean() + 50 * np.array([-1, 1])), 161) for j in (0, 1)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    density = np.exp(vae.score_samples(grid.reshape(-1, 2))).reshape(161, 161)
    mass = integrate.simpson(integrate.simpson(density, x=axes[1]), x=axes[0])
    assert_allclose(mass, 1, atol=0.05)


@pytest.mark.any_backend
def test_weighted_draws_are_nearer_than_the_bound(quick_vae, bent):
    vae = quick_vae(n_components=2, max_iter=30).fit(bent)
    assert vae.score(bent) > -vae._model.losses(Rows(bent)).mean() + 0.01


def test_variance_explained_is_given_by_the_metric(fitted_vae, digits):
    assert 0.2 < reconstruction_score(fitted_vae, digits) < 1


def test_single_precision(quick_vae, digits):
    rows = digits.astype("f4")
    vae = quick_vae().fit(rows)
    assert vae.transform(rows).dtype == np.float32
    assert vae.score_samples(rows).dtype == np.float32
    assert_allclose(vae.score_samples(rows), vae.score_samples(digits), rtol=1e-3)


# Codes and samples


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "method", ["score_samples", "score", "posterior", "transform", "reconstruct"]
)
def test_not_fitted(digits, method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(VAETransformer(), method)(digits)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        VAETransformer().sample()


@pytest.mark.any_backend
@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "3", None, True])
def test_how_many_samples(fitted_vae, n_samples):
    with pytest.raises(ValueError, match="'n_samples' parameter of sample must be an int"):
        fitted_vae.sample(n_samples)
    assert fitted_vae.sample(np.int64(2)).shape == (2, 64)


def test_posterior(fitted_vae, digits):
    mean, std = fitted_vae.posterior(digits)
    assert_array_equal(mean, fitted_vae.transform(digits))
    assert std.shape == mean.shape
    assert (std > 0).all()
    kl = divergence(np, mean, 2 * np.log(std))
    assert_allclose(kl.mean(axis=0), fitted_vae.divergence_, rtol=0.1)


@pytest.mark.any_backend
@pytest.mark.parametrize("sampling", ["residuals", "likelihood"])
def test_samples_have_the_moments_of_the_data(quick_vae, blob, sampling):
    vae = quick_vae(n_components=2, sampling=sampling, **START).fit(blob)
    rows = vae.sample(20_000, random_state=0)
    assert_allclose(rows.mean(axis=0), blob.mean(axis=0), atol=0.1)
    # Quantiles are those of a sample, too.
    atol = 0.15 if sampling == "likelihood" else 0.3
    assert_allclose(np.cov(rows.T), np.cov(blob.T), atol=atol)
    quiet = vae.sample(20_000, random_state=0, noise=False)
    assert (quiet.var(axis=0) < rows.var(axis=0)).all() or sampling == "residuals"


def payments(n_samples):
    """A spike at zero, whole numbers, two columns never positive together, their sum."""
    rng = data_rng()
    kind = rng.randint(3, size=n_samples)
    amount = rng.gamma(2.0, 20.0, size=n_samples).round(2)
    first, second = (np.where(kind == i, amount, 0.0) for i in (1, 2))
    whole = rng.poisson(3, n_samples) + 5 * kind
    return np.column_stack([first, second, whole, first + second])


@pytest.mark.any_backend
def test_samples_have_the_spikes_and_the_dependencies_of_the_rows():
    X = payments(600)
    vae = VAETransformer(3, max_iter=15, random_state=0).fit(X)
    drawn = vae.sample(2000, random_state=0)
    assert_allclose((drawn == 0).mean(axis=0), (X == 0).mean(axis=0), atol=0.07)
    assert set(np.unique(drawn[:, 2])) <= set(np.arange(X[:, 2].max() + 1))
    assert (drawn.min(axis=0) >= X.min(axis=0)).all()
    assert (drawn.max(axis=0) <= X.max(axis=0)).all()
    assert (drawn[:, :2] > 0).all(axis=1).mean() < 0.05
    vae = VAETransformer(3, max_iter=15, sampling="likelihood", random_state=0).fit(X)
    assert (vae.sample(2000, random_state=0)[:, :2] > 0).all(axis=1).mean() > 0.2


@pytest.mark.any_backend
def test_rows_without_weight_are_not_sampled(blob):
    far = np.vstack([blob, blob + 100])
    weight = np.repeat([1.0, 0.0], len(blob))
    vae = VAETransformer(2, max_iter=3, tol=None, random_state=0).fit(far, sample_weight=weight)
    assert vae.sample(500, random_state=0).max() <= blob.max() + 1e-6
    assert len(vae._residuals.rows) <= len(blob)


@pytest.mark.any_backend
def test_no_row_is_kept_for_the_noise_of_the_likelihood(quick_vae, blob, tmp_path):
    vae = quick_vae(n_components=2, **START).fit(blob)
    assert np.isin(vae._residuals.rows.inputs, blob).all()
    drawn = vae.sample(5, random_state=0)
    path = tmp_path / "vae.skae"
    skae.save(vae, path)
    assert_array_equal(skae.load(path).sample(5, random_state=0), drawn)
    vae.set_params(sampling="likelihood").fit(blob)
    assert vae._residuals is None
    assert vae.partial_fit(blob).sample(3, random_state=0).shape == (3, blob.shape[1])


def test_quantiles_keep_ties_and_lie_between_single_values():
    values = np.array([0.0, 0, 0, 0, 1, 2, 4, 4, 7, 9])
    share = np.array([0, 0.3, 0.39, 0.4, 0.45, 0.5, 0.65, 0.85, 0.999])
    expected = [0, 0, 0, 1, 1.5, 2, 4, 8, 9]
    assert_allclose(_quantile(values, share), expected)


@pytest.mark.parametrize("binary", [False, True])
def test_coupled_flags_have_the_new_probabilities_and_mostly_the_old_values(binary):
    n_samples, rng = 40_000, np.random.RandomState(0)
    before, after = (
        np.array([[0.7], [0.45]]) if binary else np.array([[0.6, 0.3, 0.1], [0.3, 0.4, 0.3]])
    )
    if binary:
        flags = (rng.uniform(size=(n_samples, 1)) < before).astype(float)
        common = 1 - abs(before - after)[0]
    else:
        flags = np.eye(3)[rng.choice(3, n_samples, p=before)]
        common = np.minimum(before, after).sum()
    shared = rng.uniform(size=(n_samples, 1))
    shares = (np.tile(share, (n_samples, 1)) for share in (before, after))
    coupled = _coupled(flags, *shares, shared, rng, binary)
    assert_allclose(coupled.mean(axis=0), after, atol=0.01)
    assert abs((coupled == flags).all(axis=1).mean() - common) < 0.01


def test_samples_come_from_random_state(fitted_vae):
    assert fitted_vae.sample().shape == (1, 64)
    once, again = (fitted_vae.sample(5, random_state=1) for _ in range(2))
    assert_array_equal(once, again)
    assert np.abs(once - fitted_vae.sample(5, random_state=2)).max() > 0
    before = np.random.get_state()[1].copy()
    fitted_vae.sample(5)
    assert_array_equal(np.random.get_state()[1], before)


def test_images_come_back_as_images(quick_vae, digits):
    images = digits.reshape(-1, 8, 8)
    vae = quick_vae().fit(images)
    assert vae.sample(4, random_state=0).shape == (4, 8, 8)
    assert vae.noise_.shape == (8, 8)
    assert_array_equal(vae.score_samples(images), vae.score_samples(digits))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_set_output_names_the_code(quick_vae, digits):
    pytest.importorskip("pandas")
    vae = quick_vae().set_output(transform="pandas").fit(digits)
    assert list(vae.transform(digits).columns) == [f"vaetransformer{i}" for i in range(3)]


# The prior


def test_a_mixture_is_the_better_prior_of_clusters(of_clusters, clusters):
    normal, mixture = of_clusters["normal"], of_clusters["mixture"]
    assert normal.prior_ is None
    assert mixture.prior_.means_.shape == (mixture.prior_.n_components, 2)
    assert_array_equal(mixture.transform(clusters), normal.transform(clusters))
    assert mixture.score(clusters[300:]) > normal.score(clusters[300:]) + 0.2


def test_samples_of_a_mixture_lie_in_the_clusters(of_clusters, clusters):
    def distance(vae):
        rows = vae.sample(300, random_state=0)
        squares = np.square(rows[:, None] - clusters[None, :300]).sum(axis=2)
        return np.sqrt(squares.min(axis=1)).mean()

    assert distance(of_clusters["mixture"]) < 0.9 * distance(of_clusters["normal"])
    assert_array_equal(*(of_clusters["mixture"].sample(5, random_state=1) for _ in range(2)))


def test_no_row_loses_more_than_the_share_of_the_normal(of_clusters, clusters):
    """However far from all others it is."""
    rows = np.concatenate([clusters, 10 * clusters, -3 * clusters])
    normal, mixture = (of_clusters[prior].score_samples(rows) for prior in of_clusters)
    assert (mixture - normal).min() > -np.log(20) - 1e-6


@pytest.mark.any_backend
def test_with_a_mixture_it_is_a_density(quick_vae, clusters):
    X = 2 * clusters[:, [0, 3]] + 3
    vae = quick_vae(n_components=1, max_iter=10, n_draws=128).fit(X)
    assert vae.prior_ is not None
    axes = [np.linspace(*(X[:, j].mean() + 60 * np.array([-1, 1])), 161) for j in (0, 1)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    density = np.exp(vae.score_samples(grid.reshape(-1, 2))).reshape(161, 161)
    mass = integrate.simpson(integrate.simpson(density, x=axes[1]), x=axes[0])
    assert_allclose(mass, 1, atol=0.05)


def test_too_few_rows_leave_the_standard_normal(quick_vae, clusters):
    assert quick_vae(n_components=2).fit(clusters[:9]).prior_ is None


@pytest.mark.any_backend
def test_outliers_break_nothing(quick_vae, clusters):
    X = clusters.copy()
    X[::50] *= 1e6
    vae = quick_vae(n_components=2).fit(X)
    assert np.isfinite(vae.score_samples(X)).all()
    assert np.isfinite(vae.sample(5, random_state=0)).all()


@pytest.mark.any_backend
def test_partial_fit_leaves_the_standard_normal(quick_vae, clusters):
    vae = quick_vae(n_components=2).fit(clusters)
    assert vae.prior_ is not None
    assert vae.partial_fit(clusters).prior_ is None


@pytest.mark.any_backend
def test_a_fit_that_goes_on_fits_the_prior_again(quick_vae, clusters):
    vae = quick_vae(n_components=2, warm_start=True).fit(clusters)
    before = vae.prior_
    assert vae.fit(clusters).prior_ is not before
    assert vae.set_params(prior="normal").fit(clusters).prior_ is None


@pytest.mark.any_backend
def test_without_rows_held_out_some_are_kept_from_the_mixture(quick_vae, clusters):
    vae = quick_vae(n_components=2, early_stopping=False).fit(clusters[:300])
    normal = clone(vae).set_params(prior="normal").fit(clusters[:300])
    assert vae.prior_ is not None
    assert vae.score(clusters[300:]) > normal.score(clusters[300:]) + 0.2


@pytest.mark.any_backend
def test_the_mixture_heeds_weights(quick_vae, clusters):
    """Rows with little weight are seldom drawn."""
    right = clusters[:, 0] > 2
    weight = np.where(right, 1.0, 0.02)
    vae = quick_vae(n_components=2).fit(clusters, sample_weight=weight)
    assert vae.prior_ is not None
    # A twentieth comes from the standard normal.
    assert (vae.sample(500, random_state=0)[:, 0] > 1).mean() > 0.8


@pytest.mark.any_backend
def test_a_mixture_in_single_precision(quick_vae, of_clusters, clusters):
    rows = clusters.astype("f4")
    vae = quick_vae(n_components=2).fit(rows[:300])
    assert vae.score_samples(rows).dtype == np.float32
    expected = of_clusters["mixture"].score(clusters[300:])
    assert_allclose(vae.score(rows[300:]), expected, rtol=0.02)


@pytest.mark.any_backend
def test_a_mixture_of_bits(quick_vae, clusters):
    bits = (np.repeat(clusters, 3, axis=1) > 1).astype(float)
    vae, normal = (
        quick_vae(n_components=2, likelihood="bernoulli", max_iter=10, prior=prior).fit(bits)
        for prior in ("mixture", "normal")
    )
    assert vae.prior_ is not None
    assert vae.score(bits) > normal.score(bits)
    assert set(np.unique(vae.sample(10, random_state=0))) == {0, 1}


def test_the_prior_is_saved(of_clusters, clusters):
    vae = of_clusters["mixture"]
    again = pickle.loads(pickle.dumps(vae))
    assert_array_equal(again.score_samples(clusters), vae.score_samples(clusters))
    assert_array_equal(again.sample(3, random_state=0), vae.sample(3, random_state=0))


# Bits


def test_bernoulli(quick_vae, pixels):
    bits = (pixels > 0.5).astype(float)
    vae = quick_vae(likelihood="bernoulli", max_iter=5).fit(bits)
    assert vae.noise_ is None
    p = np.clip(bits.mean(axis=0), 1e-3, 1 - 1e-3)
    independent = (bits * np.log(p) + (1 - bits) * np.log(1 - p)).sum(axis=1).mean()
    assert vae.score(bits) > independent
    assert vae.score_samples(bits).max() < 0
    means = vae.sample(10, random_state=0, noise=False)
    assert ((means > 0) & (means < 1)).all()
    assert set(np.unique(vae.sample(10, random_state=0))) == {0, 1}


@pytest.mark.any_backend
def test_bernoulli_wants_the_unit_interval(quick_vae, digits):
    with pytest.raises(ValueError, match=r"likelihood='bernoulli' needs X in \[0, 1\]"):
        quick_vae(likelihood="bernoulli").fit(digits)


# What is trained


def test_parts_add_up(quick_vae, digits):
    vae = quick_vae(warm_start=True).fit(digits).fit(digits)
    for parts, curve in (
        (vae.loss_parts_, vae.loss_curve_),
        (vae.validation_loss_parts_, vae.validation_loss_curve_),
    ):
        assert set(parts) == {"reconstruction", "kl"}
        assert len(parts["kl"]) == len(curve) == vae.n_iter_ == 6
        assert_allclose(np.add(parts["reconstruction"], parts["kl"]), curve, rtol=1e-5)
        assert (np.array(parts["kl"]) > 0).all()


def test_without_rows_held_out_there_are_no_validation_parts(quick_vae, digits):
    assert quick_vae(early_stopping=False).fit(digits).validation_loss_parts_ is None


def test_validation_is_the_same_for_the_same_weights(quick_vae, digits):
    """The draws of the rows held out do not change from epoch to epoch."""
    vae = quick_vae(learning_rate=1e-12).fit(digits)
    assert_allclose(vae.validation_loss_curve_, vae.start_loss_, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*collapsed:sklearn.exceptions.ConvergenceWarning")
def test_beta_presses_the_code_to_the_prior(quick_vae, digits):
    free, pressed = (
        quick_vae(init="random", beta=beta, max_iter=15, early_stopping=False).fit(digits)
        for beta in (0.01, 10.0)
    )
    assert free.divergence_.sum() > pressed.divergence_.sum() + 1


def test_beta_at_zero_costs_nothing(quick_vae, digits):
    assert_allclose(quick_vae(beta=0).fit(digits).loss_parts_["kl"], 0)


def test_warm_up(quick_vae, digits):
    """The divergence counts in steps, from nearly nothing to its whole."""
    plain = quick_vae(**{**START, "max_iter": 4}).fit(digits)
    slow = quick_vae(**{**START, "max_iter": 4}, warm_up=2).fit(digits)
    share = np.divide(slow.loss_parts_["kl"], plain.loss_parts_["kl"])
    assert_allclose(share, [0.275, 0.775, 1, 1], atol=0.02)
    twice = quick_vae(**START, warm_up=2, warm_start=True).fit(digits).fit(digits)
    assert_allclose(twice.loss_parts_["kl"], slow.loss_parts_["kl"][:2], rtol=0.02)


def test_free_bits_cost_the_same_whether_they_are_used_or_not(quick_vae, digits):
    vae = quick_vae(free_bits=50.0, **START).fit(digits)
    assert_allclose(vae.loss_parts_["kl"], 3 * 50.0, rtol=1e-5)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_settings_compile_nothing(quick_vae, digits, cache):
    for params in ({}, {"beta": 2.0}, {"warm_up": 3}, {"free_bits": 0.1}, {"n_components": 5}):
        quick_vae(**params).fit(digits)
    assert len(cache) == 1


# Collapse


@pytest.mark.any_backend
def test_what_collapses_is_named(quick_vae, digits):
    vae = quick_vae(beta=1e4, max_iter=30, early_stopping=False, learning_rate=0.05)
    with pytest.warns(ConvergenceWarning, match=r"columns of the code have collapsed"):
        vae.fit(digits)
    assert vae.n_active_ < 3


@pytest.mark.any_backend
def test_columns_that_the_data_do_not_support_are_no_collapse(quick_vae, blob):
    vae = quick_vae(n_components=5, **START).fit(blob)
    assert vae.n_active_ < vae.n_components_ == 5


# The house


def test_partial_fit(quick_vae, digits):
    vae = quick_vae()
    for _ in range(3):
        vae.partial_fit(digits)
    assert vae.n_iter_ == 3
    assert len(vae.loss_parts_["kl"]) == 3


def test_same_seed_same_bits(quick_vae, digits, fitted_vae):
    again = quick_vae().fit(digits)
    assert_array_equal(again.score_samples(digits), fitted_vae.score_samples(digits))


@pytest.mark.slow
@pytest.mark.any_data
@pytest.mark.any_backend
def test_a_pickle_needs_no_keras(fitted_vae, digits, tmp_path):
    path = tmp_path / "vae.pickle"
    path.write_bytes(
        pickle.dumps((fitted_vae, digits[:5], fitted_vae.score_samples(digits[:5])))
    )
    code = (
        "import pickle, sys, numpy as np\n"
        f"vae, X, scores = pickle.load(open({str(path)!r}, 'rb'))\n"
        "assert np.array_equal(vae.score_samples(X), scores)\n"
        "vae.inverse_transform(vae.transform(X)), vae.sample(3)\n"
        "assert 'keras' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_keras_models(fitted_vae, digits):

    code = as_array(fitted_vae.encoder_(digits.astype("f4")))
    assert_allclose(code, fitted_vae.transform(digits), atol=1e-4)
    rows = as_array(fitted_vae.decoder_(code))
    assert_allclose(rows, fitted_vae.reconstruct(digits), atol=1e-3)


@pytest.mark.any_backend
def test_likelihoods_are_nats():
    x, output = np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])
    bits = LIKELIHOODS["bernoulli"].per_sample(np, x, output, None)
    assert_allclose(bits, 2 * np.log(2), rtol=1e-6)
    squares = LIKELIHOODS["gaussian"].per_sample(np, x, output, np.array([1.0, 0.25]))
    assert_allclose(squares, 0.125 + 0.5 + np.log(2 * np.pi) + np.log(0.5))


@pytest.mark.any_backend
def test_the_classifier_refuses_it(quick_vae, digits):
    with pytest.raises(ValueError, match=r"score_samples is minus an error.*VAETransformer"):
        AEClassifier(quick_vae()).fit(digits, np.arange(len(digits)) % 2)


# Networks


@pytest.mark.any_data
def test_a_convolutional_posterior(pixels):
    """It starts where the dense one does, and draws images."""
    images = pixels.reshape(-1, 8, 8)
    params = {"n_components": 3, "prior": "normal", "random_state": 0}
    params |= {"max_iter": 1, "learning_rate": 1e-12}
    params["hidden_layer_sizes"] = (8,)
    vae = VAETransformer(network=ConvNetwork(filters=(4, 4)), **params).fit(images)
    dense = VAETransformer(**params).fit(images)
    assert_allclose(vae.score(images), dense.score(images), rtol=1e-3)
    assert vae.sample(2, random_state=0).shape == (2, 8, 8)
    assert vae.interpolate(images[:1], images[1:2], n_steps=3).shape == (1, 3, 8, 8)


@pytest.mark.any_backend
def test_models_of_ones_own_are_refused(pixels):
    network = KerasNetwork(lambda shape, n: None, lambda n, shape: None)
    with pytest.raises(ValueError, match="network must be a ConvNetwork, a RecurrentNetwork"):
        VAETransformer(network=network).fit(pixels)
