"""Networks for images and series beside the dense one: variance explained, and seconds.

Each network is fitted at its defaults to the same rows, at codes of the same size. The figures
are the share of the variance of rows that were not used in the fit, and the seconds of a first
fit, compilation included: medians over repeats with other seeds.

    python benchmarks/shaped.py --data mnist_10k.npz

- **digits**: 1,437 and 360 images of 8 x 8 pixels, of scikit-learn.
- **mnist**: 8,000 and 2,000 images of 28 x 28 pixels, of the file (`images`); without `--data`
  it is skipped.
- **patches**: 3,200 and 800 pieces of 12 x 12 pixels and three colours from the left and from
  the right of scikit-learn's sample images.
- **sines**, **autoregressive** and **sensors**: 2,000 and 500 windows of 20 readings of 3, 4
  and 6 columns. Each of the first has two sine waves of its own; the others are cut from one
  long series, a vector autoregression with a tanh, and sensors that follow a load, a cycle
  whose frequency depends on it, and a temperature.

Each run is a fresh process in which a small dense network was fitted before the clock starts.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.datasets import load_digits, load_sample_images

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

SIZES = (2, 8, 16)
STEPS = 20
N_TRAIN, N_TEST = 2000, 500
IMAGES = ("digits", "mnist", "patches")
SERIES = ("sines", "autoregressive", "sensors")
LABELS = {
    "pca": "PCA",
    "dense": "dense",
    "conv": "ConvNetwork",
    "recurrent": "RecurrentNetwork",
}
# Seeds differ by this much in the share of variance.
CHANCE = 0.005


def digits(path):
    """Training and test images, (n_samples, 8, 8, 1)."""
    images = load_digits().images[..., np.newaxis]
    return images[:1437], images[1437:]


def mnist(path):
    """Training and test images, (n_samples, 28, 28, 1)."""
    images = np.load(path)["images"].reshape(-1, 28, 28, 1).astype(np.float32)
    return images[:8000], images[-2000:]


def patches(path):
    """Pieces of the left and of the right of two photographs, (n_samples, 12, 12, 3)."""
    rng, size = np.random.RandomState(0), 12

    def pieces(image, n):
        tops, lefts = (rng.randint(0, side - size, n) for side in image.shape[:2])
        return [image[i : i + size, j : j + size] for i, j in zip(tops, lefts, strict=True)]

    train, test = [], []
    for image in load_sample_images().images:
        cut = int(0.75 * image.shape[1])
        train += pieces(image[:, :cut], 1600)
        test += pieces(image[:, cut:], 400)
    return np.array(train, np.float32), np.array(test, np.float32)


def sines(path):
    """Windows of two sine waves each, mixed into three columns, with noise."""
    rng, n = np.random.RandomState(0), N_TRAIN + N_TEST
    frequency, phase = rng.uniform(0.02, 0.15, (n, 1, 2)), rng.uniform(0, 2 * np.pi, (n, 1, 2))
    waves = np.sin(2 * np.pi * frequency * np.arange(STEPS)[:, np.newaxis] + phase)
    waves *= rng.gamma(2, 0.5, (n, 1, 2))
    X = waves @ rng.normal(size=(2, 3)) + 0.1 * rng.normal(size=(n, STEPS, 3))
    return X[:N_TRAIN], X[N_TRAIN:]


def autoregressive(path):
    """Windows of a vector autoregression with a tanh, four columns."""
    rng = np.random.RandomState(0)
    matrix, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    X = np.zeros((_LENGTH, 4))
    for i in range(1, len(X)):
        X[i] = np.tanh(1.14 * X[i - 1] @ matrix) + 0.2 * rng.normal(size=4)
    return _windows(X)


def sensors(path):
    """Windows of six sensors that follow a load, a cycle and a temperature."""
    rng = np.random.RandomState(0)
    load = np.convolve(rng.normal(size=_LENGTH + 79), np.hanning(80), "valid")
    load /= load.std()
    cycle = np.sin(np.cumsum(0.2 + 0.1 * np.tanh(load)))
    temperature = np.zeros(_LENGTH)
    for i in range(1, _LENGTH):
        temperature[i] = 0.97 * temperature[i - 1] + 0.03 * load[i] ** 2
    state = np.stack([load, cycle, temperature / temperature.std(), load * cycle], axis=1)
    X = state @ rng.normal(size=(4, 6)) + 0.1 * rng.normal(size=(_LENGTH, 6))
    return _windows((X - X.mean(axis=0)) / X.std(axis=0))


_LENGTH = N_TRAIN + N_TEST + 2 * STEPS


def _windows(series):
    """Windows of a series, (steps, columns), those of training and of test apart."""
    windows = np.lib.stride_tricks.sliding_window_view(series, STEPS, axis=0).swapaxes(1, 2)
    return windows[:N_TRAIN].copy(), windows[-N_TEST:].copy()


DATA = {f.__name__: f for f in (digits, mnist, patches, sines, autoregressive, sensors)}


def methods(part, size, seed):
    """The transformers, by name."""
    from sklearn.decomposition import PCA

    from skae import AutoencoderTransformer
    from skae.networks import ConvNetwork, RecurrentNetwork

    networks = {"dense": None, "conv": ConvNetwork(n_dims=2 if part in IMAGES else 1)}
    if part in SERIES:
        networks["recurrent"] = RecurrentNetwork()
    return {"pca": PCA(size, random_state=seed)} | {
        name: AutoencoderTransformer(size, network=network, random_state=seed)
        for name, network in networks.items()
    }


def fits_worker(part, size, seed, path, quick):
    """Share of held-out variance and seconds of each method."""
    from skae import AutoencoderTransformer
    from skae.metrics import reconstruction_score

    train, test = DATA[part](path)
    if quick:
        train, test = train[:200], test[:100]
    AutoencoderTransformer(2, max_iter=2, tol=None).fit(digits(path)[0].reshape(-1, 64)[:99])
    result = {}
    for name, method in methods(part, size, seed).items():
        shaped = name in ("conv", "recurrent")
        rows = [X if shaped else X.reshape(len(X), -1) for X in (train, test)]
        if quick and name != "pca":
            method.set_params(max_iter=2)
        seconds, _ = clock(method.fit, rows[0])
        result[name] = [reconstruction_score(method, rows[1]), seconds]
    return result


def main(args):
    """Measure, print."""
    figures, rows, bars = Figures(), [], []
    print_machine(args.quick, os.environ.get("KERAS_BACKEND", "tensorflow"))
    for part in args.parts:
        if part == "mnist" and args.data is None:
            continue
        for size in args.sizes[:1] if args.quick else args.sizes:
            runs = []
            for seed in range(args.repeats):
                note(f"{part}, {size} columns, run {seed + 1} of {args.repeats}")
                options = {"part": part, "size": size, "seed": seed, "path": args.data}
                runs.append(run_worker(__file__, "fits", quick=args.quick, **options))
            cell = f"{part}, {size}"
            scores, seconds = (
                {n: figures.add(cell, n, m, [run[n][i] for run in runs]) for n in runs[0]}
                for i, m in enumerate(["variance explained", "seconds"])
            )
            ratios = {n: ratio(seconds[n], seconds["dense"]) for n in scores}
            rows.append(
                (
                    cell,
                    *(f"{scores[name]:.3f}" if name in scores else "-" for name in LABELS),
                    seconds["dense"],
                    ratios["conv"],
                    ratios.get("recurrent"),
                )
            )
            for name in ("conv", "recurrent"):
                if name in scores:
                    gain = scores[name] - scores["dense"]
                    claim = f"{cell}: {LABELS[name]}"
                    bars.append((f"{claim} less dense", ">=", -CHANCE, gain))
                    bars.append((f"{claim}, seconds / dense", "<=", 2, ratios[name]))
    header = ["data, columns of the code", *LABELS.values()]
    header += ["dense, s", "Conv / dense", "Recurrent / dense"]
    print_table("Held-out variance explained, and seconds of a fit", header, rows)
    print_bars(bars, figures)
    figures.save(args.output)


if __name__ == "__main__":
    parser = parse(__doc__.split("\n\n")[0], repeats=3, parts=tuple(DATA))
    parser.add_argument("--data", help="mnist_10k.npz")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="of the code")
    arguments = parser.parse_args()
    if arguments.worker:
        serve({"fits": fits_worker}, arguments)
    else:
        main(arguments)
