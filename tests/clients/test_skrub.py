"""skrub: missing values are imputed before its vectorizer, and within its pipeline."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import AEImputer

skrub = pytest.importorskip("skrub")

SMALL = {"hidden_layer_sizes": (8,), "n_estimators": 1, "n_steps": 32, "random_state": 0}


@pytest.fixture
def incomplete():
    """A frame of numbers, categories and dates, a fifth of them missing, and classes."""
    rng = np.random.RandomState(0)
    size = rng.uniform(1, 10, 200)
    days = pd.to_timedelta((30 * size).astype(int), unit="D")
    frame = pd.DataFrame(
        {
            "length": size.round(1),
            "area": (size**2).round(),
            "kind": np.where(size > 5, "large", "small"),
            "city": rng.choice(["Bern", "Lyon", "Oslo"], 200),
            "built": pd.Timestamp("2020-01-01") + days,
        }
    )
    y = (size + rng.normal(size=200) > 5).astype(int)
    return frame.mask(rng.uniform(size=frame.shape) < 0.2), y


def test_tables_are_imputed_before_they_are_vectorized(incomplete):
    X, y = incomplete
    pipeline = make_pipeline(
        AEImputer(**SMALL), skrub.tabular_pipeline(LogisticRegression())
    ).fit(X, y)
    filled = pipeline[0].transform(X)
    assert not filled.isna().any(axis=None)
    assert filled.dtypes.equals(X.dtypes)
    names = pipeline[1]["tablevectorizer"].get_feature_names_out()
    assert not [name for name in names if name.endswith("_nan")]
    assert pipeline.score(X, y) > 0.85


def test_vectorized_tables_are_imputed(incomplete):
    X, y = incomplete
    pipeline = skrub.tabular_pipeline(LogisticRegression())
    pipeline.set_params(simpleimputer=AEImputer(**SMALL)).fit(X, y)
    vectorized = pipeline["tablevectorizer"].transform(X)
    observed = vectorized.notna().to_numpy()
    assert not observed.all()
    filled = pipeline["simpleimputer"].transform(vectorized)
    assert np.isfinite(filled.to_numpy()).all()
    np.testing.assert_array_equal(filled.to_numpy()[observed], vectorized.to_numpy()[observed])
    assert pipeline.score(X, y) > 0.85
