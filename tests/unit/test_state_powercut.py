# SPDX-License-Identifier: Apache-2.0
"""The power goes at any moment of anything the agent does: what starts again is the old or the new, as it was told.

Each deed is done by the agent's own code; every state that the disk may be in after a power cut is opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from facelatch.daemon.mode import Mode
from facelatch.errors import FacelatchError
from facelatch.ipc.words import EnrollMode
from facelatch.vault.lockout import Wait, delay
from tests.powercut import (
    CARELESS,
    Disk,
    NeverSyncsNames,
    PowerCut,
    Tree,
    first_fault,
    in_memory,
    lay_out,
    power_cuts,
    read_tree,
)
from tests.stored_agent import (
    FAILURES,
    Deed,
    Seen,
    StandingClock,
    StoredAgent,
    populated,
    run,
    seen,
)

LATER = 10_000.0
"""When anna's wait is over."""


@pytest.fixture
def place() -> Iterator[Path]:
    with in_memory() as directory:
        yield directory


@pytest.fixture(scope="module")
def start() -> Iterator[Tree]:
    with in_memory() as directory:
        yield populated(directory)


def waiting(state: Seen, user: str, failures: int) -> Seen:
    """Return the same with so many failures of a user, the last of them just now."""
    seconds = delay(user, failures)
    return replace(state, waits={**state.waits, user: Wait(seconds) if seconds else None})


async def enrol_carl(agent: StoredAgent) -> None:
    await agent.enroll("carl")


async def replace_anna(agent: StoredAgent) -> None:
    await agent.enroll("anna", EnrollMode.replace)


async def add_to_anna(agent: StoredAgent) -> None:
    await agent.enroll("anna", EnrollMode.add)


async def rekey(agent: StoredAgent) -> None:
    await agent.service.Rekey()
    agent.tell("rekeyed")


async def remove_anna(agent: StoredAgent) -> None:
    await agent.service.RemoveUser(user="anna")
    agent.tell("removed")


async def seal_new(agent: StoredAgent) -> None:
    await agent.seal("mail", b"anna's mail")


async def seal_again(agent: StoredAgent) -> None:
    await agent.seal("disk", b"anna's new disk")


async def forget_disk(agent: StoredAgent) -> None:
    await agent.service.ForgetSecret(user="anna", name="disk")
    agent.tell("forgotten")


async def fail_as_anna(agent: StoredAgent) -> None:
    await agent.verify("stranger")


async def fail_as_nobody(agent: StoredAgent) -> None:
    await agent.verify("stranger", user=None)


async def match_anna(agent: StoredAgent) -> None:
    await agent.verify("anna")


async def reset_anna(agent: StoredAgent) -> None:
    await agent.service.ResetLockout(user="anna")
    agent.tell("reset")


async def arm(agent: StoredAgent) -> None:
    agent.mode(Mode.ARMED)


async def disarm(agent: StoredAgent) -> None:
    agent.mode(Mode.DISARMED)


def unchanged(_: Seen, __: Seen) -> list[Seen]:
    return []


def failed(before: Seen, _: Seen) -> list[Seen]:
    """Counted before it was tried."""
    return [waiting(before, "anna", FAILURES + 1)]


def matched(before: Seen, _: Seen) -> list[Seen]:
    """Counted, then forgotten; then what else there was to be done."""
    return [waiting(before, "anna", FAILURES + 1), waiting(before, "anna", 0)]


@dataclass(frozen=True)
class Case:
    """Something to be done, and the states that it passes through on its way from the old to the new.

    Attributes:
        deed: what is done.
        between: given the old and the new, what may be found besides.
        new: what the new has to be like, seen from the old.
        writes: whether it writes any file (a removal does not, and so cannot be torn).
    """

    deed: Deed
    new: Callable[[Seen, Seen], bool]
    between: Callable[[Seen, Seen], list[Seen]] = unchanged
    writes: bool = True


def only_secrets(old: Seen, new: Seen, names: set[str]) -> bool:
    """Whether nothing but anna's secrets has changed, and they are called so."""
    theirs = {name for user, name in new.secrets if user == "anna"}
    return replace(new, secrets=old.secrets) == old and theirs == names and new.secrets != old.secrets


def other_anna(old: Seen, new: Seen, *, keeps: bool) -> bool:
    """Whether anna's record has another generation and the others do not, and her secrets are as they should be."""
    header, was = new.users["anna"][0], old.users["anna"][0]
    same = {user: record for user, record in new.users.items() if user != "anna"} == {"bert": old.users["bert"]}
    kept = new.secrets == old.secrets if keeps else not new.secrets
    return same and kept and header.generation > was.generation and header.record_id == was.record_id


CASES = {
    "enrol": Case(
        enrol_carl,
        lambda old, new: new.without("carl") == old and "carl" in new.users,
    ),
    "enrol again": Case(replace_anna, lambda old, new: other_anna(old, new, keeps=False)),
    "refresh": Case(add_to_anna, lambda old, new: other_anna(old, new, keeps=True), matched),
    "rekey": Case(rekey, lambda old, new: new == old),
    "remove": Case(remove_anna, lambda old, new: new == old.without("anna"), writes=False),
    "seal": Case(seal_new, lambda old, new: only_secrets(old, new, {"disk", "keyring", "mail"})),
    "seal again": Case(seal_again, lambda old, new: only_secrets(old, new, {"disk", "keyring"})),
    "forget a secret": Case(forget_disk, lambda old, new: only_secrets(old, new, {"keyring"}), writes=False),
    "no match": Case(fail_as_anna, lambda old, new: new == failed(old, new)[-1], failed),
    "match": Case(match_anna, lambda old, new: new == matched(old, new)[-1], matched),
    "reset the lockout": Case(reset_anna, lambda old, new: new == waiting(old, "anna", 0)),
    "arm": Case(arm, lambda old, new: new == replace(old, mode=Mode.ARMED)),
    "disarm": Case(disarm, lambda old, new: new == replace(old, mode=Mode.DISARMED), writes=False),
}


def story(start: Tree, case: Case, disk: Disk) -> list[Seen]:
    """Do the deed on the disk; return what may be found at each of its stages, in order."""
    old = seen(lay_out(start, disk.root.with_name("old")))
    run(disk, case.deed, StandingClock(LATER))
    new = seen(lay_out(read_tree(disk.root), disk.root.with_name("new")))
    assert case.new(old, new), (old, new)
    return [old, *case.between(old, new), new]


def wrong(cut: PowerCut, root: Path, stages: list[Seen], met: list[int]) -> str | None:
    """Note what a restart finds, and say what is wrong with it: a mixture, nothing at all, or less than was told."""
    try:
        found = seen(root)
    except FacelatchError as error:
        return str(error)
    if any(path.name.endswith(".tmp") for path in root.rglob("*")):
        return "something is left over"
    if found not in stages:
        return f"a mixture: {found}"
    met.append(stages.index(found))
    # Once its end was told only the last stage will do.
    return "what was told has been undone" if cut.told and found != stages[-1] else None


@pytest.mark.parametrize("name", CASES)
def test_old_or_new_and_new_once_it_was_told(start: Tree, place: Path, name: str) -> None:
    disk = Disk(lay_out(start, place / "disk"))
    stages = story(start, CASES[name], disk)
    assert len(disk.told) == 1
    met: list[int] = []
    fault = first_fault(power_cuts(disk), place / "left", lambda cut, root: wrong(cut, root, stages, met))
    assert fault is None
    assert set(met) == {stages.index(stage) for stage in stages}  # all of them, so that no cut was missed


@pytest.mark.parametrize("careless", CARELESS)
@pytest.mark.parametrize("name", CASES)
def test_a_careless_writer_is_caught(start: Tree, place: Path, name: str, careless: type[Disk]) -> None:
    case = CASES[name]
    if not case.writes and careless is not NeverSyncsNames:
        pytest.skip("it writes no file")
    disk = careless(lay_out(start, place / "disk"))
    stages = story(start, case, disk)
    assert first_fault(power_cuts(disk), place / "left", lambda cut, root: wrong(cut, root, stages, []))
