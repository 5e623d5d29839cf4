"""The examples run; what they print and draw on real data stands in the documentation."""

import runpy
import sys
from pathlib import Path

import keras
import pytest

from data import data_rng

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PICTURES = {
    "compression": {"compression_25", "compression_32"},
    "convolution": {"convolution_gaussian", "convolution_masking", "convolution_generated"},
    "dense": {"dense_losses", "dense_path", "dense_reconstructions"},
    "kinds": {"kinds_all", "kinds_simple"},
    "sixteen": {"sixteen_colour", "sixteen_losses"},
}


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs an example in this process, as the command line would; returns what it prints."""
    pytest.importorskip("matplotlib")

    def run(name, *options):
        monkeypatch.syspath_prepend(EXAMPLES)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    yield run
    sys.modules.pop("_images", None)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="PyTorch runs the convolutions and series of the examples in a plain loop",
)
@pytest.mark.filterwarnings("ignore:.*collapsed to the prior:UserWarning")
@pytest.mark.parametrize("name", PICTURES)
def test_runs_and_leaves_its_pictures(run, tmp_path, name):
    printed = run(name, "--quick", "--output", tmp_path)
    assert "scikit-learn's digits" in printed
    assert "nan" not in printed
    assert {path.stem for path in tmp_path.glob("*.png")} == PICTURES[name]


def test_every_tutorial_is_run():
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"_images", "demo"}
    assert scripts == set(PICTURES)


def test_data_come_from_the_file_that_is_named(monkeypatch, tmp_path):
    import numpy as np

    monkeypatch.syspath_prepend(EXAMPLES)
    import _images

    rng = data_rng()
    images, labels = rng.randint(0, 256, (50, 6, 5)), np.arange(50) % 10
    np.savez(tmp_path / "few.npz", images=images, labels=labels)
    monkeypatch.setenv("SKAE_DATA", str(tmp_path / "few.npz"))
    monkeypatch.setattr(_images, "N_TRAIN", 40)
    monkeypatch.setattr(_images, "N_TEST", 10)
    digits = _images.load()
    assert digits.source == "few.npz"
    assert digits.train.shape == (40, 6, 5)
    assert digits.test.shape == (10, 6, 5)
    assert digits.test.max() <= 1
    sys.modules.pop("_images")


def test_without_file_and_servers_the_digits_of_scikit_learn_serve(monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    import _images

    def absent():
        raise OSError("no answer")

    monkeypatch.delenv("SKAE_DATA", raising=False)
    monkeypatch.setattr(_images, "_from_keras", absent)
    monkeypatch.setattr(_images, "_from_openml", absent)
    assert _images.load().train.shape == (1400, 8, 8)
    assert "SKAE_DATA is not set" in capsys.readouterr().out
    sys.modules.pop("_images")
