"""A grid search over the latent size: skae and a hand-written Keras estimator.

    python benchmarks/search.py [--quick] [--repeats N] [--peer-repeats N] [--output FILE]
        [--parts search folds rows halving]

Five latent sizes, five folds and the final refit: 26 fits of 50 epochs on the digits, one
after another, each search in a fresh process. Ratios are Keras estimator / skae. The other
parts count processor seconds: `folds` are the fits alone, with the learning rate of the
defaults and `tol=0` (of the Keras estimator five are timed), `rows` is a refit by the number of
rows, and `halving` a search in which scikit-learn stops hopeless candidates after a few epochs.
"""

import os
import time
from itertools import pairwise

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from _common import (
    Figures,
    clock,
    median,
    medians_of,
    parse,
    peak_mb,
    print_bars,
    print_machine,
    print_table,
    ratio,
    serve,
)

SIDES = ("skae", "Keras estimator")
SIZES = [2, 4, 8, 16, 32]
PARTS = ("search", "folds", "rows", "halving")
ROWS = (500, 1000, 1437, 1797, 3000)
ENDING = {"tol": 0, "learning_rate": "auto"}  # a fit may end early
RATES = [0.0003, 0.001, 0.003]  # of the search that is halved


def skae_estimator(epochs):
    """skae's estimator."""
    import keras  # noqa: F401

    import skae.training._train  # noqa: F401
    from skae import AutoencoderTransformer

    return AutoencoderTransformer(
        hidden_layer_sizes=(32,),
        init="random",
        learning_rate=0.001,
        batch_size=32,
        max_iter=epochs,
        early_stopping=False,
        tol=None,
        random_state=0,
    )


def keras_estimator(epochs):
    """Plain estimator: scikit-learn's base classes around `keras.Model.fit`.

    Codes and reconstructions are computed by calling the model, which is faster on such rows
    than `Model.predict`.
    """
    import keras
    from sklearn.base import BaseEstimator, TransformerMixin

    class KerasAutoencoder(TransformerMixin, BaseEstimator):
        def __init__(self, n_components=2, hidden=32, epochs=50, batch_size=32):
            self.n_components = n_components
            self.hidden = hidden
            self.epochs = epochs
            self.batch_size = batch_size

        def fit(self, X, y=None):
            dense = keras.layers.Dense
            self.encoder_ = keras.Sequential(
                [
                    keras.Input((X.shape[1],)),
                    dense(self.hidden, activation="relu"),
                    dense(self.n_components),
                ]
            )
            self.decoder_ = keras.Sequential(
                [
                    keras.Input((self.n_components,)),
                    dense(self.hidden, activation="relu"),
                    dense(X.shape[1]),
                ]
            )
            model = keras.Sequential([self.encoder_, self.decoder_])
            model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
            model.fit(X, X, epochs=self.epochs, batch_size=self.batch_size, verbose=0)
            return self

        def transform(self, X):
            return keras.ops.convert_to_numpy(self.encoder_(X))

        def inverse_transform(self, X):
            return keras.ops.convert_to_numpy(self.decoder_(X))

    return KerasAutoencoder(epochs=epochs)


def digits(n_rows=None):
    """Standardised digits, as many as wanted."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.preprocessing import StandardScaler

    X = StandardScaler().fit_transform(load_digits().data)
    return np.concatenate([X, X])[: n_rows or len(X)]


def spent(function, *args):
    """Processor seconds of a call, in all threads."""
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def folds_worker(side, quick):
    """Worker: processor seconds of a fit, the first with its compilation, on average."""
    from sklearn.model_selection import KFold

    X = digits(300 if quick else None)
    make = {"skae": skae_estimator, "Keras estimator": keras_estimator}[side]
    estimator = make(2 if quick else 50)
    if side == "skae":
        estimator.set_params(**ENDING)
    folds = [train for train, _ in KFold(2 if quick else 5).split(X)]
    # Each fit of the Keras estimator takes as long as the others.
    folds = folds if side == "skae" else folds[:1]
    seconds = [
        spent(estimator.set_params(n_components=size).fit, X[train])
        for size in SIZES
        for train in folds
    ]
    return {"seconds": sum(seconds) / len(seconds)}


def rows_worker(quick):
    """Worker: processor seconds of a refit, by the number of rows."""
    seconds = {}
    for n_rows in ROWS:
        estimator, X = skae_estimator(2 if quick else 50).set_params(**ENDING), digits(n_rows)
        estimator.fit(X)
        seconds[str(n_rows)] = median([spent(estimator.fit, X) for _ in range(5)])
    return seconds


def halving_worker(halved, quick):
    """Worker: one search over sizes and learning rates, each with all epochs or halved."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

    from skae.metrics import reconstruction_score

    epochs = 6 if quick else 54
    grid = {"n_components": SIZES, "learning_rate": RATES}
    options = {"scoring": reconstruction_score, "cv": 2 if quick else 5, "refit": False}
    estimator = skae_estimator(epochs)
    if halved:
        resource = {
            "resource": "max_iter",
            "max_resources": epochs,
            "min_resources": epochs // 9,
        }
        search = HalvingGridSearchCV(estimator, grid, random_state=0, **resource, **options)
    else:
        search = GridSearchCV(estimator, grid, **options)
    seconds = spent(search.fit, digits(300 if quick else None))
    best = search.cv_results_["params"][search.best_index_]
    return {
        "seconds": seconds,
        "best_score": float(search.best_score_),
        "best_size": best["n_components"],
        "best_rate": best["learning_rate"],
    }


def search_worker(side, quick):
    """Worker: one whole search in this fresh process."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    from skae.metrics import reconstruction_score

    X = load_digits().data[: 300 if quick else None]
    make = {"skae": skae_estimator, "Keras estimator": keras_estimator}[side]
    reduce = make(2 if quick else 50)
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("reduce", reduce)]),
        {"reduce__n_components": SIZES[:2] if quick else SIZES},
        scoring=reconstruction_score,
        cv=2 if quick else 5,
        error_score="raise",
    )
    seconds, _ = clock(search.fit, X)
    return {
        "seconds": seconds,
        "best_score": float(search.best_score_),
        "best_size": search.best_params_["reduce__n_components"],
        "peak_mb": peak_mb(),
    }


def main(args):
    """Measure the selected parts, print."""
    figures, bars = Figures(), []
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    for part in args.parts:
        bars += {"search": search, "folds": folds, "rows": rows, "halving": halving}[part](
            args, figures
        )
    print_bars(bars, figures)
    figures.save(args.output)


def sides_of(part, args, figures):
    """Medians of both sides of a part, and Keras estimator / skae."""
    medians = {}
    for side in SIDES:
        repeats = args.repeats if side == "skae" else args.peer_repeats
        options = {"side": side, "quick": args.quick}
        medians[side] = medians_of(figures, part, side, repeats, __file__, part, **options)
    return medians, ratio(medians["Keras estimator"]["seconds"], medians["skae"]["seconds"])


def folds(args, figures):
    """Fits of five sizes and five folds, without the search around them."""
    medians, times = sides_of("folds", args, figures)
    rows = [
        (side, m["seconds"], ratio(m["seconds"], medians["skae"]["seconds"]))
        for side, m in medians.items()
    ]
    print_table("a fit of 25, sizes and folds", ["", "CPU s", "/ skae"], rows)
    return [("25 fits, Keras estimator / skae", ">=", 20, times)]


def rows(args, figures):
    """A refit by the number of rows: the seconds of a row beside those of fewer rows."""
    seconds = medians_of(
        figures, "rows", "skae", args.repeats, __file__, "rows", quick=args.quick
    )
    each = [seconds[str(n)] / n for n in ROWS]
    steps = [None, *(b / a for a, b in pairwise(each))]
    table = [
        (str(n), n * e, 1e6 * e, step) for n, e, step in zip(ROWS, each, steps, strict=True)
    ]
    print_table("a refit by rows", ["rows", "CPU s", "us a row", "/ row above"], table)
    largest = max(max(step, 1 / step) for step in steps[1:])
    return [("a refit by rows: largest step besides the rows", "<=", 1.5, largest)]


def halving(args, figures):
    """A grid of sizes and learning rates, whole and by successive halving."""
    table = []
    for halved in (False, True):
        name = "HalvingGridSearchCV" if halved else "GridSearchCV"
        told, options = ("halving", name, args.repeats), {"halved": halved, "quick": args.quick}
        m = medians_of(figures, *told, __file__, "halving", **options)
        table.append((name, *m.values()))
    header = ["", "CPU s", "best score", "at size", "at rate"]
    print_table("15 candidates, sizes and learning rates", header, table)
    return []


def search(args, figures):
    """The whole search with both."""
    medians, times = sides_of("search", args, figures)
    rows = [
        (
            side,
            m["seconds"],
            ratio(m["seconds"], medians["skae"]["seconds"]),
            m["best_score"],
            m["best_size"],
            m["peak_mb"],
        )
        for side, m in medians.items()
    ]
    print_table(
        "GridSearchCV, latent size, digits",
        ["", "seconds", "/ skae", "best score", "at size", "peak MB"],
        rows,
    )
    return [("search, Keras estimator / skae", ">=", 35, times)]


WORKERS = {
    "search": search_worker,
    "folds": folds_worker,
    "rows": rows_worker,
    "halving": halving_worker,
}

if __name__ == "__main__":
    parser = parse(__doc__.split("\n\n")[0], repeats=3, parts=PARTS)
    parser.add_argument(
        "--peer-repeats",
        type=int,
        default=1,
        help="searches of the Keras estimator (minutes each)",
    )
    arguments = parser.parse_args()
    if arguments.worker:
        serve(WORKERS, arguments)
    else:
        main(arguments)
