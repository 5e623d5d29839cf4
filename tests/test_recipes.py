"""The recipes of `docs/architecture.rst`, carried out in a copy of the package."""

import os
import shutil
import subprocess
import sys

import pytest

import skae
from test_architecture import PACKAGE

pytestmark = [pytest.mark.slow, pytest.mark.any_data, pytest.mark.any_backend]

HEAD = """
import sys
import warnings

import numpy as np
from sklearn.datasets import load_wine

import skae

warnings.simplefilter("ignore")
X = load_wine().data
X = (X - X.mean(axis=0)) / X.std(axis=0)
"""

LOSS = {
    "losses/_reconstruction.py": [
        (
            "def huber(",
            "def log_cosh(xp: Any, target: Any, output: Any) -> Any:\n"
            '    """Logarithm of the hyperbolic cosine."""\n'
            "    error = output - target\n"
            "    return xp.logaddexp(error, -error) - float(np.log(2))\n\n\ndef huber(",
        ),
        (
            '    "huber": EntrywiseLoss(huber, power=2),\n',
            '    "huber": EntrywiseLoss(huber, power=2),\n'
            '    "log_cosh": EntrywiseLoss(log_cosh, power=1),\n',
        ),
    ],
}

USE_LOSS = """
import matplotlib

matplotlib.use("agg")
import onnxruntime
import pandas as pd

from skae.plotting import LossCurveDisplay

ae = skae.AutoencoderTransformer(2, loss="log_cosh", max_iter=3, tol=None, random_state=0)
ae.fit(X)
skae.save(ae, "ae.skae")
scores = skae.load("ae.skae").score_samples(X)
error = (ae.reconstruct(X) - X) / ae.scale_
expected = -ae.scale_ * np.log(np.cosh(error)).mean(axis=1)
np.testing.assert_allclose(scores, expected, rtol=1e-6)
model = skae.to_onnx(ae, output="score_samples", dtype=np.float64)
session = onnxruntime.InferenceSession(model.SerializeToString())
(output,) = session.run(None, {session.get_inputs()[0].name: X})
np.testing.assert_allclose(output.ravel(), scores, rtol=1e-6)
LossCurveDisplay.from_estimator(ae)
table = pd.DataFrame(X).assign(kind=np.where(X[:, 0] > 0, "a", "b"))
table.columns = table.columns.astype(str)
assert np.isfinite(ae.fit(table).score_samples(table)).all()
"""

CORRUPTION = {
    "corruption/_corruptions.py": [
        (
            "CORRUPTIONS: dict[str, Any] = {\n",
            "class SignNoise(Corruption):\n"
            '    """Changes the sign of values."""\n\n'
            "    _parameter_constraints = {'level': _SHARE}\n\n"
            "    def __init__(self, level: float = 0.5) -> None:\n"
            "        self.level = level\n\n"
            "    def _settings(self, spread: Spread) -> dict[str, Any]:\n"
            "        return {'share': self.level}\n\n"
            "    def apply(self, xp: Any, draws: Any, settings: Any, x: Any) -> Any:\n"
            '        """Change some signs."""\n'
            "        chosen = self._chosen(xp, draws, settings, x)\n"
            "        return xp.where(chosen < settings['corruption_share'], -x, x)\n\n\n"
            'CORRUPTIONS: dict[str, Any] = {\n    "sign": SignNoise,\n',
        )
    ],
}

USE_CORRUPTION = """
from skae.corruption._corruptions import CORRUPTIONS

noisy = CORRUPTIONS["sign"](0.5)(X, random_state=0)
assert set(np.unique(np.sign(noisy * X))) == {-1, 1}
assert 0.4 < (noisy * X < 0).mean() < 0.6
ae = skae.DenoisingAutoencoder(
    2, corruption="sign", corruption_level=0.2, max_iter=3, tol=None, random_state=0
).fit(X)
skae.save(ae, "ae.skae")
np.testing.assert_array_equal(skae.load("ae.skae").transform(X), ae.transform(X))
"""

# A parameter of the classifier, with its constraint, in one module.
PARAMETER = {
    "classifier/_classifier.py": [
        (
            "        n_jobs: int | None = None,\n",
            "        n_jobs: int | None = None,\n        temperature: float = 1.0,\n",
        ),
        (
            "        self.n_jobs = n_jobs\n",
            "        self.n_jobs = n_jobs\n        self.temperature = temperature\n",
        ),
        (
            "    _parameter_constraints: dict = {\n",
            "    _parameter_constraints: dict = {\n"
            '        "temperature": [Interval(Real, 0, None, closed="neither")],\n',
        ),
    ],
}

USE_PARAMETER = """
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

old = skae.load(sys.argv[1])
assert old.temperature == 1.0
assert clone(old).set_params(temperature=2.0).get_params()["temperature"] == 2.0
try:
    skae.AEClassifier(temperature=-1.0).fit(X, X[:, 0] > 0)
except ValueError as error:
    assert "'temperature'" in str(error)
else:
    raise AssertionError("the parameter is not validated")
"""

COMPONENT = {
    "anomaly/_components.py": [
        (
            "#: Components of the score, in the order",
            "class DistanceToCentre(Component):\n"
            '    """Squared distance to the mean of the training rows."""\n\n'
            "    layout: ColumnLayout\n"
            "    centre: Array\n\n"
            "    @classmethod\n"
            "    def from_params(cls, params):\n"
            "        return cls()\n\n"
            "    def fit(self, data):\n"
            "        self.layout = data.encoding.layout\n"
            "        self.centre = data.rows.values[data.reference_mask].mean(axis=0)\n"
            "        return self\n\n"
            "    def _squares(self, rows):\n"
            "        squares = np.square(rows.values - self.centre)\n"
            "        return self.layout.sum_by_column(squares) + 1e-9\n\n"
            "    def scores(self, rows, models):\n"
            "        return [self._squares(rows).mean(axis=1) for _ in models]\n\n"
            "    def shares(self, rows):\n"
            "        squares = self._squares(rows)\n"
            "        yield squares / squares.sum(axis=1, keepdims=True)\n\n\n"
            "#: Components of the score, in the order",
        ),
        (
            "= (DenoisingError, NeighborDistance)",
            "= (DenoisingError, NeighborDistance, DistanceToCentre)",
        ),
    ],
}

USE_COMPONENT = """
table = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
table["kind"] = np.where(X[:, 0] > 0, "a", "b")
for rows in (X, table):
    detector = skae.AEAnomalyDetector(random_state=0).fit(rows)
    assert [type(c).__name__ for c in detector._score.components][-1] == "DistanceToCentre"
    parts = detector.explain(rows)
    np.testing.assert_allclose(np.sum(parts, axis=1), -detector.score_samples(rows), rtol=1e-6)
    skae.save(detector, "detector.skae")
    loaded = skae.load("detector.skae")
    np.testing.assert_array_equal(loaded.score_samples(rows), detector.score_samples(rows))
    if rows is X:
        model = skae.to_onnx(detector, output="score_samples", dtype=np.float64)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        (output,) = session.run(None, {session.get_inputs()[0].name: X})
        np.testing.assert_allclose(output.ravel(), detector.score_samples(X), rtol=1e-6)
"""

RECIPES = (
    (LOSS, USE_LOSS),
    (CORRUPTION, USE_CORRUPTION),
    (PARAMETER, USE_PARAMETER),
    (COMPONENT, USE_COMPONENT),
)


def test_the_recipes(tmp_path):
    for package in ("onnxruntime", "skl2onnx", "matplotlib"):
        pytest.importorskip(package)
    copy = tmp_path / "skae"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for edits, _ in RECIPES:
        for file, pairs in edits.items():
            text = (copy / file).read_text("utf-8")
            for before, after in pairs:
                assert text.count(before) == 1, (file, before)
                text = text.replace(before, after)
            (copy / file).write_text(text, "utf-8")
    saved = PACKAGE.parent / "tests" / "saved" / skae.__version__ / "classifier.skae"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", HEAD + "".join(use for _, use in RECIPES), str(saved)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
