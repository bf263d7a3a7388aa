# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, read-only or failing at any operation: a named error, nothing lost, and it works once mended."""

from __future__ import annotations

import asyncio
import errno
from itertools import count
from pathlib import Path

import pytest
from asyncvarlink import VarlinkErrorReply

from facelatch.daemon import roster as roster_module
from facelatch.errors import FacelatchError, RecordCorruptError, StorageError
from facelatch.ipc import interface as wire
from facelatch.vault import store as store_module
from facelatch.vault.files import write_durably
from facelatch.vault.filesystem import FileSystem
from facelatch.vault.store import Store
from tests.powercut import Disk, Tree, first_fault, lay_out, power_cuts, read_tree
from tests.stored_agent import Seen, StandingClock, StoredAgent, seen, stored_agent
from tests.unit.test_state_powercut import CASES, LATER, Case, place, start  # noqa: F401 - fixtures

SAID = {
    errno.ENOSPC: "no space left to ",
    errno.EDQUOT: "no space left to ",
    errno.EROFS: "read-only: mount it writable",
    errno.EIO: "(Input/output error): check the file system and the card",
}


def placed(case: Case, old: Seen, found: Seen) -> bool:
    """Tell whether that is the old, the new or a stage between them; a record that is made again has other keys."""
    return found == old or found in case.between(old, found) or case.new(old, found)


def attempt(agent: StoredAgent, case: Case) -> str | None:
    """Do it; return what was said instead if it could not be done."""
    try:
        asyncio.run(_done(agent, case))
    except wire.StorageFault as fault:
        return str(fault.parameters["what"])
    except StorageError as fault:  # of a command of root's, which has no socket between
        return str(fault)
    return None


async def _done(agent: StoredAgent, case: Case) -> None:
    await case.deed(agent)


def again(agent: StoredAgent, clock: StandingClock, case: Case) -> None:
    """Do it once more, as whoever was told of a failure would; being told that it is done already is as good."""
    clock.time += LATER  # what was charged for the failure is waited for
    try:
        assert attempt(agent, case) is None
    except (wire.AlreadyEnrolled, wire.NotEnrolled, wire.NoSuchSecret):
        assert case in (CASES["enrol"], CASES["remove"], CASES["forget a secret"])


@pytest.mark.parametrize(
    ("number", "and_later"),
    [*((number, False) for number in SAID), (errno.ENOSPC, True), (errno.EIO, True)],
    ids=[*(errno.errorcode[number] for number in SAID), "ENOSPC-for-some-time", "EIO-for-some-time"],
)
@pytest.mark.parametrize("name", CASES)
def test_a_failing_disk(start: Tree, place: Path, name: str, number: int, and_later: bool) -> None:  # noqa: F811
    case = CASES[name]
    old = seen(lay_out(start, place / "old"))
    for fail_at in count():
        clock = StandingClock(LATER)
        opening = Disk(lay_out(start, place / "disk"))
        with stored_agent(opening, clock):
            pass
        disk = Disk(opening.root, number=number, fail_at=opening.count + fail_at, and_later=and_later)
        with stored_agent(disk, clock) as agent:
            said = attempt(agent, case)
            if disk.count <= opening.count + fail_at:
                break
            assert said is not None, f"operation {fail_at} failed, and nobody was told"
            assert SAID[number] in said
            assert "\n" not in said
            assert str(place) in said
            assert placed(case, old, seen(lay_out(read_tree(disk.root), place / "left"))), fail_at
            disk.mend()
            again(agent, clock, case)
        assert case.new(old, seen(lay_out(read_tree(disk.root), place / "left"))), fail_at
    assert said is None
    assert fail_at >= 2


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("rekey", "seal", "seal again", "refresh")])
def test_a_power_cut_after_a_failure(start: Tree, place: Path, name: str) -> None:  # noqa: F811
    """The writes of the four that are left out are those of the others, and too many to go through twice."""
    case = CASES[name]
    old = seen(lay_out(start, place / "old"))

    def wrong(_: object, root: Path) -> str | None:
        try:
            found = seen(root)
        except FacelatchError as error:
            return str(error)
        return None if placed(case, old, found) else f"a mixture: {found}"

    for fail_at in count():
        opening = Disk(lay_out(start, place / "disk"))
        with stored_agent(opening, StandingClock(LATER)):
            pass
        disk = Disk(opening.root, number=errno.EIO, fail_at=opening.count + fail_at)
        with stored_agent(disk, StandingClock(LATER)) as agent:
            said = attempt(agent, case)
        if said is None:
            break
        assert first_fault(power_cuts(disk), place / "left", wrong) is None, fail_at


def test_a_failed_attempt_that_cannot_be_counted_is_not_made(start: Tree, place: Path) -> None:  # noqa: F811
    """Neither the owner nor a stranger gets an answer that was not paid for."""
    for shown in ("anna", "stranger"):
        disk = Disk(lay_out(start, place / "disk"))
        with stored_agent(disk, StandingClock(LATER)) as agent:
            disk.refuse_from_now_on(errno.ENOSPC)
            with pytest.raises(VarlinkErrorReply) as told:
                asyncio.run(agent.verify(shown))
            assert isinstance(told.value, wire.StorageFault)
            assert disk.told == []


def test_a_record_left_behind_by_a_failed_enrolment_is_caught(
    start: Tree,  # noqa: F811
    place: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A control: a store that leaves what it said it had not stored, which the next start finds beside the retry's."""

    def careless(path: Path, data: bytes, *, replace: bool, fs: FileSystem) -> None:  # noqa: ARG001 - that is the fault
        write_durably(path, data, fs=fs)

    monkeypatch.setattr(store_module, "write_durably", careless)
    monkeypatch.setattr(Store, "holds", lambda *_: False)
    with pytest.raises(RecordCorruptError, match="a second one of the same user"):
        test_a_failing_disk(start, place, "enrol", errno.EIO, and_later=False)


def test_a_removal_that_cannot_be_tried_again_is_caught(
    start: Tree,  # noqa: F811
    place: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A control: a roster that takes a record which is gone for an error."""
    monkeypatch.setattr(roster_module, "MissingFileError", ZeroDivisionError)
    with pytest.raises(AssertionError):
        test_a_failing_disk(start, place, "remove", errno.EIO, and_later=False)


@pytest.mark.parametrize("number", SAID)
def test_after_a_reboot_a_disk_that_takes_nothing_stops_the_start_by_name(
    start: Tree,  # noqa: F811
    place: Path,  # noqa: F811
    number: int,
) -> None:
    """A wait that began anew without being written would be over sooner after the next pulled plug."""
    disk = Disk(lay_out(start, place / "disk"))
    disk.refuse_from_now_on(number)
    with pytest.raises(StorageError) as told:
        seen(disk.root, disk)
    assert SAID[number] in str(told.value)
    disk.mend()
    assert seen(disk.root, disk) == seen(lay_out(start, place / "untouched"))
