"""A release before it is one: what would be published, twice, and installed as users will.

    python tests/released.py FOLDER [PYTHON ...]     # `make release-check`

builds wheel and sdist of the last commit in two places and compares their bytes, looks at what
is inside, installs the wheel with all that it needs into a new environment of each Python, and
runs there the examples of the README and a part of the tests of the sdist. Without names the
oldest and the newest Python of this machine are tried, of those that skae supports.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

#: Formulas, fits, columns, files of earlier versions: what needs no optional package but these.
TESTS = ("losses", "fit", "columns", "saved_files", "file_versions", "anomaly_tables")
NEEDED = ("pytest>=8", "hypothesis>=6.100", "pandas>=2.2", "polars>=1.18", "pyarrow>=15")


def main():
    folder, *pythons = sys.argv[1:]
    folder = Path(folder).resolve()
    wheel, sdist = built_twice(folder)
    check_wheel(wheel)
    check_sdist(sdist)
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    for python in pythons or ends(available()):
        try_out(python, wheel, sdist, folder)
    print("passed")


# What is published


def built_twice(folder):
    """Wheel and sdist of the last commit, the same from two places."""
    time = output("git", "log", "-1", "--format=%ct")
    sums = []
    for place in (folder / "first", folder / "second, elsewhere"):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        run("git", "archive", "-o", place / "source.tar", "HEAD")
        with tarfile.open(place / "source.tar") as archive:
            archive.extractall(place / "source", filter="data")
        env = os.environ | {"SOURCE_DATE_EPOCH": time}
        run(sys.executable, "-m", "build", "-o", place / "dist", place / "source", env=env)
        files = sorted((place / "dist").iterdir())
        sums.append(
            {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        )
    assert sums[0] == sums[1], f"two builds differ: {sums}"
    for name, digest in sums[0].items():
        print(f"{digest}  {name}", flush=True)
    dist = folder / "first" / "dist"
    return next(dist.glob("*.whl")), next(dist.glob("*.tar.gz"))


def check_wheel(wheel):
    """The package and its licence, and no other file."""
    tracked = set(output("git", "ls-files", "skae").splitlines())
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    info = metadata.rpartition("/")[0]
    expected = {
        f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")
    }
    assert names == tracked | expected, names ^ (tracked | expected)
    assert "skae/py.typed" in names
    assert f"Requires-Python: {PROJECT['requires-python']}" in text
    assert f"License-Expression: {PROJECT['license']}" in text


def check_sdist(sdist):
    """Tracked files alone: the package, the tests with their data, and what pyproject names."""
    tracked = set(output("git", "ls-files").splitlines())
    with tarfile.open(sdist) as archive:
        names = {n.name.partition("/")[2] for n in archive.getmembers() if n.isfile()}
    assert names - tracked == {"PKG-INFO"}, names - tracked
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tests/conftest.py"):
        assert name in names, name
    assert tracked - names == {
        name
        for name in tracked
        if not name.startswith(("skae/", "tests/"))
        and name not in (".gitignore", "LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml")
    }


# Installed


def available():
    """Pythons of this machine with which an environment can be made, by their version."""
    oldest = int(re.search(r"3\.(\d+)", PROJECT["requires-python"])[1])
    pythons = {}
    for minor in range(oldest, oldest + 20):
        name = shutil.which(f"python3.{minor}")
        works = "import ensurepip, sys; print(sys.executable)"
        if name and not subprocess.run([name, "-c", works], capture_output=True).returncode:
            pythons[minor] = output(name, "-c", works)
    return pythons


def ends(pythons):
    """The oldest and the newest of them."""
    chosen = {minor: pythons[minor] for minor in (min(pythons), max(pythons))}
    print("Pythons here:", *(f"3.{minor}" for minor in pythons), flush=True)
    print("tried:", *(f"3.{minor}" for minor in chosen), flush=True)
    return list(chosen.values())


def try_out(python, wheel, sdist, folder):
    """The README's examples and a part of the tests, with the wheel in a new environment."""
    version = output(
        python, "-c", "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    )
    place = folder / f"python {version}"
    shutil.rmtree(place, ignore_errors=True)
    run(python, "-m", "venv", place / "env")
    inside = place / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(inside, "-m", "pip", "install", "-q", wheel, *NEEDED)
    run(inside, "-m", "pip", "check")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    (source,) = place.glob("skae-*")
    # Else the tests would import the package of the sdist.
    shutil.rmtree(source / "skae")
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    run(inside, "-c", "import skae; skae.show_versions()", env=env, cwd=source)
    flags = ["-o", "NORMALIZE_WHITESPACE", "-o", "ELLIPSIS"]
    run(inside, "-m", "doctest", *flags, "README.md", env=env, cwd=source)
    tests = [f"tests/test_{name}.py" for name in TESTS]
    run(inside, "-m", "pytest", "-q", "-m", "not slow", *tests, env=env, cwd=source)
    print(f"Python {version}: passed", flush=True)


def run(*command, **options):
    subprocess.run([str(part) for part in command], check=True, **({"cwd": ROOT} | options))


def output(*command):
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
