# SPDX-License-Identifier: Apache-2.0
"""Small files: durable, private, bounded."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from facelatch.errors import StorageError
from facelatch.vault.files import (
    FileExistsAlreadyError,
    MissingFileError,
    make_private_directory,
    read_bounded,
    remove_durably,
    sweep,
    write_durably,
)
from tests.powercut import CARELESS, Disk, NeverSyncsNames, PowerCut, Tree, first_fault, lay_out, power_cuts

OLD = b"what was there before"
NEW = b"what comes instead, and is longer"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_write_then_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, OLD)
    write_durably(path, NEW)
    assert read_bounded(path, 100, private=True) == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 300])
def test_short_writes_are_continued(tmp_path: Path, data: bytes) -> None:
    write_durably(tmp_path / "file", data, fs=Disk(tmp_path))
    assert read_bounded(tmp_path / "file", 100_000) == data


def test_mode_is_as_asked(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", NEW, 0o400)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o400


def test_a_file_has_its_owner_before_it_has_its_name(tmp_path: Path) -> None:
    seen: list[tuple[tuple[int, int], list[str]]] = []

    class Giving(Disk):
        def give(self, descriptor: int, owner: tuple[int, int]) -> None:
            seen.append((owner, names(tmp_path)))
            super().give(descriptor, owner)

    ours = (os.geteuid(), os.getegid())
    write_durably(tmp_path / "file", NEW, fs=Giving(tmp_path))
    assert seen == []
    write_durably(tmp_path / "other", NEW, owner=ours, fs=Giving(tmp_path))
    ((owner, there),) = seen
    assert owner == ours
    assert "other" not in there


def test_write_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(OLD)
    (tmp_path / "file").symlink_to("victim")
    write_durably(tmp_path / "file", NEW)
    assert (tmp_path / "victim").read_bytes() == OLD
    assert not (tmp_path / "file").is_symlink()


def test_write_without_replacing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, OLD, replace=False)
    with pytest.raises(FileExistsAlreadyError, match=r"file exists already: remove it"):
        write_durably(path, NEW, replace=False)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["file"]


def test_write_into_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"directory .*/missing does not exist: create it"):
        write_durably(tmp_path / "missing" / "file", NEW)


def test_write_over_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        write_durably(tmp_path / "file", NEW)
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left to write .*file: free some space"),
        (errno.EDQUOT, "no space left to write .*file: free some space"),
        (errno.EROFS, "cannot write .*file, its file system is read-only: mount it writable"),
        (errno.EACCES, "not allowed to write .*file: give it to the agent's user"),
        (errno.EIO, r"cannot write .*file \(Input/output error\): check the file system and the card"),
    ],
)
@pytest.mark.parametrize("replace", [True, False])
def test_a_failed_operation_leaves_the_old_or_the_new(tmp_path: Path, number: int, message: str, replace: bool) -> None:
    for fail_at in count():
        path = tmp_path / f"{fail_at}" / "file"
        path.parent.mkdir()
        if replace:
            path.write_bytes(OLD)
        fs = Disk(path.parent, number=number, fail_at=fail_at)
        told = ""
        try:
            write_durably(path, NEW, replace=replace, fs=fs)
        except StorageError as error:
            told = str(error)
        if fs.count <= fail_at:
            break
        assert re.search(message, told)
        # Only the sync of the directory fails after the new content is in place; where nothing was, nothing stays.
        old = [("file", OLD)] if replace else []
        found = [(name, (path.parent / name).read_bytes()) for name in names(path.parent)]
        assert found in ((old, [("file", NEW)]) if replace else (old,))
    assert not told
    assert path.read_bytes() == NEW
    assert fail_at >= 5


def test_a_disk_that_stays_full_keeps_the_old_and_the_leftover_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with pytest.raises(StorageError, match="no space left"):
        write_durably(path, NEW, fs=Disk(tmp_path, number=errno.ENOSPC, fail_at=2, and_later=True))
    assert path.read_bytes() == OLD
    assert len(names(tmp_path)) == 2
    assert sweep(tmp_path) == 1
    assert names(tmp_path) == ["file"]


def written(disk: Disk, path: Path, replace: bool) -> Disk:
    """Write a file and say that it is written."""
    write_durably(path, NEW, replace=replace, fs=disk)
    disk.tell("written")
    return disk


def found_wrong(cut: PowerCut, root: Path, old: bytes | None) -> str | None:
    """Say what a restart would find wrong: neither the old nor the new, or the old once the new was told."""
    sweep(root, fs=Disk(root))
    content = (root / "file").read_bytes() if (root / "file").exists() else None
    if set(names(root)) - {"file"}:
        return f"{names(root)} are left"
    if content not in ((NEW,) if cut.told else (old, NEW)):
        return f"{content!r} is there"
    return None


@pytest.mark.parametrize("replace", [True, False])
def test_a_power_cut_leaves_the_old_or_the_new(tmp_path: Path, replace: bool) -> None:
    old = OLD if replace else None
    start: Tree = {"file": OLD} if replace else {}
    disk = written(Disk(lay_out(start, tmp_path / "disk")), tmp_path / "disk" / "file", replace)
    cuts = list(power_cuts(disk))
    assert len(cuts) > len(NEW)  # every byte of it may be the first that is missing
    assert first_fault(cuts, tmp_path / "left", lambda cut, root: found_wrong(cut, root, old)) is None


@pytest.mark.parametrize("careless", CARELESS)
@pytest.mark.parametrize("replace", [True, False])
def test_a_careless_writer_is_caught(tmp_path: Path, careless: type[Disk], replace: bool) -> None:
    old = OLD if replace else None
    start: Tree = {"file": OLD} if replace else {}
    disk = written(careless(lay_out(start, tmp_path / "disk")), tmp_path / "disk" / "file", replace)
    assert first_fault(power_cuts(disk), tmp_path / "left", lambda cut, root: found_wrong(cut, root, old))


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("replace", [True, False])
def test_a_power_cut_after_a_failure_leaves_the_old_or_the_new(tmp_path: Path, replace: bool, number: int) -> None:
    old = OLD if replace else None
    for fail_at in count():
        start: Tree = {"file": OLD} if replace else {}
        disk = Disk(lay_out(start, tmp_path / "disk"), number=number, fail_at=fail_at)
        try:
            written(disk, tmp_path / "disk" / "file", replace)
            break
        except StorageError:
            pass
        check = first_fault(power_cuts(disk), tmp_path / "left", lambda cut, root: found_wrong(cut, root, old))
        assert check is None
    assert fail_at >= 5


def test_power_cut_during_a_removal(tmp_path: Path) -> None:
    def removed(disk: Disk) -> Disk:
        remove_durably(disk.root / "file", fs=disk)
        disk.tell("removed")
        return disk

    def wrong(cut: PowerCut, root: Path) -> str | None:
        there = (root / "file").exists()
        return "it is back" if there and cut.told else None

    disk = removed(Disk(lay_out({"file": OLD}, tmp_path / "disk")))
    assert first_fault(power_cuts(disk), tmp_path / "left", wrong) is None
    careless = removed(NeverSyncsNames(lay_out({"file": OLD}, tmp_path / "disk")))
    assert first_fault(power_cuts(careless), tmp_path / "left", wrong)


def test_a_removal_that_failed_at_its_last_step_is_durable_once_it_was_tried_again(tmp_path: Path) -> None:
    disk = Disk(lay_out({"file": OLD}, tmp_path / "disk"), number=errno.EIO, fail_at=1)
    with pytest.raises(StorageError, match="cannot remove"):
        remove_durably(disk.root / "file", fs=disk)
    with pytest.raises(MissingFileError):
        remove_durably(disk.root / "file", fs=disk)
    disk.tell("there is none")
    assert not any("file" in cut.tree for cut in power_cuts(disk) if cut.told)


def test_a_removal_where_the_directory_is_gone_is_not_taken_for_one(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone does not exist: create it") as told:
        remove_durably(tmp_path / "gone" / "file")
    assert not isinstance(told.value, MissingFileError)


def test_removing_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        remove_durably(tmp_path / "file")


def test_a_failed_removal_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(StorageError, match=r"cannot remove .*file, its file system is read-only"):
        remove_durably(tmp_path / "file", fs=Disk(tmp_path, number=errno.EROFS, fail_at=0))
    assert (tmp_path / "file").read_bytes() == OLD


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (lambda place, fs: write_durably(place / "file", NEW, fs=fs), "cannot write {}/file, its"),
        (lambda place, fs: sweep(place, fs=fs), "cannot clean up {}, its"),
        (lambda place, fs: make_private_directory(place / "new", fs=fs), "cannot create {}/new, its"),
    ],
)
def test_what_failed_is_named(tmp_path: Path, step: Callable[[Path, Disk], object], told: str) -> None:
    (tmp_path / ".a.0123456789abcdef.tmp").touch()
    with pytest.raises(StorageError) as refusal:
        step(tmp_path, Disk(tmp_path, number=errno.EROFS, fail_at=0))
    assert refusal.value.problem.startswith(told.format(tmp_path))


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(StorageError, match=re.escape("cannot read /proc/self/mem (Input/output error)")):
        read_bounded(Path("/proc/self/mem"), 100)  # nothing is at its beginning


def test_a_directory_that_is_a_link_in_a_circle_is_named(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(StorageError, match="circle is a symbolic link"):
        make_private_directory(tmp_path / "circle")


def test_sweep_takes_only_leftovers(tmp_path: Path) -> None:
    kept = [".lock", "a.tmp", ".a.tmp", ".a.0123456789abcdef.tmp.bak", ".a.0123456789ABCDEF.tmp"]
    for name in [*kept, ".a.0123456789abcdef.tmp", ".b\n.0123456789abcdef.tmp"]:
        (tmp_path / name).touch()
    assert sweep(tmp_path) == 2
    assert names(tmp_path) == sorted(kept)


def test_sweep_of_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        sweep(tmp_path / "missing")


def test_read_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read_bounded(tmp_path / "file", 10)


def test_read_at_and_above_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_bounded(tmp_path / "file", 10) == b"0123456789"
    with pytest.raises(StorageError, match="larger than 9 bytes"):
        read_bounded(tmp_path / "file", 9)


def test_read_refuses_what_is_not_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(OLD)
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="link is a symbolic link"):
        read_bounded(tmp_path / "link", 100)
    for thing in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(StorageError, match="is not a regular file"):
            read_bounded(thing, 100)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_private_read_refuses_what_others_may_use(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(mode)
    assert read_bounded(path, 100) == OLD
    with pytest.raises(StorageError, match=rf"open to others \(mode 0{mode:o}\): run `chmod go= "):
        read_bounded(path, 100, private=True)


def test_private_read_refuses_what_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_durably(path, OLD)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StorageError, match=rf"belongs to uid {owner}, not to the agent"):
        read_bounded(path, 100, private=True)


def test_neither_reads_nor_writes_leave_a_descriptor_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for fail_at in range(5):
        write_durably(tmp_path / "file", NEW)
        with pytest.raises(StorageError):
            write_durably(tmp_path / "file", NEW, fs=Disk(tmp_path, number=errno.EIO, fail_at=fail_at))
        with pytest.raises(StorageError):
            read_bounded(tmp_path, 10)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
