"""Latency of one row, and memory and size of a fitted model, compared with other packages.

    python benchmarks/latency.py [--quick] [--repeats N] [--before TREE] [--output FILE]

It prints the tables of the guide's page on deployment. Every estimator is fitted in this
process, saved by pickle, and measured in a fresh one that has only loaded it. ``--before TREE``
compares with another checkout: each is a process that loads a model fitted by its own tree, and
they take turns.
"""

import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

from _common import (
    Figures,
    clock,
    environment,
    note,
    parse,
    per_call,
    print_bars,
    print_machine,
    print_table,
    ratio,
    rss_mb,
    run_worker,
    serve,
)

N_TRAIN, N_MANY, N_LIKELIHOOD = 6_250, 100_000, 2_000
METRICS = ("import", "memory", "one", "many", "size")
HEADER = ["", "import, s", "memory, MB", "one row, ms", "10,000 rows, ms", "file, MB"]
# Methods measured on one row, besides the score; tables first.
QUESTIONS = ("score_samples", "p_values", "explain", "describe")


# Data and estimators


def numbers(n, seed, n_columns=20):
    """Rows of rank six through a tanh, and noise."""
    rng = np.random.RandomState(seed)
    mixing = np.random.RandomState(9).normal(size=(6, n_columns))
    hidden = rng.normal(size=(n, 6))
    return np.tanh(hidden @ mixing / 2) + 0.1 * rng.normal(size=(n, n_columns))


def table(n, seed):
    """Eight numeric columns with missing values, one categorical and one binary column."""
    import pandas as pd

    rng = np.random.RandomState(seed)
    frame = pd.DataFrame(numbers(n, seed)[:, :8], columns=[f"n{i}" for i in range(8)])
    frame["kind"] = rng.choice(["a", "b", "c", "d"], n)
    frame["flag"] = rng.choice([True, False], n)
    frame.loc[rng.rand(n) < 0.1, "n0"] = np.nan
    return frame


def estimators():
    """For each name: a factory, its rows, and the method that is timed."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest

    from skae import AEAnomalyDetector, AutoencoderTransformer, VAETransformer

    def detector():
        return AEAnomalyDetector(novelty=True, random_state=0)

    made = {
        "PCA": (lambda: PCA(6), numbers, "transform"),
        "AutoencoderTransformer": (
            lambda: AutoencoderTransformer(6, max_iter=5, tol=None, random_state=0),
            numbers,
            "transform",
        ),
        "VAETransformer, score_samples": (
            lambda: VAETransformer(6, max_iter=30, random_state=0),
            numbers,
            "score_samples",
        ),
        "AEAnomalyDetector": (detector, numbers, "score_samples"),
        "AEAnomalyDetector, a table": (detector, table, "score_samples"),
        "IsolationForest": (lambda: IsolationForest(random_state=0), numbers, "score_samples"),
    }
    return made | pyod_estimators()


def pyod_estimators():
    """Those of PyOD, where it is installed."""
    try:
        from pyod.models.knn import KNN
    except ModuleNotFoundError:
        return {}
    made = {"PyOD KNN": (KNN, numbers, "decision_function")}
    try:
        from pyod.models.auto_encoder import AutoEncoder
    except ModuleNotFoundError:
        return made
    made["PyOD AutoEncoder"] = (
        lambda: AutoEncoder(verbose=0, random_state=0),
        numbers,
        "decision_function",
    )
    return made


# Workers


def load_worker(path, method, rows, quick):
    """Worker: time and memory of a process that loads a model and scores."""
    before, start = rss_mb(), time.perf_counter()
    model, frame = pickle.loads(Path(path).read_bytes())
    score = getattr(model, method)
    X = frame if rows == "table" else np.asarray(frame)
    score(X[:1])
    loaded = time.perf_counter() - start
    memory = rss_mb() - before
    budget = 0.1 if quick else 2.0
    return {
        "import": loaded,
        "memory": memory,
        "one": 1e3 * per_call(score, X[:1], seconds=budget),
        "many": 1e3 * per_call(score, X, seconds=budget, least=3),
    }


def bulk_worker(path, quick):
    """Worker: seconds for many rows, and of the bare products that they need."""
    detector = pickle.loads(Path(path).read_bytes())[0]
    X = numbers(2_000 if quick else N_MANY, 3)
    denoising, distance = detector._score.components
    detector.score_samples(X[:1_000])
    dtype = np.dtype(np.float64)
    kernels = [
        [one.kernel for one in (*weights.hidden, weights.output)]
        for _, weights in (denoiser.prepared(dtype) for denoiser in denoising.denoisers)
    ]

    def bare():
        # Two noise samples for each network, and the distances to all reference rows.
        for start in range(0, len(X), 512):
            rows = X[start : start + 512]
            read = np.empty((X.shape[1] + 1, len(rows)))
            for first, second, third in kernels * 2:
                third @ (second @ (first @ read))
            rows @ distance.nearest.rows.T

    turns = [
        (clock(detector.score_samples, X)[0], clock(bare)[0]) for _ in range(1 if quick else 5)
    ]
    every, floor = map(statistics.median, zip(*turns, strict=True))
    return {"all": every, "bare": floor}


# Before and after: a worker of its own, which imports another checkout

_TURN = """
import pickle, statistics, sys, time
model, rows = pickle.load(open(sys.argv[1], "rb"))
print("ready", flush=True)
for line in sys.stdin:
    method, n, repeats = line.split()
    ask, X, seconds = getattr(model, method), rows[:int(n)], []
    for _ in range(int(repeats)):
        start = time.perf_counter()
        ask(X)
        seconds.append(time.perf_counter() - start)
    print(statistics.median(seconds), flush=True)
"""


class Side:
    """A process with a model of one checkout, which measures calls on request."""

    def __init__(self, tree, path):
        command = [sys.executable, "-c", _TURN, str(path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        env = environment(PYTHONPATH=str(tree))
        self.process = subprocess.Popen(command, cwd=tree, env=env, **pipes)
        self.process.stdout.readline()

    def seconds(self, method, n, repeats):
        """Median seconds of a call."""
        self.process.stdin.write(f"{method} {n} {repeats}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


_FIT = """
import pickle, sys
sys.path.insert(0, sys.argv[2])
import latency
name = sys.argv[1]
make, rows, method = latency.estimators()[name]
model = make().fit(rows(int(sys.argv[4]), 1))
pickle.dump((model, rows(10_000, 2)), open(sys.argv[3], "wb"))
"""


def fit(name, tree, path, quick):
    """Fit and pickle an estimator with the code of a checkout."""
    note("fit", name, tree)
    n_train = 500 if quick else N_TRAIN
    here = str(Path(__file__).resolve().parent)
    command = [sys.executable, "-c", _FIT, name, here, str(path), str(n_train)]
    env = environment(PYTHONPATH=str(tree))
    subprocess.run(command, check=True, cwd=tree, env=env)


def before_and_after(args, figures, folder):
    """Table of both checkouts, which take turns."""
    here = Path(__file__).resolve().parent.parent
    detector, of_table = "AEAnomalyDetector", "AEAnomalyDetector, a table"
    asked = [(detector, method, 1, 50) for method in QUESTIONS]
    asked += [(of_table, method, 1, 50) for method in QUESTIONS]
    asked += [(detector, "score_samples", 100, 10), (detector, "score_samples", 10_000, 1)]
    asked += [("VAETransformer, score_samples", "score_samples", N_LIKELIHOOD, 1)]
    asked += [("AutoencoderTransformer", "transform", 1, 200)]
    table, sides = [], {}
    for name in dict.fromkeys(name for name, *_ in asked):
        for label, tree in (("before", args.before.resolve()), ("after", here)):
            path = folder / f"{name} {label}".replace(" ", "_")
            fit(name, tree, path, args.quick)
            sides[name, label] = Side(tree, path)
    for name, method, n, repeats in asked:
        turns = {"before": [], "after": []}
        for _ in range(args.repeats * 3):
            for label, runs in turns.items():
                runs.append(1e3 * sides[name, label].seconds(method, n, repeats))
        label = f"{name.split(',')[0]}{', a table' if name == of_table else ''}: {method}, {n}"
        medians = [figures.add("before", label, side, runs) for side, runs in turns.items()]
        table.append((label, *medians, ratio(*medians)))
    for side in sides.values():
        side.close()
    print_table("Milliseconds a call", ["call, rows", "before", "after", "ratio"], table)


# The tables


def weights(args, figures, folder):
    """Print time, memory and size of each model; return the bars of the detector."""
    table_rows, seen = [], {}
    here = Path(__file__).resolve().parent.parent
    for name, (_, rows, method) in estimators().items():
        path = folder / name.replace(" ", "_")
        fit(name, here, path, args.quick)
        model = pickle.loads(path.read_bytes())[0]
        size = len(pickle.dumps(model)) / 1e6
        options = {"path": str(path), "method": method, "rows": rows.__name__}
        runs = [
            run_worker(__file__, "load", quick=args.quick, **options)
            for _ in range(args.repeats)
        ]
        runs = [run | {"size": size} for run in runs]
        medians = [
            figures.add("weights", name, metric, [run[metric] for run in runs])
            for metric in METRICS
        ]
        seen[name] = dict(zip(METRICS, medians, strict=True))
        table_rows.append((name, *medians))
    print_table("A model that is loaded", HEADER, table_rows)
    return seen


def main():
    parser = parse(__doc__.splitlines()[0], repeats=3)
    parser.add_argument("--before", type=Path, help="another checkout, to compare with")
    args = parser.parse_args()
    if args.worker:
        return serve({"load": load_worker, "bulk": bulk_worker}, args)
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        seen = weights(args, figures, folder)
        path = str(folder / "AEAnomalyDetector")
        runs = [
            run_worker(__file__, "bulk", path=path, quick=args.quick)
            for _ in range(args.repeats)
        ]
        bulk = figures.add("bulk", "AEAnomalyDetector", "all", [run["all"] for run in runs])
        bare = figures.add("bulk", "AEAnomalyDetector", "bare", [run["bare"] for run in runs])
        header = ["rows", "score_samples, s", "bare products, s", "ratio"]
        n_many = "2,000" if args.quick else f"{N_MANY:,}"
        print_table("Many rows", header, [(n_many, bulk, bare, ratio(bulk, bare))])
        if args.before:
            before_and_after(args, figures, folder)
    one = "milliseconds for one row"
    print_bars(
        [
            (f"{one}, numbers", "<=", 2, seen["AEAnomalyDetector"]["one"]),
            (f"{one}, a table", "<=", 2, seen["AEAnomalyDetector, a table"]["one"]),
            ("many rows / bare products", "<=", 1.5, ratio(bulk, bare)),
        ],
        figures,
    )
    figures.save(args.output)


if __name__ == "__main__":
    main()
