"""One epoch of a denoising autoencoder, compared with one of the plain autoencoder.

    python benchmarks/denoising.py [--quick] [--repeats N] [--output FILE]

The network of workload M, 784-100-20-100-784 in batches of 64, on a part of its rows. It
measures the time of new noise in every step.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import statistics

from _common import (
    Figures,
    clock,
    note,
    parse,
    print_bars,
    print_machine,
    print_table,
    ratio,
    run_worker,
    serve,
)
from _workloads import workload

EPOCHS, TURNS = 10, 7
N_ROWS = 12_000


def sides():
    """Estimators by name, of the same network."""
    from skae import AutoencoderTransformer, DenoisingAutoencoder
    from skae.corruption import GaussianNoise
    from skae.corruption._corruptions import CORRUPTIONS

    work = workload("M")
    common = {
        "n_components": work.n_components,
        "hidden_layer_sizes": work.hidden,
        "batch_size": work.batch_size,
        "max_iter": EPOCHS,
        "early_stopping": False,
        "tol": None,
        "random_state": 0,
    }
    noises = {**CORRUPTIONS, "gaussian, clipped": GaussianNoise(0.5, unit="data", clip=True)}
    noises = {k: v if isinstance(v, GaussianNoise) else k for k, v in noises.items()}
    return {"plain": AutoencoderTransformer(**common)} | {
        name: DenoisingAutoencoder(corruption=noise, **common) for name, noise in noises.items()
    }


def epochs_worker(quick):
    """Seconds of an epoch, for each estimator; they take turns."""
    X = workload("M").data(quick)[: 1000 if quick else N_ROWS]
    estimators = sides()
    for estimator in estimators.values():
        estimator.fit(X)
    seconds = {name: [] for name in estimators}
    for _ in range(2 if quick else TURNS):
        for name, estimator in estimators.items():
            seconds[name].append(clock(estimator.fit, X)[0] / EPOCHS)
    return {name: statistics.median(times) for name, times in seconds.items()}


def main(args):
    """Measure, print."""
    figures = Figures()
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    runs = []
    for repeat in range(args.repeats):
        note(f"run {repeat + 1} of {args.repeats}")
        runs.append(run_worker(__file__, "epochs", quick=args.quick))
    medians = {
        name: figures.add("denoising", name, "seconds an epoch", [run[name] for run in runs])
        for name in runs[0]
    }
    plain = medians["plain"]
    print_table(
        "One epoch, 784-100-20-100-784",
        ["", "s", "/ plain"],
        [(name, seconds, ratio(seconds, plain)) for name, seconds in medians.items()],
    )
    bar = ("an epoch with Gaussian noise / plain", "<=", 1.1, ratio(medians["gaussian"], plain))
    print_bars([bar], figures)
    figures.save(args.output)


if __name__ == "__main__":
    arguments = parse(__doc__.split("\n\n")[0], repeats=3).parse_args()
    if arguments.worker:
        serve({"epochs": epochs_worker}, arguments)
    else:
        main(arguments)
