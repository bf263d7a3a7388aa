# SPDX-License-Identifier: Apache-2.0
"""The power goes at any moment of anything the agent does: what starts again is the old or the new, as it was told.

Each deed is done by the agent's own code; every state that the disk may be in after a power cut is opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from facelatch.daemon.mode import Mode
from facelatch.daemon.roster import Roster
from facelatch.errors import FacelatchError
from facelatch.ipc.words import EnrollMode
from facelatch.l2fe.lattice import Integers
from facelatch.vault.lockout import Lockout, Wait, delay
from facelatch.vault.record import Record
from tests.powercut import (
    CARELESS,
    Disk,
    Killed,
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
    opened_state,
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


def test_a_first_start_leaves_nothing_or_a_key_that_opens_what_was_enrolled(place: Path) -> None:
    disk = Disk(lay_out({}, place / "disk"))
    run(disk, enrol_carl)
    met = set()

    def wrong(cut: PowerCut, root: Path) -> str | None:
        users = list(seen(root).users)
        met.update(users or ["nobody"])
        return None if users == ["carl"] or not (users or cut.told) else f"{users} after {cut.told}"

    assert first_fault(power_cuts(disk), place / "left", wrong) is None
    assert met == {"carl", "nobody"}


async def _pay_later(agent: StoredAgent) -> None:
    """A control: as ``fail_as_anna``, by an agent that counts once it has answered."""
    due: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lockout, "charge", lambda _, subject: due.append(subject))
        await agent.verify("stranger")
    for subject in due:
        agent.agent.lockout.charge(subject)


def test_an_agent_that_counts_after_it_has_answered_is_caught(start: Tree, place: Path) -> None:
    disk = Disk(lay_out(start, place / "disk"))
    stages = story(start, replace(CASES["no match"], deed=_pay_later), disk)
    fault = first_fault(power_cuts(disk), place / "left", lambda cut, root: wrong(cut, root, stages, []))
    assert fault is not None
    assert "what was told has been undone" in fault


def test_a_guess_is_paid_for_before_it_is_made(start: Tree, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a plug that is pulled while the guess is made nor one that is pulled right after it makes it free."""
    disk = Disk(lay_out(start, place / "disk"))
    guess = Roster.secret

    def told(roster: Roster, point: Integers, record: Record) -> bytes | None:
        disk.tell("a guess is made")
        return guess(roster, point, record)

    monkeypatch.setattr(Roster, "secret", told)
    old, *_ = story(start, CASES["match"], disk)
    guessed = [cut for cut in power_cuts(disk) if cut.told and len(cut.told) < len(disk.told)]
    assert guessed

    def wrong(_: PowerCut, root: Path) -> str | None:
        waits = seen(root).waits["anna"]
        return "the guess was free" if waits == old.waits["anna"] else None

    assert first_fault(guessed, place / "left", wrong) is None


def undone(cut: PowerCut, root: Path) -> str | None:
    """Say whether what was shown last is no longer there."""
    return None if seen(root, clock=StandingClock(LATER)) == cut.told[-1] else "it is undone"


def undone_after_a_kill(start: Tree, place: Path, name: str, second: type[Disk] = Disk) -> str | None:
    """Kill the agent at each operation, which leaves the kernel its work; start it again; and only then cut the power.

    Return how anything is undone that the ``second`` agent showed.
    """
    for fail_at in count():
        opening = Disk(lay_out(start, place / "disk"))
        with opened_state(opening, StandingClock(LATER)):
            pass
        disk = Disk(opening.root, fail_at=opening.count + fail_at, and_later=True)
        try:
            run(disk, CASES[name].deed, StandingClock(LATER))
        except Killed:
            disk.mend()
            disk.__class__ = second
            disk.told.clear()
            disk.tell(seen(disk.root, disk, StandingClock(LATER)))  # no reboot: that would write, and sync, by itself
            fault = first_fault([cut for cut in power_cuts(disk) if cut.told], place / "left", undone)
            if fault is not None:
                return fault
        else:
            assert fail_at >= 2
            return None
    raise AssertionError


@pytest.mark.parametrize("name", ["enrol", "enrol again", "remove", "seal again", "no match", "match", "arm", "disarm"])
def test_what_an_agent_shows_that_was_started_again_stays(start: Tree, place: Path, name: str) -> None:
    assert undone_after_a_kill(start, place, name) is None


@pytest.mark.parametrize("name", ["enrol", "remove", "arm"])
def test_an_agent_that_trusts_what_a_killed_one_left_is_caught(start: Tree, place: Path, name: str) -> None:
    assert undone_after_a_kill(start, place, name, NeverSyncsNames) is not None


EVERY = 30
"""Of the moments of a rekey at which the power goes a first time, every so many are tried: a few."""


def test_a_renewal_goes_on_and_is_cut_off_again(start: Tree, place: Path) -> None:
    disk = Disk(lay_out(start, place / "disk"))
    old, *_ = story(start, CASES["rekey"], disk)
    first = {cut.after: cut for cut in power_cuts(disk)}  # of each moment the state in which most was written
    tried = 0
    for cut in list(first.values())[::EVERY]:
        going_on = Disk(lay_out(cut.tree, place / "again"))
        with opened_state(going_on, StandingClock(LATER)):
            going_on.tell("it runs again")
        check = first_fault(
            power_cuts(going_on), place / "left", lambda _, root: None if seen(root) == old else "something is lost"
        )
        assert check is None, cut
        tried += 1
    assert tried >= 3
