"""Behaviour of `skae.load` on ten thousand modified files.

    python benchmarks/fuzz_load.py
    python benchmarks/fuzz_load.py --mutations 1000 --seed 1

Files of every kind of estimator are modified by `tests/mutations.py`: bytes, the structure of
the zip, values in its JSON, headers of arrays; except for plain damage with a valid checksum,
so that the modification reaches the content. Each is loaded in a worker that counts the
results. Allowed are a loaded estimator and `SavedFileError`; anything else, a dead worker, a
load of more than ten seconds, and any code that is run (new modules, processes, files that are
written, sockets, unpickling) is reported with its mutation.
"""

import argparse
import collections
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from _common import ROOT, environment

sys.path.insert(0, str(ROOT / "tests"))
import mutations

PATIENCE = 10

# Events that loading must not cause, except lazy imports of Keras and pandas.
_RUNS_CODE = {
    "ctypes.dlopen",
    "os.exec",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.system",
    "pickle.find_class",
    "shutil.rmtree",
    "socket.connect",
    "subprocess.Popen",
}
_HOMES = {
    "keras",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
    "skae",
    "sklearn",
    "tensorflow",
}


class Hang(BaseException):
    """Error of a load that takes too long."""


def write_files(folder):
    """One file of each kind."""
    from sklearn.datasets import load_digits

    import saved_estimators as saved
    import skae
    from tables import LIBRARIES, people

    digits = load_digits().data[:100]
    tables = {"tables": people(), **{name: LIBRARIES[name](people()) for name in LIBRARIES}}
    for name, make in saved.OF_NUMBERS.items():
        X = saved.with_missing(digits) if name == "imputer" else digits
        fitted = make().fit(X, np.arange(len(X)) % 2)
        skae.save(fitted, folder / f"{name.replace(' ', '_')}.skae")
    for name, make in saved.OF_TABLES.items():
        fitted = make().fit(tables["tables"], np.arange(60) % 2)
        skae.save(fitted, folder / f"table_{name.replace(' ', '_')}.skae")
    for library in LIBRARIES:
        fitted = saved.OF_TABLES["encoder"]().fit(tables[library])
        skae.save(fitted, folder / f"of_{library.replace(' ', '_')}.skae")


def work(folder, seed, start, stop):
    """Load mutations `start` to `stop`; one JSON line for each."""
    import skae
    from skae.persistence import SavedFileError

    files = sorted(Path(folder).glob("*.skae"))
    originals = [file.read_bytes() for file in files]
    # Everything that a valid file imports is imported before the audit.
    for file in files:
        skae.load(file)
    events = []
    sys.addaudithook(lambda event, args: events.append((event, args)))
    signal.signal(signal.SIGALRM, _hang)
    target = Path(folder) / f"mutated-{start}"
    for i in range(start, stop):
        rng = random.Random(f"{seed} {i}")
        name = rng.choice(list(mutations.MUTATIONS))
        which = rng.randrange(len(files))
        target.write_bytes(mutations.MUTATIONS[name](originals[which], rng))
        print(json.dumps({"i": i, "begins": True}), flush=True)
        events.clear()
        signal.alarm(PATIENCE)
        begun = time.perf_counter()
        try:
            skae.load(target)
            outcome = "loaded"
        except SavedFileError:
            outcome = "SavedFileError"
        except Hang:
            outcome = "hang"
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error!s:.200}"
        signal.alarm(0)
        line = {
            "i": i,
            "file": files[which].stem,
            "mutation": name,
            "outcome": outcome,
            "seconds": time.perf_counter() - begun,
            "code": sorted(set(filter(None, map(_code, events)))),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }
        print(json.dumps(line), flush=True)
    target.unlink()


def _hang(*args):
    raise Hang


def _code(entry):
    """Description of an event that is not allowed, or None."""
    event, args = entry
    if event == "import" and args[0].partition(".")[0] not in _HOMES:
        return f"import {args[0]}"
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        return f"open {args[0]} for writing"
    return event if event in _RUNS_CODE else None


def run(folder, seed, n_mutations):
    """Results of all mutations; a worker that dies is restarted after the fatal mutation."""
    results, at = [], 0
    while at < n_mutations:
        command = [sys.executable, "-X", "faulthandler", __file__, "--worker", folder]
        command += ["--seed", str(seed), "--mutations", str(n_mutations), "--start", str(at)]
        with open(Path(folder) / "errors", "w+") as errors:
            worker = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment()
            )
            begun = None
            for text in worker.stdout:
                line = json.loads(text) if text.startswith("{") else {}
                if "outcome" in line:
                    results.append(line)
                    at = line["i"] + 1
                begun = line.get("i", begun)
            if worker.wait():
                errors.seek(0)
                print(f"The worker died of mutation {begun}:\n{errors.read()[-2000:]}")
                if begun is None:
                    raise SystemExit(1)
                results.append({"i": begun, "mutation": "?", "outcome": "crash", "code": []})
                at = begun + 1
    return results


def report(results):
    """Print two tables, and the results that are not allowed."""
    kinds = collections.Counter(
        (r["mutation"], r["outcome"].partition(":")[0]) for r in results
    )
    outcomes = sorted({outcome for _, outcome in kinds})
    print("| mutation |", " | ".join(outcomes), "|")
    print("|---|" + "---:|" * len(outcomes))
    for mutation in sorted({mutation for mutation, _ in kinds}):
        print(f"| {mutation} |", " | ".join(str(kinds[mutation, o]) for o in outcomes), "|")
    seconds = [r.get("seconds", 0.0) for r in results]
    peak = max(r.get("peak", 0) for r in results) - min(
        r["peak"] for r in results if "peak" in r
    )
    print(
        f"\n{len(results)} files; slowest {max(seconds):.2f} s, mean {np.mean(seconds):.4f} s; "
    )
    print(f"the worker's memory grew by {peak / 1024:.0f} MB.")
    bad = [r for r in results if r["outcome"] not in ("loaded", "SavedFileError") or r["code"]]
    print(f"Ended otherwise, or ran code: {len(bad)}")
    for result in bad[:20]:
        print(result)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.seed, args.start, args.mutations)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        bad = report(run(folder, args.seed, args.mutations))
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
