"""Memory that is returned to the system."""

import ctypes
import math
import mmap
import os
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGE_PAGE = 2**21


def mmap_zeros(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Zeros, in mapped pages if they are many, which return to the system when freed.

    On the heap, arrays of some megabytes fragment memory: `benchmarks/memory.py` then peaks at
    2.7 times a table of 179 MB instead of 1.9.
    """
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    if nbytes < _LARGE_PAGE:
        return np.zeros(shape, dtype)
    if os.name != "posix":
        return np.frombuffer(mmap.mmap(-1, nbytes), dtype).reshape(shape)
    pages = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # To make thousands of small pages takes a tenth of the time of training on them.
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, dtype).reshape(shape)


def is_mmapped(array: NDArray[Any]) -> bool:
    """True if an array of `mmap_zeros` is mapped."""
    return array.nbytes >= _LARGE_PAGE


def malloc_trim() -> None:
    """Return freed memory to the system, with glibc: XLA frees 100 MB after compiling."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    """The function of glibc; None with another library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
