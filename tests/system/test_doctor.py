# SPDX-License-Identifier: Apache-2.0
"""``facelatch doctor`` names what is wrong and the remedy, beside a running agent too, and changes nothing."""

from __future__ import annotations

import grp
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facelatch.diagnosis import diagnose
from facelatch.vault.device_key import HostFileKey
from tests.agent import NOBODY, NOBODY_PROGRAM, Agent
from tests.refusal import snapshot

_PROGRAM_OF_NOBODY = tuple(
    part.replace(
        "import os, sys",
        "import os, sys\nimport facelatch.camera.replay, facelatch.daemon.hardening, facelatch.diagnosis",
    )
    for part in NOBODY_PROGRAM
)

Spoil = Callable[[Agent], object]


def _snapshot(agent: Agent) -> dict[str, tuple[int, int, bytes]]:
    """What lies on the disk, without what a running agent itself says meanwhile."""
    return {path: seen for path, seen in snapshot(agent.root).items() if path != str(agent.log_file)}


def _diagnose(agent: Agent, *, healthy: bool) -> dict[str, dict[str, str]]:
    """Run it as JSON; return the worst finding of each name, having seen that it left everything as it was."""
    before = _snapshot(agent)
    result = agent.cli("doctor", "--config", str(agent.config), "--json")
    assert _snapshot(agent) == before
    assert result.returncode == (0 if healthy else 2), result
    reply: dict[str, Any] = json.loads(result.stdout)
    assert reply["healthy"] is healthy
    order = ["ok", "weak", "missing", "failed"]
    return {f["name"]: f for f in sorted(reply["findings"], key=lambda f: order.index(f["state"]))}


def _record(agent: Agent) -> Path:
    (path,) = agent.state.glob("*.rec")
    return path


def _flip(agent: Agent) -> None:
    data = bytearray(_record(agent).read_bytes())
    data[100] ^= 1
    _record(agent).write_bytes(data)


def _new_key(agent: Agent) -> None:
    agent.key.unlink()
    HostFileKey.create(agent.key)


def _file_for_state(agent: Agent) -> None:
    shutil.rmtree(agent.state)
    agent.state.touch(0o600)


def _configure(agent: Agent, section: str, **values: str) -> None:
    agent.configure(section, **values)
    agent.write_config()


def _ask_for_unknown_parameters(agent: Agent) -> None:
    agent.settings["parameters"] = "none"
    agent.write_config()


def _without_pictures(agent: Agent) -> None:
    (agent.root / "camera").unlink()


def test_a_healthy_device_with_its_agent_running(agent_with_anna: Agent) -> None:
    agent_with_anna.configure("policy", group=grp.getgrgid(os.getegid()).gr_name)
    agent_with_anna.start()
    found = _diagnose(agent_with_anna, healthy=True)
    assert found["records"]["detail"] == "1 can be opened"
    assert found["device key"]["state"] == "weak"
    for name in ("config", "models", "parameter set", "camera", "state", "agent", "core dumps", "group", "clock"):
        assert found[name]["state"] == "ok", found[name]
    lines = agent_with_anna.cli("doctor", "--config", str(agent_with_anna.config)).stdout.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "weak"}
    assert not any("anna" in line for line in lines)
    assert agent_with_anna.cli("verify", "--user", "anna").returncode == 0  # and the agent was not disturbed


def test_what_is_not_there_before_the_first_start(idle_agent: Agent) -> None:
    idle_agent.write_config()
    found = _diagnose(idle_agent, healthy=False)
    for name in ("state", "device key", "agent"):
        assert found[name]["state"] == "missing", found[name]
        assert found[name]["remedy"]
    assert found["records"]["detail"] == "none yet"


def test_a_missing_group_is_weak_since_root_and_administrators_need_none(agent_with_anna: Agent) -> None:
    agent_with_anna.configure("policy", group="no-such-group")
    agent_with_anna.start()
    group = _diagnose(agent_with_anna, healthy=True)["group"]
    assert group["state"] == "weak"
    assert group["remedy"] == "run `groupadd --system no-such-group` if others are to"


FAULTS: dict[str, tuple[Spoil, str, str, str, str]] = {
    "open state": (lambda a: a.state.chmod(0o750), "state", "failed", "open to others (mode 0750)", "chmod"),
    "state is a file": (
        _file_for_state,
        "state",
        "failed",
        "is not a directory",
        "remove it",
    ),
    "open key": (lambda a: a.key.chmod(0o644), "device key", "failed", "open to others (mode 0644)", "chmod"),
    "no key": (lambda a: a.key.unlink(), "device key", "missing", "does not exist", "restore it from a backup"),
    "key of zeros": (lambda a: a.key.write_bytes(bytes(32)), "device key", "failed", "is damaged", "restore it"),
    "altered record": (_flip, "records", "failed", "truncated or altered", "remove its file and enrol again"),
    "another key": (_new_key, "records", "failed", "belongs to another device key", "restore that key"),
    "named record": (
        lambda a: _record(a).rename(a.state / "x.rec"),
        "records",
        "failed",
        "is not named like a record",
        "remove it, or restore its name",
    ),
    "no camera": (_without_pictures, "camera", "failed", "does not exist", "correct the path"),
    "no device": (
        lambda a: _configure(a, "camera", backend="v4l2", source="/dev/video-none"),
        "camera",
        "missing",
        "/dev/video-none is not there",
        "plug it in",
    ),
    "unknown parameters": (
        _ask_for_unknown_parameters,
        "parameter set",
        "failed",
        "there is no parameter set 'none'",
        "use one of",
    ),
    "unknown config key": (
        lambda a: a.config.write_text("colour = 1\n"),
        "config",
        "failed",
        "unknown key `colour`",
        "mend or remove that key",
    ),
    "no config": (lambda a: a.config.unlink(), "config", "failed", "cannot be read", "check the path"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_remedy(agent_with_anna: Agent, fault: str) -> None:
    spoil, name, state, detail, remedy = FAULTS[fault]
    agent_with_anna.write_config()
    record = _record(agent_with_anna).stem
    spoil(agent_with_anna)
    before = snapshot(agent_with_anna.root)
    found = [finding for finding in diagnose(agent_with_anna.config) if finding.name == name]
    assert snapshot(agent_with_anna.root) == before
    assert (found[0].state, len(found)) == (state, 1)
    assert detail in found[0].detail
    assert remedy in found[0].remedy
    if fault in ("altered record", "another key"):
        assert record in found[0].detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_told_what_may_not_be_read(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    result = agent_with_anna.cli(
        "doctor", "--config", str(agent_with_anna.config), "--json", program=_PROGRAM_OF_NOBODY
    )
    assert result.stdout, result.stderr
    found = {f["name"]: f for f in json.loads(result.stdout)["findings"]}
    for name in ("state", "device key", "records"):
        assert found[name]["state"] == "weak"
        assert found[name]["remedy"] == "run this as root to know"
    assert found["agent"]["state"] == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_looks_with_the_eyes_of_the_agents_user(agent_with_anna: Agent) -> None:
    agent_with_anna.write_config()
    for path in (agent_with_anna.state, *agent_with_anna.state.iterdir(), agent_with_anna.key):
        os.chown(path, NOBODY, NOBODY)
    found = _diagnose(agent_with_anna, healthy=False)
    assert found["state"]["state"] == "ok"
    assert found["records"]["detail"] == "1 can be opened"
    os.chown(agent_with_anna.key, 0, 0)
    found = _diagnose(agent_with_anna, healthy=False)
    assert found["device key"]["state"] == "failed"
    assert "not allowed to read" in found["device key"]["detail"]
