"""Files that are either the old one or the new one, never half of one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, flush: bool = True) -> Iterator[BinaryIO]:
    """Give a binary file that becomes `path` when the block ends without an error.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is then
    renamed onto `path`, so a reader or a crash at any instant sees the old content or the new one, whole.
    If the block raises, `path` stays as it was and the temporary file is removed.

    Args:
        path: the file.
        flush: False for what can be made again: it survives the end of a process, but a power failure may
            leave it empty. That saves the time of the disk.

    Raises:
        OSError: the folder is missing or read-only, or the disk is full; `path` is unchanged.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _replacement(path, temporary, flush=flush), temporary.open("wb") as file:
        yield file
        if flush:
            file.flush()
            os.fsync(file.fileno())


def atomic_save(path: str | os.PathLike[str], save: Callable[[Path], object]) -> None:
    """Let `save(temporary_path)` write a file by name, then put it at `path` as `atomic_write` does.

    For libraries that insist on opening the file themselves. The temporary name keeps the suffix of
    `path`, because some of them choose the format by it.

    Raises:
        OSError: as `atomic_write`; what `save` raises passes through, and `path` is unchanged.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with _replacement(path, temporary):
        save(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())


def atomic_save_folder(path: str | os.PathLike[str], save: Callable[[Path], object]) -> None:
    """Let `save(temporary_path)` write a folder, then put it at `path` in place of what is there.

    If `save` raises, `path` stays as it was and the temporary folder is removed. A folder cannot be renamed
    onto another, so an older one is first moved aside: a crash between the two renamings leaves it there,
    beside `path`, as `.NAME.PID.old`.

    Raises:
        OSError: as `atomic_write`; what `save` raises passes through.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        save(temporary)
        for file in filter(Path.is_file, temporary.rglob("*")):
            with file.open("rb+") as written:
                os.fsync(written.fileno())
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    except BaseException:  # raised again: after Ctrl-C, too, the old folder is back
        if old.exists():
            old.rename(path)
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _flush_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _replacement(path: Path, temporary: Path, *, flush: bool = True) -> Iterator[None]:
    """Rename `temporary` onto `path` at the end of the block, or remove it after an error."""
    try:
        yield
        temporary.replace(path)
    except BaseException:  # raised again: after Ctrl-C, too, nothing half-written stays
        temporary.unlink(missing_ok=True)
        raise
    if flush:
        _flush_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes left in `folder` and below.

    Only for a folder that nobody is writing to: the file of a living writer would go too.
    """
    for path in list(folder.rglob(".*")):
        if re.fullmatch(r"\..+\.\d+\.tmp(\.\w+)?", path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself survive a power failure, where the system can open folders (not Windows)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
