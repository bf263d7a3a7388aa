# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, ARG002 - the methods have the names and parameters of the wire
"""An agent that does as it is told, and peers of every kind, over real Unix sockets."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from asyncvarlink import FileDescriptor, FileDescriptorArray, VarlinkInterface

from facelatch.ipc import server as server_module
from facelatch.ipc.interface import (
    AgentInterface,
    EnrollReply,
    ListUsersReply,
    MonitorReply,
    NotEnrolled,
    Progress,
    StatusInterface,
    UnsealReply,
    User,
    VerifyReply,
)
from facelatch.ipc.limits import Limits
from facelatch.ipc.peer import Peer
from facelatch.ipc.server import Connection, Server
from facelatch.ipc.words import EnrollMode, EnrollResult, MonitorEvent, ProgressResult, VerifyResult

_T = TypeVar("_T")

AGENT = "io.facelatch.Agent"

# An upper guard only: nothing here waits for a clock that long unless it hangs.
GUARD_SECONDS = 120.0
# Limits that are met at once, and never.
AT_ONCE = 0.01
NEVER = 3600.0

LOOK = Progress(result=ProgressResult.verify_look)
PRIVATE = "what the log must not hold"


class Deeds:
    """What the agent did, for all its peers."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.calls = 0
        self.yielded = 0
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()
        self.closed = asyncio.Event()
        self.modes: list[EnrollMode | None] = []
        self.secret = b""

    async def hang(self) -> None:
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class FakeAgent(AgentInterface):
    """Implements some of the agent's methods; the user's name says how."""

    def __init__(self, deeds: Deeds, peer: Peer) -> None:
        self._deeds = deeds
        self._peer = peer

    async def Verify(
        self,
        *,
        user: str | None = None,
        challenge: str | None = None,
        audience: str | None = None,
        open_latch: bool | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncIterator[VerifyReply]:
        self._deeds.calls += 1
        try:
            if user == "stranger":
                raise NotEnrolled(user=user)
            if user == "endless":
                yield {"progress": LOOK}
                await self._deeds.hang()
            while user == "talkative":
                self._deeds.yielded += 1
                yield {"progress": LOOK}
            if user == "broken":
                raise ValueError(PRIVATE)
            yield {"progress": LOOK}
            yield {"progress": Progress(ProgressResult.verify_retry_no_face)}
            if user != "unfinished":
                yield {"result": VerifyResult.verify_match, "user": user}
        finally:
            await asyncio.sleep(0)  # tidying up takes a turn
            self._deeds.closed.set()
            if user == "untidy":
                raise NotEnrolled(user=user)

    async def Enroll(
        self,
        *,
        user: str,
        administrator: bool | None = None,
        mode: EnrollMode | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncIterator[EnrollReply]:
        self._deeds.modes.append(mode)
        yield {"result": EnrollResult.enroll_completed}

    async def ListUsers(self) -> ListUsersReply:
        self._deeds.calls += 1
        return {"users": [User("anna", administrator=True, enrolled_usec=1, public_key="")]}

    async def RemoveUser(self, *, user: str) -> None:
        match user:
            case "broken":
                raise ValueError(PRIVATE)
            case "cancelled":
                raise asyncio.CancelledError
            case "endless":
                await self._deeds.hang()
            case _:
                raise NotEnrolled(user=user)

    async def ResetLockout(self, *, user: str | None = None) -> None:
        self._deeds.calls += 1

    async def Seal(self, *, user: str, name: str, secret_fd: FileDescriptor) -> None:
        self._deeds.secret = os.pread(secret_fd.fileno(), 4096, 0)

    async def Unseal(self, *, user: str, name: str, timeout_ms: int | None = None) -> AsyncIterator[UnsealReply]:
        yield {"progress": LOOK}
        yield {
            "result": VerifyResult.verify_match,
            "secret_fd": FileDescriptor(memory(self._deeds.secret), should_close=True),
        }


class FakeStatus(StatusInterface):
    """Has something to report, but no status."""

    async def Monitor(self) -> AsyncIterator[MonitorReply]:
        for moment in range(3):
            yield {"time_usec": moment, "event": MonitorEvent.verify_match, "user": None}
        await asyncio.Event().wait()


def memory(content: bytes) -> int:
    """A file in memory; the caller closes it."""
    descriptor = os.memfd_create("facelatch-test")
    os.write(descriptor, content)
    return descriptor


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, and nothing opened for each of them


def run(scenario: Coroutine[Any, Any, _T]) -> _T:
    """Run a scenario; whatever the event loop would only have logged fails the test."""
    mishaps: list[dict[str, Any]] = []

    async def guarded() -> _T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
        return await asyncio.wait_for(scenario, GUARD_SECONDS)

    result = asyncio.run(guarded())
    assert mishaps == []
    return result


async def turns(count: int = 200) -> None:
    """Let everybody who is ready have ``count`` turns."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(path: Path, deeds: Deeds, limits: Limits | None = None) -> AsyncIterator[Server]:
    def interfaces(peer: Peer) -> Sequence[VarlinkInterface]:
        deeds.peers.append(peer)
        return FakeAgent(deeds, peer), FakeStatus()

    server = Server(interfaces, limits or Limits())
    server.listen(path)
    try:
        yield server
    finally:
        await server.close()


class RawPeer:
    """A peer that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> dict[str, Any]:
        reply = json.loads((await self.reader.readuntil(b"\0"))[:-1])
        assert isinstance(reply, dict)
        return reply

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        await self.send(request(method, **parameters))
        return await self.receive()

    async def is_hung_up_on(self) -> bool:
        """Wait for the end of the connection, and say whether it came before any reply."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[RawPeer]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await writer.wait_closed()


def request(method: str, *flags: str, **parameters: object) -> bytes:
    message = {"method": method, "parameters": parameters, **dict.fromkeys(flags, True)}
    return json.dumps(message).encode() + b"\0"


LIST = request(f"{AGENT}.ListUsers")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def assert_served(path: Path) -> None:
    async with connected(path) as peer:
        await peer.send(LIST)
        assert "users" in (await peer.receive())["parameters"]


@contextmanager
def everybody_is(monkeypatch: pytest.MonkeyPatch, uids: list[int]) -> Iterator[None]:
    """Let the peers that connect have these user ids, in this order."""
    coming = iter(uids)

    class ScriptedPeer:
        @staticmethod
        def of(_: socket.socket) -> Peer:
            return Peer(pid=1, uid=next(coming), gid=0, groups=frozenset())

    with monkeypatch.context() as patch:
        patch.setattr(server_module, "Peer", ScriptedPeer)
        yield


def count_pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the size of each piece that servers read from now on."""
    pieces: list[int] = []
    take = Connection.message_received

    def counted(self: Connection, data: bytes, fds: FileDescriptorArray | None) -> None:
        pieces.append(len(data))
        take(self, data, fds)

    monkeypatch.setattr(Connection, "message_received", counted)
    return pieces
