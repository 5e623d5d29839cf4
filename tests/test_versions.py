"""Versions and devices in a report of an error."""

import subprocess
import sys

import keras
import pytest

import skae
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
