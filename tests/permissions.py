"""Directories that nobody may write in, not even the administrator as whom tests run in containers."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CAP_DAC_OVERRIDE = 1  # Linux: the capability to which permissions of files do not apply
CAPABILITY_VERSION_3 = 0x20080522


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """While the block runs, `folder` is read-only, and this thread is bound by that."""
    folder.chmod(0o555)
    try:
        if os.geteuid() != 0:
            yield
        elif sys.platform == "linux":
            with _without_override():
                yield
        else:
            pytest.skip("this user may write everywhere")
    finally:
        folder.chmod(0o755)


@contextmanager
def _without_override() -> Iterator[None]:
    """While the block runs, this thread is the administrator without the right to ignore permissions."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)  # 0: this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable capabilities, then the upper bits

    def apply(function: str) -> None:
        if getattr(libc, function)(header, sets) != 0:
            raise OSError(ctypes.get_errno(), f"{function} failed")

    apply("capget")
    before = sets[0]
    sets[0] = before & ~(1 << CAP_DAC_OVERRIDE)
    apply("capset")
    try:
        yield
    finally:
        sets[0] = before
        apply("capset")
