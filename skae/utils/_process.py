"""Threads, forks, memory and files of this process, the backend and the versions in it."""

import ctypes
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, partial
from hashlib import sha256
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Any

import sklearn
from threadpoolctl import ThreadpoolController, threadpool_limits

# With fewer multiplications further threads cost more than they save. With fewer still a
# product takes one thread anyway.
_FEWEST_TO_SHARE = 2**25
_FEWEST_IN_THREADS = 2**18

# Fewest slices. The rounding of a product depends on the number of its rows, so the slices do
# not depend on the number of threads.
_FEWEST_PARTS = 8

# Of matrix products.
_ONE_THREAD: dict[str, Any] = {"limits": 1, "user_api": "blas"}

_IMPORTED_IN = os.getpid()

# Two threads must not divert standard error at once.
_IMPORTING = Lock()
_REMARKS = re.compile(rb"WARNING: All log messages before absl::|[IWE]0000 00:00:|To enable ")

# Size of all compiled programs on disk.
_MOST_ON_DISK = 2**27

# Of Keras, in the order in which one is chosen.
_BACKENDS = ("tensorflow", "jax", "torch")
_OPTIONAL = ("pandas", "polars", "pyarrow", "onnx", "onnxruntime", "skl2onnx", "matplotlib")


# Threads


def parallel_slices(
    function: Callable[[slice], Any], n_rows: int, most: int, n_multiplications: float
) -> list[Any]:
    """Results of a function of slices of at most so many rows, in as many threads as a product.

    Each thread computes its products alone, and the results do not depend on the number of
    threads. Products that stay in the cache gain little from several threads, the operations
    between them gain nothing, and threads of other libraries delay them. The function spends
    its time in NumPy, in about so many multiplications for all rows.
    """
    n_threads = 1
    if n_multiplications >= _FEWEST_TO_SHARE:
        n_threads = _threads_of_products()
        most = min(most, -(-n_rows // _FEWEST_PARTS))
    parts = [slice(start, start + most) for start in range(0, n_rows, most)]
    is_small = n_multiplications < _FEWEST_IN_THREADS
    with nullcontext() if is_small else BLAS_LIMITS.single():
        if n_threads == 1:
            return [function(part) for part in parts]
        # With some libraries the limit is that of a thread, and not of the process.
        limit = partial(_controller().limit, **_ONE_THREAD)
        with ThreadPoolExecutor(n_threads, initializer=limit) as pool:
            # After an error in one thread the parts that are left are cancelled.
            return list(pool.map(function, parts))


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
                self._limits = _controller().limit(**_ONE_THREAD)
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if self._n_inside == 0:
                    self._limits.restore_original_limits()


BLAS_LIMITS = _Products()


def _threads_of_products() -> int:
    libraries = _controller().lib_controllers
    return max((one.num_threads for one in libraries if one.user_api == "blas"), default=1)


# The libraries that are loaded, found once.
_controller = cache(ThreadpoolController)


# Forks, which lack the threads of their parents


# The process of the first call; a forked child inherits the result.
_backend_process = cache(os.getpid)


def prepare_backend() -> None:
    """Before Keras computes: choose the backend, and refuse a fork of a process where one ran.

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
    choose_backend()


def safe_openmp() -> Any:
    """Limit OpenMP to one thread in a forked process, which lacks the others."""
    if os.getpid() == _IMPORTED_IN:
        return nullcontext()
    return threadpool_limits(limits=1, user_api="openmp")


# The backend


def choose_backend() -> None:
    """Choose Keras' backend where nobody has, and import Keras; nobody should before.

    `KERAS_BACKEND` decides, and else Keras' file of settings. TensorFlow is what Keras writes
    into that file by itself: where it is not installed, another backend is taken.
    """
    if "keras" in sys.modules:
        return
    with _IMPORTING:
        _set_backend()
        with _quiet_stderr():
            import_module("keras")


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Without TensorFlow's remarks about this machine, unless TF_CPP_MIN_LOG_LEVEL is 0.

    TensorFlow takes its level from there once, but writes the first of them before: they are
    taken out of what is written meanwhile to the file behind standard error.
    """
    given = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    try:
        stderr = os.dup(2) if given != "0" else None
    except OSError:  # in windows without a console
        stderr = None
    if stderr is None:
        yield
        return
    remarks = None
    with TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            yield
            remarks = _REMARKS
        finally:
            if given is None:
                os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
            os.dup2(stderr, 2)
            os.close(stderr)
            file.seek(0)
            for line in file:
                if remarks is None or not remarks.match(line):
                    os.write(2, line)


def _set_backend() -> None:
    """Set `KERAS_BACKEND` where the backend that Keras would take is not installed."""
    named = os.environ.get("KERAS_BACKEND")
    backend = named or _backend_in_settings()
    if backend not in _BACKENDS or _is_installed(backend):
        return
    others = [name for name in _BACKENDS if _is_installed(name)]
    if named or backend != "tensorflow":
        raise ImportError(
            f"Keras is set to {backend!r}, which is not installed: pip install {backend}"
        )
    if not others:
        raise ImportError(
            "Training, and networks that are not dense, need a backend of Keras, and none is "
            "installed: pip install tensorflow (or jax, or torch)"
        )
    os.environ["KERAS_BACKEND"] = others[0]


def _backend_in_settings() -> str:
    """The backend in Keras' file of settings, or its default."""
    folder = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    try:
        return str(json.loads(Path(folder, "keras.json").read_text("utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def _is_installed(package: str) -> bool:
    """True for a package that can be imported; it is not imported."""
    found = find_spec(package)
    # Without a file it is a folder that an uninstalled package left behind.
    return found is not None and found.origin is not None


# Memory


def malloc_trim() -> None:
    """Return freed memory to the system, with glibc: XLA frees 100 MB after compiling."""
    with suppress(AttributeError, OSError, TypeError):  # of another library
        ctypes.CDLL(None).malloc_trim(0)


# Compiled programs on disk


@cache
def cache_folder() -> Path | None:
    """Folder for compiled programs of processors like this one; None: they are not kept.

    It is in the user's folder for caches, or the one that `SKAE_CACHE` names; "off": none.
    The programs that were not used for the longest time are removed first.
    """
    given = os.environ.get("SKAE_CACHE")
    if given == "off":
        return None
    variables = map(os.environ.get, ("XDG_CACHE_HOME", "LOCALAPPDATA"))
    try:
        caches = next(filter(None, variables), None) or Path.home() / ".cache"
        folder = Path(given or Path(caches, "skae"))
        programs = folder / sha256(_processor().encode()).hexdigest()[:16]
        programs.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=programs):
            _remove_oldest(folder)
    except (OSError, RuntimeError):  # no home, or nothing may be written
        return None
    return programs


def _processor() -> str:
    """Instructions of this processor, or the machine where the system does not list them."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return platform.machine() + line
    return repr(platform.uname())


def _remove_oldest(folder: Path) -> None:
    """Remove programs of a folder until the others are small enough."""
    stats = [(path, path.stat()) for path in folder.glob("*/*-cache")]
    stats.sort(key=lambda one: max(one[1].st_atime, one[1].st_mtime), reverse=True)
    size = 0
    for path, stat in stats:
        size += stat.st_size
        if size > _MOST_ON_DISK:
            path.unlink(missing_ok=True)


# Versions


def show_versions() -> None:
    """Print versions, the backend and its devices, as a report of an error needs them.

    Those of :func:`sklearn.show_versions`, and of what skae uses besides. No package is
    imported: a backend and its devices are shown once something was trained.

    Examples
    --------
    >>> import skae
    >>> skae.show_versions()  # doctest: +SKIP
    """
    sklearn.show_versions()
    keras = sys.modules.get("keras")
    backend = keras.config.backend() if keras else ""
    lines = [
        f"{name:>13}: {_version(name)}" for name in ("skae", "keras", *_BACKENDS, *_OPTIONAL)
    ]
    lines += ["", f"Keras backend: {backend or 'not imported'}"]
    lines += [f"{'device':>13}: {name}" for name in _devices(backend)]
    print("\nskae dependencies:", *lines, sep="\n")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def documentation() -> str:
    """Address of the documentation, from the metadata of the installed package, or nothing."""
    try:
        urls = metadata("skae").get_all("Project-URL", [])
    except PackageNotFoundError:
        return ""
    address: str = dict(url.split(", ", 1) for url in urls).get("Documentation", "")
    # The placeholder of pyproject.toml is no account.
    return "" if "OWNER" in address else address.rstrip("/")


def _devices(backend: str) -> list[str]:
    """Names of the devices of a backend that is imported."""
    module: Any = sys.modules.get(backend)
    if backend == "tensorflow":
        return [device.name for device in module.config.list_physical_devices()]
    if backend == "jax":
        return [str(device) for device in module.devices()]
    if backend == "torch":
        cuda = module.cuda
        return ["cpu", *map(cuda.get_device_name, range(cuda.device_count()))]
    return []
