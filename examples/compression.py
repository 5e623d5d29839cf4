"""Compression of images to codes of 25 and 32 numbers.

python examples/compression.py --output pictures
"""

import numpy as np
from sklearn.decomposition import PCA

from _images import Script, print_table, quality, timed_fit
from skae import AutoencoderTransformer
from skae.plotting import ReconstructionDisplay


def compressors(epochs):
    """The tutorials' networks, skae's default network, and PCA, at two sizes."""
    common = {"max_iter": epochs(50), "batch_size": 64, "random_state": 0}
    elu = AutoencoderTransformer(
        25, hidden_layer_sizes=(), code_activation="elu", output_activation="sigmoid",
        init="random", early_stopping=False, tol=None, **common,
    )  # fmt: skip
    crossentropy = AutoencoderTransformer(
        32, hidden_layer_sizes=(), code_activation="relu", loss="binary_crossentropy",
        init="random", early_stopping=False, tol=None, **common,
    )  # fmt: skip
    return {
        "PCA, 25": PCA(25, random_state=0),
        "ELU, squared error, 25": elu,
        "skae's default network, 25": AutoencoderTransformer(25, **common),
        "PCA, 32": PCA(32, random_state=0),
        "sigmoid, cross-entropy, 32": crossentropy,
        "skae's default network, 32": AutoencoderTransformer(32, **common),
    }


def main(argv=None):
    """Compress, restore, compare, plot."""
    script = Script(__doc__, argv)
    digits = script.digits()
    train, test = digits.flat()
    rows, outputs = [], {}
    for name, model in compressors(script.epochs).items():
        model, seconds = timed_fit(model, train)
        # The stored code has two bytes per number.
        code = model.transform(test).astype(np.float16)
        outputs[name] = model.inverse_transform(code.astype(np.float32))
        n_bytes = test[0].size, code[0].nbytes
        ratio = f"{n_bytes[0] / n_bytes[1]:.1f}"
        rows.append((name, *n_bytes, ratio, *quality(digits.test, outputs[name]), seconds))
    print_table(
        "Bytes of an image: one per pixel in, two per number of the code out",
        ["", "in", "out", "ratio", "variance explained", "PSNR, dB", "SSIM", "seconds"],
        rows,
    )
    for size in ("25", "32"):
        shown = {name: output for name, output in outputs.items() if name.endswith(size)}
        display = ReconstructionDisplay.from_arrays(test, shown, image_shape=digits.shape)
        script.save(f"compression_{size}", display)
    script.done()


if __name__ == "__main__":
    main()
