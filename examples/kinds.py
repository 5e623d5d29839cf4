"""Six kinds of autoencoders in one table: simple, sparse, deep, convolutional, ...

First 784-32-784 with a sigmoid output and binary cross-entropy, batches of 256 and 50 epochs;
then the sparse, deep (64-32-16), convolutional, sequence-to-sequence (the rows of an image
are the steps of a series) and variational versions. The convolutional and the
sequence-to-sequence networks, whose epochs take longer, train for fewer.

    python examples/kinds.py --output pictures
"""

from typing import Any

from sklearn.decomposition import PCA

from _images import Script, print_table, quality, timed_fit
from skae import AutoencoderTransformer, VAETransformer
from skae.losses import L1Sparsity
from skae.networks import ConvNetwork, RecurrentNetwork
from skae.plotting import ReconstructionDisplay


def kinds(epochs):
    """Models by name, with a flag for those whose input is images, not rows of pixels."""
    common: dict[str, Any] = {
        "loss": "binary_crossentropy", "init": "random", "batch_size": 256,
        "early_stopping": False, "tol": None, "random_state": 0,
    }  # fmt: skip
    simple = AutoencoderTransformer(
        32, hidden_layer_sizes=(), code_activation="relu", max_iter=epochs(50), **common
    )
    sparse = AutoencoderTransformer(
        32, hidden_layer_sizes=(), code_activation="relu", max_iter=epochs(50),
        penalty=L1Sparsity(1e-3), **common,
    )  # fmt: skip
    deep = AutoencoderTransformer(
        16, hidden_layer_sizes=(64, 32), code_activation="relu", max_iter=epochs(50), **common
    )
    common["batch_size"] = 64
    convolutional = AutoencoderTransformer(
        32, network=ConvNetwork((16, 8, 8), downsampling="max_pooling"),
        hidden_layer_sizes=(), max_iter=epochs(10), **common,
    )  # fmt: skip
    sequence = AutoencoderTransformer(
        32, network=RecurrentNetwork("lstm", units=64), learning_rate=0.005,
        hidden_layer_sizes=(), max_iter=epochs(20), **common,
    )  # fmt: skip
    variational = VAETransformer(
        32, likelihood="bernoulli", max_iter=epochs(50), random_state=0
    )
    return {
        "PCA": (PCA(32, random_state=0), False),
        "simple": (simple, False),
        "sparse": (sparse, False),
        "deep 64-32-16": (deep, False),
        "convolutional": (convolutional, True),
        "sequence to sequence": (sequence, True),
        "variational": (variational, False),
    }


def main(argv=None):
    """Train each, compare, plot."""
    script = Script(__doc__, argv)
    digits = script.digits()
    flat = digits.flat()
    rows, outputs = [], {}
    for name, (model, takes_images) in kinds(script.epochs).items():
        train, test = (digits.train, digits.test) if takes_images else flat
        model, seconds = timed_fit(model, train)
        code = model.transform(test)
        outputs[name] = model.inverse_transform(code).reshape(digits.test.shape)
        epochs = getattr(model, "n_iter_", None) if name != "PCA" else None
        zeros = f"{(code == 0).mean():.0%}"
        rows.append(
            (name, *quality(digits.test, outputs[name]), code.shape[1], zeros, epochs, seconds)
        )
    print_table(
        "Test images and their reconstructions",
        [
            "",
            "variance explained",
            "PSNR, dB",
            "SSIM",
            "code",
            "zero",
            "epochs",
            "seconds",
        ],
        rows,
    )

    simple = outputs["simple"]
    display = ReconstructionDisplay.from_arrays(
        digits.test, {"Reconstruction": simple}, errors=False
    )
    script.save("kinds_simple", display)
    script.save(
        "kinds_all", ReconstructionDisplay.from_arrays(digits.test, outputs, errors=False)
    )
    script.done()


if __name__ == "__main__":
    main()
