# SPDX-License-Identifier: Apache-2.0
"""Requests and their answers, as they look on the wire."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from pathlib import Path

import pytest

from facelatch import __version__
from facelatch.ipc.interface import AgentInterface, StatusInterface
from facelatch.ipc.listener import AgentRunningError
from facelatch.ipc.words import EnrollMode
from tests.ipc_peers import (
    AGENT,
    PRIVATE,
    Deeds,
    connected,
    memory,
    open_descriptors,
    request,
    run,
    serving,
    turns,
    until,
)

LOOK = {"progress": {"result": "verify_look", "remaining": None}}
RETRY = {"progress": {"result": "verify_retry_no_face", "remaining": None}}
MATCH = {"result": "verify_match", "user": "anna"}
STATUS = "io.facelatch.Status"
INTERNAL = {"error": "io.facelatch.InternalError"}


def answer(path: Path, message: bytes) -> dict[str, object]:
    """The first answer to a message; there must be no fault that the event loop would only log."""

    async def scenario() -> dict[str, object]:
        async with serving(path, Deeds()), connected(path) as peer:
            await peer.send(message)
            return await peer.receive()

    return run(scenario())


def test_the_service_describes_itself(path: Path) -> None:
    info = answer(path, request("org.varlink.service.GetInfo"))["parameters"]
    assert info == {
        "vendor": "Facelatch",
        "product": "facelatch",
        "version": __version__,
        "url": "",
        "interfaces": [AGENT, STATUS, "org.varlink.service"],
    }
    described = request("org.varlink.service.GetInterfaceDescription", interface=AGENT)
    assert answer(path, described)["parameters"] == {"description": AgentInterface.render_interface_description()}
    described = request("org.varlink.service.GetInterfaceDescription", interface=STATUS)
    assert answer(path, described)["parameters"] == {"description": StatusInterface.render_interface_description()}


def test_the_implementation_sees_who_asks(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds), connected(path) as peer:
            await peer.ask(f"{AGENT}.ListUsers")

    run(scenario())
    assert [(peer.pid, peer.uid, peer.gid) for peer in deeds.peers] == [(os.getpid(), os.geteuid(), os.getegid())]


def test_progress_comes_as_it_is_made_and_the_result_last(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            await peer.send(request(f"{AGENT}.Verify", "more", user="anna"))
            assert await peer.receive() == {"continues": True, "parameters": LOOK}
            assert await peer.receive() == {"continues": True, "parameters": RETRY}
            assert await peer.receive() == {"parameters": MATCH}
            assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]

    run(scenario())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_progress_reply_does_not_wait_for_the_next(path: Path) -> None:
    """Asyncvarlink's own streams hold each reply back until there is another: a hint would come too late."""
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds), connected(path) as peer:
            await peer.send(request(f"{AGENT}.Verify", "more", user="endless"))
            assert await peer.receive() == {"continues": True, "parameters": LOOK}
            await deeds.started.wait()
            assert not deeds.closed.is_set()

    run(scenario())


def test_without_more_there_is_the_result_only(path: Path) -> None:
    assert answer(path, request(f"{AGENT}.Verify", user="anna")) == {"parameters": MATCH}


def test_a_stream_without_a_result_needs_more(path: Path) -> None:
    assert answer(path, request(f"{STATUS}.Monitor")) == {"error": "org.varlink.service.ExpectedMore"}
    first = answer(path, request(f"{STATUS}.Monitor", "more"))
    assert first == {
        "continues": True,
        "parameters": {"time_usec": 0, "event": "verify_match", "user": None},
    }


def test_a_oneway_request_is_run_and_not_answered(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds), connected(path) as peer:
            await peer.send(request(f"{AGENT}.Verify", "oneway", user="anna"))
            await peer.send(request(f"{AGENT}.Verify", "oneway", user="stranger"))
            await peer.send(request(f"{STATUS}.Monitor", "oneway"))
            assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]

    run(scenario())
    assert deeds.calls == 3


def test_words_arrive_as_members(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds), connected(path) as peer:
            await peer.ask(f"{AGENT}.Enroll", user="anna", mode="replace")
            await peer.ask(f"{AGENT}.Enroll", user="anna")
            refused = await peer.ask(f"{AGENT}.Enroll", user="anna", mode="overwrite")
            assert refused["parameters"] == {"parameter": "mode"}

    run(scenario())
    assert deeds.modes == [EnrollMode.replace, None]


@pytest.mark.parametrize(
    ("message", "error", "parameters"),
    [
        (request(f"{AGENT}.Verify", "more", user="stranger"), f"{AGENT}.NotEnrolled", {"user": "stranger"}),
        (request(f"{AGENT}.Verify", user="stranger"), f"{AGENT}.NotEnrolled", {"user": "stranger"}),
        (request(f"{AGENT}.RemoveUser", user="stranger"), f"{AGENT}.NotEnrolled", {"user": "stranger"}),
        (request(f"{AGENT}.Rekey"), "org.varlink.service.MethodNotImplemented", {"method": "Rekey"}),
        (request(f"{STATUS}.GetStatus"), "org.varlink.service.MethodNotImplemented", {"method": "GetStatus"}),
        (request(f"{AGENT}.Dance"), "org.varlink.service.MethodNotFound", {"method": "Dance"}),
        (request("io.example.Dance"), "org.varlink.service.InterfaceNotFound", {"interface": "io.example"}),
        (request(f"{AGENT}.Verify", user=1), "org.varlink.service.InvalidParameter", {"parameter": "user"}),
        (request(f"{AGENT}.Verify", face=""), "org.varlink.service.InvalidParameter", {"parameter": "face"}),
        (request(f"{AGENT}.RemoveUser"), "org.varlink.service.InvalidParameter", {"parameter": "user"}),
        (
            request(f"{AGENT}.Seal", user="anna", name="disk", secret_fd=0),
            "org.varlink.service.InvalidParameter",
            {"parameter": "secret_fd"},
        ),
    ],
)
def test_errors_reach_the_peer(path: Path, message: bytes, error: str, parameters: dict[str, object]) -> None:
    assert answer(path, message) == {"error": error, "parameters": parameters}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (request(f"{AGENT}.RemoveUser", user="broken"), "ValueError"),
        (request(f"{AGENT}.RemoveUser", user="cancelled"), "CancelledError"),
        (request(f"{AGENT}.Verify", user="broken"), "ValueError"),
        (request(f"{AGENT}.Verify", user="unfinished"), "RuntimeError"),
    ],
)
def test_a_fault_is_logged_without_values_and_the_connection_lives_on(
    path: Path, caplog: pytest.LogCaptureFixture, message: bytes, kind: str
) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            await peer.send(message)
            assert await peer.receive() == INTERNAL
            assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    faults = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(faults) == 1
    assert kind in faults[0]
    assert ".py:" in faults[0]
    assert PRIVATE not in caplog.text


def test_an_error_after_the_result_is_logged_and_not_a_second_answer(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            assert (await peer.ask(f"{AGENT}.Verify", user="untidy"))["parameters"]["result"]
            assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]

    run(scenario())
    assert "Verify failed: NotEnrolled" in caplog.text


def test_a_fault_after_progress_ends_the_stream(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            await peer.send(request(f"{AGENT}.Verify", "more", user="unfinished"))
            replies = [await peer.receive() for _ in range(3)]
            assert replies[-1] == INTERNAL

    run(scenario())


def test_requests_sent_ahead_are_answered_in_order(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            await peer.send(request(f"{AGENT}.Verify", user="anna") + request(f"{AGENT}.ListUsers"))
            assert (await peer.receive())["parameters"] == MATCH
            assert "users" in (await peer.receive())["parameters"]

    run(scenario())


def test_a_request_in_single_bytes_is_a_request(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connected(path) as peer:
            for byte in request(f"{AGENT}.ListUsers"):
                await peer.send(bytes([byte]))
                await turns(2)
            assert "users" in (await peer.receive())["parameters"]

    run(scenario())


def test_a_descriptor_comes_with_a_request_longer_than_one_read(path: Path) -> None:
    deeds = Deeds()
    before = open_descriptors()

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with serving(path, deeds):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                secret = memory(b"open sesame")
                message = request(f"{AGENT}.Seal", user="anna", name="n" * 20_000, secret_fd=0)
                socket.send_fds(peer, [message], [secret])
                os.close(secret)
                peer.setblocking(False)
                assert await loop.sock_recv(peer, 100) == b"{}\0"

    run(scenario())
    assert deeds.secret == b"open sesame"
    assert open_descriptors() == before


def test_an_open_peer_does_not_keep_the_agent_from_stopping(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds) as server, connected(path) as peer:
            await peer.send(request(f"{AGENT}.RemoveUser", user="endless"))
            await deeds.started.wait()
            await server.close()
            assert deeds.cancelled.is_set()
            assert await peer.is_hung_up_on()
            assert not path.exists()

    run(scenario())


def test_a_second_agent_does_not_take_the_socket(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()):
            with pytest.raises(AgentRunningError):
                async with serving(path, Deeds()):
                    pass
            async with connected(path) as peer:
                assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]

    run(scenario())


def test_a_socket_from_systemd_is_served(path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    async def scenario() -> None:
        async with serving(path.with_name("other.sock"), Deeds()) as server:
            server.serve(listening)
            async with connected(path) as peer:
                assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]

    run(scenario())


def test_many_requests_leave_nothing_behind(path: Path) -> None:
    before = open_descriptors()

    async def scenario() -> None:
        tasks = asyncio.all_tasks()
        async with serving(path, Deeds()) as server:
            for _ in range(100):
                async with connected(path) as peer:
                    await peer.ask(f"{AGENT}.ListUsers")
            await until(lambda: not server.connections)
            assert asyncio.all_tasks() == tasks

    run(scenario())
    assert open_descriptors() == before
