"""One yardstick for everything that transforms and goes back."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.decomposition import NMF, PCA, FastICA, KernelPCA, TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from data import data_rng
from skae import AutoencoderTransformer, VAETransformer
from skae.metrics import (
    closest_record_share,
    neighbor_recall,
    reconstruction_error,
    reconstruction_score,
    two_sample_score,
)
from skae.tables import TabularEncoder

pytestmark = pytest.mark.any_backend

TRANSFORMERS = {
    "PCA": PCA(4, random_state=0),
    "KernelPCA": KernelPCA(4, kernel="rbf", gamma=0.01, fit_inverse_transform=True),
    "NMF": NMF(4, init="nndsvda", max_iter=2000, tol=1e-3, random_state=0),
    "FastICA": FastICA(4, random_state=0, tol=0.05, max_iter=1000),
    "TruncatedSVD": TruncatedSVD(4, random_state=0),
    "Pipeline": make_pipeline(StandardScaler(), PCA(4, random_state=0)),
}


@pytest.mark.parametrize("name", [*TRANSFORMERS, "ours"])
def test_score_is_r2_weighted_by_variance(name, quick, pixels):
    pixels = pixels[:, np.ptp(pixels, axis=0) > 0]
    transformer = quick() if name == "ours" else TRANSFORMERS[name]
    transformer.fit(pixels)
    back = transformer.inverse_transform(transformer.transform(pixels))
    score = reconstruction_score(transformer, pixels)
    assert isinstance(score, float)
    assert_allclose(score, r2_score(pixels, back, multioutput="variance_weighted"))
    assert 0 < score < 1
    error = reconstruction_error(transformer, pixels)
    assert error.shape == (len(pixels),)
    assert_allclose(error, np.square(pixels - back).mean(axis=1))
    spread = np.square(pixels - pixels.mean(axis=0)).mean()
    assert_allclose(score, 1 - error.mean() / spread)


def test_ours_agrees_with_its_own_methods(fitted, digits):
    assert_allclose(reconstruction_score(fitted, digits), fitted.score(digits))
    assert_allclose(reconstruction_error(fitted, digits), -fitted.score_samples(digits))


def test_pca_by_its_own_measure(digits):
    """On its training rows the score is the explained variance ratio."""
    pca = PCA(5, svd_solver="full").fit(digits)
    assert_allclose(reconstruction_score(pca, digits), pca.explained_variance_ratio_.sum())


def test_nothing_lost_scores_one_and_the_mean_scores_zero(blob):
    assert_allclose(reconstruction_score(PCA().fit(blob), blob), 1)
    assert_allclose(reconstruction_error(PCA().fit(blob), blob), 0, atol=1e-20)

    class Mean:
        def transform(self, X):
            return X

        def inverse_transform(self, X):
            return np.broadcast_to(blob.mean(axis=0), X.shape)

    assert_allclose(reconstruction_score(Mean(), blob), 0, atol=1e-12)


def test_errors_in_constant_columns_count():
    """Held-out rows may be constant where the training rows were not."""

    class Wrong:
        def transform(self, X):
            return X

        def inverse_transform(self, X):
            return np.add(X, [0, 1])

    X = np.array([[-1.0, 5.0], [1.0, 5.0]])
    assert_allclose(reconstruction_error(Wrong(), X), 0.5)
    assert_allclose(reconstruction_score(Wrong(), X), 0)


def test_sample_weight(fitted, digits):
    weight = data_rng().randint(0, 4, len(digits))
    repeated = np.repeat(digits, weight, axis=0)
    weighted = reconstruction_score(fitted, digits, sample_weight=weight)
    assert_allclose(weighted, reconstruction_score(fitted, repeated))
    assert_allclose(weighted, fitted.score(digits, sample_weight=weight))
    assert weighted != reconstruction_score(fitted, digits)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library, quick, digits):
    frames = pytest.importorskip(library)
    names = [f"pixel{i}" for i in range(64)]
    kind = {"columns": names} if library == "pandas" else {"schema": names}
    frame = frames.DataFrame(digits, **kind)
    for transformer in (PCA(4, random_state=0), quick()):
        score = reconstruction_score(transformer.fit(frame), frame)
        error = reconstruction_error(transformer, frame)
        transformer.fit(digits)
        assert_allclose(score, reconstruction_score(transformer, digits))
        assert_allclose(error, reconstruction_error(transformer, digits))


def test_it_is_a_scorer(digits):
    scores = cross_val_score(PCA(4), digits, cv=3, scoring=reconstruction_score)
    assert ((scores > 0.2) & (scores < 0.6)).all()


def test_transformers_that_cannot_go_back(digits):
    for measure in (reconstruction_score, reconstruction_error):
        with pytest.raises(TypeError, match="Normalizer has no inverse_transform"):
            measure(Normalizer().fit(digits), digits)


def test_reconstructions_of_another_shape(digits):
    class Cut:
        def transform(self, X):
            return X

        def inverse_transform(self, X):
            return X[:, 1:]

    with pytest.raises(ValueError, match=r"\(300, 64\).*Cut.*\(300, 63\)"):
        reconstruction_score(Cut(), digits)


BAD_WEIGHTS = {
    "negative": lambda w: np.where(np.arange(len(w)) == 5, -1.0, w),
    "all zero": np.zeros_like,
    "nan": lambda w: np.where(np.arange(len(w)) == 5, np.nan, w),
    "too few": lambda w: w[:-1],
    "two columns": lambda w: np.c_[w, w],
    "strings": lambda w: [*w.astype(str).tolist()[:-1], "heavy"],
}


@pytest.mark.any_data
@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_bad_weights_of_a_score(digits, fitted, kind):
    weight = BAD_WEIGHTS[kind](np.ones(len(digits)))
    vae = VAETransformer(2, hidden_layer_sizes=(8,), max_iter=1, n_draws=1).fit(digits[:40])
    table = (
        pd.DataFrame(digits[:, 10:13])
        .add_prefix("x")
        .assign(kind=np.where(digits[:, 20] > 8, "a", "b"))
    )
    tabular = AutoencoderTransformer(1, hidden_layer_sizes=(4,), max_iter=1).fit(table)
    scores = {
        "array": lambda: reconstruction_score(fitted, digits, sample_weight=weight),
        "sparse": lambda: reconstruction_score(
            fitted, sparse.csr_array(digits), sample_weight=weight
        ),
        "table": lambda: reconstruction_score(tabular, table, sample_weight=weight),
        "score": lambda: fitted.score(digits, sample_weight=weight),
        "likelihood": lambda: vae.score(digits, sample_weight=weight),
    }
    for score in scores.values():
        with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
            score()


# Neighbours

FIRST = FunctionTransformer(lambda X: np.asarray(X)[:, :1])


def test_recall_by_hand():
    train = np.array([[0.0, 0], [1, 9], [2, 1], [3, 0], [9, 1]])
    # In the first column (1, 9) and (2, 1) are nearest to the first row, of all columns (0, 0)
    # and (2, 1); to the second (9, 1) and (3, 0) are nearest in both.
    test = np.array([[1.2, 0], [8, 0]])
    assert neighbor_recall(FIRST, train, test, 2) == 0.75
    assert neighbor_recall(FIRST, train, test[:1], k=1) == 0.0
    assert neighbor_recall(FIRST, train, test, k=5) == 1.0


def test_recall_is_the_share_of_common_neighbours():
    # No two rows are at equal distances.
    train, test = np.split(data_rng().normal(size=(300, 6)), [200])
    pca = PCA(3).fit(train)

    def nearest(rows, others):
        squares = np.square(others[:, np.newaxis] - rows).sum(axis=2)
        return np.argsort(squares, axis=1)[:, :7]

    pairs = zip(
        nearest(train, test), nearest(pca.transform(train), pca.transform(test)), strict=True
    )
    expected = np.mean([len(set(a) & set(b)) / 7 for a, b in pairs])
    assert_allclose(neighbor_recall(pca, train, test, k=7), expected)
    assert 0.2 < expected < 0.9
    assert neighbor_recall(PCA().fit(train), train, test) == 1.0


def test_recall_of_rows_at_equal_distances():
    train = np.array([[0.0, 0], [0, 0], [0, 0], [1, 0]])
    assert neighbor_recall(FIRST, train, np.array([[0.0, 0]]), k=2) == 1.0


def test_recall_of_all_that_is_transformed(quick, blob):
    train, test = blob[:40], blob[40:]
    pca = PCA(2).fit(train)
    expected = neighbor_recall(pca, train, test, k=5)
    assert expected == neighbor_recall(pca, *map(pd.DataFrame, (train, test)), k=5)
    assert expected == neighbor_recall(pca.set_output(transform="pandas"), train, test, k=5)
    images = [rows.reshape(len(rows), 5, 1) for rows in (train, test)]
    flat = FunctionTransformer(lambda X: pca.transform(X.reshape(len(X), -1)))
    assert expected == neighbor_recall(flat, *images, k=5)
    svd = TruncatedSVD(2, random_state=0).fit(train)
    assert_allclose(
        neighbor_recall(svd, *map(sparse.csr_array, (train, test)), k=5),
        neighbor_recall(svd, train, test, k=5),
    )
    holes = train.copy()
    holes[::4, 1] = np.nan
    filled = np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)
    fitted = quick().fit(holes)
    assert_allclose(
        neighbor_recall(fitted, holes, test, k=5), neighbor_recall(fitted, filled, test, k=5)
    )


def test_recall_of_a_table(quick):
    table = pd.DataFrame({"a": data_rng().normal(size=60), "kind": list("xyz") * 20})
    train, test = table[:45], table[45:]
    encoded = FunctionTransformer(lambda X: TabularEncoder().fit(train).transform(X))
    assert neighbor_recall(encoded, train, test, k=4) == 1.0
    assert 0 < neighbor_recall(quick().fit(train), train, test, k=4) <= 1


@pytest.mark.parametrize("k", [0, 6, 2.0])
def test_recall_of_another_number_of_neighbours(k):
    error = TypeError if isinstance(k, float) else ValueError
    with pytest.raises(error, match="k"):
        neighbor_recall(FIRST, np.zeros((5, 2)), np.zeros((3, 2)), k=k)


# Sampled rows


def test_rows_of_one_distribution_cannot_be_distinguished():
    rng = data_rng()
    X, same, shifted, far = (rng.normal(mean, size=(300, 4)) for mean in (0, 0, 0.7, 9))
    scores = [two_sample_score(X, rows, random_state=0) for rows in (same, shifted, far)]
    assert abs(scores[0] - 0.5) < 0.08
    assert scores[0] + 0.15 < scores[1] < scores[2] == 1
    logistic = two_sample_score(X, far, classifier=LogisticRegression(), cv=5, random_state=0)
    assert logistic == 1


def test_the_longer_of_two_samples_is_cut(blob):
    score = two_sample_score(blob, np.vstack([blob, blob + 99]), random_state=0)
    assert score < 0.6


def test_sampled_tables_are_compared():
    rng = data_rng()

    def table(share, n_samples=200):
        columns = {
            "x": rng.normal(size=n_samples),
            "c": rng.choice(["a", "b"], n_samples, p=share),
        }
        return pd.DataFrame(columns)

    even, again, uneven = table([0.5, 0.5]), table([0.5, 0.5]), table([0.97, 0.03])
    assert two_sample_score(even, again, random_state=0) < 0.6
    assert two_sample_score(even, uneven, random_state=0) > 0.65
    assert closest_record_share(even, again, even) == 1


def test_a_copy_is_nearer_than_real_rows_are():
    rng = data_rng()
    train, test, sampled = (rng.normal(size=(400, 3)) * [1, 100, 1] for _ in range(3))
    assert closest_record_share(train, test, sampled) < 0.12
    assert closest_record_share(train, test, train + 1e-6) == 1
    assert closest_record_share(train, test, train + 50) == 0
    assert closest_record_share(train, test, test, quantile=0.25) == 0.25


@pytest.mark.parametrize(
    ("real", "sampled", "quantile", "expected"),
    [
        ([1, 3, 5, 7], [0.5, 2, 4, 6], 0.5, 1 / 2),
        ([1, 3, 5, 7], [0.5, 3, 3, 6], 0.25, 1 / 4),
        # Half of the real rows at zero count, and of the sampled ones as many.
        ([0, 0, 1, 2], [0, 0, 0, 5], 0.25, 3 / 8),
        ([0, 0, 1, 2], [0, 3, 3, 3], 0.5, 1 / 4),
    ],
)
def test_share_of_closest_records(real, sampled, quantile, expected):
    train = np.array([[0.0], [1000.0]])
    real, sampled = (np.array([distances]).T * 1.0 for distances in (real, sampled))
    share = closest_record_share(train, real, sampled, quantile=quantile)
    assert_allclose(share, expected)


@pytest.mark.parametrize("quantile", [0, 1, -0.1])
def test_quantiles_of_closest_records(blob, quantile):
    with pytest.raises(ValueError, match="quantile"):
        closest_record_share(blob, blob, blob, quantile=quantile)


def test_sampled_rows_have_the_columns_of_the_real_ones(blob):
    with pytest.raises(ValueError, match="as many columns as X, 5; it has 4"):
        two_sample_score(blob, blob[:, :4])
    with pytest.raises(ValueError, match="cv"):
        two_sample_score(blob, blob, cv=1)
