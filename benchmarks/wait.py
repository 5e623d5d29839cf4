"""Training time at the defaults, with `init="random"`, and of PCA.

    python benchmarks/wait.py [--quick] [--repeats N] [--parts 300x10 ...] [--output FILE]

Synthetic tables of several sizes: nonlinear functions of fewer variables than columns, and
noise. The code has a fifth as many columns as the table, at most 16. A first fit is made in a
fresh process and includes compilation, not the import of the backend; a refit is another in
the same process. The printed table is that of `docs/user_guide/training_time.rst`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

from _common import (
    Figures,
    clock,
    note,
    number,
    parse,
    print_machine,
    run_worker,
    serve,
)

PARTS = ("300x10", "2000x20", "10000x50", "50000x30", "10000x784")
SIDES = ("PCA", "one start", "default")
HEADER = (
    "rows x columns",
    "PCA explains",
    "PCA",
    "one start, first",
    "again",
    "default, first",
    "again",
)


def table(part, quick):
    """Standardised synthetic columns, and the size of the code."""
    n, d = map(int, part.split("x"))
    n = min(n, 300) if quick else n
    size = max(2, min(d // 5, 16))
    rng = np.random.default_rng(0)
    bent = np.tanh(rng.standard_normal((n, size)) @ rng.standard_normal((size, d)))
    X = bent + 0.1 * rng.standard_normal((n, d))
    return (X - X.mean(axis=0)) / X.std(axis=0), size


def model(side, size, seed, quick):
    """Return the estimator of a variant."""
    from sklearn.decomposition import PCA

    from skae import AutoencoderTransformer

    if side == "PCA":
        return PCA(size, random_state=seed)
    init = "random" if side == "one start" else "pca"
    few = {"max_iter": 2} if quick else {}
    return AutoencoderTransformer(size, init=init, random_state=seed, **few)


def fit_worker(part, side, quick):
    """Worker: a first fit in this fresh process, and another."""
    import keras  # noqa: F401

    import skae.training._train  # noqa: F401

    X, size = table(part, quick)
    first, fitted = clock(model(side, size, 0, quick).fit, X)
    again, _ = clock(model(side, size, 1, quick).fit, X)
    share = float(fitted.explained_variance_ratio_.sum()) if side == "PCA" else None
    return {"first_s": first, "refit_s": again, "share": share}


def seconds(value):
    """Format seconds as in the guide."""
    return number(value, ".0f" if value >= 10 else ".1f" if value >= 1 else ".2g")


def row_of(part, args, figures):
    """Medians of all variants, as text."""
    runs = {side: [] for side in SIDES}
    for repeat in range(args.repeats):
        for side in SIDES:
            note(f"{part}, run {repeat + 1} of {args.repeats}: {side}")
            told = {"part": part, "side": side, "quick": args.quick}
            runs[side].append(run_worker(__file__, "fit", **told))
    medians = [
        figures.add(part, side, metric, [run[metric] for run in runs[side]])
        for side in SIDES
        for metric in ("first_s", "refit_s")
    ]
    n, d = part.split("x")
    share = figures.add(part, "PCA", "share", [run["share"] for run in runs["PCA"]])
    # PCA has nothing to compile: one fit is shown.
    return [f"{int(n):,} x {d}", f"{share:.0%}", *map(seconds, [medians[0], *medians[2:]])]


def print_row(row):
    """Row of a list-table in reStructuredText."""
    print("   * - " + "\n     - ".join(row), flush=True)


def main(args):
    """Measure all sizes, print."""
    figures = Figures()
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    print(f"Medians of {args.repeats} runs, in seconds.")
    print("\n.. list-table::\n   :header-rows: 1\n")
    print_row(HEADER)
    for part in args.parts:
        print_row(row_of(part, args, figures))
    figures.save(args.output)


if __name__ == "__main__":
    arguments = parse(__doc__.split("\n\n")[0], repeats=3, parts=PARTS).parse_args()
    if arguments.worker:
        serve({"fit": fit_worker}, arguments)
    else:
        main(arguments)
