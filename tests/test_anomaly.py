"""The anomaly detector: what it finds, how sure it is, and why."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from data import data_rng
from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder
from skae.anomaly._conformal import Calibration, lower_quantile, split_for_calibration
from skae.anomaly._text import number
from skae.tables import SquashScale

QUICK = {"hidden_layer_sizes": (16,), "n_steps": 60, "random_state": 0}


def quick(**params):
    return AEAnomalyDetector(**{**QUICK, **params})


def table(n, seed):
    """Four columns that go together, a log-normal, an integer and a constant one."""
    rng = data_rng(seed)
    mixing = data_rng(42).normal(size=(2, 4))
    mixing /= np.linalg.norm(mixing, axis=0)
    X = rng.normal(size=(n, 2)) @ mixing + 0.2 * rng.normal(size=(n, 4))
    more = [np.exp(rng.normal(size=n)), rng.poisson(3, n), np.full(n, 7.0)]
    return np.column_stack([1000 * X[:, 0], X[:, 1:], *more])


@pytest.fixture(scope="module")
def normal():
    return table(400, 0)


@pytest.fixture(scope="module")
def planted():
    """Rows of which one cell each was moved, and the columns of these cells."""
    X = table(60, 1)
    columns = np.arange(60) % 4
    X[np.arange(60), columns] += 8 * np.array([1000, 1, 1, 1])[columns]
    return X, columns


@pytest.fixture(scope="module")
def novelty(normal):
    return quick(novelty=True).fit(normal)


@pytest.fixture(scope="module")
def outlier(normal, planted):
    return quick().fit(np.vstack([normal, planted[0]]))


def test_tells_new_anomalies_from_new_normal_rows(novelty, planted):
    new = table(200, 2)
    X = np.vstack([new, planted[0]])
    labels = np.arange(len(X)) < 200
    assert roc_auc_score(labels, novelty.score_samples(X)) > 0.98
    assert (novelty.predict(planted[0]) == -1).mean() > 0.9
    assert (novelty.predict(new) == 1).mean() > 0.85


def test_finds_anomalies_among_the_training_rows(normal, planted):
    X = np.vstack([normal, planted[0]])
    labels = np.arange(len(X)) < len(normal)
    detector = quick(contamination=60 / 460)
    marked = detector.fit_predict(X)
    assert (marked == -1).sum() == 60
    assert ((marked == 1) == labels).mean() > 0.95
    forest = IsolationForest(random_state=0).fit(X)
    ours = roc_auc_score(labels, detector.score_samples(X))
    assert ours > roc_auc_score(labels, forest.score_samples(X))


def test_a_dense_group_of_anomalies_does_not_shelter_itself(normal):
    group = np.median(normal, axis=0) + 6 * normal.std(axis=0)
    group = group + 0.01 * data_rng().normal(size=(15, 7)) * normal.std(axis=0)
    X = np.vstack([normal, group])
    labels = np.arange(len(X)) < len(normal)
    assert roc_auc_score(labels, quick().fit(X).score_samples(X)) > 0.99
    assert roc_auc_score(labels, quick(trim_fraction=0.0).fit(X).score_samples(X)) < 0.99


def test_typical_rows_score_about_minus_one(novelty):
    scores = novelty.score_samples(table(200, 2))
    assert -1.5 < np.median(scores) < -0.5
    assert (scores <= 0).all()


def test_decision_is_a_translation_of_the_score(outlier, planted):
    X = planted[0]
    decision = outlier.decision_function(X)
    assert_allclose(decision, outlier.score_samples(X) - outlier.offset_)
    assert_array_equal(outlier.predict(X), np.where(decision < 0, -1, 1))


@pytest.mark.parametrize("contamination", [0.05, 0.1, 0.3])
def test_with_novelty_contamination_is_what_p_values_say(normal, planted, contamination):
    detector = quick(novelty=True, contamination=contamination).fit(normal)
    X = np.vstack([table(200, 2), planted[0]])
    assert_array_equal(detector.predict(X) == -1, detector.p_values(X) <= contamination)


def test_false_alarms_are_as_rare_as_p_values_say():
    """Means over data sets: what is promised is a mean over the rows held out as well."""
    shares = []
    for seed in range(12):
        detector = quick(novelty=True, n_steps=20, random_state=seed, validation_fraction=0.3)
        detector.fit(table(600, 10 + seed))
        p = detector.p_values(table(1000, 100 + seed))
        shares.append([(p <= rate).mean() for rate in (0.01, 0.05, 0.1)])
    mean = np.mean(shares, axis=0)
    error = np.std(shares, axis=0) / np.sqrt(len(shares) - 1)
    assert (np.abs(mean - [0.01, 0.05, 0.1]) < 3 * error + 0.005).all(), (mean, error)


def test_few_of_those_selected_are_normal():
    found, false = [], []
    for seed in range(8):
        detector = quick(novelty=True, random_state=seed, validation_fraction=0.5)
        detector.fit(table(800, 10 + seed))
        X = table(200, 100 + seed)
        X[:40, 1] += 10
        selected = detector.select(X, fdr=0.2)
        assert selected.dtype == bool
        found.append(selected[:40].mean())
        false.append(selected[40:].sum() / max(selected.sum(), 1))
    assert np.mean(found) > 0.9
    assert np.mean(false) < 0.2 * 160 / 200 + 3 * np.std(false) / np.sqrt(len(false) - 1)
    assert np.mean(false) > 0.02


@pytest.mark.parametrize("fdr", [0, 1.0, "few"])
def test_fdr_is_checked(novelty, normal, fdr):
    with pytest.raises(ValueError, match="fdr must be"):
        novelty.select(normal, fdr=fdr)


def test_small_tables_are_cross_fitted(normal):
    detector = quick(novelty=True, n_steps=20).fit(normal[:50])
    assert len(detector.calibration_scores_) == 50
    assert len(quick(n_steps=20).fit(normal).calibration_scores_) == 40
    assert detector.false_alarm_rate_ == pytest.approx(2 / 51)


@pytest.mark.parametrize("n_samples", [2, 3, 7])
@pytest.mark.parametrize("novel", [False, True])
def test_a_handful_of_rows_will_do(normal, n_samples, novel):
    detector = quick(novelty=novel, n_steps=5).fit(normal[:n_samples])
    assert np.isfinite(detector.score_samples(normal)).all()
    assert np.isfinite(detector.offset_)


def test_a_rate_too_small_for_the_rows_is_said(normal):
    with pytest.warns(UserWarning, match="least p-value with 40 rows"):
        quick(novelty=True, contamination=0.01, n_steps=5).fit(normal)


def test_auto_is_not_carried_away_by_anomalies(normal, planted):
    """With a seventh of the rows odd the threshold is still that of the others."""
    detector = quick().fit(np.vstack([normal, planted[0]]))
    new = table(400, 3)
    assert 0.005 < (detector.predict(new) == -1).mean() < 0.3
    assert (detector.predict(planted[0]) == -1).mean() > 0.8


def test_reasons_add_up_and_name_the_planted_column(novelty, planted):
    X, columns = planted
    parts = novelty.explain(X)
    assert parts.shape == X.shape
    assert (parts >= 0).all()
    assert_allclose(parts.sum(axis=1), -novelty.score_samples(X))
    assert (parts.argmax(axis=1) == columns).mean() > 0.9


def test_expected_is_nearer_to_what_the_cell_was(normal, planted):
    X, columns = planted
    detector = quick(novelty=True, hidden_layer_sizes=(64, 64), n_steps=300).fit(normal)
    rows, were = np.arange(len(X)), table(60, 1)
    unit = normal.std(axis=0)[columns]
    error = np.abs(detector.expected(X) - were)[rows, columns] / unit
    moved = np.abs(X - were)[rows, columns] / unit
    assert np.median(error) < 0.15 * np.median(moved)


def test_data_frames_in_data_frames_out(normal, planted):
    pd = pytest.importorskip("pandas")
    names = ["area", "b", "c", "d", "price", "count", "one"]
    frame = pd.DataFrame(normal, columns=names)
    detector = quick(novelty=True).fit(frame)
    odd = pd.DataFrame(planted[0], columns=names, index=[f"row{i}" for i in range(60)])
    for result in (detector.explain(odd), detector.expected(odd)):
        assert isinstance(result, pd.DataFrame)
        assert_array_equal(result.index, odd.index)
        assert_array_equal(result.columns, odd.columns)
    assert_array_equal(detector.explain(odd), detector.explain(odd).to_numpy())
    texts = detector.describe(odd, n_columns=2)
    assert len(texts) == 60
    assert texts[0].startswith("area ")
    assert ", expected about " in texts[0]
    assert texts[0].count(";") <= 1


def test_polars_frames(normal):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(normal, schema=[f"c{i}" for i in range(7)])
    detector = quick(novelty=True, n_steps=5).fit(frame)
    result = detector.explain(frame)
    assert isinstance(result, pl.DataFrame)
    assert result.columns == frame.columns
    assert_allclose(result.to_numpy().sum(axis=1), -detector.score_samples(frame))


def test_names_without_a_data_frame(novelty, planted):
    assert novelty.describe(planted[0][:1])[0].startswith("x0 ")


def test_units_of_the_columns_do_not_matter(normal, planted):
    units = 2.0 ** np.array([20, -20, 0, 3, -30, 1, 5])
    scores = quick(novelty=True).fit(normal).score_samples(planted[0])
    scaled = quick(novelty=True).fit(normal * units).score_samples(planted[0] * units)
    assert_allclose(scaled, scores, rtol=1e-4)


def test_wild_values_stay_finite(novelty, normal):
    X = normal[:4].copy()
    X[0, 0], X[1, 4], X[2, 6] = 1e12, -1e300, 8
    scores = novelty.score_samples(X)
    assert np.isfinite(scores).all()
    assert (novelty.predict(X[:2]) == -1).all()


def test_training_rows_are_not_their_own_neighbours(novelty, normal):
    """So training rows and new rows have about the same distances."""
    seen = np.median(novelty.score_samples(normal))
    new = np.median(novelty.score_samples(table(400, 2)))
    assert seen / new > 0.75


def test_same_seed_same_bits_and_rows_stand_alone(novelty, normal, planted):
    X = planted[0]
    scores = novelty.score_samples(X)
    assert_array_equal(clone(novelty).fit(normal).score_samples(X), scores)
    assert_array_equal(pickle.loads(pickle.dumps(novelty)).score_samples(X), scores)
    alone = np.concatenate([novelty.score_samples(row[np.newaxis]) for row in X[:5]])
    assert_allclose(alone, scores[:5], rtol=1e-9)
    other = clone(novelty).set_params(random_state=1).fit(normal)
    assert not np.array_equal(other.score_samples(X), scores)


def test_chunks_change_nothing(novelty, normal, monkeypatch):
    scores = novelty.score_samples(normal)
    monkeypatch.setattr("skae.anomaly._scores._CHUNK_ENTRIES", 7 * 4 * 30)
    assert_allclose(novelty.score_samples(normal), scores, rtol=1e-9)


def test_float32(normal, novelty):
    single = quick(novelty=True).fit(normal.astype(np.float32))
    scores = single.score_samples(normal[:50].astype(np.float32))
    assert scores.dtype == np.float64
    assert_allclose(scores, novelty.score_samples(normal[:50]), rtol=0.02)


def test_no_keras_to_score(novelty, planted, tmp_path):
    path = tmp_path / "detector.pickle"
    path.write_bytes(pickle.dumps((novelty, planted[0])))
    code = (
        "import pickle, sys, pathlib\n"
        f"detector, X = pickle.loads(pathlib.Path({str(path)!r}).read_bytes())\n"
        "detector.predict(X), detector.explain(X), detector.describe(X), detector.p_values(X)\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_refit_compiles_nothing(cache, normal):
    for n_samples, seed in [(400, 0), (390, 1)]:
        quick(novelty=True, noise_level=0.5 + seed, n_steps=20).fit(normal[:n_samples])
        assert len(cache) == 1


def test_weights_of_zero_are_absent_rows(normal):
    weight = np.ones(len(normal))
    weight[::4] = 0
    weighted = quick(novelty=True, n_steps=20).fit(normal, sample_weight=weight)
    without = quick(novelty=True, n_steps=20).fit(normal[weight > 0])
    assert_allclose(weighted.score_samples(normal), without.score_samples(normal), rtol=1e-4)


def test_weights_count(normal, planted):
    """Rows of little weight are not worth much in scale and calibration."""
    X = np.vstack([normal, planted[0]])
    weight = np.r_[np.ones(len(normal)), np.full(60, 1e-6)]
    detector = quick(novelty=True, n_steps=20).fit(X, sample_weight=weight)
    plain = quick(novelty=True, n_steps=20).fit(X)
    assert detector.p_values(planted[0]).mean() < plain.p_values(planted[0]).mean()
    marked = quick(contamination=0.1, n_steps=20)
    marked = marked.fit(X, sample_weight=weight).predict(X) == -1
    assert np.average(marked, weights=weight) == pytest.approx(0.1, abs=0.01)


def test_fit_predict_is_for_outliers_only(normal):
    assert not hasattr(quick(novelty=True), "fit_predict")
    with pytest.raises(AttributeError, match="fit_predict"):
        quick(novelty=True).fit_predict(normal)
    assert hasattr(quick(), "fit_predict")


def test_plain_reconstruction_error(normal, planted):
    autoencoder = AutoencoderTransformer(3, hidden_layer_sizes=(8,), max_iter=3)
    detector = quick(scoring="reconstruction", estimator=autoencoder, novelty=True)
    detector.fit(normal)
    new = table(200, 2)
    labels = np.r_[np.ones(200), np.zeros(60)]
    X = np.vstack([new, planted[0]])
    assert roc_auc_score(labels, detector.score_samples(X)) > 0.9
    parts = detector.explain(X)
    assert (parts >= 0).all()
    assert_allclose(parts.sum(axis=1), -detector.score_samples(X))
    assert detector.expected(X).shape == X.shape
    assert detector.estimator_.n_components_ == 3
    assert not hasattr(autoencoder, "n_components_")


def test_images_have_error_maps(digits):
    images = digits.reshape(-1, 8, 8)
    autoencoder = DenoisingAutoencoder(8, hidden_layer_sizes=(8,), max_iter=3)
    detector = quick(scoring="reconstruction", estimator=autoencoder, novelty=True)
    detector.fit(images[:250])
    odd = images[250:].copy()
    odd[:, 0, 0] = 16
    assert detector.explain(odd).shape == odd.shape
    assert (detector.explain(odd)[:, 0, 0] > 0.05 * -detector.score_samples(odd)).all()
    assert detector.expected(odd).shape == odd.shape
    assert_array_equal(detector.score_samples(odd.reshape(-1, 64)), detector.score_samples(odd))


def test_reconstruction_by_default_takes_a_share_of_variance(normal):
    detector = quick(scoring="reconstruction").fit(normal)
    assert detector.estimator_.n_components == 0.9


def test_bad_input(normal):
    with pytest.raises(ValueError, match="contamination"):
        quick(contamination=0.7).fit(normal)
    with pytest.raises(ValueError, match="hidden_layer_sizes must be"):
        quick(hidden_layer_sizes=(0.5,)).fit(normal)
    with pytest.raises(ValueError, match=r"sample_weight must|non-zero"):
        quick().fit(normal, sample_weight=np.zeros(len(normal)))


def test_a_loss_that_diverges_is_said(normal):
    fitted = quick(n_steps=5).fit(normal)
    offset = fitted.offset_
    fitted.set_params(learning_rate=1e30, n_steps=200)
    with pytest.raises(ValueError, match="not finite"), np.errstate(all="ignore"):
        fitted.fit(normal)
    assert fitted.offset_ == offset


def test_verbose_prints_the_loss(normal, capsys):
    quick(verbose=True, n_steps=5, novelty=True).fit(normal)
    assert "Iteration 1, loss = " in capsys.readouterr().out


def test_display(novelty, planted):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot as plt

    from skae.plotting import AnomalyScoreDisplay

    X, columns = planted
    display = AnomalyScoreDisplay.from_estimator(novelty, X, row=1, n_columns=3)
    histogram, bars = display.axes_
    labels = [label.get_text() for label in bars.get_yticklabels()]
    assert labels[0] == f"x{columns[1]}"
    assert labels[-1] == "4 others"
    total = sum(bar.get_width() for bar in display.bars_)
    assert total == pytest.approx(-novelty.score_samples(X)[1])
    assert "of normal rows" in histogram.get_legend().get_texts()[-1].get_text()
    alone = AnomalyScoreDisplay.from_estimator(IsolationForest(random_state=0).fit(X), X)
    assert alone.axes_.size == 1
    assert alone.bars_ is None
    plt.close("all")


# Parts


def test_squash_is_monotone_smooth_and_invertible():
    x = np.linspace(-50, 50, 2001)[:, np.newaxis]
    scale = SquashScale(np.array([2.0]), np.array([0.5]))
    z = scale.inward(x)
    assert (np.diff(z, axis=0) > 0).all()
    assert np.abs(np.diff(z, n=2, axis=0)).max() < 0.01
    assert_allclose(scale.outward(z), x, rtol=1e-9)
    assert_allclose(z[980:1020], 2 * (x[980:1020] - 2)[:40], atol=3.1)


def test_a_constant_column_keeps_its_unit():
    scale = SquashScale.of(np.array([[0.1, 1e-20], [0.1, 3e-20], [0.1, 2e-20]]))
    assert scale.scale[0] == 1
    assert scale.scale[1] < 1e-19


def test_threshold_is_where_the_p_value_falls_below_the_rate():
    scores = np.array([3.0, 1, 2, 2, 5, 4, 2, 9, 7])
    calibration = Calibration(scores)
    grid = np.linspace(0, 10, 201)
    for rate in (0.1, 0.2, 0.35, 0.5):
        above = grid > calibration.threshold(rate)
        assert_array_equal(above, calibration.p_values(grid) <= rate)
    assert calibration.threshold(0.05) == 9
    assert calibration.rate(4) == pytest.approx(4 / 10)


def test_weights_are_repeated_rows_to_p_values():
    scores, weight = np.array([1.0, 2, 3]), np.array([1.0, 3, 2])
    repeated = Calibration(np.repeat(scores, weight.astype(int)))
    at = [0, 1.5, 2.5, 4]
    # Of weights only the ratios count: theirs stand for three rows, and not for six.
    ours, theirs = Calibration(scores, weight).p_values(at), repeated.p_values(at)
    assert_allclose(4 * ours - 1, (7 * theirs - 1) / 2)


def test_robust_threshold_of_normal_logarithms():
    scores = np.exp(data_rng().normal(size=20_000))
    mixed = Calibration(np.r_[scores, np.full(1000, 50.0)])
    assert (scores > Calibration(scores).robust_threshold(0.05)).mean() == pytest.approx(
        0.05, abs=0.01
    )
    assert (scores > mixed.robust_threshold(0.05)).mean() == pytest.approx(0.05, abs=0.02)


def test_lower_quantile_with_weights():
    values = np.array([4.0, 1, 3, 2])
    assert lower_quantile(values, 0.5, np.array([1.0, 1, 1, 1])) == 2
    assert lower_quantile(values, 0.5, np.array([9.0, 1, 1, 1])) == 4
    assert lower_quantile(values, 0.5) == 2.5


def test_rows_are_held_out_once():
    rng = data_rng()
    (one,) = split_for_calibration(300, 0.1, 20, 5, rng)
    assert len(one) == 30
    folds = split_for_calibration(60, 0.1, 20, 5, rng)
    assert len(folds) == 5
    assert_array_equal(np.sort(np.concatenate(folds)), np.arange(60))


@pytest.mark.parametrize(
    ("value", "text"),
    [(9120, "9,120"), (0.25, "0.25"), (0, "0"), (1234567.8, "1,234,570"), (1e-7, "1e-07")],
)
def test_numbers_as_a_person_reads_them(value, text):
    assert number(value) == text
