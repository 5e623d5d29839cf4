"""ONNX files: differences between onnxruntime and skae, time of both, and file sizes.

Not called onnx.py: a script's folder comes first on its path, and it would be imported by
onnxruntime in the place of the package.

    python benchmarks/onnx_export.py
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import warnings

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from _common import per_call, print_machine, print_table
from skae.networks import ConvNetwork

HEADER = [
    "estimator, output",
    "dtype",
    "difference",
    "1 row: skae",
    "ONNX",
    "10,000 rows: skae",
    "ONNX",
    "file, kB",
]


def fits(quick):
    """Fitted estimators by name, each with rows and the outputs that are measured."""
    X = load_digits().data[: 300 if quick else None]
    images = X.reshape(-1, 8, 8)
    brief = {"max_iter": 2 if quick else 20, "random_state": 0}
    steps = {"n_steps": 5 if quick else 500, "random_state": 0}
    dense = skae.AutoencoderTransformer(8, **brief)
    alone = {"network": ConvNetwork((16, 8)), "hidden_layer_sizes": (), "init": "random"}
    conv = skae.AutoencoderTransformer(8, **alone, **brief)
    three = ("transform", "reconstruct", "score_samples")
    yield "AutoencoderTransformer", dense.fit(X), X, three
    pipe = make_pipeline(StandardScaler(), skae.AutoencoderTransformer(8, **brief))
    yield "Pipeline with StandardScaler", pipe.fit(X), X, ("transform",)
    yield "ConvNetwork", conv.fit(images), images, three
    vae = skae.VAETransformer(8, **brief)
    yield "VAETransformer", vae.fit(X), X, ("transform", "score_samples")
    for novelty in (False, True):
        detector = skae.AEAnomalyDetector(novelty=novelty, **steps).fit(X)
        yield f"AEAnomalyDetector(novelty={novelty})", detector, X, ("score_samples",)


def measure(estimator, X, output, dtype, n_rows, seconds):
    """Difference as a share of the output's range, milliseconds of both, and file size."""
    content = skae.to_onnx(estimator, output=output, dtype=dtype).SerializeToString()
    session, method = onnxruntime.InferenceSession(content), getattr(estimator, output)
    rng = np.random.RandomState(0)
    many = X[rng.randint(len(X), size=n_rows)]
    many = (many + rng.normal(0, 0.1, many.shape)).astype(dtype)

    def by_onnx(rows):
        return session.run(None, {"X": rows})[0]

    some = many[:1000]
    expected = method(some)
    row = [np.abs(by_onnx(some) - expected).max() / np.ptp(expected)]
    for rows in (many[:1], many):
        for call in (method, by_onnx):
            row.append(1e3 * per_call(call, rows, seconds=seconds, least=3))
    return [*row, len(content) / 1e3]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, as a test")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    n_rows, seconds = (100, 0.01) if args.quick else (10_000, 1.0)
    rows = []
    for name, estimator, X, outputs in fits(args.quick):
        for output in outputs:
            dtypes = (np.float32, np.float64) if output == outputs[0] else (np.float32,)
            for dtype in dtypes:
                # A third of 48 codes for each row at a time: all in memory in onnxruntime.
                many = min(n_rows, 1000) if "VAE" in name and output != "transform" else n_rows
                figures = measure(estimator, X, output, dtype, many, seconds)
                label = f"{name}, {output}" + (f" ({many:,} rows)" if many < n_rows else "")
                rows.append([label, np.dtype(dtype).name, *figures])
    print_machine(args.quick)
    print(f"onnxruntime {onnxruntime.__version__}")
    print_table("Milliseconds", HEADER, rows)


if __name__ == "__main__":
    main()
