"""The classic tutorials: their own networks, and skae's defaults at the same code size.

Held-out variance explained and PSNR of the networks that tutorials train on MNIST: written by
hand in Keras (`keras.Sequential` and `fit`), and with skae, from random weights (exactly
the tutorial's network) and from the principal components, in the same number of epochs on
the same rows. Then skae's defaults and PCA at the same code sizes, and denoising compared
with PCA with its best number of components. Trained on the first 80 % of the images, tested on
the others.

    python benchmarks/tutorials.py --data mnist_10k.npz

The file holds `images` and `labels`; without it scikit-learn's digits are used, for which
no bar was set.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from _common import Figures, clock, note, parse, print_bars, print_machine, print_table
from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae.corruption import GaussianNoise

SEED = 0

# Hidden layers of the encoder, code, activation, output, loss and batch of each tutorial.
TUTORIALS = {
    "a) 784-100-20": ((100,), 20, "relu", "linear", "squared_error", 64),
    "b) 784-32": ((), 32, "relu", "sigmoid", "binary_crossentropy", 256),
    "b) deep 784-64-32-16": ((64, 32), 16, "relu", "sigmoid", "binary_crossentropy", 256),
    "e) 784-25": ((), 25, "elu", "sigmoid", "squared_error", 64),
    "e) 784-25, linear output": ((), 25, "elu", "linear", "squared_error", 64),
    "e) 784-32": ((), 32, "relu", "sigmoid", "binary_crossentropy", 64),
}
EPOCHS = 50

# Results of the same networks, written by hand in Keras, on these rows when the bars were
# set: variance explained and PSNR.
SET = {
    "a) 784-100-20": (0.682, 16.6),
    "b) 784-32": (0.804, 18.6),
    "b) deep 784-64-32-16": (0.635, 16.1),
    "e) 784-25": (0.713, 17.1),
}
SIZES = (16, 20, 25, 32)
MARGIN = 0.10
MARGIN_DB = 2.0

NOISE = GaussianNoise(0.5, unit="data", clip=True)
COMPONENTS = (5, 10, 20, 30, 40, 60, 80, 100, 150)
DENOISER = {"n_components": 32, "hidden_layer_sizes": (256, 128), "random_state": SEED}


def images(path):
    """Rows of pixels in [0, 1], to train on and to test on."""
    if path is None:
        rows = load_digits().data / 16
    else:
        rows = np.load(path)["images"] / 255
        rows = rows.reshape(len(rows), -1)
    n_train = len(rows) * 4 // 5
    return rows[:n_train].astype(np.float32), rows[n_train:].astype(np.float32)


def psnr(originals, others):
    """Peak signal-to-noise ratio in dB, of all images together."""
    return float(-10 * np.log10(np.square(originals - others).mean()))


def variance(train, test, output):
    """Share of variance explained, about the mean of the training rows.

    As for the bars. `skae.metrics` uses the mean of the test rows, with which all shares here
    are lower by 0.005 to 0.008.
    """
    lost = np.square(test - output).sum(dtype=float)
    return float(1 - lost / np.square(test - train.mean(axis=0)).sum(dtype=float))


# The networks of the tutorials


def by_hand(train, test, tutorial, epochs):
    """Train the tutorial's Keras network; return the reconstructions of the test rows."""
    import keras

    hidden, code, activation, output, loss, batch_size = tutorial
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential([keras.Input((train.shape[1],))])
    for width in (*hidden, code, *hidden[::-1]):
        model.add(keras.layers.Dense(width, activation=activation))
    model.add(keras.layers.Dense(train.shape[1], activation=output))
    model.compile("adam", {"squared_error": "mse"}.get(loss, loss))
    model.fit(train, train, batch_size=batch_size, epochs=epochs, verbose=0)
    return model.predict(test, verbose=0)


def by_skae(train, test, tutorial, epochs, init):
    """Train the same network with skae, on the same rows and epochs."""
    hidden, code, activation, output, loss, batch_size = tutorial
    model = AutoencoderTransformer(
        code,
        hidden_layer_sizes=hidden,
        activation=activation,
        code_activation=activation,
        output_activation=output,
        loss=loss,
        init=init,
        learning_rate=0.001,
        batch_size=batch_size,
        max_iter=epochs,
        early_stopping=False,
        tol=None,
        random_state=SEED,
    )
    return model.fit(train).reconstruct(test)


def compare_networks(train, test, epochs, figures):
    rows, bars = [], []
    for name, tutorial in TUTORIALS.items():
        runs = {
            "Keras": (by_hand, ()),
            "random": (by_skae, ("random",)),
            "pca": (by_skae, ("pca",)),
        }
        row = [name]
        for kind, (run, more) in runs.items():
            note(name, kind)
            seconds, output = clock(run, train, test, tutorial, epochs, *more)
            share, ratio = variance(train, test, output), psnr(test, output)
            row += [share, ratio, seconds]
            for metric, value in (("variance", share), ("PSNR", ratio), ("s", seconds)):
                figures.add("networks", f"{name}, {kind}", metric, [value])
            if kind != "Keras" and name in SET:
                claim = f"{name}, {kind}"
                bars.append((f"{claim}: variance explained", ">=", SET[name][0], share))
                bars.append((f"{claim}: PSNR, dB", ">=", SET[name][1], ratio))
        rows.append(row)
    units = ("variance", "dB", "s")
    heads = [f"{kind}, {u}" for kind in ("Keras", "skae random", "skae pca") for u in units]
    print_table(f"The tutorials' own networks, {epochs} epochs", ["network", *heads], rows)
    return bars


# skae's defaults


def compare_defaults(train, test, options, figures):
    rows, bars = [], []
    for size in (s for s in SIZES if s < train.shape[1]):
        note("defaults", size)
        pca = variance(train, test, by_pca(train, test, size))
        model = AutoencoderTransformer(size, random_state=SEED, **options)
        seconds, _ = clock(model.fit, train)
        output = model.reconstruct(test)
        share, ratio = variance(train, test, output), psnr(test, output)
        rows.append((str(size), pca, share, share - pca, ratio, model.n_iter_, seconds))
        figures.add("defaults", f"code of {size}", "variance", [share])
        bars.append((f"defaults, {size} numbers: gain over PCA", ">=", MARGIN, share - pca))
    head = ["code", "PCA", "skae", "gain", "PSNR, dB", "epochs", "s"]
    print_table("skae's defaults and PCA, variance explained", head, rows)
    return bars


# Denoising


def compare_denoising(train, test, options, figures):
    noisy = NOISE(test, random_state=SEED)
    best, size = max((psnr(test, by_pca(train, noisy, k)), k) for k in COMPONENTS)
    rows = [("as it comes", psnr(test, noisy), None, None)]
    rows.append((f"PCA, {size} components (the best)", best, None, None))
    # Clipped noise makes images lighter: PCA gains if the mean of the noise is subtracted.
    lighter = (NOISE(train, random_state=SEED + 1) - train).mean(axis=0)
    best_shifted = max(psnr(test, by_pca(train, noisy - lighter, k)) for k in COMPONENTS)
    rows.append(("PCA, the best, mean of the noise subtracted", best_shifted, None, None))
    models = {
        "without noise": AutoencoderTransformer(**DENOISER, **options),
        "DenoisingAutoencoder": DenoisingAutoencoder(corruption=NOISE, **DENOISER, **options),
    }
    ratios = []
    for name, model in models.items():
        note("denoising", name)
        seconds, _ = clock(model.fit, train)
        ratios.append(psnr(test, model.reconstruct(noisy)))
        rows.append((name, ratios[-1], model.n_iter_, seconds))
    for name, ratio, *_ in rows:
        figures.add("denoising", name, "PSNR", [ratio])
    head = ["784-256-128-32", "PSNR, dB", "epochs", "s"]
    print_table("Gaussian noise of 0.5, clipped to [0, 1]", head, rows)
    return [
        ("denoising: dB above PCA's best", ">=", MARGIN_DB, ratios[1] - best),
        ("denoising: dB above the same without noise", ">=", 0.0, ratios[1] - ratios[0]),
    ]


def by_pca(train, rows, n_components):
    """Rows through the principal components of the training rows."""
    n_components = min(n_components, train.shape[1])
    pca = PCA(n_components, random_state=SEED).fit(train)
    return pca.inverse_transform(pca.transform(rows))


def main():
    parts = ("networks", "defaults", "denoising")
    parser = parse(__doc__.splitlines()[0], 1, parts)
    parser.add_argument("--data", help="npz file with images and labels")
    args = parser.parse_args()
    train, test = images(args.data)
    options = {}
    if args.quick:
        train, test, options = train[:500], test[:200], {"max_iter": 2}
    print_machine(args.quick)
    print(f"{len(train)} images to train on, {len(test)} to test on, {train.shape[1]} pixels")
    figures, bars = Figures(), []
    if "networks" in args.parts:
        bars += compare_networks(train, test, options.get("max_iter", EPOCHS), figures)
    if "defaults" in args.parts:
        bars += compare_defaults(train, test, options, figures)
    if "denoising" in args.parts:
        bars += compare_denoising(train, test, options, figures)
    if args.data:
        print_bars(bars, figures)
    figures.save(args.output)


if __name__ == "__main__":
    main()
