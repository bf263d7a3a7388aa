# SPDX-License-Identifier: Apache-2.0
"""The store: old or new after a power cut, private, one agent at a time, one bad file hides no other."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facelatch.errors import StorageError
from facelatch.vault import store as store_module
from facelatch.vault.files import MissingFileError
from facelatch.vault.store import MAX_RECORD_BYTES, Store
from tests.powercut import CARELESS, Disk, NeverSyncsNames, PowerCut, Tree, first_fault, lay_out, power_cuts

A = "a" * 32
B = "0123456789abcdef" * 2
OLD = b"old sealed record"
NEW = b"new sealed record, another length"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "records"


def test_a_new_store_is_empty_and_private(directory: Path) -> None:
    with Store(directory) as store:
        assert store.read_all() == ({}, [])
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_put_replace_remove(directory: Path) -> None:
    with Store(directory) as store:
        store.put(A, OLD)
        store.put(B, OLD)
        store.put(A, NEW)
        assert store.read_all() == ({A: NEW, B: OLD}, [])
        store.remove(B)
    with Store(directory) as store:
        assert store.read_all() == ({A: NEW}, [])
    assert (directory / f"{A}.rec").stat().st_mode & 0o777 == 0o600


def test_removing_an_unknown_record(directory: Path) -> None:
    with Store(directory) as store, pytest.raises(MissingFileError):
        store.remove(A)


@pytest.mark.parametrize("bad", ["", "a" * 31, "A" * 32, "../" + "a" * 29, "a" * 32 + "\n", "alice"])
def test_a_record_id_is_32_digits(directory: Path, bad: str) -> None:
    with Store(directory) as store:
        with pytest.raises(StorageError, match="is not a record id"):
            store.put(bad, NEW)
        with pytest.raises(StorageError, match="is not a record id"):
            store.remove(bad)


def test_one_unreadable_file_hides_no_other(directory: Path) -> None:
    with Store(directory) as store:
        store.put(B, OLD)
        (directory / f"{'1' * 32}.rec").mkdir()
        (directory / f"{'2' * 32}.rec").symlink_to(f"{B}.rec")
        (directory / f"{'3' * 32}.rec").write_bytes(bytes(MAX_RECORD_BYTES + 1))
        (directory / "alice.rec").write_bytes(OLD)
        (directory / "lockout").write_bytes(b"not a record, not ours to judge")
        records, faults = store.read_all()
    assert records == {B: OLD}
    problems = ["is not a regular file", "is a symbolic link", "is larger than", "is not named like a record"]
    assert len(faults) == len(problems)
    assert all(problem in fault.problem for problem, fault in zip(problems, faults, strict=True))


def test_an_empty_file_is_given_as_it_is(directory: Path) -> None:
    # Whether its bytes make a record is for the record format to say.
    with Store(directory) as store:
        (directory / f"{A}.rec").touch()
        assert store.read_all() == ({A: b""}, [])


def test_size_limit(directory: Path) -> None:
    with Store(directory) as store:
        store.put(A, bytes(MAX_RECORD_BYTES))
        with pytest.raises(StorageError, match="is larger than"):
            store.put(A, bytes(MAX_RECORD_BYTES + 1))
        assert store.read_all().records == {A: bytes(MAX_RECORD_BYTES)}


def test_number_limit(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_RECORDS", 2)
    with Store(directory) as store:
        store.put(A, OLD)
        store.put(B, OLD)
        with pytest.raises(StorageError, match="holds 2 records already: remove some users"):
            store.put("c" * 32, OLD)
        store.put(B, NEW)
        (directory / f"{'d' * 32}.rec").write_bytes(OLD)
        records, faults = store.read_all()
    assert records == {A: OLD, B: NEW}
    assert [fault.problem.endswith("is a record too many") for fault in faults] == [True]


def test_two_agents_never_share_a_store(directory: Path) -> None:
    with Store(directory):
        with pytest.raises(StorageError, match="is in use by another agent: stop that one first"):
            Store(directory)
        script = f"from pathlib import Path; from facelatch.vault.store import Store; Store(Path({str(directory)!r}))"
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)  # noqa: S603
        assert "is in use by another agent" in other.stderr
    Store(directory).close()


def test_a_dead_agent_holds_no_lock(directory: Path) -> None:
    script = (
        "import os; from pathlib import Path; from facelatch.vault.store import Store;"
        f"store = Store(Path({str(directory)!r})); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603
    Store(directory).close()


def test_a_closed_store_does_nothing(directory: Path) -> None:
    store = Store(directory)
    store.close()
    store.close()
    calls: list[Callable[[], object]] = [store.read_all, lambda: store.put(A, NEW), lambda: store.remove(A)]
    for call in calls:
        with pytest.raises(StorageError, match="is closed"):
            call()


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o770, 0o711])
def test_a_directory_open_to_others_is_refused(directory: Path, mode: int) -> None:
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(StorageError, match=r"open to others .*: run `chmod go= "):
        Store(directory)


def test_a_directory_of_someone_else_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir(mode=0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StorageError, match="belongs to uid"):
        Store(directory)


def test_a_file_in_the_place_of_the_directory(directory: Path) -> None:
    directory.touch()
    with pytest.raises(StorageError, match="is not a directory"):
        Store(directory)


def test_a_missing_parent(directory: Path) -> None:
    with pytest.raises(StorageError, match=r"records does not exist: create it"):
        Store(directory / "inner")


def test_a_lock_that_is_a_link_is_refused(directory: Path, tmp_path: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"\.lock is a symbolic link"):
        Store(directory)
    assert not (tmp_path / "elsewhere").exists()


def test_leftovers_are_swept_at_the_start(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    leftover = directory / f".{A}.rec.0123456789abcdef.tmp"
    leftover.write_bytes(NEW[:5])
    with Store(directory) as store:
        assert store.read_all() == ({}, [])
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, f"no space left to write .*{A}"), (errno.EROFS, "its file system is read-only")],
)
def test_what_cannot_be_written_leaves_what_was_there(directory: Path, number: int, message: str) -> None:
    with Store(directory) as store:
        store.put(A, OLD)
    opening = Disk(directory.parent)
    Store(directory, fs=opening).close()
    with Store(directory, fs=Disk(directory.parent, number=number, fail_at=opening.count, and_later=True)) as store:
        with pytest.raises(StorageError, match=message):
            store.put(A, NEW)
        assert store.read_all() == ({A: OLD}, [])


def update(store: Store) -> None:
    store.put(A, NEW)


def add(store: Store) -> None:
    store.put(B, NEW)


def remove(store: Store) -> None:
    store.remove(A)


@pytest.mark.parametrize("careless", [None, *CARELESS])
@pytest.mark.parametrize(
    ("operate", "after"), [(update, {A: NEW}), (add, {A: OLD, B: NEW}), (remove, {})], ids=["update", "add", "remove"]
)
def test_power_cut_at_every_operation(
    tmp_path: Path, operate: Callable[[Store], None], after: dict[str, bytes], careless: type[Disk] | None
) -> None:
    """Old or new, and new once that was told; the careless are caught."""
    start: Tree = {"records": None, f"records/{A}.rec": OLD}
    disk = (careless or Disk)(lay_out(start, tmp_path / "disk"))
    with Store(tmp_path / "disk" / "records", fs=disk) as store:
        operate(store)
        disk.tell("done")

    def wrong(cut: PowerCut, root: Path) -> str | None:
        with Store(root / "records", fs=Disk(root)) as again:
            records, faults = again.read_all()
        if faults or any(root.glob("*/*.tmp")):
            return "something is left"
        return None if records in ((after,) if cut.told else ({A: OLD}, after)) else f"{records} are there"

    fault = first_fault(power_cuts(disk), tmp_path / "left", wrong)
    # A removal writes nothing that could be missing.
    assert bool(fault) == (careless is not None and (operate is not remove or careless is NeverSyncsNames)), fault


def test_a_directory_that_was_just_made_outlives_a_power_cut_once_a_record_is_in_it(tmp_path: Path) -> None:
    disk = Disk(lay_out({}, tmp_path / "disk"))
    with Store(tmp_path / "disk" / "records", fs=disk) as store:
        store.put(A, NEW)
        disk.tell("done")
    assert all(cut.tree.get(f"records/{A}.rec") == NEW for cut in power_cuts(disk) if cut.told)


@pytest.mark.parametrize("fails", [0, 1], ids=["the directory's name", "what is in it"])
def test_a_start_that_cannot_make_what_it_reads_durable_is_refused(directory: Path, fails: int) -> None:
    directory.mkdir(mode=0o700)
    with pytest.raises(StorageError, match="Input/output error"):
        Store(directory, fs=Disk(directory.parent, number=errno.EIO, fail_at=fails + 1))
