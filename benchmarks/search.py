"""A grid search over the latent size: skae and a hand-written Keras estimator.

    python benchmarks/search.py [--quick] [--repeats N] [--peer-repeats N] [--output FILE]

Five latent sizes, five folds and the final refit: 26 fits of 50 epochs on the digits, one
after another, each search in a fresh process. Ratios are Keras estimator / skae.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from _common import (
    Figures,
    clock,
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
    """Search with both, print."""
    figures, medians = Figures(), {}
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    rows = []
    for side in SIDES:
        repeats = args.repeats if side == "skae" else args.peer_repeats
        told, options = ("search", side, repeats), {"side": side, "quick": args.quick}
        medians[side] = medians_of(figures, *told, __file__, "search", **options)
    for side, m in medians.items():
        times = ratio(m["seconds"], medians["skae"]["seconds"])
        rows.append((side, m["seconds"], times, m["best_score"], m["best_size"], m["peak_mb"]))
    print_table(
        "GridSearchCV, latent size, digits",
        ["", "seconds", "/ skae", "best score", "at size", "peak MB"],
        rows,
    )
    measured = ratio(medians["Keras estimator"]["seconds"], medians["skae"]["seconds"])
    print_bars([("search, Keras estimator / skae", ">=", 25, measured)], figures)
    figures.save(args.output)


if __name__ == "__main__":
    parser = parse(__doc__.split("\n\n")[0], repeats=3)
    parser.add_argument(
        "--peer-repeats",
        type=int,
        default=1,
        help="searches of the Keras estimator (minutes each)",
    )
    arguments = parser.parse_args()
    if arguments.worker:
        serve({"search": search_worker}, arguments)
    else:
        main(arguments)
