"""Timings and peaks of memory that users meet, for airspeed velocity; figures at the defaults.

pip install asv virtualenv
asv --config benchmarks/asv/asv.conf.json continuous v0.1.0 HEAD
python benchmarks/asv/suite/core.py     # each once, on few rows: `make bench-smoke`
"""

import functools
import inspect
import os
import pickle
import sys
import time

import numpy as np

SMOKE = __name__ == "__main__"


def numbers(n_samples, n_features):
    """Rows of curved dependence, in float64."""
    n_samples = min(n_samples, 200) if SMOKE else n_samples
    rng = np.random.RandomState(0)
    code = rng.normal(size=(n_samples, 4))
    inner = np.tanh(code @ rng.normal(size=(4, 16)))
    return inner @ rng.normal(size=(16, n_features)) + 0.1 * rng.normal(
        size=(n_samples, n_features)
    )


def table(n_samples):
    """Numbers, categories, dates and missing values."""
    import pandas as pd

    n_samples = min(n_samples, 200) if SMOKE else n_samples
    rng = np.random.RandomState(0)
    amount = rng.gamma(2, 20, n_samples).round(2)
    days = rng.randint(300, size=n_samples).astype("m8[D]")
    return pd.DataFrame(
        {
            "amount": np.where(rng.uniform(size=n_samples) < 0.1, np.nan, amount),
            "items": 1 + (amount // 10).astype(int),
            "kind": rng.choice(["card", "cash", "invoice"], n_samples),
            "place": rng.choice([f"place {i}" for i in range(30)], n_samples),
            "day": np.datetime64("2024-01-01") + days,
        }
    )


@functools.cache
def fitted(kind):
    """A fitted estimator, pickled, so that each benchmark has one that was never called."""
    import skae

    few = {"max_iter": 3} if SMOKE else {}
    if kind == "detector":
        steps = {"n_steps": 10} if SMOKE else {}
        detector = skae.AEAnomalyDetector(novelty=True, random_state=0, **steps)
        return pickle.dumps(detector.fit(table(2_000)))
    make = {"autoencoder": skae.AutoencoderTransformer, "variational": skae.VAETransformer}
    return pickle.dumps(make[kind](4, random_state=0, **few).fit(numbers(2_000, 30)))


FRESH = """
import numpy as np, skae
rng = np.random.RandomState(0)
X = rng.normal(size=(300, 10)) @ rng.normal(size=(10, 10))
skae.AutoencoderTransformer(2, max_iter=20, tol=None, random_state=0).fit(X)
"""


class Fresh:
    """What a new process waits for."""

    timeout = 300

    def timeraw_import(self):
        return "import skae"

    def timeraw_first_fit(self):
        return FRESH


class Fit:
    """Fits after the first, whose programs are compiled; and their memory."""

    timeout = 600

    def setup(self):
        import skae

        few = {"max_iter": 2, "tol": None, "random_state": 0}
        steps = {"n_steps": 20, "random_state": 0}
        self.small, self.large, self.table = numbers(300, 10), numbers(20_000, 50), table(2_000)
        self.autoencoder = skae.AutoencoderTransformer(4, **few)
        self.variational = skae.VAETransformer(4, **few)
        self.detector = skae.AEAnomalyDetector(novelty=True, **steps)
        self.imputer = skae.AEImputer(**steps)

    def time_small(self):
        self.autoencoder.fit(self.small)

    def time_large(self):
        self.autoencoder.fit(self.large)

    def time_variational(self):
        self.variational.fit(self.small)

    def time_detector_of_a_table(self):
        self.detector.fit(self.table)

    def time_imputer_of_a_table(self):
        self.imputer.fit(self.table)

    def peakmem_large(self):
        self.autoencoder.fit(self.large)

    def peakmem_detector_of_a_table(self):
        self.detector.fit(self.table)


class Predict:
    """Outputs of fitted estimators, without Keras; and their memory."""

    timeout = 600

    def setup_cache(self):
        return {kind: fitted(kind) for kind in ("autoencoder", "variational", "detector")}

    def setup(self, files):
        self.models = {kind: pickle.loads(data) for kind, data in files.items()}
        self.rows, self.table = numbers(10_000, 30), table(10_000)
        self.one, self.one_of_a_table = self.rows[:1], self.table[:1]

    def time_transform_one_row(self, files):
        self.models["autoencoder"].transform(self.one)

    def time_transform(self, files):
        self.models["autoencoder"].transform(self.rows)

    def time_likelihood(self, files):
        self.models["variational"].score_samples(self.rows[:500])

    def time_score_one_row_of_a_table(self, files):
        self.models["detector"].score_samples(self.one_of_a_table)

    def time_score_a_table(self, files):
        self.models["detector"].score_samples(self.table)

    def time_describe(self, files):
        self.models["detector"].describe(self.table[:20])

    def time_unpickle(self, files):
        pickle.loads(files["detector"])

    def peakmem_score_a_table(self, files):
        self.models["detector"].score_samples(self.table)


class Encode:
    """Tables to numbers and back."""

    def setup(self):
        from skae.tables import TabularEncoder

        self.table = table(20_000)
        self.encoder = TabularEncoder().fit(self.table)
        self.numbers = self.encoder.transform(self.table)

    def time_fit_transform(self):
        self.encoder.fit_transform(self.table)

    def time_inverse_transform(self):
        self.encoder.inverse_transform(self.numbers)

    def peakmem_fit_transform(self):
        self.encoder.fit_transform(self.table)


def smoke():
    """Run each benchmark once, as asv would."""
    import subprocess

    n_run = 0
    for group in (Fresh, Fit, Predict, Encode):
        instance = group()
        given = (instance.setup_cache(),) if hasattr(instance, "setup_cache") else ()
        getattr(instance, "setup", lambda *given: None)(*given)
        for name, method in inspect.getmembers(instance, inspect.ismethod):
            if not name.startswith(("time", "peakmem_")):
                continue
            begun = time.perf_counter()
            if name.startswith("timeraw_"):
                subprocess.run([sys.executable, "-c", method()], check=True)
            else:
                method(*given)
            print(f"{group.__name__}.{name}: {time.perf_counter() - begun:.2g} s", flush=True)
            n_run += 1
    print(f"{n_run} passed, 0 failed")


if SMOKE:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    smoke()
