"""One estimator, one file: `skae.save` and `skae.load`."""

import os
import sys
from collections.abc import Callable
from typing import Any

from skae.persistence import _container
from skae.persistence._container import SavedFileError, check
from skae.persistence._nodes import Decoder, Encoder
from skae.persistence._schema import is_estimator, savable_classes

# Raised where an older version would misread the files of this one, or this one theirs: by a
# class or a field that has another name or another meaning. A field that is new, with a
# default, needs no new format.
_FORMAT = 2

# For each older format that is still read, a function from its content to that of the next.
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator into one file, which :func:`load` reads.

    The file holds no code and no pickle: JSON and npy arrays in a zip that is not
    compressed, with the SHA-256 of all bytes before as its comment. It is written under
    another name beside `path` and then put in its place at once: when writing fails, a file
    that was there before is whole.

    Parameters
    ----------
    estimator : estimator
        Of skae, fitted or not: one of the estimators, or a
        :class:`~skae.tables.TabularEncoder`. With whatever they hold: networks, tables,
        optimizers, losses and schedules of Keras, Keras models without lambdas.

    path : str or path-like
        Where to; what is there is replaced. By convention it ends in ``.skae``.

    Raises
    ------
    TypeError
        If `estimator` is not of skae (a `Pipeline` goes through skops, see the user guide),
        or holds what a file without code cannot: functions, objects of the user's own
        classes, lambdas in Keras models. The message names the attribute. Nothing is
        written.

    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        For callbacks that are not of skae: they are left out.

    See Also
    --------
    load : Reads the file.
    skae.persistence.trusted_types : Types for skops to trust, for whole pipelines.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> import skae
    >>> X = load_digits().data
    >>> ae = skae.AutoencoderTransformer(4, max_iter=3, tol=None).fit(X)
    >>> path = Path(tempfile.mkdtemp(), "digits.skae")
    >>> skae.save(ae, path)
    >>> again = skae.load(path)
    >>> bool((again.transform(X) == ae.transform(X)).all())
    True
    """
    kind = type(estimator)
    if not is_estimator(kind):
        names = [name for name, each in savable_classes().items() if is_estimator(each)]
        raise TypeError(
            f"skae.save writes {', '.join(sorted(names))}; got {kind.__qualname__}. Pipelines "
            "and other estimators of scikit-learn are saved by skops, with "
            "skae.persistence.trusted_types()."
        )
    encoder = Encoder()
    root = encoder.encode(estimator)
    content = {
        "format": _FORMAT,
        "estimator": kind.__name__,
        "written by": _versions(any(node[0].startswith("keras") for node in encoder.nodes)),
        "root": root,
        "nodes": encoder.nodes,
    }
    _container.write_file(path, content, encoder.arrays)


def load(path: str | os.PathLike[str], *, max_bytes: int = 2**32) -> Any:
    """Read an estimator that :func:`save` wrote.

    No code of the file runs: it names classes of skae, whose objects take their fields from
    data. Keras is imported only for files that hold an optimizer object, a loss or a model
    of Keras, which are built in Keras' safe mode.

    Files of earlier versions load: parameters and fields that a file lacks have their
    defaults. A file with fields that this version lacks is refused.

    Parameters
    ----------
    path : str or path-like
        The file.

    max_bytes : int, default=4 GiB
        Files that are larger are refused; nothing in a file makes loading take much more
        memory than the file is large.

    Returns
    -------
    estimator
        As it was saved: it answers with the same bits on the same machine, and trains on
        from where it was.

    Raises
    ------
    SavedFileError
        A `ValueError`: if the file is damaged, was not written by :func:`save`, holds what
        may not be loaded, or was written in the format of a newer version of skae.

    OSError
        If there is no such file, or it may not be read.

    See Also
    --------
    save : Writes the file, and an example.

    Notes
    -----
    A file from a stranger can hold an estimator that answers nonsense, or takes long to
    answer. Where it matters who wrote a file, sign it.
    """
    with open(path, "rb") as file:
        written_by: Any = None
        try:
            content, arrays = _container.read_file(file, max_bytes)
            written_by = content.get("written by")
            return _estimator(content, arrays)
        except SavedFileError as error:
            origin = f" It was written by {_text(written_by)}." if written_by else ""
            message = f"{os.fspath(path)!r} cannot be loaded. {error}{origin}"
            raise SavedFileError(message) from error
        except Exception as error:
            # Whatever zipfile, NumPy or Keras raise is the fault of the file.
            raise SavedFileError(
                f"{os.fspath(path)!r} cannot be loaded: it is damaged, or does not go with the "
                f"versions that are installed. It was written by {_text(written_by)}, and is "
                f"read by {_text(_versions('keras' in sys.modules))}. "
                f"{type(error).__name__}: {error!s:.300}"
            ) from error


def _estimator(content: dict[str, Any], arrays: list[Any]) -> Any:
    """The estimator of a file, whose content is brought to the format of this version."""
    version: Any = content.get("format")
    check(type(version) is int and version >= 1, "It has no format number.")
    check(
        version <= _FORMAT,
        f"It has format {version}, and this version of skae reads formats up to {_FORMAT}. "
        "Install the version of skae that wrote it or a later one, or save the estimator again "
        "with this one.",
    )
    for older in range(version, _FORMAT):
        check(older in _MIGRATIONS, f"It has format {version}, which is no longer read.")
        content = _MIGRATIONS[older](content)
    estimator = Decoder(content.get("nodes"), arrays).value(content.get("root"))
    check(is_estimator(type(estimator)), "It holds no estimator of skae.")
    return estimator


def _versions(with_keras: bool) -> dict[str, str]:
    modules = ("skae", "sklearn", "numpy", *["keras"] * with_keras)
    return {module: str(sys.modules[module].__version__) for module in modules}


def _text(versions: Any) -> str:
    """Versions as text, whatever a file has in their place."""
    if not isinstance(versions, dict):
        return "unknown versions"
    pairs = list(versions.items())[:9]
    return ", ".join(f"{name!s:.20} {version!s:.20}" for name, version in pairs)
