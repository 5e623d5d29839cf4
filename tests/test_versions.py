"""The choice of the backend, and versions and devices in a report of an error."""

import os
import subprocess
import sys
from email.message import Message
from importlib.metadata import PackageNotFoundError

import keras
import pytest

import skae
from skae.corruption import GaussianNoise
from skae.losses import L1Sparsity
from skae.networks import ConvNetwork
from skae.tables import TabularEncoder
from skae.utils import _process

pytestmark = pytest.mark.any_data


def test_versions_and_the_backend_are_shown(capsys):
    skae.show_versions()
    lines = capsys.readouterr().out.splitlines()
    assert f"         skae: {skae.__version__}" in lines
    assert f"        keras: {keras.__version__}" in lines
    assert f"Keras backend: {keras.config.backend()}" in lines
    assert any("cpu" in line.lower() for line in lines if "device: " in line)


def test_a_missing_package_has_no_version(monkeypatch, capsys):
    monkeypatch.setattr(_process, "_OPTIONAL", ("no-such-package",))
    skae.show_versions()
    assert "no-such-package: None" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.any_backend
def test_versions_import_no_backend():
    code = """
import sys, skae
skae.show_versions()
print([name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert "Keras backend: not imported" in lines, done.stderr
    assert lines[-1] == "[]"


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process before Keras is imported, and a function that installs backends."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras")

    def install(*names):
        monkeypatch.setattr(_process, "_is_installed", names.__contains__)

    return install


def chosen():
    """The backend that Keras is told, if any."""
    _process._set_backend()
    return os.environ.pop("KERAS_BACKEND", None)


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (("tensorflow", "jax", "torch"), None),  # as Keras does by itself
        (("jax", "torch"), "jax"),
        (("torch",), "torch"),
    ],
)
def test_the_backend_that_is_there_is_chosen(fresh, tmp_path, installed, expected):
    fresh(*installed)
    assert chosen() == expected
    # As Keras writes it at its first import.
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
    assert chosen() == expected


def test_what_the_user_set_is_kept(fresh, monkeypatch, tmp_path):
    fresh("tensorflow", "jax", "torch")
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert chosen() is None
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert chosen() == "jax"
    # Another than ours is refused when something is trained.
    monkeypatch.setenv("KERAS_BACKEND", "openvino")
    assert chosen() == "openvino"


@pytest.mark.parametrize("settings", ["", "{", "[]", "{}"])
def test_settings_without_a_backend(fresh, tmp_path, settings):
    (tmp_path / "keras.json").write_text(settings)
    fresh("jax")
    assert chosen() == "jax"


def test_a_backend_that_is_missing_is_named(fresh, monkeypatch, tmp_path, quick, digits):
    fresh()
    with pytest.raises(ImportError, match="none is installed: pip install tensorflow"):
        quick().fit(digits)
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    fresh("tensorflow", "jax")
    with pytest.raises(ImportError, match="set to 'torch', which is not installed: pip inst"):
        chosen()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    fresh("tensorflow")
    with pytest.raises(ImportError, match="set to 'jax', which is not installed: pip install"):
        chosen()


def test_once_keras_is_imported_nothing_is_chosen(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", keras)
    fresh("torch")
    _process.choose_backend()
    assert "KERAS_BACKEND" not in os.environ


REMARKS = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    b"I0000 00:00:1.2    8449 port.cc:153] oneDNN custom operations are on.\n",
    b"E0000 00:00:1.2    8449 cuda_dnn.cc:8579] Unable to register cuDNN factory\n",
    b"To enable the following instructions: AVX2, in other operations, rebuild TensorFlow.\n",
)


@pytest.mark.parametrize("given", [None, "1", "0"])
def test_remarks_of_tensorflow_are_left_out(given, monkeypatch, capfd):
    if given is None:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    else:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", given)
    with _process._quiet_stderr():
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == (given or "3")
        os.write(2, b"".join([b"first\n", *REMARKS, b"last\n"]))
    assert os.environ.get("TF_CPP_MIN_LOG_LEVEL") == given
    os.write(2, REMARKS[1])
    shown = "".join(line.decode() for line in REMARKS) if given == "0" else ""
    assert capfd.readouterr().err == f"first\n{shown}last\n{REMARKS[1].decode()}"


def test_an_import_that_fails_shows_everything(monkeypatch, capfd):
    def fails(name):
        os.write(2, REMARKS[1])
        raise ImportError("broken")

    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(_process, "import_module", fails)
    with pytest.raises(ImportError, match="broken"):
        _process.choose_backend()
    assert capfd.readouterr().err == REMARKS[1].decode()


@pytest.mark.slow
def test_the_first_fit_writes_nothing_to_standard_error():
    code = """
import os, numpy as np, skae
skae.AutoencoderTransformer(2, max_iter=1, tol=None).fit(np.random.normal(size=(99, 5)))
print(os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
"""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_an_installed_package_has_files(monkeypatch, tmp_path):
    (tmp_path / "left_behind").mkdir()
    (tmp_path / "complete").mkdir()
    (tmp_path / "complete" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    found = [_process._is_installed(name) for name in ("complete", "left_behind", "nowhere")]
    assert found == [True, False, False]


@pytest.fixture
def published(monkeypatch):
    """A function that gives the installed package an address of its documentation, or none."""

    def publish(*urls):
        message = Message()
        for url in urls:
            message["Project-URL"] = url
        monkeypatch.setattr(_process, "metadata", lambda name: message)
        _process.documentation.cache_clear()

    yield publish
    _process.documentation.cache_clear()


ESTIMATORS = {
    "skae.AutoencoderTransformer": skae.AutoencoderTransformer,
    "skae.AEAnomalyDetector": skae.AEAnomalyDetector,
    "skae.AEImputer": skae.AEImputer,
    "skae.AEClassifier": skae.AEClassifier,
    "skae.VAETransformer": skae.VAETransformer,
    "skae.tables.TabularEncoder": TabularEncoder,
    "skae.networks.ConvNetwork": ConvNetwork,
    "skae.corruption.GaussianNoise": GaussianNoise,
    "skae.losses.L1Sparsity": L1Sparsity,
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_displays_link_to_the_documentation(published, name):
    published("Issues, https://a.org/issues", "Documentation, https://a.org/skae/")
    page = f"https://a.org/skae/api/generated/{name}.html"
    assert f'href="{page}"' in ESTIMATORS[name]()._repr_html_()


@pytest.mark.parametrize("urls", [[], ["Documentation, https://OWNER.github.io/skae"]])
def test_without_an_address_displays_link_nowhere(published, urls):
    published(*urls)
    ae = skae.AutoencoderTransformer()
    assert ae._get_doc_link() == ""
    assert 'href="' not in ae._repr_html_()


def test_a_package_that_is_not_installed_has_no_address(published, monkeypatch):
    published()
    monkeypatch.setattr(_process, "metadata", version_of_nothing)
    assert _process.documentation() == ""


def version_of_nothing(name):
    raise PackageNotFoundError(name)


def test_classes_of_users_do_not_link_to_the_documentation(published):
    class Own(skae.AutoencoderTransformer):
        pass

    published("Documentation, https://a.org/skae")
    assert Own()._get_doc_link() == ""
