"""Engines that wait to be used again: a refit of the same shape compiles nothing."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from skae.training._engine import Engine

# A program for a table of ten thousand columns holds a hundred megabytes of weights.
_MOST_ENGINES = 32
_MOST_BYTES = 2**29


class EngineCache:
    """Engines by what they were made for, the least recently used dropped first.

    An engine in use is out of the cache: two threads that fit the same shape at once
    train two engines, and nothing waits while another trains.

    Parameters
    ----------
    max_size : int
        How many engines are kept.

    max_bytes : int
        How much memory they may hold together; one that holds more is not kept.
    """

    def __init__(self, max_size: int = _MOST_ENGINES, max_bytes: int = _MOST_BYTES) -> None:
        self.max_size = max_size
        self.max_bytes = max_bytes
        self._idle: OrderedDict[Hashable, list[Engine]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))

    @property
    def nbytes(self) -> int:
        """Memory that the idle engines hold."""
        return sum(engine.nbytes for engines in self._idle.values() for engine in engines)

    @contextmanager
    def borrow(self, key: Hashable | None, make: Callable[[], Engine]) -> Iterator[Engine]:
        """An engine for this key, made if none is idle; None is never kept.

        After an exception the engine is not used again.
        """
        with self._lock:
            idle = self._idle.get(key) if key is not None else None
            engine = idle.pop() if idle else None
        if engine is None:
            engine = make()
        yield engine
        engine.release()
        if key is not None and engine.nbytes <= self.max_bytes:
            self._keep(key, engine)

    def _keep(self, key: Hashable, engine: Engine) -> None:
        with self._lock:
            self._idle.setdefault(key, []).append(engine)
            self._idle.move_to_end(key)
            while len(self) > self.max_size or self.nbytes > self.max_bytes:
                oldest = next(iter(self._idle))
                if self._idle[oldest]:
                    self._idle[oldest].pop(0)
                if not self._idle[oldest]:
                    del self._idle[oldest]


CACHE = EngineCache()
