# SPDX-License-Identifier: Apache-2.0
"""The rules of the latch: it rests between pulses, opens only while it is armed, and is watched whoever hangs up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from facelatch.config import LatchConfig
from facelatch.daemon import strike as strike_module
from facelatch.daemon.audit import Audit, Happening
from facelatch.daemon.mode import Mode, read_mode, write_mode
from facelatch.daemon.strike import DisarmedError, Strike
from facelatch.errors import LatchError
from facelatch.hardware.latch import CommandLatch
from facelatch.ipc.peer import Peer

PEER = Peer(1, 0, 0, frozenset())
PULSE, GAP = 0.2, 0.3


@pytest.fixture
def state(tmp_path: Path) -> Path:
    write_mode(tmp_path, Mode.ARMED)
    return tmp_path


class Counted(CommandLatch):
    """A latch that is a real program, and counts how often that was started."""

    pulses = 0

    async def open(self) -> None:
        self.pulses += 1
        await super().open()


def strike(state: Path, *command: str) -> Strike:
    """Give a latch; a command of a test's own has all the time that it needs to end by itself."""
    latch = Counted(command or ("/bin/sleep", "600"), [], 600 if command else PULSE)
    return Strike(latch, LatchConfig(pulse=PULSE, gap=GAP), state, Audit())


def pulses(latch: Strike) -> int:
    assert isinstance(latch.latch, Counted)
    return latch.latch.pulses


def scenario(steps: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(steps(), 60)

    asyncio.run(bounded())


def test_it_rests_between_pulses_even_for_two_at_once(state: Path) -> None:
    async def steps() -> None:
        latch = strike(state)
        start = time.monotonic()
        await asyncio.gather(latch.open(PEER, "anna"), latch.open(PEER, "bob"))
        assert time.monotonic() - start >= PULSE + GAP
        assert pulses(latch) == 2
        await latch.close(PEER)

    scenario(steps)


def test_it_does_not_open_once_it_is_disarmed_while_someone_waits(state: Path) -> None:
    async def steps() -> None:
        latch = strike(state)
        await latch.open(PEER, "anna")
        waiting = asyncio.create_task(latch.open(PEER, "bob"))
        await asyncio.sleep(0)
        write_mode(state, Mode.DISARMED)
        with pytest.raises(DisarmedError):
            await waiting
        assert pulses(latch) == 1
        await latch.close(PEER)

    scenario(steps)


def test_who_hangs_up_while_it_waits_gets_nothing(state: Path) -> None:
    async def steps() -> None:
        latch = strike(state)
        await latch.open(PEER, "anna")
        waiting = asyncio.create_task(latch.open(PEER, "bob"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.sleep(PULSE + GAP)
        assert pulses(latch) == 1
        await latch.close(PEER)

    scenario(steps)


def test_who_hangs_up_as_it_opens_leaves_it_watched(state: Path) -> None:
    async def steps() -> None:
        latch = strike(state)
        with latch._audit.watch() as happenings:
            opening = asyncio.create_task(latch.open(PEER, "anna"))
            while not latch._rested:  # it has begun
                await asyncio.sleep(0)
            opening.cancel()
            seen: list[Happening] = [await happenings.get(), await happenings.get()]
        assert [str(happening.event) for happening in seen] == ["latch_opened", "latch_closed"]
        assert not latch.latch.is_open()

    scenario(steps)


def test_what_does_not_close_is_disarmed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strike_module, "STUCK_SECONDS", 0.0)
    released: list[bool] = []

    class Jammed(CommandLatch):
        """Says that it is open until it is released by force."""

        def is_open(self) -> bool:
            return not released

        async def release(self) -> None:
            await super().release()
            released.append(True)

    async def steps() -> None:
        latch = Strike(Jammed(["/bin/true"], [], PULSE), LatchConfig(pulse=PULSE, gap=GAP), state, Audit())
        await latch.open(PEER, "anna")
        while not released:
            await asyncio.sleep(0.01)
        with pytest.raises(DisarmedError):
            await latch.open(PEER, "anna")
        assert "stays open" in str(latch.fault)

    scenario(steps)
    assert read_mode(state) is Mode.DISARMED


def test_a_program_that_fails_disarms_too(state: Path) -> None:
    async def steps() -> None:
        latch = strike(state, "/bin/false")
        await latch.open(PEER, "anna")
        while latch.armed:
            await asyncio.sleep(0.01)

    scenario(steps)
    assert read_mode(state) is Mode.DISARMED


def test_one_that_cannot_open_says_so_and_stays_armed(state: Path) -> None:
    async def steps() -> None:
        latch = Strike(CommandLatch(["/nonexistent"], [], PULSE), LatchConfig(pulse=PULSE, gap=GAP), state, Audit())
        with pytest.raises(LatchError, match="cannot be started"):
            await latch.open(PEER, "anna")
        assert latch.fault is not None
        assert latch.armed

    scenario(steps)


def test_the_agents_end_while_it_begins_to_open_locks_it_all_the_same(state: Path) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    class Slow(Counted):
        async def open(self) -> None:
            await super().open()
            begun.set()
            await go.wait()

    async def steps() -> None:
        latch = Strike(Slow(("/bin/sleep", "600"), [], 600), LatchConfig(pulse=600, gap=GAP), state, Audit())
        opening = asyncio.create_task(latch.open(PEER, "anna"))
        await begun.wait()
        opening.cancel()  # as the agent's end does with whoever asked
        ending = asyncio.create_task(latch.close(PEER))
        await asyncio.sleep(0)
        assert latch.latch.is_open()
        go.set()
        await ending
        assert not latch.latch.is_open()

    scenario(steps)
