# SPDX-License-Identifier: Apache-2.0
"""Each latch ends its pulse, and says so when it cannot: an LED's files as the kernel has them, and real programs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from facelatch.errors import LatchError
from facelatch.hardware import standin
from facelatch.hardware.latch import CommandLatch, LedLatch


@pytest.fixture
def led(tmp_path: Path) -> Path:
    """The files of an LED, which nobody plays."""
    standin.make(tmp_path)
    return tmp_path / "latch"


def settings(led: Path) -> dict[str, str]:
    return {name: (led / name).read_text().strip() for name in ("trigger", "invert", "delay_on", "delay_off")}


def test_the_kernel_is_told_how_long_before_it_is_told_when(led: Path) -> None:
    (led / "trigger").write_text("none [timer] oneshot\n")
    (led / "invert").write_text("1\n")
    shots = os.open(led / "shot", os.O_RDWR | os.O_NONBLOCK)
    latch = LedLatch(str(led), 2.5, 0.3)
    latch.prepare()
    assert settings(led) == {"trigger": "oneshot", "invert": "0", "delay_on": "2500", "delay_off": "300"}
    with pytest.raises(BlockingIOError):
        os.read(shots, 1)
    # Somebody else changes it; a pulse without an off time would never end.
    (led / "trigger").write_text("none timer [oneshot]\n")
    (led / "delay_off").write_text("0\n")
    asyncio.run(latch.open())
    assert settings(led)["delay_off"] == "300"
    assert os.read(shots, 64) == b"1\n"
    os.close(shots)


def test_no_pulse_where_the_length_is_not_taken(led: Path) -> None:
    (led / "delay_on").unlink()
    (led / "delay_on").symlink_to("/dev/null")
    shots = os.open(led / "shot", os.O_RDWR | os.O_NONBLOCK)
    with pytest.raises(LatchError, match="does not take delay_on"):
        asyncio.run(LedLatch(str(led), 2.5, 0.3).open())
    with pytest.raises(BlockingIOError):
        os.read(shots, 1)
    os.close(shots)


def test_no_pulse_where_it_is_lit_already(led: Path) -> None:
    (led / "brightness").write_text("1\n")
    latch = LedLatch(str(led), 2.5, 0.3)
    with pytest.raises(LatchError, match="is open and should not be"):
        asyncio.run(latch.open())
    assert latch.is_open()
    asyncio.run(latch.release())
    assert not latch.is_open()


def test_no_pulse_where_nobody_would_end_it(led: Path) -> None:
    with pytest.raises(LatchError, match="cannot be used"):  # the stand-in's pipe has no reader
        asyncio.run(LedLatch(str(led), 2.5, 0.3).open())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_one_that_is_not_ours_is_named(led: Path) -> None:
    (led / "delay_on").chmod(0o444)
    with pytest.raises(LatchError, match="not for us to write"):
        LedLatch(str(led), 2.5, 0.3).prepare()


def scenario(steps: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(steps(), 60)

    asyncio.run(bounded())


async def closed(latch: CommandLatch) -> None:
    while latch.is_open():
        await asyncio.sleep(0.01)


def programs() -> set[str]:
    """What runs that this process has started."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def shell(text: str, *arguments: object) -> list[str]:
    return ["/bin/sh", "-c", text, "latch", *map(str, arguments)]


def test_a_program_is_ended_after_the_pulse_and_the_other_locks(tmp_path: Path) -> None:
    opened, locked = tmp_path / "opened", tmp_path / "locked"
    latch = CommandLatch(shell('echo $$ > "$1"; exec sleep 600', opened), shell('echo > "$1"', locked), 3)

    async def steps() -> None:
        await latch.open()
        assert latch.is_open()
        await closed(latch)
        assert locked.exists()
        pid = int(opened.read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    scenario(steps)


@pytest.mark.parametrize("waits", [False, True], ids=["at-once", "later"])
def test_release_does_not_wait_for_the_pulse(waits: bool, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    latch = CommandLatch(["/bin/sleep", "600"], shell('echo > "$1"', locked), 600)
    before = programs()

    async def steps() -> None:
        await latch.open()
        assert len(programs() - before) == 1
        if waits:
            await asyncio.sleep(0.01)
        await latch.release()
        assert not latch.is_open()
        assert locked.exists()
        assert programs() <= before, "it is open still"

    scenario(steps)


@pytest.mark.parametrize(
    ("command", "release", "problem"),
    [
        (shell("exit 3"), [], "failed .status 3"),
        (["/bin/true"], shell("exit 4"), "did not lock .status 4"),
        (["/bin/true"], ["/bin/sleep", "600"], "does not end"),
        (["/bin/true"], ["/nonexistent"], "cannot be started"),
    ],
)
def test_a_program_that_fails_is_not_taken_for_a_lock(command: list[str], release: list[str], problem: str) -> None:
    latch = CommandLatch(command, release, 600)

    async def steps() -> None:
        await latch.open()
        with pytest.raises(LatchError, match=problem):
            await closed(latch)

    scenario(steps)


def test_one_that_cannot_be_started_stays_locked() -> None:
    latch = CommandLatch(["/nonexistent"], [], 1)

    async def steps() -> None:
        with pytest.raises(LatchError, match="cannot be started"):
            await latch.open()
        assert not latch.is_open()

    scenario(steps)


def test_no_shell_and_no_environment_come_into_it(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = "import os, sys; print(sys.argv[2:], dict(os.environ).get('HOME'), file=open(sys.argv[1], 'w'))"
    latch = CommandLatch([sys.executable, "-I", "-c", code, str(seen), "$(id); *"], [], 60)

    async def steps() -> None:
        await latch.open()
        await closed(latch)

    scenario(steps)
    assert seen.read_text() == "['$(id); *'] None\n"
