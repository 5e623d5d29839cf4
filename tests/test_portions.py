"""Rows in portions: centre and scale of all that came, and a network that says the same."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import skae
from data import centre_and_scale, data_rng
from skae import DenoisingAutoencoder, VAETransformer
from skae.estimators._training import update_scaling
from skae.networks import ConvNetwork
from skae.utils._arrays import as_array
from skae.utils._rows import Rows, joined_moments, moments

STILL = {"learning_rate": 1e-12}


@pytest.fixture
def portions():
    """Three of different size, place and spread."""
    rng = data_rng()
    sizes = ((40, 0.0, 1.0), (25, 3.0, 0.1), (60, -20.0, 7.0))
    parts = [at + by * rng.normal(size=(n, 6)) for n, at, by in sizes]
    return [part + np.arange(6) for part in parts]


@pytest.mark.any_backend
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_two_groups(portions, weighted):
    weight = data_rng().uniform(0.1, 3, 65) if weighted else np.ones(65)
    parts = np.split(weight, [40])
    both = [moments(X, w) for X, w in zip(portions[:2], parts, strict=True)]
    whole = moments(np.concatenate(portions[:2]), weight)
    assert_allclose(joined_moments(*both, parts[1].sum() / weight.sum()), whole, rtol=1e-12)


@pytest.mark.any_backend
def test_moments_of_constant_columns():
    same = moments(np.full((7, 2), 0.1))
    assert_array_equal(joined_moments(same, same, 0.3), same)
    large = moments(np.full((2, 1), 1e200)), moments(np.full((2, 1), -1e200))
    assert_allclose(joined_moments(*large, 0.5), [[0], [1e200]], atol=1e185)


@pytest.mark.any_backend
@pytest.mark.parametrize("dtypes", ["ddd", "fff", "fdf", "dfd", "ddf", "iff"])
def test_centre_and_scale_are_those_of_all_rows(quick, portions, dtypes):
    parts = [part.astype(dtype) for part, dtype in zip(portions, dtypes, strict=True)]
    ae = quick()
    for k, part in enumerate(parts, 1):
        ae.partial_fit(part)
        mean, scale = centre_and_scale(np.concatenate(parts[:k]).astype(float), None)
        assert_allclose(ae.mean_, mean, rtol=1e-6)
        assert_allclose(ae.scale_, scale, rtol=1e-6)
        assert ae.transform(part).dtype == (np.float32 if part.dtype == "f" else np.float64)


@pytest.mark.any_backend
def test_weights_count_across_portions(quick, portions):
    weights = [np.full(40, 2.0), data_rng().uniform(0, 3, 25), np.arange(60) % 2.0]
    ae = quick()
    for part, weight in zip(portions, weights, strict=True):
        ae.partial_fit(part, sample_weight=weight)
    mean, scale = centre_and_scale(np.concatenate(portions), np.concatenate(weights))
    assert_allclose(ae.mean_, mean, rtol=1e-12)
    assert_allclose(ae.scale_, scale, rtol=1e-12)


@pytest.mark.any_backend
def test_rows_of_fit_count(quick, portions):
    ae = quick(warm_start=True).fit(portions[0]).fit(portions[1]).partial_fit(portions[2])
    mean, _ = centre_and_scale(np.concatenate([portions[0], portions[2]]), None)
    assert_allclose(ae.mean_, mean, rtol=1e-12)
    ae.set_params(warm_start=False).fit(portions[1])
    assert_array_equal(ae.mean_, centre_and_scale(portions[1], None)[0])


KINDS = {
    "default": {},
    "no hidden layers": {"hidden_layer_sizes": ()},
    "two hidden layers": {"hidden_layer_sizes": (8, 5), "init": "random"},
    "leaky": {"activation": "leaky_relu", "code_activation": "relu"},
    "tanh": {"activation": "tanh"},
    "a code that is bounded": {"code_activation": "sigmoid"},
    "an output with an activation": {"output_activation": "relu"},
    "dropout": {"dropout": 0.3},
}


@pytest.mark.parametrize(
    "kind",
    [
        # Layers that do nothing here.
        pytest.param(kind, marks=[pytest.mark.slow] * (kind == "dropout"))
        for kind in KINDS
    ],
)
def test_new_units_change_nothing_that_is_said(quick, portions, kind):
    ae = quick(**KINDS[kind]).partial_fit(portions[0])
    said, code, scale = ae.reconstruct(portions[0]), ae.transform(portions[0]), ae.scale_
    ae._model, *_ = update_scaling(ae._model, Rows(portions[2]), 60)
    ae.mean_, ae.scale_ = ae._model.preprocessing.units
    assert ae.scale_ > 3 * scale
    assert_allclose(ae.reconstruct(portions[0]), said, atol=1e-5 * ae.scale_)
    factor = 1 if kind == "a code that is bounded" else ae.scale_ / scale
    assert_allclose(ae.transform(portions[0]) * factor, code, atol=1e-5 * ae.scale_)
    assert_allclose(
        as_array(ae.decoder_(ae.encoder_(portions[0].astype("f4")))), said, atol=1e-3
    )


@pytest.mark.any_backend
def test_targets_have_units_of_their_own(portions):
    make = {"hidden_layer_sizes": (8,), "n_components": 2, "random_state": 0}
    ae = DenoisingAutoencoder(**make).partial_fit(portions[0], target=portions[0][:, :3] + 50)
    ae.partial_fit(portions[1], target=portions[1][:, :3] + 50)
    before = ae.reconstruct(portions[0])
    ae.set_params(**STILL).partial_fit(portions[2], target=9 * portions[2][:, :3])
    assert_allclose(ae.reconstruct(portions[0]), before, atol=1e-3)
    told = np.concatenate(
        [*(part[:, :3] + 50 for part in portions[:2]), 9 * portions[2][:, :3]]
    )
    assert_allclose(ae._model.preprocessing.target_units.centre, told.mean(axis=0), rtol=1e-12)
    assert_allclose(ae.mean_, np.concatenate(portions).mean(axis=0), rtol=1e-12)


@pytest.mark.any_backend
def test_noise_follows_too(portions):
    ae = DenoisingAutoencoder(2, hidden_layer_sizes=(8,), random_state=0)
    for part in portions:
        ae.partial_fit(part)
    whole = np.concatenate(portions)
    assert_allclose(ae._model.spread.deviation, whole.std(axis=0), rtol=1e-12)
    assert_array_equal(ae._model.spread.low, whole.min(axis=0))
    assert_array_equal(ae._model.spread.high, whole.max(axis=0))


FROZEN = {
    "normalised": {"normalization": "batch"},
    "tied": {"tied_weights": True},
    "ordered": {"ordered": True},
    "images": {"network": ConvNetwork(filters=(2,), image_shape=(8, 8))},
}


@pytest.mark.any_backend
@pytest.mark.parametrize("kind", FROZEN)
def test_other_networks_keep_the_first_units(quick, pixels, kind):
    ae = quick(**FROZEN[kind]).partial_fit(pixels[:50])
    mean, scale = ae.mean_, ae.scale_
    ae.partial_fit(5 * pixels[50:100])
    assert ae.scale_ == scale
    assert_array_equal(ae.mean_, mean)


@pytest.mark.any_backend
def test_a_likelihood_keeps_the_first_units(portions):
    vae = VAETransformer(2, hidden_layer_sizes=(8,), random_state=0).partial_fit(portions[0])
    mean = vae.mean_
    assert_array_equal(vae.partial_fit(portions[2]).mean_, mean)


def test_going_on_from_a_copy_or_a_file(quick, portions, tmp_path):
    ae = quick().partial_fit(portions[0]).partial_fit(portions[1])
    skae.save(ae, tmp_path / "ae.skae")
    copies = [pickle.loads(pickle.dumps(ae)), skae.load(tmp_path / "ae.skae")]
    ae.partial_fit(portions[2])
    for twin in copies:
        twin.partial_fit(portions[2])
        assert_array_equal(twin.mean_, ae.mean_)
        assert twin.scale_ == ae.scale_
        assert_array_equal(twin.transform(portions[2]), ae.transform(portions[2]))
    afresh = clone(ae).partial_fit(portions[1])
    assert_array_equal(afresh.mean_, centre_and_scale(portions[1], None)[0])


@pytest.mark.any_backend
def test_what_was_saved_before_rows_were_counted_goes_on(quick, portions):
    ae = quick().partial_fit(portions[0])
    ae._model.preprocessing.weight_seen = None
    mean = ae.mean_
    assert_array_equal(ae.partial_fit(portions[2]).mean_, mean)


@pytest.mark.any_backend
def test_a_failed_portion_moves_nothing(quick, portions):
    ae = quick().partial_fit(portions[0])
    mean, said = ae.mean_, ae.reconstruct(portions[0])
    with pytest.raises(ValueError, match="out of reach"):
        ae.partial_fit(1e200 * portions[1])
    assert_array_equal(ae.mean_, mean)
    assert_array_equal(ae.reconstruct(portions[0]), said)
    model, *_ = update_scaling(ae._model, Rows(portions[1]), 25)
    assert_allclose(
        model.preprocessing.units.centre, np.concatenate(portions[:2]).mean(axis=0), rtol=1e-12
    )


@pytest.mark.any_backend
def test_a_constant_first_portion(quick, digits):
    """Nothing can be learnt from it, so training starts at the next."""
    ae = quick().partial_fit(np.zeros((20, 64))).partial_fit(digits / 1000)
    alone = quick().partial_fit(digits / 1000)
    assert ae.score(digits / 1000) > alone.score(digits / 1000) - 0.05
    assert ae.n_iter_ == len(ae.loss_curve_) == 2


@pytest.mark.any_backend
@pytest.mark.parametrize("activation", ["relu", pytest.param("tanh", marks=pytest.mark.slow)])
def test_a_first_portion_that_is_tiny_and_far_off(quick, digits, activation):
    """It costs little beside ordinary rows alone."""
    params = {"activation": activation, "n_components": 8, "hidden_layer_sizes": (32,)}
    odd = 40 + 1e-3 * data_rng().normal(size=(20, 64))
    scores = []
    for first in ([], [odd]):
        ae = quick(**params)
        for portion in [*first, *([*np.array_split(digits, 3)] * 10)]:
            ae.partial_fit(portion)
        scores.append(ae.score(digits))
    # Without statistics of all rows it costs 0.5 and more.
    assert scores[1] > scores[0] - 0.1


@pytest.mark.any_backend
def test_a_heavy_row_after_a_narrow_portion(quick, portions):
    ae = quick().partial_fit(portions[1] / 1000)
    ae.partial_fit(portions[2][:1], sample_weight=[1000.0])
    assert np.isfinite(ae.reconstruct(portions[2])).all()
