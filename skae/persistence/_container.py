"""The file: a zip of one JSON text and of npy arrays, not compressed, with a checksum.

The comment of the zip, its last 64 bytes, is the SHA-256 of all bytes before.
"""

import hashlib
import io
import json
import os
import re
import secrets
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_TEXT = "skae.json"
_CHECKSUM_BYTES = 64

# Every entry has this time: the same estimator gives the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)

# Limits of the parts of a file. The text of a table with a million categories is smaller;
# headers of arrays take a hundred characters.
_MAX_TEXT = 2**26
_MAX_HEADER = 1000
_MAX_AXES = 32
_CHUNK = 2**20

# Booleans, numbers, times and strings: nothing that needs pickle.
_PLAIN_DTYPE = re.compile(
    r"[<>|=](b1|[iu][1248]|f[248]|c(8|16)|[mM]8(\[\d{0,9}\w{1,2}\])?|[US]\d{1,9})"
)


class SavedFileError(ValueError):
    """A file that :func:`skae.load` cannot load: damaged, crafted, or of a newer format.

    Nothing else is raised for the content of a file. Where there is no file, or no permission,
    :func:`skae.load` raises the usual `OSError`.
    """


def check(condition: bool, message: str) -> None:
    """Raise a SavedFileError with this message unless the condition holds."""
    if not condition:
        raise SavedFileError(message)


def plain_dtype(text: Any) -> np.dtype[Any]:
    """The dtype with this attribute `str`."""
    known = isinstance(text, str) and (text == "|O" or _PLAIN_DTYPE.fullmatch(text))
    check(bool(known), f"The file names a dtype that none of skae's files has: {text!r:.80}.")
    return np.dtype(text)


# Writing


def write_file(path: str | os.PathLike[str], content: Any, arrays: Sequence[Array]) -> None:
    """Write JSON content and arrays into a file; an error leaves an older file as it was."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > _MAX_TEXT:
        raise ValueError(
            f"A saved file may hold {_MAX_TEXT:,} bytes of text; this estimator has "
            f"{len(text):,}, most of which are categories of columns of strings. Set "
            "`max_categories` of a TabularEncoder before it, or leave such columns out."
        )
    with replacing(path) as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo(_TEXT, _TIME), text)
            for i, array in enumerate(arrays):
                entry = zipfile.ZipInfo(f"arrays/{i}.npy", _TIME)
                with archive.open(entry, "w", force_zip64=array.nbytes > 2**30) as stream:
                    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
            archive.comment = bytes(_CHECKSUM_BYTES)
        end = file.seek(-_CHECKSUM_BYTES, os.SEEK_END)
        checksum = _checksum(file, end)
        file.seek(end)
        file.write(checksum)


def _checksum(file: BinaryIO, end: int) -> bytes:
    """SHA-256 of the first `end` bytes of a file, in hexadecimal."""
    file.seek(0)
    digest = hashlib.sha256()
    while end > 0 and (chunk := file.read(min(_CHUNK, end))):
        digest.update(chunk)
        end -= len(chunk)
    return digest.hexdigest().encode()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file, of bytes, at `path` when the block ends; after an error the one before."""
    # The target of a link is replaced, and not the link.
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    unnamed = None
    if os.path.exists("/proc/self/fd") and hasattr(os, "O_TMPFILE"):
        # A file without a name goes with a process that is killed. Not every file system has
        # them, and not every folder is writable.
        with suppress(OSError):
            unnamed = os.open(target.parent, os.O_TMPFILE | os.O_RDWR, 0o666)
    try:
        with open(temporary, "xb+") if unnamed is None else open(unnamed, "wb+") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if unnamed is not None:
                # Python follows a link only with a folder given; the path is absolute.
                os.link(f"/proc/self/fd/{unnamed}", temporary, src_dir_fd=unnamed)
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        # The new name outlives a power cut. Some network drives cannot sync folders; the file
        # itself is safe.
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            with suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)


# Reading


def read_file(file: BinaryIO, max_bytes: int) -> tuple[dict[str, Any], list[Array]]:
    """The content and the arrays of a file of at most `max_bytes`, open in binary mode."""
    size = file.seek(0, os.SEEK_END)
    check(
        size <= max_bytes,
        f"The file has {size:,} bytes, and max_bytes={max_bytes:,}. If it is yours, load it "
        "with a larger max_bytes.",
    )
    file.seek(0)
    is_zip = file.read(4) == b"PK\x03\x04"
    check(is_zip, "This is no file of skae.save, or its first bytes are damaged.")
    end = max(size - _CHECKSUM_BYTES, 0)
    checksum = _checksum(file, end)
    file.seek(end)
    check(
        file.read() == checksum,
        "The file is damaged, or skae.save did not write it: its checksum is not that of its "
        "bytes. Copy it again from where it came, or save the estimator again.",
    )
    with zipfile.ZipFile(file) as archive:
        sizes: dict[str, int] = {}
        for entry in archive.infolist():
            is_plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 0x1
            is_plain = is_plain and entry.file_size == entry.compress_size
            check(
                is_plain and entry.filename not in sizes,
                "The file has an entry that is compressed, encrypted or there twice; skae.save "
                "writes none.",
            )
            sizes[entry.filename] = entry.file_size
        # No entry overlaps another.
        check(sum(sizes.values()) <= size, "The file claims to hold more bytes than it has.")
        check(sizes.get(_TEXT, _MAX_TEXT + 1) <= _MAX_TEXT, f"The file has no {_TEXT}.")
        content = json.loads(
            archive.read(_TEXT),
            parse_constant=lambda n: check(False, f"{_TEXT} holds {n}, which is no JSON."),
        )
        check(isinstance(content, dict), f"{_TEXT} must hold a JSON object.")
        names = [f"arrays/{i}.npy" for i in range(len(sizes) - 1)]
        is_ours = sizes.keys() == {_TEXT, *names}
        check(is_ours, "The file has entries that skae does not write.")
        return content, [_array(archive.read(name)) for name in names]


def _array(data: bytes) -> Array:
    """An array from the bytes of an npy file."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    check(version == (1, 0), "An array of the file is of another npy version than 1.0.")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, _MAX_HEADER)
    dtype = plain_dtype(dtype.str if dtype.names is None else str(dtype))
    offset = stream.tell()
    fits = (
        len(shape) <= _MAX_AXES
        and all(length >= 0 for length in shape)
        and not dtype.hasobject
        and dtype.itemsize > 0
        and prod(shape) * dtype.itemsize == len(data) - offset
    )
    check(fits, "An array of the file has other bytes than its shape and dtype need.")
    values = np.frombuffer(data[offset:], dtype) if prod(shape) else np.empty(0, dtype)
    # NumPy takes for granted that booleans are 0 or 1, and characters of Unicode.
    if dtype.kind == "b":
        check(bool((values.view(np.uint8) <= 1).all()), "An array of booleans has others.")
    elif dtype.kind == "U":
        points = values.astype(dtype.newbyteorder("=")).view(np.uint32)
        check(bool((points <= 0x10FFFF).all()), "An array of strings has no characters.")
    return values.reshape(shape, order="F" if fortran else "C").copy(order="K")
