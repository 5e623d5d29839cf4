"""What scikit-learn asks of an estimator, and what its tools do with ours."""

import copy
import inspect
import pickle
from dataclasses import dataclass
from math import prod

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.discovery import all_estimators
from sklearn.utils.estimator_checks import parametrize_with_checks

from data import data_rng
from settings import LARGE_BATCHES
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.corruption import GaussianNoise
from skae.metrics import reconstruction_score
from skae.networks import ConvNetwork, KerasNetwork, RecurrentNetwork
from skae.tables import TabularEncoder

SCIKIT_LEARN = tuple(map(int, sklearn.__version__.split(".")[:2]))

TINY = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
FEW_STEPS = {"hidden_layer_sizes": (8,), "n_steps": 5, "random_state": 0}
DETECTS = {**FEW_STEPS, "cv": 2}
FILLS = {**FEW_STEPS, **LARGE_BATCHES, "n_estimators": 1}


def autoencoder(n_components=1, **params):
    return AutoencoderTransformer(n_components, **{**TINY, **params})


def denoiser(n_components=1, **params):
    return DenoisingAutoencoder(n_components, **{**TINY, **params})


def variational(n_components=1, **params):
    return VAETransformer(n_components, **{**TINY, **params})


def by_reconstruction(estimator, **params):
    params = {"scoring": "reconstruction", "cv": 2, "random_state": 0, **params}
    return AEAnomalyDetector(estimator=estimator, **params)


@dataclass(frozen=True)
class Quartic:
    """A loss of the user's; with a name that does not change from run to run."""

    def __call__(self, target, output):
        from keras import ops

        return ops.mean((output - target) ** 4, axis=-1)


@dataclass(frozen=True)
class Encoder:
    def __call__(self, input_shape, n_components):
        import keras

        layers = [keras.layers.Flatten(), keras.layers.Dense(n_components)]
        return keras.Sequential([keras.layers.Input(input_shape), *layers])


@dataclass(frozen=True)
class Decoder:
    def __call__(self, n_components, output_shape):
        import keras

        layers = [keras.layers.Dense(prod(output_shape)), keras.layers.Reshape(output_shape)]
        return keras.Sequential([keras.layers.Input((n_components,)), *layers])


CHECKED = [
    AutoencoderTransformer(**TINY),
    AEAnomalyDetector(**{**FEW_STEPS, "n_steps": 20}),
    TabularEncoder(),
    AEImputer(**FILLS),
]
# Each estimator at settings that few people try. First those where rows with weights are the
# same as repeated rows: encoders of tables, and where two epochs bring nothing and PCA is kept.
AS_REPEATED = [
    CHECKED[2],
    autoencoder(0.9, ordered=True),
    autoencoder(tied_weights=True),
    autoencoder(hidden_layer_sizes=()),
    autoencoder(normalization="layer", dropout=0.5),
    autoencoder(loss="absolute_error", early_stopping=False),
    autoencoder(max_iter=1, batch_size=1),
    TabularEncoder(max_categories=None, handle_unknown="error"),
    TabularEncoder(max_categories=2, categorical_features=[0]),
    TabularEncoder(squash=False, clip=False),
]
CHECKED_SLOWLY = [
    *AS_REPEATED[1:],
    autoencoder(2, ordered=True),
    autoencoder(network=KerasNetwork(Encoder(), Decoder())),
    autoencoder(init="random"),
    autoencoder(warm_start=True),
    autoencoder(normalization="batch"),
    autoencoder(output_activation="softplus"),
    autoencoder(code_activation="sigmoid", penalty="kl"),
    autoencoder(penalty="contractive"),
    autoencoder(loss="huber"),
    autoencoder(loss="cosine"),
    autoencoder(loss=Quartic()),
    autoencoder(optimizer="sgd", learning_rate=0.01, weight_decay=0.1),
    autoencoder(clip=False, categorical_features=[0]),
    denoiser(),
    denoiser(0.5, corruption=GaussianNoise(0.3, unit="data")),
    denoiser(corruption="swap", loss="huber"),
    VAETransformer(**TINY),
    variational(prior="normal"),
    variational(beta=4.0, warm_up=2, free_bits=0.5),
    variational(0.5, n_draws=2, noise_floor=0.5),
    variational(init="random", early_stopping=False),
    AEAnomalyDetector(novelty=True, **DETECTS),
    AEAnomalyDetector(contamination=0.2, n_neighbors=1, trim_fraction=0.0, **DETECTS),
    AEAnomalyDetector(cv=ShuffleSplit(1, random_state=0), **FEW_STEPS),
    AEAnomalyDetector(categorical_features=[0], noise_level=0.1, batch_size=1, **DETECTS),
    by_reconstruction(autoencoder()),
    by_reconstruction(denoiser(), novelty=True, contamination=0.3),
    AEImputer(missing_values=-1, activation="tanh", **FILLS),
    AEImputer(add_indicator=True, keep_empty_features=True, **FILLS),
    AEImputer(categorical_features=[0], **{**FILLS, "batch_size": 16}),
    AEClassifier(autoencoder(), random_state=0),
    AEClassifier(autoencoder(2, ordered=True), validation_fraction=0.5),
    AEClassifier(denoiser(0.9), n_jobs=2, categorical_features=[0]),
]

REPEATS_DIFFER = (
    "the number of rows decides which are held out and how they fall into batches; "
    "with one batch of all rows only the rounding of float32 is left, see below",
    "fitting with `sample_weight` is not equivalent to fitting with removed or repeated",
)


def expected_failures(estimator):
    """Checks that fail by their assertion: the reason, and what the assertion reports."""
    weights = "check_sample_weight_equivalence_on_{}_data"
    if any(estimator is other for other in AS_REPEATED):
        return {}
    return {weights.format(kind): REPEATS_DIFFER for kind in ("dense", "sparse")}


def is_met(estimator, check):
    """Run a check; an expected failure is one by the assertion for which it is expected."""
    _, reports = expected_failures(estimator).get(check.func.__name__, (None, None))
    if reports is None:
        check(estimator)
        return
    with pytest.raises(AssertionError, match=reports):
        check(estimator)


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(CHECKED)
def test_scikit_learn_checks(estimator, check):
    is_met(estimator, check)


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(CHECKED_SLOWLY)
def test_more_scikit_learn_checks(estimator, check):
    is_met(estimator, check)


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize(
    "estimator",
    [
        autoencoder(),
        denoiser(),
        variational(),
        AEAnomalyDetector(**DETECTS),
        AEClassifier(autoencoder()),
        AEImputer(**FILLS),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_no_estimator_of_scikit_learn_is_fitted_inside(monkeypatch, digits, estimator):
    """Tools that follow the fits of all estimators (mlflow's autologging) see ours alone."""
    # As many columns as below.
    X = digits[:, 2:8]
    seen = []
    for _, kind in all_estimators():
        if "fit" in vars(kind):
            monkeypatch.setattr(kind, "fit", lambda self, *args, **kwargs: seen.append(self))
    estimator = clone(estimator).fit(X, np.arange(len(X)) % 2)
    asked = ("predict", "score_samples", "transform")
    ask = next(getattr(estimator, name) for name in asked if hasattr(estimator, name))
    ask(X)
    assert seen == []


@pytest.mark.any_backend
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
    weights = sum(
        w.nbytes for w in fitted._model.encoder.weights + fitted._model.decoder.weights
    )
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


# Tags


def declared(kind, **params):
    return kind(categorical_features=[0], **params)


def also(estimator):
    """Whose class, network or declared columns others have."""
    return pytest.param(estimator, marks=pytest.mark.slow)


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize(
    "estimator",
    [
        autoencoder(),
        also(autoencoder(2, ordered=True)),
        also(autoencoder(output_activation="softplus", loss="huber")),
        declared(autoencoder),
        autoencoder(network=KerasNetwork(Encoder(), Decoder())),
        also(autoencoder(network=RecurrentNetwork(units=3))),
        also(autoencoder(network=RecurrentNetwork(units=3, series_shape=(3, 2)))),
        autoencoder(network=ConvNetwork(filters=(2,))),
        also(autoencoder(network=ConvNetwork(filters=(2,), image_shape=(3, 2)))),
        also(denoiser()),
        also(declared(denoiser)),
        variational(),
        also(declared(variational)),
        also(variational(network=ConvNetwork(filters=(2,)))),
        AEAnomalyDetector(**DETECTS),
        also(declared(AEAnomalyDetector, **DETECTS)),
        by_reconstruction(autoencoder()),
        also(by_reconstruction(None)),
        also(by_reconstruction(autoencoder(network=ConvNetwork(filters=(2,))))),
        AEClassifier(autoencoder()),
        also(declared(AEClassifier, estimator=autoencoder())),
        AEImputer(**FILLS),
        AEImputer(missing_values=-1, **FILLS),
        AEImputer(missing_values="", **FILLS),
        AEImputer(missing_values=None, **FILLS),
        TabularEncoder(),
        TabularEncoder(categorical_features=[0]),
    ],
    ids=lambda estimator: " ".join(repr(estimator).split())[:100],
)
def test_tags_are_what_the_estimator_does(estimator):
    # Whatever its kind, a table has six columns: all of a kind share a compilation.
    X = data_rng().uniform(size=(30, 6))
    holed = np.where(data_rng().uniform(size=X.shape) < 0.1, np.nan, X)
    names = np.where(X[:, :2] > 0.5, "high", "low").astype(object)
    tags = get_tags(estimator)
    accepts = {
        "two_d_array": X,
        "allow_nan": holed,
        "sparse": csr_array(X * (X > 0.5)),
        "string": np.hstack([names, X[:, 2:]]),
        "categorical": pd.DataFrame(names, columns=["a", "b"], dtype="category").join(
            pd.DataFrame(X[:, 2:]).add_prefix("x")
        ),
    }
    accepts |= {"three_d_array": X.reshape(30, 3, 2)} if tags.input_tags.three_d_array else {}
    for name, rows in accepts.items():
        flag = getattr(tags.input_tags, name)
        # What takes images takes holes in images.
        if name == "allow_nan" and not tags.input_tags.two_d_array:
            rows = rows.reshape(30, 3, 2)
        assert fits(estimator, rows) == flag, name
    if tags.transformer_tags is not None and tags.input_tags.two_d_array:
        single = X.astype(np.float32)
        assert clone(estimator).fit_transform(X).dtype == np.float64
        preserves = clone(estimator).fit(single).transform(single).dtype == np.float32
        assert preserves == ("float32" in tags.transformer_tags.preserves_dtype)


def fits(estimator, X):
    """Whether it can be fitted; a refusal is an error that scikit-learn's checks know."""
    try:
        clone(estimator).fit(X, np.arange(30) % 2)
    except (ValueError, TypeError):
        return False
    return True


# Before fit, weights, and names


BAD_WEIGHTS = {
    "negative": [-1.0] + [1.0] * 29,
    "missing": [np.nan] + [1.0] * 29,
    "infinite": [np.inf] + [1.0] * 29,
    "all zero": [0.0] * 30,
    "too few": [1.0] * 29,
    "two columns": np.ones((30, 2)),
    "strings": ["heavy"] * 30,
}


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize("kind", BAD_WEIGHTS)
@pytest.mark.parametrize("is_table", [False, True])
@pytest.mark.parametrize(
    "estimator",
    [
        autoencoder(),
        denoiser(),
        variational(),
        AEAnomalyDetector(**DETECTS),
        by_reconstruction(autoencoder()),
        AEClassifier(autoencoder()),
        TabularEncoder(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_bad_weights_are_named(estimator, is_table, kind):
    X = pd.DataFrame(data_rng().normal(size=(30, 3))).add_prefix("x")
    if is_table:
        X["x1"] = np.where(X["x1"] > 0, "high", "low")
    with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
        clone(estimator).fit(X, np.arange(30) % 2, sample_weight=BAD_WEIGHTS[kind])


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize(
    "kind",
    [
        AutoencoderTransformer,
        DenoisingAutoencoder,
        VAETransformer,
        AEAnomalyDetector,
        AEImputer,
        AEClassifier,
        TabularEncoder,
    ],
)
def test_nothing_is_answered_before_fit(kind, digits):
    """Each public method and property, but those that fit or are about parameters."""
    about_parameters = {"get_params", "get_metadata_routing"}
    asked = []
    for name in dir(kind):
        if name.startswith(("_", "fit", "partial_fit", "set_")) or name in about_parameters:
            continue
        if isinstance(inspect.getattr_static(kind, name), property):
            with pytest.raises(NotFittedError, match="not fitted yet"):
                getattr(kind(), name)
        elif callable(getattr(kind(), name, None)):
            method = getattr(kind(), name)
            parameters = inspect.signature(method).parameters.values()
            needed = [
                p for p in parameters if p.default is p.empty and p.kind < p.VAR_POSITIONAL
            ]
            with pytest.raises(NotFittedError, match="not fitted yet"):
                method(*[digits] * len(needed))
        else:
            continue
        asked.append(name)
    assert len(asked) >= 3


# Six columns, as above.
LABELS = {
    "integers": [3, 1, 2, 6, 5, 4],
    "floats": [0.5, 1.5, 2.5, 5.5, 4.5, 3.5],
    "pairs": pd.MultiIndex.from_product([("a", "b"), (1, 2, 3)]),
    "dates": pd.date_range("2020-01-01", periods=6),
    "strings": ["b", "a", "c", "f", "e", "d"],
}


@pytest.mark.any_data
@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("estimator", "labels"),
    [
        # Names are read in one place: what trains several networks is tried with two kinds.
        pytest.param(
            estimator,
            labels,
            marks=[pytest.mark.slow]
            * (
                isinstance(estimator, AEAnomalyDetector | AEClassifier)
                and labels not in ("integers", "strings")
            ),
            id=f"{type(estimator).__name__}-{labels}",
        )
        for estimator in (
            autoencoder(),
            AEAnomalyDetector(**DETECTS),
            AEClassifier(autoencoder()),
            TabularEncoder(),
        )
        for labels in LABELS
    ],
)
@pytest.mark.parametrize("is_table", [False, True])
def test_kinds_are_by_the_names_of_the_user(estimator, labels, is_table):
    X = pd.DataFrame(data_rng().normal(size=(30, 6)))
    if is_table:
        X[1] = np.where(X[1] > 0, "high", "low")
    X.columns = LABELS[labels]
    estimator = clone(estimator).fit(X, np.arange(30) % 2)
    kinds = ["numeric", "binary" if is_table else "numeric", *["numeric"] * 4]
    assert estimator.columns_ == dict(zip(X.columns, kinds, strict=True))
    assert hasattr(estimator, "feature_names_in_") == (labels == "strings")
    # A refit forgets the names of the last fit.
    estimator.fit(data_rng().normal(size=(30, 6)), np.arange(30) % 2)
    assert list(estimator.columns_) == [f"x{i}" for i in range(6)]
