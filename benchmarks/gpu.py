"""Fits with JAX or PyTorch, on the device that Keras sees, and raw loops.

    KERAS_BACKEND=jax python benchmarks/gpu.py [--quick] [--repeats N] [--output FILE]
    KERAS_BACKEND=torch python benchmarks/gpu.py ...

TensorFlow need not be installed. Without a GPU it runs on the CPU and prints that. "default" is
the estimator as it comes, on the device and on the processor of the same machine; "together"
is many small networks trained side by side in plain JAX, as one batched product.
"""

import os
from dataclasses import replace

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

from _common import (
    Figures,
    clock,
    medians_of,
    note,
    parse,
    print_machine,
    print_table,
    ratio,
    run_worker,
    serve,
)
from _fits import compare, fit_worker
from _sides import REFERENCE, SIDES, jax_training
from _workloads import workload

PARTS = ("S", "M", "search", "default", "together")
SIZES = [2, 4, 8, 16, 32]
# Epochs of the images, which take a few seconds each on the processor.
DEFAULT = {"S": 100, "T": 100, "M": 10}
NETWORKS = (1, 5, 25, 100, 400)
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
    """Return a function that runs one search and returns its best score."""
    from sklearn.model_selection import KFold

    from skae.metrics import variance_explained

    work = workload("S", quick)
    X = work.data(quick)
    sizes = SIZES[:2] if quick else SIZES
    folds = list(KFold(2 if quick else 5).split(X))
    if not side.startswith("skae"):
        sided = [SIDES[side](replace(work, n_components=size)) for size in sizes]

        def by_hand():
            best = -np.inf
            for fit in sided:
                scores = []
                for train, test in folds:
                    reconstruct = fit(X[train], 0)
                    scores.append(variance_explained(X[test], reconstruct(X[test])))
                best = max(best, np.mean(scores))
            return best

        return by_hand
    import keras  # noqa: F401
    from sklearn.model_selection import GridSearchCV

    import skae.training._train  # noqa: F401
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
        told = ("search", side, args.repeats)
        options = {"side": side, "quick": args.quick}
        medians[side] = medians_of(figures, *told, __file__, "search", **options)
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


def default_worker(name, quick, on_cpu):
    """Worker: fits with the defaults, the first of which builds and compiles."""
    if on_cpu:
        os.environ |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    import keras  # noqa: F401

    import skae.training._train  # noqa: F401
    from skae import AutoencoderTransformer

    work = workload(name, quick)
    X = work.data(quick)
    cut = len(X) * 4 // 5
    seconds = []
    for seed in range(2):
        model = AutoencoderTransformer(
            work.n_components, max_iter=2 if quick else DEFAULT[name], random_state=seed
        )
        seconds.append(clock(model.fit, X[:cut])[0])
    return {"first_s": seconds[0], "again_s": seconds[1], "score": model.score(X[cut:])}


def default(args, figures):
    """The estimator with its defaults, on the device and on the processor."""
    rows = []
    for name, epochs in DEFAULT.items():
        sides = {}
        for side in ("device", "processor"):
            told = (f"default {name}", side, args.repeats)
            options = {"name": name, "quick": args.quick, "on_cpu": side == "processor"}
            sides[side] = medians_of(figures, *told, __file__, "default", **options)
        for side, m in sides.items():
            first, again = (ratio(m[k], sides["device"][k]) for k in ("first_s", "again_s"))
            label = f"{name}, at most {epochs} epochs: {side}"
            rows.append((label, m["first_s"], first, m["again_s"], again, m["score"]))
    print_table(
        "The defaults, and the processor of the same machine",
        ["", "first fit, s", "/ device", "second, s", "/ device", "held-out variance"],
        rows,
    )


def together_worker(n_networks, quick):
    """Worker: seconds of 20 epochs of so many networks at once, compiled."""
    import jax
    import jax.numpy as jnp

    work = workload("S", quick)
    start, epoch, _ = jax_training(work)
    together = jax.jit(jax.vmap(epoch, in_axes=(0, None, 0)))
    data = jnp.asarray(work.data(quick))
    keys = jax.random.split(jax.random.key(0), n_networks)

    def train():
        starts = [start(seed) for seed in range(n_networks)]
        state = jax.tree.map(lambda *arrays: jnp.stack(arrays), *starts)
        jax.block_until_ready(state)
        return clock(epochs, state)[0]

    def epochs(state):
        for _ in range(20):
            state = together(state, data, keys)
        return jax.block_until_ready(state)

    first = train()
    return {"first_s": first, "again_s": min(train() for _ in range(3))}


def together(args, figures):
    """What networks side by side cost beside one."""
    rows, alone = [], None
    for n_networks in NETWORKS[:2] if args.quick else NETWORKS:
        note(f"together: {n_networks}")
        run = run_worker(__file__, "together", n_networks=n_networks, quick=args.quick)
        if "missing" in run:
            return
        for metric, seconds in run.items():
            figures.add("together", str(n_networks), metric, [seconds])
        alone = alone or run["again_s"]
        again = run["again_s"]
        rows.append((str(n_networks), run["first_s"], again, again / alone / n_networks))
    print_table(
        "Networks trained side by side, S, 20 epochs, plain JAX",
        ["networks", "first, s", "compiled, s", "each / one alone"],
        rows,
    )


def main(args):
    """Run the selected parts and print."""
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
        elif part == "default":
            default(args, figures)
        elif part == "together":
            together(args, figures)
        else:
            sides = [REFERENCE, "skae, init='pca'", "keras.Model.fit", *RAW[backend]]
            compare(__file__, part, sides, args.quick, args.repeats, figures)
    figures.save(args.output)


WORKERS = {
    "fit": fit_worker,
    "device": device_worker,
    "search": search_worker,
    "default": default_worker,
    "together": together_worker,
}

if __name__ == "__main__":
    arguments = parse(__doc__.split("\n\n")[0], repeats=3, parts=PARTS).parse_args()
    if arguments.worker:
        serve(WORKERS, arguments)
    else:
        main(arguments)
