"""The file: a zip of one JSON text and of npy arrays, nothing compressed, with a checksum.

The comment of the zip, its last 64 bytes, is the SHA-256 of all bytes before. Any program
that reads zip files shows what is inside, and ``numpy.load`` reads the arrays.
"""

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Sequence
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skae.persistence._errors import SavedFileError, check
from skae.persistence._files import replacing

Array = NDArray[Any]

_TEXT = "skae.json"
_CHECKSUM_BYTES = 64

# Every entry has this time: the same estimator gives the same bytes.
_WHEN = (1980, 1, 1, 0, 0, 0)

# What the parts of a file may be at most. The text of a table with a million levels is
# smaller; headers of arrays take a hundred characters.
_MOST_TEXT = 2**26
_MOST_HEADER = 1000
_MOST_AXES = 32
_CHUNK = 2**20

# Booleans, numbers, times and strings: nothing that needs pickle.
_PLAIN_DTYPE = re.compile(
    r"[<>|=](b1|[iu][1248]|f[248]|c(8|16)|[mM]8(\[\d{0,9}\w{1,2}\])?|[US]\d{1,9})"
)


def plain_dtype(text: Any) -> np.dtype[Any]:
    """A dtype by what `dtype.str` says of it.

    Parameters
    ----------
    text : str
        From a file.
    """
    known = isinstance(text, str) and (text == "|O" or _PLAIN_DTYPE.fullmatch(text))
    check(bool(known), f"The file names a dtype that none of skae's files has: {text!r:.80}.")
    return np.dtype(text)


# Writing


def write(path: str | os.PathLike[str], content: Any, arrays: Sequence[Array]) -> None:
    """Write a file, or leave what is at its place as it was.

    Parameters
    ----------
    path : path-like
        Where to.

    content : dict
        What JSON can hold.

    arrays : list of ndarray
        Without objects.
    """
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > _MOST_TEXT:
        raise ValueError(
            f"A saved file may hold {_MOST_TEXT:,} bytes of text; this estimator has "
            f"{len(text):,}, most of which are levels of columns of strings. Set "
            "`max_categories` of a TabularEncoder before it, or leave such columns out."
        )
    with replacing(path) as file:
        _write_zip(file, text, arrays)
        _seal(file)


def _write_zip(file: BinaryIO, text: bytes, arrays: Sequence[Array]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_TEXT, _WHEN), text)
        for i, array in enumerate(arrays):
            entry = zipfile.ZipInfo(_name(i), _WHEN)
            with archive.open(entry, "w", force_zip64=array.nbytes > 2**30) as stream:
                np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
        archive.comment = bytes(_CHECKSUM_BYTES)


def _seal(file: BinaryIO) -> None:
    """Put the checksum of the bytes before into the last ones."""
    end = file.seek(-_CHECKSUM_BYTES, os.SEEK_END)
    checksum = _checksum(file, end)
    file.seek(end)
    file.write(checksum)


def _name(position: int) -> str:
    return f"arrays/{position}.npy"


def _checksum(file: BinaryIO, end: int) -> bytes:
    """Of the first bytes of a file, as text."""
    file.seek(0)
    digest = hashlib.sha256()
    while end > 0:
        chunk = file.read(min(_CHUNK, end))
        if not chunk:
            break
        digest.update(chunk)
        end -= len(chunk)
    return digest.hexdigest().encode()


# Reading


def read(file: BinaryIO, max_bytes: int) -> tuple[dict[str, Any], list[Array]]:
    """What was written: content and arrays.

    Parameters
    ----------
    file : file
        Open for reading, in bytes.

    max_bytes : int
        How large it may be.
    """
    size = file.seek(0, os.SEEK_END)
    check(
        size <= max_bytes,
        f"The file has {size:,} bytes, and max_bytes={max_bytes:,}. If it is yours, load it "
        "with a larger max_bytes.",
    )
    _check_whole(file, size)
    with zipfile.ZipFile(file) as archive:
        sizes = _sizes(archive, size)
        check(sizes.get(_TEXT, _MOST_TEXT + 1) <= _MOST_TEXT, f"The file has no {_TEXT}.")
        content = json.loads(archive.read(_TEXT), parse_constant=_refuse_constant)
        check(isinstance(content, dict), f"{_TEXT} must hold a JSON object.")
        n_arrays = len(sizes) - 1
        expected = {_TEXT, *map(_name, range(n_arrays))}
        check(sizes.keys() == expected, "The file has entries that skae does not write.")
        return content, [_array(archive.read(_name(i))) for i in range(n_arrays)]


def _check_whole(file: BinaryIO, size: int) -> None:
    end = max(size - _CHECKSUM_BYTES, 0)
    file.seek(0)
    is_zip = file.read(4) == b"PK\x03\x04"
    check(is_zip, "This is no file of skae.save, or its beginning is damaged.")
    expected = _checksum(file, end)
    file.seek(end)
    check(
        file.read() == expected,
        "The file is damaged, or skae.save did not write it: its checksum is not that of its "
        "bytes. Copy it again from where it came, or save the estimator again.",
    )


def _sizes(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """Bytes of each entry, none of which may be packed or lie over another."""
    sizes: dict[str, int] = {}
    for entry in archive.infolist():
        is_plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 0x1
        check(
            is_plain and entry.file_size == entry.compress_size and entry.filename not in sizes,
            "The file has an entry that is compressed, encrypted or there twice; skae.save "
            "writes none.",
        )
        sizes[entry.filename] = entry.file_size
    check(sum(sizes.values()) <= size, "The file claims to hold more bytes than it has.")
    return sizes


def _refuse_constant(name: str) -> Any:
    raise SavedFileError(f"{_TEXT} holds {name}, which is no JSON.")


def _array(data: bytes) -> Array:
    """An array from the bytes of an npy file."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    check(version == (1, 0), "An array of the file is of another npy version than 1.0.")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, _MOST_HEADER)
    dtype = plain_dtype(dtype.str) if dtype.names is None else plain_dtype(str(dtype))
    begin = stream.tell()
    fits = (
        len(shape) <= _MOST_AXES
        and all(length >= 0 for length in shape)
        and not dtype.hasobject
        and dtype.itemsize > 0
        and prod(shape) * dtype.itemsize == len(data) - begin
    )
    check(fits, "An array of the file has other bytes than its shape and dtype say.")
    values = (
        np.frombuffer(data, dtype, offset=begin) if len(data) > begin else np.empty(0, dtype)
    )
    _check_values(values)
    return values.reshape(shape, order="F" if fortran else "C").copy(order="K")


def _check_values(values: Array) -> None:
    """Booleans are 0 or 1, characters are of Unicode: NumPy takes that for granted."""
    if values.dtype.kind == "b":
        check(bool((values.view(np.uint8) <= 1).all()), "An array of booleans has others.")
    elif values.dtype.kind == "U":
        points = values.astype(values.dtype.newbyteorder("=")).view(np.uint32)
        check(bool((points <= 0x10FFFF).all()), "An array of strings has no characters.")
