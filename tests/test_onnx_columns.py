"""ONNX models of Pipelines that begin with a ColumnTransformer: an input for each column."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)

import skae
from data import data_rng
from saved_estimators import QUICK_DETECTOR, QUICK_IMPUTER, SMALL
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.tables import TabularEncoder

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

pytestmark = pytest.mark.any_backend

DTYPES = (np.float32, np.float64)
NUMBERS = ["age", "hours per week"]


def small(n_components=2):
    return AutoencoderTransformer(n_components, **SMALL)


@pytest.fixture(scope="module")
def frame():
    rng = data_rng()
    n = 90
    return pd.DataFrame(
        {
            "age": rng.normal(40, 9, n).round(),
            "kind": rng.choice(["a", "b", "c"], n),
            "hours per week": rng.randint(10, 60, n),
            "größe (m)": rng.uniform(size=n),
            "flag": rng.uniform(size=n) > 0.5,
            "code": rng.randint(0, 4, n),
            "port": pd.Categorical(rng.choice(["x", "y"], n)),
            "day": pd.date_range("2024-01-01", periods=n),
        }
    )


def run(model, X, dtype=np.float32):
    """All that a model returns for the columns that it takes."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    inputs = {}
    for each in session.get_inputs():
        cells = np.asarray(X[each.name])
        is_string = each.type == "tensor(string)"
        inputs[each.name] = cells.astype(object if is_string else dtype)[:, np.newaxis]
    return session.run(None, inputs)


def assert_same(estimator, rows, output="transform", dtypes=DTYPES, **options):
    for dtype in dtypes:
        model = skae.to_onnx(estimator, output=output, dtype=dtype, **options)
        (got,) = run(model, rows, dtype)
        expected = getattr(estimator, output)(rows)
        assert got.shape == expected.shape
        assert got.dtype == (np.int64 if output == "predict" else dtype)
        near = 1e-5 if dtype == np.float32 else 1e-12
        assert np.abs(got - expected).max() <= near * max(np.ptp(expected), 1)


def inputs_of(model):
    return [each.name for each in model.graph.input]


def encoded(*more, **options):
    """Scaled numbers and the flags of a column of strings."""
    parts = [("n", StandardScaler(), NUMBERS), ("c", OneHotEncoder(), ["kind"])]
    return ColumnTransformer([*parts, *more], **options)


COLUMNS = {
    "names": lambda: encoded(),
    "strings first": lambda: ColumnTransformer(
        [("c", OneHotEncoder(), ["kind"]), ("n", StandardScaler(), NUMBERS)]
    ),
    "positions": lambda: ColumnTransformer(
        [("n", StandardScaler(), [0, 2]), ("c", OneHotEncoder(), [1])]
    ),
    "one name": lambda: encoded(("m", MinMaxScaler(), ["größe (m)"])),
    "a slice of names": lambda: ColumnTransformer(
        [("n", StandardScaler(), slice("hours per week", "code")), ("c", "drop", ["kind"])]
    ),
    "a mask": lambda: ColumnTransformer(
        [("n", StandardScaler(), [True, False, True, False, False, False, False, False])]
    ),
    "by dtype": lambda: ColumnTransformer(
        [
            ("n", StandardScaler(), make_column_selector(dtype_include="number")),
            ("c", OneHotEncoder(), make_column_selector(dtype_include=["str", "category"])),
        ]
    ),
    "passed through": lambda: encoded(("p", "passthrough", ["flag", "code"])),
    "integers as categories": lambda: encoded(("i", OneHotEncoder(), ["code"])),
    "booleans as categories": lambda: encoded(("b", OneHotEncoder(drop="if_binary"), ["flag"])),
    "ordinals": lambda: ColumnTransformer(
        [("n", StandardScaler(), NUMBERS), ("o", OrdinalEncoder(), ["kind", "port"])]
    ),
    "dropped": lambda: encoded(("d", "drop", ["day"]), ("e", StandardScaler(), [])),
    "weights": lambda: encoded(transformer_weights={"n": 2.0}),
    "a Pipeline inside": lambda: ColumnTransformer(
        [
            ("n", make_pipeline("passthrough", MinMaxScaler(), StandardScaler()), NUMBERS),
            ("c", OneHotEncoder(sparse_output=False), ["kind"]),
        ]
    ),
    "an autoencoder inside": lambda: encoded(("a", small(1), ["age", "code", "flag"])),
    "a union": lambda: FeatureUnion(
        [("one", encoded()), ("two", ColumnTransformer([("m", MinMaxScaler(), ["code"])]))]
    ),
}


# Other orders, selections and encoders, each much like one that is quick.
ALIKE = "strings first", "one name", "a slice of names", "ordinals", "dropped", "weights"


@pytest.mark.any_data
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in ALIKE)) for name in COLUMNS],
)
def test_columns(name, frame):
    assert_same(make_pipeline(COLUMNS[name](), small()).fit(frame), frame)


def test_the_remainder(frame):
    X = frame.drop(columns=["port", "day"])
    for remainder in ("passthrough", StandardScaler()):
        columns = ColumnTransformer([("c", OneHotEncoder(), ["kind"])], remainder=remainder)
        assert_same(make_pipeline(columns, small()).fit(X), X)


@pytest.mark.any_data
def test_inputs_are_the_columns_that_are_used(frame):
    model = skae.to_onnx(make_pipeline(COLUMNS["one name"](), small()).fit(frame))
    assert inputs_of(model) == ["age", "kind", "hours per week", "größe (m)"]
    types = [each.type.tensor_type.elem_type for each in model.graph.input]
    assert types == [1, 8, 1, 1]
    assert [each.name for each in model.graph.output] == ["transform"]


@pytest.mark.parametrize("output", ["predict", "decision_function", "score_samples"])
def test_detectors(output, frame):
    pipe = make_pipeline(encoded(), AEAnomalyDetector(**QUICK_DETECTOR)).fit(frame)
    assert_same(pipe, frame, output)


def test_the_advice_for_tables_holds(frame):
    detector = AEAnomalyDetector(**QUICK_DETECTOR).fit(frame)
    for options in ({}, {"X": frame}):
        with pytest.raises(NotImplementedError, match=r"make_column_transformer\(\(StandardSc"):
            skae.to_onnx(detector, **options)
    assert_same(make_pipeline(encoded(), detector).fit(frame), frame, "predict")


def test_other_autoencoders(frame):
    denoising = make_pipeline(encoded(), DenoisingAutoencoder(2, **SMALL)).fit(frame)
    assert_same(denoising, frame, "score_samples")
    variational = make_pipeline(encoded(), VAETransformer(2, n_draws=4, **SMALL)).fit(frame)
    assert_same(variational, frame, "score_samples", [np.float32])


def test_missing_numbers_are_filled(frame):
    X = frame.assign(age=frame["age"].mask(np.arange(90) % 5 == 2))
    columns = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            ("c", OneHotEncoder(handle_unknown="ignore"), ["kind"]),
        ]
    )
    pipe = make_pipeline(columns, small()).fit(X)
    assert_same(pipe, X, dtypes=[np.float32])
    assert_same(pipe, X[:3].assign(kind="unknown"), dtypes=[np.float32])
    with pytest.raises(NotImplementedError, match=r"SimpleImputer with dtype=numpy.float64"):
        skae.to_onnx(pipe, dtype=np.float64)


def test_other_steps_and_searches(frame):
    y = frame["flag"]
    pipe = make_pipeline(encoded(), small(), LogisticRegression()).fit(frame, y)
    assert_array_equal(run(skae.to_onnx(pipe), frame)[0], pipe.predict(frame))
    grid = {"autoencodertransformer__n_components": [1, 2]}
    search = GridSearchCV(make_pipeline(encoded(), small()), grid, cv=2).fit(frame)
    assert_same(search, frame)


def test_a_column_transformer_alone(frame):
    columns = encoded(("a", small(1), ["age", "code"])).set_params(sparse_threshold=0)
    got = run(skae.to_onnx(columns.fit(frame)), frame)[0]
    np.testing.assert_allclose(got, columns.transform(frame), atol=1e-5)


@pytest.mark.any_data
def test_the_fitted_pipeline_stays_as_it_was(frame):
    pipe = make_pipeline(COLUMNS["a slice of names"](), small()).fit(frame)
    expected = pipe.transform(frame)
    before = [columns for *_, columns in pipe[0].transformers_]
    skae.to_onnx(pipe, dtype=np.float64)
    assert [columns for *_, columns in pipe[0].transformers_] == before
    assert_array_equal(pipe.transform(frame), expected)


# Without names


def test_arrays_of_objects_have_an_input_for_each_column(frame):
    X = frame[["age", "kind"]].to_numpy(object)
    columns = ColumnTransformer([("n", StandardScaler(), [0]), ("c", OneHotEncoder(), [1])])
    pipe = make_pipeline(columns, small(1)).fit(X)
    (got,) = run(skae.to_onnx(pipe), {"x0": X[:, 0], "x1": X[:, 1]})
    np.testing.assert_allclose(got, pipe.transform(X), atol=1e-5)


def test_arrays_of_numbers_have_one_input(frame):
    X = frame[NUMBERS].to_numpy().astype(np.float32)
    columns = ColumnTransformer([("n", StandardScaler(), [1]), ("m", MinMaxScaler(), [0])])
    pipe = make_pipeline(columns, small(1)).fit(X)
    model = skae.to_onnx(pipe)
    assert inputs_of(model) == ["X"]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    np.testing.assert_allclose(session.run(None, {"X": X})[0], pipe.transform(X), atol=1e-5)


# Frames


@pytest.mark.parametrize("convert", [pd.DataFrame, pl.from_pandas])
def test_a_frame_gives_each_column_an_input(convert, frame):
    X = frame[[*NUMBERS, "flag"]]
    pipe = make_pipeline(StandardScaler(), small()).fit(X)
    assert inputs_of(skae.to_onnx(pipe)) == ["X"]
    assert inputs_of(skae.to_onnx(pipe, X=convert(X))) == [*NUMBERS, "flag"]
    assert_same(pipe, X, X=convert(X))


def test_a_frame_of_numbers_and_strings(frame):
    pipe = make_pipeline(encoded(), small()).fit(frame)
    assert_same(pipe, frame, X=frame[:5])
    assert_same(pipe, frame, X=frame.convert_dtypes())


@pytest.mark.any_data
def test_frames_that_do_not_fit(frame):
    pipe = make_pipeline(encoded(), small()).fit(frame)
    with pytest.raises(ValueError, match=r"columns that were seen in fit, 'age', .*got"):
        skae.to_onnx(pipe, X=frame[NUMBERS])
    with pytest.raises(TypeError, match=r"X must be a data frame, .*got ndarray"):
        skae.to_onnx(pipe, X=frame.to_numpy())
    ae = small().fit(frame[NUMBERS].to_numpy())
    with pytest.raises(ValueError, match="must have the 2 columns that were seen in fit"):
        skae.to_onnx(ae, X=frame[[*NUMBERS, "code"]])


# Refusals


@pytest.mark.any_data
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ("d", OneHotEncoder(), ["day"]),
            "column 'day', which has neither numbers nor",
        ),
        (
            ("f", FunctionTransformer(np.log1p), ["age"]),
            "this Pipeline, which skl2onnx could not convert: FunctionTransformer",
        ),
        (("t", TabularEncoder(), ["age"]), "TabularEncoder; .*by a ColumnTransformer"),
        (("i", AEImputer(**QUICK_IMPUTER), ["age"]), "AEImputer; .*SimpleImputer"),
    ],
)
def test_parts_that_are_not_supported(columns, message, frame):
    pipe = make_pipeline(encoded(columns), small()).fit(frame)
    for options in ({}, {"X": frame}):
        with pytest.raises(NotImplementedError, match=f"to_onnx does not support {message}"):
            skae.to_onnx(pipe, **options)


@pytest.mark.any_data
def test_estimators_that_are_not_supported(frame):
    imputed = make_pipeline(encoded(), AEImputer(**QUICK_IMPUTER), small()).fit(frame)
    with pytest.raises(NotImplementedError, match="does not support AEImputer; it supports"):
        skae.to_onnx(imputed)
    classified = make_pipeline(encoded(), AEClassifier(small())).fit(frame, frame["flag"])
    with pytest.raises(NotImplementedError, match="does not support AEClassifier; it supports"):
        skae.to_onnx(classified)


@pytest.mark.any_data
def test_what_is_computed_in_single_precision_only(frame):
    pipe = make_pipeline(
        encoded(("p", make_pipeline(StandardScaler(), PolynomialFeatures(2)), NUMBERS)), small()
    ).fit(frame)
    assert_same(pipe, frame, dtypes=[np.float32])
    with pytest.raises(NotImplementedError, match="computes a part in float32"):
        skae.to_onnx(pipe, dtype=np.float64)


@pytest.mark.any_data
def test_text_is_an_input_of_strings(frame):
    X = frame.assign(text=np.where(frame["flag"], "red car", "blue bike"))
    words = CountVectorizer(lowercase=False)
    pipe = make_pipeline(encoded(("t", words, "text")), small()).fit(X)
    model = skae.to_onnx(pipe)
    assert inputs_of(model) == ["age", "kind", "hours per week", "text"]
    assert model.graph.input[3].type.tensor_type.elem_type == 8
