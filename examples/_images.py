"""Shared by the image examples: digits, metrics, tables, pictures.

The digits are those of the file that the environment variable SKAE_DATA names (an npz file
with `images` and `labels`); without one they are MNIST's, from Keras' server or OpenML,
or else scikit-learn's.
"""

import argparse
import os
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib as mpl
import numpy as np
from sklearn.datasets import fetch_openml, load_digits

from skae.losses._reconstruction import make_loss
from skae.metrics import variance_explained

N_TRAIN, N_TEST = 8_000, 2_000
TIMEOUT = 5  # timeout of a server in seconds


class Digits(NamedTuple):
    """Images of digits, values in [0, 1], and their labels."""

    train: np.ndarray
    test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    source: str

    @property
    def shape(self):
        """Height and width."""
        return self.train.shape[1:]

    def flat(self):
        """Rows of pixels, to train on and to test on."""
        return tuple(images.reshape(len(images), -1) for images in (self.train, self.test))


# Data


def load(quick=False):
    """Digits to train on and to test on; with `quick` few of scikit-learn's."""
    if quick:
        return _split(*_from_sklearn(), 400, 100)
    for source in (_from_file, _from_keras, _from_openml):
        try:
            return _split(*source(), N_TRAIN, N_TEST)
        except (OSError, KeyError) as error:
            print(f"({source.__doc__} {error})")
    return _split(*_from_sklearn(), 1_400, 397)


def _split(images, labels, source, n_train, n_test):
    """The first to train on, the last to test on."""
    images = np.asarray(images, np.float32) / np.max(images)
    labels = np.asarray(labels).astype(int)
    return Digits(
        images[:n_train], images[-n_test:], labels[:n_train], labels[-n_test:], source
    )


def _from_file():
    """No file:"""
    path = os.environ.get("SKAE_DATA")
    if path is None:
        raise OSError("SKAE_DATA is not set.")
    with np.load(path) as data:
        return data["images"], data["labels"], Path(path).name


def _from_keras():
    """No MNIST from Keras:"""
    try:
        with _timeout():
            from keras.datasets import mnist

            (train, y_train), (test, y_test) = mnist.load_data()
    except Exception as error:
        # Keras raises bare exceptions.
        raise OSError(str(error).splitlines()[0]) from error
    return np.concatenate([train, test]), np.concatenate([y_train, y_test]), "MNIST"


def _from_openml():
    """No MNIST from OpenML:"""
    with _timeout():
        mnist = fetch_openml("mnist_784", version=1, as_frame=False, n_retries=0)
    return mnist.data.reshape(-1, 28, 28), mnist.target, "MNIST"


def _from_sklearn():
    digits = load_digits()
    return digits.images, digits.target, "scikit-learn's digits"


@contextmanager
def _timeout():
    """Wait for servers for a few seconds only."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


# Metrics


def psnr(originals, others):
    """Peak signal-to-noise ratio in dB, of all images together."""
    return float(-10 * np.log10(np.square(originals - others).mean()))


def ssim(originals, others):
    """Mean structural similarity, by the loss of that name; 1 for equal images."""
    loss = make_loss("ssim", originals.shape[1:])
    return 1 - loss.per_sample(np, originals, others).mean()


def quality(originals, others):
    """Share of variance explained, PSNR and SSIM."""
    others = others.reshape(originals.shape)
    return (
        variance_explained(originals, others),
        psnr(originals, others),
        ssim(originals, others),
    )


def timed_fit(model, *args, **kwargs):
    """Fit a model; return it and the seconds."""
    start = time.perf_counter()
    model.fit(*args, **kwargs)
    return model, time.perf_counter() - start


# The script: options, tables, pictures


class Script:
    """Command line of an example, and the folder of its pictures.

    Parameters
    ----------
    doc : str
        Docstring of the script.

    argv : list of str or None
        The command line; None for that of the process.
    """

    def __init__(self, doc, argv=None):
        parser = argparse.ArgumentParser(description=doc.splitlines()[0])
        parser.add_argument(
            "--output", type=Path, help="folder for pictures; default: no pictures"
        )
        parser.add_argument(
            "--quick", action="store_true", help="run on little data, as a test"
        )
        options = parser.parse_args(argv)
        self.quick, self.folder = options.quick, options.output
        self.start = time.perf_counter()
        mpl.use("agg")

    def digits(self):
        """Load the data and print their source."""
        digits = load(self.quick)
        size = " x ".join(map(str, digits.shape))
        print(f"{digits.source}: {len(digits.train)} images of {size} pixels to train on, "
              f"{len(digits.test)} to test on")  # fmt: skip
        return digits

    def epochs(self, n_epochs):
        """Number of epochs; with `--quick` two."""
        return 2 if self.quick else n_epochs

    def save(self, name, display):
        """Save the figure of a display, with `--output`."""
        import matplotlib.pyplot as plt

        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{name}.png"
            display.figure_.savefig(path, dpi=100, bbox_inches="tight")
            print(f"Picture: {path}")
        plt.close(display.figure_)

    def done(self):
        """Print the total time."""
        print(f"\n{time.perf_counter() - self.start:.0f} seconds in all")


def print_table(title, header, rows):
    """Print columns under their names."""
    cells = [header, *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n{title}\n")
    for row in cells:
        first, *others = row
        line = [first.ljust(widths[0])]
        line += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("   ".join(line).rstrip())


def _text(cell):
    if cell is None:
        return "-"
    if isinstance(cell, float | np.floating):
        return f"{cell:.3f}" if abs(cell) < 1.5 else f"{cell:.1f}"
    return str(cell)
