"""Training starts at PCA and never ends below it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from data import data_rng
from skae.utils._rows import significantly_lower

pytestmark = pytest.mark.any_backend

# One epoch in which nothing moves: what is kept is the start.
START = {"max_iter": 1, "learning_rate": 1e-12}


def pca_reconstruction(X, n_components, rows=None):
    pca = PCA(n_components, svd_solver="full").fit(X)
    rows = X if rows is None else rows
    return pca.inverse_transform(pca.transform(rows))


@pytest.mark.parametrize("n_components", [1, 3, 20])
def test_the_start_is_pca(quick, digits, n_components):
    ae = quick(n_components=n_components, **START).fit(digits)
    expected = pca_reconstruction(digits, n_components)
    assert_allclose(ae.reconstruct(digits), expected, atol=1e-3)


@pytest.mark.parametrize("hidden", [(), (8, 6)])
def test_the_start_is_pca_with_any_depth(quick, digits, hidden):
    ae = quick(hidden_layer_sizes=hidden, **START).fit(digits)
    assert_allclose(ae.reconstruct(digits), pca_reconstruction(digits, 3), atol=1e-3)


def test_the_code_starts_at_the_principal_components(quick, digits):
    """Up to their sign and the one scale of the data."""
    code = quick(**START).fit(digits).transform(digits)
    components = PCA(3, svd_solver="full").fit_transform(digits)
    ratio = np.abs(code).max(axis=0) / np.abs(components).max(axis=0)
    assert_allclose(ratio, ratio[0], rtol=1e-3)
    assert_allclose(np.abs(code), np.abs(components) * ratio[0], atol=1e-3)


def test_weighted_start(quick, digits):
    weight = data_rng().randint(1, 4, len(digits))
    ae = quick(**START).fit(digits, sample_weight=weight)
    repeated = np.repeat(digits, weight, axis=0)
    expected = pca_reconstruction(repeated, 3, digits)
    assert_allclose(ae.reconstruct(digits), expected, atol=1e-3)
    assert np.abs(expected - pca_reconstruction(digits, 3)).max() > 0.1


def test_float32_starts_at_pca_too(quick, digits):
    ae = quick(**START).fit(digits.astype("f4"))
    assert_allclose(ae.reconstruct(digits), pca_reconstruction(digits, 3), atol=1e-2)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("n_samples", [300, 40])
def test_a_share_of_variance_means_what_it_means_to_pca(quick, digits, share, n_samples):
    X = digits[:n_samples]
    ae = quick(n_components=share, **START).fit(X)
    assert ae.n_components_ == PCA(share, svd_solver="full").fit(X).n_components_
    assert ae.transform(X).shape == (n_samples, ae.n_components_)
    assert len(ae.get_feature_names_out()) == ae.n_components_


def test_a_share_with_random_start(quick, digits):
    ae = quick(n_components=0.5, init="random", max_iter=1).fit(digits)
    assert ae.n_components_ == PCA(0.5, svd_solver="full").fit(digits).n_components_


@pytest.mark.parametrize(
    "load",
    [
        load_digits,
        load_wine,
        pytest.param(load_iris, marks=pytest.mark.slow),
        pytest.param(load_breast_cancer, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("n_components", [2, 4])
def test_held_out_score_is_not_below_pca(quick, load, n_components):
    X = StandardScaler().fit_transform(load().data[:600])
    train, test = train_test_split(X, random_state=0)
    ae = quick(n_components=n_components, hidden_layer_sizes=(16,), max_iter=20).fit(train)
    explained = r2_score(
        test, pca_reconstruction(train, n_components, test), multioutput="variance_weighted"
    )
    assert ae.score(test) > explained - 0.01


def test_training_improves_on_pca(quick, pixels):
    ae = quick(hidden_layer_sizes=(16,), max_iter=60, batch_size=32, learning_rate=0.01)
    score = ae.fit(pixels).score(pixels)
    explained = r2_score(pixels, pca_reconstruction(pixels, 3), multioutput="variance_weighted")
    assert score > explained + 0.05


# A gain that chance explains

# Relative gains of 0.1 and -0.1, more often the former: their mean is 0.02 on both, and its
# standard error a tenth of what it is for one hundred times as many rows.
LOSSES = np.tile([1.1, 1.1, 1.1, 0.9, 0.9], (2, 1)) * 0.5
LOSSES[1] = 1 - LOSSES[0]


@pytest.mark.any_data
def test_a_gain_within_its_standard_error_is_none():
    before, after = LOSSES
    assert after.mean() < before.mean()
    assert not significantly_lower(before, after)
    assert significantly_lower(*np.repeat(LOSSES, 100, axis=1))
    # As many rows, as their weights say: the standard error is that of the rows.
    assert not significantly_lower(before, after, np.full(5, 100.0))


@pytest.mark.any_data
def test_a_gain_is_of_most_rows_and_of_the_mean():
    before = np.ones(20)
    of_one_row, of_the_others = np.full(20, 1.01), np.full(20, 0.9)
    of_one_row[0], of_the_others[0] = 0, 10
    assert of_one_row.mean() < 1 < of_the_others.mean()
    assert not significantly_lower(before, of_one_row)
    assert not significantly_lower(before, of_the_others)
    assert significantly_lower(before, of_the_others, np.arange(20) > 0)
    assert significantly_lower(before, 0.9 * before)
    assert not significantly_lower(before, before)
    assert not significantly_lower(before, 1.1 * before)
    assert not significantly_lower(np.zeros(3), np.zeros(3))


@pytest.mark.any_data
def test_what_only_a_few_rows_gain_by_is_not_kept(quick):
    """The loss of held-out rows falls by a third, and most of them gain nothing."""
    rng = data_rng()
    X = np.hstack([rng.normal(size=(300, 2)), 0.05 * rng.normal(size=(300, 2))])
    X[::10, 2] += 6 * np.abs(X[::10, 0])
    ae = quick(n_components=2, max_iter=6, learning_rate=0.01).fit(X)
    assert min(ae.validation_loss_curve_) < 0.8 * ae.start_loss_
    assert ae.best_iter_ == 0
    assert ae.best_loss_ == ae.start_loss_
    assert_allclose(ae.reconstruct(X), pca_reconstruction(X, 2), atol=1e-3)


# Awkward shapes


def judge(ae, X):
    """Fits; everything is finite, of the right shape, and no worse than PCA."""
    code = ae.fit_transform(X)
    assert code.shape == (len(X), ae.n_components_)
    assert np.isfinite(code).all()
    reconstruction = ae.inverse_transform(code)
    assert reconstruction.shape == X.shape
    assert np.isfinite(reconstruction).all()
    k = min(ae.n_components_, *X.shape)
    error = np.square(X - reconstruction).mean()
    unit = np.square(X - X.mean(axis=0)).mean()
    assert error < np.square(X - pca_reconstruction(X, k)).mean() + 0.02 * unit + 1e-9
    return reconstruction


@pytest.mark.parametrize("n_samples", [*range(2, 13)])
def test_few_rows(quick, blob, n_samples):
    judge(quick(n_components=2, batch_size=1), blob[:n_samples])


def test_fewer_rows_than_features(quick, digits):
    judge(quick(n_components=15), digits[:20])


def test_more_components_than_rows(quick, digits):
    reconstruction = judge(quick(n_components=30, **START), digits[:12])
    assert_allclose(reconstruction, digits[:12], atol=1e-3)


@pytest.mark.parametrize("n_components", [5, 8, 40])
def test_as_many_components_as_features_or_more(quick, blob, n_components):
    ae = quick(n_components=n_components, **START)
    assert_allclose(judge(ae, blob), blob, atol=1e-4)
    assert ae.n_components_ == n_components


def test_one_feature(quick, blob):
    X = blob[:, :1]
    judge(quick(n_components=1), X)
    judge(quick(n_components=0.9), X)


def test_constant_columns(quick, blob):
    X = np.hstack([blob, np.full((len(blob), 2), [3.0, 1e6])])
    reconstruction = judge(quick(n_components=2), X)
    assert_allclose(reconstruction[:, 5], 3, atol=0.2)


@pytest.mark.parametrize("value", [0.0, 1e-9, 7.25, 1e9])
@pytest.mark.parametrize("n_components", [2, 0.5])
def test_all_rows_the_same(quick, value, n_components):
    X = np.full((30, 5), value)
    ae = quick(n_components=n_components).fit(X)
    assert_allclose(ae.reconstruct(X), X, atol=1e-9)
    assert_allclose(ae.score_samples(X), 0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_extreme_units(quick, blob, scale):
    judge(quick(n_components=2), scale * blob)


def test_far_from_the_origin(quick, blob):
    X = blob + 1e6
    reconstruction = judge(quick(n_components=2), X)
    assert np.square(X - reconstruction).mean() < 0.05


# Other outputs than the whole line


def test_the_start_of_a_sigmoid_is_nearly_pca(quick, pixels):
    """Its tangent at one half is: grey pictures are met, black and white ones nearly."""
    grey = 0.5 + 0.1 * (pixels - 0.5)
    ae = quick(loss="binary_crossentropy", **START).fit(grey)
    assert_allclose(ae.reconstruct(grey), pca_reconstruction(grey, 3), atol=1e-3)
    ae = quick(loss="binary_crossentropy", **START).fit(pixels)
    reconstruction = ae.reconstruct(pixels)
    assert reconstruction.min() >= 0
    assert reconstruction.max() <= 1
    assert ae.score(pixels) > 0.2


def test_a_rectified_output_starts_at_pca_cut_at_zero(quick, pixels):
    ae = quick(output_activation="relu", **START).fit(pixels)
    expected = np.maximum(pca_reconstruction(pixels, 3), 0)
    assert_allclose(ae.reconstruct(pixels), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("activation", "params"),
    [
        ("relu", {}),
        pytest.param("relu", {"hidden_layer_sizes": ()}, marks=pytest.mark.slow),
        pytest.param("relu", {"tied_weights": True}, marks=pytest.mark.slow),
        ("elu", {"tied_weights": True}),
        ("leaky_relu", {"hidden_layer_sizes": ()}),
    ],
)
def test_a_rectified_code_starts_at_pca_too(quick, digits, activation, params):
    ae = quick(code_activation=activation, **START, **params).fit(digits)
    assert_allclose(ae.reconstruct(digits), pca_reconstruction(digits, 3), atol=1e-3)


def test_a_rectified_code_starts_with_nothing_cut_off(quick, digits):
    ae = quick(code_activation="relu", init="random", early_stopping=False, learning_rate=1e-9)
    assert (ae.fit_transform(digits) == 0).mean() < 0.02


def test_with_a_penalty_a_rectified_code_starts_as_it_is(quick, digits):
    ae = quick(code_activation="relu", penalty="l1", init="random", learning_rate=1e-9)
    assert (ae.fit_transform(digits) == 0).mean() > 0.2
