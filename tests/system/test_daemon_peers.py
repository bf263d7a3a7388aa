# SPDX-License-Identifier: Apache-2.0
"""What other users of the device may ask of the agent. Needs root, to become one of them."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
from nacl.signing import VerifyKey

from facelatch.daemon.signature import Statement
from facelatch.ipc.interface import Cancelled
from tests.agent import NOBODY, Agent, last, scenario

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

CHALLENGE = bytes(range(32))


def name() -> str:
    return pwd.getpwuid(NOBODY).pw_name


@contextmanager
def effective_user(uid: int) -> Iterator[None]:
    """Be another user to whom we connect to: the kernel tells them who we were at that moment."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def enrolled(agent_with_anna: Agent, request: pytest.FixtureRequest) -> Agent:
    """An agent that knows anna; a test may bring policy and audiences along."""
    for section, values in getattr(request, "param", {}).items():
        agent_with_anna.configure(section, **values)
    agent_with_anna.start()
    return agent_with_anna


def test_people_may_ask_for_themselves(enrolled: Agent) -> None:
    result = enrolled.as_nobody("verify", "--user", name())
    assert result.returncode == 1
    assert f"{name()} is not enrolled" in result.stderr


@pytest.mark.parametrize("enrolled", [{"policy": {"group": grp.getgrgid(NOBODY).gr_name}}], indirect=True)
def test_members_of_the_group_may_verify_but_not_learn_who_is_enrolled(enrolled: Agent) -> None:
    assert enrolled.as_nobody("verify", "--user", "anna").returncode == 0
    ghost = enrolled.as_nobody("verify", "--user", "ghost", "--json")
    assert ghost.returncode == 1
    assert ghost.stdout.splitlines()[-1] == '{"result": "verify_no_match"}'
    assert enrolled.as_nobody("list").returncode == 2
    assert enrolled.as_nobody("remove", "anna").returncode == 2


@pytest.mark.parametrize("enrolled", [{"policy": {"administrators": [pwd.getpwuid(NOBODY).pw_name]}}], indirect=True)
def test_administrators_may_manage_users(enrolled: Agent) -> None:
    assert "anna" in enrolled.as_nobody("list").stdout
    assert enrolled.as_nobody("remove", "anna").returncode == 0
    assert enrolled.records == {}


@pytest.mark.parametrize(
    "enrolled",
    [
        {
            "policy": {"group": grp.getgrgid(NOBODY).gr_name},
            "audiences": {"gate": [pwd.getpwuid(NOBODY).pw_name]},
        }
    ],
    indirect=True,
)
def test_a_signature_is_only_for_the_audiences_of_the_peer_and_names_it(enrolled: Agent) -> None:
    request = ("verify", "--challenge", CHALLENGE.hex(), "--json", "--audience")
    assert enrolled.as_nobody(*request, "door").returncode == 2
    lines = enrolled.as_nobody(*request, "gate").stdout.splitlines()
    reply = json.loads(lines[-1])
    (status,) = enrolled.lines("status")
    (device,) = (part["detail"] for part in status["components"] if part["name"] == "device")
    told = Statement(bytes.fromhex(device.removeprefix("id ")), "anna", "gate", NOBODY, reply["time_usec"], CHALLENGE)
    VerifyKey(base64.b64decode(reply["public_key"])).verify(told.encode(), base64.b64decode(reply["signature"]))


def test_a_user_cannot_cancel_what_root_asked_for(idle_agent: Agent) -> None:
    async def steps() -> None:
        async with AsyncExitStack() as stack:
            with effective_user(NOBODY):
                nobody = await stack.enter_async_context(idle_agent.connect())
            root = await stack.enter_async_context(idle_agent.connect())
            other = await stack.enter_async_context(idle_agent.connect())
            replies = root.Verify(timeout_ms=120_000)
            await anext(replies)
            await nobody.Cancel()
            for _ in range(50):  # more than can have been under way
                assert "progress" in await anext(replies)
            await other.Cancel()  # which root can
            with pytest.raises(Cancelled):
                await last(replies)

    idle_agent.show("nobody")
    idle_agent.start()
    scenario(steps())


def test_the_sockets_are_open_to_all_and_the_records_and_the_key_to_nobody(enrolled: Agent) -> None:
    def mode(path: Path) -> int:
        return path.stat().st_mode & 0o777

    assert {mode(enrolled.runtime / socket) for socket in enrolled.sockets} == {0o666}
    assert mode(enrolled.state) == 0o700
    assert {mode(path) for path in enrolled.state.rglob("*") if path.is_file()} == {0o600}
    assert mode(enrolled.key) == 0o600
