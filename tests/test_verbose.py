"""What is printed of a fit: how far it is, how good, how long it may take, what it keeps."""

import io
import itertools
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from skae import (
    AEAnomalyDetector,
    AEClassifier,
    AEImputer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.estimators import _base
from skae.training import _progress
from skae.training._progress import Progress, ProgressFormat

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]

SHARE = r"-?\d\.\d{4}"


class Terminal(io.StringIO):
    def isatty(self):
        return True

    @property
    def lines(self):
        """What is seen in the end: what was written over what."""
        return [line.split("\r")[-1].rstrip() for line in self.getvalue().split("\n")]


@pytest.fixture
def terminal(monkeypatch):
    def shift_latent_positive(columns=200):
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setenv("COLUMNS", str(columns))
        return screen

    return shift_latent_positive


@pytest.fixture
def lines(capsys):
    """Lines printed since they were last asked for."""
    return lambda: capsys.readouterr().out.splitlines()


def fake(*losses, validation=(), max_iter=100):
    """Training with these losses; one part each."""
    return SimpleNamespace(
        parts=[np.array([loss]) for loss in losses],
        loss_curve=list(losses),
        validation_parts=[np.array([loss]) for loss in validation],
        validation_curve=list(validation) or [np.nan] * (1 + len(losses)),
        max_iter=max_iter,
        seconds=0.0,
    )


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is told."""
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(_progress, "time", clock)
    return clock


def trained(progress, clock, n_epochs, max_iter, seconds, compiled=0.0):
    """A run of so many epochs, of so many seconds each."""
    training = fake(max_iter=max_iter)
    training.seconds = compiled
    for epoch in range(n_epochs):
        progress.begin(training)
        clock.now += seconds
        training.parts.append(np.array([1.0 + epoch]))
        training.loss_curve.append(1.0 + epoch)
        training.validation_curve.append(np.nan)
        progress.end(training)
    progress.close()
    return training


# What is said


def test_nothing_unless_asked(quick, digits, capsys):
    quick().fit(digits)
    assert capsys.readouterr() == ("", "")


@pytest.mark.one_start
def test_an_epoch_beside_the_principal_components(quick, digits, lines):
    ae = quick(verbose=True).fit(digits)
    *epochs, kept = lines()
    assert len(epochs) == ae.n_iter_ == 3
    for i, line in enumerate(epochs, 1):
        told = rf"Epoch {i}/3: held-out variance explained {SHARE} \(PCA {SHARE}\), "
        assert re.match(told, line), line
        assert line.endswith(f"loss {ae.loss_curve_[i - 1]:.5g}")
    told = rf"Kept epoch {ae.best_iter_}: held-out variance explained {SHARE} \(PCA {SHARE}\), "
    assert re.fullmatch(told + r"[\d.]+ s; stopped at max_iter=3, not converged\.", kept), kept


@pytest.mark.parametrize("params", [{}, {"penalty": "l1"}, {"output_activation": "sigmoid"}])
def test_variance_explained_is_that_of_score(quick, pixels, lines, monkeypatch, params):
    held_out, split = [], _base.split_rows

    def recorded(*args):
        train, judged = split(*args)
        held_out.append(judged)
        return train, judged

    monkeypatch.setattr(_base, "split_rows", recorded)
    weight = np.linspace(1, 2, len(pixels))
    ae = quick(verbose=1, learning_rate=0.02, **params).fit(pixels, sample_weight=weight)
    told = float(re.search(rf"explained ({SHARE})", lines()[-1])[1])
    assert ae.best_iter_ > 0
    score = ae.score(held_out[0].inputs, sample_weight=held_out[0].weight)
    assert told == pytest.approx(score, abs=2e-4)


@pytest.mark.one_start
def test_what_is_beside_it_is_what_principal_components_explain(quick, digits, lines):
    start = quick(verbose=1, learning_rate=1e-9).fit(digits)
    *_, kept = lines()
    assert start.best_iter_ == 0
    told = re.match(rf"Kept the start: .*explained ({SHARE}) \(PCA ({SHARE})\)", kept)
    assert told[1] == told[2]


@pytest.mark.one_start
@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"loss": "absolute_error"}, r"held-out loss [\d.]+ \(start [\d.]+\)"),
        ({"init": "random"}, rf"held-out variance explained {SHARE}, "),
        ({"code_activation": "tanh"}, rf"held-out variance explained {SHARE} \(start "),
        ({"early_stopping": False}, r"/3: (at most [\d.]+ s left, )?loss "),
    ],
    ids=["another loss", "random weights", "nearly PCA", "no rows held out"],
)
def test_what_can_be_said(quick, digits, lines, params, told):
    ae = quick(verbose=1, **params).fit(digits)
    *epochs, kept = lines()
    assert all(re.search(told, line) for line in epochs), epochs
    assert kept.startswith((f"Kept epoch {ae.best_iter_}: ", "Kept the start: "))


def test_losses_of_the_start_are_those_of_the_attributes(quick, digits, lines):
    ae = quick(verbose=1, loss="absolute_error").fit(digits)
    told = f"held-out loss {ae.validation_loss_curve_[0]:.5g} (start {ae.start_loss_:.5g})"
    assert told in lines()[0]


@pytest.mark.one_start
def test_a_few_rows_are_not_held_out(quick, digits, lines):
    quick(verbose=1, n_components=2, max_iter=1).fit(digits[:8])
    assert "Epoch 1/1: training variance explained" in lines()[0]


def test_rows_that_do_not_vary_have_no_share(quick, lines):
    X = np.r_[np.zeros((40, 5)), np.ones((1, 5))]
    quick(verbose=1, max_iter=1, batch_size=40, random_state=1).fit(X)
    assert "held-out loss" in lines()[0]


def test_each_start_has_its_name(quick, digits, lines):
    ae = quick(n_components=1, verbose=1).fit(digits)
    *epochs, kept = lines()
    told = [line.split(":")[0] for line in epochs]
    starts = ("PCA start", "Random start")
    assert told == [f"{start}, epoch {i}/3" for start in starts for i in (1, 2, 3)]
    components = {re.search(rf"\(PCA ({SHARE})\)", line)[1] for line in [*epochs, kept]}
    assert len(components) == 1
    name = "PCA" if ae.init_ == "pca" else ae.init_
    of = f"epoch {ae.best_iter_} of the {name} start" if ae.best_iter_ else "the PCA start"
    assert kept.startswith(f"Kept {of}: ")


def test_an_autoencoder_that_goes_on(quick, digits, lines):
    ae = quick(verbose=1, warm_start=True).fit(digits)
    lines()
    ae.fit(digits)
    *epochs, kept = lines()
    assert epochs[0].startswith("Epoch 1/3: ")
    assert all("(start " in line for line in epochs)
    assert kept.startswith((f"Kept epoch {ae.best_iter_ - 3}: ", "Kept the start: "))


def test_partial_fit_has_a_line(quick, digits, lines):
    ae = quick(verbose=1).partial_fit(digits).partial_fit(digits)
    assert lines() == [f"Epoch 1/1: loss {loss:.5g}" for loss in ae.loss_curve_]


def test_other_estimators(digits, lines):
    few = {"hidden_layer_sizes": (8,), "random_state": 0, "verbose": 1}
    for target in (None, digits[:, ::-1]):
        DenoisingAutoencoder(3, max_iter=1, **few).fit(digits, target=target)
        told = rf"held-out variance explained {SHARE} \(start {SHARE}\)"
        assert re.search(told, lines()[0])
    VAETransformer(3, max_iter=1, **few).fit(digits)
    assert re.search(r"held-out loss -?[\d.]+ \(start -?[\d.]+\)", lines()[0])
    detector = AEAnomalyDetector(n_steps=5, cv=2, **few).fit(digits[:60])
    first, *_, last = lines()
    assert first.startswith("Network 1 of 2, epoch 1/")
    loss = f"{detector.loss_curve_[-1]:.5g}"
    assert re.fullmatch(rf"Fitted 2 networks: loss {loss}, [\d.]+ s\.", last)
    table = np.where(np.arange(300)[:, np.newaxis] % 7 == np.arange(6), np.nan, digits[:, 2:8])
    AEImputer(n_steps=5, n_estimators=2, **few).fit(table)
    *networks, last = lines()
    assert any(line.startswith("Network 2 of 2, epoch 1/") for line in networks)
    assert re.fullmatch(r"Fitted 2 networks: loss [\d.]+, [\d.]+ s\.", last)
    AEImputer(n_estimators=1, **few).fit(table[:, :1])
    assert re.fullmatch(r"Fitted no network: [\d.]+ s\.", lines()[-1])


def test_networks_that_report_themselves(quick, digits, lines):
    y = digits[:, 20] > 8
    AEClassifier(quick(verbose=1, max_iter=1)).fit(digits, y)
    *networks, last = lines()
    assert sum(line.startswith("Kept ") for line in networks) == 2
    assert re.fullmatch(r"Fitted 2 networks: [\d.]+ s\.", last)
    AEClassifier(quick(max_iter=1)).fit(digits, y)
    assert lines() == []


# How often, and how long


@pytest.mark.one_start
def test_about_ten_lines_of_many_epochs(quick, digits, lines):
    quick(verbose=1, max_iter=95, tol=None, hidden_layer_sizes=()).fit(digits)
    told = [int(re.match(r"Epoch (\d+)", line)[1]) for line in lines()[:-1]]
    assert told == [1, *range(10, 91, 10), 95]


@pytest.mark.one_start
def test_each_epoch_has_a_line_where_two_is_said(quick, digits, lines, terminal):
    quick(verbose=2, max_iter=15, tol=None).fit(digits)
    assert len(lines()) == 16
    screen = terminal()
    quick(verbose=2, max_iter=15, tol=None).fit(digits)
    assert len(screen.lines) == 17
    assert "\r" not in screen.getvalue()


def test_networks_share_twenty_lines(clock, lines):
    names = [f"network {i} of 5" for i in range(1, 6)]
    progress = Progress(False, names, ProgressFormat(1.0))
    for _ in names:
        trained(progress, clock, 40, 40, seconds=0.01)
    assert len(lines()) == 5 * (1 + 4)


def test_no_long_silence(clock, lines):
    trained(Progress(False, [""], ProgressFormat(1.0)), clock, 9, 1000, seconds=4)
    told = [re.match(r"Epoch (\d+)", line)[1] for line in lines()]
    assert told == ["1", "4", "7", "9"]


def test_seconds_left_are_those_of_all_starts(clock, lines):
    progress = Progress(True, ["PCA start", "random start"], ProgressFormat(1.0))
    trained(progress, clock, 2, 10, seconds=3)
    clock.now += 100  # what is compiled between them is no epoch
    trained(progress, clock, 10, 10, seconds=3)
    told = lines()
    assert told[0] == "PCA start, epoch 1/10: at most 57 s left, loss 1"
    assert told[1] == "PCA start, epoch 2/10: at most 54 s left, loss 2"
    assert told[2] == "Random start, epoch 1/10: at most 27 s left, loss 1"
    assert told[-1] == "Random start, epoch 10/10: loss 10"


def test_seconds_left_include_the_compilation_of_later_runs(clock, lines):
    progress = Progress(True, ["first", "second", "third"], ProgressFormat(1.0))
    trained(progress, clock, 1, 1, seconds=1, compiled=10)
    trained(progress, clock, 1, 1, seconds=1, compiled=0.5)
    trained(progress, clock, 1, 1, seconds=1, compiled=99)
    told = lines()
    assert told[0].startswith("First, epoch 1/1: at most 22 s left")
    assert told[1].startswith("Second, epoch 1/1: at most 1.5 s left")
    assert told[2] == "Third, epoch 1/1: loss 1"


def test_the_compilation_is_measured(quick, digits, monkeypatch):
    from skae.training import _train

    seconds = []
    begin = Progress.begin
    monkeypatch.setattr(_train.time, "perf_counter", itertools.count().__next__)
    monkeypatch.setattr(
        Progress, "begin", lambda self, run: (seconds.append(run.seconds), begin(self, run))
    )
    quick(verbose=1, max_iter=1).fit(digits)
    assert set(seconds) == {1}


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.2, "0.2 s"), (59, "59 s"), (600, "10 min"), (10_800, "3.0 h")]
)
def test_durations(clock, lines, seconds, told):
    trained(Progress(True, [""], ProgressFormat(1.0)), clock, 1, 2, seconds)
    assert lines() == [f"Epoch 1/2: at most {told} left, loss 1"]


# In a terminal


def test_one_line_that_is_updated(quick, digits, terminal):
    screen = terminal()
    quick(n_components=1, verbose=1).fit(digits)
    first, second, kept, rest = screen.lines
    assert first.startswith("PCA start, epoch 3/3: held-out variance explained ")
    assert second.startswith("Random start, epoch 3/3: ")
    assert kept.startswith("Kept ")
    assert rest == ""
    assert screen.getvalue().count("\r") == 6


@pytest.mark.one_start
def test_a_notebook_updates_its_line_too(quick, digits, monkeypatch):
    """Its stream is no terminal."""
    stream = type("OutStream", (Terminal,), {"isatty": lambda self: False})
    for module, n_lines in [("ipykernel.iostream", 2), ("somewhere", 4)]:
        stream.__module__ = module
        screen = stream()
        monkeypatch.setattr(sys, "stdout", screen)
        quick(verbose=1).fit(digits)
        assert len(screen.lines) == n_lines + 1


def test_a_shorter_line_leaves_nothing_of_a_longer_one(clock, terminal):
    screen = terminal()
    progress = Progress(False, [""], ProgressFormat(1.0))
    trained(progress, clock, 2, 2, seconds=600)
    long, short = screen.getvalue().split("\n")[0].split("\r")[1:]
    assert long.startswith("Epoch 1/2: at most 10 min left")
    assert short.rstrip() == "Epoch 2/2: loss 2"
    assert len(short) == len(long)


@pytest.mark.one_start
def test_a_narrow_terminal_shows_whole_parts(quick, digits, terminal):
    """The loss goes first, then words, then the seconds left, then what is explained."""
    told = rf"Epoch 3/3: explained {SHARE} \(PCA {SHARE}\)"
    for columns, line in [(65, told.replace("exp", "held-out variance exp")), (50, told)]:
        screen = terminal(columns)
        quick(verbose=1).fit(digits)
        assert re.fullmatch(line, screen.lines[0])
        shown = screen.getvalue().split("\n")[0].split("\r")
        assert all(len(line) < columns for line in shown)
    screen = terminal(20)
    quick(verbose=1).fit(digits)
    assert screen.lines[0] == "Epoch 3/3"


@pytest.mark.one_start
def test_an_error_does_not_continue_the_line(quick, digits, terminal):
    pytest.importorskip("sklearn.callback")

    class Fails:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            if context.task_id == 1:
                raise RuntimeError("the callback fails")

    screen = terminal()
    with pytest.raises(RuntimeError, match="the callback fails"):
        quick(verbose=1).set_callbacks(Fails()).fit(digits)
    first, rest = screen.lines
    assert first.startswith("Epoch 1/3: ")
    assert rest == ""


def test_without_a_stream_nothing_is_said(quick, digits, monkeypatch):
    """As in windows without a console."""
    monkeypatch.setattr(sys, "stdout", None)
    quick(verbose=1, max_iter=1).fit(digits)
