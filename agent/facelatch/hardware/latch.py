# SPDX-License-Identifier: Apache-2.0
"""What holds the door: opened in pulses, each of which ends without us."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from facelatch.errors import LatchError
from facelatch.hardware.led import Led, reason

RELEASE_SECONDS = 2.0
"""For a program that locks: it has no door to wait for."""

_REMEDY = "check the overlay, the udev rule and the config"


class Latch(Protocol):
    """A lock that opens for the length of a pulse."""

    @property
    def name(self) -> str:
        """What a person would call it, for messages."""

    def prepare(self) -> None:
        """Get it ready, still locked.

        Raises:
            LatchError: it could not be opened as things are.
        """

    async def open(self) -> None:
        """Begin a pulse, and return at once.

        Raises:
            LatchError: it stays locked.
        """

    def is_open(self) -> bool:
        """Tell whether it is open, as far as the system knows; no sensor at the door is asked.

        Raises:
            LatchError: that cannot be told.
        """

    async def release(self) -> None:
        """Lock it now.

        Raises:
            LatchError: it may still be open.
        """


class LedLatch:
    """A strike driven as an LED: the oneshot trigger ends the pulse in the kernel, whatever becomes of us.

    A lock that current locks is inverted in the overlay (``active_low``), never by the trigger's ``invert``: unlit is
    locked, always.

    Args:
        led: its name under ``/sys/class/leds``, or the directory of a stand-in.
        pulse: seconds of a pulse.
        gap: seconds after it in which the kernel takes no other; more than zero.
    """

    def __init__(self, led: str, pulse: float, gap: float) -> None:
        self.name = f"LED {led}"
        self._led = Led(led)
        self._settings = {"invert": "0", "delay_on": f"{pulse * 1000:.0f}", "delay_off": f"{gap * 1000:.0f}"}

    def prepare(self) -> None:
        """Choose the trigger and the length of its pulse, and read both back.

        Raises:
            LatchError: the LED is missing, not ours to write, lit, or does not take them.
        """
        try:
            self._led.choose("oneshot")
            for attribute, value in self._settings.items():
                if self._led.read(attribute) != value:
                    self._led.write(attribute, value)
                if self._led.read(attribute) != value:
                    raise LatchError(f"{self.name} does not take {attribute}", _REMEDY)
        except OSError as error:
            raise self._fault(error) from error
        if self.is_open():
            raise LatchError(f"{self.name} is open and should not be", "see what else drives it, and release it")

    async def open(self) -> None:
        """Fire a pulse; somebody else may have changed its length, so that is looked at first.

        Raises:
            LatchError: as ``prepare``.
        """
        self.prepare()
        try:
            self._led.write("shot", "1")
        except OSError as error:
            raise self._fault(error) from error

    def is_open(self) -> bool:
        """Tell whether the kernel has it lit.

        Raises:
            LatchError: it does not say.
        """
        try:
            return self._led.read("brightness") != "0"
        except OSError as error:
            raise self._fault(error) from error

    async def release(self) -> None:
        """Turn it off, if it is on; this takes the trigger away, which ``prepare`` sets again.

        Raises:
            LatchError: it may still be lit.
        """
        if not self.is_open():
            return
        try:
            # Not by ``invert``: the timer of the pulse would go on, and light it once more.
            self._led.write("brightness", "0")
        except OSError as error:
            raise self._fault(error) from error

    def _fault(self, error: OSError) -> LatchError:
        return LatchError(f"latch {self.name} cannot be used ({reason(error)})", _REMEDY)


class CommandLatch:
    """Anything that a program can open. It opens for as long as it runs and is ended after the pulse at the latest.

    Should the agent die, systemd ends the program with it; what holds beyond that is for ``release``.

    Args:
        command: the program, by its absolute path, and its arguments; no shell is asked.
        release: locks; run after each pulse, if there is one.
        pulse: seconds.
    """

    def __init__(self, command: Sequence[str], release: Sequence[str], pulse: float) -> None:
        self.name = command[0]
        self._command = command
        self._release = release
        self._pulse = pulse
        self._open = False
        self._fault: LatchError | None = None
        self._running: asyncio.subprocess.Process | None = None
        self._ending: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Do nothing: whether a program is of use shows when it runs."""

    async def open(self) -> None:
        """Start the program.

        Raises:
            LatchError: it cannot be started.
        """
        self._running = running = await _start(self._command)
        self._open, self._fault = True, None
        self._ending = asyncio.create_task(self._end(running))

    def is_open(self) -> bool:
        """Tell whether the program runs, or has ended and what locks has not.

        Raises:
            LatchError: the program, or the one that locks, has failed.
        """
        if self._fault is not None:
            raise self._fault
        return self._open

    async def release(self) -> None:
        """End the program, and run the one that locks.

        Raises:
            LatchError: that one fails, or does not end.
        """
        if self._ending is not None and self._running is not None:
            self._ending.cancel()
            await asyncio.wait([self._ending])
            # Cancelled before its first step, the task has ended nothing.
            await _killed(self._running)
        await self._lock()
        self._open = False

    async def _end(self, running: asyncio.subprocess.Process) -> None:
        try:
            await asyncio.wait_for(running.wait(), self._pulse)
            if running.returncode != 0:
                self._fault = LatchError(f"{self.name} failed (status {running.returncode})", "see why it does")
        except TimeoutError:
            pass  # it was to be open for as long as that
        finally:
            await _killed(running)
        try:
            await self._lock()
            self._open = False
        except LatchError as error:
            self._fault = error

    async def _lock(self) -> None:
        if not self._release:
            return
        locking = await _start(self._release)
        try:
            await asyncio.wait_for(locking.wait(), RELEASE_SECONDS)
        except TimeoutError:
            raise LatchError(f"{self._release[0]} does not end", "see why it hangs") from None
        finally:
            await _killed(locking)
        if locking.returncode != 0:
            raise LatchError(f"{self._release[0]} did not lock (status {locking.returncode})", "see why it fails")


async def _start(command: Sequence[str]) -> asyncio.subprocess.Process:
    null = asyncio.subprocess.DEVNULL
    try:
        return await asyncio.create_subprocess_exec(*command, stdin=null, stdout=null, stderr=null, env={}, cwd="/")
    except OSError as error:
        raise LatchError(f"{command[0]} cannot be started ({error.strerror})", "check the latch's command") from error


async def _killed(running: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        running.kill()
    await running.wait()
