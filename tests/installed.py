"""skae in environments of their own: without Keras and backends, with JAX, with PyTorch alone.

    python tests/installed.py FOLDER [none] [jax] [small] [torch]     # `make test-install`

makes them in the folder, installs a wheel of this checkout and what it needs, tries it there
and prints the size of each, by package. "small" is the smallest with JAX that the guide
describes, and must stay below its bound. The tests have TensorFlow, and cannot miss what it
brings.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import tomllib
import venv
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "none": [],
    "jax": [os.environ.get("JAX", "jax>=0.4.30")],
    "small": ["--no-compile", "jax<0.9"],
    "torch": [os.environ.get("TORCH", "torch==2.13.0")],
}
BOUNDS = {"small": 600}  # MB
HEAVY = ("keras", "tensorflow", "jax", "torch")
SAVED = Path(__file__).resolve().parent / "saved" / "0.1.0"


# In the environment


def attempt(backend):
    """What must work with one backend, or with neither Keras nor a backend."""
    import numpy as np

    import skae
    from skae.tables import TabularEncoder

    X = np.round(8 + 8 * np.cos(np.outer(np.arange(1, 41), np.arange(1, 65)) / 7), 3)
    for name in ("autoencoder", "variational", "classifier"):
        estimator = skae.load(SAVED / f"{name}.skae")
        with tempfile.TemporaryDirectory() as folder:
            skae.save(estimator, Path(folder, "again.skae"))
            again = skae.load(Path(folder, "again.skae"))
        for each in (estimator, again, pickle.loads(pickle.dumps(estimator))):
            check_outputs(each, name, X)
    table = np.array([["a", 1.5], ["b", 2.5], ["a", 3.5]], dtype=object)
    encoder = TabularEncoder().fit(table)
    assert (encoder.inverse_transform(encoder.transform(table)) == table).all()
    skae.to_onnx(skae.load(SAVED / "autoencoder.skae"))
    assert not [name for name in HEAVY if name in sys.modules]

    ae = skae.AutoencoderTransformer(2, max_iter=2, tol=None, random_state=0)
    convolutional = skae.load(SAVED / "convolutional.skae")
    if backend == "none":
        for call in (lambda: ae.fit(X), lambda: convolutional.transform(X)):
            message = ""
            try:
                call()
            except ImportError as error:
                message = str(error)
            assert "pip install tensorflow" in message, message
            assert "\n" not in message
        return
    check_outputs(convolutional, "convolutional", X)
    ae.fit(X)
    check_outputs(skae.load(SAVED / "models.skae"), "models", X)
    import keras

    assert keras.config.backend() == backend
    assert [name for name in HEAVY[1:] if name in sys.modules] == [backend]


def check_outputs(estimator, name, X):
    """Outputs are those that were saved beside the file, to single precision."""
    import numpy as np

    for method, expected in np.load(SAVED / f"{name}.npz").items():
        output = np.asarray(getattr(estimator, method)(X), float)
        np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-3 * np.ptp(expected))


# Around it


def main():
    folder, *backends = sys.argv[1:]
    failed = [name for name in backends or PACKAGES if not is_passed(Path(folder), name)]
    print(f"{len(backends or PACKAGES) - len(failed)} passed, {len(failed)} failed")
    return len(failed)


def is_passed(folder, backend):
    """Make the environment if there is none, and try this checkout in it twice."""
    place = folder.resolve() / backend
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        needed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        left_out = HEAVY if backend == "none" else HEAVY[1:]
        packages = [one for one in needed["dependencies"] if not one.startswith(left_out)]
        run(python, "-m", "pip", "install", "-q", *PACKAGES[backend], *packages)
        total = print_sizes(backend, place)
        if total > BOUNDS.get(backend, total):
            print(f"{backend}: failed, more than {BOUNDS[backend]} MB", flush=True)
            return False
        run(python, "-m", "pip", "install", "-q", "skl2onnx>=1.19")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", str(ROOT))
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as home:
        # The second time there is a file of settings, into which Keras wrote "tensorflow".
        env |= {"KERAS_HOME": home, "TF_CPP_MIN_LOG_LEVEL": "3"}
        env.pop("KERAS_BACKEND", None)
        for _ in range(2):
            command = [python, __file__, "--attempt", backend.replace("small", "jax")]
            code = subprocess.run(command, env=env, cwd=home).returncode
            settings = Path(home, "keras.json")
            if settings.exists():
                assert json.loads(settings.read_text())["backend"] == "tensorflow"
    print(f"{backend}: {'failed' if code else 'passed'}", flush=True)
    return code == 0


def run(*command):
    subprocess.run(command, check=True)


def print_sizes(backend, place):
    """Print MB of each package but pip and setuptools, and return their sum."""
    sizes, bytecode = {}, 0.0
    for package in distributions(path=map(str, place.rglob("site-packages"))):
        if package.name in ("pip", "setuptools"):
            continue
        files = map(Path, map(package.locate_file, package.files or ()))
        # Bytecode of the modules is listed, too, where it was written.
        found = {path: path.stat().st_size / 1e6 for path in files if path.is_file()}
        sizes[package.name] = sum(found.values())
        bytecode += sum(size for path, size in found.items() if path.suffix == ".pyc")
    total = sum(sizes.values())
    print(f"{backend}: {total:.0f} MB, bytecode {bytecode:.0f}", flush=True)
    for name in sorted(sizes, key=sizes.get, reverse=True):
        print(f"    {sizes[name]:6.1f} {name}")
    return total


if __name__ == "__main__":
    if sys.argv[1] == "--attempt":
        attempt(sys.argv[2])
    else:
        raise SystemExit(main())
