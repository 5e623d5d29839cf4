"""Epochs of fits in several threads as one program: small networks leave a GPU idle."""

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

Made = TypeVar("Made")
Program = Callable[[Sequence[Any]], Sequence[Any]]

# A fit that has not asked for its next epoch after so many seconds is not waited for.
_PATIENCE = 1.0


@dataclass
class _Epoch:
    """An epoch that a thread has asked for, and what came of it."""

    kind: Hashable
    program: Program
    fit: Any
    is_done: bool = False
    outcome: Any = None
    error: BaseException | None = None


class Company:
    """Fits in several threads, each of which waits with its epoch for those of the others.

    Once all threads that train have asked for an epoch, those of one program are run
    together. The program is always that of `n_fits` fits, filled up with one of them where
    there are fewer: what comes of a fit does not depend on which others happen to be there.

    Parameters
    ----------
    n_fits : int
        How many fits a program trains.
    """

    def __init__(self, n_fits: int) -> None:
        self.n_fits = n_fits
        self._made: dict[Hashable, Any] = {}
        self._making = threading.Lock()
        self._changed = threading.Condition()
        self._training: list[int] = []
        self._asked: list[_Epoch] = []
        self._is_running = False

    @contextmanager
    def seat(self, key: Hashable, make: Callable[[], Made]) -> Iterator[Made]:
        """What trains one fit: a shallow copy of what was made for the first of this key.

        Until the end, epochs of others wait for those of this thread.
        """
        with self._making:
            if key not in self._made:
                self._made[key] = make()
            made = copy(self._made[key])
        thread = threading.get_ident()
        with self._changed:
            self._training.append(thread)
        try:
            yield made
        finally:
            with self._changed:
                self._training.remove(thread)
                self._changed.notify_all()

    def run(self, kind: Hashable, program: Program, fit: Any) -> Any:
        """What a program makes of a fit, together with others of its kind.

        Parameters
        ----------
        kind : hashable
            Equal for fits that may be given to the program together.

        program : callable
            Makes of `n_fits` fits as many outcomes.

        fit : object
            What it is given for this one.

        Returns
        -------
        object
            Of this one.
        """
        epoch = _Epoch(kind, program, fit)
        with self._changed:
            self._asked.append(epoch)
        while epochs := self._due(epoch):
            self._run_all(epochs)
        if epoch.error is not None:
            raise epoch.error
        return epoch.outcome

    def _due(self, epoch: _Epoch) -> list[_Epoch]:
        """Wait until an epoch is done, or until this thread has to run all that are asked for.

        Returns
        -------
        list of _Epoch
            Those to be run; none: the epoch is done.
        """
        has_waited = False
        with self._changed:
            while not epoch.is_done:
                # A fit within a fit is of the same thread, which asks for one epoch at a time.
                has_all = len(self._asked) >= len(set(self._training))
                if not self._is_running and (has_all or has_waited):
                    self._is_running = True
                    epochs, self._asked = self._asked, []
                    return epochs
                has_waited = not self._changed.wait(_PATIENCE)
        return []

    def _run_all(self, epochs: list[_Epoch]) -> None:
        """Run epochs, kind by kind; meanwhile others may be asked for."""
        kinds = defaultdict(list)
        for epoch in epochs:
            kinds[epoch.kind].append(epoch)
        for alike in kinds.values():
            for start in range(0, len(alike), self.n_fits):
                self._run_group(alike[start : start + self.n_fits])
        with self._changed:
            self._is_running = False
            self._changed.notify_all()

    def _run_group(self, group: list[_Epoch]) -> None:
        fits = [epoch.fit for epoch in group]
        fits += fits[:1] * (self.n_fits - len(fits))
        try:
            for epoch, outcome in zip(group, group[0].program(fits), strict=False):
                epoch.outcome = outcome
        except BaseException as error:  # which each of the threads has to raise
            for epoch in group:
                epoch.error = error
        for epoch in group:
            epoch.is_done = True
