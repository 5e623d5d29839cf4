"""What scikit-learn asks of an estimator, and what its tools do with ours."""

import copy
import inspect
import pickle

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.discovery import all_estimators
from sklearn.utils.estimator_checks import parametrize_with_checks

from data import data_rng
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.metrics import reconstruction_score
from skae.tables import TabularEncoder

SCIKIT_LEARN = tuple(map(int, sklearn.__version__.split(".")[:2]))

TINY = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
CHECKED = [
    AutoencoderTransformer(**TINY),
    AEAnomalyDetector(hidden_layer_sizes=(8,), n_steps=20, random_state=0),
    VAETransformer(**TINY),
    TabularEncoder(),
    AEImputer(hidden_layer_sizes=(8,), n_estimators=1, n_steps=5, random_state=0),
]
# Other settings, and estimators that are made of those above.
CHECKED_SLOWLY = [
    DenoisingAutoencoder(**TINY),
    AEClassifier(
        AutoencoderTransformer(1, hidden_layer_sizes=(4,), max_iter=2), random_state=0
    ),
    AutoencoderTransformer(1, init="random", **TINY),
    AutoencoderTransformer(early_stopping=False, loss="absolute_error", **TINY),
    AutoencoderTransformer(2, ordered=True, **TINY),
    AEAnomalyDetector(novelty=True, hidden_layer_sizes=(8,), n_steps=20, random_state=0),
    AEAnomalyDetector(
        scoring="reconstruction",
        estimator=AutoencoderTransformer(1, hidden_layer_sizes=(4,), max_iter=2),
        random_state=0,
    ),
    VAETransformer(1, init="random", early_stopping=False, **TINY),
]


def expected_failures(estimator):
    reason = (
        "the number of rows decides which are held out and how they fall into batches; "
        "with one batch of all rows only the rounding of float32 is left, see below"
    )
    kinds = ("dense", "sparse")
    return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in kinds}


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(CHECKED_SLOWLY, expected_failed_checks=expected_failures)
def test_more_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_iter=1),
        DenoisingAutoencoder(2, hidden_layer_sizes=(4,), max_iter=1),
        VAETransformer(2, hidden_layer_sizes=(4,), max_iter=1),
        AEAnomalyDetector(hidden_layer_sizes=(4,), n_steps=2),
        AEClassifier(AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_iter=1)),
        AEImputer(hidden_layer_sizes=(4,), n_estimators=1, n_steps=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_no_estimator_of_scikit_learn_is_fitted_inside(monkeypatch, digits, estimator):
    """Tools that follow the fits of all estimators (mlflow's autologging) see ours alone."""
    seen = []
    for _, kind in all_estimators():
        if "fit" in vars(kind):
            monkeypatch.setattr(kind, "fit", lambda self, *args, **kwargs: seen.append(self))
    estimator.fit(digits, np.arange(len(digits)) % 2)
    asked = ("predict", "score_samples", "transform")
    ask = next(getattr(estimator, name) for name in asked if hasattr(estimator, name))
    ask(digits)
    assert seen == []


@pytest.mark.parametrize("init", ["pca", "random"])
def test_integer_weights_are_repeated_rows(quick, digits, init):
    """With all rows in one batch there is nothing left in which the two could differ."""
    X = digits[:40]
    weight = data_rng().randint(0, 3, len(X))
    assert set(weight) == {0, 1, 2}
    ae = quick(init=init, early_stopping=False, batch_size=1000, optimizer="sgd")
    weighted = clone(ae).fit(X, sample_weight=weight)
    repeated = clone(ae).fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.mean_, repeated.mean_)
    assert_allclose(weighted.scale_, repeated.scale_)
    assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-4)
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-5)
    unweighted = clone(ae).fit(X)
    assert np.abs(unweighted.transform(X) - repeated.transform(X)).max() > 1e-2


def test_rows_of_weight_zero_are_absent(quick, digits):
    """Exactly: they are taken out before anything is drawn."""
    X = digits[:100]
    weight = np.ones(len(X))
    weight[::7] = 0
    without = quick().fit(X[weight > 0], sample_weight=weight[weight > 0])
    assert_array_equal(quick().fit(X, sample_weight=weight).transform(X), without.transform(X))


def test_equal_weights_are_none(quick, digits):
    weight = np.repeat([3.0, 0.0], [100, len(digits) - 100])
    weighted = quick().fit(digits, sample_weight=weight)
    without = quick().fit(digits[:100])
    assert_array_equal(weighted.transform(digits), without.transform(digits))


def test_only_ratios_of_weights_matter(quick, digits):
    weight = data_rng().uniform(1, 2, len(digits))
    once = quick().fit(digits, sample_weight=weight)
    # The root of four is exact, so not even a rounding differs.
    scaled = quick().fit(digits, sample_weight=4 * weight)
    assert_array_equal(once.transform(digits), scaled.transform(digits))


@pytest.mark.parametrize(
    "copied",
    [
        lambda ae, path: pickle.loads(pickle.dumps(ae)),
        lambda ae, path: copy.deepcopy(ae),
        lambda ae, path: joblib.load(joblib.dump(ae, path / "ae.joblib")[0]),
    ],
    ids=["pickle", "deepcopy", "joblib"],
)
def test_a_copy_is_the_same(fitted, digits, copied, tmp_path):
    twin = copied(fitted, tmp_path)
    assert_array_equal(twin.transform(digits), fitted.transform(digits))
    assert_array_equal(twin.score_samples(digits), fitted.score_samples(digits))
    assert twin.get_params() == fitted.get_params()


def test_a_pickle_is_not_much_larger_than_its_weights(fitted):
    weights = sum(w.nbytes for w in fitted._encoder.weights + fitted._decoder.weights)
    assert len(pickle.dumps(fitted)) < weights + 10_000


def test_clone_forgets_the_fit_and_keeps_the_parameters(fitted, digits):
    twin = clone(fitted)
    assert not hasattr(twin, "n_components_")
    assert twin.get_params() == fitted.get_params()
    assert_array_equal(twin.fit(digits).transform(digits), fitted.transform(digits))


def test_parameters_are_explicit_and_keyword_only():
    parameters = list(inspect.signature(AutoencoderTransformer).parameters.values())
    assert parameters[0].name == "n_components"
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters[1:])
    with pytest.raises(TypeError, match="positional"):
        AutoencoderTransformer(2, (8,))


def test_set_params_goes_through_a_pipeline(quick):
    pipeline = make_pipeline(StandardScaler(), quick())
    pipeline.set_params(autoencodertransformer__n_components=5)
    assert pipeline[-1].get_params()["n_components"] == 5
    with pytest.raises(ValueError, match="latent"):
        quick().set_params(latent=3)


@pytest.mark.any_backend
def test_grid_search_beside_pca(quick, digits):
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("reduce", PCA())]),
        [
            {"reduce": [PCA()], "reduce__n_components": [2, 4]},
            {"reduce": [quick()], "reduce__n_components": [2, 4]},
        ],
        scoring=reconstruction_score,
        cv=2,
        error_score="raise",
    ).fit(digits)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] < scores[1]
    assert scores[2] < scores[3]
    # Started from PCA and trained hardly at all, so about as good.
    assert_allclose(scores[2:], scores[:2], atol=0.1)
    assert search.best_estimator_[-1].n_components == 4


@pytest.mark.any_backend
def test_cross_val_score_as_a_step_and_alone(quick, digits):
    assert (cross_val_score(quick(), digits, cv=3) > 0.2).all()
    labels = np.arange(len(digits)) % 2
    pipeline = make_pipeline(quick(), LogisticRegression())
    scores = cross_val_score(pipeline, digits, labels, cv=2, error_score="raise")
    assert scores.shape == (2,)


@pytest.mark.any_backend
def test_halving_search_over_epochs(quick, digits):
    search = HalvingGridSearchCV(
        quick(),
        {"n_components": [1, 8]},
        resource="max_iter",
        min_resources=1,
        max_resources=2,
        factor=2,
        cv=2,
        error_score="raise",
    ).fit(digits)
    assert search.best_params_["n_components"] == 8
    assert search.best_estimator_.max_iter == 2


@pytest.mark.any_data
@pytest.mark.any_backend
def test_feature_union_and_column_transformer(quick, digits):
    union = FeatureUnion([("pca", PCA(2)), ("ae", quick())]).fit(digits)
    assert union.transform(digits).shape == (300, 5)
    assert list(union.get_feature_names_out())[-1] == "ae__autoencodertransformer2"
    columns = ColumnTransformer([("ae", quick(), slice(8, 24))], remainder="passthrough")
    assert columns.fit_transform(digits).shape == (300, 3 + 48)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_set_output_pandas(quick, digits):
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame(digits, index=np.arange(300) + 7).add_prefix("pixel")
    ae = quick().set_output(transform="pandas").fit(rows)
    code = ae.transform(rows)
    assert list(code.columns) == [f"autoencodertransformer{i}" for i in range(3)]
    assert_array_equal(code.index, rows.index)
    assert_array_equal(ae.feature_names_in_, rows.columns)
    assert_array_equal(code.to_numpy(), quick().fit_transform(digits))
    assert isinstance(ae.reconstruct(rows), np.ndarray)


@pytest.mark.any_data
@pytest.mark.any_backend
def test_set_output_polars(quick, digits):
    pl = pytest.importorskip("polars")
    rows = pl.DataFrame(digits, schema=[f"pixel{i}" for i in range(64)])
    ae = quick().set_output(transform="polars")
    code = ae.fit_transform(rows)
    assert isinstance(code, pl.DataFrame)
    assert code.columns == list(ae.get_feature_names_out())
    assert_array_equal(code.to_numpy(), quick().fit_transform(digits))


@pytest.mark.any_data
@pytest.mark.any_backend
def test_columns_must_come_by_the_names_of_fit(quick, digits):
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame(digits).add_prefix("pixel")
    ae = quick().fit(rows)
    with pytest.raises(ValueError, match="feature names should match"):
        ae.transform(rows.rename(columns={"pixel0": "corner"}))
    with pytest.raises(ValueError, match="feature names should match"):
        ae.transform(rows[rows.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        ae.transform(digits)


@pytest.mark.any_backend
@pytest.mark.skipif(
    SCIKIT_LEARN < (1, 8),
    reason="scikit-learn 1.7 cannot weight the score of a Pipeline",
)
def test_sample_weight_is_routed_through_a_searched_pipeline(quick, digits):
    """Rows of weight zero are far away: a step that missed the weights would show it."""
    X = np.array(digits)
    weight = np.ones(len(X))
    X[::10] += 1e6
    weight[::10] = 0
    with sklearn.config_context(enable_metadata_routing=True):
        ae = quick().set_fit_request(sample_weight=True)
        ae.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        search = GridSearchCV(
            Pipeline([("scale", scaler), ("ae", ae)]),
            {"ae__n_components": [2, 8]},
            cv=2,
            error_score="raise",
        ).fit(X, sample_weight=weight)
        assert_allclose(search.best_estimator_["ae"].mean_, 0, atol=1e-9)
        assert search.best_params_ == {"ae__n_components": 8}
        # Judged with weights: otherwise the far rows, well or badly met, are all there is.
        assert 0.2 < search.best_score_ < 0.9


def test_html_shows_parameters_and_whether_it_is_fitted(quick, fitted):
    assert "AutoencoderTransformer" in fitted._repr_html_()
    assert "hidden_layer_sizes" in fitted._repr_html_()
    assert "Not fitted" in quick()._repr_html_()
    assert "Not fitted" not in fitted._repr_html_()


def test_repr_names_what_differs_from_the_defaults():
    assert repr(AutoencoderTransformer(5)) == "AutoencoderTransformer(n_components=5)"
