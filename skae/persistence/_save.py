"""One estimator, one file: `skae.save` and `skae.load`."""

import os
import sys
from typing import Any

from skae.persistence import _container
from skae.persistence._classes import ESTIMATORS, class_named, names_of_classes
from skae.persistence._decode import Decoder
from skae.persistence._encode import Encoder
from skae.persistence._errors import SavedFileError, check

# Raised by one where files of this version cannot be read by the one before.
_FORMAT = 1

# For messages: which versions a file was written with.
_MODULES = ("skae", "sklearn", "numpy")


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator into one file, which :func:`load` reads.

    The file holds no code and no pickle: JSON and npy arrays in a zip that is not
    compressed, with the SHA-256 of all that stands before as its comment. It is written
    under another name beside `path` and then put in its place at once: when writing fails,
    a file that was there before is whole.

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
        classes, lambdas in Keras models. The message says where. Nothing is written.

    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        For callbacks that are not of skae: they are left out.

    See Also
    --------
    load : Reads the file.
    skae.persistence.trusted_types : What skops is told, for whole pipelines.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> import skae
    >>> X = load_digits().data
    >>> ae = skae.AutoencoderTransformer(4, max_iter=3, tol=None, random_state=0).fit(X)
    >>> path = Path(tempfile.mkdtemp(), "digits.skae")
    >>> skae.save(ae, path)
    >>> again = skae.load(path)
    >>> bool((again.transform(X) == ae.transform(X)).all())
    True
    """
    if names_of_classes().get(type(estimator)) not in ESTIMATORS:
        raise TypeError(
            f"skae.save writes {_names()}; got {type(estimator).__qualname__}. Pipelines and "
            "other estimators of scikit-learn are saved by skops, with "
            "skae.persistence.trusted_types()."
        )
    encoder = Encoder()
    root = encoder.value(estimator, type(estimator).__name__)
    content = {
        "format": _FORMAT,
        "estimator": type(estimator).__name__,
        "written by": _versions(encoder.has_keras),
        "root": root,
        "nodes": encoder.nodes,
    }
    _container.write(path, content, encoder.arrays)


def load(path: str | os.PathLike[str], *, max_bytes: int = 2**32) -> Any:
    """Read an estimator that :func:`save` wrote.

    No code runs that the file brings: it names classes out of a fixed list, whose objects
    take their attributes from data. Keras is imported only for files that hold an optimizer
    object, a loss or a model of Keras, which are built in Keras' safe mode.

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
            content, arrays = _container.read(file, max_bytes)
            written_by = content.get("written by")
            return _estimator(content, arrays)
        except SavedFileError as error:
            raise SavedFileError(f"{os.fspath(path)!r} cannot be loaded. {error}") from error
        except Exception as error:
            # Whatever a file makes zipfile, NumPy or Keras stumble over is the file's fault.
            raise SavedFileError(
                f"{os.fspath(path)!r} cannot be loaded: it is damaged, or does not go with the "
                f"versions that are installed. It was written by {_told(written_by)}, and is "
                f"read by {_told(_versions('keras' in sys.modules))}. "
                f"{type(error).__name__}: {error!s:.300}"
            ) from error


def _estimator(content: dict[str, Any], arrays: list[Any]) -> Any:
    version: Any = content.get("format")
    check(type(version) is int and version >= 1, "It does not say its format.")
    check(
        version <= _FORMAT,
        f"It has format {version}, and this version of skae reads formats up to {_FORMAT}: it "
        f"was written by {_told(content.get('written by'))}. Install that version of skae or a "
        "later one, or save the estimator again with this one.",
    )
    estimator = Decoder(content.get("nodes"), arrays).value(content.get("root"))
    known = any(type(estimator) is class_named(name) for name in ESTIMATORS)
    check(known, "It holds no estimator of skae.")
    return estimator


def _versions(with_keras: bool) -> dict[str, str]:
    modules = (*_MODULES, "keras") if with_keras else _MODULES
    return {module: str(sys.modules[module].__version__) for module in modules}


def _told(versions: Any) -> str:
    """Versions in words, whatever a file says of them."""
    if not isinstance(versions, dict):
        return "unknown versions"
    told = [f"{name!s:.20} {version!s:.20}" for name, version in versions.items()]
    return ", ".join(told[:9])


def _names() -> str:
    return ", ".join(name.partition(".")[2] for name in ESTIMATORS)
