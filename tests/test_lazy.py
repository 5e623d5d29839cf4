"""Rows that are sparse, many, or in a file: read in chunks, with the results of all at once."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import MaxAbsScaler

from data import centre_and_scale, data_rng
from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.estimators import _validation
from skae.inference._dense import Affine
from skae.metrics import reconstruction_error, reconstruction_score
from skae.networks import KerasNetwork, _principal
from skae.networks._principal import MOST_EXACT, linear_map, principal_axes
from skae.training import _data, _engine
from skae.utils import _lazy, _process, _rows
from skae.utils._lazy import LazyRows
from skae.utils._rows import Rows, moments

FORMATS = [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array]


@pytest.fixture
def many(monkeypatch):
    """Three hundred rows are many, and read in many chunks."""
    monkeypatch.setattr(_validation, "FEW_BYTES", 0)
    monkeypatch.setattr(_engine, "FEW_BYTES", 0)
    monkeypatch.setattr(_engine, "_MOST_ON_ACCELERATOR", 0)
    monkeypatch.setattr(_data, "_CHUNK_BYTES", 2**14)
    monkeypatch.setattr(_lazy, "_ENTRIES", 2**10)
    monkeypatch.setattr(_lazy, "_SPARSE_ENTRIES", 2**10)
    monkeypatch.setattr(_rows, "_PART_BYTES", 2**12)
    monkeypatch.setattr(_principal, "_CHUNK_ROWS", 37)
    monkeypatch.setattr(_rows, "LARGE_PAGE", 1)


@pytest.fixture(scope="module")
def words():
    """200 rows of 40 columns, most of which are zero."""
    rng = data_rng()
    X = rng.poisson(0.1 + rng.gamma(0.2, size=(200, 3)) @ rng.gamma(0.3, size=(3, 40)))
    return np.log1p(X)


# Lazy rows


@settings(deadline=None, max_examples=40)
@given(data=st.data(), is_sparse=st.booleans(), dtype=st.sampled_from([np.float32, float]))
@pytest.mark.any_backend
def test_lazy_rows_are_the_rows(data, is_sparse, dtype):
    n_rows = data.draw(st.integers(1, 30))
    rng = np.random.RandomState(data.draw(st.integers(0, 99)))
    X = rng.poisson(0.5, size=(n_rows, data.draw(st.integers(1, 6)))).astype(dtype)
    lazy = LazyRows(sparse.csr_array(X) if is_sparse else X)
    for _ in range(data.draw(st.integers(0, 3))):
        index = data.draw(
            st.one_of(
                st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=9).map(np.array),
                st.integers(1, 3).map(lambda step: slice(None, None, step)),
                st.just(np.arange(len(X)) % 2 == 0),
            )
        )
        X, lazy = X[index], lazy[index]
    units = Affine(rng.normal(size=X.shape[1]), 3.0)
    assert lazy.shape == X.shape
    assert lazy.dtype == X.dtype
    assert_array_equal(lazy.dense(), X)
    assert_array_equal(units.transform(lazy).dense(), units.transform(X))
    assert_array_equal(lazy.max(axis=0), X.max(axis=0))
    assert lazy.min() == X.min()
    weight = rng.uniform(0.1, 1, size=len(X))
    for each in (None, weight):
        assert_allclose(moments(lazy, each), moments(X, each), rtol=1e-12, atol=1e-12)


@pytest.mark.any_backend
def test_a_column_of_sparse_rows_that_has_no_zeros_is_constant():
    """Nothing is left of the zeros that are not there but a rounding."""
    X = sparse.csr_array(np.ones((8, 1)))
    for seed in range(20):
        weight = np.random.RandomState(seed).uniform(0.1, 1, size=8)
        assert moments(LazyRows(X), weight)[1] == 0


@pytest.mark.any_backend
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_axes_of_lazy_rows(many, words, is_sparse, weighted):
    weight = data_rng().uniform(0.5, 2, size=len(words)) if weighted else None
    units = Affine(*centre_and_scale(words, weight))
    source = sparse.csr_array(words) if is_sparse else words
    lazy = units.transform(LazyRows(source))
    axes, variance = principal_axes(units.transform(words), 5, weight)
    lazy_axes, lazy_variance = principal_axes(lazy, 5, weight)
    assert_allclose(lazy_variance, variance, rtol=1e-10)
    assert_allclose(lazy_axes, axes, atol=1e-8)
    share = linear_map(Rows(lazy, None, weight), 5, data_rng()).share
    assert share == pytest.approx(
        linear_map(Rows(units.transform(words), None, weight), 5, data_rng()).share
    )


@pytest.mark.any_backend
@pytest.mark.parametrize("is_sparse", [False, True])
def test_axes_of_wide_lazy_rows(many, is_sparse):
    rng = data_rng()
    X = rng.normal(size=(90, 4)) * [8, 4, 2, 1] @ rng.normal(size=(4, MOST_EXACT + 9))
    X += rng.normal(size=X.shape[1])
    units = Affine(*centre_and_scale(X, None))
    lazy = units.transform(LazyRows(sparse.csr_array(X) if is_sparse else X))
    axes, variance = principal_axes(units.transform(X), 4)
    lazy_axes, lazy_variance = principal_axes(lazy, 4, random_state=0)
    assert_allclose(lazy_variance, variance, rtol=1e-6)
    assert_allclose(np.abs((axes * lazy_axes).sum(axis=0)), 1, rtol=1e-6)


# The stream


@pytest.mark.any_backend
@pytest.mark.parametrize("scattered", [0, 2**30])
def test_each_row_is_visited_once(monkeypatch, many, digits, scattered):
    """In blocks, where rows lie on a disk, and one by one."""
    monkeypatch.setattr(_data, "_MOST_SCATTERED", scattered)
    monkeypatch.setattr(_data, "_BLOCK_BYTES", 2**11)
    X = digits.astype(np.float32)
    index = data_rng().permutation(len(X))[:201]
    weight = 1.0 + np.arange(201)
    stream = _data.Stream(Rows(LazyRows(X, index), None, weight), 16)
    assert stream.in_blocks == (scattered == 0)
    order = np.resize(stream.order(np.random.RandomState(0)), 208)
    assert_array_equal(np.sort(order[:201]), np.arange(201))
    assert np.mean(np.diff(order[:201]) == 1) < 0.2
    seen, seen_weight, steps = [], [], []
    for chunk in stream.chunks(order, 201):
        rows, row_weight = (array[chunk.order[: chunk.n_rows]] for array in chunk.arrays)
        seen.append(rows)
        seen_weight.append(row_weight)
        steps.extend(range(chunk.first_step, chunk.first_step + chunk.n_steps))
        assert chunk.is_last == (len(steps) == 13)
    assert len(seen) > 2
    assert steps == list(range(13))
    visited = stream.rows.take(order[:201])
    assert_array_equal(np.concatenate(seen), visited.inputs.dense())
    assert_array_equal(np.concatenate(seen_weight), visited.weight)
    assert np.mean(visited.weight) == pytest.approx(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda **params: AutoencoderTransformer(**params),
        lambda **params: AutoencoderTransformer(code_activation="relu", **params),
        lambda **params: AutoencoderTransformer(ordered=True, **params),
        lambda **params: DenoisingAutoencoder(**params),
        lambda **params: VAETransformer(**params),
    ],
    ids=["plain", "rectified", "ordered", "denoising", "variational"],
)
def test_a_stream_trains_what_the_whole_trains(request, digits, make):
    ae = make(n_components=3, hidden_layer_sizes=(8,), max_iter=3, random_state=0)
    weight = 1.0 + np.arange(len(digits)) % 3
    whole = clone(ae).fit(digits, sample_weight=weight)
    request.getfixturevalue("many")
    stream = clone(ae).fit(digits, sample_weight=weight)
    assert_allclose(stream.loss_curve_, whole.loss_curve_, rtol=1e-3)
    assert_allclose(stream.validation_loss_curve_, whole.validation_loss_curve_, rtol=1e-3)
    assert stream.score(digits) == pytest.approx(whole.score(digits), abs=1e-3)


def test_a_stream_of_pairs(many, digits):
    ae = DenoisingAutoencoder(3, hidden_layer_sizes=(8,), max_iter=3, random_state=0)
    ae.fit(digits, target=digits[:, :20])
    assert ae.score(digits, target=digits[:, :20]) > 0.3


def test_a_file_is_trained_on_like_an_array(tmp_path, many, quick, digits):
    path = tmp_path / "rows.npy"
    np.save(path, digits)
    from_file = quick().fit(np.load(path, mmap_mode="r"))
    assert_array_equal(from_file.transform(digits), quick().fit(digits).transform(digits))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_scores_of_many_rows_are_those_of_few(request, quick, digits):
    weight = 1.0 + np.arange(len(digits)) % 3
    ae = quick(max_iter=1).fit(digits)
    few = ae.score_samples(digits), ae.score(digits, sample_weight=weight)
    request.getfixturevalue("many")
    assert_allclose(ae.score_samples(digits), few[0])
    assert ae.score(digits, sample_weight=weight) == pytest.approx(few[1])


def test_a_stream_goes_on(many, quick, digits):
    ae = quick(warm_start=True).fit(digits)
    assert ae.fit(digits).partial_fit(digits).n_iter_ == 7


@pytest.mark.any_backend
def test_few_rows_are_held_out_of_many(monkeypatch, many, quick, digits):
    monkeypatch.setattr(_validation, "_MOST_HELD_OUT", 0)
    monkeypatch.setattr(_validation, "_HELD_OUT", (7, 20))
    rows, held_out = _validation.split_rows(
        Rows(LazyRows(digits)), 0.1, np.random.RandomState(0), True
    )
    assert (len(rows), len(held_out)) == (293, 7)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_memory_is_given_back_where_the_system_can_be_asked(monkeypatch):
    _process.malloc_trim()

    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    _process.malloc_trim()


# Sparse rows


@pytest.mark.any_backend
@pytest.mark.parametrize("form", FORMATS)
def test_sparse_rows_give_what_dense_rows_give(words, form):
    ae = AutoencoderTransformer(3, hidden_layer_sizes=(8,), max_iter=3, random_state=0)
    dense, thin = clone(ae).fit(words), clone(ae).fit(form(words))
    assert thin.score(words) == pytest.approx(dense.score(words), abs=1e-3)
    assert_allclose(thin.mean_, dense.mean_, atol=1e-12)
    assert thin.scale_ == pytest.approx(dense.scale_)
    X = form(words)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        found = getattr(thin, method)(X)
        assert_allclose(found, getattr(thin, method)(words), rtol=1e-9, atol=1e-9)
    assert_array_equal(clone(ae).fit_transform(X), thin.transform(X))
    assert reconstruction_score(thin, X) == pytest.approx(thin.score(words))


def doubled(X, form, index_dtype=np.int32):
    """A sparse matrix with each entry in two parts, a few zeros among them, out of order."""
    entries = sparse.coo_array(X)
    row, column = np.tile(entries.row, 3), np.tile(entries.col, 3)
    value = np.concatenate([0.25 * entries.data, 0.75 * entries.data, 0 * entries.data])
    major, minor = (column, row) if "csc" in form.__name__ else (row, column)
    order = np.lexsort((data_rng().permutation(len(row)), major))
    if "coo" in form.__name__:
        return form((value, (row, column)), shape=X.shape)
    ends = np.searchsorted(major[order], np.arange(max(major) + 2)).astype(index_dtype)
    parts = value[order], minor[order].astype(index_dtype), ends
    return form(parts, shape=X.shape)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("kind", "form", "index_dtype"),
    [
        # Each estimator reads them in the same way.
        *((AutoencoderTransformer, form, np.int32) for form in FORMATS),
        *((AutoencoderTransformer, form, np.int64) for form in FORMATS),
        (DenoisingAutoencoder, sparse.csr_array, np.int32),
        (VAETransformer, sparse.csc_array, np.int64),
    ],
)
def test_an_entry_in_several_parts_is_their_sum(words, form, index_dtype, kind):
    words = words[:, words.any(axis=0)]
    X = doubled(words, form, index_dtype)
    before = [part.copy() for part in (X.data, *getattr(X, "coords", ()))]
    ae = kind(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    plain = clone(ae).fit(sparse.csr_array(words))
    ae.fit(X)
    assert ae.scale_ == plain.scale_
    assert_array_equal(ae.mean_, plain.mean_)
    assert_array_equal(ae.transform(X), plain.transform(sparse.csr_array(words)))
    assert ae.score(X) == pytest.approx(plain.score(words))
    assert reconstruction_score(ae, X) == pytest.approx(reconstruction_score(plain, words))
    # What the user holds is left as it was.
    after = (X.data, *getattr(X, "coords", ()))
    assert all(map(np.array_equal, before, after))
    assert not getattr(X, "has_canonical_format", False)


@pytest.mark.any_backend
@pytest.mark.parametrize("form", [*FORMATS, sparse.lil_array, sparse.dok_array])
def test_errors_of_sparse_rows(words, form):
    X = form(words)
    for transformer in (TruncatedSVD(4, random_state=0), MaxAbsScaler()):
        transformer.fit(words)
        error = reconstruction_error(transformer, X)
        assert error.shape == (len(words),)
        assert_allclose(error, reconstruction_error(transformer, words), atol=1e-12)
        score = reconstruction_score(transformer, X)
        assert score == pytest.approx(reconstruction_score(transformer, words))


@pytest.mark.any_backend
def test_reconstructions_of_sparse_rows_of_another_shape(words):
    class Cut:
        def transform(self, X):
            return X

        def inverse_transform(self, X):
            return X[:, 1:]

    for measure in (reconstruction_score, reconstruction_error):
        with pytest.raises(ValueError, match=r"\(200, 40\).*Cut.*\(200, 39\)"):
            measure(Cut(), sparse.csr_array(words))


@pytest.mark.any_backend
def test_sparse_rows_in_chunks(many, words):
    X = sparse.csr_array(words.astype(np.float32))
    weight = 1.0 + np.arange(len(words)) % 2
    for ae in (AutoencoderTransformer(0.6), DenoisingAutoencoder(3), VAETransformer(3)):
        ae.set_params(hidden_layer_sizes=(8,), max_iter=3, random_state=0)
        ae.fit(X, sample_weight=weight).partial_fit(X)
        assert ae.transform(X).dtype == np.float32
        assert ae.score(X, sample_weight=weight) == pytest.approx(
            ae.score(words, sample_weight=weight), abs=1e-5
        )


@pytest.mark.any_backend
def test_variance_explained_of_sparse_rows_for_any_transformer(words):
    svd = TruncatedSVD(3, random_state=0).fit(words)
    assert reconstruction_score(svd, sparse.csr_array(words)) == pytest.approx(
        reconstruction_score(svd, words)
    )


@pytest.mark.any_data
@pytest.mark.any_backend
def test_models_of_ones_own_read_sparse_rows(words):
    import keras

    encoder = keras.Sequential([keras.Input((40,)), keras.layers.Dense(3)])
    decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(40)])
    ae = AutoencoderTransformer(3, network=KerasNetwork(encoder, decoder), max_iter=2)
    X = sparse.csr_array(words)
    assert_allclose(ae.fit(X).transform(X), ae.transform(words), atol=1e-5)


@pytest.mark.any_backend
def test_sparse_rows_of_a_distribution(many, words):
    vae = VAETransformer(3, hidden_layer_sizes=(8,), max_iter=3, random_state=0)
    X = sparse.csr_array(words)
    dense, thin = clone(vae).fit(words), clone(vae).fit(X)
    assert thin.score(words) == pytest.approx(dense.score(words), abs=0.1)
    assert_allclose(thin.divergence_, dense.divergence_, atol=1e-2)
    assert_allclose(thin.score_samples(X), thin.score_samples(words), rtol=1e-5)
    for found, expected in zip(thin.posterior(X), thin.posterior(words), strict=True):
        assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("estimator", [AEAnomalyDetector(), AEImputer()], ids=repr)
def test_others_refuse_sparse_rows(words, estimator):
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        estimator.fit(sparse.csr_array(words))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_sparse_rows_are_numbers_without_holes(quick, words):
    X = sparse.csr_array(words)
    with pytest.raises(ValueError, match=r"categorical_features must be .* sparse X"):
        quick(categorical_features=[0]).fit(X)
    X.data[0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        quick().fit(X)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_sparse_rows_where_others_were_fitted_on(quick, words):
    X = sparse.csr_array(words)
    with pytest.raises(TypeError, match=r"X is sparse, but .* on a table"):
        quick(max_iter=1, categorical_features=[0]).fit(words).transform(X)
    with pytest.raises(TypeError, match=r"X is sparse, but .* rows of shape \(8, 5\)"):
        quick(max_iter=1).fit(words.reshape(-1, 8, 5)).transform(X)
