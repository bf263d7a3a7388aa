# SPDX-License-Identifier: Apache-2.0
"""Peers that mean harm. Most attacks have a control in which, with the defence away, they work."""

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncvarlink import (
    VarlinkInterface,
    VarlinkInterfaceRegistry,
    create_unix_server,
    varlinkmethod,
)

from facelatch.ipc.dispatch import parse_call
from facelatch.ipc.limits import Limits
from facelatch.ipc.wire import MessageError
from tests.ipc_peers import (
    AGENT,
    AT_ONCE,
    LIST,
    NEVER,
    Deeds,
    assert_served,
    connected,
    request,
    run,
    serving,
    turns,
    until,
)

MIB = 1024 * 1024


class PlainInterface(VarlinkInterface, name="io.example.Plain"):
    """What asyncvarlink's own server is tried with."""

    def __init__(self) -> None:
        self.deeds = Deeds()

    @varlinkmethod
    async def Hang(self) -> None:  # noqa: N802 - the name on the wire
        await self.deeds.hang()


@asynccontextmanager
async def plainly_serving(path: Path) -> AsyncIterator[PlainInterface]:
    """Asyncvarlink's own server, as it comes."""
    registry = VarlinkInterfaceRegistry()
    interface = PlainInterface()
    registry.register_interface(interface)
    server = await create_unix_server(registry.protocol_factory, path)
    try:
        yield interface
    finally:
        server.abort_clients()
        server.close()
        await turns()


async def push(path: Path, data: bytes, *, give_up_after: int = 2000) -> int:
    """Send until the other end hangs up, or reads no more; return how much it took."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        peer.setblocking(False)
        sent = blocked = 0
        while sent < len(data) and blocked < give_up_after:
            try:
                sent += peer.send(data[sent : sent + 65536])
                blocked = 0
            except BlockingIOError:
                blocked += 1
            except (BrokenPipeError, ConnectionResetError):
                break
            await asyncio.sleep(0)
        return sent


# Too much


def test_a_message_without_an_end_is_cut_off(path: Path) -> None:
    endless = b"a" * 16 * MIB

    async def scenario() -> int:
        async with serving(path, Deeds()):
            tracemalloc.start()
            taken = await push(path, endless)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 2 * MIB
            await assert_served(path)
            return taken

    assert run(scenario()) < MIB


def test_control_without_the_bound_all_of_it_is_taken(path: Path) -> None:
    async def scenario() -> int:
        async with serving(path, Deeds(), Limits(message_bytes=32 * MIB)):
            return await push(path, b"a" * 4 * MIB)

    assert run(scenario()) == 4 * MIB


def padded(size: int) -> bytes:
    """A good request of so many bytes, without its NUL."""
    return LIST[:-1] + b" " * (size - len(LIST) + 1)


def test_the_bound_is_exact(path: Path) -> None:
    bound = Limits().message_bytes

    async def scenario() -> None:
        async with serving(path, Deeds()):
            async with connected(path) as peer:
                await peer.send(padded(bound) + b"\0")
                assert "users" in (await peer.receive())["parameters"]
            async with connected(path) as peer:
                peer.writer.write(padded(bound + 1) + b"\0")
                assert await peer.is_hung_up_on()

    run(scenario())


def test_requests_sent_ahead_are_bounded(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds), connected(path) as peer:
            peer.writer.write(LIST * 1000)
            assert await peer.is_hung_up_on()
            await assert_served(path)

    run(scenario())
    assert deeds.calls <= Limits().pending_requests + 1


def test_control_with_the_bound_lifted_they_all_run(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds, Limits(pending_requests=1000)), connected(path) as peer:
            peer.writer.write(LIST * 1000)
            await until(lambda: deeds.calls == 1000)

    run(scenario())


def test_as_many_requests_as_allowed_may_be_sent_ahead(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            await peer.send(LIST * Limits().pending_requests)
            for _ in range(Limits().pending_requests):
                assert "users" in (await peer.receive())["parameters"]

    run(scenario())


# Malformed


MALFORMED = {
    "nothing": b"\0",
    "no JSON": b"verify me\0",
    "no object": b"[]\0",
    "no UTF-8": b'{"method": "\xff"}\0',
    "UTF-16": '{"method": "a.b.C"}'.encode("utf-16-le") + b"\0",
    "a number of 10,000 digits": b'{"method": ' + b"9" * 10_000 + b"}\0",
    "no method": b"{}\0",
    "a method that is a number": b'{"method": 1}\0',
    "a method without an interface": b'{"method": "Verify"}\0',
    "contradicting flags": request(f"{AGENT}.ListUsers", "more", "oneway"),
    "nested 60,000 deep": b"[" * 60_000 + b"\0",
    "nested in the parameters": b'{"method": "a.b.C", "parameters": ' + b'{"a":' * 12_000 + b"\0",
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_ends_the_connection(path: Path, message: bytes) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            peer.writer.write(message)
            assert await peer.is_hung_up_on()
            await assert_served(path)

    run(scenario())


def test_nesting_is_harmless_even_where_longer_messages_are_allowed(path: Path) -> None:
    deep = b'{"method": "a.b.C", "parameters": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}\0"

    async def scenario() -> None:
        async with serving(path, Deeds(), Limits(message_bytes=MIB)), connected(path) as peer:
            peer.writer.write(deep)
            assert await peer.is_hung_up_on()
            await assert_served(path)

    run(scenario())


@pytest.mark.parametrize("kind", ["no UTF-8", "a number of 10,000 digits", "nested 60,000 deep"])
def test_control_a_plain_server_leaves_the_peer_hanging(path: Path, kind: str) -> None:
    async def scenario() -> None:
        mishaps: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
        async with plainly_serving(path), connected(path) as peer:
            peer.writer.write(MALFORMED[kind])
            await until(lambda: bool(mishaps))
            reading = asyncio.ensure_future(peer.reader.read(1))
            await turns()
            assert not reading.done()
            reading.cancel()

    run(scenario())


def test_the_names_in_a_request_are_checked_in_linear_time() -> None:
    """They are checked by regular expressions: none may backtrack for long over 64 KiB."""
    hostile: list[Callable[[int], str]] = [
        lambda size: "a" + "-" * size + ".B",
        lambda size: "a-" * (size // 2) + ".B",
        lambda size: "a." * (size // 2) + "!.B",
        lambda size: "a" * size + "!.B",
        lambda size: "a.b" + "-a" * (size // 2) + "-.B",
        lambda size: "a.b." + "B" * size + "!",
    ]
    for name in hostile:
        with pytest.raises(MessageError):
            parse_call(request(name(Limits().message_bytes))[:-1])


# Hanging up


def test_hanging_up_cancels_the_request(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds) as server:
            async with connected(path) as peer:
                await peer.send(request(f"{AGENT}.RemoveUser", user="endless"))
                await deeds.started.wait()
                assert not deeds.cancelled.is_set()
            await deeds.cancelled.wait()
            await until(lambda: not server.connections)

    run(scenario())


def test_hanging_up_cancels_a_stream(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds):
            async with connected(path) as peer:
                await peer.send(request(f"{AGENT}.Verify", "more", user="endless"))
                await deeds.started.wait()
            await deeds.cancelled.wait()
            await deeds.closed.wait()

    run(scenario())


def test_a_peer_that_will_send_no_more_has_hung_up(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds), connected(path) as peer:
            await peer.send(request(f"{AGENT}.RemoveUser", user="endless"))
            await deeds.started.wait()
            peer.writer.write_eof()
            await deeds.cancelled.wait()
            assert await peer.is_hung_up_on()

    run(scenario())


def test_what_was_sent_ahead_is_not_run_after_hanging_up(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds) as server:
            async with connected(path) as peer:
                await peer.send(request(f"{AGENT}.RemoveUser", user="endless") + LIST)
                await deeds.started.wait()
            await until(lambda: not server.connections)

    run(scenario())
    assert deeds.calls == 0


def test_control_a_plain_server_does_not_see_the_hang_up(path: Path) -> None:
    async def scenario() -> None:
        async with plainly_serving(path) as plain:
            async with connected(path) as peer:
                await peer.send(request("io.example.Plain.Hang"))
                await plain.deeds.started.wait()
            await turns()
            assert not plain.deeds.cancelled.is_set()
            plain.deeds.release.set()

    run(scenario())


# Slowness


def test_a_message_that_is_never_finished_is_cut_off(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds(), Limits(message_seconds=AT_ONCE)), connected(path) as peer:
            await peer.send(LIST[:-1])
            assert await peer.is_hung_up_on()

    run(scenario())


def test_another_byte_now_and_then_does_not_help(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds(), Limits(message_seconds=AT_ONCE)), connected(path) as peer:
            ended = asyncio.ensure_future(peer.is_hung_up_on())
            while not ended.done():
                peer.writer.write(b" ")
                await asyncio.sleep(0)
            assert await ended

    run(scenario())


def test_a_peer_that_says_nothing_is_left_alone(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds(), Limits(message_seconds=AT_ONCE)), connected(path) as idle:
            assert "users" in (await idle.ask(f"{AGENT}.ListUsers"))["parameters"]
            async with connected(path) as slow:
                await slow.send(b"{")
                assert await slow.is_hung_up_on()
            assert "users" in (await idle.ask(f"{AGENT}.ListUsers"))["parameters"]

    run(scenario())


def test_control_with_time_enough_an_unfinished_message_is_waited_for(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds(), Limits(message_seconds=NEVER)), connected(path) as peer:
            await peer.send(LIST[:-1])
            await turns()
            await peer.send(b"\0")
            assert "users" in (await peer.receive())["parameters"]

    run(scenario())


def test_a_peer_that_does_not_read_is_cut_off_and_fills_nothing_but_its_buffer(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds, Limits(send_seconds=AT_ONCE)) as server:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                peer.send(request(f"{AGENT}.Verify", "more", user="talkative"))
                await deeds.closed.wait()
                await until(lambda: not server.connections)

    run(scenario())
    assert 0 < deeds.yielded < MIB // len('{"progress":{"result":"verify_look"}}')


def test_control_with_time_enough_it_is_waited_for_and_still_fills_nothing(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds, Limits(send_seconds=NEVER)) as server:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                peer.send(request(f"{AGENT}.Verify", "more", user="talkative"))
                filled = -1
                while filled != deeds.yielded:
                    filled = deeds.yielded
                    await turns()
                assert len(server.connections) == 1
                assert not deeds.closed.is_set()

    run(scenario())
    assert 0 < deeds.yielded < MIB // len('{"progress":{"result":"verify_look"}}')
