"""Every entry of a registry trains, is saved and exported, and so does one that is new."""

import ast
import inspect
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose

import saved_estimators as saved
import skae
from saved_estimators import SMALL
from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer, networks
from skae.corruption._corruptions import CORRUPTIONS, Corruption
from skae.losses._likelihood import LIKELIHOODS, Likelihood
from skae.losses._penalties import PENALTIES, Penalty
from skae.losses._reconstruction import LOSSES, EntrywiseLoss, Loss
from skae.networks._base import ACTIVATIONS, KERAS_NAMES, Network
from skae.persistence import _schema
from skae.plotting import _curves
from skae.tables import TabularEncoder
from tables import people
from test_saving import assert_same, through_a_file

pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

NETWORKS = {
    "ConvNetwork": lambda: networks.ConvNetwork((2,), image_shape=(8, 8)),
    "KerasNetwork": saved.models,
    "RecurrentNetwork": lambda: networks.RecurrentNetwork(units=2, series_shape=(8, 8)),
}


def plain(**params):
    return AutoencoderTransformer(3, **SMALL, **params)


def entries():
    """Each entry of each registry in one estimator; what goes together, together."""
    together = {"loss": LOSSES, "corruption": CORRUPTIONS, "penalty": PENALTIES}
    for i in range(max(map(len, together.values()))):
        chosen = {key: list(registry)[i % len(registry)] for key, registry in together.items()}
        yield (
            " ".join(chosen.values()),
            DenoisingAutoencoder(3, code_activation="sigmoid", **chosen, **SMALL),
        )
    for name in LIKELIHOODS:
        yield f"likelihood {name}", VAETransformer(3, likelihood=name, n_draws=4, **SMALL)
    for name in KERAS_NAMES:
        yield f"activation {name}", plain(activation=name, code_activation=name)
    for name, make in NETWORKS.items():
        yield f"network {name}", plain(network=make())


ENTRIES = dict(entries())
ACTIVATION_ENTRIES = [name for name in ENTRIES if name.startswith("activation ")]


@pytest.fixture
def rows(pixels, request):
    """Rows; images for a loss that compares images."""
    return pixels[:60].reshape(-1, 8, 8) if "ssim" in request.node.name else pixels[:60]


@pytest.mark.parametrize(
    "name",
    [
        # Compiled one by one, and so alike that the first stands for them.
        pytest.param(name, marks=[pytest.mark.slow] * (name in ACTIVATION_ENTRIES[1:]))
        for name in ENTRIES
    ],
)
def test_an_entry_trains_and_is_saved_and_exported(rows, tmp_path, name):
    estimator = ENTRIES[name].fit(rows)
    assert np.isfinite(estimator.loss_curve_).all()
    loaded = through_a_file(estimator, tmp_path / "estimator.skae")
    assert_same(saved.answers(estimator, rows), saved.answers(loaded, rows))
    if name == "network KerasNetwork":
        # Its models call a function that is no layer.
        with pytest.raises(
            NotImplementedError, match=r"does not support the layer 'tanh(_\d+)?'"
        ):
            skae.to_onnx(loaded, output="reconstruct")
    else:
        assert_exported(loaded, rows)


def assert_exported(estimator, X):
    """ONNX models compute what the methods return."""
    X = X.astype(np.float32)
    for output in ("reconstruct", "score_samples"):
        model = skae.to_onnx(estimator, output=output).SerializeToString()
        (got,) = onnxruntime.InferenceSession(model).run(None, {"X": X})
        expected = getattr(estimator, output)(X)
        assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", [*CORRUPTIONS, *PENALTIES])
def test_an_object_with_parameters_is_saved_by_itself(tmp_path, name):
    parameter = "corruption" if name in CORRUPTIONS else "penalty"
    entry = (CORRUPTIONS | PENALTIES)[name]()
    numbers = {key: 0.25 for key, value in entry.get_params().items() if type(value) is float}
    given = DenoisingAutoencoder(**{parameter: entry.set_params(**numbers)})
    loaded = getattr(through_a_file(given, tmp_path / "estimator.skae"), parameter)
    assert type(loaded) is type(entry)
    assert loaded.get_params() == entry.get_params()


def test_every_kind_of_network_is_walked():
    public = [getattr(networks, name) for name in networks.__all__]
    kinds = [kind for kind in public if isinstance(kind, type) and issubclass(kind, Network)]
    assert {kind.__name__ for kind in kinds} - {"Network"} == set(NETWORKS)


# A new entry needs no other


class Cubic(Loss):
    power = 3

    def per_sample(self, xp, target, output):
        return xp.mean(xp.abs(output - target) ** 3, axis=1)


def log_cosh(xp, target, output):
    return xp.logaddexp(output - target, target - output) - np.log(2)


class SignNoise(Corruption):
    _parameter_constraints = {}

    def __init__(self, level=0.5):
        self.level = level

    def _settings(self, spread):
        return {"share": self.level, "zero": spread.zero}

    def apply(self, xp, draws, settings, x):
        turned = self._chosen(xp, draws, settings, x) < settings["corruption_share"]
        return xp.where(turned, 2 * settings["corruption_zero"] - x, x)


class Largest(Penalty):
    def __init__(self, weight=0.1):
        self.weight = weight

    def per_sample(self, ops, settings, code, encode, x, draws):
        return settings["penalty_weight"] * ops.max(ops.abs(code), axis=1)


@dataclass(frozen=True)
class Laplace(Likelihood):
    noisy = True

    def per_entry(self, xp, target, output, variance):
        distance = xp.abs(target - output) / xp.sqrt(variance)
        return distance + 0.5 * xp.log(variance) + np.log(2)

    def per_sample(self, xp, target, output, variance):
        return xp.sum(self.per_entry(xp, target, output, variance), axis=1)


def mish(x):
    return np.multiply(x, np.tanh(np.logaddexp(x, 0)), out=x)


def hard_tanh(x):
    return np.clip(x, -1, 1, out=x)


NEW = {
    "cubic": (LOSSES, Cubic(), "loss"),
    "log_cosh": (LOSSES, EntrywiseLoss(log_cosh), "loss"),
    "sign": (CORRUPTIONS, SignNoise, "corruption"),
    "largest": (PENALTIES, Largest, "penalty"),
    "laplace": (LIKELIHOODS, Laplace(), "likelihood"),
    "mish": (ACTIVATIONS, mish, "activation"),
    "hard_tanh": (ACTIVATIONS, hard_tanh, "activation"),
}


@pytest.fixture(params=NEW)
def new(request, monkeypatch):
    """An estimator with an entry that was added to its registry and nowhere else."""
    name = request.param
    registry, entry, parameter = NEW[name]
    monkeypatch.setitem(registry, name, entry)
    # Made of the registry when the package was imported.
    kind = VAETransformer if parameter == "likelihood" else DenoisingAutoencoder
    options = kind._parameter_constraints[parameter][0]
    monkeypatch.setattr(options, "options", {*options.options, name})
    if registry is ACTIVATIONS:
        monkeypatch.setitem(KERAS_NAMES, name, name)
    return kind(3, **SMALL, **{parameter: name})


def test_a_new_entry_trains_and_is_saved_and_exported(new, pixels, tmp_path):
    loaded = through_a_file(new.fit(pixels), tmp_path / "estimator.skae")
    assert loaded.loss_curve_ == new.loss_curve_
    assert_same(saved.answers(new, pixels), saved.answers(loaded, pixels))
    assert_exported(loaded, pixels)


def test_a_new_loss_of_entries_is_one_of_tables(monkeypatch, tmp_path):
    monkeypatch.setitem(LOSSES, "log_cosh", EntrywiseLoss(log_cosh, power=1))
    options = AutoencoderTransformer._parameter_constraints["loss"][0]
    monkeypatch.setattr(options, "options", {*options.options, "log_cosh"})
    table = people()
    fitted = plain(loss="log_cosh").fit(table)
    loaded = through_a_file(fitted, tmp_path / "estimator.skae")
    assert_same(loaded.score_samples(table), fitted.score_samples(table))


@pytest.mark.parametrize("loss", LOSSES)
def test_tables_have_the_losses_of_unbounded_entries(loss):
    fits = isinstance(LOSSES[loss], EntrywiseLoss) and not LOSSES[loss].bounded
    if fits:
        assert np.isfinite(plain(loss=loss).fit(people()).loss_curve_).all()
    else:
        with pytest.raises(ValueError, match="for tables .*; got '" + loss):
            plain(loss=loss).fit(people())


# What is not made of a registry is checked against it


def test_every_loss_has_a_label_in_plots():
    assert set(_curves._LOSS_NAMES) == set(LOSSES)


def test_every_class_has_a_name_of_its_own_in_files():
    names = [kind.__name__ for kind in _schema._own_classes()]
    assert sorted(names) == sorted(set(names))
    assert set(names) <= set(_schema.savable_classes())


@pytest.mark.parametrize(
    ("name", "registry", "parameter"),
    [
        ("AutoencoderTransformer", LOSSES, "loss"),
        ("AutoencoderTransformer", PENALTIES, "penalty"),
        ("AutoencoderTransformer", ACTIVATIONS, "activation"),
        ("DenoisingAutoencoder", CORRUPTIONS, "corruption"),
        ("VAETransformer", LIKELIHOODS, "likelihood"),
    ],
)
def test_every_entry_is_in_the_docstring(name, registry, parameter):
    docscrape = pytest.importorskip("numpydoc.docscrape")
    doc = docscrape.ClassDoc(getattr(skae, name))
    ((kind, words),) = ((p.type, p.desc) for p in doc["Parameters"] if p.name == parameter)
    text = " ".join([kind, *words])
    assert [key for key in registry if f'"{key}"' not in text] == []


@pytest.mark.parametrize(
    "kind",
    [
        *CORRUPTIONS.values(),
        *PENALTIES.values(),
        networks.ConvNetwork,
        networks.RecurrentNetwork,
        TabularEncoder,
    ],
)
def test_docstrings_name_every_parameter_and_its_default(kind):
    docscrape = pytest.importorskip("numpydoc.docscrape")
    documented = {p.name: p.type for p in docscrape.ClassDoc(kind)["Parameters"]}
    parameters = inspect.signature(kind).parameters
    assert list(documented) == list(parameters)
    for key, text in documented.items():
        assert ast.literal_eval(text.split("default=")[1]) == parameters[key].default, key
