"""The one module that prints: progress lines of a fit."""

import math
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from skae.training._train import Training

# Lines of a run (of a fit at most twice as many) where they are not updated in place, and
# seconds after which there is one in any case.
_LINES = 10
_SILENCE = 10.0


@dataclass(frozen=True)
class ProgressFormat:
    """Units and labels of the losses in progress lines."""

    unit: float  # factor of the losses
    # Loss of the mean of the validation rows, in that unit: lines show the variance explained.
    # None: the loss.
    spread: float | None = None
    # Label of the first initialization, whose loss is shown beside; empty: it is not.
    baseline: str = ""
    rows: str = "held-out"  # label of the validation rows
    n_parts: int | None = None  # of the training loss that are added up; None: all


class Progress:
    """Progress lines of a fit, which has one training run or several.

    Parameters
    ----------
    every_epoch : bool
        Whether every epoch has a line. Otherwise a terminal and a notebook have one that is
        updated, and any other output about ten for each run.

    names : sequence of str
        Labels of the runs; empty if there is one.

    form : ProgressFormat
        Units and labels.
    """

    def __init__(self, every_epoch: bool, names: Sequence[str], form: ProgressFormat) -> None:
        self.every_epoch = every_epoch
        self.names = names
        self.form = form
        self.runs: list[Training] = []
        is_notebook = type(sys.stdout).__module__.startswith("ipykernel")
        is_updatable = is_notebook or getattr(sys.stdout, "isatty", bool)()
        self._updates = not every_epoch and is_updatable
        self._spent, self._n_epochs = 0.0, 0
        self._begun = self._last_line = time.monotonic()
        self._pending_line, self._width = "", 0

    def begin(self, training: Training) -> None:
        """Before an epoch."""
        if not self.runs or training is not self.runs[-1]:
            self.runs.append(training)
        self._begun = time.monotonic()

    def end(self, training: Training) -> None:
        """After an epoch."""
        self._spent += time.monotonic() - self._begun
        self._n_epochs += 1
        epoch, n_runs = len(training.parts), len(self.names)
        name = self.names[len(self.runs) - 1]
        where = f"epoch {epoch}/{training.max_iter}"
        # Seconds if no run stops early, and each is compiled as long as this one was.
        n_runs_left = n_runs - len(self.runs)
        n_left = training.max_iter * (1 + n_runs_left) - epoch
        seconds = n_left * self._spent / self._n_epochs + n_runs_left * training.seconds
        # The most important first.
        parts = [
            f"{name}, {where}" if name else where,
            self._validation(training, epoch),
            f"at most {_duration(seconds)} left" if seconds >= 0.05 else "",
            self._loss(training, epoch),
        ]
        if self._updates:
            self._update(parts)
            return
        self._pending_line = _sentence(parts)
        epochs_a_line = -(-training.max_iter * n_runs // (_LINES * min(n_runs, 2)))
        is_due = self.every_epoch or epoch == 1 or epoch % epochs_a_line == 0
        if is_due or time.monotonic() - self._last_line >= _SILENCE:
            self._write_pending()

    def close(self) -> None:
        """After a run, however it ended."""
        self._write_pending()
        if self._width:
            self._write("")
            self._width = 0

    def finish(self, run: int, epoch: int, seconds: float, ending: str) -> None:
        """Print the run and its epoch that are kept (0: the initialization), and the ending.

        `seconds` is the duration of the fit.
        """
        training, name = self.runs[run], self.names[run]
        if epoch:
            result = f"epoch {epoch}" + f" of the {name}" * bool(name)
        else:
            result = f"the {name or 'start'}"
        loss = self._validation(training, epoch)
        if not loss and epoch:
            loss = self._loss(training, epoch)
        # A single epoch without a choice has its line already.
        if training.max_iter > 1 or math.isfinite(training.validation_curve[0]):
            self._write(
                _sentence([f"kept {result}", loss, _duration(seconds)]) + f"; {ending}."
            )

    def finish_networks(self, losses: Sequence[float] | None, seconds: float) -> None:
        """Print that the networks are fitted, and the mean of their last losses, if any."""
        n_networks = f"{len(self.names)} network" + "s" * (len(self.names) > 1)
        if losses is not None and not len(losses):
            n_networks = "no network"
        loss = f"loss {losses[-1] * self.form.unit:.5g}" if losses else ""
        self._write(_sentence([f"fitted {n_networks}", loss, _duration(seconds)]) + ".")

    def _loss(self, training: Training, epoch: int) -> str:
        loss = float(training.parts[epoch - 1][: self.form.n_parts].sum())
        return f"loss {loss * self.form.unit:.5g}"

    def _validation(self, training: Training, epoch: int) -> str:
        """Validation loss or variance explained of an epoch, beside the baseline."""
        if not math.isfinite(training.validation_curve[epoch]):
            return ""
        form, figures = self.form, []
        for run, at in ((training, epoch), (self.runs[0], 0)):
            if form.spread is None:
                figures.append(f"{run.validation_curve[at] * form.unit:.5g}")
            else:
                # The first part is the reconstruction error; a penalty follows.
                error = float(run.validation_parts[at][0]) * form.unit
                figures.append(f"{1 - error / form.spread:.4f}")
        what = "loss" if form.spread is None else "variance explained"
        baseline = f" ({form.baseline} {figures[1]})" if form.baseline else ""
        return f"{form.rows} {what} {figures[0]}{baseline}"

    def _write_pending(self) -> None:
        if self._pending_line:
            self._write(self._pending_line)
            self._pending_line, self._last_line = "", time.monotonic()

    def _update(self, parts: list[str]) -> None:
        """Write over the line, which must not wrap."""
        most = shutil.get_terminal_size().columns - 1
        short = [part.replace("held-out variance ", "") for part in parts]
        for shown in (parts, parts[:3], short[:3], short[:2], short[:1]):
            line = _sentence(shown)
            if len(line) <= most:
                break
        line = line[:most]
        self._write("\r" + line.ljust(self._width), end="")
        self._width = len(line)

    def _write(self, text: str, end: str = "\n") -> None:
        print(text, end=end, flush=True)


def _sentence(parts: list[str]) -> str:
    first, *others = filter(None, parts)
    text = first + ": " * bool(others) + ", ".join(others)
    return text[0].upper() + text[1:]


def _duration(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
