"""Files that this version writes, for the versions to come: `python tests/keep_saved_files.py`.

They lie in `tests/saved/` with the outputs of the estimators when they were saved. Files of an
older format stay; new ones are added when the format changes.
"""

import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "saved"

#: Estimators of `saved_estimators`, each with its data.
ESTIMATORS = {
    "autoencoder": ("numbers", "layers"),
    "denoising": ("table", "denoising"),
    "variational": ("numbers", "variational"),
    "convolutional": ("numbers", "convolutional"),
    "recurrent": ("numbers", "recurrent"),
    "classifier": ("numbers", "classifier"),
    "keras": ("numbers", "objects of Keras"),
    "models": ("numbers", "models"),
    "detector": ("table", "detector"),
    "imputer": ("table", "imputer"),
    "encoder": ("table", "encoder"),
}


def data(kind):
    """Rows that are the same everywhere: no generator draws them."""
    X = np.round(8 + 8 * np.cos(np.outer(np.arange(1, 41), np.arange(1, 65)) / 7), 3)
    if kind == "numbers":
        return X
    import pandas as pd

    return pd.DataFrame(
        {
            "price": np.where(np.arange(40) % 7 == 3, np.nan, X[:, 0]),
            "count": np.arange(40) % 6,
            "colour": np.array(["red", "green", "blue", None], dtype=object)[np.arange(40) % 4],
            "size": pd.Categorical(np.array(["S", "M"])[np.arange(40) % 2]),
            "sold": pd.Timestamp("2024-02-01") + pd.to_timedelta(np.arange(40) % 5, unit="D"),
            "new": np.arange(40) % 3 == 0,
        }
    )


def outputs(estimator, X):
    """Outputs of an estimator for the rows X, as numbers."""
    answers = {}
    for name in ("transform", "score_samples", "predict", "p_values"):
        if hasattr(estimator, name):
            answer = getattr(estimator, name)(X)
            if hasattr(answer, "select_dtypes"):
                answer = answer.select_dtypes("number")
            answers[name] = np.asarray(answer, float)
    return answers


def main():
    import saved_estimators
    import skae

    version = sys.argv[1] if len(sys.argv) > 1 else skae.__version__
    folder = FOLDER / version
    folder.mkdir(parents=True, exist_ok=True)
    groups = {"numbers": saved_estimators.OF_NUMBERS, "table": saved_estimators.OF_TABLES}
    for name, (kind, which) in ESTIMATORS.items():
        X = data(kind)
        estimator = groups[kind][which]().fit(X, np.arange(len(X)) % 2)
        skae.save(estimator, folder / f"{name}.skae")
        np.savez_compressed(folder / f"{name}.npz", **outputs(estimator, X))


if __name__ == "__main__":
    main()
