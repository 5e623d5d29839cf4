"""A dense autoencoder of digits, and the path from a "0" to a "1" in its latent space.

The network 784-100-20-100-784 with ReLU, squared error, Adam, batches of 64 and 50 epochs,
a tenth of the rows held out for validation.

    python examples/dense.py --output pictures
"""

import numpy as np
from sklearn.decomposition import PCA

from _images import Script, print_table, quality, timed_fit
from skae import AutoencoderTransformer
from skae.plotting import LatentPathDisplay, LossCurveDisplay, ReconstructionDisplay

# 5 % to 95 % of the way, in steps of 15 %.
STEPS = np.arange(0.05, 1, 0.15)


def main(argv=None):
    """Train, compare, plot."""
    script = Script(__doc__, argv)
    digits = script.digits()
    train, test = digits.flat()

    network = AutoencoderTransformer(
        20, hidden_layer_sizes=(100,), code_activation="relu", init="random",
        batch_size=64, max_iter=script.epochs(50), tol=None, random_state=0,
    )  # fmt: skip
    from_pca = AutoencoderTransformer(
        20, hidden_layer_sizes=(100,), batch_size=64, max_iter=script.epochs(50),
        tol=None, random_state=0,
    )  # fmt: skip
    rows = []
    for name, model in {
        "PCA": PCA(20, random_state=0),
        "the tutorial's network": network,
        "the same, init='pca'": from_pca,
    }.items():
        model, seconds = timed_fit(model, train)
        output = model.inverse_transform(model.transform(test))
        rows.append((name, *quality(digits.test, output), seconds))
    print_table(
        "Reconstructions of test images from a code of 20 numbers",
        ["", "variance explained", "PSNR, dB", "SSIM", "seconds"],
        rows,
    )

    zero, one = (test[digits.y_test == digit][:3] for digit in (0, 1))
    path = network.interpolate(zero, one, weights=STEPS)
    print(f"\nPaths from three zeros to three ones: {path.shape}")

    script.save("dense_losses", LossCurveDisplay.from_estimator(network))
    script.save(
        "dense_reconstructions",
        ReconstructionDisplay.from_estimator(
            network, test, image_shape=digits.shape, name="Reconstruction"
        ),
    )
    script.save(
        "dense_path",
        LatentPathDisplay.from_estimator(
            network, zero, one, weights=STEPS, image_shape=digits.shape
        ),
    )
    script.done()


if __name__ == "__main__":
    main()
