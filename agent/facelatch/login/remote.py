# SPDX-License-Identifier: Apache-2.0
"""Whether whoever logs in sits at the device. A face before its camera says nothing about somebody at the far end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_PROC = Path("/proc/self")
_LOGIND = Path("/run/systemd")
_SCOPE = re.compile(r"/session-([^/\s]+)\.scope")
# What the kernel has for a process that no login led to: a console's or a display's own login.
_NO_LOGIN = "4294967295"


def why_not_here(environment: Mapping[str, str], *, proc: Path = _PROC, logind: Path = _LOGIND) -> str | None:
    """Say why the login may be a remote one, or None where it is local.

    Args:
        environment: PAM's items, as pam_exec gives them.
        proc: what the kernel tells of this process.
        logind: what logind tells of sessions.
    """
    if environment.get("PAM_RHOST"):
        return "it comes from another host"
    try:
        for session in _sessions(proc, logind):
            if _field(logind / "sessions" / session, "REMOTE") != "0":
                return "it belongs to a remote session"
    except OSError:
        return "its session is not known"
    return None


def _sessions(proc: Path, logind: Path) -> Iterator[str]:
    """Name the session of the process, or all of its user's where it runs in none, as a desktop's programs do."""
    scope = _SCOPE.search((proc / "cgroup").read_text())
    if scope is not None:
        yield scope[1]
        return
    login = (proc / "loginuid").read_text().strip()
    if login != _NO_LOGIN:
        yield from _field(logind / "users" / login, "SESSIONS").split()


def _field(path: Path, name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", path.read_text(), re.MULTILINE)
    return "" if found is None else found[1].strip('"')
