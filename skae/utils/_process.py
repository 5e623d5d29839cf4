"""Forked processes, which lack the threads of their parents."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import threadpool_limits

_IMPORTED_IN = os.getpid()


@lru_cache(maxsize=1)
def _backend_process() -> int:
    """The process of the first call; a forked child inherits the result."""
    return os.getpid()


def refuse_forked_process() -> None:
    """Raise in a child forked from a process in which a backend has run.

    Its threads do not survive the fork, and the child would wait for them for ever.
    """
    if _backend_process() != os.getpid():
        raise RuntimeError(
            "This process was forked from one in which Keras has run for skae. A fork does "
            "not take the backend's threads with it, so this would wait for ever. Use "
            "processes that start afresh (joblib's default backend 'loky', "
            "multiprocessing.get_context('spawn')) or threads. Prediction with dense "
            "networks works here, too."
        )


@contextmanager
def safe_openmp() -> Iterator[None]:
    """Limit OpenMP to one thread in a forked process, which lacks the others."""
    if os.getpid() == _IMPORTED_IN:
        yield
    else:
        with threadpool_limits(limits=1, user_api="openmp"):
            yield
