"""Work that is shared out over threads, each of which multiplies matrices by itself."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

# For fewer multiplications in all, further threads are not worth starting. With fewer still a
# product takes one thread anyway.
_FEWEST_TO_SHARE = 2**25
_FEWEST_IN_THREADS = 2**18

# Parts that are shared out at least. What a product makes of a row depends by rounding on how
# many rows there are, so this does not depend on the number of threads.
_FEWEST_PARTS = 8


def parallel_slices(
    function: Callable[[slice], None], n_rows: int, most: int, n_multiplications: float
) -> None:
    """Call a function for all rows, some at a time, in as many threads as a product may take.

    Each thread multiplies by itself, and the results do not depend on how many there are.
    Products of a size that stays in the cache gain little from threads of their own, and what
    is done between them gains nothing; and a product that waits for its threads waits long
    where those of another library are in their way.

    Parameters
    ----------
    function : callable
        Of a slice; spends its time in NumPy.

    n_rows : int
        How many rows there are.

    most : int
        How many of them to give to the function at a time.

    n_multiplications : float
        Of all rows together, about.
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
    """How many threads a matrix product may take, which is a matter of the whole process.

    Callers that each set it and set it back would, side by side, leave it at one.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside = Lock(), 0
        self._limits: Any = None

    @contextmanager
    def single(self) -> Iterator[None]:
        """One thread meanwhile; when all who asked for that have left, as before."""
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
    """Let products take one thread: in the process, or with some libraries in this thread."""
    return _controller().limit(limits=1, user_api="blas")


def _threads_of_products() -> int:
    libraries = _controller().lib_controllers
    return max((one.num_threads for one in libraries if one.user_api == "blas"), default=1)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
