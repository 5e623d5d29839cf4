"""Print the kernels of OpenBLAS that this processor can run: values of OPENBLAS_CORETYPE.

All but the one that NumPy takes by itself, with which the whole suite runs.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy  # noqa: F401 - loads an OpenBLAS
import scipy.linalg  # noqa: F401 - loads one of its own
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
    """What libraries take in this process."""
    return " ".join(sorted({str(library.get("architecture")) for library in threadpool_info()}))


def taken_when_asked(kernel):
    """What they take where a kernel is asked for: another if they were built without it."""
    done = subprocess.run(
        [sys.executable, __file__, "--taken"],
        env={**os.environ, "OPENBLAS_CORETYPE": kernel},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def others():
    """One kernel for each that is taken, but not the one that is taken unasked."""
    by_kernel = {}
    for kernel in runnable():
        by_kernel.setdefault(taken_when_asked(kernel), kernel)
    by_kernel.pop(taken(), None)
    return list(by_kernel.values())


if __name__ == "__main__":
    print(taken() if "--taken" in sys.argv else " ".join(others()))
