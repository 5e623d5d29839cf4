"""The one module that prints: how training gets on, in lines that a person reads."""

import math
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from skae.training._loop import Training

# Lines for a run, and at most twice as many for a fit, where they are not updated in place;
# and seconds after which there is one in any case.
_LINES = 10
_SILENCE = 10.0


@dataclass(frozen=True)
class Terms:
    """In which terms losses are told.

    Parameters
    ----------
    unit : float
        What losses are multiplied with.

    spread : float or None
        What the mean of the rows held out would lose, in that unit: the share of variance
        is told. None: the loss is.

    start : str
        What the first start is called, whose loss stands beside; empty: it does not.

    judged_by : str
        Which rows training is judged by.
    """

    unit: float
    spread: float | None = None
    start: str = ""
    judged_by: str = "held-out"


class Progress:
    """Tells of a fit, which trains once or several times.

    Parameters
    ----------
    every_epoch : bool
        Whether every epoch has a line. Otherwise a terminal has one that is updated, and
        what is no terminal about ten for each run.

    names : sequence of str
        What is trained, one after the other; empty where there is nothing to tell apart.

    terms : Terms
        In which terms losses are told.
    """

    def __init__(self, every_epoch: bool, names: Sequence[str], terms: Terms) -> None:
        self.every_epoch = every_epoch
        self.names = names
        self.terms = terms
        self.runs: list[Training] = []
        self._updates = not every_epoch and getattr(sys.stdout, "isatty", bool)()
        self._spent, self._n_epochs = 0.0, 0
        self._begun = self._last_line = time.monotonic()
        self._waiting, self._width = "", 0

    def begin(self) -> None:
        """Before an epoch."""
        self._begun = time.monotonic()

    def end(self, training: Training) -> None:
        """After an epoch."""
        self._notice(training)
        self._spent += time.monotonic() - self._begun
        self._n_epochs += 1
        parts = self._parts(training)
        if self._updates:
            self._update(parts)
            return
        self._waiting = _sentence(parts)
        if self._is_due(training):
            self._write_waiting()

    def close(self, training: Training) -> None:
        """After a run, however it ended."""
        self._notice(training)
        self._write_waiting()
        if self._width:
            self._write("")
            self._width = 0

    def finish(self, run: int, epoch: int, seconds: float, ending: str) -> None:
        """Print what is kept of a fit, and why training ended.

        Parameters
        ----------
        run, epoch : int
            Of which run the network of which epoch; 0 is the start.

        seconds : float
            Duration of the fit.

        ending : str
            Why training ended.
        """
        training, name = self.runs[run], self.names[run]
        if epoch:
            kept = f"epoch {epoch}" + f" of the {name}" * bool(name)
        else:
            kept = f"the {name or 'start'}"
        told = self._judged(training, epoch)
        if not told and epoch:
            told = f"loss {self._loss(training, epoch):.5g}"
        # A single epoch of which there is nothing to choose has had its line.
        if training.max_iter > 1 or math.isfinite(training.validation_curve[0]):
            self._write(_sentence([f"kept {kept}", told, _duration(seconds)]) + f"; {ending}.")

    def _notice(self, training: Training) -> None:
        if not self.runs or training is not self.runs[-1]:
            self.runs.append(training)

    def _parts(self, training: Training) -> list[str]:
        """What is said after an epoch, the most important first."""
        epoch = len(training.parts)
        where = f"epoch {epoch}/{training.max_iter}"
        name = self.names[len(self.runs) - 1]
        left = self._seconds_left(training)
        return [
            f"{name}, {where}" if name else where,
            self._judged(training, epoch),
            f"at most {_duration(left)} left" if left >= 0.05 else "",
            f"loss {self._loss(training, epoch):.5g}",
        ]

    def _loss(self, training: Training, epoch: int) -> float:
        return training.loss_curve[epoch - 1] * self.terms.unit

    def _judged(self, training: Training, epoch: int) -> str:
        """What the rows held out say of an epoch, beside the first start."""
        if not math.isfinite(training.validation_curve[epoch]):
            return ""
        what = "loss" if self.terms.spread is None else "variance explained"
        told = f"{self.terms.judged_by} {what} {self._figure(training, epoch)}"
        if self.terms.start:
            told += f" ({self.terms.start} {self._figure(self.runs[0], 0)})"
        return told

    def _figure(self, training: Training, epoch: int) -> str:
        if self.terms.spread is None:
            return f"{training.validation_curve[epoch] * self.terms.unit:.5g}"
        # The first part is the error of the reconstruction; a penalty follows.
        lost = float(training.validation_parts[epoch][0]) * self.terms.unit
        return f"{1 - lost / self.terms.spread:.4f}"

    def _seconds_left(self, training: Training) -> float:
        """If no run stops early. Compilation comes before the first epoch and is not in it."""
        more_runs = len(self.names) - len(self.runs)
        epochs = training.max_iter * (1 + more_runs) - len(training.parts)
        return epochs * self._spent / self._n_epochs

    def _is_due(self, training: Training) -> bool:
        lines, most = _LINES * min(len(self.names), 2), training.max_iter * len(self.names)
        return (
            self.every_epoch
            or len(training.parts) == 1
            or len(training.parts) % -(-most // lines) == 0
            or time.monotonic() - self._last_line >= _SILENCE
        )

    def _write_waiting(self) -> None:
        if self._waiting:
            self._write(self._waiting)
            self._waiting, self._last_line = "", time.monotonic()

    def _update(self, parts: list[str]) -> None:
        """Write over the line; a line that wraps could not be written over."""
        most = shutil.get_terminal_size().columns - 1
        short = [part.replace("held-out variance ", "") for part in parts]
        for tried in (parts, parts[:3], short[:3], short[:2], short[:1]):
            line = _sentence(tried)
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
