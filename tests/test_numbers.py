"""Every parameter takes the numbers that scikit-learn takes, NumPy's among them."""

import inspect
from numbers import Integral, Real

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.corruption import GaussianNoise, MaskingNoise, SaltAndPepperNoise, SwapNoise
from skae.losses import Contractive, KLSparsity, L1Sparsity
from skae.networks import ConvNetwork, RecurrentNetwork
from skae.utils._sklearn import Interval

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (4,),
    "max_iter": 1,
    "batch_size": 16,
    "random_state": 0,
}
ESTIMATORS = [
    AutoencoderTransformer(**SMALL),
    DenoisingAutoencoder(**SMALL),
    VAETransformer(n_draws=2, **SMALL),
    AEAnomalyDetector(hidden_layer_sizes=(4,), n_steps=2, random_state=0),
    AEClassifier(AutoencoderTransformer(**SMALL)),
]
# Parts, and the estimator and parameter in which each is searched.
PARTS = [
    (ConvNetwork(filters=(2,)), AutoencoderTransformer(**SMALL), "network"),
    (RecurrentNetwork(units=2), AutoencoderTransformer(**SMALL), "network"),
    (GaussianNoise(), DenoisingAutoencoder(**SMALL), "corruption"),
    (MaskingNoise(), DenoisingAutoencoder(**SMALL), "corruption"),
    (SaltAndPepperNoise(), DenoisingAutoencoder(**SMALL), "corruption"),
    (SwapNoise(), DenoisingAutoencoder(**SMALL), "corruption"),
    (L1Sparsity(), AutoencoderTransformer(**SMALL), "penalty"),
    (
        KLSparsity(),
        AutoencoderTransformer(**SMALL, code_activation="sigmoid"),
        "penalty",
    ),
    (Contractive(), AutoencoderTransformer(**SMALL), "penalty"),
]
# Recurrent layers are slow to compile. Of what estimators share, that of one is quick, and so
# it is with corruptions and penalties.
SLOW = (
    *("Recurrent", "DenoisingAutoencoder", "VAETransformer", "AEClassifier"),
    *("MaskingNoise", "SaltAndPepperNoise", "SwapNoise", "KLSparsity", "Contractive"),
)
# Where the smallest number that is allowed would take long, warn or do nothing.
VALUES = {
    "n_components": 2,
    "hidden_layer_sizes": 4,
    "batch_size": 16,
    "filters": 2,
    "kernel_size": 3,
    "n_dims": 2,
    "max_iter": 1,
    "n_steps": 2,
    "subsample": 30,
    "tol": 0.5,
    "contamination": 0.25,
}


def intervals(constraints, kind):
    return [c for c in constraints if isinstance(c, Interval) and c.type is kind]


def numbers(name, constraints):
    """NumPy's numbers of all kinds that a parameter takes."""
    if "boolean" in constraints or "verbose" in constraints:
        yield np.bool_(True)
    if intervals(constraints, Integral) or Integral in constraints:
        value = VALUES.get(name, 1)
        yield from (np.int64(value), np.uint8(value))
    if name == "random_state":
        yield np.int64(3)
    if intervals(constraints, Real):
        value = VALUES.get(name, 0.5)
        value = 0.5 if isinstance(value, int) else value
        yield np.float32(value)


def cases():
    """What is fitted, and a parameter of it with a value."""
    for estimator in ESTIMATORS:
        for name, constraints in estimator._parameter_constraints.items():
            for value in numbers(name, constraints):
                yield estimator, name, value
    for part, estimator, holder in PARTS:
        whole = clone(estimator).set_params(**{holder: part})
        if holder == "network":
            whole.set_params(hidden_layer_sizes=())
        for name, constraints in part._parameter_constraints.items():
            for value in numbers(name, constraints) if name != "image_shape" else ():
                yield whole, f"{holder}__{name}", value


def label(estimator, name, value):
    holder, _, own = name.rpartition("__")
    part = getattr(estimator, holder) if holder else estimator
    return f"{type(part).__name__}-{own}-{type(value).__name__}"


def together():
    """The cases of each estimator or part at once, the small integers apart."""
    groups = {}
    for estimator, name, value in cases():
        what = label(estimator, name, value).split("-")[0]
        kind = "narrow" if isinstance(value, np.uint8) else "wide"
        kind = name if name == "ordered" else kind  # not with tied weights
        groups.setdefault(f"{what}-{kind}", (estimator, {}))[1][name] = value
    return [
        pytest.param(*group, id=name, marks=[pytest.mark.slow] * name.startswith(SLOW))
        for name, group in groups.items()
    ]


def check(estimator, params, digits):
    X = digits[:40]
    if any(name.startswith("network") for name in params):
        X = X.reshape(-1, 8, 8)
    estimator = clone(estimator).set_params(**params).fit(X, np.arange(40) % 2)
    ask = estimator.predict if hasattr(estimator, "predict") else estimator.score_samples
    assert len(ask(X)) == 40


@pytest.mark.filterwarnings("ignore:.*collapsed to the prior:UserWarning")
@pytest.mark.filterwarnings("ignore:contamination=:UserWarning")
@pytest.mark.parametrize(("estimator", "params"), together())
def test_numpy_numbers(digits, capsys, estimator, params):
    check(estimator, params, digits)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*collapsed to the prior:UserWarning")
@pytest.mark.filterwarnings("ignore:contamination=:UserWarning")
@pytest.mark.parametrize(
    ("estimator", "name", "value"), [pytest.param(*c, id=label(*c)) for c in cases()]
)
def test_numpy_numbers_one_by_one(digits, capsys, estimator, name, value):
    check(estimator, {name: value}, digits)


def test_every_parameter_that_takes_numbers_is_tried():
    """What is left out takes names, objects or nothing."""
    tried = {name.split("__")[-1] for _, name, _ in cases()}
    for estimator in ESTIMATORS:
        for name in inspect.signature(type(estimator)).parameters:
            constraints = estimator._parameter_constraints[name]
            takes_numbers = any(
                isinstance(c, Interval) or c in ("boolean", "verbose", "random_state", Integral)
                for c in constraints
            )
            assert (name in tried) == takes_numbers, name


def test_searched_over_arrays(digits):
    grid = {"batch_size": np.array([8, 16]), "learning_rate": np.array([1e-3, 1e-2], "f4")}
    search = GridSearchCV(AutoencoderTransformer(**SMALL), grid, cv=2, error_score="raise")
    assert search.fit(digits[:40]).best_params_["batch_size"] in (8, 16)


@pytest.mark.parametrize("name", ["n_components", "batch_size", "learning_rate", "max_iter"])
@pytest.mark.parametrize("value", [True, np.True_])
def test_true_is_no_number(digits, name, value):
    ae = AutoencoderTransformer(**{**SMALL, name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter.*Got (np.)?True"):
        ae.fit(digits)
