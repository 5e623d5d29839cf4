"""Slices of rows that are computed in several threads, with one thread for each product."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

# With fewer multiplications further threads cost more than they save. With fewer still a
# product takes one thread anyway.
_FEWEST_TO_SHARE = 2**25
_FEWEST_IN_THREADS = 2**18

# Fewest slices. The rounding of a product depends on the number of its rows, so the slices do
# not depend on the number of threads.
_FEWEST_PARTS = 8


def parallel_slices(
    function: Callable[[slice], None], n_rows: int, most: int, n_multiplications: float
) -> None:
    """Call a function for slices of rows, in as many threads as a product may take.

    Each thread computes its products alone, and the results do not depend on the number of
    threads. Products that stay in the cache gain little from several threads, the operations
    between them gain nothing, and threads of other libraries delay them.

    Parameters
    ----------
    function : callable
        Function of a slice that spends its time in NumPy.

    n_rows : int
        Number of rows.

    most : int
        Largest slice.

    n_multiplications : float
        Number of multiplications of all rows, about.
    """
    if n_multiplications < _FEWEST_IN_THREADS:
        for start in range(0, n_rows, most):
            function(slice(start, start + most))
        return
    n_threads = 1
    if n_multiplications >= _FEWEST_TO_SHARE:
        n_threads = _threads_of_products()
        most = min(most, -(-n_rows // _FEWEST_PARTS))
    parts = deque(slice(start, start + most) for start in range(0, n_rows, most))

    def work() -> None:
        try:
            for part in _taken(parts):
                function(part)
        finally:
            parts.clear()  # after an error in one thread the others end, too

    with BLAS_LIMITS.single():
        if n_threads == 1:
            work()
            return
        with ThreadPoolExecutor(n_threads, initializer=_limit_products) as pool:
            try:
                for worker in [pool.submit(work) for _ in range(n_threads)]:
                    worker.result()
            finally:
                parts.clear()


def _taken(parts: deque[slice]) -> Iterator[slice]:
    """Parts that no other thread has taken."""
    while True:
        try:
            yield parts.popleft()
        except IndexError:
            return


class _Products:
    """Number of threads of a matrix product, which is a setting of the whole process.

    Concurrent callers that each set and restored it would leave it at one.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside = Lock(), 0
        self._limits: Any = None

    @contextmanager
    def single(self) -> Iterator[None]:
        """Limit products to one thread until the last concurrent caller leaves."""
        with self._lock:
            if self._n_inside == 0:
                self._limits = _limit_products()
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if self._n_inside == 0:
                    self._limits.restore_original_limits()


BLAS_LIMITS = _Products()


def _limit_products() -> Any:
    """Limit products to one thread: of the process, or with some libraries of this thread."""
    return _controller().limit(limits=1, user_api="blas")


def _threads_of_products() -> int:
    libraries = _controller().lib_controllers
    return max((one.num_threads for one in libraries if one.user_api == "blas"), default=1)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
