"""The house rules that a machine can read."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import skae

PACKAGE = Path(skae.__file__).parent
ROOT = PACKAGE.parent
# Where classes of ours may stand above others of ours.
WINGS = ("skae.estimators.", "skae.anomaly.")
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="installed elsewhere")
def test_imports_go_downwards():
    pytest.importorskip("importlinter")
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports("
    code += f"config_filename={str(ROOT / 'pyproject.toml')!r}, no_cache=True))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_progress_module_prints(path):
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
    ]
    assert len(calls) == (name_of(path) == "training/_progress.py")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_documented_and_short(path):
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 500


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_global_generator_is_used(path):
    allowed = {"RandomState"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random":
            assert node.attr in allowed, f"line {node.lineno}"


def test_private_names_of_scikit_learn_stand_in_one_place():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or node.level:
                continue
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            if parts[0] == "sklearn" and any(part.startswith("_") for part in parts):
                assert name_of(path) == "utils/_sklearn.py", f"{path}:{node.lineno}"


def test_version_is_that_of_the_metadata():
    assert skae.__version__ == importlib.metadata.version("skae")


def test_public_names():
    assert {"AEClassifier", "AutoencoderTransformer", "VAETransformer"} <= set(skae.__all__)
    for name in skae.__all__:
        assert hasattr(skae, name)


@pytest.mark.parametrize("name", [n for n in skae.__all__ if n[0].isupper()])
def test_estimators_are_abstract_or_final(name):
    """A chain of our own is at most two deep."""

    def depth(kind):
        # Not what stands in for scikit-learn's classes where they are missing.
        ours = [base for base in kind.__bases__ if base.__module__.startswith(WINGS)]
        return 1 + max(map(depth, ours), default=0)

    assert depth(getattr(skae, name)) <= 2
