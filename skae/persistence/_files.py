"""Files that take the place of others once they are whole."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file at `path` when the block ends; after an error what was there before.

    Yields
    ------
    file
        Open for reading and writing of bytes.
    """
    # The target of a link is replaced, and not the link.
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with _new_file(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if not temporary.exists():
                # Python follows a link only with a folder given; the path is absolute.
                folder = file.fileno()
                os.link(f"/proc/self/fd/{folder}", temporary, src_dir_fd=folder)
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _new_file(temporary: Path) -> BinaryIO:
    """A file without a name, where there are such: it goes with a process that is killed."""
    if os.path.exists("/proc/self/fd") and hasattr(os, "O_TMPFILE"):
        try:
            unnamed = os.open(temporary.parent, os.O_TMPFILE | os.O_RDWR, 0o666)
            return open(unnamed, "wb+")
        except OSError:
            # The file system has none, or the folder is not writable.
            pass
    return open(temporary, "xb+")


def _sync_folder(folder: Path) -> None:
    """Let the new name outlive a power cut, where folders can be synced."""
    if os.name != "posix":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError:
        # Some network drives cannot; the file itself is safe.
        pass
    finally:
        os.close(opened)
