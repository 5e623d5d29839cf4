"""Convolutions: denoising, generation, classification and anomaly detection.

A convolutional autoencoder of 16, 8 and 8 filters of 3 x 3 with pooling; the same trained
to remove Gaussian noise of 0.5, clipped to [0, 1], and to fill in pixels that were set to
zero. A convolutional variational autoencoder samples new digits, a classifier has one
autoencoder for each digit, and models trained on a single digit detect the others. The
tutorials train for 50 epochs and more; here it is a few, to save time.

    python examples/convolution.py --output pictures
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from _images import Script, print_table, psnr, quality, timed_fit
from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.corruption import GaussianNoise, MaskingNoise
from skae.metrics import reconstruction_error
from skae.networks import ConvNetwork
from skae.plotting import LatentPathDisplay, ReconstructionDisplay

NETWORK = ConvNetwork(filters=(16, 8, 8), kernel_size=3, downsampling="max_pooling")
NOISES = {
    "gaussian": GaussianNoise(0.5, unit="data", clip=True),
    "masking": MaskingNoise(0.5),
}
NORMAL = 8


def best_pca(digits, corrupted):
    """PSNR by principal components of clean images, at the best number of them."""
    train, _ = digits.flat()
    pca = PCA(min(100, *train.shape), random_state=0).fit(train)
    code = pca.transform(corrupted.reshape(len(corrupted), -1))
    ratios = {}
    for size in range(5, code.shape[1] + 1, 5):
        output = pca.mean_ + code[:, :size] @ pca.components_[:size]
        ratios[size] = psnr(digits.test, output.reshape(corrupted.shape))
    size = max(ratios, key=lambda size: ratios[size])
    return ratios[size], size


def denoise(script, digits):
    """Compare the plain network with two that were trained on corrupted images."""
    common = {
        "network": NETWORK, "hidden_layer_sizes": (), "batch_size": 64,
        "max_iter": script.epochs(8), "tol": None, "random_state": 0,
    }  # fmt: skip
    plain, seconds = timed_fit(AutoencoderTransformer(64, **common), digits.train)
    rows = [("none", "plain", *quality(digits.test, plain.reconstruct(digits.test)), seconds)]
    for name, noise in NOISES.items():
        corrupted = noise(digits.test, random_state=0)
        denoiser, seconds = timed_fit(
            DenoisingAutoencoder(64, corruption=noise, **common), digits.train
        )
        ratio, size = best_pca(digits, corrupted)
        rows += [
            (name, "none", *quality(digits.test, corrupted), None),
            (name, f"PCA, {size} components", None, ratio, None, None),
            (name, "plain", *quality(digits.test, plain.reconstruct(corrupted)), None),
            (name, "denoising", *quality(digits.test, denoiser.denoise(corrupted)), seconds),
        ]
        shown = {f"{name} noise": corrupted, "plain": plain.reconstruct(corrupted)}
        shown["denoising"] = denoiser.denoise(corrupted)
        display = ReconstructionDisplay.from_arrays(digits.test, shown, errors=False)
        script.save(f"convolution_{name}", display)
    print_table(
        "Convolutional autoencoders with a code of 64 numbers",
        ["noise", "autoencoder", "variance explained", "PSNR, dB", "SSIM", "seconds"],
        rows,
    )


def generate(script, digits):
    """Sample new digits."""
    vae = VAETransformer(
        16, network=NETWORK, hidden_layer_sizes=(), likelihood="bernoulli",
        max_iter=script.epochs(8), tol=None,
        random_state=0,
    )  # fmt: skip
    vae, seconds = timed_fit(vae, digits.train)
    print(
        f"\nConvolutional variational autoencoder: {vae.n_active_} of 16 latent variables "
        f"active, {vae.score(digits.test[:500]):.1f} nats per test image, {seconds:.0f} seconds"
    )
    sampled = vae.sample(50, random_state=0, noise=False).reshape(5, 10, *digits.shape)
    script.save(
        "convolution_generated", LatentPathDisplay.from_arrays(sampled, title="New digits")
    )


def classify(script, digits):
    """Classify with one autoencoder for each digit."""
    train, test = digits.flat()
    each = AutoencoderTransformer(
        n_components=24, hidden_layer_sizes=(64,), max_iter=script.epochs(20)
    )
    classifier = AEClassifier(each, random_state=0)
    classifier, seconds = timed_fit(classifier, train, digits.y_train)
    accuracy = classifier.score(test, digits.y_test)
    print(f"\nOne autoencoder per digit: {accuracy:.3f} of the test images right, "
          f"{seconds:.0f} seconds")  # fmt: skip


def detect_anomalies(script, digits):
    """Train on one digit, detect the others."""
    one = digits.train[digits.y_train == NORMAL]
    anomalous = digits.y_test != NORMAL
    model = AutoencoderTransformer(
        8, network=NETWORK, hidden_layer_sizes=(), max_iter=script.epochs(20), random_state=0
    )
    model, seconds = timed_fit(model, one)
    pca = PCA(8, random_state=0).fit(one.reshape(len(one), -1))
    flat = digits.test.reshape(len(digits.test), -1)
    detector = AEAnomalyDetector(novelty=True, n_steps=script.epochs(500), random_state=0)
    detector.fit(one.reshape(len(one), -1))
    scores = {
        "error of PCA": reconstruction_error(pca, flat),
        "error of a convolutional autoencoder": -model.score_samples(digits.test),
        "AEAnomalyDetector": -detector.score_samples(flat),
    }
    rows = [
        (
            name,
            roc_auc_score(anomalous, score),
            np.mean(score[anomalous] > np.quantile(score[~anomalous], 0.95)),
        )
        for name, score in scores.items()
    ]
    print_table(
        f'Other digits detected after training on {len(one)} images of "{NORMAL}"; network: '
        f"{seconds:.0f} seconds",
        ["score", "AUROC", "share found, 5 % false alarms"],
        rows,
    )


def main(argv=None):
    """Denoise, generate, classify, detect anomalies."""
    script = Script(__doc__, argv)
    digits = script.digits()
    denoise(script, digits)
    generate(script, digits)
    classify(script, digits)
    detect_anomalies(script, digits)
    script.done()


if __name__ == "__main__":
    main()
