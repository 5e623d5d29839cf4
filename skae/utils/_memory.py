"""Memory that the system should have back."""

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
    """Zeros, in pages of their own if they are many, so that the system has them back at once.

    On the heap other memory comes to lie between arrays of some megabytes that come and go,
    and the holes that they leave add up to hundreds of megabytes.
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
    """Whether an array that `mmap_zeros` made has pages of its own."""
    return array.nbytes >= _LARGE_PAGE


def malloc_trim() -> None:
    """Let the system have what was freed, where the C library keeps it and can be asked to."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    """The function of glibc; None: this is another library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
