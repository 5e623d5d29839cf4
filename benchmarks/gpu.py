"""The same under JAX or PyTorch, on the device that Keras sees, beside raw loops.

    KERAS_BACKEND=jax python benchmarks/gpu.py [--quick] [--repeats N] [--output FILE]
    KERAS_BACKEND=torch python benchmarks/gpu.py ...

TensorFlow need not be installed. Without a GPU it runs on the CPU and says so.
"""

import os
from dataclasses import replace

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

from _common import (
    Figures,
    clock,
    note,
    parse,
    print_machine,
    print_table,
    ratio,
    run_worker,
    serve,
)
from _fits import compare, fit_worker
from _sides import REFERENCE, SIDES
from _workloads import workload

PARTS = ("S", "M", "search")
SIZES = [2, 4, 8, 16, 32]
RAW = {
    "jax": ["JAX loop, lax.scan"],
    "torch": ["PyTorch loop, fused Adam", "PyTorch loop, plain Adam"],
}


def device_worker():
    """Worker: the device that the backend puts tensors on."""
    backend = os.environ["KERAS_BACKEND"]
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        return {"device": f"{device.platform} ({device.device_kind})"}
    import torch

    if torch.cuda.is_available():
        return {"device": f"cuda ({torch.cuda.get_device_name()})"}
    return {"device": "cpu"}


def _searches(side, quick):
    """A function that makes one search and returns its best score."""
    from sklearn.model_selection import KFold

    from skae.metrics import variance_explained

    work = workload("S", quick)
    X = work.data(quick)
    sizes = SIZES[:2] if quick else SIZES
    folds = list(KFold(2 if quick else 5).split(X))
    sided = {size: SIDES[side](replace(work, n_components=size)) for size in sizes}

    def by_hand():
        best = -np.inf
        for fit in sided.values():
            scores = []
            for train, test in folds:
                reconstruct = fit(X[train], 0)
                scores.append(variance_explained(X[test], reconstruct(X[test])))
            best = max(best, np.mean(scores))
        return best

    if not side.startswith("skae"):
        return by_hand
    from sklearn.model_selection import GridSearchCV

    from skae import AutoencoderTransformer

    def by_search():
        search = GridSearchCV(
            AutoencoderTransformer(
                hidden_layer_sizes=work.hidden,
                init="random",
                learning_rate=0.001,
                batch_size=work.batch_size,
                max_iter=work.epochs,
                early_stopping=False,
                tol=None,
                random_state=0,
            ),
            {"n_components": sizes},
            cv=folds,
            refit=False,
            error_score="raise",
        )
        return search.fit(X).cv_results_["mean_test_score"].max()

    return by_search


def search_worker(side, quick):
    """Worker: a first search in this fresh process, and a second one."""
    search = _searches(side, quick)
    first, score = clock(search)
    second, _ = clock(search)
    return {"first_s": first, "again_s": second, "best_score": float(score)}


def search(args, sides, figures):
    """25 fits, five sizes by five folds, one after another."""
    medians = {}
    for side in sides:
        runs = []
        for repeat in range(args.repeats):
            note(f"search, run {repeat + 1} of {args.repeats}: {side}")
            runs.append(run_worker(__file__, "search", side=side, quick=args.quick))
        medians[side] = {
            metric: figures.add("search", side, metric, [run[metric] for run in runs])
            for metric in runs[0]
        }
    skae = medians[REFERENCE]
    rows = []
    for side, m in medians.items():
        first, again = (ratio(m[key], skae[key]) for key in ("first_s", "again_s"))
        rows.append((side, m["first_s"], first, m["again_s"], again, m["best_score"]))
    print_table(
        "25 fits: five latent sizes, five folds, S",
        ["", "first search, s", "/ skae", "second, s", "/ skae", "best score"],
        rows,
    )


def main(args):
    """Run the parts asked for and print."""
    backend = os.environ["KERAS_BACKEND"]
    if backend not in RAW:
        raise SystemExit(f"KERAS_BACKEND must be one of {sorted(RAW)}; it is {backend!r}.")
    figures = Figures()
    print_machine(args.quick, backend)
    device = run_worker(__file__, "device")
    if "missing" in device:
        raise SystemExit(f"KERAS_BACKEND={backend} needs {device['missing']}.")
    print("Device:", device["device"])
    for part in args.parts:
        if part == "search":
            search(args, [REFERENCE, *RAW[backend]], figures)
        else:
            sides = [REFERENCE, "skae, init='pca'", "keras.Model.fit", *RAW[backend]]
            compare(__file__, part, sides, args.quick, args.repeats, figures)
    figures.save(args.output)


WORKERS = {"fit": fit_worker, "device": device_worker, "search": search_worker}

if __name__ == "__main__":
    arguments = parse(__doc__.split("\n\n")[0], repeats=3, parts=PARTS).parse_args()
    if arguments.worker:
        serve(WORKERS, arguments)
    else:
        main(arguments)
