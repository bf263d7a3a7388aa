# SPDX-License-Identifier: Apache-2.0
"""Who watches the agent sees what happens, and names only where they may know them."""

from __future__ import annotations

import grp
import json
import os
from select import select

import pytest

from tests.agent import NOBODY, NOBODY_PROGRAM, PROGRAM, Agent

HAPPENINGS = [
    ("anna", ("verify",), "verify_match"),
    ("stranger", ("verify", "--user", "anna"), "verify_no_match"),
    ("missing", ("verify",), "camera_fault"),
    ("anna", ("enroll", "anna", "--replace"), "enrolled"),
    ("anna", ("remove", "anna"), "removed"),
]


@pytest.mark.parametrize(
    ("program", "named"),
    [
        pytest.param(PROGRAM, ["anna", "anna", None, "anna", "anna"], id="root"),
        pytest.param(
            NOBODY_PROGRAM,
            [None] * 5,
            id="member of the group",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
        ),
    ],
)
def test_events_come_as_they_happen(agent_with_anna: Agent, program: tuple[str, ...], named: list[str | None]) -> None:
    agent = agent_with_anna
    agent.configure("policy", group=grp.getgrgid(NOBODY).gr_name)
    agent.start()
    with agent.client("monitor", "--json", program=program) as watcher:
        assert watcher.stdout is not None
        agent.show("nobody")
        while not select([watcher.stdout], [], [], 0)[0]:  # until it is seen to watch
            assert agent.cli("verify", "--timeout", "50").returncode == 2
        for scene, command, _ in HAPPENINGS:
            agent.show(scene)
            agent.cli(*command)
        told = [json.loads(watcher.stdout.readline())]
        while told[-1]["event"] != "removed":
            told.append(json.loads(watcher.stdout.readline()))
    assert told[0]["event"] == "verify_timeout"
    told = [event for event in told if event["event"] != "verify_timeout"]
    assert [event["event"] for event in told] == [name for *_, name in HAPPENINGS]
    assert [event.get("user") for event in told] == named
    assert all(set(event) <= {"event", "time_usec", "user"} for event in told)
