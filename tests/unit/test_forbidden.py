# SPDX-License-Identifier: Apache-2.0
"""That the unit says what forbids each attempt of tests/story/forbidden.py, which the story then makes inside of it."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.story import forbidden
from tests.story.forbidden import ANYONE, ATTEMPTS, NOT_PREVENTED, ROOT

UNIT = Path(__file__).parents[2] / "systemd" / "facelatch.service"


def test_what_forbids_each_attempt_is_in_the_unit() -> None:
    directives = {line.split("=", 1)[0] for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#"}
    assert len(ATTEMPTS) > 40
    for name, one in ATTEMPTS.items():
        assert one.by, name
        assert set(one.by) <= directives, name
        assert one.able in (ANYONE, ROOT)


def test_no_family_of_sockets_is_both_tried_in_vain_and_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(forbidden, "_socket", lambda family, *_: tried.append(family.name))
    for one in ATTEMPTS.values():
        if "RestrictAddressFamilies" in one.by:
            one.do()
    (line,) = re.findall("^RestrictAddressFamilies=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert "AF_INET" in tried
    assert not set(tried) & set(line.split())


@pytest.mark.parametrize(
    "name", ["internet_socket", "read_of_another_process", "memory_to_write_and_run", *NOT_PREVENTED]
)
def test_outside_of_the_sandbox_an_attempt_succeeds(name: str) -> None:
    do = NOT_PREVENTED[name] if name in NOT_PREVENTED else ATTEMPTS[name].do
    assert forbidden._tried(do) == "done"


def test_an_attempt_that_fails_is_told_by_its_error(tmp_path: Path) -> None:
    def refused() -> None:
        (tmp_path / "nothing").unlink()

    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert forbidden._tried(refused) == "ENOENT"
    assert forbidden._tried(killed) == "SIGKILL"
