# SPDX-License-Identifier: Apache-2.0
"""A push button, as the kernel's gpio-keys driver reports it: an event device, or a pipe with the same bytes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facelatch.errors import ButtonError
from facelatch.hardware.led import reason

# linux/input.h: struct input_event (two longs of time, type, code, value), and two of its types.
EVENT = struct.Struct("@llHHi")
EV_SYN, EV_KEY = 0, 1
_SYN_DROPPED = 3
_UP, _DOWN = 0, 1
# Times of events by the clock that nobody sets: _IOW('E', 0xa0, int).
_EVIOCSCLOCKID = 0x400445A0
_CLOCK_MONOTONIC = 1
# The driver has let a contact settle for 5 ms already; a finger is never as quick as this.
BOUNCE_SECONDS = 0.03
# A button that was pulled out is looked for again this often.
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pressed:
    """It went down."""


@dataclass(frozen=True, slots=True)
class Released:
    """It came up again, after so many seconds by the kernel's clock."""

    held: float


Touch = Pressed | Released


class Button(Protocol):
    """A button."""

    fault: ButtonError | None
    """Why it cannot be read, as of now."""

    @property
    def name(self) -> str:
        """What a person would call it, for messages."""

    def touches(self) -> AsyncGenerator[Touch]:
        """Give presses and releases as they happen, for ever; a button that is gone is waited for."""


class Contact:
    """Turns the driver's events into touches, without bounces and without what was lost."""

    def __init__(self) -> None:
        self._down: float | None = None
        self._up = float("-inf")

    def event(self, time: float, kind: int, code: int, value: int) -> Touch | None:
        """Take one event of the driver's; ``time`` in seconds."""
        if kind == EV_SYN and code == _SYN_DROPPED:
            self._down = None  # a release may be among what was lost: better no touch than a wrong one
        elif kind == EV_KEY and value == _DOWN and time - self._up >= BOUNCE_SECONDS:
            self._down = time
            return Pressed()
        elif kind == EV_KEY and value == _UP and self._down is not None and time - self._down >= BOUNCE_SECONDS:
            held, self._down, self._up = time - self._down, None, time
            return Released(held)
        return None


class EvdevButton:
    """A button behind an event device.

    Args:
        path: the device; looked up anew each time it is opened.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.fault: ButtonError | None = None
        self._path = path

    async def touches(self) -> AsyncGenerator[Touch]:
        """Read the device for as long as it is there, and then wait until it is there again."""
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                self._failed(error)
            else:
                self.fault = None
                try:
                    with suppress(OSError):  # a pipe has no clock
                        fcntl.ioctl(descriptor, _EVIOCSCLOCKID, struct.pack("i", _CLOCK_MONOTONIC))
                    contact = Contact()
                    async with aclosing(self._events(descriptor)) as events:
                        async for event in events:
                            touch = contact.event(*event)
                            if touch is not None:
                                yield touch
                finally:
                    os.close(descriptor)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _events(self, descriptor: int) -> AsyncGenerator[tuple[float, int, int, int]]:
        """Give time, type, code and value of each event until the device is gone."""
        data = b""
        while True:
            await _readable(descriptor)
            try:
                more = os.read(descriptor, EVENT.size * 64)
            except BlockingIOError:
                continue
            except OSError as error:
                self._failed(error)
                return
            if not more:
                return  # whoever held the pipe's other end has let go
            data += more
            whole = len(data) - len(data) % EVENT.size
            for event in _parse(data[:whole]):
                yield event
            data = data[whole:]

    def _failed(self, error: OSError) -> None:
        remedy = "check the overlay, the cable and the udev rule; it is looked for again"
        self.fault = ButtonError(f"button {self.name} cannot be read ({reason(error)})", remedy)


def _parse(data: bytes) -> Iterator[tuple[float, int, int, int]]:
    for seconds, microseconds, kind, code, value in EVENT.iter_unpack(data):
        yield seconds + microseconds / 1e6, kind, code, value


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
