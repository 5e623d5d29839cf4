"""Missing values of numbers: at fit or at predict, and what columns are divided by."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import norm
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from data import data_rng
from settings import LARGE_BATCHES, QUICK
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.losses._likelihood import LIKELIHOODS, ObservedLikelihood
from skae.losses._reconstruction import LOSSES, ObservedLoss
from skae.metrics import reconstruction_error, reconstruction_score
from skae.networks import ConvNetwork, _principal
from skae.tables import TabularEncoder
from skae.utils._arrays import as_array
from skae.utils._rows import moments

pytestmark = pytest.mark.any_backend

AUTOENCODERS = {
    "plain": AutoencoderTransformer(**QUICK),
    "ordered": AutoencoderTransformer(**QUICK, ordered=True),
    "tied": AutoencoderTransformer(**QUICK, tied_weights=True),
    "standardized": AutoencoderTransformer(**QUICK, standardize=True),
    "absolute error": AutoencoderTransformer(**QUICK, loss="absolute_error"),
    "cosine": AutoencoderTransformer(**QUICK, loss="cosine"),
    "denoising": DenoisingAutoencoder(**QUICK),
    "variational": VAETransformer(**QUICK),
}
DETECTOR = AEAnomalyDetector(hidden_layer_sizes=8, n_steps=20, cv=2, random_state=0)
IMPUTER = AEImputer(hidden_layer_sizes=8, n_estimators=1, random_state=0, **LARGE_BATCHES)


def holed(X, share=0.2):
    """A copy in which values are missing at random."""
    return np.where(data_rng().random_sample(X.shape) < share, np.nan, X)


@pytest.fixture(scope="module")
def gaps(blob):
    return holed(blob)


@pytest.mark.any_data
@pytest.mark.parametrize(
    "name",
    [
        # Autoencoders that take rows in the same way as the plain one.
        pytest.param(
            name,
            marks=[pytest.mark.slow] * (name in ("ordered", "tied", "standardized", "cosine")),
        )
        for name in AUTOENCODERS
    ],
)
def test_a_missing_value_is_at_the_mean(name, blob, gaps):
    """Whether a value was missing in fit or not."""
    for X in blob, gaps:
        ae = clone(AUTOENCODERS[name]).fit(X)
        one = blob[:5].copy()
        one[2, 3] = np.nan
        at_mean = one.copy()
        at_mean[2, 3] = ae.mean_[3]
        assert_array_equal(ae.transform(one), ae.transform(at_mean))
        assert_array_equal(ae.reconstruct(one), ae.reconstruct(at_mean))
        assert np.isfinite(ae.score_samples(one)).all()
        assert np.isfinite(ae.score(one))


@pytest.mark.any_data
@pytest.mark.parametrize("name", AUTOENCODERS)
def test_training_on_missing_values(name, gaps):
    ae = clone(AUTOENCODERS[name]).fit(gaps)
    assert ae.table_ is None
    assert_allclose(ae.mean_, np.nanmean(gaps, axis=0))
    assert np.isfinite(ae.loss_curve_).all()
    assert np.isfinite(ae.validation_loss_curve_).all()
    assert np.isfinite(ae.reconstruct(gaps)).all()


@pytest.mark.any_data
@pytest.mark.parametrize(
    "estimator",
    [
        *AUTOENCODERS.values(),
        AEClassifier(AutoencoderTransformer(**QUICK)),
        make_pipeline(IMPUTER, AEClassifier(AutoencoderTransformer(**QUICK))),
    ],
    ids=str,
)
def test_every_fold_has_a_score(estimator, blob):
    """Wherever the only missing value lies, in the rows to fit on or in those to score."""
    X = blob.copy()
    X[7, 2] = np.nan
    y = (blob[:, 0] > np.median(blob[:, 0])).astype(int)
    assert np.isfinite(cross_val_score(clone(estimator), X, y, cv=3)).all()


def test_a_missing_value_leaves_the_scale(quick):
    """Columns of several units are treated alike with a missing value and without."""
    rng = data_rng()
    X = rng.normal(size=(100, 3)) * [1.0, 30.0, 10.0] + [5, 100, 50]
    with_gap = X.copy()
    with_gap[0, 0] = np.nan
    whole, one = quick().fit(X), quick().fit(with_gap)
    assert_allclose(one.scale_, whole.scale_, rtol=1e-3)
    assert_allclose(one.mean_, whole.mean_, atol=0.05)
    errors = [np.abs(ae.reconstruct(X) - X).mean(axis=0) / X.std(axis=0) for ae in (whole, one)]
    assert_allclose(errors[1], errors[0], atol=0.1)


@pytest.mark.parametrize(
    ("loss", "error"), [("squared_error", np.square), ("absolute_error", np.abs)]
)
def test_scores_are_means_over_observed_values(loss, error, quick, gaps):
    ae = quick(loss=loss).fit(gaps)
    wanted = np.nanmean(error(gaps - ae.reconstruct(gaps)), axis=1)
    assert_allclose(ae.score_samples(gaps), -wanted, rtol=1e-4)
    explained = 1 - np.nansum(np.square(gaps - ae.reconstruct(gaps))) / np.nansum(
        np.square(gaps - np.nanmean(gaps, axis=0))
    )
    assert_allclose(ae.score(gaps), explained, rtol=1e-4)
    assert_allclose(reconstruction_score(ae, gaps), explained, rtol=1e-4)
    wanted = np.nanmean(np.square(gaps - ae.reconstruct(gaps)), axis=1)
    assert_allclose(reconstruction_error(ae, gaps), wanted, rtol=1e-4)


def test_losses_of_observed_values():
    target = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    output = np.array([[2.0, 5.0, 5.0], [1.0, 1.0, 1.0]])
    squared = ObservedLoss(LOSSES["squared_error"]).per_sample(np, target, output)
    assert_allclose(squared, [(1 + 4) / 2, 0])
    # In other losses the output takes the place of what is missing.
    cosine = ObservedLoss(LOSSES["cosine"]).per_sample(np, target, output)
    filled = np.where(np.isnan(target), output, target)
    assert_allclose(cosine, LOSSES["cosine"].per_sample(np, filled, output))
    variance = np.array([0.5, 1.0, 2.0])
    minus_log = ObservedLikelihood(LIKELIHOODS["gaussian"]).per_sample(
        np, target, output, variance
    )
    parts = norm.logpdf(target, output, np.sqrt(variance))
    assert_allclose(minus_log, -np.nansum(parts, axis=1))
    bits, p = np.array([[1.0, np.nan]]), np.array([[0.25, 0.5]])
    bernoulli = ObservedLikelihood(LIKELIHOODS["bernoulli"]).per_sample(np, bits, p, None)
    assert_allclose(bernoulli, -np.log(0.25), rtol=1e-5)


def test_an_unobserved_row_has_likelihood_one(gaps):
    vae = VAETransformer(**QUICK).fit(gaps)
    nothing = np.full((1, gaps.shape[1]), np.nan)
    many = clone(vae).set_params(n_draws=5000).fit(gaps)
    assert_allclose(many.score_samples(nothing), 0, atol=0.3)
    # The scale of the data counts for the values that were observed.
    large = VAETransformer(**QUICK).fit(1000 * gaps)
    n_observed = (~np.isnan(gaps)).sum(axis=1)
    wanted = vae.score_samples(gaps) - n_observed * np.log(1000)
    assert_allclose(large.score_samples(1000 * gaps), wanted, atol=0.05)


def test_moments_of_observed_values(gaps):
    mean, deviation = moments(gaps)
    assert_allclose(mean, np.nanmean(gaps, axis=0))
    assert_allclose(deviation, np.nanstd(gaps, axis=0))
    weight = np.arange(1.0, len(gaps) + 1)
    mean, _ = moments(gaps, weight)
    observed = np.ma.masked_invalid(gaps)
    assert_allclose(mean, np.ma.average(observed, axis=0, weights=weight))


def test_portions_with_missing_values(quick, gaps):
    """Mean and deviation of all values so far, each column by those that it had."""
    first, second = gaps[:30].copy(), gaps[30:]
    first[:20, 0] = np.nan
    ae = quick().partial_fit(first).partial_fit(second)
    seen = np.vstack([first, second])
    assert_allclose(ae.mean_, np.nanmean(seen, axis=0))
    assert_allclose(ae.scale_, np.sqrt(np.nanvar(seen, axis=0).mean()))
    assert np.isfinite(ae.transform(seen)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda X: X.astype(np.float32),
        lambda X: X.tolist(),
        lambda X: np.where(np.isnan(X), None, X.astype(object)),
        lambda X: pd.DataFrame(X, columns=list("abcde")),
        lambda X: pd.DataFrame(X, columns=list("abcde")).convert_dtypes(),
        lambda X: pd.DataFrame(X, columns=list("abcde")).astype(object),
        lambda X: pd.DataFrame(X, columns=list("abcde")).astype("float64[pyarrow]"),
        lambda X: pl.DataFrame(X, schema=list("abcde")).fill_nan(None),
        lambda X: pa.table(dict(zip("abcde", X.T, strict=True))),
    ],
    ids=["float32", "list", "objects", "pandas", "nullable", "frame of objects", "arrow dtypes",
         "polars", "pyarrow"],
)  # fmt: skip
def test_whatever_holds_the_numbers(make, quick, gaps):
    X = make(gaps)
    ae = quick().fit(X)
    assert ae.table_ is None
    assert_allclose(ae.transform(X), quick().fit(gaps).transform(gaps), atol=1e-3)
    assert isinstance(ae.reconstruct(X), np.ndarray)


def test_integers_with_a_missing_value_are_numbers(quick):
    X = pd.DataFrame({"a": pd.array([1, 2, None, 4] * 5, dtype="Int64"), "b": range(20)})
    assert quick().fit(X).table_ is None
    assert quick().fit(X.assign(c=["x", "y"] * 10)).table_ is not None


def test_rows_without_a_value_in_a_column(quick, blob):
    """Objects without a value are missing numbers, for an estimator of numbers."""
    frame = pd.DataFrame(blob, columns=list("abcde"))
    ae, one = quick().fit(frame), frame[:1].astype(object)
    one.loc[0, "b"] = None
    at_mean = frame[:1].assign(b=ae.mean_[1])
    assert_array_equal(ae.transform(one), ae.transform(at_mean))
    assert_allclose(reconstruction_score(ae, one), ae.score(one))


def test_other_columns_than_numbers_at_predict(quick, blob):
    frame = pd.DataFrame(blob, columns=list("abcde"))
    for estimator in (quick(), clone(DETECTOR)):
        estimator.fit(frame)
        for wrong in ("text", pd.Timestamp("2024-01-01")):
            with pytest.raises(
                ValueError, match=r"Column 'c' had values of type number in fit"
            ):
                estimator.score_samples(frame.assign(c=wrong))


@pytest.mark.any_data
def test_images_with_missing_values(quick, pixels):
    images = holed(pixels[:40].reshape(-1, 8, 8), 0.1)
    ae = quick(network=ConvNetwork((4,)), max_iter=1).fit(images)
    filled = np.where(np.isnan(images), ae.mean_.reshape(8, 8), images)
    assert_allclose(ae.transform(images), ae.transform(filled))
    assert np.isfinite(ae.reconstruct(images)).all()


def test_targets_for_rows_with_missing_values(gaps, blob):
    ae = DenoisingAutoencoder(**QUICK).fit(gaps, target=blob)
    assert np.isfinite(ae.score(gaps, target=blob))
    says = r"target contains NaN, in \d+ of \d+ values: target must have no .* X may have them"
    for call in (clone(ae).fit, ae.score, ae.partial_fit):
        with pytest.raises(ValueError, match=says):
            call(blob, target=gaps)


@pytest.mark.any_data
@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, pl.DataFrame], ids=str)
@pytest.mark.parametrize("mark", [np.inf, -np.inf])
def test_infinity_that_marks_missing_values(make, mark, blob, gaps):
    marked = np.where(np.isnan(gaps), mark, gaps)
    imputer = clone(IMPUTER).set_params(missing_values=mark)
    expected = clone(imputer).set_params(missing_values=np.nan).fit_transform(make(gaps))
    assert_array_equal(imputer.fit_transform(make(marked)), expected)
    with pytest.raises(ValueError, match=r"infinity .* column"):
        imputer.transform(make(np.where(np.isnan(gaps), -mark, gaps)))


@pytest.mark.any_data
def test_infinity_marks_no_integer():
    X = pd.DataFrame({"a": np.arange(20), "b": [np.inf, *range(19)]})
    imputer = clone(IMPUTER).set_params(missing_values=np.inf)
    filled = imputer.fit_transform(X)
    assert_array_equal(filled["a"], X["a"])
    assert np.isfinite(filled["b"]).all()


def test_columns_without_a_value(quick, blob):
    X = blob.copy()
    X[:, [1, 3]] = np.nan
    with pytest.warns(UserWarning, match=r"without any observed values: \['x1', 'x3'\]"):
        ae = quick().fit(X)
    assert_array_equal(np.isnan(ae.reconstruct(blob)).all(axis=0), [0, 1, 0, 1, 0])
    assert_array_equal(ae.transform(X), ae.transform(blob))
    assert_array_equal(ae.score_samples(X), ae.score_samples(blob))
    frame = pd.DataFrame(X, columns=list("abcde"))
    with pytest.warns(UserWarning, match=r"values: \['b', 'd'\]"):
        quick().fit(frame)
    ae.partial_fit(blob)
    assert np.isfinite(ae.reconstruct(blob)).all()


@pytest.mark.parametrize(
    "estimator",
    [*AUTOENCODERS.values(), DETECTOR, AEClassifier()],
    ids=lambda e: type(e).__name__,
)
def test_nothing_but_missing_values(estimator):
    X, y = np.full((20, 3), np.nan), [0, 1] * 10
    with pytest.raises(ValueError, match="X has no observed value: all 60 are missing"):
        clone(estimator).fit(X, y)


def test_sparse_rows_have_no_missing_values(quick, gaps):
    with pytest.raises(ValueError, match=r"contains NaN: .* supported in dense rows only"):
        quick().fit(sparse.csr_array(gaps))
    whole = sparse.csr_array(np.nan_to_num(gaps))
    with pytest.raises(ValueError, match=r"contains NaN: .* supported in dense rows only"):
        quick().fit(whole).transform(sparse.csr_array(gaps))


# The detector


@pytest.mark.parametrize("params", [{}, {"novelty": True}, {"scoring": "reconstruction"}])
def test_detector_with_missing_values(params, blob, gaps):
    detector = clone(DETECTOR).set_params(**params)
    if "scoring" in params:
        detector.set_params(estimator=AutoencoderTransformer(**QUICK))
    detector.fit(blob)
    one, scores = blob[:4].copy(), -detector.score_samples(blob[:4])
    # A row that is near to others with its value.
    row = scores.argmin()
    one[row, 2] = np.nan
    changed = -detector.score_samples(one)
    assert_array_equal(np.delete(changed, row), np.delete(scores, row))
    assert np.isfinite(changed).all()
    # A value that was never missing before counts as one that is far from the others.
    assert changed[row] > scores[row]
    if "scoring" not in params:
        parts = detector.explain(one)[row]
        assert parts[2] > parts.mean()
        assert "x2 missing, expected about " in detector.describe(one)[row]
    assert_allclose(detector.explain(one).sum(axis=1), changed)
    assert np.isfinite(detector.expected(one)).all()
    # One that often is missing hardly does.
    detector.fit(gaps)
    missing = np.isnan(gaps)
    scores = -detector.score_samples(gaps)
    assert np.corrcoef(missing.sum(axis=1), scores)[0, 1] < 0.6
    assert_allclose(detector.explain(gaps).sum(axis=1), scores)


@pytest.mark.parametrize("params", [{}, {"novelty": True}, {"scoring": "reconstruction"}])
def test_detector_and_a_column_without_a_value(params, blob):
    """It has no effect on scores, whatever comes later, and no part in an explanation."""
    detector = clone(DETECTOR).set_params(**params)
    if "scoring" in params:
        detector.set_params(estimator=AutoencoderTransformer(**QUICK))
    empty = np.column_stack([blob, np.full(len(blob), np.nan)])
    later = np.column_stack([blob, np.full(len(blob), 1e6)])
    with pytest.warns(UserWarning, match=r"without any observed values: \['x5'\]"):
        detector.fit(empty)
    assert_array_equal(detector.score_samples(later), detector.score_samples(empty))
    assert_allclose(detector.explain(later)[:, 5], 0, atol=1e-6)
    assert_allclose(detector.explain(later).sum(axis=1), -detector.score_samples(later))
    assert not any("x5" in text for text in detector.describe(later))
    pytest.importorskip("skl2onnx")
    import onnxruntime

    model = skae.to_onnx(detector, output="score_samples", dtype=np.float64)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (scores,) = session.run(None, {"X": later})
    assert_allclose(scores.ravel(), detector.score_samples(later), rtol=1e-6)


def test_a_fold_without_a_value_of_a_column(blob):
    X = blob.copy()
    X[12:, 1] = np.nan
    cv = [(np.r_[0:i, i + 12 : 60], np.r_[i : i + 12]) for i in range(0, 60, 12)]
    detector = AEAnomalyDetector(
        scoring="reconstruction", estimator=AutoencoderTransformer(**QUICK), cv=cv
    )
    with pytest.warns(UserWarning, match=r"without any observed values: \['x1'\]"):
        detector.fit(X)
    assert np.isfinite(detector.expected(blob)).all()
    assert_allclose(detector.explain(blob).sum(axis=1), -detector.score_samples(blob))


@pytest.mark.parametrize("name", ["plain", "variational", "standardized"])
def test_columns_without_a_value_in_onnx_and_in_the_scale(name, blob):
    pytest.importorskip("skl2onnx")
    import onnxruntime

    empty = np.column_stack([blob, np.full((len(blob), 3), np.nan)])
    later = np.nan_to_num(empty, nan=5.0)
    with pytest.warns(UserWarning, match="without any observed values"):
        ae = clone(AUTOENCODERS[name]).fit(empty)
    whole = clone(AUTOENCODERS[name]).fit(blob)
    assert_allclose(np.ravel(ae.scale_)[:5], np.ravel(whole.scale_))
    model = skae.to_onnx(ae, output="score_samples", dtype=np.float64)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (scores,) = session.run(None, {"X": later})
    assert_allclose(scores.ravel(), ae.score_samples(later), rtol=1e-4, atol=1e-5)
    assert_array_equal(ae.score_samples(later), ae.score_samples(empty))


def test_error_of_a_missing_value():
    """Nine mean squared errors, and less where more than one value in a hundred is missing."""
    from skae.anomaly._encoding import missing_error
    from skae.utils._rows import Rows

    observed = np.ones((1000, 3), bool)
    observed[:10, 1] = observed[:200, 2] = False
    rows = Rows(np.zeros((1000, 3)), observed=observed)
    assert_allclose(missing_error(rows), [9, 9, 9 * 0.01 / 0.2])
    assert_allclose(missing_error(Rows(np.zeros((5, 2)))), [9, 9])


def test_two_values_and_a_missing_one(blob):
    """A missing value is neither of the two values of a flag."""
    from skae.tables._squashing_scaler import BinaryColumns

    X = np.column_stack([blob, np.arange(len(blob)) % 3 == 0])
    found = BinaryColumns.from_data(X)
    X[::2, 5] = np.nan
    with_gaps = BinaryColumns.from_data(X)
    assert_array_equal(with_gaps.columns, found.columns)
    assert_array_equal(with_gaps.high, found.high)
    assert np.isfinite(clone(DETECTOR).fit(X).score_samples(X)).all()


# Standardized columns


def test_standardize_is_a_scaler_before(quick):
    rng = data_rng()
    X = rng.normal(size=(80, 4)) @ rng.normal(size=(4, 4)) * [1, 2, 5, 0.1] + 3
    scaler = StandardScaler().fit(X)
    ours, theirs = quick(standardize=True).fit(X), quick().fit(scaler.transform(X))
    assert_allclose(ours.scale_, scaler.scale_)
    assert_allclose(ours.transform(X), theirs.transform(scaler.transform(X)), atol=1e-3)
    back = scaler.inverse_transform(theirs.reconstruct(scaler.transform(X)))
    assert_allclose(ours.reconstruct(X), back, atol=1e-2)
    assert_allclose(ours.score_samples(X), theirs.score_samples(scaler.transform(X)), rtol=1e-2)
    code = as_array(ours.encoder_(X.astype(np.float32)))
    assert_allclose(code, ours.transform(X), atol=1e-3)
    back = as_array(ours.decoder_(code))
    assert_allclose(back, ours.inverse_transform(code), atol=1e-2)


def test_standardized_likelihoods_are_those_of_the_data(blob):
    X = blob * [1, 2, 5, 0.1, 1]
    scaler = StandardScaler().fit(X)
    ours = VAETransformer(**QUICK, standardize=True).fit(X)
    theirs = VAETransformer(**QUICK).fit(scaler.transform(X))
    wanted = theirs.score_samples(scaler.transform(X)) - np.log(scaler.scale_).sum()
    assert_allclose(ours.score_samples(X), wanted, atol=0.05)


@pytest.mark.parametrize("wide", [False, True])
def test_standardized_sparse_rows(wide, quick, monkeypatch):
    """As dense ones, whichever way the principal axes are found."""
    if wide:
        monkeypatch.setattr(_principal, "MOST_EXACT", 3)
    X = np.where(data_rng().random_sample((60, 12)) < 0.7, 0, data_rng().gamma(2, 1, (60, 12)))
    X *= np.arange(1, 13)
    ae = quick(standardize=True, max_iter=1)
    of_sparse, of_dense = clone(ae).fit(sparse.csr_array(X)), clone(ae).fit(X)
    assert_allclose(of_sparse.scale_, X.std(axis=0))
    assert_allclose(of_sparse.score(X), of_dense.score(X), atol=0.02)


def test_standardized_portions_keep_the_first_scale(quick, blob):
    ae = quick(standardize=True).partial_fit(blob[:30])
    scale = ae.scale_
    assert_array_equal(ae.partial_fit(blob[30:]).scale_, scale)


def test_numbers_of_a_table_as_they_are(quick):
    """Without standardization the column that varies most counts for most."""
    rng = data_rng()
    X = pd.DataFrame(rng.normal(size=(200, 3)) * [100, 1, 1], columns=list("abc"))
    X["kind"] = rng.choice(["x", "y"], 200)
    encoder = TabularEncoder(standardize=False).fit(X)
    Z = encoder.transform(X)
    scale = np.sqrt(np.square(X[["a", "b", "c"]].std(ddof=0)).mean())
    assert_allclose(Z[:, :3], (X[["a", "b", "c"]] - X[["a", "b", "c"]].mean()) / scale)
    assert_allclose(encoder.inverse_transform(Z)["a"], X["a"])
    errors = []
    for standardize in (True, False):
        ae = quick(n_components=1, standardize=standardize).fit(X)
        errors.append(np.square(ae.reconstruct(X)["a"] - X["a"]).mean() / X["a"].var())
    assert errors[1] < 0.5 * errors[0]


def test_a_column_that_holds_all_the_variance(quick, blob):
    X = pd.DataFrame(blob, columns=list("abcde")).assign(c=1e4 * blob[:, 2])
    with pytest.warns(UserWarning, match=r"'c' holds more than 99.9 % of the variance"):
        quick().fit(X)
    with pytest.warns(UserWarning, match=r"'x2' holds"):
        VAETransformer(**QUICK).fit(X.to_numpy())
    quick(standardize=False).fit(X)
    quick(standardize=True).fit(X)
    labels = np.arange(len(X)) % 2
    with pytest.warns(UserWarning, match=r"'c' holds"):
        AEClassifier(AutoencoderTransformer(**QUICK, standardize=False)).fit(X, labels)
    # One column that varies among constant ones is all there is.
    quick(n_components=1).fit(X.assign(a=0, b=0, d=0, e=0))


def test_saved_before_the_parameter(tmp_path, quick, blob):
    """A parameter that came after the file was written has its default."""
    ae = quick().fit(blob)
    del ae.standardize
    skae.save(ae, tmp_path / "old.skae")
    old = skae.load(tmp_path / "old.skae")
    assert old.standardize == "auto"
    assert_array_equal(old.transform(blob), ae.transform(blob))
