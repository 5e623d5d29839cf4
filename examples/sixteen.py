"""Sixteen numbers per digit: dense and convolutional, three losses, colouring.

python examples/sixteen.py --output pictures
"""

from typing import Any

import numpy as np
from matplotlib.colors import hsv_to_rgb

from _images import Script, print_table, quality, timed_fit
from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae.networks import ConvNetwork
from skae.plotting import ReconstructionDisplay

LOSSES = ("squared_error", "binary_crossentropy", "ssim")
# Colour of each digit.
HUES = hsv_to_rgb([[digit / 10, 0.9, 1.0] for digit in range(10)])


def compare_losses(script, digits):
    """Compare an MLP and a CNN with each loss."""
    networks = {
        "MLP": {"hidden_layer_sizes": (256, 128), "max_iter": script.epochs(20)},
        "CNN": {
            "network": ConvNetwork((16, 32)), "hidden_layer_sizes": (),
            "max_iter": script.epochs(6),
        },
    }  # fmt: skip
    rows, outputs = [], {}
    for name, network in networks.items():
        for loss in LOSSES:
            model = AutoencoderTransformer(
                16, loss=loss, output_activation="sigmoid", batch_size=128,
                early_stopping=False, tol=None, random_state=0, **network,
            )  # fmt: skip
            model, seconds = timed_fit(model, digits.train)
            output = outputs[f"{name}, {loss}"] = model.reconstruct(digits.test)
            rows.append((name, loss, *quality(digits.test, output), model.n_iter_, seconds))
    print_table(
        "A code of 16 numbers",
        ["network", "loss", "variance explained", "PSNR, dB", "SSIM", "epochs", "seconds"],
        rows,
    )
    display = ReconstructionDisplay.from_arrays(digits.test, outputs, errors=False)
    script.save("sixteen_losses", display)


def paint(script, digits):
    """Colour grey images, for which the network must recognize the digit."""
    colour = {
        "train": digits.train[..., None] * HUES[digits.y_train, None, None],
        "test": digits.test[..., None] * HUES[digits.y_test, None, None],
    }
    painters: dict[str, dict[str, Any]] = {
        "linear": {"hidden_layer_sizes": ()},
        "MLP": {"hidden_layer_sizes": (256, 128)},
    }
    rows, outputs = [], {"input": np.repeat(digits.test[..., None], 3, axis=-1)}
    for name, network in painters.items():
        painter = DenoisingAutoencoder(
            16, batch_size=128, max_iter=script.epochs(20), random_state=0, **network
        )
        painter, seconds = timed_fit(painter, digits.train, target=colour["train"])
        output = outputs[name] = painter.reconstruct(digits.test)
        # The colour of an image, and the digit whose colour is most like it.
        mean = np.clip(output, 0, 1).mean(axis=(1, 2))
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        hues = HUES / np.linalg.norm(HUES, axis=1, keepdims=True)
        right = np.mean((mean @ hues.T).argmax(axis=1) == digits.y_test)
        rows.append((name, *quality(colour["test"], output), right, seconds))
    print_table(
        "Colouring grey images, with a code of 16 numbers",
        ["", "variance explained", "PSNR, dB", "SSIM", "right colour", "seconds"],
        rows,
    )
    display = ReconstructionDisplay.from_arrays(colour["test"], outputs, errors=False)
    script.save("sixteen_colour", display)


def main(argv=None):
    """Compare the losses, then paint."""
    script = Script(__doc__, argv)
    digits = script.digits()
    compare_losses(script, digits)
    paint(script, digits)
    script.done()


if __name__ == "__main__":
    main()
