# SPDX-License-Identifier: Apache-2.0
"""Everything that a V4L2 camera can do wrong, in the real agent over its real sockets: a named error, and then a match.

That the error comes within three seconds follows from the limits of the agent, which are tested by virtual clocks
(test_camera_v4l2, test_camera_watched): how long it took here would only tell how busy this machine is.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from facelatch.ipc.interface import CameraUnavailable
from facelatch.ipc.words import EnrollMode
from tests.agent import GUARD_SECONDS, Agent, agent_in_temporary_directory, camera_is_free, enrolment, last, scenario
from tests.faulty_agent import FAULTS
from tests.handover import Systemd, handed_over

FAULTY = (sys.executable, str(Path(__file__).parents[1] / "faulty_agent.py"))
TABLE = Path(__file__).parents[2] / "docs" / "camera-faults.md"
UNPLUGGED = "unplugged"

# Fault, the word on the socket, and what the person is told.
TOLD = {
    UNPLUGGED: ("unplugged", "is not there: plug it in, or correct the device"),
    "stops": ("frozen", "delivers no frames: unplug the camera and plug it in again, or restart the device"),
    "damaged": ("frozen", "delivers no frames that can be read: check its cable, or unplug it and plug it in again"),
    "repeats": ("frozen", "repeats one picture: unplug the camera and plug it in again, or restart the device"),
    "black": ("dark", "shows only black: uncover the lens or turn on a light"),
    "grey": ("misconfigured", "gives pictures of shape (480, 640) and type uint8: choose another camera"),
    "tiny": ("misconfigured", "gives pictures of 8 x 8 pixels: have it give 64 to 4096 pixels a side"),
    "hangs in read": ("frozen", "delivers no frames: unplug the camera and plug it in again, or restart the device"),
}
ONLY_AT_THE_START = {
    "busy": ("busy", "is in use by another program: close that program"),
    "hangs in open": ("frozen", "delivers no frames: unplug the camera and plug it in again, or restart the device"),
}
ONLY_IN_THE_MIDDLE = {"slept": ("frozen", "looked: try again")}
NO_ERROR = {"none", "slow", "hangs in close", "hangs all"}
HANGS = "hangs: unplug the camera and plug it in again, or restart the device"


def test_no_fault_is_left_out() -> None:
    assert {*TOLD, *ONLY_AT_THE_START, *ONLY_IN_THE_MIDDLE, *NO_ERROR} == {*FAULTS, UNPLUGGED}


def test_the_table_says_what_people_are_told() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("|")]
    for reason, words in (TOLD | ONLY_AT_THE_START | ONLY_IN_THE_MIDDLE).values():
        assert any(f"| `{reason}` |" in row and words in row for row in rows), words
    assert any(HANGS in row for row in rows)


def device(agent: Agent) -> Path:
    return agent.root / "video0"


def happens(agent: Agent, fault: str) -> None:
    """Let the camera have a fault, or none."""
    if fault == UNPLUGGED:
        device(agent).unlink()
        return
    whole = agent.root / "fault.new"
    whole.write_text(fault)
    whole.replace(agent.root / "fault")
    if not device(agent).is_symlink():
        device(agent).symlink_to("/dev/null")  # which is a device, of which the played kernel says that it is a camera


def set_up(agent: Agent, enrolled: Agent) -> None:
    shutil.copytree(enrolled.state, agent.state)
    shutil.copytree(enrolled.key.parent, agent.key.parent, dirs_exist_ok=True)
    # The portrait is a picture, and so it looks.
    agent.settings["liveness"] = "off"
    agent.configure("camera", backend="v4l2", source=str(device(agent)))
    happens(agent, "none")


@pytest.fixture(scope="module")
def once(scenes: Path, anna_enrolled: Agent) -> Iterator[Agent]:
    with agent_in_temporary_directory(scenes, FAULTY) as agent:
        set_up(agent, anna_enrolled)
        agent.start()
        yield agent


@pytest.fixture
def faulty(once: Agent) -> Agent:
    """An agent that knows anna and sees her through a camera that works until it is told otherwise."""
    once.show("anna")
    happens(once, "none")
    return once


def refusal(agent: Agent) -> tuple[str, str]:
    """Be refused for want of a camera, and return the word and the detail."""
    error = agent.lines("verify")[-1]
    assert error.get("error") == "CameraUnavailable", error
    return error["parameters"]["reason"], error["parameters"]["detail"]


def works(agent: Agent) -> bool:
    happens(agent, "none")
    agent.show("anna")
    return bool(agent.cli("verify").stdout.endswith("match: anna\n"))


def parameters(error: CameraUnavailable) -> tuple[str, str]:
    told: Any = error.paramstojson()
    return told["reason"], told["detail"]


@pytest.mark.parametrize("fault", [*TOLD, *ONLY_AT_THE_START])
def test_at_the_start_of_an_attempt(faulty: Agent, fault: str) -> None:
    faulty.show("nobody")  # one look at anna would be enough, and that the picture repeats no matter
    happens(faulty, fault)
    reason, detail = refusal(faulty)
    expected, words = (TOLD | ONLY_AT_THE_START)[fault]
    assert reason == expected
    assert f"camera {device(faulty)} {words}" in detail
    assert f"camera_fault user=- peer_uid={os.geteuid()} " in faulty.log
    assert works(faulty)


@pytest.mark.parametrize("fault", [*TOLD, *ONLY_IN_THE_MIDDLE])
def test_in_the_middle_of_an_attempt(faulty: Agent, fault: str) -> None:
    async def steps() -> None:
        async with faulty.connect() as client:
            replies = client.Verify(timeout_ms=120_000)
            assert "progress" in await anext(replies)
            happens(faulty, fault)
            with pytest.raises(CameraUnavailable) as caught:
                await last(replies)
        reason, detail = parameters(caught.value)
        expected, words = (TOLD | ONLY_IN_THE_MIDDLE)[fault]
        assert reason == expected
        assert words in detail
        await camera_is_free(faulty)

    faulty.show("nobody")
    scenario(steps())
    assert works(faulty)


@pytest.mark.parametrize("fault", [UNPLUGGED, "repeats", "slept"])
def test_in_the_middle_of_an_enrolment_the_record_stays_as_it_was(
    scenes: Path, anna_enrolled: Agent, fault: str
) -> None:
    async def steps() -> None:
        async with enrolment(agent, EnrollMode.replace) as replies:
            happens(agent, fault)
            with pytest.raises(CameraUnavailable):
                await last(replies)

    with agent_in_temporary_directory(scenes, FAULTY) as agent:
        set_up(agent, anna_enrolled)
        agent.configure("enroll", seconds=600.0, timeout=600.0)
        agent.start()
        scenario(steps())
        assert agent.records == anna_enrolled.records
        assert works(agent)


def test_one_frame_a_second_is_enough(faulty: Agent) -> None:
    happens(faulty, "slow")
    assert faulty.cli("verify").stdout.endswith("match: anna\n")


def test_a_driver_that_hangs_when_it_is_closed_takes_nothing_from_the_answer(faulty: Agent) -> None:
    happens(faulty, "hangs in close")
    assert faulty.cli("verify").stdout.endswith("match: anna\n")
    reason, detail = refusal(faulty)
    assert (reason, HANGS in detail) == ("frozen", True)
    assert works(faulty)


def test_faults_leave_no_thread_behind(faulty: Agent) -> None:
    def threads() -> int:
        return len(list(Path(f"/proc/{faulty.process.pid}/task").iterdir()))

    assert works(faulty)
    before = threads()
    for fault in ("damaged", "black", "grey", "busy", UNPLUGGED) * 3:
        happens(faulty, fault)
        refusal(faulty)
    assert works(faulty)
    end = time.monotonic() + GUARD_SECONDS
    while threads() > before:  # the last one may still be about to end
        assert time.monotonic() < end, "threads are left"
        time.sleep(0.1)


def test_a_driver_that_hangs_for_good_has_the_watchdog_end_the_agent(scenes: Path, anna_enrolled: Agent) -> None:
    with handed_over(scenes, watchdog=WATCHDOG_USEC, program=FAULTY) as (agent, systemd), hearing(systemd) as heard:
        set_up(agent, anna_enrolled)
        agent.spawn(pass_fds=systemd.fds)
        assert agent.cli("status").returncode == 0
        happens(agent, "hangs in read")
        assert "delivers no frames" in refusal(agent)[1]
        assert not falls_silent(heard)  # once may pass
        assert HANGS in refusal(agent)[1]
        assert falls_silent(heard)
        happens(agent, "none")
        assert agent.cli("verify").returncode == 0
        assert not falls_silent(heard)


def test_a_driver_that_stops_everything_has_the_watchdog_end_the_agent(scenes: Path, anna_enrolled: Agent) -> None:
    with handed_over(scenes, watchdog=WATCHDOG_USEC, program=FAULTY) as (agent, systemd), hearing(systemd) as heard:
        set_up(agent, anna_enrolled)
        agent.show("nobody")
        agent.spawn(pass_fds=systemd.fds)
        with agent.client("verify", "--timeout", "120000", "--json") as verifying:
            assert verifying.stdout is not None
            assert "progress" in verifying.stdout.readline()
            assert not falls_silent(heard)
            happens(agent, "hangs all")
            assert any(falls_silent(heard) for _ in range(_PATIENCE))
            assert agent.process.poll() is None
            agent.kill()  # as systemd would now
        happens(agent, "none")
        agent.show("anna")
        agent.spawn(pass_fds=systemd.fds)
        assert agent.cli("verify").returncode == 0


WATCHDOG_USEC = "200000"
# So many signs are due in that time that a machine on which not one of them comes is as good as hung itself.
_SILENCE_S = 2.0
# The hang begins with the next frame, and what was said before it is heard at once.
_PATIENCE = 5


@contextmanager
def hearing(systemd: Systemd) -> Iterator[list[str]]:
    """Have everything heard that is told: who does not listen has the agent wait."""
    heard: list[str] = []
    done = threading.Event()

    def listen() -> None:
        systemd.told.settimeout(0.05)
        while not done.is_set():
            with suppress(TimeoutError):
                heard.append(systemd.hears())

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        yield heard
    finally:
        done.set()
        listener.join()


def falls_silent(heard: list[str]) -> bool:
    """Tell whether no sign of life comes for a while."""
    before = len(heard)
    time.sleep(_SILENCE_S)
    return len(heard) == before
