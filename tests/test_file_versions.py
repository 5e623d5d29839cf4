"""Files of other versions: older ones load, newer ones are refused."""

import dataclasses
import inspect
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from packaging.version import Version
from sklearn.base import BaseEstimator, clone

import keep_saved_files
import mutations
import skae
from skae.persistence import SavedFileError, _save, _schema, trusted_types

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

# An earlier Keras does not know all arguments of layers that a later one wrote.
OTHERS = {"models"} if Version(version("keras")) < Version("3.15") else set()
FILES = [
    file for file in sorted(keep_saved_files.FOLDER.glob("*/*.skae")) if file.stem not in OTHERS
]
CLASSES = {n: k for n, k in _schema.savable_classes().items() if k.__module__[:5] == "skae."}
ESTIMATORS = {name: kind for name, kind in CLASSES.items() if _schema.is_estimator(kind)}


def each_file(test):
    name = "{0.parent.name}-{0.stem}".format
    return pytest.mark.parametrize("file", FILES, ids=name)(test)


def check_outputs(estimator, file):
    """The estimator computes what the one that was saved did."""
    kind, _ = keep_saved_files.ESTIMATORS[file.stem]
    outputs = keep_saved_files.outputs(estimator, keep_saved_files.data(kind))
    with np.load(file.with_suffix(".npz")) as expected:
        assert set(outputs) == set(expected)
        for name, output in outputs.items():
            # Other kernels and backends round otherwise.
            assert_allclose(output, expected[name], rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.fixture
def load(tmp_path):
    """Loads a file of `tests/saved` whose content was edited."""

    def call(name, edit):
        (file,) = keep_saved_files.FOLDER.glob(f"0.1.0/{name}.skae")
        content, arrays = mutations.unpacked(file.read_bytes())
        edit(content)
        (tmp_path / "file.skae").write_bytes(mutations.packed(content, arrays))
        return skae.load(tmp_path / "file.skae")

    return call


def objects(content, name):
    return [node for node in content["nodes"] if node[:2] == ["object", name]]


# Files that were kept


@each_file
def test_kept_files(file):
    check_outputs(skae.load(file), file)


def test_every_estimator_has_a_kept_file():
    assert {file.stem for file in FILES} == set(keep_saved_files.ESTIMATORS) - OTHERS
    assert {type(skae.load(file)).__name__ for file in FILES} == set(ESTIMATORS)


# Classes that grew after a file was written


def grown(kind):
    """A class with one field more, which has a default."""
    if dataclasses.is_dataclass(kind):
        options = kind.__dataclass_params__
        made = dataclasses.make_dataclass(
            kind.__name__,
            [("sparkle", tuple, dataclasses.field(default_factory=tuple))],
            bases=(kind,),
            frozen=options.frozen,
            eq=options.eq,
        )
    else:
        body = {"__annotations__": {"_sparkle": "float"}, "_sparkle": 0.5}
        made = type(kind.__name__, (kind,), body)
    if issubclass(kind, BaseEstimator):
        made.__init__ = with_a_parameter(kind)
    made.__module__, made.__qualname__ = kind.__module__, kind.__qualname__
    return made


def with_a_parameter(kind):
    """The constructor of an estimator with one parameter more."""

    def constructor(self, *args, gleam="bright", **params):
        kind.__init__(self, *args, **params)
        self.gleam = gleam

    old = inspect.signature(kind.__init__)
    new = inspect.Parameter("gleam", inspect.Parameter.KEYWORD_ONLY, default="bright")
    constructor.__signature__ = old.replace(parameters=[*old.parameters.values(), new])
    return constructor


@pytest.fixture
def grow(monkeypatch):
    """Puts classes with one field more in the place of classes of skae."""

    def call(kinds):
        for kind in kinds:
            module = sys.modules[kind.__module__]
            monkeypatch.setattr(module, kind.__name__, grown(kind))

    return call


@each_file
def test_a_parameter_and_an_attribute_are_added_to_each_estimator(file, grow, tmp_path):
    before = type(skae.load(file))
    grow(ESTIMATORS.values())
    estimator = skae.load(file)
    assert type(estimator) is not before
    assert estimator.gleam == estimator.get_params()["gleam"] == "bright"
    assert estimator._sparkle == 0.5
    check_outputs(estimator, file)
    assert clone(estimator).gleam == "bright"
    estimator._sparkle = 0.75
    estimator.set_params(gleam="dull")
    skae.save(estimator, tmp_path / "grown.skae")
    again = skae.load(tmp_path / "grown.skae")
    assert (again.gleam, again._sparkle) == ("dull", 0.75)


@each_file
def test_a_field_is_added_to_each_other_class(file, grow):
    others = set(CLASSES.values()) - set(ESTIMATORS.values())
    grow(kind for kind in others if not issubclass(kind, tuple))
    check_outputs(skae.load(file), file)


def test_a_field_is_added_to_a_named_tuple():
    class Old(NamedTuple):
        one: int
        two: int

    class New(NamedTuple):
        one: int
        two: int
        three: int = 3

    assert _schema.object_of(New, _schema.state_of(Old(1, 2))) == (1, 2, 3)


# Newer versions


@pytest.mark.parametrize("field", ["gleam", "_sparkle"])
def test_an_unknown_field_is_refused(load, field):
    def edit(content):
        content["written by"]["skae"] = "9.8.7"
        for node in objects(content, "AEImputer"):
            node[2][field] = 1

    with pytest.raises(SavedFileError, match=rf"AEImputer .*{field}.* written by skae 9\.8\.7"):
        load("imputer", edit)


def test_fields_of_another_version(load):
    def edit(content):
        for node in objects(content, "DenseNetwork"):
            node[2]["sparkle"] = node[2].pop("hidden")

    with pytest.raises(SavedFileError, match=r"DenseNetwork .*hidden.*sparkle"):
        load("denoising", edit)


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"AEClassifier"}))
def test_a_fitted_estimator_without_a_private_attribute_is_refused(load, name):
    """Here, and not when the attribute is used."""
    files = [file.stem for file in FILES if type(skae.load(file)).__name__ == name]
    removed = []

    def edit(content):
        (*_, node) = objects(content, name)
        declared = _schema._annotated(ESTIMATORS[name]).items()
        private = [n for n, d in declared if n[0] == "_" and d is dataclasses.MISSING]
        removed.append(private[-1])
        del node[2][private[-1]]

    with pytest.raises(SavedFileError, match=f"{name} has other fields.*without") as caught:
        load(files[0], edit)
    assert removed[0] in str(caught.value)


def test_a_newer_format(load):
    def edit(content):
        content["format"] = 99
        content["written by"]["skae"] = "9.8.7"
        content["nodes"] = "another language"

    words = r"format 99, .* up to 2\. Install .* was written by skae 9\.8\.7"
    with pytest.raises(SavedFileError, match=words):
        load("autoencoder", edit)


# Older formats


def test_an_older_format_is_migrated(load, monkeypatch):
    """Class and field had other names in format 2, were this format 3."""

    def edit(content):
        for node in objects(content, "Affine"):
            node[1] = "Units"
            node[2]["mean"] = node[2].pop("centre")

    def migrate(content):
        for node in objects(content, "Units"):
            node[1] = "Affine"
            node[2]["centre"] = node[2].pop("mean")
        return content

    monkeypatch.setattr(_save, "_FORMAT", 3)
    monkeypatch.setattr(_save, "_MIGRATIONS", {2: migrate})
    (file,) = keep_saved_files.FOLDER.glob("0.1.0/autoencoder.skae")
    check_outputs(load("autoencoder", edit), file)


@pytest.mark.parametrize("version", [0, 1, "2", None])
def test_a_format_that_is_not_read(load, version):
    def edit(content):
        content["format"] = version

    with pytest.raises(SavedFileError, match=r"no longer read|no format number"):
        load("autoencoder", edit)


# Classes that files may name


def test_undeclared_attributes_are_not_saved(tmp_path):
    estimator = skae.AutoencoderTransformer()
    estimator._note = 1
    words = "the class AutoencoderTransformer does not declare, _note"
    with pytest.raises(TypeError, match=words):
        skae.save(estimator, tmp_path / "file.skae")


@pytest.mark.slow
def test_classes_do_not_depend_on_what_was_imported():
    code = "from skae.persistence import trusted_types; print(*trusted_types())"
    environment = {**os.environ, "PYTHONPATH": str(Path(skae.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert_array_equal(done.stdout.split(), trusted_types())
