# SPDX-License-Identifier: Apache-2.0
"""The real agent over its real sockets, by command line and by program: what it answers, and what it keeps."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from facelatch.daemon.signature import Statement
from facelatch.ipc.interface import InvalidArgument, Timeout
from facelatch.vault.device_key import HostFileKey
from tests.agent import GUARD_SECONDS, Agent, agent_in_temporary_directory, camera_is_free, last, scenario
from tests.pictures import anna, save, stranger

CHALLENGE = bytes(range(32))


@pytest.fixture(scope="module")
def enrolled_once(scenes: Path) -> Iterator[Agent]:
    with agent_in_temporary_directory(scenes) as agent:
        agent.start()
        assert agent.cli("enroll", "anna").returncode == 0
        yield agent


@pytest.fixture
def enrolled(enrolled_once: Agent) -> Agent:
    """An agent that knows anna and sees her; it is shared, so a test may change neither who is enrolled nor this."""
    enrolled_once.show("anna")
    return enrolled_once


def users(agent: Agent) -> list[str]:
    (reply,) = agent.lines("list")
    return [user["name"] for user in reply["users"]]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def public_key(agent: Agent) -> str:
    (reply,) = agent.lines("list")
    return str(reply["users"][0]["public_key"])


# --- who is there -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [(), ("--user", "anna")])
def test_anna_is_recognised_with_and_without_her_name(enrolled: Agent, named: tuple[str, ...]) -> None:
    result = enrolled.cli("verify", *named)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "match: anna")


@pytest.mark.parametrize("named", [(), ("--user", "anna")])
def test_a_stranger_is_not(enrolled: Agent, named: tuple[str, ...]) -> None:
    enrolled.show("stranger")
    result = enrolled.cli("verify", *named)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (1, "no match")


def test_no_reply_tells_how_near_a_match_was_or_how_many_looks_it_took(enrolled: Agent) -> None:
    *progress, result = enrolled.lines("verify")
    assert {tuple(reply) for reply in progress} == {("progress",)}
    assert set(result) == {"result", "user", "time_usec"}
    enrolled.show("stranger")
    assert enrolled.lines("verify")[-1] == {"result": "verify_no_match"}


def test_a_name_that_is_not_enrolled_is_told_to_root(enrolled: Agent) -> None:
    result = enrolled.cli("verify", "--user", "bob")
    assert (result.returncode, result.stdout) == (1, "")
    assert "bob is not enrolled" in result.stderr


def test_nobody_is_recognised_when_nobody_is_enrolled(agent: Agent) -> None:
    assert agent.cli("verify").returncode == 1


def test_without_a_face_the_person_is_told_and_time_runs_out(enrolled: Agent) -> None:
    async def steps() -> None:
        async with enrolled.connect() as client:
            async for reply in client.Verify():
                assert str(reply["progress"].result) == "verify_retry_no_face"  # type: ignore[union-attr]
                break

    enrolled.show("nobody")
    scenario(steps())
    scenario(camera_is_free(enrolled))
    result = enrolled.cli("verify", "--timeout", "200")
    assert result.returncode == 2
    assert "nobody was seen well enough in time" in result.stderr
    assert enrolled.lines("verify", "--timeout", "200")[-1] == {"error": "Timeout", "parameters": {}}


def test_an_enrolment_without_a_face_runs_out_of_time_and_stores_nothing(agent: Agent) -> None:
    async def steps() -> None:
        async with agent.connect() as client:
            with pytest.raises(Timeout):
                await last(client.Enroll(user="anna", timeout_ms=200))

    agent.show("nobody")
    scenario(steps())
    assert agent.records == {}


def test_a_camera_that_goes_away_is_an_error_and_comes_back(agent: Agent) -> None:
    agent.cli("enroll", "anna")
    agent.show("gone")
    result = agent.cli("verify")
    assert result.returncode == 2
    assert "camera does not exist" in result.stderr
    agent.show("anna")
    assert agent.cli("verify").returncode == 0


# --- enrolment ----------------------------------------------------------------------------------------------------


def test_status_counts_users_and_names_none(agent: Agent) -> None:
    (before,) = agent.lines("status")
    assert agent.cli("enroll", "anna").returncode == 0
    (after,) = agent.lines("status")
    assert (before["users"], after["users"]) == (0, 1)
    assert before["ready"]
    assert (before["camera"], before["liveness"]) == ("idle", "not_evaluated")
    assert "anna" not in json.dumps(after)
    assert "anna" not in agent.cli("status").stdout


def test_list_gives_name_role_time_and_key(agent: Agent) -> None:
    assert agent.cli("list").stdout == "nobody is enrolled\n"
    enrolment = agent.lines("enroll", "anna", "--administrator")[-1]
    ((anna,),) = (reply["users"] for reply in agent.lines("list"))
    assert set(anna) == {"name", "administrator", "enrolled_usec", "public_key", "locked_until_usec"}
    assert (anna["name"], anna["administrator"]) == ("anna", True)
    assert anna["public_key"] == enrolment["public_key"]
    assert len(base64.b64decode(anna["public_key"])) == 32
    assert "anna" in agent.cli("list").stdout


def test_an_enrolled_name_is_not_enrolled_again(enrolled: Agent) -> None:
    before = enrolled.records
    result = enrolled.cli("enroll", "anna")
    assert result.returncode == 2
    assert "anna is enrolled already" in result.stderr
    assert enrolled.records == before


def test_a_face_is_not_enrolled_under_a_second_name_and_the_first_is_not_told(enrolled: Agent) -> None:
    before = enrolled.records
    result = enrolled.cli("enroll", "bob")
    assert result.returncode == 1
    assert "enrolled under another name" in result.stdout
    assert "anna" not in result.stdout + result.stderr
    assert enrolled.records == before


def test_replace_makes_new_keys_in_place_of_the_old(agent: Agent) -> None:
    agent.cli("enroll", "anna")
    old_key, old = public_key(agent), agent.records
    assert agent.cli("enroll", "anna", "--replace").returncode == 0
    assert public_key(agent) != old_key
    assert list(agent.records) == list(old)  # the same name, so that nothing of the old one is left
    assert agent.records != old
    reply = agent.lines("verify", "--challenge", CHALLENGE.hex(), "--audience", "door")[-1]
    assert reply["public_key"] == public_key(agent)


def test_replace_needs_somebody_to_replace(agent: Agent) -> None:
    result = agent.cli("enroll", "anna", "--replace")
    assert result.returncode == 1
    assert "anna is not enrolled" in result.stderr
    assert agent.records == {}


def test_looks_that_differ_too_much_are_not_enrolled(agent: Agent, tmp_path: Path) -> None:
    # Every third look is kept aside to try the record with.
    first, second, *_ = anna(2)
    agent.show(str(save(tmp_path / "mixed", [first, second, *stranger(1)])))
    result = agent.cli("enroll", "anna")
    assert result.returncode == 1
    assert "the looks differ too much" in result.stdout
    assert agent.records == {}
    assert users(agent) == []


def test_remove_forgets_a_user(agent: Agent) -> None:
    agent.cli("enroll", "anna")
    assert agent.cli("remove", "anna").returncode == 0
    assert agent.records == {}
    assert users(agent) == []
    assert agent.cli("verify").returncode == 1
    assert agent.cli("remove", "anna").returncode == 1


@pytest.mark.parametrize(
    "name", ["", ".", "-x", "../x", "a/b", "a b", "anna\n", "\N{LATIN SMALL LETTER A WITH DIAERESIS}", "a" * 256]
)
def test_what_is_no_login_name_is_not_enrolled(enrolled: Agent, name: str) -> None:
    async def steps() -> None:
        async with enrolled.connect() as client:
            with pytest.raises(InvalidArgument) as raised:
                await last(client.Enroll(user=name))
            assert raised.value.paramstojson()["parameter"] == "user"

    before = enrolled.records
    scenario(steps())
    assert enrolled.records == before


# --- what a door gets ---------------------------------------------------------------------------------------------


def test_a_signature_says_who_when_where_and_for_whom(enrolled: Agent) -> None:
    (status,) = enrolled.lines("status")
    (device,) = (part["detail"] for part in status["components"] if part["name"] == "device")
    key = VerifyKey(base64.b64decode(public_key(enrolled)))

    reply = enrolled.lines("verify", "--challenge", CHALLENGE.hex(), "--audience", "door")[-1]
    assert reply["public_key"] == public_key(enrolled)
    signature = base64.b64decode(reply["signature"])
    told = Statement(
        bytes.fromhex(device.removeprefix("id ")), "anna", "door", os.geteuid(), reply["time_usec"], CHALLENGE
    )
    key.verify(told.encode(), signature)

    for other in (
        replace(told, device_id=bytes(16)),
        replace(told, user="bob"),
        replace(told, audience="gate"),
        replace(told, peer_uid=told.peer_uid + 1),
        replace(told, time_usec=told.time_usec + 1),
        replace(told, challenge=CHALLENGE[::-1]),
    ):
        with pytest.raises(BadSignatureError):
            key.verify(other.encode(), signature)


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"challenge": _base64(CHALLENGE)}, "audience"),
        ({"audience": "door"}, "challenge"),
        ({"challenge": _base64(CHALLENGE[:15]), "audience": "door"}, "challenge"),
        ({"challenge": _base64(bytes(65)), "audience": "door"}, "challenge"),
        ({"challenge": "", "audience": "door"}, "challenge"),
        ({"challenge": "not base64!", "audience": "door"}, "challenge"),
        ({"challenge": "\N{GREEK SMALL LETTER ALPHA}" * 32, "audience": "door"}, "challenge"),
        ({"open_latch": True}, "open_latch"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": -1}, "timeout_ms"),
        ({"timeout_ms": 120_001}, "timeout_ms"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_anybody_is_looked_at(
    enrolled: Agent, options: dict[str, Any], parameter: str
) -> None:
    async def steps() -> None:
        async with enrolled.connect() as client:
            replies = client.Verify(**options)
            with pytest.raises(InvalidArgument) as raised:
                await anext(replies)
            assert raised.value.paramstojson()["parameter"] == parameter

    scenario(steps())


def test_an_audience_that_is_not_configured_gets_no_signature(enrolled: Agent) -> None:
    result = enrolled.cli("verify", "--challenge", CHALLENGE.hex(), "--audience", "gate")
    assert result.returncode == 2
    assert "sign" not in result.stdout
    assert "may not sign for that audience" in result.stderr


# --- peers that do not behave -------------------------------------------------------------------------------------


def test_a_renewed_device_key_needs_no_face_and_is_kept(agent: Agent) -> None:
    agent.cli("enroll", "anna")
    before = agent.key.read_bytes()

    async def steps() -> None:
        async with agent.connect() as client:
            key_id = (await client.Rekey())["key_id"]
        assert HostFileKey.load(agent.key).key_id.hex() == key_id

    scenario(steps())
    assert agent.key.read_bytes() != before
    assert "rekeyed user=- " in agent.log
    assert agent.cli("verify", "--user", "anna").returncode == 0
    agent.terminate()
    agent.start()
    assert agent.cli("verify", "--user", "anna").returncode == 0


@pytest.mark.parametrize("message", [b"x" * 200_000, b"{}\0" * 500, b"\xff\0", b"[" * 60_000 + b"\0"])
def test_a_peer_that_sends_rubbish_disturbs_nobody(enrolled: Agent, message: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(GUARD_SECONDS)
        peer.connect(str(enrolled.runtime / "agent.sock"))
        with suppress(BrokenPipeError, ConnectionResetError):
            peer.sendall(message)
            while peer.recv(4096):
                pass
    assert enrolled.cli("verify").returncode == 0


def test_without_an_agent_the_command_line_says_so(idle_agent: Agent) -> None:
    for command in (("status",), ("verify",), ("list",)):
        result = idle_agent.cli(*command)
        assert (result.returncode, result.stdout) == (2, "")
        assert "start the agent" in result.stderr
        assert len(result.stderr.splitlines()) == 1
