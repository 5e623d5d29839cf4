"""One autoencoder per class: predictions, probabilities and unusual classes."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data import all_digits, data_rng
from skae import AEClassifier
from skae.classifier._classifier import fit_softmax

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def make(quick):
    def make(random_state=0, **params):
        return AEClassifier(quick(random_state=None), random_state=random_state, **params)

    return make


@pytest.fixture(scope="module")
def labelled():
    """Four digits, 400 rows to fit and the others to test."""
    X, y = all_digits(n_class=4)
    X.flags.writeable = False
    return X[:400], y[:400], X[400:], y[400:]


@pytest.fixture(scope="module")
def fitted(make, labelled):
    X, y, _, _ = labelled
    return make().fit(X, y)


def test_digits_with_defaults():
    X, y = all_digits()
    classifier = AEClassifier(random_state=0).fit(X[:1300], y[:1300])
    assert classifier.score(X[1300:], y[1300:]) >= 0.96


def test_one_autoencoder_per_class(fitted, labelled):
    X, y, _, _ = labelled
    assert_array_equal(fitted.classes_, [0, 1, 2, 3])
    assert len(fitted.estimators_) == 4
    for label, autoencoder in enumerate(fitted.estimators_):
        errors = -autoencoder.score_samples(X)
        assert errors[y == label].mean() < 0.8 * errors[y != label].mean()


def test_the_answers_agree(fitted, labelled):
    _, _, X, y = labelled
    proba, decision = fitted.predict_proba(X), fitted.decision_function(X)
    predicted = fitted.predict(X)
    assert proba.shape == decision.shape == (len(X), 4)
    assert_array_equal(predicted, fitted.classes_[proba.argmax(axis=1)])
    assert_array_equal(predicted, fitted.classes_[decision.argmax(axis=1)])
    assert_allclose(proba.sum(axis=1), 1)
    assert_allclose(fitted.predict_log_proba(X), np.log(proba))
    assert fitted.score(X, y) == np.mean(predicted == y) > 0.95


def test_calibration_lowers_the_loss_on_new_rows(fitted, labelled):
    _, _, X, y = labelled
    costs = np.exp(fitted._log_costs(X))
    uncalibrated = (1 / costs) / (1 / costs).sum(axis=1, keepdims=True)
    calibrated = fitted.predict_proba(X)
    assert log_loss(y, calibrated) < 0.5 * log_loss(y, uncalibrated)
    surplus = calibrated.max(axis=1).mean() - fitted.score(X, y)
    assert abs(surplus) < 0.05


def test_a_code_unlike_those_of_the_class_costs(quick):
    """Two classes on one line: the autoencoder of each reconstructs both."""
    rng = data_rng()
    position = np.r_[rng.normal(0, 1, 60), rng.normal(30, 1, 60)]
    X = np.c_[position, 2 * position] + 0.05 * rng.normal(size=(120, 2))
    y = np.repeat(["near", "far"], 60)
    line = quick(n_components=1, hidden_layer_sizes=())
    classifier = AEClassifier(line, random_state=0).fit(X, y)
    errors = np.stack([-ae.score_samples(X) for ae in classifier.estimators_], axis=1)
    assert np.mean(classifier.classes_[errors.argmin(axis=1)] == y) < 0.95
    assert classifier.score(X, y) == 1


@pytest.mark.parametrize("first", ["a", 1])
def test_labels_of_several_kinds(make, labelled, first):
    kinds = np.array([first, 2, "b", 3.0] * 100, dtype=object)
    with pytest.raises(ValueError, match=r"labels of one kind.*got float, int, str|label type"):
        make().fit(labelled[0], kinds)


def test_two_classes_with_string_labels(make, labelled):
    X, y, _, _ = labelled
    names = np.where(y % 2, "odd", "even")
    classifier = make().fit(X, names)
    decision = classifier.decision_function(X)
    assert decision.shape == (len(X),)
    assert_array_equal(classifier.classes_, ["even", "odd"])
    assert_array_equal(classifier.predict(X) == "odd", decision > 0)
    assert_allclose(classifier.predict_proba(X)[:, 1], 1 / (1 + np.exp(-decision)))


def test_one_class(make, digits):
    classifier = make().fit(digits, np.full(len(digits), "all"))
    assert set(classifier.predict(digits)) == {"all"}
    assert_array_equal(classifier.predict_proba(digits), np.ones((len(digits), 1)))


@pytest.mark.parametrize("n_rows", [1, 2, 9])
def test_a_small_class_is_kept(make, labelled, n_rows):
    X, y, _, _ = labelled
    rows = np.r_[np.flatnonzero(y == 0)[:n_rows], np.flatnonzero(y > 0)]
    classifier = make().fit(X[rows], y[rows])
    assert_array_equal(classifier.classes_, [0, 1, 2, 3])
    assert_array_equal(classifier.predict(X[rows[:n_rows]]), 0)
    assert np.mean(classifier.predict(X[y > 0]) == y[y > 0]) > 0.9
    # Validated on its training rows, its level is that of the others.
    assert classifier.error_levels_[0] >= 0.999 * classifier.error_levels_[1:].mean()


def test_every_class_is_small(make, labelled):
    X, y, _, _ = labelled
    rows = np.concatenate([np.flatnonzero(y == label)[:3] for label in range(4)])
    classifier = make().fit(X[rows], y[rows])
    assert classifier.score(X[rows], y[rows]) == 1
    assert np.isfinite(classifier.predict_log_proba(X)).all()


def test_one_row_of_each_class_is_the_nearest_row(make, digits):
    classifier = make().fit(digits[:10], np.arange(10))
    distance = np.square(digits[:, None] - digits[:10]).sum(axis=2)
    assert np.mean(classifier.predict(digits) == distance.argmin(axis=1)) > 0.95


def test_constant_columns_and_constant_rows(make):
    X = np.repeat([[0.0, 1, 5], [0.0, 2, 5]], 15, axis=0)
    y = np.repeat([0, 1], 15)
    classifier = make().fit(X, y)
    assert classifier.score(X, y) == 1
    assert np.isfinite(classifier.predict_log_proba(X)).all()


def test_rows_of_weight_zero_are_absent(make, labelled):
    X, y, _, _ = labelled
    weight = np.where(y == 3, 0, 1.0)
    weight[::5] = 0
    weighted = make().fit(X, y, sample_weight=weight)
    without = make().fit(X[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
    assert_array_equal(weighted.classes_, [0, 1, 2])
    assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))


def test_weights_matter(make, labelled, fitted):
    X, y, _, _ = labelled
    weighted = make().fit(X, y, sample_weight=data_rng().uniform(0.1, 9, len(X)))
    assert np.abs(weighted.predict_proba(X) - fitted.predict_proba(X)).max() > 1e-3


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_same_seed_same_bits(make, labelled, fitted, n_jobs):
    X, y, _, _ = labelled
    again = make(n_jobs=n_jobs).fit(X, y)
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    other = make(random_state=1).fit(X, y)
    assert np.any(other.predict_proba(X) != fitted.predict_proba(X))


def test_without_a_seed_the_autoencoders_keep_theirs(quick, labelled):
    X, y, _, _ = labelled
    classifier = AEClassifier(quick(random_state=3)).fit(X, y)
    assert [ae.random_state for ae in classifier.estimators_] == [3] * 4


def test_the_prototype_is_left_alone(quick, labelled):
    X, y, _, _ = labelled
    prototype = quick()
    AEClassifier(prototype, random_state=7).fit(X, y)
    assert vars(prototype) == vars(quick())


def test_copies_and_pickles_are_the_same(fitted, labelled):
    X, y, _, _ = labelled
    proba = fitted.predict_proba(X)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), proba)
    assert_array_equal(clone(fitted).fit(X, y).predict_proba(X), proba)


@pytest.mark.any_data
def test_classes_of_like_sizes_share_a_compilation(make, labelled, cache):
    X, y, _, _ = labelled
    make().fit(X, y)
    assert len(cache) == 1


def test_search_over_the_prototype_in_a_pipeline(make, labelled):
    X, y, _, _ = labelled
    search = GridSearchCV(
        make_pipeline(StandardScaler(), make()),
        {"aeclassifier__estimator__n_components": [1, 4]},
        scoring="neg_log_loss",
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_ == {"aeclassifier__estimator__n_components": 4}


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"estimator": StandardScaler()}, "'estimator' parameter.*BaseAutoencoder.*Standard"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter.*Got 1.0"),
        ({"n_jobs": "all"}, "'n_jobs' parameter.*Got 'all'"),
    ],
)
def test_bad_parameters_are_named(labelled, params, match):
    X, y, _, _ = labelled
    with pytest.raises(ValueError, match=match):
        AEClassifier(**params).fit(X, y)


def test_a_failed_fit_loses_no_class(make, labelled):
    X, y, _, _ = labelled
    classifier = make().fit(X, y)
    proba, before = classifier.predict_proba(X), dict(vars(classifier))
    classifier.set_params(estimator__loss="binary_crossentropy")
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\]"):
        classifier.fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
        classifier.fit(X, y, sample_weight=np.zeros(len(X)))
    assert vars(classifier).keys() == before.keys()
    assert_array_equal(classifier.predict_proba(X), proba)


def test_scores_that_are_no_errors_are_refused(fitted, labelled, monkeypatch):
    X, y, _, _ = labelled
    kind = type(fitted.estimators_[0])
    monkeypatch.setattr(kind, "score_samples", lambda self, X: np.ones(len(X)))
    with pytest.raises(ValueError, match=r"minus an error.*AutoencoderTransformer reaches 1"):
        clone(fitted).fit(X, y)


def test_softmax_finds_slope_and_offsets():
    rng = data_rng()
    scores, offsets = rng.normal(size=(20_000, 3)), np.array([1.0, 0.0, -1.0])
    labels = np.argmax(3 * scores + offsets + rng.gumbel(size=scores.shape), axis=1)
    slope, found = fit_softmax(scores, labels)
    assert_allclose(slope, 3, rtol=0.05)
    assert_allclose(found, offsets, atol=0.1)


def test_softmax_stays_finite_where_classes_are_apart():
    scores = np.array([[5.0, 0.0], [0.0, 5.0]])
    slope, offsets = fit_softmax(scores, np.array([0, 1]), np.array([2.0, 2.0]))
    assert 1 < slope < 20
    assert_allclose(offsets, 0, atol=1e-6)


def test_integer_weights_of_the_softmax_are_repeated_rows():
    rng = data_rng()
    scores = rng.normal(size=(40, 3))
    labels = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    weight = np.repeat([1, 3], 20)
    slope, offsets = fit_softmax(np.repeat(scores, weight, axis=0), np.repeat(labels, weight))
    weighted = fit_softmax(scores, labels, weight.astype(float))
    # The penalty counts rows, so only nearly.
    assert_allclose(weighted[0], slope, rtol=0.1)
    assert_allclose(weighted[1], offsets, atol=0.1)
