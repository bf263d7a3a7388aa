# SPDX-License-Identifier: Apache-2.0
"""Lockout and sealed secrets by the real agent over its real sockets."""

from __future__ import annotations

import json
import time

import pytest

from tests.agent import Agent


@pytest.fixture
def anna(agent_with_anna: Agent) -> Agent:
    """An agent that runs, knows anna and sees her."""
    agent_with_anna.start()
    return agent_with_anna


def test_five_failures_lock_a_named_user_out_but_not_the_door(anna: Agent) -> None:
    anna.show("stranger")
    for _ in range(5):
        assert anna.cli("verify", "--user", "anna").returncode == 1
    anna.show("anna")
    locked = anna.cli("verify", "--user", "anna", "--json")
    assert locked.returncode == 2
    error = json.loads(locked.stdout)
    assert error["error"] == "LockedOut"
    assert 0 < error["parameters"]["retry_after_ms"] <= 30_000
    (user,) = json.loads(anna.cli("list", "--json").stdout)["users"]
    assert user["locked_until_usec"] is not None
    # A failed login by name must not bar the owner's own door, where nobody is named.
    assert anna.cli("verify").returncode == 0


def test_a_lockout_outlives_the_agent_and_ends_by_reset(anna: Agent) -> None:
    anna.show("stranger")
    for _ in range(5):
        anna.cli("verify", "--user", "anna")
    anna.kill()
    anna.start()
    anna.show("anna")
    assert "wait" in anna.cli("verify", "--user", "anna").stderr
    assert anna.cli("unlock-lockout", "anna").returncode == 0
    assert "lockout_reset user=anna" in anna.log
    assert anna.cli("verify", "--user", "anna").returncode == 0


def test_strangers_slow_the_door_down_and_never_lock_the_owner_out(anna: Agent) -> None:
    anna.show("stranger")
    for _ in range(5):
        assert anna.cli("verify").returncode == 1
    locked = anna.lines("verify")[-1]
    # Unless two seconds have passed since the fifth.
    assert locked == {"result": "verify_no_match"} or 0 < locked["parameters"]["retry_after_ms"] <= 4_000
    anna.show("anna")
    assert anna.cli("verify", "--user", "anna").returncode == 0
    assert anna.cli("unlock-lockout").returncode == 0
    assert anna.cli("verify").returncode == 0


def test_nobody_in_view_never_counts(anna: Agent) -> None:
    anna.show("nobody")
    for _ in range(6):
        assert anna.cli("verify", "--user", "anna", "--timeout", "50").returncode == 2
    anna.show("anna")
    assert anna.cli("verify", "--user", "anna").returncode == 0


def test_a_no_match_is_told_no_sooner_than_configured_and_never_lost_to_the_log(agent_with_anna: Agent) -> None:
    agent_with_anna.settings["verify"] = {"no_match_after": 1.0}
    agent_with_anna.start()
    agent_with_anna.show("stranger")
    start = time.monotonic()
    assert agent_with_anna.cli("verify", "--user", "anna").returncode == 1
    assert time.monotonic() - start >= 1.0
    assert agent_with_anna.log.count("verify_no_match") == 1


def test_a_secret_comes_back_to_its_face_only(anna: Agent) -> None:
    assert anna.cli("seal", "anna", "keyring", given="correct horse").returncode == 2
    sealed = anna.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse")
    assert sealed.returncode == 0
    assert anna.cli("unseal", "anna", "keyring").stdout == "correct horse"
    anna.show("stranger")
    refused = anna.cli("unseal", "anna", "keyring")
    assert refused.returncode == 1
    assert refused.stdout == ""
    anna.show("anna")
    assert anna.cli("seal", "anna", "keyring", "--forget").returncode == 0
    assert "no sealed secret keyring" in anna.cli("unseal", "anna", "keyring").stderr


def test_new_keys_forget_what_was_sealed_to_the_old_ones(anna: Agent) -> None:
    anna.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse")
    assert "keyring" in anna.cli("enroll", "anna", "--replace").stdout
    assert anna.cli("unseal", "anna", "keyring").returncode == 2
    assert not list(anna.state.glob("secrets/*.sec"))


def test_the_plain_secret_is_nowhere_on_disk(anna: Agent) -> None:
    anna.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse battery staple")
    files = [path for path in anna.root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sec" for path in files)
    for path in files:
        for plain in (b"correct horse", b"keyring"):
            assert plain not in path.read_bytes(), path
