"""The house rules that a machine can read."""

import ast
import importlib.metadata
import inspect
import pkgutil
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import skae

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

PACKAGE = Path(skae.__file__).parent
ROOT = PACKAGE.parent
# Where classes of ours may stand above others of ours.
WINGS = tuple(
    f"skae.{wing}."
    for wing in ("anomaly", "classifier", "estimators", "imputation", "variational")
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


@cache
def nodes_of(path):
    """The nodes of the syntax tree of a module, read once for all rules."""
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


@pytest.mark.slow
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
def test_only_progress_and_versions_are_printed(path):
    calls = [
        node
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
    ]
    printing = {"training/_progress.py", "utils/_process.py"}
    assert len(calls) == (name_of(path) in printing)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_documented_and_short(path):
    assert ast.get_docstring(nodes_of(path)[0])
    assert len(path.read_text("utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_global_generator_is_used(path):
    allowed = {"RandomState"}
    for node in nodes_of(path):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random":
            assert node.attr in allowed, f"line {node.lineno}"


def test_private_names_of_scikit_learn_stand_in_one_place():
    for path in MODULES:
        for node in nodes_of(path):
            if not isinstance(node, ast.ImportFrom) or node.level:
                continue
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            if parts[0] == "sklearn" and any(part.startswith("_") for part in parts):
                assert name_of(path) == "utils/_sklearn.py", f"{path}:{node.lineno}"


# Words that neither scikit-learn nor Keras nor the papers use of functions, networks, numbers
# and files; and names of masks and numbers that do not tell what they are.
BANNED = re.compile(
    r"\b(say|says|said|tell|tells|told|judge|judges|judged|spoil|spoils|spoilt|odd|odder|oddest|"
    r"worth|weigh|weighs|company|seat|pace|portion|portions|codec|inward|outward|midst|bulk|fence|"
    r"doubt|doubted|hole|holes)\b",
    re.IGNORECASE,
)
BANNED_NAMES = {
    "there", "wanted", "mine", "own", "missed", "lost", "apart", "far", "usual",
    "course", "heads", "moved", "bound", "member", "members", "offspring",
}  # fmt: skip
QUESTION = re.compile(r"\W*(What|Whether|How|Which|Where)\b")


def words_of(name):
    """The words that a name is made of."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().split("_")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_words_are_those_of_the_field(path):
    """In names, comments, docstrings and messages."""
    text = path.read_text("utf-8")
    # The position in a file.
    found = BANNED.findall(text.replace(".tell()", ""))
    for node in nodes_of(path):
        name = node.arg if isinstance(node, ast.arg) else getattr(node, "name", None)
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = getattr(node, "id", None) or node.attr
        if isinstance(name, str):
            banned = {name.strip("_")} & BANNED_NAMES
            found += banned or filter(BANNED.fullmatch, words_of(name))
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            docstring = ast.get_docstring(node) or ""
            found += [docstring[:50]] if QUESTION.match(docstring) else []
    assert not found


ARRAYS = {"X", "Z", "weight", "mask", "scores", "codes", "values"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_private_functions_of_arrays_are_documented(path):
    """Their docstrings give the shapes."""
    for node in nodes_of(path):
        if not isinstance(node, ast.FunctionDef) or not re.match("_[^_]", node.name):
            continue
        for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            kind = ast.unparse(arg.annotation) if arg.annotation else ""
            if arg.arg in ARRAYS or re.search(r"\b(ND)?Array\b", kind):
                assert ast.get_docstring(node), f"{node.name}, line {node.lineno}"


ESTIMATORS = [name for name in skae.__all__ if name[0].isupper()]

# Parameters and attributes of which an estimator has something else to say than
# AutoencoderTransformer.
OWN_WORDS = {
    "DenoisingAutoencoder": {"n_components"},
    "VAETransformer": {
        "network",
        "activation",
        "init",
        "learning_rate",
        "batch_size",
        "max_iter",
        "n_iter_no_change",
        "tol",
        "warm_start",
        "random_state",
        "loss_curve_",
        "validation_loss_curve_",
        "best_loss_",
        "starts_",
        "encoder_",
    },
}


def described(name, *sections):
    """Type and words of each parameter or attribute in a class docstring."""
    docscrape = pytest.importorskip("numpydoc.docscrape")
    doc = docscrape.ClassDoc(getattr(skae, name))
    return {p.name: (p.type, p.desc) for section in sections for p in doc[section]}


@pytest.mark.parametrize("name", OWN_WORDS)
def test_docstrings_say_the_same_of_the_same(name):
    """They repeat each other on purpose, and must not drift apart."""
    sections = "Parameters", "Attributes"
    reference, own = described("AutoencoderTransformer", *sections), described(name, *sections)
    differ = {key for key in reference.keys() & own.keys() if reference[key] != own[key]}
    assert differ == OWN_WORDS[name]


def is_told(text, default):
    """Whether the words for a default are right; NaN equals nothing and is no literal."""
    if text == "numpy.nan":
        return default is np.nan
    return ast.literal_eval(text) == default


@pytest.mark.parametrize("name", ESTIMATORS)
def test_docstrings_name_every_parameter_and_its_default(name):
    parameters = inspect.signature(getattr(skae, name)).parameters
    documented = described(name, "Parameters")
    assert list(documented) == list(parameters)
    for key, (kind, _) in documented.items():
        assert is_told(kind.split("default=")[1], parameters[key].default), key


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_default_has_its_reason_in_the_guide(name):
    """One row for each parameter, with the default it has now."""
    page = ROOT / "docs" / "user_guide" / "defaults.rst"
    if not page.exists():
        pytest.skip("installed elsewhere")
    row = re.compile(r"^   \* - (.+)\n     - (.+)\n     - (.+)$", re.MULTILINE)
    reasons = {}
    for of, default, reason in row.findall(page.read_text("utf-8")):
        for key in re.findall(r"`([\w.]+)`", of):
            reasons[key] = default.strip("`"), reason
    for key, parameter in inspect.signature(getattr(skae, name)).parameters.items():
        default, reason = reasons.get(f"{name}.{key}", reasons.get(key, ("", "")))
        assert reason, f"{name}.{key} has no reason"
        assert is_told(default, parameter.default), f"{name}.{key}"


def test_version_is_that_of_the_metadata():
    assert skae.__version__ == importlib.metadata.version("skae")


def test_public_names():
    assert {"AEClassifier", "AutoencoderTransformer", "VAETransformer"} <= set(skae.__all__)
    for name in skae.__all__:
        assert hasattr(skae, name)


def test_packages_export_what_the_reference_lists():
    page = ROOT / "docs" / "api.rst"
    if not page.exists():
        pytest.skip("installed elsewhere")
    listed = set(re.findall(r"^   (\w+)$", page.read_text("utf-8"), re.MULTILINE))
    for module in pkgutil.walk_packages(skae.__path__, "skae."):
        if "._" not in module.name:
            exported = getattr(importlib.import_module(module.name), "__all__", [])
            assert set(exported) <= listed, module.name


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_are_abstract_or_final(name):
    """A chain of our own is at most two deep."""

    def depth(kind):
        # Not what stands in for scikit-learn's classes where they are missing.
        ours = [base for base in kind.__bases__ if base.__module__.startswith(WINGS)]
        return 1 + max(map(depth, ours), default=0)

    assert depth(getattr(skae, name)) <= 2
