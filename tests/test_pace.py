"""How long a learning rate is held, when it falls, and when a second start is given up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]


def stopping(**params):
    from skae.training._optimizers import Stopping

    usual = {"max_iter": 100, "n_iter_no_change": 10, "tol": 5e-4, "keep_best": True}
    return Stopping(**{**usual, "rate": 0.01, "share": 0.02, **params})


def paced(how, losses):
    """Rates at the beginnings of the epochs, and how many of them were held."""
    from skae.training._optimizers import Schedule

    schedule, rates = Schedule(how), []
    for loss in losses[: how.max_iter]:
        rates.append(schedule.rates)
        if schedule.update(loss):
            break
    return np.array(rates), schedule.n_held


def test_the_rate_rises_is_held_and_falls_to_zero():
    rates, held = paced(stopping(), np.ones(100))
    assert rates[0, 0] == 0
    assert rates[1, 1] == rates[held - 1, 0] == 0.01
    assert (rates[1:, 0] == rates[:-1, 1]).all()
    assert rates[-1, 1] == 0
    assert (np.diff(rates[held:, 0]) < 0).all()
    # Three epochs for every seven.
    assert len(rates) == pytest.approx(held * 10 / 7, abs=1)


def test_it_is_held_as_long_as_there_is_progress():
    _, flat = paced(stopping(), np.ones(100))
    # A window, what it is compared with, and three times in a row.
    assert flat == 4 + 10 + 2
    losses = np.r_[0.9 ** np.arange(30), np.full(70, 0.9**30)]
    _, held = paced(stopping(), losses)
    assert 30 < held < 50
    _, to_the_end = paced(stopping(), 0.99 ** np.arange(100))
    assert to_the_end == 70


def test_noise_is_no_end():
    noisy = 0.97 ** np.arange(100) * np.random.RandomState(0).uniform(0.9, 1.1, 100)
    assert paced(stopping(), noisy)[1] == 70


@pytest.mark.parametrize("rate", [0.01, None], ids=["held, then falling", "constant"])
@pytest.mark.parametrize(
    ("losses", "tol", "converged"),
    [
        (np.ones(100), 5e-4, True),
        (0.97 ** np.arange(100), 5e-4, False),
        # No progress, but the epochs are too few to show it.
        (np.ones(8), 5e-4, False),
        (np.ones(100), None, False),
    ],
)
def test_training_has_converged_where_it_ends_without_max_iter(rate, losses, tol, converged):
    from skae.training._optimizers import Schedule

    schedule = Schedule(stopping(rate=rate, tol=tol, max_iter=len(losses)))
    for loss in losses:
        if schedule.update(loss):
            break
    assert schedule.has_converged == converged


def test_without_a_tolerance_all_epochs_are_used():
    rates, held = paced(stopping(tol=None), np.ones(100))
    assert (len(rates), held) == (100, 70)


@given(most=st.integers(1, 60), seed=st.integers(0, 20))
def test_no_more_epochs_than_there_may_be(most, seed):
    losses = np.random.RandomState(seed).uniform(size=most)
    rates, held = paced(stopping(max_iter=most), losses)
    assert held <= len(rates) <= most
    assert (rates >= 0).all()
    assert rates.max() <= 0.01
    assert (rates[:, 1] > 0).any()


def test_what_lags_a_lot_is_given_up_at_once_and_a_little_later():
    first = np.full(40, 0.1)
    how = stopping()

    def given_up(by):
        curve = np.full(60, 0.1 * (1 + by))
        return [n for n in range(1, 61) if how.is_hopeless(curve[:n], first)][:1]

    assert given_up(0.5) == [14]
    assert 14 < given_up(0.02)[0] < 40
    assert given_up(-0.01) == []


def test_the_rate_falls_within_few_epochs(digits):
    params = {"hidden_layer_sizes": (8,), "max_iter": 10, "random_state": 0}
    ae = AutoencoderTransformer(2, **params).fit(digits)
    assert ae.n_iter_ == 10
    # At the end a step hardly moves the loss.
    fell = -np.diff(ae.loss_curve_)
    assert abs(fell[-1]) < abs(fell[1])


@pytest.mark.parametrize("kind", [AutoencoderTransformer, DenoisingAutoencoder])
def test_auto_is_told_from_numbers(digits, kind):
    params = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}
    auto, number = (
        kind(2, learning_rate=rate, **params).fit(digits).loss_curve_
        for rate in ("auto", 0.001)
    )
    assert auto != number


def test_a_bound_has_no_share(digits):
    with pytest.raises(ValueError, match="The 'learning_rate' parameter"):
        VAETransformer(2, learning_rate="auto").fit(digits)


def test_batches_grow_with_the_rows():
    """And an epoch of very many rows has several rounds, each of which the schedule counts."""
    from types import SimpleNamespace

    from skae.estimators._training import Start, training_plan
    from skae.utils._rows import Rows

    def plan(n, n_features=30, **params):
        network = SimpleNamespace(has_dense_path=True, gains_from_xla=True)
        rows = Rows(np.broadcast_to(np.float32(0), (n, n_features)))
        start = Start(SimpleNamespace(network=network), rows, rows, None, None, "pca")
        return training_plan(
            AutoencoderTransformer(**params).get_params(), start, None, None, False
        )

    rows = [1000, 8192, 9999, 20_000, 50_000, 100_000, 10**6]
    plans = [plan(n) for n in rows]
    assert [each.batch_size for each in plans] == [32, 32, 39, 90, 439, 1024, 1024]
    # The rate follows the batch up to 128 rows.
    assert plans[3].stopping.rate < plans[4].stopping.rate == plans[6].stopping.rate
    assert [each.stopping.n_rounds for each in plans] == [1, 1, 1, 1, 1, 1, 7]
    # Random weights must lead where rows are many.
    curves = np.full(14, 0.099), np.full(40, 0.1)
    assert [plans[i].stopping.is_hopeless(*curves) for i in (0, 6)] == [False, True]
    # A step of a wide network costs much, however few its rows.
    assert [plan(n, 2000).batch_size for n in (100, 1999, 2000)] == [32, 128, 32]
    # A constant rate is not chosen for so many rows.
    constant = plan(10**6, learning_rate=0.001)
    assert (constant.batch_size, constant.stopping.n_rounds) == (128, 1)


def test_the_schedule_counts_rounds_and_the_user_passes(monkeypatch, digits):
    from skae.estimators import _training
    from skae.training._engine import Engine

    calls, epoch = [], Engine.epoch

    def counted(engine, order, n_rows, rates=None):
        calls.append(n_rows)
        return epoch(engine, order, n_rows, rates)

    monkeypatch.setattr(Engine, "epoch", counted)
    monkeypatch.setattr(_training, "_ROWS_A_ROUND", 50)
    params = {"hidden_layer_sizes": (8,), "random_state": 0, "init": "random"}
    ae = AutoencoderTransformer(2, max_iter=4, **params).fit(digits)
    # 270 training rows are five rounds of 54, in batches of 32; none before training.
    assert calls == [0, *[64, 64, 64, 64, 14] * 4]
    assert ae.n_iter_ == len(ae.loss_curve_) == len(ae.validation_loss_curve_) == 4
    assert ae.best_loss_ == min(ae.validation_loss_curve_)
    assert 0 < ae.best_iter_ <= 4
    again = AutoencoderTransformer(2, max_iter=4, **params).fit(digits)
    assert again.loss_curve_ == ae.loss_curve_
    # A run may end within a pass.
    calls.clear()
    few = AutoencoderTransformer(2, tol=10, **params).fit(digits)
    assert few.n_iter_ < 16 <= len(calls) - 1 <= 5 * few.n_iter_
