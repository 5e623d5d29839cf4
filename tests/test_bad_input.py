"""Bad input is refused by name; what was fitted before survives."""

import copy
import inspect
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.corruption import GaussianNoise
from skae.tables import TabularEncoder
from skae.training._engine import Engine

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

METHODS = ["transform", "reconstruct", "score_samples", "score"]


def with_entry(X, value, dtype=float):
    X = np.array(X, dtype=dtype)
    X[3, 1] = value
    return X


@pytest.fixture
def raises_and_keeps(fitted, digits):
    """Checks that a call on a fitted estimator raises and changes nothing."""

    def check(call, error, match, **params):
        ae = copy.deepcopy(fitted).set_params(**params)
        before = dict(vars(ae))
        code = ae.transform(digits)
        with pytest.raises(error, match=match):
            call(ae)
        assert vars(ae).keys() == before.keys()
        assert all(vars(ae)[name] is before[name] for name in before)
        assert_array_equal(ae.transform(digits), code)

    return check


BAD_X = {
    "inf": (lambda X: with_entry(X, np.inf), ValueError, "contains infinity"),
    "complex": (lambda X: with_entry(X, 1j, complex), ValueError, "Complex data"),
    "text": (
        lambda X: with_entry(X, "a", object),
        (ValueError, TypeError),
        "could not convert|Column 'x1' .* float, str",
    ),
    "one dimension": (lambda X: X[0], ValueError, "Expected 2D array"),
    "three dimensions": (lambda X: X.reshape(-1, 8, 8), ValueError, "dim 3|3 dimensions"),
    "no rows": (lambda X: X[:0], ValueError, "0 sample"),
    "no columns": (lambda X: X[:, :0], ValueError, "0 feature"),
}


@pytest.mark.parametrize("kind", BAD_X)
def test_bad_rows(kind, digits, raises_and_keeps):
    spoil, error, match = BAD_X[kind]
    # Rows may have more axes where the estimator learns their shape.
    fits = [] if kind == "three dimensions" else ["fit", "partial_fit"]
    for method in [*fits, *METHODS]:
        raises_and_keeps(lambda ae, m=method: getattr(ae, m)(spoil(digits)), error, match)


def test_one_row(digits, raises_and_keeps, fitted):
    raises_and_keeps(lambda ae: ae.fit(digits[:1]), ValueError, "minimum of 2 is required")
    assert fitted.transform(digits[:1]).shape == (1, 3)


@pytest.mark.parametrize(
    ("kind", "fewest"),
    [(AutoencoderTransformer, 2), (AEAnomalyDetector, 2), (AEImputer, 1), (TabularEncoder, 1)],
)
def test_a_table_without_rows_is_refused_by_what_was_given_it(kind, fewest):
    X = pd.DataFrame({"n": [1.0], "s": ["a"]})[:0]
    needed = f"a minimum of {fewest} is required by {kind.__name__}"
    with pytest.raises(ValueError, match=needed):
        kind().fit(X)


def test_wrong_number_of_columns(digits, raises_and_keeps):
    for method in METHODS:
        raises_and_keeps(
            lambda ae, m=method: getattr(ae, m)(digits[:, :7]),
            ValueError,
            "7 features.*expecting 64 features",
        )
    for method in ("fit", "partial_fit"):
        raises_and_keeps(
            lambda ae, m=method: getattr(ae, m)(digits[:, :7]),
            ValueError,
            "7 features.*expecting 64 features",
            warm_start=True,
        )


def test_object_columns_of_numbers_are_numbers(fitted, digits):
    assert_array_equal(fitted.transform(digits.astype(object)), fitted.transform(digits))


@pytest.mark.parametrize("n_columns", [2, 4, 64])
def test_codes_of_the_wrong_width(digits, raises_and_keeps, n_columns):
    raises_and_keeps(
        lambda ae: ae.inverse_transform(digits[:, :n_columns]),
        ValueError,
        f"X has {n_columns} columns.*code of 3",
    )


def test_codes_that_are_not_finite(digits, raises_and_keeps):
    code = np.full((4, 3), np.nan)
    raises_and_keeps(lambda ae: ae.inverse_transform(code), ValueError, "contains NaN")


@pytest.mark.parametrize("method", [*METHODS, "inverse_transform", "get_feature_names_out"])
def test_not_fitted(quick, digits, method):
    arguments = () if method == "get_feature_names_out" else (digits,)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(quick(), method)(*arguments)


@pytest.mark.parametrize("model", ["encoder_", "decoder_"])
def test_no_models_before_fit(quick, model):
    assert not hasattr(quick(), "n_iter_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(quick(), model)


BAD_PARAMETERS = {
    "n_components": [0, -1, 1.0, 1.5, 0.0, "mle", None],
    "hidden_layer_sizes": [0, -3, "8", None, (8, 0), (8, 2.5), ((8, 8), (8, 8)), (True,)],
    "network": ["conv", (16, 8), 3],
    "activation": ["swoosh", None, np.tanh],
    "code_activation": ["softmax", None],
    "output_activation": ["swoosh", None],
    "normalization": ["instance", True],
    "dropout": [-0.1, 1.0, 1.5, None],
    "tied_weights": ["yes", None],
    "loss": ["mse", None, 3],
    "penalty": ["l2", 0.1],
    "weight_decay": [-1.0, None],
    "init": ["zeros", None, 0],
    "optimizer": ["adamant", None, 3],
    "learning_rate": [0, -0.1, "fast", None, np.nan],
    "batch_size": [0, -1, 2.5, "all", None],
    "max_iter": [0, -1, 2.5, None],
    "early_stopping": ["yes", None, 2],
    "validation_fraction": [0, 1, 1.5, -0.1, 0.999, None],
    "n_iter_no_change": [0, 1.5, None],
    "tol": [-1e-3, "small"],
    "warm_start": ["yes", None],
    "categorical_features": ["all", None, [64], ["age"], [True]],
    "standardize": ["no", None],
    "clip": ["no", None],
    "ordered": ["yes", None, 2],
    "random_state": ["seed", -1, 0.5],
    "verbose": ["loud", -1, None],
}


def test_every_parameter_is_tried():
    parameters = inspect.signature(AutoencoderTransformer).parameters
    assert set(BAD_PARAMETERS) == set(parameters)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD_PARAMETERS.items() for value in values],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_impossible_parameters_are_named(raises_and_keeps, digits, name, value):
    raises_and_keeps(lambda ae: ae.fit(digits), ValueError, name, **{name: value})


def test_parameters_are_not_judged_before_fit(quick):
    assert quick(n_components=-1).get_params()["n_components"] == -1


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_crossentropy_wants_shares(quick, digits, method):
    ae = quick(loss="binary_crossentropy")
    with pytest.raises(ValueError, match=r"loss='binary_crossentropy' needs X in \[0, 1\].*16"):
        getattr(ae, method)(digits)
    with pytest.raises(ValueError, match=r"from -0\.1"):
        getattr(ae, method)(digits / 16 - 0.1)


def masked(X):
    return np.ma.masked_array(X, mask=np.asarray(X) == np.max(X))


def test_masked_entries_are_missing(fitted, digits, raises_and_keeps):
    corrupted = masked(digits)
    n_masked = np.ma.count_masked(corrupted)
    says = f"^X is a masked array with {n_masked} masked entries"
    for method in ["fit", "partial_fit", *METHODS]:
        raises_and_keeps(lambda ae, m=method: getattr(ae, m)(corrupted), ValueError, says)
    code = masked(fitted.transform(digits))
    raises_and_keeps(
        lambda ae: ae.inverse_transform(code), ValueError, "X is a masked array with 1"
    )
    images = masked(digits.reshape(-1, 8, 8))
    with pytest.raises(ValueError, match=says):
        clone(fitted).fit(images)


def test_masked_entries_are_missing_values_where_those_are_allowed(fitted, digits):
    corrupted = masked(digits.astype(np.int64))
    with pytest.raises(ValueError, match=r"Pass X.astype\(float\).filled\(numpy.nan\)"):
        fitted.transform(corrupted)
    with pytest.raises(ValueError, match=r"Pass X.filled\(numpy.nan\)"):
        AEImputer().fit(masked(digits))
    assert np.isfinite(fitted.transform(corrupted.astype(float).filled(np.nan))).all()
    denoiser = DenoisingAutoencoder(hidden_layer_sizes=(4,), max_iter=1)
    for fit in (
        lambda: denoiser.fit(digits, target=masked(digits)),
        lambda: AEClassifier().fit(digits, masked(np.arange(len(digits)) % 2)),
        lambda: fitted.inverse_transform(masked(fitted.transform(digits))),
    ):
        with pytest.raises(ValueError, match="must have none"):
            fit()


INFINITE = {
    "pandas": (lambda X: pd.DataFrame(X, columns=list("abc")), "b"),
    "polars": (lambda X: pl.DataFrame(X, schema=list("abc")), "b"),
    "PyArrow": (lambda X: pa.table(list(X.T), names=list("abc")), "b"),
    "array": (lambda X: X, "x1"),
    "float32": (lambda X: X.astype(np.float32), "x1"),
    "list": (lambda X: X.tolist(), "x1"),
}


@pytest.mark.parametrize("make", INFINITE.values(), ids=INFINITE)
def test_infinite_numbers_name_their_column(make, fitted):
    make, name = make
    X = np.arange(60.0).reshape(20, 3) % 7
    corrupted = make(with_entry(X, -np.inf))
    says = f"Input X contains infinity .* in column '{name}', in 1 of 20 rows"
    ae = clone(fitted).fit(make(X))
    y = np.arange(20) % 2
    for call in (
        ae.transform,
        clone(fitted).fit,
        lambda X: AEClassifier().fit(X, y),
        AEAnomalyDetector().fit,
        TabularEncoder().fit,
        AEImputer().fit,
    ):
        with pytest.raises(ValueError, match=says):
            call(corrupted)


def test_infinite_pixels_have_no_column(fitted, digits):
    images = digits.reshape(-1, 8, 8).copy()
    images[3, 1, 2] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        clone(fitted).fit(images)


def test_masked_entries_elsewhere(digits):
    small = {"hidden_layer_sizes": (4,), "max_iter": 1}
    with pytest.raises(ValueError, match=r"^target is a masked array"):
        DenoisingAutoencoder(**small).fit(digits, target=masked(digits))
    with pytest.raises(ValueError, match=r"^y is a masked array"):
        AEClassifier().fit(digits, masked(np.arange(300) % 2))
    for estimator in (AEClassifier(), AEAnomalyDetector(), VAETransformer(**small)):
        with pytest.raises(ValueError, match=r"^X is a masked array"):
            estimator.fit(masked(digits), np.arange(300) % 2)
    with pytest.raises(ValueError, match=r"^X is a masked array"):
        GaussianNoise()(masked(digits))


def test_an_array_that_masks_nothing_is_an_array(fitted, digits):
    unmasked = np.ma.masked_array(digits, mask=np.zeros_like(digits, bool))
    assert_array_equal(fitted.transform(unmasked), fitted.transform(digits))


BAD_WEIGHTS = {
    "negative": (lambda w: np.where(np.arange(len(w)) == 5, -1.0, w), "[Nn]egative"),
    "all zero": (np.zeros_like, "[Ss]ample.weight"),
    "nan": (lambda w: np.where(np.arange(len(w)) == 5, np.nan, w), "NaN"),
    "too few": (lambda w: w[:-1], "sample_weight.shape"),
    "two columns": (lambda w: np.c_[w, w], "1D array|Sample weights"),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_weights(kind, method, digits, raises_and_keeps):
    spoil, match = BAD_WEIGHTS[kind]
    weight = spoil(np.ones(len(digits)))
    raises_and_keeps(
        lambda ae: getattr(ae, method)(digits, sample_weight=weight), ValueError, match
    )


def test_fit_wants_two_rows_that_count(digits, raises_and_keeps):
    weight = np.zeros(len(digits))
    weight[5] = 1
    raises_and_keeps(
        lambda ae: ae.fit(digits, sample_weight=weight),
        ValueError,
        "sample_weight must be positive for at least 2 rows; it is for 1 of 300",
    )


def test_a_failed_first_fit_leaves_nothing(quick, digits):
    ae = quick()
    before = set(vars(ae))
    with pytest.raises(ValueError, match="contains infinity"):
        ae.fit(with_entry(digits, np.inf))
    with pytest.raises(ValueError, match="validation_fraction"):
        ae.set_params(validation_fraction=0.999).fit(digits)
    assert set(vars(ae)) == before


# Training that goes wrong

WILD = {"optimizer": "sgd", "learning_rate": 1e20, "max_iter": 5}


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_loss_that_diverges(quick, digits, early_stopping):
    ae = quick(early_stopping=early_stopping, **WILD)
    with pytest.warns(ConvergenceWarning, match="not finite in epoch.*is kept"):
        ae.fit(digits)
    assert ae.n_iter_ < 5
    assert ae.best_iter_ == 0
    # The start, which is PCA.
    start = quick(learning_rate=1e-12, max_iter=1).fit(digits)
    np.testing.assert_allclose(ae.transform(digits), start.transform(digits), atol=1e-5)
    assert np.isfinite(ae.score_samples(digits)).all()


def test_the_warning_points_to_the_caller(quick, digits):
    with pytest.warns(ConvergenceWarning) as record:
        quick(**WILD).fit(digits)
    (warning,) = [w for w in record if w.category is ConvergenceWarning]
    assert warning.filename == __file__


def test_nothing_worth_keeping(quick, digits, raises_and_keeps):
    wild = {"init": "random", "early_stopping": False, **WILD}
    with pytest.raises(ValueError, match="smaller learning_rate"):
        quick(**wild).fit(digits)
    raises_and_keeps(lambda ae: ae.fit(digits), ValueError, "smaller learning_rate", **wild)


@pytest.fixture
def interrupt(monkeypatch):
    """Makes the user press Ctrl-C in a given epoch."""

    def set_up(in_epoch):
        epochs = []
        epoch = Engine.epoch

        def interrupted(self, order, n_rows, rates=None):
            epochs.append(n_rows > 0)
            if sum(epochs) == in_epoch and n_rows > 0:
                raise KeyboardInterrupt
            return epoch(self, order, n_rows, rates)

        monkeypatch.setattr(Engine, "epoch", interrupted)

    return set_up


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_interrupted(quick, digits, interrupt, init, early_stopping):
    params = {"init": init, "early_stopping": early_stopping, "tol": None}
    expected = quick(max_iter=2, **params).fit(digits)
    interrupt(in_epoch=3)
    with pytest.warns(ConvergenceWarning, match="Interrupted in epoch 3.*epoch 2 is kept"):
        ae = quick(max_iter=5, **params).fit(digits)
    assert ae.n_iter_ == 2
    assert_array_equal(ae.transform(digits), expected.transform(digits))


def test_interrupted_at_once_keeps_the_principal_start(quick, digits, interrupt):
    interrupt(in_epoch=1)
    with pytest.warns(ConvergenceWarning, match="Interrupted in epoch 1.*epoch 0 is kept"):
        ae = quick().fit(digits)
    assert ae.n_iter_ == 0
    assert ae.loss_curve_ == []
    assert ae.score(digits) > 0.3


def test_interrupted_before_there_is_anything_to_keep(
    quick, digits, interrupt, raises_and_keeps
):
    interrupt(in_epoch=1)
    ae = quick(init="random")
    with pytest.raises(KeyboardInterrupt):
        ae.fit(digits)
    assert not hasattr(ae, "n_iter_")


def test_interrupted_refit_before_there_is_anything_to_keep(quick, digits, interrupt):
    """The network of an earlier fit is worth more than one that knows nothing."""
    ae = quick(init="random").fit(digits)
    before = ae.transform(digits)
    interrupt(in_epoch=1)
    with pytest.raises(KeyboardInterrupt):
        ae.fit(digits)
    assert_array_equal(ae.transform(digits), before)
    assert ae.n_iter_ == 3


def test_interrupted_going_on(quick, digits, interrupt):
    """What was fitted before is what is kept."""
    ae = quick(init="random", warm_start=True, early_stopping=False).fit(digits)
    before = ae.transform(digits)
    interrupt(in_epoch=1)
    with pytest.warns(ConvergenceWarning, match="Interrupted in epoch 1"):
        ae.fit(digits)
    assert_array_equal(ae.transform(digits), before)
    assert ae.n_iter_ == 3


def test_after_an_interrupted_fit_the_next_is_as_ever(quick, digits, fitted, monkeypatch):
    with monkeypatch.context() as patch:
        epoch = Engine.epoch

        def interrupted(self, order, n_rows, rates=None):
            result = epoch(self, order, n_rows, rates)
            if n_rows:
                raise KeyboardInterrupt
            return result

        patch.setattr(Engine, "epoch", interrupted)
        with pytest.warns(ConvergenceWarning, match="Interrupted"):
            quick(n_components=7, random_state=9).fit(digits)
    assert_array_equal(quick().fit_transform(digits), fitted.transform(digits))


def test_a_fit_that_goes_well_warns_of_nothing(quick, digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(max_iter=100, tol=0.05).fit(digits).score(digits)
