"""mlflow's autologging follows the user's fits and none of those inside."""

import pytest

from skae import AEAnomalyDetector, AEClassifier, AutoencoderTransformer

mlflow = pytest.importorskip("mlflow")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def runs(tmp_path):
    """Counts the runs that were logged."""
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'runs.db'}")
    mlflow.set_experiment("skae")
    mlflow.sklearn.autolog(silent=True)
    yield lambda: len(mlflow.search_runs())
    mlflow.sklearn.autolog(disable=True)


@pytest.mark.parametrize("novelty", [False, True])
def test_a_detector_makes_no_runs_of_its_parts(runs, digits, novelty):
    detector = AEAnomalyDetector(
        novelty=novelty, hidden_layer_sizes=(4,), n_steps=2, random_state=0
    )
    detector.fit(digits).predict(digits)
    assert runs() == 0


def test_nor_does_an_autoencoder_or_a_classifier(runs, digits):
    small = AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_iter=1)
    small.fit(digits)
    AEClassifier(small).fit(digits, digits[:, 20] > 8)
    assert runs() == 0


def test_a_run_of_the_users_own(runs, digits):
    """Parameters and scores are logged by hand, as of any estimator mlflow does not know."""
    ae = AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    with mlflow.start_run():
        mlflow.log_params(ae.get_params())
        ae.fit(digits)
        mlflow.log_metric("score", ae.score(digits))
    (logged,) = mlflow.search_runs(output_format="list")
    assert logged.data.params["n_components"] == "2"
    assert logged.data.metrics["score"] == ae.score(digits)
