"""Corruptions, and the autoencoder that undoes them."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skae import DenoisingAutoencoder
from skae.corruption import GaussianNoise, MaskingNoise, SaltAndPepperNoise, SwapNoise
from skae.corruption._corruptions import CORRUPTIONS

# What AutoencoderTransformer alone has.
ONLY_PLAIN = {"ordered"}


@pytest.fixture(scope="module")
def denoiser(quick):
    def make(**params):
        shared = {k: v for k, v in quick().get_params().items() if k not in ONLY_PLAIN}
        return DenoisingAutoencoder(**{**shared, **params})

    return make


# Corruptions


@pytest.mark.any_backend
@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_corruption_is_seeded_and_leaves_its_input_alone(digits, name, dtype):
    X = digits.astype(dtype)
    before = X.copy()
    corrupted = CORRUPTIONS[name](0.3)(X, random_state=0)
    assert corrupted.dtype == dtype
    assert corrupted.shape == X.shape
    assert (corrupted != X).any()
    assert_array_equal(X, before)
    assert_array_equal(corrupted, CORRUPTIONS[name](0.3)(X, random_state=0))
    assert (corrupted != CORRUPTIONS[name](0.3)(X, random_state=1)).any()
    assert_array_equal(CORRUPTIONS[name](0)(X, random_state=0), X)


@pytest.mark.any_backend
def test_gaussian_noise_is_in_units_of_each_column(blob):
    X = np.resize(blob, (6000, 5)) * np.array([1, 10, 100, 1, 1])
    noise = GaussianNoise(0.5)(X, random_state=0) - X
    assert_allclose(noise.std(axis=0), 0.5 * X.std(axis=0), rtol=0.05)
    noise = GaussianNoise(0.5, unit="data")(X, random_state=0) - X
    assert_allclose(noise.std(axis=0), 0.5, rtol=0.05)


@pytest.mark.any_backend
def test_clipping(pixels):
    each = GaussianNoise(1.0, clip=True)(pixels, random_state=0)
    assert (each >= pixels.min(axis=0)).all()
    assert (each <= pixels.max(axis=0)).all()
    overall = GaussianNoise(1.0, unit="data", clip=True)(pixels, random_state=0)
    assert (overall.min(), overall.max()) == (0, 1)
    # Columns that are constant here are spoilt too, within the range of all.
    assert np.ptp(overall, axis=0).min() > 0


@pytest.mark.any_backend
def test_masking_turns_off_a_share_of_the_cells(digits):
    X = digits + 1
    corrupted = MaskingNoise(0.3)(X, random_state=0)
    assert_allclose((corrupted == 0).mean(), 0.3, atol=0.02)
    assert (corrupted[corrupted != 0] == X[corrupted != 0]).all()


@pytest.mark.any_backend
def test_salt_and_pepper_go_to_both_ends(blob):
    X = np.resize(blob, (3000, 5))
    corrupted = SaltAndPepperNoise(0.4)(X, random_state=0)
    assert_allclose((corrupted == X.max(axis=0)).mean(), 0.2, atol=0.04)
    assert_allclose((corrupted == X.min(axis=0)).mean(), 0.2, atol=0.04)


@pytest.mark.any_backend
def test_swap_takes_values_of_the_same_column(blob):
    corrupted = SwapNoise(0.5)(blob, random_state=0)
    assert_allclose((corrupted != blob).mean(), 0.5, atol=0.1)
    for column, original in zip(corrupted.T, blob.T, strict=True):
        assert np.isin(column, original).all()


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "corruption",
    [GaussianNoise(-1), MaskingNoise(1.5), SwapNoise("much"), GaussianNoise(unit="pixel")],
    ids=repr,
)
def test_impossible_corruptions_are_named(denoiser, digits, corruption):
    with pytest.raises(ValueError, match=r"The '(level|unit)' parameter"):
        denoiser(corruption=corruption).fit(digits)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "value"),
    [("corruption", "dirt"), ("corruption", 0.5), ("corruption_level", -1)],
)
def test_impossible_parameters_are_named(denoiser, digits, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        denoiser(**{name: value}).fit(digits)


@pytest.mark.any_backend
def test_it_has_the_parameters_of_the_plain_autoencoder(quick, denoiser):
    own = {"corruption", "corruption_level"}
    assert set(denoiser().get_params(deep=False)) - own == (
        set(quick().get_params(deep=False)) - ONLY_PLAIN
    )


# Denoising


@pytest.mark.parametrize(
    "corruption",
    [
        *CORRUPTIONS,
        pytest.param(GaussianNoise(0.4, unit="data", clip=True), marks=pytest.mark.slow),
        pytest.param(SaltAndPepperNoise(0.2, unit="data"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_it_repairs_better_than_principal_components(denoiser, pixels, corruption):
    train, test = pixels[:240], pixels[240:]
    noise = CORRUPTIONS[corruption](0.3) if isinstance(corruption, str) else corruption
    ae = denoiser(
        n_components=8, hidden_layer_sizes=(64,), corruption=noise, max_iter=20, tol=None
    ).fit(train)
    noisy = noise(test, random_state=0)
    pca = PCA(8).fit(train)
    by_pca = pca.inverse_transform(pca.transform(noisy))
    error = np.square(ae.denoise(noisy) - test).mean()
    assert error < np.square(by_pca - test).mean()


def test_noise_differs_between_epochs(denoiser, pixels):
    """Without learning, the training loss moves with the noise alone."""
    still = {"learning_rate": 1e-12, "max_iter": 3, "early_stopping": False, "tol": None}
    losses = denoiser(**still).fit(pixels).loss_curve_
    assert len(set(losses)) == 3
    assert_allclose(losses, np.mean(losses), rtol=0.1)
    losses = denoiser(corruption=None, **still).fit(pixels).loss_curve_
    assert_allclose(losses, losses[0], rtol=1e-5)


def test_held_out_rows_are_spoilt_once(denoiser, pixels):
    ae = denoiser(learning_rate=1e-12, max_iter=3).fit(pixels)
    assert_allclose(ae.validation_loss_curve_, ae.start_loss_, rtol=1e-4)
    clean = denoiser(corruption=None, learning_rate=1e-12, max_iter=3).fit(pixels)
    assert ae.start_loss_ > clean.start_loss_


def test_the_same_seed_gives_the_same_bits(denoiser, pixels):
    for corruption in CORRUPTIONS:
        ae = denoiser(corruption=corruption, hidden_layer_sizes=(64,)).fit(pixels)
        code = ae.transform(pixels)
        assert_array_equal(clone(ae).fit(pixels).transform(pixels), code)
        assert_array_equal(pickle.loads(pickle.dumps(ae)).transform(pixels), code)
        assert (
            clone(ae).set_params(random_state=1).fit(pixels).transform(pixels) != code
        ).any()


@pytest.mark.any_data
@pytest.mark.any_backend
def test_levels_share_a_compilation(cache, denoiser, pixels):
    search = GridSearchCV(denoiser(), {"corruption_level": [0.1, 0.3, 0.5]}, cv=2)
    search.fit(pixels)
    assert len(cache) == 1
    noise = GaussianNoise(0.2)
    search = GridSearchCV(denoiser(corruption=noise), {"corruption__level": [0.1, 0.3]}, cv=2)
    assert search.fit(pixels).best_params_["corruption__level"] in (0.1, 0.3)
    assert len(cache) == 1


# Targets


def test_pairs(denoiser, pixels):
    """Rows and what they should become, here their negative."""
    ae = denoiser(n_components=8, max_iter=5).fit(pixels, target=3 - pixels)
    assert ae.score(pixels, target=3 - pixels) > 0.4
    assert ae.score(pixels) < 0
    errors = np.square(ae.denoise(pixels) - 3 + pixels).mean(axis=1)
    assert_allclose(-ae.score_samples(pixels, target=3 - pixels), errors, rtol=1e-4)


def test_a_target_of_another_shape(denoiser, pixels):
    grey = pixels.reshape(-1, 8, 8)
    colour = np.stack([grey, 1 - grey, grey**2], axis=-1)
    ae = denoiser(n_components=8, max_iter=5).fit(grey, target=colour)
    assert ae.denoise(grey).shape == (300, 8, 8, 3)
    assert ae.inverse_transform(ae.transform(grey)).shape == (300, 8, 8, 3)
    assert ae.score(grey, target=colour) > 0.4
    assert tuple(ae.decoder_.output_shape[1:]) == (8, 8, 3)
    with pytest.raises(ValueError, match="target must be given"):
        ae.score(grey)
    with pytest.raises(ValueError, match=r"rows of shape \(8, 8\).*trained on targets"):
        ae.score(grey, target=grey)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        ae.fit(grey, target=colour[:7])
    with pytest.raises(ValueError, match="NaN"):
        ae.fit(grey, target=np.full_like(colour, np.nan))
    with pytest.raises(ValueError, match="tied_weights=True needs a target"):
        denoiser(tied_weights=True).fit(grey, target=colour)


@pytest.mark.any_backend
def test_partial_fit_and_warm_start_take_targets(denoiser, pixels):
    ae = denoiser(warm_start=True).fit(pixels, target=pixels[:, :10])
    assert ae.fit(pixels, target=pixels[:, :10]).n_iter_ == 6
    assert ae.partial_fit(pixels, target=pixels[:, :10]).n_iter_ == 7
    with pytest.raises(ValueError, match="trained on targets of shape"):
        ae.partial_fit(pixels, target=pixels[:, :9])


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("method", "output"),
    [
        ("fit", "identity"),
        ("partial_fit", "identity"),
        ("fit", "relu"),
        pytest.param("partial_fit", "relu", marks=pytest.mark.slow),
    ],
)
def test_going_on_without_the_target(denoiser, pixels, method, output):
    """X is what the rows should become now, in the units that were learnt with the target."""
    ae = denoiser(
        n_components=16, warm_start=True, output_activation=output, corruption=None
    ).set_params(early_stopping=False)
    ae.fit(pixels, target=pixels + 100)
    assert abs((ae.reconstruct(pixels) - pixels).mean() - 100) < 5
    ae.set_params(optimizer="adam", learning_rate=0.005, max_iter=60)
    for _ in range(60 if method == "partial_fit" else 1):
        getattr(ae, method)(pixels)
    # Errors of the offset would be ten thousand.
    assert np.square(ae.reconstruct(pixels) - pixels).mean() < 100
    assert ae.loss_curve_[-1] < 0.01 * 100**2
    assert_allclose(-ae.score_samples(pixels).mean(), ae.loss_curve_[-1], rtol=0.5)


@pytest.mark.any_backend
def test_going_on_without_the_target_spoils_rows(denoiser, pixels):
    """Pairs are not spoilt by default, rows without a target are."""
    ae = denoiser(warm_start=True).fit(pixels, target=pixels)
    assert ae._model.corruption is None
    assert ae.fit(pixels)._model.corruption is not None


@pytest.mark.any_backend
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_target_of_another_shape_is_asked_for_again(denoiser, pixels, method):
    ae = denoiser(warm_start=True).fit(pixels, target=pixels[:, :10])
    before = ae.reconstruct(pixels)
    with pytest.raises(ValueError, match=r"target must be given: rows of X have shape \(64,\)"):
        getattr(ae, method)(pixels)
    assert_array_equal(ae.reconstruct(pixels), before)


def test_a_linear_start_maps_to_the_target(denoiser, blob):
    """Before any training, the best linear map of its rank that rests on no faint column."""
    target = PCA(2).fit_transform(blob) @ np.arange(6).reshape(2, 3) + 7
    ae = denoiser(n_components=2, learning_rate=1e-12, max_iter=1).fit(blob, target=target)
    assert ae.score(blob, target=target) > 0.98


@pytest.mark.any_backend
def test_images_are_spoilt_as_their_flat_rows_are(pixels):
    noise = GaussianNoise(0.3, unit="data", clip=True)
    flat = noise(pixels, random_state=0)
    images = noise(pixels.reshape(-1, 8, 8), random_state=0)
    assert images.shape == (len(pixels), 8, 8)
    assert_array_equal(images.reshape(flat.shape), flat)
