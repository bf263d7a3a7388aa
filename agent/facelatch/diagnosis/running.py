# SPDX-License-Identifier: Apache-2.0
"""The agent that runs."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from pathlib import Path

from asyncvarlink import VarlinkErrorReply

from facelatch import __version__
from facelatch.diagnosis.finding import AS_ROOT, Finding, State
from facelatch.errors import AgentUnreachableError
from facelatch.ipc.client import connect
from facelatch.ipc.interface import StatusInterface
from facelatch.ipc.peer import Peer

ANSWER_SECONDS = 5.0
"""Longest wait for the agent's answer, which takes milliseconds."""

_INIT = 1
_UNIT = "facelatch.service"


def find_agent(runtime: Path) -> Peer | None:
    """Return the process that listens on the status socket, or None where nobody does or we may not ask."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(runtime / "status.sock"))
            peer = Peer.of(connection)
        except OSError:
            return None
    # With socket activation it is systemd that listens.
    return _main_process() if peer.pid == _INIT else peer


def _main_process() -> Peer | None:
    """Ask systemd for the agent's process, and /proc whose it is."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return None
    command = [systemctl, "show", "--value", "--property=MainPID", _UNIT]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS)  # noqa: S603 - our own unit
        pid = int(answer.stdout)
        # Not the owner of its folder in /proc: that is root, since the agent forbids core dumps.
        status = Path("/proc", str(pid), "status").read_text()
        uid, gid = (int(re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0]) for name in ("Uid", "Gid"))
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None
    return Peer(pid, uid, gid, frozenset())


def check_agent(runtime: Path) -> Finding:
    """Ask the agent how it is."""
    try:
        version = asyncio.run(asyncio.wait_for(_ask_version(runtime / "status.sock"), ANSWER_SECONDS))
    except AgentUnreachableError as error:
        return Finding("agent", State.MISSING, error.problem, error.remedy)
    except TimeoutError:
        return Finding("agent", State.FAILED, f"the agent at {runtime} does not answer", "restart the agent")
    except VarlinkErrorReply as error:
        detail = f"the agent answers {error.name.rsplit('.', 1)[-1]}"
        return Finding("agent", State.FAILED, detail, "look into its journal")
    if version != __version__:
        return Finding(
            "agent", State.FAILED, f"version {version} runs, {__version__} is installed", "restart the agent"
        )
    return Finding("agent", State.OK, f"version {version} answers")


async def _ask_version(path: Path) -> str:
    async with connect(StatusInterface, path) as status:
        return (await status.GetStatus())["version"]


def check_core_dumps(agent: Peer | None, proc: Path = Path("/proc")) -> Finding:
    """See that a crash of the agent leaves no picture of its memory, which has keys in it."""
    if agent is None:
        return Finding("core dumps", State.WEAK, "cannot tell while no agent runs", "start the agent")
    try:
        limits = (proc / str(agent.pid) / "limits").read_text()
    except OSError:
        return Finding("core dumps", State.WEAK, "this user may not see the agent's limits", AS_ROOT)
    if re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE):
        return Finding("core dumps", State.OK, "forbidden to the agent")
    return Finding("core dumps", State.FAILED, "the agent may dump core", "put `LimitCORE=0` into its unit")
