"""Seconds of fits and transformations, compared with other packages.

    python benchmarks/speed.py [--quick] [--repeats N] [--parts S T M ...] [--output FILE]

Ratios are other package / skae: 4 means that skae needs a quarter of the time. Every first fit
is made in a fresh process; importing Keras, TensorFlow or PyTorch is not timed.
"""

import itertools
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

from _common import (
    Figures,
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
from _fits import compare, fit_worker
from _sides import FLOOR, REFERENCE, SIDES
from _workloads import workload

PARTS = ("S", "T", "M", "transform", "start", "memory")
PEERS = [side for side in SIDES if not side.startswith("JAX")]
DTYPES = ("float32", "float64")
# Hidden layers of the networks that transform: those of S, and the estimator's own.
HIDDEN = {"64-32-10": (32,), "64-256-128-10": (256, 128)}
PIPELINES = ("PCA", "AutoencoderTransformer")

# A fresh interpreter that scores ten rows with a pickled pipeline.
_SCORE = """
import pickle, sys
pipe = pickle.load(open(sys.argv[1], "rb"))
X = pickle.load(open(sys.argv[2], "rb"))
R = pipe.inverse_transform(pipe.transform(X))
print(((X - R) ** 2).mean())
"""


# Transform


def _bare(rng, widths, dtype, with_path):
    """The bare products of an encoder, with the linear path or without."""
    shapes = list(itertools.pairwise(widths))
    kernels = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    path = rng.standard_normal((widths[0], widths[-1])).astype(dtype)

    def products(X):
        output = X
        for kernel in kernels:
            output = output @ kernel
        return (output, X @ path) if with_path else output

    return products


def transform_worker(network, dtype, quick):
    """Worker: seconds a call of PCA, skae and the bare products, one row and many."""
    from sklearn.decomposition import PCA

    from skae import AutoencoderTransformer

    rng = np.random.default_rng(0)
    hidden = HIDDEN[network]
    X = rng.standard_normal((2_000 if quick else 100_000, 64)).astype(dtype)
    sides = {"PCA": PCA(10).fit(X[:2000]).transform}
    for init in ("random", "pca"):
        widths = (64, *hidden, 10)
        sides[f"bare products for init={init!r}"] = _bare(rng, widths, dtype, init == "pca")
        model = AutoencoderTransformer(
            10, hidden_layer_sizes=hidden, init=init, max_iter=1, tol=None, random_state=0
        )
        sides[f"skae, init={init!r}"] = model.fit(X[:2000]).transform
    budget = 0.1 if quick else 2.0
    return {
        side: [per_call(function, rows, seconds=budget) for rows in (X[:1], X)]
        for side, function in sides.items()
    }


def transform(args, figures):
    """Tables of transform; for the bars the worse ratio of both initializations."""
    bars = {}
    for network in HIDDEN:
        table = []
        for dtype in DTYPES:
            note(f"transform, {network}, {dtype}")
            options = {"network": network, "dtype": dtype, "quick": args.quick}
            runs = [run_worker(__file__, "transform", **options) for _ in range(args.repeats)]
            medians = {
                side: [
                    figures.add(f"transform {network}", side, f"{rows} {dtype}", values)
                    for rows, values in zip(
                        ("one", "all"),
                        zip(*(run[side] for run in runs), strict=True),
                        strict=True,
                    )
                ]
                for side in runs[0]
            }
            pca = medians["PCA"][0]
            worst = [0.0, 0.0]
            for side, (one, many) in medians.items():
                against = None
                if side.startswith("skae"):
                    floor = side.replace("skae,", "bare products for")
                    against = many / medians[floor][1]
                    worst = [max(worst[0], one / pca), max(worst[1], against)]
                table.append((f"{side}, {dtype}", one * 1e6, one / pca, many * 1e3, against))
            bars[network, dtype] = worst
        n_rows = "2,000" if args.quick else "100,000"
        print_table(
            f"transform, network {network}: one row, and {n_rows}",
            ["", "one row, µs", "/ PCA", "all rows, ms", "/ bare products"],
            table,
        )
    return bars


# A fresh interpreter


def pickle_worker(folder, quick):
    """Worker: fit both pipelines, pickle them and ten rows."""
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skae import AutoencoderTransformer

    X = load_digits().data
    autoencoder = AutoencoderTransformer(
        10, hidden_layer_sizes=(32,), max_iter=1 if quick else 10, tol=None, random_state=0
    )
    for name, reducer in zip(PIPELINES, [PCA(10), autoencoder], strict=True):
        pipe = make_pipeline(StandardScaler(), reducer).fit(X)
        Path(folder, f"{name}.pkl").write_bytes(pickle.dumps(pipe))
    Path(folder, "rows.pkl").write_bytes(pickle.dumps(X[:10]))
    return {}


def start(args, figures):
    """Wall time of interpreters that unpickle a pipeline and score ten rows."""
    with tempfile.TemporaryDirectory() as folder:
        run_worker(__file__, "pickle", folder=folder, quick=args.quick)
        runs = {name: [] for name in PIPELINES}
        n_runs = 2 if args.quick else max(7, args.repeats)
        for repeat in range(n_runs + 1):
            note(f"fresh interpreter, run {repeat} of {n_runs}")
            for name in PIPELINES:
                files = [str(Path(folder, f"{file}.pkl")) for file in (name, "rows")]
                begin = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-c", _SCORE, *files],
                    check=True,
                    capture_output=True,
                    env=environment(),
                )
                if repeat:  # the first one may write byte code
                    runs[name].append(time.perf_counter() - begin)
    medians = {name: figures.add("start", name, "seconds", runs[name]) for name in PIPELINES}
    pca = medians["PCA"]
    rows = [(f"StandardScaler, {n}", s, s / pca) for n, s in medians.items()]
    print_table(
        "from a fresh interpreter to the first score of an unpickled pipeline",
        ["", "seconds", "/ PCA"],
        rows,
    )
    return medians["AutoencoderTransformer"] / pca


# Memory over many fits


def memory_worker(side, quick, epochs=None):
    """Worker: growth of memory between the 5th and the 35th fit."""
    from dataclasses import replace

    work = workload("S", quick)
    work = replace(work, epochs=epochs or work.epochs)
    X = work.data(quick)
    fit = SIDES[side](work)
    for seed in range(5):
        fit(X, seed)
    before = rss_mb()
    more = 3 if quick else 30
    for seed in range(more):
        fit(X, seed + 5)
    after = rss_mb()
    return {"before": before, "after": after, "growth": (after - before) * 30 / more}


def memory(args, figures):
    """Growth of memory over 30 fits of skae and of `keras.Model.fit`."""
    rows, result = [], {}
    # Growth is per fit and not per epoch: two epochs are enough for `keras.Model.fit`.
    for side, epochs in [(REFERENCE, None), ("keras.Model.fit", 2)]:
        note(f"memory over 30 fits: {side}")
        runs = [
            run_worker(__file__, "memory", side=side, quick=args.quick, epochs=epochs)
            for _ in range(args.repeats)
        ]
        medians = {
            metric: figures.add("memory", side, f"{metric}_mb", [r[metric] for r in runs])
            for metric in ("before", "after", "growth")
        }
        rows.append((side, *medians.values()))
        result[side] = medians["growth"]
    print_table(
        "memory over 30 fits of S in one process (keras.Model.fit: 2 epochs a fit)",
        ["", "MB after fit 5", "after fit 35", "growth"],
        rows,
    )
    return result[REFERENCE]


# All


def bars_of(measured):
    """The bars and their measured values."""

    def against_keras(name, metric):
        medians = measured.get(name)
        if medians is None:
            return None
        return ratio(medians["keras.Model.fit"][metric], medians[REFERENCE][metric])

    m_fit = m_epoch = m_two = None
    if "M" in measured:
        medians, work = measured["M"], measured["work M"]
        floor = medians[FLOOR]["refit_s"]
        m_fit = ratio(medians[REFERENCE]["refit_s"], floor)
        m_epoch = ratio(medians[REFERENCE]["epoch_s"], floor / work.epochs)
        m_two = ratio(medians[REFERENCE]["two_s"], medians[FLOOR]["two_s"])
    bars = [
        ("S: first fit, keras.Model.fit / skae", ">=", 4, against_keras("S", "first_s")),
        ("S: refit, keras.Model.fit / skae", ">=", 20, against_keras("S", "refit_s")),
        ("T: refit, keras.Model.fit / skae", ">=", 8, against_keras("T", "refit_s")),
        ("M: an epoch of a refit (whole fit / epochs), skae / bare products", "<=", 1.6, m_fit),
        ("M: one epoch more, skae / bare products", "<=", 1.6, m_epoch),
        ("M: a whole refit of two epochs, skae / bare products", "<=", 1.6, m_two),
    ]
    for network in HIDDEN:
        for dtype in DTYPES:
            one, many = measured.get("transform", {}).get((network, dtype), (None, None))
            what = f"{network}, {dtype}, worse init"
            bars.append((f"one row, {what}, skae / PCA", "<=", 1, one))
            bars.append((f"100,000 rows, {what}, skae / products", "<=", 1.5, many))
    bars += [
        ("fresh interpreter to first score, skae / PCA", "<=", 1.3, measured.get("start")),
        ("MB grown over 30 fits, skae", "<=", 10, measured.get("memory")),
    ]
    return bars


def main(args):
    """Run the selected parts and print."""
    figures, measured = Figures(), {}
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    for part in args.parts:
        if part in ("S", "T", "M"):
            measured[part] = compare(__file__, part, PEERS, args.quick, args.repeats, figures)
            measured[f"work {part}"] = workload(part, args.quick)
    for part, run in [("transform", transform), ("start", start), ("memory", memory)]:
        if part in args.parts:
            measured[part] = run(args, figures)
    print_bars(bars_of(measured), figures)
    figures.save(args.output)


WORKERS = {
    "fit": fit_worker,
    "transform": transform_worker,
    "pickle": pickle_worker,
    "memory": memory_worker,
}

if __name__ == "__main__":
    arguments = parse(__doc__.split("\n\n")[0], repeats=3, parts=PARTS).parse_args()
    if arguments.worker:
        serve(WORKERS, arguments)
    else:
        main(arguments)
