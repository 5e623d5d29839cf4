"""Gain by a cluster, blocks of rows and several devices.

    python benchmarks/scaling.py [--quick] [--repeats N] [--parts search rows detector devices]
                                 [--rows N] [--output FILE]

The cluster is this machine: two worker processes of one thread each; the devices are two
virtual ones on its processor. The gain is limited by its cores. Each measurement is
made in a fresh process. Needs dask-ml and JAX, and Ray for its row.
"""

import os
import pickle
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from _common import (
    Figures,
    clock,
    note,
    parse,
    peak_mb,
    print_machine,
    print_table,
    ratio,
    run_worker,
    serve,
)
from _workloads import workload

PARTS = ("search", "rows", "detector", "devices")


@contextmanager
def dask_cluster(processes=True):
    """Two workers on this machine."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=processes,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def ray_cluster():
    """Two workers on this machine, for joblib."""
    import ray
    from ray.util.joblib import register_ray

    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1"
    )
    register_ray()
    yield
    ray.shutdown()


# A search

ENGINES = {
    "one process": (nullcontext, {"backend": "sequential"}),
    "joblib, 2 processes": (nullcontext, {"backend": "loky", "n_jobs": 2}),
    "Dask, 2 workers": (dask_cluster, {"backend": "dask"}),
    "Ray, 2 workers": (ray_cluster, {"backend": "ray", "n_jobs": 2}),
}


def search_worker(engine, quick):
    """Worker: the same search twice; for the second nothing is imported or compiled."""
    from joblib import parallel_config
    from sklearn.model_selection import GridSearchCV

    from skae import AutoencoderTransformer
    from skae.metrics import reconstruction_score

    search = GridSearchCV(
        AutoencoderTransformer(
            hidden_layer_sizes=(64, 32),
            batch_size=256,
            max_iter=2 if quick else 30,
            random_state=0,
        ),
        {"n_components": [2, 4] if quick else [2, 4, 8, 16]},
        scoring=reconstruction_score,
        cv=2 if quick else 3,
        refit=False,
        error_score="raise",
    )
    X = workload("T", quick).data(quick)[:10_000]
    cluster, options = ENGINES[engine]
    with cluster(), parallel_config(**options):
        first, _ = clock(search.fit, X)
        again, _ = clock(search.fit, X)
    return {"first": first, "again": again, "best_score": float(search.best_score_)}


def search_part(args, figures):
    medians = measured(args, figures, "search", ENGINES, quick=args.quick)
    one = medians["one process"]
    print_table(
        "A search: four sizes, three folds, 10,000 x 30",
        ["", "first, s", "one process / it", "again, s", "one process / it", "best score"],
        [
            (
                engine,
                m["first"],
                ratio(one["first"], m["first"]),
                m["again"],
                ratio(one["again"], m["again"]),
                m["best_score"],
            )
            for engine, m in medians.items()
        ],
    )


# Rows in blocks


def table(n_rows, n_columns=10, chunk=100_000):
    """Dask array that is generated when it is computed; blocks are independent."""
    import dask.array as da

    def block(info):
        (start, stop), _ = info[None]["array-location"]
        rng = np.random.default_rng(start)
        code = rng.standard_normal((stop - start, 4), np.float32)
        mixing = np.random.default_rng(0).standard_normal((4, n_columns), np.float32)
        noise = rng.standard_normal((stop - start, n_columns), np.float32)
        return np.tanh(code @ mixing) + 0.1 * noise

    def drawn(block_info=None):
        return block(block_info)

    lengths = [min(chunk, n_rows - start) for start in range(0, n_rows, chunk)]
    return da.map_blocks(drawn, chunks=(tuple(lengths), (n_columns,)), dtype="float32")


WAYS = {"fit on all rows": 0, "Incremental, one pass": 1, "Incremental, five passes": 5}


def rows_worker(way, n_rows):
    """Worker: an autoencoder fitted whole or block by block; variance explained of new rows."""
    from dask_ml.wrappers import Incremental

    from skae import AutoencoderTransformer

    X, new = table(n_rows), table(n_rows + 20_000)[n_rows:].compute()
    ae = AutoencoderTransformer(
        4, hidden_layer_sizes=(32,), batch_size=256, init="random", random_state=0
    )
    if WAYS[way] == 0:
        ae.set_params(max_iter=5, tol=None)
        seconds, _ = clock(lambda: ae.fit(X.compute()))
    else:
        model = Incremental(ae, random_state=0)

        def passes():
            for _ in range(WAYS[way]):
                model.partial_fit(X)

        seconds, _ = clock(passes)
        ae = model.estimator_
    return {"seconds": seconds, "score": ae.score(new), "peak_mb": peak_mb()}


def rows_part(args, figures):
    n_rows = 20_000 if args.quick else 1_000_000
    medians = measured(args, figures, "rows", WAYS, n_rows=n_rows)
    print_table(
        f"Training on {n_rows:,} x 10, generated as they are read",
        ["", "seconds", "variance explained", "peak MB"],
        [(way, m["seconds"], m["score"], m["peak_mb"]) for way, m in medians.items()],
    )


# The detector


SCORING = ("one call", "blocks, 1 thread", "blocks, 2 threads", "blocks, 2 processes")


def fit_worker(path):
    """Worker: a fitted detector in a file, so that the scoring process has not trained."""
    from skae import AEAnomalyDetector

    detector = AEAnomalyDetector(novelty=True, hidden_layer_sizes=(64,), random_state=0)
    Path(path).write_bytes(pickle.dumps(detector.fit(table(10_000).compute())))
    return {}


def detector_worker(way, n_rows, path):
    """Worker: rows a second that a detector scores, and its peak memory."""
    import dask
    from threadpoolctl import threadpool_limits

    detector = pickle.loads(Path(path).read_bytes())
    X = table(n_rows, chunk=50_000)
    scores = X.map_blocks(detector.score_samples, drop_axis=1, dtype="float64")
    if way == "one call":
        seconds, values = clock(lambda: detector.score_samples(X.compute()))
        peak = peak_mb()
    elif way == "blocks, 2 processes":
        with dask_cluster() as client:
            client.run(type(detector).score_samples, detector, X[:1000].compute())
            seconds, values = clock(scores.compute)
            peak = max(client.run(peak_mb).values())
    else:
        threads = dask.config.set(scheduler="threads", num_workers=int(way.split()[1]))
        with threads, threadpool_limits(1):
            seconds, values = clock(scores.compute)
        peak = peak_mb()
    return {"rate": n_rows / seconds, "peak_mb": peak, "mean": float(values.mean())}


def detector_part(args, figures):
    n_rows = 20_000 if args.quick else 500_000
    cases = [(way, n_rows) for way in SCORING]
    if args.rows:
        cases.append(("blocks, 2 threads", args.rows))
    rows = []
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "detector.pkl")
        run_worker(__file__, "fit", path=path)
        for way, n in cases:
            found = measured(args, figures, "detector", [way], n_rows=n, path=path)
            for m in found.values():
                rows.append((way, f"{n:,}", m["rate"], m["peak_mb"], m["mean"]))
    print_table(
        "Rows of 10 columns, AEAnomalyDetector(novelty=True, hidden_layer_sizes=(64,))",
        ["", "rows", "rows a second", "peak MB", "mean score"],
        rows,
    )


# Several devices


def devices_worker(n_devices, name, batch_size, quick):
    """Worker: an epoch on JAX, on virtual devices of this processor."""
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={n_devices}"
    import keras

    from skae import AutoencoderTransformer

    work = replace(workload(name, quick), batch_size=batch_size)
    X = work.data(quick)
    if n_devices > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    seconds = {}
    for epochs in (1, 1, 1 + work.epochs):
        ae = AutoencoderTransformer(
            work.n_components,
            hidden_layer_sizes=work.hidden,
            init="random",
            learning_rate=0.001,
            batch_size=work.batch_size,
            early_stopping=False,
            max_iter=epochs,
            tol=None,
            random_state=0,
        )
        seconds[epochs], _ = clock(ae.fit, X)
    epoch = (seconds[1 + work.epochs] - seconds[1]) / work.epochs
    return {"epoch": epoch, "loss": ae.loss_curve_[-1]}


def devices_part(args, figures):
    rows = []
    for name, batch_size in ("T", 256), ("M", 64), ("M", 2048):
        runs = {}
        for n in (1, 2):
            options = {"name": name, "batch_size": batch_size, "quick": args.quick}
            found = measured(args, figures, "devices", [n], **options)
            if not found:
                return
            runs[n] = found[n]
            gain = ratio(runs[1]["epoch"], runs[n]["epoch"])
            loss = format(runs[n]["loss"], ".7g")
            label = f"{name}, batch {batch_size:,}; {n} devices"
            rows.append((label, runs[n]["epoch"], gain, loss))
    print_table(
        "An epoch on JAX, virtual devices on one processor",
        ["", "an epoch, s", "one device / it", "last loss"],
        rows,
    )


# Variants that each part compares, by the worker's name.
SIDES = {"search": "engine", "rows": "way", "detector": "way", "devices": "n_devices"}


def measured(args, figures, part, sides, **options):
    """Medians of every figure; variants that need a missing package are omitted."""
    runs = {side: [] for side in sides}
    for repeat in range(args.repeats):
        for side in sides:
            note(f"{part}, run {repeat + 1} of {args.repeats}: {side} {options}")
            result = run_worker(__file__, part, **{SIDES[part]: side}, **options)
            if "missing" in result:
                note("missing:", result["missing"])
            else:
                runs[side].append(result)
    return {
        side: {
            metric: figures.add(
                part, f"{side} {options}", metric, [run[metric] for run in found]
            )
            for metric in found[0]
        }
        for side, found in runs.items()
        if found
    }


def main(args):
    """Measure, print."""
    figures = Figures()
    print_machine(args.quick)
    for part in args.parts:
        globals()[f"{part}_part"](args, figures)
    figures.save(args.output)


if __name__ == "__main__":
    parser = parse(__doc__.split("\n\n")[0], repeats=3, parts=PARTS)
    parser.add_argument("--rows", type=int, help="also so many rows for the detector")
    arguments = parser.parse_args()
    if arguments.worker:
        serve({name: globals()[f"{name}_worker"] for name in (*PARTS, "fit")}, arguments)
    else:
        main(arguments)
