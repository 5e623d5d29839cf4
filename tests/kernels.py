"""Print the kernels of OpenBLAS that this processor can run: values of OPENBLAS_CORETYPE.

All but the one that NumPy takes by itself, with which the whole suite runs.
"""

from pathlib import Path

import numpy  # noqa: F401 - loads OpenBLAS
from threadpoolctl import threadpool_info

# What each asks of the processor, as /proc/cpuinfo says it.
NEEDS = {
    "Nehalem": {"sse4_2"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512dq", "avx512bw", "avx512vl"},
}


def runnable():
    """Kernels whose instructions are all there; none where that cannot be told."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    flags = set(next((line for line in lines if line.startswith("flags")), "").split())
    return [kernel for kernel, needs in NEEDS.items() if needs <= flags]


def taken():
    """What libraries take where OPENBLAS_CORETYPE is not set."""
    return {library.get("architecture") for library in threadpool_info()}


if __name__ == "__main__":
    print(*(kernel for kernel in runnable() if kernel not in taken()))
