# SPDX-License-Identifier: Apache-2.0
"""The client against the server, and against what a client may meet."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncvarlink import FileDescriptor
from asyncvarlink.serviceinterface import MethodNotImplemented

from facelatch.errors import AgentUnreachableError
from facelatch.ipc.client import connect
from facelatch.ipc.interface import AgentInterface, NotEnrolled, Progress, StatusInterface, User
from facelatch.ipc.words import MonitorEvent, ProgressResult, VerifyResult
from tests.ipc_peers import Deeds, memory, open_descriptors, run, serving, until


def test_a_stream_has_typed_replies(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connect(AgentInterface, path) as agent:
            replies = [reply async for reply in agent.Verify(user="anna")]
            assert replies[:-1] == [
                {"progress": Progress(ProgressResult.verify_look)},
                {"progress": Progress(ProgressResult.verify_retry_no_face)},
            ]
            assert replies[-1].get("result") is VerifyResult.verify_match

    run(scenario())


def test_calls_have_typed_replies_one_after_the_other(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connect(AgentInterface, path) as agent:
            for _ in range(3):
                reply = await agent.ListUsers()
                assert reply["users"] == [User("anna", administrator=True, enrolled_usec=1, public_key="")]
            await agent.ResetLockout()

    run(scenario())


def test_errors_are_those_of_the_interface_and_the_connection_lives_on(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()), connect(AgentInterface, path) as agent:
            with pytest.raises(NotEnrolled) as refused:
                await agent.RemoveUser(user="otto")
            assert refused.value.parameters == {"user": "otto"}
            with pytest.raises(NotEnrolled):
                [reply async for reply in agent.Verify(user="stranger")]
            with pytest.raises(MethodNotImplemented):
                await agent.Rekey()
            assert (await agent.ListUsers())["users"]

    run(scenario())


def test_leaving_a_stream_cancels_it(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds), connect(AgentInterface, path) as agent:
            async for _ in agent.Verify(user="endless"):
                await deeds.started.wait()
                break
            await deeds.cancelled.wait()
            with pytest.raises(AgentUnreachableError, match="hung up during ListUsers"):
                await agent.ListUsers()

    run(scenario())


def test_a_cancelled_call_is_cancelled_in_the_agent(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds), connect(AgentInterface, path) as agent:
            call = asyncio.ensure_future(agent.RemoveUser(user="endless"))
            await deeds.started.wait()
            call.cancel()
            await deeds.cancelled.wait()

    run(scenario())


def test_monitoring_goes_on_until_one_leaves(path: Path) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds()) as server:
            async with connect(StatusInterface, path) as status:
                events = status.Monitor()
                for moment in range(3):
                    event = await anext(events)
                    assert event["time_usec"] == moment
                    assert event["event"] is MonitorEvent.verify_match
            await until(lambda: not server.connections)

    run(scenario())


def test_a_secret_goes_there_and_back_by_descriptor(path: Path) -> None:
    deeds = Deeds()
    before = open_descriptors()

    async def scenario() -> None:
        async with serving(path, deeds), connect(AgentInterface, path) as agent:
            secret = memory(b"open sesame")
            await agent.Seal(user="anna", name="disk", secret_fd=FileDescriptor(secret))
            os.close(secret)
            assert deeds.secret == b"open sesame"
            async for reply in agent.Unseal(user="anna", name="disk"):
                if (returned := reply.get("secret_fd")) is not None:
                    with returned:
                        assert os.pread(returned.fileno(), 100, 0) == b"open sesame"

    run(scenario())
    assert open_descriptors() == before


def test_the_agent_stopping_is_a_clear_error(path: Path) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds) as server, connect(AgentInterface, path) as agent:
            call = asyncio.ensure_future(agent.RemoveUser(user="endless"))
            await deeds.started.wait()
            await server.close()
            with pytest.raises(AgentUnreachableError, match="hung up during RemoveUser"):
                await call
            with pytest.raises(AgentUnreachableError, match="hung up during ListUsers"):
                await agent.ListUsers()

    run(scenario())


def unreachable(path: Path, timeout: float = 5.0) -> str:
    async def scenario() -> None:
        async with connect(AgentInterface, path, timeout=timeout):
            pass

    with pytest.raises(AgentUnreachableError) as error:
        run(scenario())
    assert error.value.remedy
    return str(error.value)


def test_no_socket_is_a_clear_error(path: Path) -> None:
    assert f"there is no socket at {path}: start the agent" in unreachable(path)
    assert "there is no socket" in unreachable(path / "below" / "agent.sock")


def test_a_dead_socket_is_a_clear_error(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert f"no agent answers on {path}" in unreachable(path)


def test_a_file_in_its_place_is_a_clear_error(path: Path) -> None:
    path.touch()
    assert f"no agent answers on {path}" in unreachable(path)


def test_a_path_too_long_is_a_clear_error(path: Path) -> None:
    assert "too long" in unreachable(path.with_name("x" * 200))


def test_a_full_queue_is_waited_for_and_then_a_clear_error(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        assert "takes no connection" in unreachable(path, timeout=0.01)


def test_a_forbidden_socket_is_a_clear_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may connect anywhere, so the kernel's answer is played."""

    class ForbiddenSocket(socket.socket):
        def connect(self, _: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", ForbiddenSocket)
    assert f"you may not connect to {path}" in unreachable(path)


@asynccontextmanager
async def answering(path: Path, reply: bytes) -> AsyncIterator[None]:
    """An agent that says the same to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        writer.write(reply)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield
        server.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"what?\0",
        b"[]\0",
        b'{"error": 1}\0',
        b'{"error": "unqualified"}\0',
        b'{"parameters": {"users": 1}}\0',
        b'{"parameters": {}}\0',
        b'{"error": "io.facelatch.Agent.NotEnrolled", "parameters": {"users": 1}}\0',
    ],
)
def test_an_answer_that_is_none_is_a_clear_error(path: Path, reply: bytes) -> None:
    async def scenario() -> None:
        async with answering(path, reply), connect(AgentInterface, path) as agent:
            with pytest.raises(AgentUnreachableError, match="not understood"):
                await agent.ListUsers()

    run(scenario())


def test_an_endless_answer_is_cut_off(path: Path) -> None:
    async def scenario() -> None:
        async with answering(path, b" " * 100_000), connect(AgentInterface, path) as agent:
            with pytest.raises(AgentUnreachableError, match="hung up"):
                await agent.ListUsers()

    run(scenario())


def test_the_socket_is_for_everybody(path: Path) -> None:
    async def scenario() -> int:
        async with serving(path, Deeds()):
            return stat.S_IMODE(path.lstat().st_mode)

    assert run(scenario()) == 0o666
