# SPDX-License-Identifier: Apache-2.0
"""Button, indicator and latch, played by the shipped stand-ins, on the real agent: who gets in, and who does not."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import signal
from collections.abc import Iterator

import pytest

from facelatch.hardware.indicator import DARK, DONE, LOCKED_OUT, REFUSED
from facelatch.vault.lockout import FREE_FAILURES
from tests.agent import NOBODY, Agent, camera_is_free, scenario
from tests.hardware import Bench, told, wait, wired
from tests.ipc_peers import AGENT, request
from tests.load.places import place

HOLD = 6.0
RESET = 25.0
JAMMED = 61.0


@pytest.fixture
def bench(agent_with_anna: Agent) -> Iterator[Bench]:
    """All three wired to an agent that knows anna, is not started, and is not armed."""
    with wired(agent_with_anna) as bench:
        yield bench


def start_armed(agent: Agent) -> None:
    agent.start()
    assert agent.cli("arm", "--config", str(agent.config)).returncode == 0


def users(agent: Agent) -> list[str]:
    return [user["name"] for user in agent.lines("list")[0]["users"]]


def component(agent: Agent, name: str) -> tuple[str, str]:
    [status] = agent.lines("status")
    [found] = [component for component in status["components"] if component["name"] == name]
    return found["state"], found["detail"]


def test_a_press_opens_for_who_is_known(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    start_armed(agent)
    bench.touch()
    told(agent, "latch_closed")
    bench.pulsed()
    assert "latch_opened user=anna" in agent.log
    bench.shows(DARK)
    # A second one is as good as the first.
    bench.touch()
    told(agent, "latch_closed", times=2)
    bench.pulsed(2)


def test_a_stranger_is_refused_and_the_latch_does_not_move(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    start_armed(agent)
    agent.show("stranger")
    bench.touch()
    bench.shows(REFUSED)
    told(agent, "verify_no_match")
    bench.touch_until(LOCKED_OUT)
    # More, where a press comes so late that the wait after the fifth is over.
    assert agent.log.partition("locked_out")[0].count("verify_no_match") >= FREE_FAILURES
    assert bench.pulses == []
    assert "latch_opened" not in agent.log


def test_it_stays_locked_until_root_arms_it(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    agent.start()
    assert component(agent, "latch")[0] == "missing"
    bench.touch()
    bench.shows(REFUSED)
    told(agent, "refused")
    answer = agent.cli("verify", "--open-latch")
    assert answer.returncode == 2
    assert "disarmed" in answer.stderr
    assert agent.cli("set-up", "--config", str(agent.config)).returncode == 0
    assert agent.cli("verify", "--open-latch").returncode == 2
    assert bench.pulses == []
    assert agent.cli("arm", "--config", str(agent.config)).returncode == 0
    assert component(agent, "latch")[0] == "ok"
    assert agent.cli("verify", "--open-latch").returncode == 0
    told(agent, "latch_closed")
    bench.pulsed()
    # It is kept over a restart, and taken back as it was given.
    assert agent.terminate() == 0
    agent.start()
    assert agent.cli("arm", "--off", "--config", str(agent.config)).returncode == 0
    assert agent.cli("verify", "--open-latch").returncode == 2


def test_a_hold_enrols_nobody_by_itself(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    start_armed(agent)
    bench.touch()  # anna is no administrator
    told(agent, "latch_closed")  # before that, the button is still busy with the press
    bench.shows(DARK)
    agent.show("stranger")
    bench.touch(HOLD)
    bench.shows(REFUSED)
    assert "reason=enrol at the button" in agent.log
    assert users(agent) == ["anna"]


def test_a_hold_enrols_one_guest_after_an_administrator(idle_agent: Agent) -> None:
    agent = idle_agent
    with wired(agent) as bench:
        start_armed(agent)
        assert agent.cli("enroll", "anna", "--administrator").returncode == 0
        agent.show("guest")
        bench.touch(HOLD)
        bench.shows(REFUSED)
        assert users(agent) == ["anna"]
        agent.show("anna")
        bench.shows(DARK)
        bench.touch()
        told(agent, "latch_closed")
        agent.show("guest")
        bench.touch(HOLD)
        told(agent, "enrolled", times=2)
        bench.shows(DONE)
        assert users(agent) == ["anna", "guest-1"]
        guest = agent.lines("list")[0]["users"][1]
        assert not guest["administrator"]
        # One unlock is good for one guest.
        bench.shows(DARK)
        bench.touch(HOLD)
        bench.shows(REFUSED)
        assert users(agent) == ["anna", "guest-1"]


def test_without_a_window_there_is_none(idle_agent: Agent) -> None:
    agent = idle_agent
    with wired(agent, enroll_window=0) as bench:
        start_armed(agent)
        assert agent.cli("enroll", "anna", "--administrator").returncode == 0
        bench.touch()
        told(agent, "latch_closed")
        bench.touch(HOLD)
        told(agent, "refused")
        assert users(agent) == ["anna"]


def test_set_up_enrols_and_ends_with_arming(idle_agent: Agent) -> None:
    agent = idle_agent
    with wired(agent) as bench:
        agent.start()
        assert agent.cli("set-up", "--config", str(agent.config)).returncode == 0
        bench.touch(HOLD)
        bench.shows(DONE)
        assert users(agent) == ["guest-1"]
        bench.shows(DARK)
        agent.show("stranger")
        assert agent.cli("arm", "--config", str(agent.config)).returncode == 0
        bench.touch(HOLD)
        bench.shows(REFUSED)
        assert users(agent) == ["guest-1"]


def test_a_press_ends_an_enrolment(idle_agent: Agent) -> None:
    agent = idle_agent
    agent.configure("enroll", seconds=600.0, timeout=600.0)
    with wired(agent) as bench:
        agent.start()
        assert agent.cli("set-up", "--config", str(agent.config)).returncode == 0
        bench.touch(HOLD)
        wait(lambda: bench.pattern != DARK)
        assert agent.lines("status")[0]["camera"] == "in_use"
        assert bench.pattern.lit > 0  # never dark while the camera is on
        bench.touch()
        bench.shows(DARK)
        scenario(camera_is_free(agent))
        assert users(agent) == []


def test_what_the_socket_asks_for_lights_up_too(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    agent.show("nobody")
    agent.start()
    with agent.client("verify"):
        wait(lambda: bench.pattern != DARK)
    bench.shows(DARK)


def test_kill_9_leaves_nothing_open(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    agent.configure("latch", pulse=4.0)
    start_armed(agent)
    bench.touch()
    wait(lambda: bench.is_open)
    agent.kill()
    assert bench.is_open  # nothing closed it but its own time
    wait(lambda: not bench.is_open)
    bench.pulsed()
    agent.start()
    bench.touch()
    bench.pulsed(2)


def test_sigterm_locks_at_once(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    agent.configure("latch", pulse=30)
    start_armed(agent)
    bench.touch()
    wait(lambda: bench.is_open)
    assert agent.terminate() == 0
    assert not bench.is_open
    assert "latch_closed user=- " in agent.log
    assert "reason=the agent ends" in agent.log


def test_what_is_left_open_by_a_crash_can_be_released(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    agent.configure("latch", pulse=30)
    start_armed(agent)
    bench.touch()
    wait(lambda: bench.is_open)
    agent.process.send_signal(signal.SIGKILL)
    assert agent.cli("release", "--config", str(agent.config)).returncode == 0
    assert not bench.is_open
    assert bench.pattern == DARK


def test_one_that_stays_open_is_locked_by_force_and_disarmed(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    agent.configure("latch", pulse=2.0)
    start_armed(agent)
    bench.touch()
    wait(lambda: bench.is_open)
    assert bench.kernel is not None
    bench.kernel.kill()  # who is to end the pulse does not
    told(agent, "latch_fault")
    told(agent, "latch_closed")  # the fault is kept only once it is locked
    assert not bench.is_open
    state, detail = component(agent, "latch")
    assert state == "failed"
    assert "stays open" in detail
    assert "disarmed" in agent.cli("verify", "--open-latch").stderr


def test_a_reset_forgets_everyone_and_gives_nothing(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    with wired(agent, latch=False, reset=True) as bench:
        start_armed(agent)
        assert agent.cli("set-up", "--config", str(agent.config)).returncode == 0
        bench.touch(RESET)
        bench.shows(DONE)
        told(agent, "removed")
        told(agent, "reset")
        assert users(agent) == []
        bench.shows(DARK)
        bench.touch(HOLD)  # nobody at the door enrols themselves after it
        bench.shows(REFUSED)
        assert users(agent) == []


def test_a_button_that_was_jammed_does_nothing(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    with wired(agent, latch=False, reset=True) as bench:
        start_armed(agent)
        bench.touch(JAMMED)
        bench.touch()  # it is read in order, so this one is seen after it
        bench.shows(DONE)
        told(agent, "verify_match")
        assert users(agent) == ["anna"]
        assert "audit: reset" not in agent.log
        bench.shows(DARK)
        bench.touch(JAMMED - 2)
        told(agent, "reset")
        assert users(agent) == []


def test_without_the_key_for_it_a_long_hold_resets_nothing(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    with wired(agent, latch=False) as bench:
        agent.start()
        bench.touch(RESET)
        bench.shows(REFUSED)
        assert users(agent) == ["anna"]


def test_a_button_that_is_pulled_out_is_waited_for(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    away = bench.folder / "away"
    bench.button.rename(away)
    start_armed(agent)
    wait(lambda: component(agent, "button")[0] == "failed")
    assert "cannot be read" in component(agent, "button")[1]
    away.rename(bench.button)
    wait(lambda: component(agent, "button")[0] == "ok")
    bench.touch()
    told(agent, "latch_closed")


def test_without_its_light_the_door_still_opens(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    (bench.indicator / "delay_on").unlink()
    start_armed(agent)
    bench.touch()
    told(agent, "latch_closed")
    state, detail = component(agent, "indicator")
    assert state == "failed"
    assert "not there" in detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("allowed", [False, True])
def test_the_socket_opens_it_for_those_named_alone(agent_with_anna: Agent, bench: Bench, allowed: bool) -> None:
    agent = agent_with_anna
    agent.configure("policy", group=grp.getgrgid(NOBODY).gr_name)
    agent.configure("latch", allow=[pwd.getpwuid(NOBODY).pw_name] if allowed else [])
    start_armed(agent)
    assert agent.as_nobody("verify").returncode == 0  # a member may look in any case
    answer = agent.as_nobody("verify", "--open-latch")
    if allowed:
        assert answer.returncode == 0
        bench.pulsed()
    else:
        assert answer.returncode == 2
        assert "you may not open latch" in answer.stderr
        told(agent, "refused")
        assert bench.pulses == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_who_asks_without_pause_does_not_keep_the_button_from_the_camera(agent_with_anna: Agent, bench: Bench) -> None:
    """A member of the group has the camera, and asks again whenever it is over, until the door has opened."""
    agent = agent_with_anna

    async def steps() -> None:
        async with place(agent.runtime / "agent.sock", NOBODY) as peer:
            await peer.send(request(f"{AGENT}.Verify", "more", timeout_ms=300))
            assert "progress" in (await peer.receive())["parameters"]
            agent.show("anna")
            bench.touch()
            while not bench.pulses:
                if not (await peer.receive()).get("continues"):
                    await asyncio.sleep(0.05)
                    await peer.send(request(f"{AGENT}.Verify", timeout_ms=300))

    agent.configure("policy", group=grp.getgrgid(NOBODY).gr_name)
    start_armed(agent)
    agent.show("nobody")
    scenario(steps())
    bench.pulsed()


def test_a_latch_that_is_missing_is_named(agent_with_anna: Agent, bench: Bench) -> None:
    agent = agent_with_anna
    agent.configure("latch", led=str(bench.folder / "none"))
    start_armed(agent)
    answer = agent.cli("verify", "--open-latch")
    assert answer.returncode == 2
    assert "cannot be used (it is not there)" in answer.stderr
    assert component(agent, "latch")[0] == "failed"
    bench.shows(DARK)  # what the socket asked for was refused at the light, too
    bench.touch()
    bench.shows(REFUSED)
