# SPDX-License-Identifier: Apache-2.0
"""What comes from outside while the agent runs: requests on the socket, events from the button."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import socket
from contextlib import aclosing
from functools import lru_cache

from facelatch.hardware import standin
from facelatch.hardware.button import BOUNCE_SECONDS, EVENT, Contact, EvdevButton, Pressed, Released
from facelatch.ipc.server import Server
from facelatch.l2fe.extractor import Extractor
from tests.fuzz.target import Target, require, scratch
from tests.in_process import CHEAP, STRANGER, House, VirtualClock

_AGENT, _STATUS = "io.facelatch.Agent", "io.facelatch.Status"
# Nothing is asked by that name, so the answer to it ends a conversation.
_END = b'{"method":"io.facelatch.Status.End"}'
_ENDED = b"MethodNotFound"


class _Alarm(logging.Handler):
    """Makes what the agent would log as its own fault a finding."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


class _Door:
    """One agent whose camera is unplugged, and its server, for all conversations of this process."""

    def __init__(self) -> None:
        self.loop = _loop()
        self.alarm = _Alarm()
        logging.getLogger().addHandler(self.alarm)
        self.loop.set_exception_handler(lambda _, context: self.alarm.said.append(str(context)))
        house = House(scratch(), [], VirtualClock(), Extractor(CHEAP))
        house.camera.unplugged = True
        self.server: Server = house.server(watcher=STRANGER)  # who may not monitor, which has no end
        self.house = house

    async def converse(self, data: bytes) -> bytes:
        """Say something, hear all that is answered, and hang up."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        theirs.setblocking(False)
        ours.setblocking(False)
        with ours:
            self.server._admit(theirs)  # what its listener does
            (connection,) = self.server.connections
            heard = await self._hear(ours, data + (b"" if data.endswith(b"\0") else b"\0") + _END + b"\0")
        await connection.finished()
        await asyncio.sleep(0)  # the server's watcher takes its turn
        require(not self.server.connections, "a connection stays")
        require(not self.house.agent.worker.busy and not self.house.camera.is_open, "the camera stays open")
        return heard

    async def _hear(self, ours: socket.socket, said: bytes) -> bytes:
        heard = b""
        try:
            await self.loop.sock_sendall(ours, said)
            while more := await self.loop.sock_recv(ours, 1 << 16):
                heard += more
                if _ENDED in heard and b'"End"' in heard:
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass  # hung up on, which is an answer
        return heard


@lru_cache(maxsize=1)
def _door() -> _Door:
    return _Door()


def _varlink(data: bytes) -> None:
    door = _door()
    heard = door.loop.run_until_complete(door.converse(data))
    said, door.alarm.said = door.alarm.said, []
    require(not said, f"the agent says {said}")
    require(b"InternalError" not in heard, "an internal error")
    answers = heard.split(b"\0")
    require(answers.pop() == b"", "an answer without its end")
    for answer in answers:
        require(isinstance(json.loads(answer), dict), "an answer that is none")
    require(len(answers) <= data.count(b"\0") + 2 or b'"more"' in data, "more answers than requests")


def _evdev(data: bytes) -> None:
    down = False
    for touch in _loop().run_until_complete(_touches(data)):
        if isinstance(touch, Released):
            require(down, "released before it was pressed")
            require(BOUNCE_SECONDS <= touch.held < math.inf, "held for no time")
        down = isinstance(touch, Pressed)


async def _touches(data: bytes) -> list[Pressed | Released]:
    """Have the button's driver say that, and go."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(writer, data)
    finally:
        os.close(writer)
    contact, touches = Contact(), []
    try:
        async with aclosing(EvdevButton(scratch())._events(reader)) as events:
            async for event in events:
                touch = contact.event(*event)
                if touch is not None:
                    touches.append(touch)
    finally:
        os.close(reader)
    return touches


def _requests() -> list[bytes]:
    asked: list[tuple[str, dict[str, object]]] = [
        (f"{_AGENT}.Verify", {"challenge": "AAAAAAAAAAAAAAAAAAAAAA==", "audience": "door", "timeout_ms": 100}),
        (f"{_AGENT}.Verify", {"user": "anna", "open_latch": True}),
        (f"{_AGENT}.Enroll", {"user": "anna", "administrator": False, "mode": "new", "timeout_ms": 1}),
        (f"{_AGENT}.Enroll", {"user": "anna", "mode": "replace"}),
        (f"{_AGENT}.Seal", {"user": "anna", "name": "luks", "secret_fd": 0}),
        (f"{_AGENT}.Unseal", {"user": "anna", "name": "luks"}),
        (f"{_AGENT}.ForgetSecret", {"user": "anna", "name": "luks"}),
        (f"{_AGENT}.RemoveUser", {"user": "anna"}),
        (f"{_AGENT}.ResetLockout", {"user": None}),
        (f"{_AGENT}.ListUsers", {}),
        (f"{_AGENT}.Rekey", {}),
        (f"{_AGENT}.Cancel", {}),
        (f"{_STATUS}.GetStatus", {}),
        (f"{_STATUS}.Monitor", {}),
        ("org.varlink.service.GetInfo", {}),
        ("org.varlink.service.GetInterfaceDescription", {"interface": _AGENT}),
    ]
    plain = [json.dumps({"method": method, "parameters": given}).encode() for method, given in asked]
    flags = [json.dumps({"method": asked[0][0], "parameters": {}, flag: True}).encode() for flag in _FLAGS]
    return [*plain, *flags, plain[0] + b"\0" + plain[9], b"[" * 2000, b'{"method":1}']


_FLAGS = ("more", "oneway", "upgrade")


def _presses() -> list[bytes]:
    down, up = standin.event(1.0, True), standin.event(1.2, False)
    dropped = EVENT.pack(1, 0, 0, 3, 0)
    return [down + up, down + dropped + up, down + up[:-3], up + down, down + standin.event(1.001, False) + up]


TARGETS = (
    Target(
        "varlink",
        "ipc",
        _varlink,
        (),
        _requests,
        (
            *(
                f'"{word}":'.encode()
                for word in ("method", "parameters", *_FLAGS, "user", "name", "mode", "timeout_ms")
            ),
            *(f'"{_AGENT}.{name}"'.encode() for name in ("Verify", "Enroll", "Unseal", "RemoveUser", "ResetLockout")),
            b'"secret_fd":',
            b'"\\ud800"',
            b"1e400",
            b"true",
            b"null",
        ),
        2048,
        b"\0",
    ),
    Target("evdev", "hardware.button", _evdev, (), _presses, max_bytes=EVENT.size * 12),
)
