# SPDX-License-Identifier: Apache-2.0
"""The cases of fprintd's suite (its tests/fprintd.py), under their names there, with the real agent and real sockets.

To claim fprintd's device is to ask this agent to look; its device is the camera, its prints are the records.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import resource
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from facelatch.ipc.interface import Busy, Cancelled, NotEnrolled, StorageFault
from facelatch.ipc.words import EnrollMode
from tests.agent import NOBODY, Agent, camera, camera_is_free, enrolment, last, scenario
from tests.pictures import anna, nobody, save

Running = Callable[[Agent], AbstractAsyncContextManager[AsyncIterator[Any]]]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
LONG_MS = 120_000


@pytest.fixture
def enrolled(agent_with_anna: Agent) -> Agent:
    """An agent that knows anna and sees her."""
    agent_with_anna.start()
    return agent_with_anna


@asynccontextmanager
async def verification(agent: Agent) -> AsyncIterator[AsyncIterator[Any]]:
    """Be in the middle of an attempt before an empty wall."""
    agent.show("nobody")
    async with agent.connect() as client:
        replies = client.Verify(timeout_ms=LONG_MS)
        assert "progress" in await anext(replies)
        yield replies
    agent.show("anna")


# --- who may -------------------------------------------------------------------------------------------------------


@only_root
def test_unallowed_claim(enrolled: Agent) -> None:
    me = pwd.getpwuid(NOBODY).pw_name
    before = enrolled.records
    assert enrolled.as_nobody("status").returncode == 0
    for command, action in (
        (("list",), "list users"),
        (("enroll", "bob"), "enroll"),
        (("enroll", "anna", "--replace"), "enroll"),
        (("enroll", me), "enroll"),
        (("enroll", "anna", "--add"), "refresh"),
        (("remove", "anna"), "remove user"),
        (("unlock-lockout", "anna"), "reset lockout"),
        (("unseal", "anna", "keyring"), "unseal"),
        (("verify",), "verify"),
        (("verify", "--user", "anna"), "verify"),
        (("verify", "--user", "root"), "verify"),
        (("monitor",), "monitor"),
    ):
        result = enrolled.as_nobody(*command)
        assert (result.returncode, result.stdout) == (2, ""), command
        assert f"you may not {action}" in result.stderr
        assert f"peer_uid={NOBODY}" in enrolled.log.splitlines()[-1]
    assert enrolled.records == before


# --- one at a time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [enrolment, verification])
def test_multiple_claims(slow_agent: Agent, running: Running) -> None:
    async def steps() -> None:
        async with running(slow_agent), slow_agent.connect() as second:
            assert await camera(slow_agent) == "in_use"
            with pytest.raises(Busy):
                await last(second.Verify())
            with pytest.raises(Busy):
                await last(second.Enroll(user="bob"))
            result = await asyncio.to_thread(slow_agent.cli, "verify")
            assert result.returncode == 2
            assert "in use for somebody else" in result.stderr

    scenario(steps())


def test_concourrent_verify(agent: Agent) -> None:
    """Of two that ask in the same moment one looks, and the other is told at once that the camera is taken."""

    async def steps() -> None:
        async with agent.connect() as first, agent.connect() as second:
            asking = [asyncio.ensure_future(last(peer.Verify(timeout_ms=LONG_MS))) for peer in (first, second)]
            (refused,), (looking,) = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            assert isinstance(refused.exception(), Busy)
            await (first if refused is asking[0] else second).Cancel()
            with pytest.raises(Cancelled):
                await looking

    agent.show("nobody")
    scenario(steps())


@pytest.mark.parametrize("running", [enrolment, verification])
def test_busy_device_release_on_disconnect(slow_agent: Agent, running: Running) -> None:
    """Named ``busy_device_release_on_enroll`` and ``..._on_verify`` there, where a client releases; here it leaves."""

    async def steps() -> None:
        async with slow_agent.connect() as second:
            async with running(slow_agent):
                with pytest.raises(Busy):
                    await last(second.Verify())
            await camera_is_free(slow_agent)
            assert "progress" in await anext(second.Verify())

    scenario(steps())


# --- who goes away -------------------------------------------------------------------------------------------------


def test_claim_from_other_client_is_released_when_vanished(slow_agent: Agent) -> None:
    with slow_agent.client("enroll", "anna") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "good, 5 more\n"
        client.kill()
        client.wait()
    scenario(camera_is_free(slow_agent))
    assert slow_agent.records == {}
    assert slow_agent.cli("verify").returncode == 1


def test_enroll_running_disconnect(slow_agent: Agent) -> None:
    async def steps() -> None:
        async with enrolment(slow_agent):
            pass
        await camera_is_free(slow_agent)
        async with enrolment(slow_agent):  # and the next one is served
            pass

    scenario(steps())
    assert slow_agent.records == {}
    assert slow_agent.cli("list").stdout == "nobody is enrolled\n"


def test_enroll_done_disconnect(agent: Agent) -> None:
    """Who leaves before the answer, but after the last look, may find it done; what is told as done stays."""

    async def steps() -> None:
        async with agent.connect() as client:
            assert str((await last(client.Enroll(user="anna")))["result"]) == "enroll_completed"
        await camera_is_free(agent)

    scenario(steps())
    assert len(agent.records) == 1
    assert agent.cli("verify", "--user", "anna").returncode == 0


def test_verify_running_disconnect(enrolled: Agent) -> None:
    async def steps() -> None:
        for _ in range(6):  # which would be one failure too many
            async with verification(enrolled):
                pass
            await camera_is_free(enrolled)

    scenario(steps())
    assert enrolled.cli("verify").returncode == 0


def test_enroll_stop_cancels(slow_agent: Agent) -> None:
    async def steps() -> None:
        async with enrolment(slow_agent) as replies, slow_agent.connect() as second:
            await second.Cancel()
            with pytest.raises(Cancelled):
                await last(replies)
            await camera_is_free(slow_agent)

    scenario(steps())
    assert slow_agent.records == {}


# --- what is taken away --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("enroll", "anna"), ("verify",)], ids=["enroll", "verify"])
def test_removal_during(idle_agent: Agent, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Named ``removal_during_enroll`` and ``..._verify`` there: the device is pulled out while it is used."""
    idle_agent.configure("camera", loop=False)
    idle_agent.start()
    save(tmp_path / "pulled out", anna(3) if "enroll" in command else nobody())
    idle_agent.show(str(tmp_path / "pulled out"))
    *progress, error = idle_agent.lines(*command)
    assert progress
    assert (error["error"], error["parameters"]["reason"]) == ("CameraUnavailable", "unplugged")
    assert idle_agent.records == {}

    idle_agent.show(str(save(tmp_path / "put back", anna(12))))
    assert idle_agent.cli("enroll", "anna").returncode == 0
    assert idle_agent.cli("verify").returncode == 0


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "control"])
def test_user_removal_during_enroll(enrolled: Agent, tmp_path: Path, removed: bool) -> None:
    """Not in fprintd's suite: someone who is enrolled anew while an administrator removes them stays removed."""

    async def steps() -> None:
        async with enrolled.connect() as client, enrolled.connect() as second:
            replies = client.Enroll(user="anna", mode=EnrollMode.replace, timeout_ms=LONG_MS)
            assert "progress" in await anext(replies)
            if removed:
                await second.RemoveUser(user="anna")
            (face / "0.png").replace(wall / "0.png")  # somebody steps before the camera
            if removed:
                with pytest.raises(NotEnrolled):
                    await last(replies)
            else:
                assert str((await last(replies))["result"]) == "enroll_completed"

    face, wall = save(tmp_path / "face", anna(1)), save(tmp_path / "wall", nobody())
    enrolled.show(str(wall))
    scenario(steps())
    assert len(enrolled.records) == (0 if removed else 1)


# --- storage -------------------------------------------------------------------------------------------------------


@contextmanager
def full_disk(agent: Agent) -> Iterator[None]:
    """Let the kernel refuse the agent to write any file further than a few bytes."""
    pid = agent.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (16, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("place", ["gone", "a file"])
def test_enroll_invalid_storage_dir(agent: Agent, place: str) -> None:
    shutil.rmtree(agent.state)
    if place == "a file":
        agent.state.touch()
    result = agent.cli("enroll", "anna")
    assert result.returncode == 2
    assert str(agent.state) in result.stderr
    assert agent.cli("list").stdout == "nobody is enrolled\n"
    assert agent.cli("verify").returncode != 0


def test_enroll_write_print_error(agent: Agent) -> None:
    with full_disk(agent):
        result = agent.cli("enroll", "anna")
        assert result.returncode == 2
        assert "cannot write" in result.stderr
        assert agent.cli("list").stdout == "nobody is enrolled\n"
    assert {path.name for path in agent.state.rglob("*")} == {".lock", "secrets"}
    assert agent.cli("enroll", "anna").returncode == 0


def test_replace_write_print_error_keeps_the_old_one(enrolled: Agent) -> None:
    before = enrolled.records
    with full_disk(enrolled):
        assert enrolled.cli("enroll", "anna", "--replace").returncode == 2
    assert enrolled.records == before
    assert enrolled.cli("verify", "--user", "anna").returncode == 0


def test_verify_write_error_gives_no_verdict(enrolled: Agent) -> None:
    """Not in fprintd's suite: a guess that cannot be counted is not made, not even the owner's."""
    with full_disk(enrolled):
        reply = enrolled.lines("verify")[-1]
        assert reply["error"] == "StorageFault"
        assert enrolled.cli("verify", "--user", "anna").returncode == 2
    assert enrolled.cli("verify").returncode == 0


def test_delete_write_error_removes_nothing(enrolled: Agent) -> None:
    shutil.move(enrolled.state, enrolled.root / "elsewhere")
    assert enrolled.cli("remove", "anna").returncode == 2
    assert "anna" in enrolled.cli("list").stdout
    shutil.move(enrolled.root / "elsewhere", enrolled.state)
    assert enrolled.cli("remove", "anna").returncode == 0
    assert enrolled.records == {}


def test_verify_read_print_error(agent_with_anna: Agent) -> None:
    """Records are read at the start, which one that cannot be read stops (ADR 0005): it is named, and left alone."""
    (path,) = agent_with_anna.state.glob("*.rec")
    path.rename(path.with_suffix(".kept"))
    path.mkdir()
    agent_with_anna.write_config()
    result = agent_with_anna.run()
    assert result.returncode == 2
    assert f"{path} is not a regular file: put the file itself there" in result.stderr
    path.rmdir()
    path.with_suffix(".kept").rename(path)
    agent_with_anna.start()
    assert agent_with_anna.cli("verify").returncode == 0


def test_unseal_read_error_is_told_before_anyone_looks(enrolled: Agent) -> None:
    """Not in fprintd's suite: secrets are read when they are asked for."""
    enrolled.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse")
    (path,) = enrolled.state.glob("secrets/*.sec")
    path.write_bytes(path.read_bytes()[:-1])

    async def steps() -> None:
        async with enrolled.connect() as client:
            with pytest.raises(StorageFault):
                await anext(client.Unseal(user="anna", name="keyring"))

    scenario(steps())
    assert enrolled.cli("verify", "--user", "anna").returncode == 0
