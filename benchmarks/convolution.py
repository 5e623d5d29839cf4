"""Seconds of a convolutional epoch: skae beside `keras.Model.fit`, the same network.

Images are those of workload M, sums of soft spots of 28 x 28 pixels in [0, 1]. The network
has 16-8-8 filters of 3 x 3 and a code of 16 numbers; ReLU, Adam, squared error, batches of
64, no rows held out. skae trains with ``init="random"``, without the linear path.

Each measurement is a process of its own. It trains once for one epoch, which builds and
compiles, and then for several: an epoch of `keras.Model.fit` is timed by a callback, the
median of those after the first; one of skae is what a refit takes (nothing is built again)
divided by its epochs.
"""

import math
import os
import statistics
import time

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
SIDES = ("skae", "keras.Model.fit")


def images(quick):
    """Images of 28 x 28 x 1, float32."""
    X = workload("M", quick=True).data(quick=quick)[: 640 if quick else 8000]
    return X.reshape(-1, 28, 28, 1)


def keras_model(downsampling, upsampling):
    """What one writes by hand."""
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


def keras_worker(kind, quick):
    """Seconds of an epoch of `keras.Model.fit`."""
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seconds = []

        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds.append(time.perf_counter() - self.start)

    X = images(quick)
    model = keras_model(**KINDS[kind])
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    told = Clock()
    epochs = 3 if quick else 6
    model.fit(X, X, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[told])
    loss = model.evaluate(X, X, batch_size=256, verbose=0)
    return {"seconds": statistics.median(told.seconds[1:]), "loss": float(loss)}


def skae_worker(kind, quick):
    """Seconds of an epoch of the estimator."""
    import numpy as np

    from skae import AutoencoderTransformer
    from skae.networks import ConvNetwork

    X = images(quick)
    epochs = 3 if quick else 6
    ae = AutoencoderTransformer(
        N_COMPONENTS,
        network=ConvNetwork(FILTERS, **KINDS[kind]),
        init="random",
        batch_size=BATCH_SIZE,
        max_iter=1,
        early_stopping=False,
        tol=None,
        random_state=0,
    ).fit(X)
    seconds, _ = clock(ae.set_params(max_iter=epochs).fit, X)
    loss = float(np.mean(np.square(X - ae.reconstruct(X))))
    return {"seconds": seconds / epochs, "loss": loss}


WORKERS = {"skae": skae_worker, "keras.Model.fit": keras_worker}


def main(args):
    """Train with both in turns, print."""
    figures, rows, bars = Figures(), [], []
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    for kind in KINDS:
        runs = {side: [] for side in SIDES}
        for repeat in range(args.repeats):
            for side in SIDES:
                note(f"{kind}, run {repeat + 1} of {args.repeats}: {side}")
                runs[side].append(run_worker(__file__, side, kind=kind, quick=args.quick))
        seconds, loss = (
            [figures.add(kind, s, metric, [run[metric] for run in runs[s]]) for s in SIDES]
            for metric in ("seconds", "loss")
        )
        times = ratio(seconds[1], seconds[0])
        rows.append((kind, *seconds, times, *loss))
        bars.append((f"an epoch, {kind}, keras.Model.fit / skae", ">=", 1, times))
    print_table(
        f"One epoch of convolutions, batches of {BATCH_SIZE}",
        ["", "skae, s", "keras, s", "keras / skae", "loss skae", "loss keras"],
        rows,
    )
    print_bars(bars, figures)
    figures.save(args.output)


if __name__ == "__main__":
    arguments = parse(__doc__.split("\n\n")[0], repeats=3).parse_args()
    if arguments.worker:
        serve(WORKERS, arguments)
    else:
        main(arguments)
