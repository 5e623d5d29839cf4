"""imbalanced-learn: its pipelines resample before an autoencoder and after one."""

import numpy as np
import pytest

from skae import AEClassifier, AutoencoderTransformer

imblearn = pytest.importorskip("imblearn")

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}


@pytest.fixture
def rare(digits):
    """One row in ten is of the second class."""
    return digits, (np.arange(len(digits)) % 10 == 0).astype(int)


def test_resampled_in_the_space_of_codes(rare):
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline
    from sklearn.linear_model import LogisticRegression

    X, y = rare
    pipeline = make_pipeline(
        AutoencoderTransformer(3, **SMALL), SMOTE(random_state=0), LogisticRegression()
    )
    predicted = pipeline.fit(X, y).predict(X)
    # Without new rows a classifier would never say the rare class.
    assert 0.2 < predicted.mean() < 0.8


def test_resampled_before_the_classifier(rare):
    from imblearn.pipeline import make_pipeline
    from imblearn.under_sampling import RandomUnderSampler

    X, y = rare
    pipeline = make_pipeline(
        RandomUnderSampler(random_state=0),
        AEClassifier(AutoencoderTransformer(3, **SMALL), random_state=0),
    )
    proba = pipeline.fit(X, y).predict_proba(X)
    assert proba.shape == (300, 2)
    assert pipeline[-1].classes_.tolist() == [0, 1]
