# SPDX-License-Identifier: Apache-2.0
"""Who is next for the camera, and that nobody is for good."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from facelatch.camera import Camera
from facelatch.config import Config
from facelatch.daemon import looking
from facelatch.daemon.door import ButtonRights, ourselves
from facelatch.daemon.service import AgentService
from facelatch.daemon.worker import BusyError, Session, StoppedError, Worker
from facelatch.face.path import FacePath
from facelatch.ipc.interface import Busy, LockedOut
from facelatch.l2fe.extractor import Extractor
from facelatch.vault.lockout import DEVICE, FREE_FAILURES
from tests.agent import eventually, last, scenario
from tests.in_process import CHEAP, ROOT, STEWARD, House, VirtualClock, going_by
from tests.session_cast import FACES, LOOKS, LOOKS_EACH

EVE = 1 + LOOKS_EACH * FACES.index("eve")


class Job:
    """One that runs until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()

    def __call__(self, session: Session[str]) -> str:
        self.begun.set()
        while not self.released.is_set():
            session.pause(0.001)
            session.check()
        return "done"


class Held:
    """A worker, and a job that it has."""

    def __init__(self) -> None:
        self.worker = Worker(cast(Camera, None), cast(FacePath, None))
        self.job = Job()

    async def begin(self, *, gives_way: bool = False) -> asyncio.Future[str]:
        running = asyncio.ensure_future(anext(self.worker.run(self.job, math.inf, 1, gives_way=gives_way)))
        await asyncio.to_thread(self.job.begun.wait)
        return running

    async def ask(self, job: Callable[[Session[str]], str] = lambda _: "looked") -> str:
        return await anext(self.worker.run(job, math.inf, 2))

    async def ask_first(
        self, seconds: float = math.inf, job: Callable[[Session[str]], str] = lambda _: "looked"
    ) -> str:
        async with self.worker.precedence(seconds):
            return await self.ask(job)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.worker.close()


async def waits(asked: Coroutine[Any, Any, str]) -> asyncio.Future[str]:
    """Begin something that has to wait."""
    future = asyncio.ensure_future(asked)
    await asyncio.sleep(0)
    assert not future.done()
    return future


def test_whoever_comes_first_has_the_camera_next_and_all_others_are_refused(held: Held) -> None:
    async def steps() -> None:
        asked: list[asyncio.Future[str]] = []
        await held.begin()
        # Somebody asks in the very moment in which the camera is free.
        assert held.worker._running is not None
        held.worker._running.future.add_done_callback(lambda _: asked.append(asyncio.ensure_future(held.ask())))
        first = await waits(held.ask_first())
        with pytest.raises(BusyError):
            await held.ask()
        held.job.released.set()
        assert await first == "looked"
        with pytest.raises(BusyError):
            await asked[0]
        assert await held.ask() == "looked"  # it is for one job alone

    scenario(steps())


def test_whoever_comes_first_may_be_waited_for(held: Held) -> None:
    async def steps() -> None:
        await held.begin()
        job = Job()
        first = await waits(held.ask_first(job=job))
        held.job.released.set()
        await asyncio.to_thread(job.begun.wait)
        second = await waits(held.ask_first())
        job.released.set()
        assert [await first, await second] == ["done", "looked"]

    scenario(steps())


def test_who_does_not_come_first_does_not_wait(held: Held) -> None:
    async def steps() -> None:
        await held.begin()
        with pytest.raises(BusyError):
            await held.ask()
        held.job.released.set()

    scenario(steps())


def test_nobody_waits_longer_than_said_nor_keeps_the_camera_from_others_then(held: Held) -> None:
    async def steps() -> None:
        running = await held.begin()
        with pytest.raises(BusyError):
            await held.ask_first(0.01)
        held.job.released.set()
        assert await running == "done"
        assert await held.ask() == "looked"

    scenario(steps())


def test_who_hangs_up_while_they_wait_keep_it_from_nobody(held: Held) -> None:
    async def steps() -> None:
        running = await held.begin()
        first = await waits(held.ask_first())
        first.cancel()
        await asyncio.wait([first])
        held.job.released.set()
        assert await running == "done"
        assert await held.ask() == "looked"

    scenario(steps())


def test_one_may_wait(held: Held) -> None:
    async def steps() -> None:
        await held.begin()
        first = await waits(held.ask_first())
        with pytest.raises(BusyError):
            await held.ask_first()
        held.job.released.set()
        assert await first == "looked"

    scenario(steps())


def test_what_gives_way_is_not_waited_for(held: Held) -> None:
    async def steps() -> None:
        running = await held.begin(gives_way=True)
        assert await held.ask_first() == "looked"
        with pytest.raises(StoppedError):
            await running

    scenario(steps())


def test_a_free_camera_is_not_waited_for(held: Held) -> None:
    async def steps() -> None:
        assert await held.ask_first() == "looked"

    scenario(steps())


def test_the_button_comes_first() -> None:
    assert ButtonRights(Config()).comes_first(ourselves())


@pytest.mark.parametrize("failures", [FREE_FAILURES, 0])
def test_a_failure_that_was_waited_for_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    """Whoever waits while another fails once too often may not try, and may if it was not too often."""
    monkeypatch.setattr(looking, "PRECEDENCE_S", math.inf)
    clock = VirtualClock()

    async def shown_eve(until: Callable[[], bool]) -> None:
        """Have the camera see her until something is so."""
        while not until():
            if house.camera.asked.is_set():
                house.camera.give(EVE)
            await asyncio.sleep(0.001)

    async def steps() -> None:
        other = asyncio.ensure_future(last(AgentService(house.agent, STEWARD).Verify()))
        await eventually(house.camera.asked.is_set)
        first = asyncio.ensure_future(last(AgentService(house.agent, ROOT).Verify()))
        with pytest.raises(Busy):
            await anext(AgentService(house.agent, STEWARD).Verify())
        for _ in range(failures):
            house.agent.lockout.charge(DEVICE)
        await shown_eve(lambda: other.done())
        await shown_eve(lambda: first.done())
        ends.append(first.exception())

    ends: list[BaseException | None] = []
    with going_by(clock):
        house = House(tmp_path, LOOKS, clock, Extractor(CHEAP))
        try:
            scenario(steps())
        finally:
            house.close()
    assert isinstance(ends[0], LockedOut) == bool(failures)
    assert failures or ends == [None]
