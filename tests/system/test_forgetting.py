# SPDX-License-Identifier: Apache-2.0
"""What is left in the real agent's memory once somebody was let in: read as only root can, and searched.

The agent runs with the settings of its unit. What was looked for and is still there is named here, and in
docs/limitations.md.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facelatch.l2fe import keys
from facelatch.l2fe.kdf import kdf
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import unseal
from tests.agent import GUARD_SECONDS, Agent, agent_in_temporary_directory
from tests.truth import Person, extractor

UNIT = Path(__file__).parents[2] / "systemd" / "facelatch.service"
LEAKY_AGENT = Path(__file__).parents[1] / "leaky_agent.py"
SEALED = "a secret of which there is only one"
FRAMES = 6
# Of numbers and pixels so much in a row is a hit.
_RUN = 32
# While the agent lives it needs its device key, and its networks keep what they last worked with.
HELD = {"device key"}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of a process like this")
pytestmark = needs_root


@pytest.fixture(autouse=True)
def environment_of_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in re.findall(r"^Environment=(.*)$", UNIT.read_text(), re.MULTILINE):
        for name, value in (setting.split("=", 1) for setting in line.split()):
            monkeypatch.setenv(name, value)


def live(agent: Agent) -> dict[str, bytes]:
    """Enrol anna, let her in in every way there is; return all that must not be left of it."""
    agent.start()
    given = ("--challenge", secrets.token_hex(32), "--audience", "door")
    for command in (("enroll", "anna"), ("verify",), ("verify", *given), ("seal", "anna", "keyring", "--accept-weak")):
        done = agent.cli(*command, given=SEALED)
        assert done.returncode == 0, done.stderr
    assert SEALED in agent.cli("unseal", "anna", "keyring").stdout
    return _secrets(agent) | _looks(agent)


def _secrets(agent: Agent) -> dict[str, bytes]:
    """Open the record as only this test can, and derive what the agent derived."""
    ((name, data),) = agent.records.items()
    device_key = HostFileKey.load(agent.key)
    record = unseal(data, device_key, Path(name).stem)
    face = Person(agent.root / "camera").enrolment(FRAMES)
    (found,) = extractor().candidates(face, [record.helper.sketch])[:1]
    secret = extractor().secret(found.point, record.helper, record.context(device_key))
    assert secret is not None
    return {
        "device key": agent.key.read_bytes(),
        "record key": device_key.derive("record"),
        "pepper": device_key.derive("pepper"),
        "point": found.point.astype("<i8").tobytes()[:_RUN],
        "point as u16": found.point.astype("<u2").tobytes()[:_RUN],
        "S": secret,
        "signing key": kdf(secret, "sign"),
        "sealing key": bytes(keys.sealing_key(secret)),
        "what was sealed": SEALED.encode(),
    }


def _looks(agent: Agent) -> dict[str, bytes]:
    person = Person(agent.root / "camera")
    person.enrolment(FRAMES)
    found = {f"embedding: {name}": vector.astype("<f4").tobytes()[:_RUN] for name, vector in person.vectors.items()}
    for name, vector in person.vectors.items():
        found[f"projection: {name}"] = extractor().project(vector).astype("<f8").tobytes()[:_RUN]
        # What the projection is made from.
        centred = vector.astype(np.float64) - extractor().parameters.projection.mean
        found[f"centred: {name}"] = centred.astype("<f8").tobytes()[:_RUN]
    for name, image in person.images.items():
        middle = np.ascontiguousarray(image[image.shape[0] // 2, image.shape[1] // 2 :]).tobytes()
        found[f"picture: {name}"] = middle[:_RUN]
    return found


def memory(pid: int) -> list[bytes]:
    """All that a process could write to: what it has of its own."""
    spans = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as content:
        for line in maps:
            if " rw" not in line:
                continue
            start, end = (int(address, 16) for address in line.split()[0].split("-"))
            content.seek(start)
            try:
                spans.append(content.read(end - start))
            except OSError:
                continue  # of a device, not memory
    return spans


def found(agent: Agent, wanted: dict[str, bytes]) -> set[str]:
    content = memory(agent.process.pid)
    assert sum(map(len, content)) > 2**20
    return {name for name, what in wanted.items() if any(what in span for span in content)}


def left(agent: Agent, wanted: dict[str, bytes], expected: set[str]) -> set[str]:
    """Search until nothing is left but what is expected, or for as long as a hang would take."""
    end = time.monotonic() + GUARD_SECONDS / 10
    while (names := found(agent, wanted)) - expected and time.monotonic() < end:
        time.sleep(0.2)
    return names


def test_nothing_but_the_device_key_is_left_once_somebody_was_let_in(idle_agent: Agent) -> None:
    wanted = live(idle_agent)
    assert {name.split(":")[0] for name in wanted} >= {"S", "point", "embedding", "projection", "picture"}
    assert left(idle_agent, wanted, HELD) == HELD


def test_a_key_that_is_held_on_to_is_found(scenes: Path) -> None:
    with agent_in_temporary_directory(scenes, (sys.executable, str(LEAKY_AGENT), "kept_secret")) as agent:
        assert left(agent, live(agent), {*HELD, "S"}) == {*HELD, "S"}


def test_the_agents_memory_is_locked_where_the_system_allows_it(agent: Agent) -> None:
    # Where it does not, that is said; under the unit it does, as tools.vmtest sees (the story's container forbids it).
    status = Path(f"/proc/{agent.process.pid}/status").read_text()
    size, locked = (int(re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[0]) for name in ("VmRSS", "VmLck"))
    assert (locked >= size) is ("may reach swap" not in agent.log)


def test_under_a_limit_it_starts_and_says_that_memory_may_reach_swap(idle_agent: Agent) -> None:
    # Root could raise the limit again, and so would not be held by it.
    limit = 8 * 2**20
    program = f"import resource; resource.setrlimit = lambda *_: None; resource.getrlimit = lambda _: ({limit},) * 2"
    program += "; from facelatch.daemon import hardening; hardening._is_above_limits = lambda: False"
    idle_agent._program = (sys.executable, "-c", f"{program}; from facelatch.cli import main; main()")
    idle_agent.start()
    assert "may reach swap" in idle_agent.log
