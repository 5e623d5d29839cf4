"""Users' output settings change containers, never numbers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skae
from saved_estimators import (
    OF_NUMBERS,
    OF_TABLES,
    QUICK_DETECTOR,
    SMALL,
    answers,
    with_missing,
)
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AutoencoderTransformer,
    VAETransformer,
)
from skae.metrics import reconstruction_error, reconstruction_score
from skae.plotting import (
    AnomalyScoreDisplay,
    ComponentCurveDisplay,
    LatentPathDisplay,
    LatentSpaceDisplay,
)
from tables import LIBRARIES, columns_of, people

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

# Networks differ in nothing that a container could change.
NAMES = [*(name for name in OF_TABLES if name in OF_NUMBERS), "ordered", "convolutional"]
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


@pytest.fixture(scope="module")
def digits(digits):
    return digits[:120]


@pytest.fixture(params=["pandas", pytest.param("polars", marks=pytest.mark.slow)])
def container(request):
    return request.param


def assert_same(got, expected):
    """The same values bit for bit, whatever holds them."""
    if isinstance(expected, pd.DataFrame):
        assert columns_of(got) == columns_of(expected)
    elif isinstance(expected, dict):
        assert list(got) == list(expected)
        for name in expected:
            assert_same(got[name], expected[name])
    elif isinstance(expected, list | tuple):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_same(one, other)
    else:
        assert_array_equal(np.asarray(got), np.asarray(expected))


def seeded(estimator):
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    return estimator


def labels(X):
    return np.arange(len(X)) % 2


@pytest.fixture(scope="module")
def plain_answers(digits):
    """What each estimator answers without any setting."""
    found = {}

    def ask(name, make, X):
        if (name, len(X)) not in found:
            found[name, len(X)] = answers(seeded(make()).fit(X, labels(X)), X)
        return found[name, len(X)]

    return ask


# Every estimator


def case(name):
    """The name of an estimator; of those that take rows in the same way, one is quick."""
    is_alike = name in ("denoising", "variational", "classifier", "ordered")
    return pytest.param(name, marks=[pytest.mark.slow] * is_alike)


@pytest.mark.parametrize("name", [*map(case, NAMES)])
def test_global_setting_and_numbers(name, container, digits, plain_answers):
    make, X = OF_NUMBERS[name], digits
    if name == "imputer":
        X = with_missing(digits)[:, :6]
    expected = plain_answers(name, make, X)
    with config_context(transform_output=container):
        got = answers(seeded(make()).fit(X, labels(X)), X)
    assert isinstance(got.get("transform", FRAMES[container]()), FRAMES[container])
    assert_same(got, expected)


@pytest.mark.parametrize("name", [*map(case, OF_TABLES)])
def test_global_setting_and_tables(name, container, plain_answers):
    make, X = OF_TABLES[name], people()
    expected = plain_answers(f"{name} of a table", make, X)
    with config_context(transform_output=container):
        got = answers(seeded(make()).fit(X, labels(X)), X)
    assert isinstance(got.get("transform", FRAMES[container]()), FRAMES[container])
    assert_same(got, expected)


def inner(container):
    return AutoencoderTransformer(2, **SMALL).set_output(transform=container)


@pytest.mark.parametrize(
    "make",
    [
        lambda estimator: AEClassifier(estimator, random_state=0),
        lambda estimator: AEAnomalyDetector(
            scoring="reconstruction", estimator=estimator, cv=2, random_state=0
        ),
    ],
)
@pytest.mark.parametrize("fitted_on", ["numbers", "table"])
def test_setting_of_the_estimator_inside(make, fitted_on, container, digits):
    X = digits if fitted_on == "numbers" else people()
    expected = answers(make(inner("default")).fit(X, labels(X)), X)
    assert_same(answers(make(inner(container)).fit(X, labels(X)), X), expected)


@pytest.mark.slow
def test_wine_is_classified_alike(container):
    X, y = load_wine(return_X_y=True)
    split = train_test_split(X, y, stratify=y, random_state=0)
    X, X_test, y, y_test = split
    pipeline = make_pipeline(StandardScaler(), AEClassifier(random_state=0))
    proba = pipeline.fit(X, y).predict_proba(X_test)
    with config_context(transform_output=container):
        pipeline = make_pipeline(StandardScaler(), AEClassifier(random_state=0)).fit(X, y)
        framed = pipeline.predict_proba(X_test)
        assert pipeline.score(X_test, y_test) == 1.0
    assert_array_equal(framed, proba)
    assert log_loss(y_test, framed) < 0.06


def test_ordered_codes_that_are_cut(container, digits):
    ae = AutoencoderTransformer(3, ordered=True, **SMALL).fit(digits)
    expected = ae.truncated(2).transform(digits)
    framed = ae.set_output(transform=container).truncated(2).transform(digits)
    assert isinstance(framed, FRAMES[container])
    assert_same(framed, expected)


def test_posteriors_and_paths(container, digits):
    vae = VAETransformer(2, n_draws=2, **SMALL).fit(digits)

    def paths():
        return [
            vae.posterior(digits),
            vae.interpolate(digits[:3], digits[3:6]),
            vae.latent_traversal(digits, start=digits[:1]),
            vae.score(digits),
        ]

    expected = paths()
    vae.set_output(transform=container)
    assert_same(paths(), expected)


# Files


def test_setting_is_saved(container, digits, tmp_path):
    path = tmp_path / "ae.skae"
    ae = AutoencoderTransformer(2, **SMALL).fit(digits)
    expected = ae.transform(digits)
    skae.save(ae.set_output(transform=container), path)
    got = skae.load(path).transform(digits)
    assert isinstance(got, FRAMES[container])
    assert_same(got, expected)


def test_models_of_onnx_are_the_same(container, digits):
    pytest.importorskip("skl2onnx")
    pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(2, **SMALL)).fit(digits)
    expected = skae.to_onnx(pipeline).SerializeToString()
    with config_context(transform_output=container):
        assert skae.to_onnx(pipeline).SerializeToString() == expected
    pipeline[-1].set_output(transform=container)
    assert skae.to_onnx(pipeline).SerializeToString() == expected


# Estimators of others: metrics and paths


@pytest.mark.parametrize(
    "make",
    [
        lambda: PCA(2),
        lambda: KernelPCA(2, kernel="rbf", gamma=1e-3, fit_inverse_transform=True),
        lambda: AutoencoderTransformer(2, **SMALL),
    ],
)
def test_any_transformer_is_measured_alike(make, container, digits):
    estimator = make().fit(digits)

    def measured():
        return [
            reconstruction_score(estimator, digits),
            reconstruction_error(estimator, digits),
            LatentPathDisplay.from_traversal(estimator, digits).rows,
            LatentPathDisplay.from_grid(estimator, digits, n_values=2).rows,
        ]

    pytest.importorskip("matplotlib").use("agg")
    expected = measured()
    assert_same(measured_under(container, measured), expected)
    estimator.set_output(transform=container)
    assert_same(measured(), expected)


def measured_under(container, measure):
    import matplotlib.pyplot as plt

    with config_context(transform_output=container):
        found = measure()
    plt.close("all")
    return found


def test_sparse_rows_are_measured_alike(container, digits):
    from scipy import sparse

    # The inverse of its last step leaves frames as they are.
    doubled = FunctionTransformer(lambda X: 2 * X, inverse_func=lambda X: X / 2)
    estimator = make_pipeline(TruncatedSVD(2, random_state=0), doubled)
    X = sparse.csr_matrix(digits)
    expected = reconstruction_score(estimator.fit(X), X)
    with config_context(transform_output=container):
        assert reconstruction_score(estimator, X) == expected


# Displays


@pytest.fixture
def plt():
    pytest.importorskip("matplotlib").use("agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.mark.parametrize("components", [(0, 1), "pca"])
def test_codes_are_drawn_alike(components, container, digits, plt):
    ae = AutoencoderTransformer(3, **SMALL).fit(digits)

    def points():
        display = LatentSpaceDisplay.from_estimator(
            ae, digits, labels(digits), components=components
        )
        return [np.asarray(scatter.get_offsets()) for scatter in display.scatters_]

    expected = points()
    with config_context(transform_output=container):
        assert_same(points(), expected)


def test_curves_of_pca_are_drawn_alike(container, digits, plt):
    frame = pd.DataFrame(digits).add_prefix("pixel")
    ae = AutoencoderTransformer(3, ordered=True, **SMALL).fit(frame)
    pca = PCA(3).fit(frame)
    expected = ComponentCurveDisplay.from_estimator(ae, frame, pca=pca)
    with config_context(transform_output=container):
        display = ComponentCurveDisplay.from_estimator(ae, frame, pca=pca)
    assert_same([display.explained, display.pca], [expected.explained, expected.pca])


def test_explanations_are_drawn_alike(container, digits, plt):
    detector = AEAnomalyDetector(**QUICK_DETECTOR)

    def explained():
        pipeline = make_pipeline(StandardScaler(), detector).fit(digits)
        return AnomalyScoreDisplay.from_estimator(pipeline, digits, row=0).explanation

    expected = explained()
    with config_context(transform_output=container):
        assert_same(explained(), expected)


# Tables of one library, where another is asked for


@pytest.mark.parametrize("library", LIBRARIES)
def test_imputed_tables_keep_their_dtypes_in_another_library(library, container):
    X = LIBRARIES[library](people().drop(columns="notes"))
    make = OF_TABLES["imputer"]
    expected = make().fit_transform(X)
    got = make().set_output(transform=container).fit_transform(X)
    assert isinstance(got, FRAMES[container])
    assert columns_of(got) == columns_of(expected)
    dtypes = {name: str(got[name].dtype).lower() for name in ("fare", "survived", "alone")}
    assert dtypes["fare"][:5] in ("float", "doubl")
    assert dtypes["survived"].startswith("int")
    assert dtypes["alone"].startswith("bool")


def test_imputers_of_arrays(container, digits):
    X = with_missing(digits)[:, :6]
    make = OF_NUMBERS["imputer"]
    expected, got = make().fit(X), make().set_output(transform=container).fit(X)
    assert_same(got.transform(X), expected.transform(X))
    assert_same(got.sample(X, 2, random_state=0), expected.sample(X, 2, random_state=0))
