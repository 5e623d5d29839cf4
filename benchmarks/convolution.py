"""Seconds of a convolutional epoch: skae and `keras.Model.fit`, the same network.

Images are 2,000 of workload M: sums of soft spots, 28 x 28 pixels in [0, 1]. The network
has 16-8-8 filters of 3 x 3 and a code of 16 numbers; ReLU, Adam, squared error, batches of
64, no rows held out. skae trains with ``init="random"`` and ``hidden_layer_sizes=()``, without
a path beside the convolutions.

Both train in one process, first an epoch that builds and compiles, then in turns: the figure
is the median seconds of the later fits, divided by their epochs. A fit of skae trains new
weights, one of `keras.Model.fit` continues with the same compiled model; neither compiles
again.
"""

import math
import os
import statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

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

FILTERS = (16, 8, 8)
N_COMPONENTS = 16
BATCH_SIZE = 64
KINDS = {
    "strides": {"downsampling": "strides", "upsampling": "nearest"},
    "max pooling": {"downsampling": "max_pooling", "upsampling": "nearest"},
    "transposed": {"downsampling": "strides", "upsampling": "transposed"},
}
TURNS, EPOCHS = 5, 2


def images(quick):
    """Images of 28 x 28 x 1, float32."""
    X = workload("M").data(quick=True)
    return (X[:640] if quick else X).reshape(-1, 28, 28, 1)


def keras_model(downsampling, upsampling):
    """Hand-written Keras model."""
    from keras import Input, Sequential, layers

    sizes = [28]
    for _ in FILTERS:
        sizes.append(math.ceil(sizes[-1] / 2))
    strided = downsampling == "strides"
    stack = [Input((28, 28, 1))]
    for filters in FILTERS:
        strides = 2 if strided else 1
        stack.append(layers.Conv2D(filters, 3, strides, padding="same", activation="relu"))
        if not strided:
            stack.append(layers.MaxPooling2D(2, padding="same"))
    stack += [layers.Flatten(), layers.Dense(N_COMPONENTS)]
    smallest = (sizes[-1], sizes[-1], FILTERS[-1])
    stack += [layers.Dense(math.prod(smallest), activation="relu"), layers.Reshape(smallest)]
    for filters, small, size in zip(FILTERS[::-1], sizes[:0:-1], sizes[-2::-1], strict=True):
        if upsampling == "transposed":
            up = layers.Conv2DTranspose(filters, 3, 2, padding="same", activation="relu")
            stack.append(up)
        else:
            stack.append(layers.Conv2D(filters, 3, padding="same", activation="relu"))
            stack.append(layers.UpSampling2D(2))
        if size != 2 * small:
            stack.append(layers.Cropping2D(((0, 1), (0, 1))))
    stack.append(layers.Conv2D(1, 3, padding="same"))
    return Sequential(stack)


def keras_side(X, kind):
    """Trains for a number of epochs by `keras.Model.fit`."""
    import keras

    model = keras_model(**KINDS[kind])
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    return lambda epochs: model.fit(X, X, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)


def skae_side(X, kind):
    """Trains for a number of epochs by the estimator."""
    from skae import AutoencoderTransformer
    from skae.networks import ConvNetwork

    ae = AutoencoderTransformer(
        N_COMPONENTS,
        network=ConvNetwork(FILTERS, **KINDS[kind]),
        hidden_layer_sizes=(),
        init="random",
        learning_rate=0.001,
        batch_size=BATCH_SIZE,
        early_stopping=False,
        tol=None,
        random_state=0,
    )
    return lambda epochs: ae.set_params(max_iter=epochs).fit(X)


SIDES = {"skae": skae_side, "keras.Model.fit": keras_side}


def epochs_worker(kind, quick):
    """Seconds of an epoch, for each of both."""
    X = images(quick)
    sides = {name: side(X, kind) for name, side in SIDES.items()}
    for train in sides.values():
        train(1)
    seconds = {name: [] for name in sides}
    for _ in range(2 if quick else TURNS):
        for name, train in sides.items():
            seconds[name].append(clock(train, EPOCHS)[0] / EPOCHS)
    return {name: statistics.median(times) for name, times in seconds.items()}


def main(args):
    """Measure, print."""
    figures, rows, bars = Figures(), [], []
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    for kind in KINDS:
        runs = []
        for repeat in range(args.repeats):
            note(f"{kind}, run {repeat + 1} of {args.repeats}")
            runs.append(run_worker(__file__, "epochs", kind=kind, quick=args.quick))
        ours, theirs = (
            figures.add(kind, side, "seconds an epoch", [run[side] for run in runs])
            for side in SIDES
        )
        rows.append((kind, ours, theirs, ratio(theirs, ours)))
        bars.append((f"an epoch, {kind}, keras.Model.fit / skae", ">=", 1, rows[-1][-1]))
    print_table(
        f"One epoch of convolutions, batches of {BATCH_SIZE}",
        ["", "skae, s", "keras.Model.fit, s", "keras / skae"],
        rows,
    )
    print_bars(bars, figures)
    figures.save(args.output)


if __name__ == "__main__":
    arguments = parse(__doc__.split("\n\n")[0], repeats=3).parse_args()
    if arguments.worker:
        serve({"epochs": epochs_worker}, arguments)
    else:
        main(arguments)
