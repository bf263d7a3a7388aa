# SPDX-License-Identifier: Apache-2.0
"""Local and remote logins are told apart by what the kernel and logind say; in doubt a login is remote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from facelatch.login.remote import why_not_here

CONSOLE = ("0::/system.slice/system-getty.slice/getty@tty1.service\n", "4294967295")
SESSION = ("0::/user.slice/user-1000.slice/session-3.scope\n", "1000")
OLD_SESSION = ("1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n0::/\n", "1000")
DESKTOP = ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope\n", "1000")
HERE, FAR = "UID=1000\nREMOTE=0\nACTIVE=1\n", "UID=1000\nREMOTE=1\nREMOTE_HOST=198.51.100.7\n"


def verdict(
    tmp_path: Path, process: tuple[str, str], sessions: Mapping[str, str], environment: Mapping[str, str] | None = None
) -> str | None:
    proc, logind = tmp_path / "proc", tmp_path / "logind"
    for folder in (proc, logind / "sessions", logind / "users"):
        folder.mkdir(parents=True)
    (proc / "cgroup").write_text(process[0])
    (proc / "loginuid").write_text(process[1])
    for name, text in sessions.items():
        (logind / "sessions" / name).write_text(text)
    if sessions:
        (logind / "users" / "1000").write_text(f"NAME=anna\nSESSIONS={' '.join(sessions)}\n")
    return why_not_here(environment or {}, proc=proc, logind=logind)


@pytest.mark.parametrize(
    ("process", "sessions"),
    [
        (CONSOLE, {}),
        (CONSOLE, {"3": FAR}),
        (SESSION, {"3": HERE, "4": FAR}),
        (OLD_SESSION, {"3": HERE}),
        (DESKTOP, {"c2": HERE, "3": HERE}),
    ],
)
def test_local(tmp_path: Path, process: tuple[str, str], sessions: dict[str, str]) -> None:
    assert verdict(tmp_path, process, sessions) is None


@pytest.mark.parametrize(
    ("process", "sessions"),
    [
        (SESSION, {"3": FAR, "4": HERE}),
        (OLD_SESSION, {"3": FAR}),
        (DESKTOP, {"c2": HERE, "3": FAR}),  # it may have been started from either
        (SESSION, {"4": HERE}),
        (SESSION, {"3": "UID=1000\n"}),
        (DESKTOP, {}),
    ],
)
def test_remote_or_in_doubt(tmp_path: Path, process: tuple[str, str], sessions: dict[str, str]) -> None:
    assert verdict(tmp_path, process, sessions) is not None


def test_a_host_that_pam_names_is_enough(tmp_path: Path) -> None:
    assert verdict(tmp_path, CONSOLE, {}, {"PAM_RHOST": "localhost"}) is not None


def test_where_the_kernel_says_nothing_it_is_remote(tmp_path: Path) -> None:
    assert why_not_here({}, proc=tmp_path, logind=tmp_path) is not None
