# SPDX-License-Identifier: Apache-2.0
"""The agent over a disk that may fail: all of its own code, and made-up faces instead of camera and networks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from asyncvarlink import FileDescriptor

from facelatch import parameters
from facelatch.camera import Frame
from facelatch.config import Config, DeviceKeyConfig, EnrollConfig, VerifyConfig
from facelatch.daemon.agent import Agent
from facelatch.daemon.audit import Audit
from facelatch.daemon.mode import Mode, read_mode, write_mode
from facelatch.daemon.policy import Policy
from facelatch.daemon.service import AgentService
from facelatch.daemon.signals import Signals
from facelatch.daemon.state import State, open_state
from facelatch.daemon.worker import Worker
from facelatch.face.path import FacePath, Look
from facelatch.hardware.indicator import NoIndicator
from facelatch.ipc import memfd
from facelatch.ipc.peer import Peer
from facelatch.ipc.words import EnrollMode, EnrollResult, VerifyResult
from facelatch.l2fe.extractor import Context, Extractor
from facelatch.l2fe.keys import Argon2idCost
from facelatch.vault.lockout import DEVICE, Clock, Wait
from facelatch.vault.record import Account, Header
from tests.faces import someone
from tests.powercut import Disk, Tree, lay_out, read_tree

# What is stretched here guards nobody: the cheapest that libsodium does, so that thousands of states can be tried.
EXTRACTOR = Extractor(replace(parameters.read("standard"), argon2id=Argon2idCost(passes=1, memory_kib=8)))
ROOT = Peer(1, 0, 0, frozenset({0}))
PEOPLE = {
    name: someone(EXTRACTOR.parameters, np.random.default_rng(seed)).astype(np.float32)
    for seed, name in enumerate(("anna", "bert", "carl", "stranger"))
}
FAILURES = 6
"""Failed attempts that anna has behind her: her next one waits, so each count shows in the length of the wait."""


@dataclass
class StandingClock:
    """A clock that stands until it is told."""

    time: float = 100.0
    of_boot: str = "first"

    def boot(self) -> str:
        return self.of_boot

    def now(self) -> float:
        return self.time


class Mirror:
    """Camera and face path in one: shows whoever stands before it."""

    name = "mirror"
    live = False

    def __init__(self) -> None:
        self.person = "anna"

    def check(self) -> None: ...

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self) -> Frame:
        return Frame(np.zeros((1, 1, 3), dtype=np.uint8), 0, 0.0)

    def look(self, _: object) -> Look:
        return Look(embedding=PEOPLE[self.person])


def config_in(root: Path) -> Config:
    """Return a configuration whose every file lies below a directory."""
    return Config(
        state=root / "records",
        device_key=DeviceKeyConfig(path=root / "device.key"),
        verify=VerifyConfig(no_match_after=0),
        enroll=EnrollConfig(frames=6, seconds=0.001),
    )


@dataclass
class StoredAgent:
    """An agent, what root asks it by, what it sees, and the disk it writes to."""

    agent: Agent
    service: AgentService
    mirror: Mirror
    disk: Disk

    def tell(self, what: object) -> None:
        """Note that whoever asked was told something."""
        self.disk.tell(what)

    async def enroll(self, user: str, mode: EnrollMode | None = None) -> None:
        """Enrol whoever the user is."""
        self.mirror.person = user
        reply = await _last(self.service.Enroll(user=user, mode=mode))
        assert reply["result"] is EnrollResult.enroll_completed, reply
        self.tell("enrolled")

    async def verify(self, shown: str, user: str | None = "anna") -> None:
        """Look at somebody who says that they are the user."""
        self.mirror.person = shown
        reply = await _last(self.service.Verify(user=user))
        self.tell("match" if reply["result"] is VerifyResult.verify_match else "no match")

    async def seal(self, name: str, secret: bytes) -> None:
        """Seal a secret to anna's face."""
        with FileDescriptor(memfd.offer(secret), should_close=True) as descriptor:
            await self.service.Seal(user="anna", name=name, secret_fd=descriptor)
        self.tell("sealed")

    def mode(self, mode: Mode) -> None:
        """Arm, disarm or set up, as root does."""
        write_mode(self.agent.config.state, mode, fs=self.disk)
        self.tell("the mode is changed")


async def _last(replies: AsyncIterator[Any]) -> Any:
    return [reply async for reply in replies][-1]


@contextmanager
def opened_state(disk: Disk, clock: Clock | None = None) -> Iterator[State]:
    """Open what lies on a disk as the agent does when it starts."""
    with ExitStack() as stack:
        yield open_state(config_in(disk.root), EXTRACTOR, stack, clock=clock or StandingClock(), fs=disk)


@contextmanager
def stored_agent(disk: Disk, clock: Clock | None = None) -> Iterator[StoredAgent]:
    """Start the agent on a disk."""
    with opened_state(disk, clock) as state, ExitStack() as stack:
        mirror = Mirror()
        worker = Worker(mirror, cast(FacePath, mirror))
        stack.callback(worker.close)
        config = config_in(disk.root)
        agent = Agent(
            **vars(state),
            config=config,
            policy=Policy(config),
            extractor=EXTRACTOR,
            worker=worker,
            audit=Audit(),
            live_camera=False,
            signals=Signals(NoIndicator(), config.enroll.frames),
            strike=None,
            button=None,
        )
        yield StoredAgent(agent, AgentService(agent, ROOT), mirror, disk)


@dataclass(frozen=True)
class Seen:
    """All that an agent knows from its disk.

    Attributes:
        users: what each record says, the key it was made under included.
        secrets: the sealed boxes, by user and name.
        waits: what the next attempt must wait for, by user, and of the device as a whole. After a reboot that
            is the whole wait again, and so tells how many have failed.
        mode: whether the latch may open.
        faults: what cannot be read, and was left.
    """

    users: dict[str, tuple[Header, Account, Context, bytes]]
    secrets: dict[tuple[str, str], bytes]
    waits: dict[str, Wait | None]
    mode: Mode
    faults: tuple[str, ...] = ()

    def without(self, user: str) -> Seen:
        """Return the same without a user and all that is theirs."""
        return Seen(
            {name: record for name, record in self.users.items() if name != user},
            {(name, of): box for (name, of), box in self.secrets.items() if name != user},
            {name: wait for name, wait in self.waits.items() if name != user},
            self.mode,
        )


def seen(root: Path, disk: Disk | None = None, clock: Clock | None = None) -> Seen:
    """Start an agent on what a power cut left below a directory, and look at all that it knows; after a reboot.

    Raises:
        FacelatchError: it does not start.
    """
    with opened_state(disk or Disk(root), clock or StandingClock(of_boot="after the power cut")) as state:
        return _known(state, root)


def _known(state: State, root: Path) -> Seen:
    subjects = {record.header.user: record.header.record_id.hex() for record in state.roster}
    return Seen(
        users={
            record.header.user: (
                record.header,
                record.account,
                record.context(state.device_key),
                record.helper.bound(b"") + record.helper.wrapped,
            )
            for record in state.roster
        },
        secrets={
            (record.header.user, name): state.secrets.get(record, name)
            for record in state.roster
            for name in state.secrets.names(record)
        },
        waits={name: state.lockout.wait(subject) for name, subject in {**subjects, "": DEVICE}.items()},
        mode=read_mode(root / "records"),
        faults=tuple(map(str, state.secrets.sweep(state.roster).faults)),
    )


def populated(root: Path) -> Tree:
    """Make what the tests start from: two users, secrets, failures, a mode; below the directory, and to be copied."""
    disk = Disk(lay_out({}, root))

    async def fill(agent: StoredAgent) -> None:
        await agent.enroll("anna")
        await agent.enroll("bert")
        await agent.seal("disk", b"anna's disk")
        await agent.seal("keyring", b"anna's keyring")
        for _ in range(FAILURES - 1):
            await agent.verify("stranger")
        subject = next(iter(agent.agent.roster)).header.record_id.hex()
        agent.agent.lockout.charge(subject)
        agent.mode(Mode.SET_UP)

    run(disk, fill)
    return read_tree(root)


Deed = Callable[[StoredAgent], Awaitable[None]]


def run(disk: Disk, deed: Deed, clock: Clock | None = None) -> None:
    """Start the agent on a disk, have it do something, and end it."""
    with stored_agent(disk, clock) as agent:
        asyncio.run(_awaited(deed, agent))


async def _awaited(deed: Deed, agent: StoredAgent) -> None:
    await deed(agent)
