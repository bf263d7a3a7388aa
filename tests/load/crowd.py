# SPDX-License-Identifier: Apache-2.0
"""An agent under load, and what has to hold whatever the machine."""

from __future__ import annotations

import asyncio
import grp
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.agent import NOBODY, Agent
from tests.load.echo import measure
from tests.load.friendly import Fared, contender, watcher
from tests.load.hostile import AT_ONCE
from tests.load.places import FIRST_UID
from tests.usage import Usage, usage

MEMORY_GROWTH = 5 * 2**20
"""Bytes by which the agent may have grown when everybody is gone."""

LATE_THREADS = 1
"""A pool may make one only now; what leaks leaves one for each of hundreds."""

PER_USER = 10
"""Watchers of one user: fewer than a user may have."""

WATCH_PERIOD_S = 1.0
_SAMPLE_S = 1.0
_ROOT = 0
_OWNER_RESTS_S = 2.0
# What the sockets drop when everybody has gone is freed a moment later.
_SETTLE_S = 3.0
_WARM_UP = 20


@dataclass
class Load:
    """A crowd, and how it fared.

    Attributes:
        watchers: of the status, ``PER_USER`` of each user.
        contenders: for the camera, each a user.
        hostile: users who mean harm. Two would leave too few places on the agent's socket for so many contenders.
        places: connections of each kind that each of those tries to hold on each socket.
    """

    watchers: int = 200
    contenders: int = 20
    hostile: int = 1
    places: int = 3
    watched: list[Fared] = field(default_factory=list)
    contended: list[Fared] = field(default_factory=list)
    owner: Fared = field(default_factory=Fared)
    echoes: list[float] = field(default_factory=list)
    cuts: Counter[str] = field(default_factory=Counter)
    samples: list[Usage] = field(default_factory=list)
    before: Usage | None = None
    after: Usage | None = None

    @property
    def everybody_was_served(self) -> bool:
        """Whether each watcher has an answer, and each contender and the owner were recognised."""
        return all(fared.answers for fared in (*self.watched, *self.contended, self.owner))

    def faults(self, log: str) -> list[str]:
        """Name what does not hold; nothing here depends on how fast the machine is."""
        assert self.before is not None
        assert self.after is not None
        found = []
        everybody = (*self.watched, *self.contended, self.owner)
        wrong = Counter(what for fared in everybody for what in fared.wrong)
        if wrong:
            found.append(f"peers got something else than their answer or Busy: {dict(wrong)}")
        starved = sum(not fared.answers for fared in everybody)
        if starved:
            found.append(f"{starved} peers starved")
        grown = self.after.memory - self.before.memory
        if grown > MEMORY_GROWTH:
            found.append(f"the agent grew by {grown / 2**20:.1f} MB")
        if self.after.descriptors > self.before.descriptors:
            found.append(f"{self.after.descriptors - self.before.descriptors} descriptors stay open")
        if self.after.threads > self.before.threads + LATE_THREADS:
            found.append(f"{self.after.threads - self.before.threads} threads stay")
        harmless = [kind for kind in AT_ONCE if self.hostile and not self.cuts[kind]]
        if harmless:
            found.append(f"never hung up on: {', '.join(harmless)}")
        if " failed: " in log or "Traceback" in log:
            found.append("the agent complains in its log")
        return found


def ready(agent: Agent) -> None:
    """Start an agent that every user may ask to verify, and that knows whom its camera shows."""
    agent.configure("policy", group=grp.getgrgid(NOBODY).gr_name)
    agent.configure("camera", fps=30)
    agent.start()
    enrolled = agent.cli("enroll", "anna")
    assert enrolled.returncode == 0, enrolled.stderr


async def bear(agent: Agent, load: Load, enough: Callable[[Load], bool]) -> None:
    """Have a running agent, who knows whom its camera shows, bear a load until it is enough."""
    status, requests = agent.runtime / "status.sock", agent.runtime / "agent.sock"
    await _warm_up(requests)
    load.before = await _settled(agent)
    uids = iter(range(FIRST_UID, 65000))
    echo = agent.root / "echo.sock"
    tasks = []
    async with (
        _module("tests.load.echo", str(echo)),
        _hostile(agent.runtime, [next(uids) for _ in range(load.hostile)], load),
    ):
        tasks.append(asyncio.create_task(measure(echo, load.echoes)))
        for number in range(load.watchers):
            if number % PER_USER == 0:
                uid = next(uids)
            load.watched.append(Fared())
            tasks.append(asyncio.create_task(watcher(status, uid, WATCH_PERIOD_S, load.watched[-1])))
        for _ in range(load.contenders):
            load.contended.append(Fared())
            tasks.append(asyncio.create_task(contender(requests, next(uids), 0.0, load.contended[-1])))
        tasks.append(asyncio.create_task(contender(requests, _ROOT, _OWNER_RESTS_S, load.owner)))
        try:
            while not enough(load):
                await asyncio.sleep(_SAMPLE_S)
                load.samples.append(usage(agent.process.pid))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
    load.after = await _settled(agent)


async def _warm_up(requests: Path) -> None:
    """Have the agent do once what it will do often, so that what it keeps of that for good is there before."""
    fared = Fared()
    task = asyncio.create_task(contender(requests, _ROOT, 0.0, fared))
    while len(fared.answers) < _WARM_UP and not task.done():
        await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])


async def _settled(agent: Agent) -> Usage:
    await asyncio.sleep(_SETTLE_S)
    return usage(agent.process.pid)


@asynccontextmanager
async def _hostile(runtime: Path, uids: list[int], load: Load) -> AsyncIterator[None]:
    """Have hostile users at work in processes of their own, so that they slow down nobody but the agent."""
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(_module("tests.load.hostile", str(runtime), str(uid), str(load.places)))
            for uid in uids
        ]
        yield
        for process in processes:
            said, _ = await process.communicate(b"")
            load.cuts.update(json.loads(said))


@asynccontextmanager
async def _module(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module of ours, which ends when its standard input does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
