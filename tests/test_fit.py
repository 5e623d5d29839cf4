"""What fit and partial_fit promise: when they end, what they keep, in which units."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data import data_rng
from skae.estimators import _base
from skae.losses._reconstruction import LOSSES
from skae.networks import ConvNetwork

# Losses that may see any data.
UNBOUNDED = [name for name, loss in LOSSES.items() if not loss.bounded]


@pytest.fixture
def splits(monkeypatch):
    """The splits into training and held-out rows that are made from here on."""
    made = []
    split = _base.split_rows

    def recorded(*args):
        made.append(split(*args))
        return made[-1]

    monkeypatch.setattr(_base, "split_rows", recorded)
    return made


def shaped_for(loss, pixels):
    """Rows as the loss wants them: images where it compares images."""
    return pixels.reshape(-1, 8, 8) if loss == "ssim" else pixels


# What is kept


@pytest.mark.parametrize(
    ("init", "loss"),
    [
        # The best epoch is chosen alike, whatever the initialization.
        pytest.param(
            init,
            loss,
            marks=[pytest.mark.slow] * (init == "random" and loss != "squared_error"),
        )
        for init in ("pca", "random")
        for loss in LOSSES
    ],
)
def test_the_best_epoch_on_held_out_rows_is_kept(quick, pixels, splits, loss, init):
    pixels = shaped_for(loss, pixels)
    # A rate at which the loss goes up and down.
    ae = quick(loss=loss, init=init, learning_rate=0.1, max_iter=5).fit(pixels)
    ((train, held_out),) = splits
    assert len(held_out) == 30
    together = np.vstack([train.inputs, held_out.inputs])
    assert_array_equal(np.sort(together, axis=0), np.sort(pixels.reshape(300, -1), axis=0))
    judged = [ae.start_loss_, *ae.validation_loss_curve_]
    assert ae.best_loss_ == judged[ae.best_iter_]
    if init == "pca" and ae.best_iter_ == 0:
        # Hardly better than chance, or worse: the principal components of all rows.
        start = quick(loss=loss, learning_rate=1e-12, max_iter=1).fit(pixels)
        assert_allclose(ae.transform(pixels), start.transform(pixels), atol=1e-4)
        return
    assert ae.best_loss_ == min(judged)
    errors = -ae.score_samples(held_out.inputs)
    assert_allclose(errors.mean(), ae.best_loss_, rtol=1e-4)


def test_a_start_that_is_never_beaten_is_kept(quick, digits):
    ae = quick(learning_rate=1.0, max_iter=2).fit(digits)
    assert ae.best_iter_ == 0
    assert ae.best_loss_ == ae.start_loss_ < min(ae.validation_loss_curve_)
    start = quick(learning_rate=1e-12, max_iter=1).fit(digits)
    assert_allclose(ae.transform(digits), start.transform(digits), atol=1e-5)


def test_without_early_stopping_the_last_epoch_is_kept(quick, digits, splits):
    ae = quick(early_stopping=False, learning_rate=0.1, max_iter=4).fit(digits)
    assert splits[0][1] is None
    assert ae.best_iter_ == ae.n_iter_ == 4
    assert ae.validation_loss_curve_ is None
    assert ae.best_loss_ == ae.loss_curve_[-1]


def test_few_rows_are_judged_on_themselves(quick, digits):
    ae = quick().fit(digits[:9])
    assert_allclose(-ae.score_samples(digits[:9]).mean(), ae.best_loss_, rtol=1e-4)


def test_held_out_rows_are_weighted(quick, digits, splits):
    weight = data_rng().uniform(0.1, 2, len(digits)) ** 4
    ae = quick(init="random").fit(digits, sample_weight=weight)
    ((_, held_out),) = splits
    errors = -ae.score_samples(held_out.inputs)
    weighted = np.average(errors, weights=held_out.weight)
    assert_allclose(weighted, ae.best_loss_, rtol=1e-4)
    assert abs(errors.mean() - ae.best_loss_) > 1e-3 * ae.best_loss_


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_validation_fraction(quick, digits, splits, fraction):
    quick(max_iter=1, validation_fraction=fraction).fit(digits)
    ((train, held_out),) = splits
    assert len(held_out) == 300 * fraction
    assert len(train) == 300 - 300 * fraction


def test_training_loss_is_weighted(quick, digits):
    """With one batch an epoch the first loss is that of the start."""
    weight = data_rng().uniform(0.1, 5, len(digits))
    one_batch = {"early_stopping": False, "batch_size": 300, "max_iter": 1}
    ae = quick(learning_rate=1e-12, **one_batch).fit(digits, sample_weight=weight)
    errors = -ae.score_samples(digits)
    assert_allclose(ae.loss_curve_, [np.average(errors, weights=weight)], rtol=1e-4)


# When it ends


def test_tol_none_runs_all_epochs(quick, digits):
    still = {"learning_rate": 1e-12, "max_iter": 12, "n_iter_no_change": 1}
    assert quick(**still).fit(digits).n_iter_ < 12
    assert quick(tol=None, **still).fit(digits).n_iter_ == 12


@pytest.mark.parametrize("early_stopping", [True, False])
def test_tol_is_what_counts_as_progress(quick, digits, early_stopping):
    params = {"max_iter": 10, "n_iter_no_change": 2, "early_stopping": early_stopping}
    stopped = quick(tol=1e9, **params).fit(digits)
    assert 2 <= stopped.n_iter_ < 10
    assert quick(tol=0, **params).fit(digits).n_iter_ == 10


@pytest.mark.parametrize("early_stopping", [True, False])
def test_lengths_of_the_curves(quick, digits, early_stopping):
    ae = quick(early_stopping=early_stopping).fit(digits)
    assert ae.n_iter_ == len(ae.loss_curve_) == 3
    if early_stopping:
        assert len(ae.validation_loss_curve_) == 3
    assert np.isnan(ae.start_loss_) == (not early_stopping)
    assert all(type(loss) is float for loss in ae.loss_curve_)


def test_a_second_fit_starts_afresh(quick, digits, fitted):
    """Whatever came before: another fit, or one that left an optimizer's state."""
    ae = quick()
    for go in (ae.fit, ae.partial_fit, ae.fit):
        go(digits)
    ae.fit(digits)
    assert_array_equal(ae.transform(digits), fitted.transform(digits))
    assert ae.loss_curve_ == fitted.loss_curve_
    assert ae.n_iter_ == fitted.n_iter_
    assert ae.best_iter_ == fitted.best_iter_


def test_a_second_fit_may_have_another_shape(quick, digits, blob):
    ae = quick(warm_start=False).fit(digits)
    ae.set_params(n_components=2, hidden_layer_sizes=(4,), optimizer="sgd").fit(blob)
    assert ae.transform(blob).shape == (60, 2)
    assert ae.n_features_in_ == 5
    assert len(ae.loss_curve_) == ae.n_iter_


# Going on


def test_warm_start_goes_on(quick, digits):
    ae = quick(warm_start=True, early_stopping=False).fit(digits)
    mean, losses = ae.mean_, list(ae.loss_curve_)
    ae.fit(digits[::-1] + 1)
    assert ae.n_iter_ == 6
    assert ae.loss_curve_[:3] == losses
    assert len(ae.loss_curve_) == 6
    # Centre and scale are part of what was fitted.
    assert_array_equal(ae.mean_, mean)


def test_warm_start_improves(quick, digits):
    ae = quick(warm_start=True, early_stopping=False, learning_rate=0.01)
    scores = [ae.fit(digits).score(digits) for _ in range(3)]
    assert scores[0] < scores[1] < scores[2]


def test_warm_start_with_another_optimizer_starts_it_afresh(quick, digits):
    ae = quick(warm_start=True, early_stopping=False).fit(digits)
    before = ae.loss_curve_[-1]
    ae.set_params(optimizer="sgd").fit(digits)
    assert ae.loss_curve_[-1] <= before


def test_warm_start_does_not_repeat_its_shuffles(quick, digits, monkeypatch):
    """A fit that goes on is not the first one again on better weights."""
    drawn, split = [], _base.split_rows

    def recorded(rows, fraction, rng, *args):
        drawn.append(deepcopy(rng).randint(2**31))
        return split(rows, fraction, rng, *args)

    monkeypatch.setattr(_base, "split_rows", recorded)
    once = quick(warm_start=True, early_stopping=False).fit(digits)
    again = quick(warm_start=True, early_stopping=False).fit(digits)
    assert_array_equal(once.fit(digits).transform(digits), again.fit(digits).transform(digits))
    first, first_again, second, second_again = drawn
    assert (first, second) == (first_again, second_again)
    assert first != second


def test_warm_start_of_an_estimator_never_fitted(quick, digits, fitted):
    code = quick(warm_start=True).fit_transform(digits)
    assert_array_equal(code, fitted.transform(digits))


OTHER_NETWORKS = {
    "n_components": {"n_components": 5},
    "hidden_layer_sizes": {"hidden_layer_sizes": (9,)},
    "activation": {"activation": "tanh"},
    "code_activation": {"code_activation": "relu"},
    "output_activation": {"output_activation": "relu"},
    "normalization": {"normalization": "batch"},
    "dropout": {"dropout": 0.5},
    "tied_weights": {"tied_weights": True},
    "init": {"init": "random"},
    "loss": {"loss": "binary_crossentropy"},
    "network": {"network": ConvNetwork(filters=(2,), image_shape=(8, 8))},
}


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", OTHER_NETWORKS)
def test_going_on_keeps_the_network(quick, pixels, name, method):
    """What would be another network is refused by name, and nothing is lost."""
    ae = quick(warm_start=True, max_iter=1).fit(pixels)
    before = ae.transform(pixels)
    ae.set_params(**OTHER_NETWORKS[name])
    with pytest.raises(ValueError, match=f"keeps the network.*{name} was .* and is "):
        getattr(ae, method)(pixels)
    assert_array_equal(ae.transform(pixels), before)
    assert ae.n_iter_ == 1
    if method == "fit":
        # Afresh it is no other network.
        ae.set_params(warm_start=False).fit(pixels)


@pytest.mark.any_backend
def test_going_on_with_a_network_that_was_changed_inside(quick, pixels):
    ae = quick(
        network=ConvNetwork(filters=(2,), image_shape=(8, 8)), warm_start=True, max_iter=1
    )
    ae.fit(pixels).set_params(network__filters=(3,))
    with pytest.raises(ValueError, match="network was changed"):
        ae.fit(pixels)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": [8], "activation": "relu", "code_activation": "linear"},
        {"n_components": np.int64(3), "loss": "absolute_error"},
        {"max_iter": 2, "batch_size": 16, "optimizer": "sgd", "early_stopping": False},
    ],
    ids=["other words", "another loss", "another way to train"],
)
def test_going_on_may_change_all_else(quick, digits, params):
    ae = quick(warm_start=True, max_iter=1).fit(digits).set_params(**params)
    assert ae.fit(digits).n_iter_ > 1


@pytest.mark.any_backend
def test_going_on_after_a_second_start(quick, digits):
    """The network kept may be that of random weights, which has no linear path."""
    for seed in range(2):
        ae = quick(n_components=1, warm_start=True, random_state=seed).fit(digits)
        before = ae.n_iter_
        assert ae.fit(digits).n_iter_ > before


def test_partial_fit_takes_a_single_row_once_it_has_begun(quick, digits):
    ae = quick()
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        ae.partial_fit(digits[:1])
    ae.partial_fit(digits).partial_fit(digits[:1])
    assert ae.n_iter_ == 2
    weight = (np.arange(300) == 5).astype(float)
    ae.partial_fit(digits, sample_weight=weight)
    assert np.isfinite(ae.loss_curve_).all()
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        ae.set_params(warm_start=True).fit(digits[:1])


def test_partial_fit_goes_on(quick, digits):
    ae = quick(learning_rate=0.01)
    for n_calls in range(1, 5):
        assert ae.partial_fit(digits) is ae
        assert ae.n_iter_ == len(ae.loss_curve_) == n_calls
    assert ae.loss_curve_[-1] < ae.loss_curve_[0]
    assert ae.validation_loss_curve_ is None


def test_partial_fit_on_portions(quick, digits):
    ae = quick(learning_rate=0.01, batch_size=50).partial_fit(digits)
    mean, start = ae.mean_, ae.score(digits)
    for portion in np.array_split(digits, 3):
        ae.partial_fit(portion)
    assert_allclose(ae.mean_, mean, rtol=1e-12)
    assert ae.score(digits) > start


def test_partial_fit_keeps_the_optimizer_going(quick, digits):
    """Momentum is not lost between the calls: the steps are those of one fit."""
    params = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 300}
    together = quick(early_stopping=False, max_iter=4, tol=None, **params).fit(digits)
    apart = quick(**params)
    for _ in range(4):
        apart.partial_fit(digits)
    assert_allclose(apart.loss_curve_, together.loss_curve_, rtol=1e-4)


def test_partial_fit_after_fit_and_after_pickle(quick, digits):
    ae = quick(early_stopping=False).fit(digits).partial_fit(digits)
    assert ae.n_iter_ == 4
    twin = pickle.loads(pickle.dumps(ae)).partial_fit(digits)
    assert_array_equal(twin.transform(digits), ae.partial_fit(digits).transform(digits))


def test_partial_fit_takes_weights(quick, digits):
    weight = np.arange(1.0, 301)
    plain = quick().partial_fit(digits)
    weighted = quick().partial_fit(digits, sample_weight=weight)
    assert_allclose(weighted.mean_, np.average(digits, axis=0, weights=weight))
    assert weighted.loss_curve_ != plain.loss_curve_


# Units


@pytest.mark.parametrize("loss", UNBOUNDED)
def test_losses_are_in_the_units_of_the_data(quick, digits, loss):
    ae = quick(loss=loss, max_iter=2)
    small, losses = ae.fit(digits).score_samples(digits), ae.loss_curve_
    # A power of two changes no bit of the standardised rows.
    unit = 1024.0 ** LOSSES[loss].power
    large = ae.fit(1024 * digits)
    assert_allclose(large.score_samples(1024 * digits), unit * small, rtol=1e-5)
    assert_allclose(large.loss_curve_, unit * np.array(losses), rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "measure"),
    [
        ("squared_error", np.square),
        ("absolute_error", np.abs),
        ("huber", None),
        ("binary_crossentropy", None),
    ],
)
def test_score_samples_is_minus_the_loss(quick, pixels, loss, measure):
    ae = quick(loss=loss, max_iter=1).fit(pixels)
    output = ae.reconstruct(pixels)
    residual = output - pixels
    if loss == "huber":
        # Quadratic within one scale of the data.
        r, unit = np.abs(residual) / ae.scale_, ae.scale_**2
        expected = unit * np.where(r <= 1, r**2 / 2, r - 0.5)
    elif loss == "binary_crossentropy":
        output = np.clip(output, 1e-7, 1 - 1e-7)
        expected = -(pixels * np.log(output) + (1 - pixels) * np.log(1 - output))
    else:
        expected = measure(residual)
    assert_allclose(-ae.score_samples(pixels), expected.mean(axis=1), rtol=1e-4)


@pytest.mark.parametrize("shift", [0.0, -300.0])
def test_codes_do_not_depend_on_units(quick, digits, shift):
    ae = quick(max_iter=2, optimizer="sgd", learning_rate=0.1)
    code, back = ae.fit_transform(digits), ae.reconstruct(digits)
    rescale_weights = 1000 * digits + shift
    assert_allclose(ae.fit_transform(rescale_weights), code, atol=1e-3)
    assert_allclose(ae.reconstruct(rescale_weights), 1000 * back + shift, atol=1.0)
    assert_allclose(ae.score(rescale_weights), ae.fit(digits).score(digits), atol=1e-4)


def test_score_is_the_share_of_variance_explained(fitted, digits):
    """With the errors in columns that are constant here, of which the digits have some."""
    assert (np.ptp(digits, axis=0) == 0).any()
    residual = np.square(digits - fitted.reconstruct(digits)).sum()
    spread = np.square(digits - digits.mean(axis=0)).sum()
    assert_allclose(fitted.score(digits), 1 - residual / spread)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns(quick, pixels, loss):
    pixels = shaped_for(loss, pixels)
    ae = quick(loss=loss, init="random", learning_rate=0.02, max_iter=5).fit(pixels)
    assert min(ae.validation_loss_curve_) < 0.97 * ae.start_loss_


# Parameters do what they say


def test_code_and_output_activations(quick, pixels):
    ae = quick(code_activation="sigmoid", output_activation="relu", max_iter=1).fit(pixels)
    code = ae.transform(pixels)
    assert code.min() >= 0
    assert code.max() <= 1
    assert ae.reconstruct(pixels).min() >= 0


@pytest.mark.any_data
@pytest.mark.any_backend
def test_scikit_learns_words_for_activations(quick, pixels):
    ours = quick(activation="logistic", code_activation="identity").fit_transform(pixels)
    keras = quick(activation="sigmoid", code_activation="linear").fit_transform(pixels)
    assert_array_equal(ours, keras)


@pytest.mark.any_backend
@pytest.mark.parametrize("sizes", [8, (8,), [8], np.array([8])], ids=repr)
def test_ways_to_say_hidden_layer_sizes(quick, digits, fitted, sizes):
    ae = quick(hidden_layer_sizes=sizes).fit(digits)
    assert_array_equal(ae.transform(digits), fitted.transform(digits))


def test_batches_larger_than_the_data(quick, digits):
    whole = quick(early_stopping=False, batch_size=300).fit(digits)
    larger = quick(early_stopping=False, batch_size=10**9).fit(digits)
    assert_array_equal(larger.transform(digits), whole.transform(digits))


def test_batches_matter(quick, digits):
    few = quick(early_stopping=False, batch_size=300).fit(digits).loss_curve_
    many = quick(early_stopping=False, batch_size=20).fit(digits).loss_curve_
    assert many[-1] < few[-1]
