"""A file is the old one or the new one, whole, whatever happens while it is written."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mnistry.files import atomic_save, atomic_save_folder, atomic_write, remove_leftovers
from permissions import read_only

OLD, NEW = b"old " * 1000, b"new content " * 5000


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path):
    with atomic_write(path) as file:
        file.write(NEW)


def save(path):
    atomic_save(path, lambda temporary: temporary.write_bytes(NEW))


both_ways = pytest.mark.parametrize("put", [write, save])


@both_ways
def test_a_new_file_holds_what_was_written(tmp_path, put):
    put(tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == NEW
    assert names(tmp_path) == ["file.bin"]


@both_ways
def test_an_old_file_is_replaced(tmp_path, put):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    put(str(path))
    assert path.read_bytes() == NEW
    assert names(tmp_path) == ["file.bin"]


def test_a_reader_sees_the_old_content_until_the_block_has_ended(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    with path.open("rb") as reader:
        with atomic_write(path) as file:
            file.write(NEW)
            file.flush()
            assert path.read_bytes() == OLD
        assert path.read_bytes() == NEW
        assert reader.read() == OLD  # who had it open keeps reading the old one


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_in_the_block_leaves_the_old_file_and_no_temporary_one(tmp_path, error, existed):
    path = tmp_path / "file.bin"
    if existed:
        path.write_bytes(OLD)

    def fail(temporary):
        temporary.write_bytes(NEW)
        raise error

    def fail_in_block():
        with atomic_write(path) as file:
            file.write(NEW)
            raise error

    with pytest.raises(error):
        fail_in_block()
    with pytest.raises(error):
        atomic_save(path, fail)
    assert names(tmp_path) == (["file.bin"] if existed else [])
    assert not existed or path.read_bytes() == OLD


def test_a_library_that_writes_nothing_does_not_cost_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    with pytest.raises(FileNotFoundError):
        atomic_save(path, lambda temporary: None)
    assert path.read_bytes() == OLD


def test_a_library_sees_the_suffix_by_which_it_chooses_the_format(tmp_path):
    suffixes = []

    def note(temporary):
        suffixes.append(temporary.suffix)
        temporary.touch()

    atomic_save(tmp_path / "model.keras", note)
    assert suffixes == [".keras"]


@both_ways
def test_a_missing_folder_is_an_error_and_is_not_made(tmp_path, put):
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "missing" / "file.bin")
    assert names(tmp_path) == []


@both_ways
def test_a_folder_that_is_a_file_is_an_error(tmp_path, put):
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(NotADirectoryError):
        put(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_bytes() == OLD


@both_ways
def test_a_read_only_folder_is_an_error_and_keeps_its_file(tmp_path, put):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    with read_only(tmp_path), pytest.raises(PermissionError):
        put(path)
    assert path.read_bytes() == OLD


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    # The device refuses every byte as a full disk does; the temporary file is laid onto it.
    (tmp_path / f".file.bin.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        write(path)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["file.bin"]


@both_ways
def test_the_bytes_reach_the_disk_before_the_name_does(tmp_path, put, monkeypatch):
    path = tmp_path / "file.bin"
    events = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor):
        status = os.fstat(descriptor)
        events.append("folder flushed" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes flushed")
        fsync(descriptor)

    def note_replace(source, target):
        events.append("renamed")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    put(path)
    assert events == [f"{len(NEW)} bytes flushed", "renamed", *["folder flushed"] * (os.name == "posix")]


WRITE_FOR_EVER = """
import sys, itertools
from mnistry.files import atomic_write
print("begun", flush=True)
for number in itertools.count():
    with atomic_write(sys.argv[1]) as file:
        for _ in range(40):
            file.write(b"%8d" % number * 5000)
"""


def test_a_killed_writer_leaves_a_whole_file_and_leftovers_that_can_be_removed(tmp_path):
    path = tmp_path / "file.bin"
    kept = tmp_path / ".settings.tmp"  # the user's own, in spite of its name
    kept.touch()
    leftovers = 0
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, path], stdout=subprocess.PIPE)
        child.stdout.readline()
        # The instant in which half of a file is written.
        while f".file.bin.{child.pid}.tmp" not in names(tmp_path):
            pass
        child.send_signal(signal.SIGKILL)
        child.communicate()
        leftovers += f".file.bin.{child.pid}.tmp" in names(tmp_path)
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 40 * 5000 * 8
            assert content == content[:8] * (40 * 5000)
    assert leftovers
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".settings.tmp", *["file.bin"] * path.exists()]


def test_only_temporary_files_are_removed(tmp_path):
    (tmp_path / "plots").mkdir()
    ours = ["run.json", ".run.json.12.tmp", ".model.7.tmp.keras", "plots/.loss.1.tmp.png", "plots/loss.png"]
    mine = [".hidden", ".run.json.tmp", "a.12.tmp", ".12.tmp", ".x.12.tmp.b.c"]
    for name in [*ours, *mine]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"run.json", "plots/loss.png", *mine}


def save_two(folder):
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "new").write_bytes(b"new")


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for _ in range(2):  # once where there was none
        atomic_save_folder(tmp_path / "x", save_two)
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
        assert (tmp_path / "x" / "inner" / "new").read_bytes() == b"new"
        assert not (tmp_path / "x" / "old").exists()
        (tmp_path / "x" / "old").write_bytes(b"old")


@pytest.mark.parametrize("at", ["save", "rename"])
def test_a_folder_stays_as_it_was_if_its_successor_fails(at, tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "old").write_bytes(b"old")
    rename = Path.rename

    def save(folder):
        save_two(folder)
        if at == "save":
            raise RuntimeError("no")

    def fail(path, target):
        if path.name.endswith(".tmp"):
            raise RuntimeError("no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(RuntimeError, match="no"):
        atomic_save_folder(tmp_path / "x", save)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x" / "old").read_bytes() == b"old"


def test_leftover_folders_are_removed(tmp_path):
    (tmp_path / ".x.12.tmp" / "inner").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []
