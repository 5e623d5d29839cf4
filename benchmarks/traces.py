"""How far one call leads: named functions of skae, files, and frames on the stack.

    python benchmarks/traces.py

Each call is made once before, so that nothing is compiled or imported while it is traced.
Lambdas and comprehensions do not count as functions.
"""

import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import skae
from _common import print_table

PACKAGE = str(Path(skae.__file__).parent)


def trace(call):
    """Distinct named functions of skae, their files, and the deepest stack of them."""
    functions, deepest = set(), 0

    def profile(frame, event, _):
        nonlocal deepest
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        if not code.co_name.startswith("<"):
            functions.add((code.co_filename, code.co_qualname))
        depth = 0
        while frame is not None:
            depth += frame.f_code.co_filename.startswith(PACKAGE)
            frame = frame.f_back
        deepest = max(deepest, depth)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return len(functions), len({file for file, _ in functions}), deepest


def calls():
    """Calls to trace, by name."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8))
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(8)])
    table["kind"] = rng.choice(["a", "b", None], 300)
    table.loc[::7, "x0"] = np.nan
    holes = np.where(rng.uniform(size=X.shape) < 0.1, np.nan, X)
    short = {"max_iter": 5, "tol": None, "random_state": 0}
    plain = skae.AutoencoderTransformer(2, **short)
    detector = skae.AEAnomalyDetector(random_state=0)
    detector.fit(X)
    plain.fit(X)
    return {
        "AutoencoderTransformer.fit, numbers": lambda: plain.fit(X),
        "AutoencoderTransformer.fit, table": lambda: plain.fit(table),
        "AutoencoderTransformer(ordered=True).fit": lambda: skae.AutoencoderTransformer(
            2, ordered=True, **short
        ).fit(X),
        "VAETransformer.fit": lambda: skae.VAETransformer(2, **short).fit(X),
        "AEAnomalyDetector.fit, numbers": lambda: detector.fit(X),
        "AEAnomalyDetector.fit, table": lambda: detector.fit(table),
        "AEImputer.fit_transform": lambda: skae.AEImputer(random_state=0).fit_transform(holes),
        "AEClassifier.fit": lambda: skae.AEClassifier(random_state=0).fit(X, X[:, 0] > 0),
    }


def main():
    """Trace all calls and print."""
    warnings.simplefilter("ignore")
    rows = []
    for name, call in calls().items():
        call()
        rows.append((name, *trace(call)))
    print_table("Traces", ["call", "functions", "files", "frames"], rows)


if __name__ == "__main__":
    main()
