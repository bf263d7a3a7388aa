# SPDX-License-Identifier: Apache-2.0
"""Logins through the distribution's own PAM and the shipped profiles: a face first, a password whatever happens."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from facelatch.vault.lockout import FREE_FAILURES
from tests.agent import Agent
from tests.logins import ALONE, PASSWORD, Logins, logins, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture
def machine(agent_with_anna: Agent) -> Iterator[Logins]:
    """Logins of a machine whose agent knows anna and is not started."""
    # A face is found long before; where none will be, a test may wait for less.
    agent_with_anna.configure("pam", timeout=60.0)
    agent_with_anna.write_config()
    with logins(agent_with_anna) as machine:
        yield machine


def locked(agent: Agent) -> bool:
    [user] = agent.lines("list")[0]["users"]
    return user["locked_until_usec"] is not None


def lock_out(agent: Agent) -> None:
    agent.show("stranger")
    for _ in range(FREE_FAILURES):
        assert agent.cli("verify", "--user", "anna").returncode == 1
    assert locked(agent)


def test_the_face_is_asked_before_the_password_and_the_reset_after_both(machine: Logins) -> None:
    [face, unix, *_] = machine.stack
    assert face.endswith("facelatch pam")
    assert "success=2 default=ignore" in face
    assert "pam_unix.so" in unix
    order = ["pam_deny" in line for line in machine.stack].index(True)
    assert [line.endswith("--reset") for line in machine.stack].index(True) > order


def test_a_face_logs_in(agent_with_anna: Agent, machine: Logins) -> None:
    agent_with_anna.start()
    assert machine.authenticates()
    assert "verify_match user=anna" in agent_with_anna.log


@pytest.mark.parametrize("scene", ["stranger", "nobody"])
def test_without_it_the_password_does(agent_with_anna: Agent, machine: Logins, scene: str) -> None:
    agent_with_anna.configure("pam", timeout=1.0)
    agent_with_anna.start()
    agent_with_anna.show(scene)
    assert not machine.authenticates()
    assert not machine.authenticates("wrong")
    assert machine.authenticates(PASSWORD)


def test_the_face_of_another_user_is_none(agent_with_anna: Agent, machine: Logins) -> None:
    agent_with_anna.start()
    assert agent_with_anna.cli("remove", "anna").returncode == 0
    assert agent_with_anna.cli("enroll", "bob").returncode == 0
    assert agent_with_anna.cli("verify").returncode == 0
    assert not machine.authenticates()


def test_the_password_works_while_the_agent_is_dead(agent_with_anna: Agent, machine: Logins) -> None:
    assert machine.authenticates(PASSWORD)
    assert not machine.authenticates()
    agent_with_anna.start()
    agent_with_anna.kill()  # its sockets are still there
    assert machine.authenticates(PASSWORD)


def test_the_password_works_while_the_agent_hangs(agent_with_anna: Agent, machine: Logins) -> None:
    agent_with_anna.configure("pam", timeout=1.0)
    agent_with_anna.start()
    agent_with_anna.process.send_signal(signal.SIGSTOP)
    try:
        assert machine.authenticates(PASSWORD)
        assert not machine.authenticates()
    finally:
        agent_with_anna.process.send_signal(signal.SIGCONT)


def test_the_password_works_without_a_configuration(agent_with_anna: Agent, machine: Logins) -> None:
    agent_with_anna.start()
    agent_with_anna.config.write_text("[pam]\nmisspelt = 1\n")
    assert not machine.authenticates()
    assert machine.authenticates(PASSWORD)


def test_the_password_resets_the_lockout_and_nothing_less_does(agent_with_anna: Agent, machine: Logins) -> None:
    agent = agent_with_anna
    agent.start()
    lock_out(agent)
    agent.show("anna")
    assert not machine.authenticates()  # not even the owner's face
    assert not machine.authenticates("wrong")
    assert locked(agent)
    assert machine.authenticates(PASSWORD)
    assert not locked(agent)
    assert machine.authenticates()


def test_one_service_alone_can_have_it(agent_with_anna: Agent, machine: Logins) -> None:
    agent = agent_with_anna
    assert not machine.authenticates(service=ALONE)
    assert machine.authenticates(PASSWORD, service=ALONE)
    agent.start()
    assert machine.authenticates(service=ALONE)
    lock_out(agent)
    assert not machine.authenticates("wrong", service=ALONE)
    assert locked(agent)
    assert machine.authenticates(PASSWORD, service=ALONE)
    assert not locked(agent)


def test_nobody_logs_in_from_afar_by_a_face_here(agent_with_anna: Agent, machine: Logins) -> None:
    agent_with_anna.start()
    assert not machine.authenticates(rhost="198.51.100.7")
    assert "verify_match" not in agent_with_anna.log
    assert machine.authenticates(PASSWORD, rhost="198.51.100.7")
    assert machine.authenticates()


def test_some_services_have_no_face(agent_with_anna: Agent, machine: Logins) -> None:
    agent_with_anna.configure("pam", never=["facelatch-test"])
    agent_with_anna.start()
    assert not machine.authenticates()
    assert machine.authenticates(PASSWORD)
    assert "verify_match" not in agent_with_anna.log


def test_the_environment_does_not_choose_the_agent(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    item = {"PAM_TYPE": "auth", "PAM_USER": "anna", "FACELATCH_RUNTIME": str(agent_with_anna.runtime)}
    ran = agent_with_anna.command("pam", "--config", "/nonexistent/facelatch.toml", **item)
    assert ran.returncode == 1
    assert agent_with_anna.command("pam", "--config", str(agent_with_anna.config), **item).returncode == 0
