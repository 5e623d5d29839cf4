"""Ordered codes: the first columns are a code too, and one fit gives every size."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data import data_rng
from skae import DenoisingAutoencoder
from skae.estimators._ordered import refitted
from skae.inference._dense import DenseForward
from skae.metrics import reconstruction_score
from skae.networks import ConvNetwork
from skae.networks._dense import DenseCoder, DenseNetwork
from skae.networks._ordered import OrderedNetwork
from skae.utils._arrays import as_array
from skae.utils._rows import Rows


def assert_same(actual, desired):
    """But for the last digits: products of other shapes are rounded otherwise."""
    assert_allclose(actual, desired, rtol=1e-8, atol=1e-8)


PARAMS = {"n_components": 5, "hidden_layer_sizes": (16,), "max_iter": 12, "ordered": True}


@pytest.fixture(scope="module")
def ordered(quick, digits):
    """A fitted ordered code of five columns; tests do not change it."""
    return quick(**PARAMS).fit(digits)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_first_columns_are_a_code(ordered, digits, size):
    small = ordered.truncated(size)
    assert small.n_components == small.n_components_ == size
    code = ordered.transform(digits)
    assert_same(small.transform(digits), code[:, :size])
    said = small.inverse_transform(code[:, :size])
    assert_allclose(said, small.reconstruct(digits))
    assert_allclose(small.score(digits), reconstruction_score(small, digits))
    assert list(small.get_feature_names_out()) == list(ordered.get_feature_names_out()[:size])
    assert len(small.variance_explained_) == len(small.pca_variance_explained_) == size


@pytest.mark.any_backend
def test_more_columns_explain_more_and_more_than_pca(quick, digits):
    params = {**PARAMS, "max_iter": 60, "learning_rate": "auto"}
    ordered = quick(**params).fit(digits)
    explained = ordered.variance_explained_
    assert explained.shape == (5,)
    assert (np.diff(explained) > 0).all()
    assert (explained > ordered.pca_variance_explained_).all()
    scores = [ordered.truncated(k).score(digits) for k in range(1, 6)]
    assert_allclose(scores, explained, atol=0.1)


def harmonic_mean_of_pca(X):
    """Of the mean squared errors of one and of two principal components."""
    lost = []
    for size in (1, 2):
        pca = PCA(size, svd_solver="full").fit(X)
        lost.append(np.square(X - pca.inverse_transform(pca.transform(X))).mean())
    harmonic = 1 / np.mean(1 / np.array(lost))
    assert np.mean(lost) > 2 * harmonic
    return harmonic


def test_a_size_counts_by_one_over_what_it_loses_at_the_start(quick, blob):
    start = {"early_stopping": False, "batch_size": 60, "max_iter": 1, "learning_rate": 1e-12}
    ordered = quick(n_components=2, ordered=True, **start).fit(blob)
    assert_allclose(ordered.loss_curve_[0], harmonic_mean_of_pca(blob), rtol=1e-4)


def test_rows_are_validated_by_the_weights_of_sizes_too(quick, blob):
    """Rows held out are like the others: they lose about as much."""
    X = np.repeat(blob, 50, axis=0)
    params = {"n_components": 2, "ordered": True, "max_iter": 1, "learning_rate": 1e-12}
    ordered = quick(**params).fit(X)
    assert_allclose(ordered.start_loss_, harmonic_mean_of_pca(X), rtol=0.2)
    assert_allclose(ordered.validation_loss_curve_[0], ordered.start_loss_, rtol=1e-3)


@pytest.mark.any_backend
def test_the_curve_of_pca_is_that_of_pca(quick, digits):
    ae = quick(**PARAMS, early_stopping=False).fit(digits)
    ratios = PCA(5).fit(digits).explained_variance_ratio_
    assert_allclose(ae.pca_variance_explained_, np.cumsum(ratios), rtol=1e-6)
    # No rows are held out: it is that of the training rows.
    scores = [ae.truncated(k).score(digits) for k in range(1, 6)]
    assert_allclose(ae.variance_explained_, scores, rtol=1e-6)


def test_the_truncated_is_an_estimator_like_others(ordered, digits):
    small = ordered.truncated(2)
    restored = pickle.loads(pickle.dumps(small))
    assert_array_equal(restored.transform(digits), small.transform(digits))
    assert clone(small).get_params() == small.get_params()
    assert_same(small.truncated(1).transform(digits), ordered.transform(digits)[:, :1])
    before = small.transform(digits)
    small.partial_fit(digits)
    assert not np.array_equal(small.transform(digits), before)
    # The first is left as it was.
    assert_same(ordered.truncated(2).transform(digits), before)


def test_keras_models_say_the_same(ordered, digits):
    for ae in (ordered, ordered.truncated(3)):
        code = as_array(ae.encoder_(digits.astype(np.float32)))
        assert_allclose(code, ae.transform(digits), atol=1e-3)
        said = as_array(ae.decoder_(code))
        assert_allclose(said, ae.reconstruct(digits), atol=1e-2)


def test_the_same_seed_gives_the_same(quick, ordered, digits):
    again = quick(**PARAMS).fit(digits)
    assert_array_equal(again.transform(digits), ordered.transform(digits))
    assert_array_equal(again.variance_explained_, ordered.variance_explained_)


@pytest.mark.any_backend
def test_each_size_is_at_least_as_good_as_with_what_training_left(quick, digits, monkeypatch):
    params = {**PARAMS, "n_components": 7, "max_iter": 30}
    explained = quick(**params).fit(digits).variance_explained_
    monkeypatch.setattr("skae.estimators._ordered.refitted", lambda decoder, *_: last(decoder))

    def last(decoder):
        output = decoder.coder.layers(decoder.weights)[-1]
        return [array for array in output if array is not None]

    trained = quick(**params).fit(digits).variance_explained_
    assert (explained >= trained - 1e-6).all()
    assert (explained - trained).mean() > 0.01


@pytest.mark.any_backend
def test_a_fit_that_goes_on_goes_on_from_all_sizes(quick, digits):
    ae = quick(**{**PARAMS, "max_iter": 30}, warm_start=True).fit(digits)
    before = [ae.truncated(k).score(digits) for k in range(1, 6)]
    ae.set_params(max_iter=1).fit(digits)
    after = [ae.truncated(k).score(digits) for k in range(1, 6)]
    assert ae.n_iter_ == 31
    assert_allclose(after, before, atol=0.1)
    assert_allclose(np.mean(after), np.mean(before), atol=0.05)


@pytest.fixture
def decoder():
    """A decoder of three columns, and rows that another last layer would say."""
    rng = data_rng()
    coder = DenseCoder(3, 4, (6,), "relu", "linear", linear_path=True)
    weights = [rng.standard_normal(shape).astype(np.float32) for shape in coder.shapes]
    other = [*weights[:2], *(w + rng.standard_normal(w.shape) for w in weights[2:])]
    code = rng.standard_normal((300, 3))
    rows = Rows(code, DenseForward(coder, other)(code), np.ones(300, np.float32))
    return DenseForward(coder, weights), other[2:], rows


@pytest.mark.any_backend
def test_the_last_layer_is_found(decoder):
    forward, other, rows = decoder
    found = refitted(forward, rows.take(slice(250)), rows.take(slice(250, 300)))
    assert [array.shape for array in found] == [array.shape for array in other]
    said = DenseForward(forward.coder, [*forward.weights[:2], *found])(rows.inputs)
    assert_allclose(said, rows.targets, atol=0.05)


@pytest.mark.any_backend
def test_rows_without_weight_do_not_change_the_last_layer(decoder):
    forward, _, rows = decoder
    corrupted = replace(
        rows,
        targets=np.where(np.arange(300)[:, None] < 100, 1e3, rows.targets),
        weight=np.where(np.arange(300) < 100, 0, 1.5).astype(np.float32),
    )
    expected = refitted(forward, rows.take(slice(100, None)), rows)
    for array, other in zip(refitted(forward, corrupted, rows), expected, strict=True):
        assert_allclose(array, other, atol=1e-3)


@pytest.mark.any_backend
def test_the_last_layer_stays_where_held_out_rows_say_so(decoder):
    forward, _, rows = decoder
    found = refitted(forward, rows, replace(rows, targets=forward(rows.inputs)))
    for array, before in zip(found, forward.weights[2:], strict=True):
        assert_array_equal(array, before)


@pytest.mark.any_backend
def test_a_share_is_what_the_network_explains(quick, digits):
    share = {**PARAMS, "n_components": 0.5, "max_iter": 30, "hidden_layer_sizes": (64,)}
    ae = quick(**share).fit(digits)
    needed = PCA(0.5).fit(digits).n_components_
    assert ae.n_components_ < needed
    assert ae.variance_explained_[-1] >= 0.5 > ae.variance_explained_[-2]
    assert ae.transform(digits).shape == (300, ae.n_components_)
    # A fit that goes on keeps the size.
    size = ae.n_components_
    ae.set_params(warm_start=True, max_iter=1).fit(digits)
    assert ae.n_components_ == size


def test_where_training_gains_nothing_it_is_pca(quick, digits):
    ae = quick(**PARAMS, optimizer="sgd", learning_rate=1e-30).fit(digits)
    assert ae.best_iter_ == 0
    pca = PCA(5).fit(digits)
    for size in (1, 4):
        expected = PCA(size).fit(digits)
        assert_allclose(
            ae.truncated(size).reconstruct(digits),
            expected.inverse_transform(expected.transform(digits)),
            atol=1e-3,
        )
    assert_allclose(np.abs(ae.transform(digits)), np.abs(pca.transform(digits)) / ae.scale_,
                    atol=1e-3)  # fmt: skip


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize(
    "params",
    [
        {"init": "random", "loss": "absolute_error"},
        {"loss": "binary_crossentropy"},
        pytest.param({"hidden_layer_sizes": ()}, marks=pytest.mark.slow),
        {"hidden_layer_sizes": (12, 8), "normalization": "batch", "dropout": 0.1},
        pytest.param({"normalization": "layer", "activation": "tanh"}, marks=pytest.mark.slow),
        {"n_components": 1},
        pytest.param({"batch_size": 7}, marks=pytest.mark.slow),
    ],
)
def test_goes_with_other_parameters(quick, pixels, params):
    ae = quick(**{**PARAMS, "max_iter": 2, **params}).fit(pixels)
    for size in {1, ae.n_components_}:
        small = ae.truncated(size)
        assert_same(small.transform(pixels), ae.transform(pixels)[:, :size])
        assert np.isfinite(small.reconstruct(pixels)).all()


@pytest.mark.any_backend
def test_tables(quick, blob):
    table = pd.DataFrame(blob.copy(), columns=list("abcde"))
    table["kind"] = np.where(blob[:, 0] > blob[:, 0].mean(), "high", "low")
    table.loc[3, "b"] = np.nan
    ae = quick(**{**PARAMS, "n_components": 3}).fit(table)
    small = ae.truncated(2)
    assert_same(small.transform(table), ae.transform(table)[:, :2])
    assert list(small.inverse_transform(small.transform(table)).columns) == list(table.columns)
    assert (np.diff(ae.variance_explained_) > 0).all()
    assert ae.pca_variance_explained_ is None
    assert small.pca_variance_explained_ is None


@pytest.mark.any_backend
def test_weights_and_pipelines(quick, digits):
    weight = np.r_[np.ones(200), np.zeros(100)]
    weighted = quick(**PARAMS).fit(digits, sample_weight=weight)
    assert_array_equal(
        weighted.transform(digits), quick(**PARAMS).fit(digits[:200]).transform(digits)
    )
    pipeline = make_pipeline(StandardScaler(), quick(**PARAMS)).fit(digits)
    assert pipeline[-1].truncated(2).transform(pipeline[:-1].transform(digits)).shape == (
        300,
        2,
    )


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"network": ConvNetwork()}, "ordered=True needs network=None"),
        ({"tied_weights": True}, "ordered=True needs tied_weights=False"),
        ({"penalty": "l1"}, "ordered=True needs penalty=None"),
        ({"code_activation": "relu"}, "ordered=True needs code_activation='identity'"),
        ({"ordered": "yes"}, "'ordered' parameter"),
    ],
)
def test_what_does_not_go_with_it(quick, digits, params, match):
    X = digits.reshape(-1, 8, 8) if "network" in params else digits
    with pytest.raises(ValueError, match=match):
        quick(**{**PARAMS, **params}).fit(X)


@pytest.mark.any_backend
def test_what_cannot_be_cut(fitted, ordered):
    with pytest.raises(ValueError, match="fit with ordered=True"):
        fitted.truncated(1)
    for size in (0, 6):
        with pytest.raises(ValueError, match="n_components"):
            ordered.truncated(size)
    with pytest.raises(TypeError, match="n_components"):
        ordered.truncated(1.5)
    assert not hasattr(fitted, "variance_explained_")
    assert "ordered" not in DenoisingAutoencoder().get_params()


@pytest.mark.any_backend
def test_a_fit_that_goes_on_cannot_become_ordered(quick, digits):
    ae = quick(max_iter=1, warm_start=True).fit(digits)
    with pytest.raises(ValueError, match="ordered was False and is True"):
        ae.set_params(ordered=True).fit(digits)


def test_bands_of_sizes(ordered):
    assert isinstance(ordered._model.network, OrderedNetwork)
    network = OrderedNetwork(DenseNetwork(12, 11, hidden=(4,)))
    assert network.bands == [(1, 1), (2, 2), (3, 4), (5, 8), (9, 11)]
    weights, _ = network.initial_values(np.random.RandomState(0))
    assert network.truncated(weights, 4)[0].bands == [(1, 1), (2, 2), (3, 4)]
    each, weights = network.with_bands(weights, each=True)
    assert each.bands == [(k, k) for k in range(1, 12)]
    assert [array.shape for array in weights] == each.shapes
    assert each.truncated(weights, 4)[0].bands == each.bands[:4]


@pytest.mark.parametrize("size", [1, 3, 7, 11])
def test_other_bands_say_the_same(size):
    network = OrderedNetwork(DenseNetwork(12, 11, hidden=(4,)))
    weights, _ = network.initial_values(np.random.RandomState(0))
    each, weights_of_each = network.with_bands(weights, each=True)
    cut = network.cut(weights, size)[1], each.cut(weights_of_each, size)[1]
    for array, other in zip(*cut, strict=True):
        assert_array_equal(array, other)
