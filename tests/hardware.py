# SPDX-License-Identifier: Apache-2.0
"""The shipped stand-ins for button, indicator and latch, with a finger on the button and an eye on the rest."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from facelatch.hardware import standin
from facelatch.hardware.indicator import DARK, REFUSED, Pattern
from tests.agent import Agent, eventually


class Bench:
    """What hangs on one agent's pins. The latch is played by a process of its own, as the kernel is one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.button = folder / "button"
        self.indicator = folder / "indicator"
        self.latch = folder / "latch"
        self.kernel: subprocess.Popen[bytes] | None = None
        self._heard = folder / "heard"
        self._now = 1000.0

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Have the kernel's part played."""
        with self._heard.open("w") as heard:
            command = [sys.executable, "-m", "facelatch.hardware.standin", "make", str(self.folder)]
            with subprocess.Popen(command, stdout=heard) as process:  # noqa: S603 - this checkout's own program
                self.kernel = process
                try:
                    wait(lambda: "made" in self._heard.read_text())
                    yield
                finally:
                    process.kill()

    def touch(self, held: float = 0.2) -> None:
        """Press and release, as the kernel would report it after that time; no time passes."""
        self._now += 1.0
        with self.button.open("wb", buffering=0) as pipe:
            pipe.write(standin.event(self._now, True) + standin.event(self._now + held, False))
        self._now += held

    @property
    def pulses(self) -> list[str]:
        """What the latch has done: "open", "closed", and so on."""
        return [line.removeprefix("latch ") for line in self._heard.read_text().splitlines() if "latch" in line]

    def pulsed(self, times: int = 1) -> None:
        """Wait until the latch has opened and closed so often, and see that it has done nothing else."""
        # The agent may see it closed, and say so, before the line that says so here is written.
        wait(lambda: len(self.pulses) >= 2 * times)
        assert self.pulses == ["open", "closed"] * times

    @property
    def is_open(self) -> bool:
        return (self.latch / "brightness").read_text().strip() != "0"

    @property
    def pattern(self) -> Pattern:
        """What the indicator shows."""
        return Pattern(*(int((self.indicator / name).read_text() or 0) for name in ("delay_on", "delay_off")))

    def touch_until(self, pattern: Pattern) -> None:
        """Press now and then until the indicator shows that."""

        def shown() -> bool:
            if self.pattern in (DARK, REFUSED):
                self.touch()
            return self.pattern == pattern

        wait(shown)

    def shows(self, pattern: Pattern) -> None:
        """Wait until the indicator shows that."""
        wait(lambda: self.pattern == pattern)


@contextmanager
def wired(agent: Agent, *, latch: bool = True, **button: object) -> Iterator[Bench]:
    """Wire stand-ins to an agent that is not started yet."""
    bench = Bench(agent.root / "pins")
    bench.folder.mkdir()
    agent.configure("button", device=str(bench.button), **button)
    agent.configure("indicator", led=str(bench.indicator))
    if latch:
        agent.configure("latch", backend="led", led=str(bench.latch), pulse=0.2, gap=0.1, test=True)
    with bench.playing():
        yield bench


def told(agent: Agent, event: str, times: int = 1) -> None:
    """Wait until the agent has written that event down so often."""
    wait(lambda: agent.log.count(f" {event} user=") >= times)


def wait(holds: Callable[[], bool]) -> None:
    """Wait until something holds that must come to hold."""
    asyncio.run(eventually(holds))
