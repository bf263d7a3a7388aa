# SPDX-License-Identifier: Apache-2.0
"""Many peers, floods of them, and what they leave lying about."""

import asyncio
import errno
import os
import socket
import threading
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from asyncvarlink import VarlinkInterfaceRegistry

from facelatch.ipc import server as server_module
from facelatch.ipc.limits import Limits
from facelatch.ipc.peer import Peer
from facelatch.ipc.server import Connection
from tests.ipc_peers import (
    AGENT,
    AT_ONCE,
    LIST,
    NEVER,
    Deeds,
    RawPeer,
    assert_served,
    connected,
    count_pieces,
    everybody_is,
    memory,
    open_descriptors,
    request,
    run,
    serving,
    turns,
    until,
)

# Crowding


async def crowd(stack: AsyncExitStack, path: Path, count: int) -> list[RawPeer | None]:
    """Connect so many peers; None stands for one that was refused."""
    peers: list[RawPeer | None] = []
    for _ in range(count):
        peer = await stack.enter_async_context(connected(path))
        try:
            await peer.ask(f"{AGENT}.ListUsers")
            peers.append(peer)
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            peers.append(None)
    return peers


@pytest.mark.parametrize(
    ("uids", "admitted"),
    [
        # One user gets three places.
        ([1000, 1000, 1000, 1000], [True, True, True, False]),
        # Users together leave two of the eight to root, and another user still gets in beside the first.
        ([1000, 1000, 1000, 1001, 1001, 1001, 1002], [True] * 6 + [False]),
        ([1000, 1000, 1000, 1000, 1001], [True, True, True, False, True]),
        # Root gets in whatever the users do, and takes more than three.
        ([1000, 1000, 1000, 1001, 1001, 1001, 0, 0], [True] * 8),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0], [True] * 8 + [False]),
    ],
)
def test_places_are_limited(path: Path, monkeypatch: pytest.MonkeyPatch, uids: list[int], admitted: list[bool]) -> None:
    limits = Limits(connections=8, connections_per_uid=3, connections_kept_for_root=2)

    async def scenario() -> None:
        async with serving(path, Deeds(), limits), AsyncExitStack() as stack:
            peers = await crowd(stack, path, len(uids))
            assert [peer is not None for peer in peers] == admitted
            for peer in peers:
                if peer is not None:
                    assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]

    with everybody_is(monkeypatch, uids):
        run(scenario())


def test_a_place_is_free_again_after_hanging_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(connections_per_uid=1)

    async def scenario() -> None:
        async with serving(path, Deeds(), limits) as server:
            for _ in range(5):
                await until(lambda: not server.connections)
                await assert_served(path)

    with everybody_is(monkeypatch, [1000] * 5):
        run(scenario())


def test_a_refused_peer_leaves_no_descriptor(path: Path) -> None:
    before = open_descriptors()

    async def scenario() -> None:
        async with serving(path, Deeds(), Limits(connections=0)), AsyncExitStack() as stack:
            assert await crowd(stack, path, 20) == [None] * 20

    run(scenario())
    assert open_descriptors() == before


def flood_forever(path: Path, data: bytes, stop: threading.Event, cuts: list[int]) -> None:
    """Connect and send without pause; when hung up on, come back."""
    while not stop.is_set():
        with socket.socket(socket.AF_UNIX) as peer:
            try:
                peer.connect(str(path))
                peer.settimeout(1.0)
                while not stop.is_set():
                    peer.sendall(data)
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                cuts.append(1)
            except (ConnectionRefusedError, FileNotFoundError):
                return


@pytest.mark.parametrize(
    "data", [b"a" * 65536, LIST * 500, b"\0" * 65536, b"[" * 65535 + b"\0"], ids=["endless", "ahead", "empty", "deep"]
)
def test_a_flood_from_another_process_does_not_keep_others_from_being_served(path: Path, data: bytes) -> None:
    stop = threading.Event()
    cuts: list[int] = []

    async def scenario() -> None:
        async with serving(path, Deeds()):
            flooder = threading.Thread(target=flood_forever, args=(path, data, stop, cuts))
            flooder.start()
            try:
                async with connected(path) as peer:
                    while len(cuts) < 20:
                        assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]
                await assert_served(path)
            finally:
                stop.set()
                await asyncio.to_thread(flooder.join)

    run(scenario())


def test_the_turn_of_a_flooding_peer_is_bounded(path: Path) -> None:
    """However much lies ready, another peer has its answer a few turns of the loop later."""

    async def scenario() -> int:
        async with serving(path, Deeds()), AsyncExitStack() as stack:
            for _ in range(10):
                flooder = await stack.enter_async_context(connected(path))
                flooder.writer.write(LIST * 5000)
            peer = await stack.enter_async_context(connected(path))
            peer.writer.write(LIST)
            reply = asyncio.ensure_future(peer.receive())
            waited = 0
            while not reply.done():
                await asyncio.sleep(0)
                waited += 1
            assert "users" in (await reply)["parameters"]
            return waited

    assert run(scenario()) < 50


def test_a_peer_that_was_hung_up_on_is_not_read_byte_by_byte(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = count_pieces(monkeypatch)

    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            peer.writer.write(b"\0" * 65536)
            assert await peer.is_hung_up_on()

    run(scenario())
    assert len(pieces) < 100


class EndlessSocket(socket.socket):
    """Has always more to read, as with a peer that writes faster than we read."""

    reads = 0
    is_shut_down = False

    def recv(self, size: int, _flags: int = 0) -> bytes:
        self.reads += 1
        assert self.reads < 1000, "reads on and on"
        return b"" if self.is_shut_down else b"a" * size

    def recvmsg(self, size: int, *_: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        return self.recv(size), [], 0, None

    def shutdown(self, how: int) -> None:
        self.is_shut_down = True
        super().shutdown(how)


def test_a_peer_that_writes_without_pause_is_not_read_without_end() -> None:
    ours, theirs = socket.socketpair()
    endless = EndlessSocket(fileno=ours.detach())

    async def scenario() -> None:
        connection = Connection(endless, Peer.of(theirs), VarlinkInterfaceRegistry(), Limits(), None)
        theirs.send(b"a")
        await connection.finished()

    with theirs:
        run(scenario())


# Descriptors


async def send_descriptors(path: Path, pieces: list[tuple[bytes, int]]) -> bytes:
    """Send each piece with so many descriptors, and return the first answer, or nothing."""
    loop = asyncio.get_running_loop()
    secret = memory(b"open sesame")
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            peer.setblocking(False)
            try:
                for data, count in pieces:
                    socket.send_fds(peer, [data], [secret] * count)
                    await turns(10)
                return await loop.sock_recv(peer, 1000)
            except (BrokenPipeError, ConnectionResetError):
                return b""
    finally:
        os.close(secret)


SEAL = request(f"{AGENT}.Seal", user="anna", name="disk", secret_fd=0)
SEAL_SECOND = request(f"{AGENT}.Seal", user="anna", name="disk", secret_fd=1)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(SEAL, 1)], b"{}\0"),
        ([(SEAL, 200)], b"{}\0"),
        ([(SEAL_SECOND, 2)], b'"parameter":"secret_fd"'),
        ([(LIST, 100)], b'"users"'),
        ([(SEAL[:10], 1), (SEAL[10:], 1)], b""),
        ([(SEAL[:10], 1), (SEAL[10:20], 0)], None),
        ([(SEAL, 1), (b"junk\0", 1)], b"{}\0"),
        ([(SEAL * 3, 1)], b"{}\0"),
        ([(b"junk\0", 1)], b""),
    ],
)
def test_descriptors_are_bounded_and_closed(
    path: Path, pieces: list[tuple[bytes, int]], expected: bytes | None
) -> None:
    before = open_descriptors()

    async def scenario() -> None:
        # Only a message that never ends is to be cut off for being late: that could come before its next piece.
        limits = Limits(message_seconds=AT_ONCE if expected is None else NEVER)
        async with serving(path, Deeds(), limits) as server:
            reply = await send_descriptors(path, pieces)
            await until(lambda: not server.connections)
        if expected is None or expected == b"":
            assert reply == b""
        else:
            assert expected in reply

    run(scenario())
    assert open_descriptors() == before


def test_descriptors_sent_ahead_are_closed_with_the_connection(path: Path) -> None:
    before = open_descriptors()
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds) as server:
            secret = memory(b"open sesame")
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                peer.send(request(f"{AGENT}.RemoveUser", user="endless"))
                await deeds.started.wait()
                for _ in range(Limits().pending_requests - 1):
                    socket.send_fds(peer, [SEAL], [secret])
                await turns()
            os.close(secret)
            await until(lambda: not server.connections)

    run(scenario())
    assert open_descriptors() == before


# The system runs out


class ExhaustedSocket(socket.socket):
    """Cannot accept, so many times."""

    failures = 3

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "no descriptor left")
        return super().accept()


def test_running_out_of_descriptors_pauses_and_does_not_end_the_service(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "_ACCEPT_PAUSE_SECONDS", 0.0)
    listening = ExhaustedSocket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    async def scenario() -> None:
        async with serving(path.with_name("other.sock"), Deeds()) as server:
            server.serve(listening)
            await assert_served(path)

    run(scenario())
    assert listening.failures == 0
    assert caplog.text.count("no connection can be accepted") == ExhaustedSocket.failures


def test_while_out_of_descriptors_nothing_is_tried(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_ACCEPT_PAUSE_SECONDS", NEVER)
    listening = ExhaustedSocket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    async def scenario() -> None:
        async with serving(path.with_name("other.sock"), Deeds()) as server:
            server.serve(listening)
            async with connected(path):
                await turns()

    run(scenario())
    assert listening.failures == ExhaustedSocket.failures - 1
