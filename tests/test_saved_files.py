"""Files that are damaged or crafted: one error, and no code is run."""

import io
import json
import os
import random
import struct
import sys
import zipfile

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mutations
import saved_estimators as saved
import skae
from skae import AutoencoderTransformer, VAETransformer
from skae.networks import KerasNetwork
from skae.persistence import SavedFileError
from tables import people

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]


@pytest.fixture(scope="module")
def originals(fitted, tmp_path_factory):
    """Bytes of files with all there can be in one."""
    folder = tmp_path_factory.mktemp("originals")
    generator = np.random.RandomState(0)
    estimators = {
        "plain": fitted,
        "generator": VAETransformer(random_state=generator),
        "table": saved.OF_TABLES["encoder"]().fit(people()),
        "Keras": AutoencoderTransformer(
            network=KerasNetwork(*two_models()), optimizer=keras.optimizers.SGD(0.5)
        ),
    }
    data = {}
    for name, estimator in estimators.items():
        skae.save(estimator, folder / "file.skae")
        data[name] = (folder / "file.skae").read_bytes()
    return data


def two_models():
    encoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5)])
    return encoder, keras.Sequential([keras.Input((5,)), keras.layers.Dense(8)])


@pytest.fixture
def load(tmp_path):
    """Loads bytes, and sees to it that nothing is run or written."""
    path = tmp_path / "file.skae"

    def call(data, **options):
        path.write_bytes(data)
        return skae.load(path, **options)

    return call


@pytest.fixture
def refuses(load):
    """Assert that bytes are refused, with these words."""

    def call(data, words="", **options):
        with pytest.raises(SavedFileError, match=words) as caught:
            load(data, **options)
        assert isinstance(caught.value, ValueError)
        assert "file.skae" in str(caught.value)

    return call


def edited(data, edit):
    """A file with other content, which `edit` gets; and a checksum that fits."""
    content, arrays = mutations.unpacked(data)
    edit(content, arrays)
    return mutations.packed(content, arrays)


# Damage


@pytest.mark.parametrize("name", ["plain", "table", "Keras"])
def test_every_byte_counts(originals, refuses, name):
    data = originals[name]
    rng = random.Random(0)
    for at in [
        *range(0, 64),
        *range(len(data) - 64, len(data)),
        *rng.sample(range(len(data)), 50),
    ]:
        changed = bytearray(data)
        changed[at] ^= 1 << rng.randrange(8)
        refuses(bytes(changed), "no file of skae.save|damaged")
    refuses(data[: len(data) // 2], "damaged")
    refuses(data + b"x", "damaged")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"x" * 1000, b"PK\x03\x04" + b"x" * 1000])
def test_no_file_of_ours(refuses, data):
    refuses(data, "no file of skae.save|damaged")


def test_no_file_at_all(tmp_path):
    with pytest.raises(FileNotFoundError):
        skae.load(tmp_path / "nothing.skae")
    with pytest.raises(OSError, match=r"directory|denied"):
        skae.load(tmp_path)


def mutation_strategy():
    return st.tuples(st.sampled_from(sorted(mutations.MUTATIONS)), st.integers(0, 2**32))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["plain", "generator", "table", "Keras"]), mutation=mutation_strategy()
)
def test_any_change(originals, tmp_path_factory, name, mutation):
    """`benchmarks/fuzz_load.py` does ten thousand."""
    kind, seed = mutation
    path = tmp_path_factory.mktemp("mutated") / "file.skae"
    path.write_bytes(mutations.MUTATIONS[kind](originals[name], random.Random(seed)))
    try:
        estimator = skae.load(path)
    except SavedFileError:
        return
    assert type(estimator).__module__.startswith("skae.")
    assert estimator.get_params()


# Crafted by a stranger


def with_root(node):
    """An edit by which the file holds another thing."""

    def edit(content, arrays):
        content["nodes"].append(node)
        content["root"] = ["ref", len(content["nodes"]) - 1]

    return edit


ESTIMATOR = ["object", "AutoencoderTransformer", {}]

LAYER = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}
RATE = {"learning_rate": {**LAYER, "registered_name": None}}
SGD = {"module": "keras.optimizers", "class_name": "SGD", "config": RATE}

CRAFTED = {
    "another class": (with_root(["object", "os.system", {}]), "a class that it may not"),
    "another function": (with_root(["function", "os.system"]), "a function that it may not"),
    "no estimator": (with_root(["list", []]), "no estimator"),
    "a part of one": (with_root(["object", "CosineLoss", {}]), "no estimator"),
    "no parameters": (with_root(ESTIMATOR), "other fields"),
    "a method": (
        with_root(["object", "KFold", {"split": 1}]),
        "other fields",
    ),
    "a magic method": (
        with_root(["object", "KFold", {"__class__": 1}]),
        "other fields",
    ),
    "a later node": (with_root(["list", [["ref", 10**6]]]), "not there yet"),
    "itself": (lambda c, a: c["nodes"].insert(0, ["list", [["ref", 0]]]), "not there yet"),
    "another kind of node": (with_root(["eval", "1"]), "unknown kind"),
    "another kind of value": (with_root(["list", [["eval", "1"]]]), "No known value"),
    "a huge key": (with_root(["dict", [[2**64, 1]]]), "no key"),
    "a long decimal": (with_root(["list", [["decimal", "1" * 39]]]), "too long"),
    "a wide decimal": (with_root(["list", [["decimal", "1e99999"]]]), "too long"),
    "objects that are not there": (with_root(["objects", [2**40], []]), "another shape"),
    "a layer without weights": (with_root(["keras", json.dumps(LAYER)]), "none of the losses"),
    "a layer in an optimizer": (with_root(["keras", json.dumps(SGD)]), "keras.layers.Dense"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_content(originals, refuses, name):
    edit, words = CRAFTED[name]
    refuses(edited(originals["plain"], edit), words)


@pytest.mark.parametrize("position", [-1, 625, 2**31, "0", True])
def test_a_generator_that_reads_beyond_its_state(originals, refuses, position):
    def edit(content, arrays):
        node = next(node for node in content["nodes"] if node[0] == "generator")
        node[2] = position

    refuses(edited(originals["generator"], edit), "generator has no state")


def npy(descr, shape, data=b""):
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


ARRAYS = {
    "objects": (npy("|O", (1,), b"x" * 8), "other bytes|dtype"),
    "records": (npy([("a", "<f8")], (1,), b"x" * 8), "dtype"),
    "too large": (npy("<f8", (2**40,)), "other bytes"),
    "too large by its product": (npy("<f8", (2**40, 2**40)), "other bytes"),
    "less than nothing": (npy("<f8", (-1,), b""), "other bytes"),
    "of nothing": (npy("|S0", (2**60,)), "other bytes|dtype"),
    "of a huge dtype": (npy("|S999999999", (2,)), "other bytes|dtype"),
    "no booleans": (npy("|b1", (2,), b"\x02\x00"), "booleans"),
    "no characters": (npy("<U1", (1,), b"\xff\xff\xff\x7f"), "strings"),
    "a long header": (npy("<f8", (1,) * 800), "damaged"),
    "another version": (b"\x93NUMPY\x03\x00" + npy("<f8", (0,))[8:], "npy version"),
    "no npy": (b"x" * 99, "damaged"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_crafted_arrays(originals, refuses, name):
    array, words = ARRAYS[name]

    def edit(content, arrays):
        arrays[0] = arrays[0][0], array

    refuses(edited(originals["plain"], edit), words)


def test_crafted_zips(originals, refuses):
    content, arrays = mutations.unpacked(originals["plain"])
    pack = mutations.packed
    refuses(pack(content, arrays, zipfile.ZIP_DEFLATED), "compressed")
    refuses(pack(content, [*arrays, ("../evil", b"")]), "entries that skae does not write")
    refuses(pack(content, arrays[1:]), "entries that skae does not write")
    refuses(pack([], arrays), "JSON object")
    refuses(pack(b"[" * 100_000, arrays), "damaged")
    refuses(pack(b'{"format": NaN}', arrays), "no JSON")
    refuses(pack(b'{"format": ' + b"9" * 10_000 + b"}", arrays), "damaged")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = pack(content, [*arrays, arrays[0]])
    refuses(twice, "there twice")


def test_a_file_that_claims_more_than_it_has(originals, refuses):
    """Entries that lie over each other: bombs without compression."""
    data = bytearray(originals["plain"])
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<II", 2**31, 2**31)
    refuses(mutations.sealed(bytes(data)), "more bytes than it has|no skae.json")


def test_the_size_is_bounded(originals, refuses, load):
    data = originals["plain"]
    refuses(data, "max_bytes=1,000. If it is yours", max_bytes=1000)
    assert load(data, max_bytes=len(data))


# Keras


def of_keras(edit_config):
    """An edit of the first Keras model, whose JSON `edit_config` gets."""

    def edit(content, arrays):
        node = next(node for node in content["nodes"] if node[0] == "keras model")
        config = json.loads(node[1])
        edit_config(config["config"]["layers"])
        node[1] = json.dumps(config)

    return edit


def dense(layers):
    return next(layer for layer in layers if layer["class_name"] == "Dense")


def renamed(**names):
    def edit(layers):
        dense(layers).update(names)

    return edit


LAMBDA = {"class_name": "__lambda__", "config": {"value": "x"}}
FUNCTION = {"class_name": "function", "config": "system", "module": "os"}

KERAS = {
    "a lambda": (
        lambda layers: dense(layers)["config"].update(activation=LAMBDA),
        "__lambda__",
    ),
    "a function": (
        lambda layers: dense(layers)["config"].update(activation=FUNCTION),
        "os.system",
    ),
    "a lambda layer": (renamed(class_name="Lambda"), "Lambda"),
    "a layer that reads files": (renamed(class_name="TFSMLayer"), "TFSMLayer"),
    "another module": (renamed(module="os", class_name="system"), "os.system"),
    "a function for a layer": (
        renamed(module="keras.utils", class_name="get_file"),
        "get_file",
    ),
    "no module": (renamed(module=None), "None.Dense"),
    "more weights": (
        lambda layers: dense(layers)["config"].update(units=4_000_000),
        "shapes|damaged",
    ),
    "too many units": (lambda layers: dense(layers)["config"].update(units=2**40), "too large"),
    "a loop": (lambda layers: dense(layers)["config"].update(unroll=True), "unroll"),
    "no end": (lambda layers: layers.append(nested(200)), "nested too deeply"),
}


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("name", KERAS)
def test_crafted_models(originals, refuses, name):
    edit, words = KERAS[name]
    refuses(edited(originals["Keras"], of_keras(edit)), words)


def test_a_model_that_would_not_fit_into_memory(originals, refuses):
    """Its weights are compared before they are made: a terabyte for each of these."""
    import resource

    def edit(layers):
        dense(layers)["config"].update(units=2**28)
        second = json.loads(json.dumps(dense(layers)))
        second["config"]["name"] = "second"
        second.pop("build_config", None)
        layers.append(second)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refuses(edited(originals["Keras"], of_keras(edit)), "other shapes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**19
    # What was given up is not made later either.
    with keras.StatelessScope():
        pass


STARTS_SOMETHING = {"os.system", "subprocess.Popen", "pickle.find_class", "socket.connect"}


def test_nothing_is_run(originals, load, tmp_path):
    """Python reports whatever is opened for writing, started or unpickled."""
    for data in originals.values():
        load(data)
    events = []
    watching = [True]

    def watch(event, arguments):
        writes = event == "open" and isinstance(arguments[1], str)
        writes = writes and set(arguments[1]) & set("wax+")
        if watching and (writes or event in STARTS_SOMETHING):
            events.append((event, arguments))

    contents = list(originals.values())
    sys.addaudithook(watch)
    path = tmp_path / "file.skae"
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None
    try:
        for data in contents:
            watching.clear()
            path.write_bytes(data)
            watching.append(True)
            skae.load(path)
    finally:
        watching.clear()
    assert events == []
    if descriptors is not None:
        assert len(os.listdir("/proc/self/fd")) == descriptors
