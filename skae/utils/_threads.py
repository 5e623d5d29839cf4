"""Work that is shared out over threads, each of which multiplies matrices by itself."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

# Fewer parts than so many for a thread are not worth starting it, and so are fewer
# multiplications in all: for some milliseconds the threads of the last product stay in the way.
_FEWEST_PARTS = 2
_FEWEST_MULTIPLICATIONS = 2**27


def share_out(
    function: Callable[[Any], None], parts: Sequence[Any], n_multiplications: float
) -> None:
    """Call a function for each part, in as many threads as a matrix product may take.

    Products of the size that stays in the cache gain little from threads of their own, and
    what is done between them gains nothing.

    Parameters
    ----------
    function : callable
        Of one part; spends its time in NumPy.

    parts : sequence
        In any order.

    n_multiplications : float
        Of all parts together, about.
    """
    n_threads = 1
    if len(parts) >= 2 * _FEWEST_PARTS and n_multiplications >= _FEWEST_MULTIPLICATIONS:
        n_threads = min(len(parts) // _FEWEST_PARTS, _threads_of_products())
    if n_threads == 1:
        for part in parts:
            function(part)
        return
    left = deque(parts)

    def work() -> None:
        # Some libraries count threads for each thread that calls them.
        _controller().limit(limits=1, user_api="blas")
        try:
            for part in _taken(left):
                function(part)
        finally:
            left.clear()  # after an error in one thread the others end, too

    with _PRODUCTS.single(), ThreadPoolExecutor(n_threads) as pool:
        try:
            for worker in [pool.submit(work) for _ in range(n_threads)]:
                worker.result()
        finally:
            left.clear()


def _taken(left: deque[Any]) -> Iterator[Any]:
    """Parts that no other thread has taken."""
    while True:
        try:
            yield left.popleft()
        except IndexError:
            return


class _Products:
    """How many threads a matrix product may take, which is a matter of the whole process."""

    def __init__(self) -> None:
        self._lock, self._n_inside = Lock(), 0
        self._limits: Any = None

    @contextmanager
    def single(self) -> Iterator[None]:
        """One thread meanwhile; when all who asked for that have left, as before."""
        with self._lock:
            if self._n_inside == 0:
                self._limits = _controller().limit(limits=1, user_api="blas")
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if self._n_inside == 0:
                    self._limits.restore_original_limits()


_PRODUCTS = _Products()


def _threads_of_products() -> int:
    libraries = _controller().lib_controllers
    return max((one.num_threads for one in libraries if one.user_api == "blas"), default=1)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
