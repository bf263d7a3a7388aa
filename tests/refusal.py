# SPDX-License-Identifier: Apache-2.0
"""Starts an agent in vain."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.agent import Agent

_RUNTIME_NOTICE = "INFO: Created TensorFlow Lite XNNPACK delegate"  # by the TFLite runtime itself


def refusal(agent: Agent, **environment: str) -> str:
    """Start the agent in vain; return the one line it says, having seen that it left everything as it was."""
    before = snapshot(agent.root)
    result = agent.run(**environment)
    lines = [line for line in result.stderr.splitlines() if not line.startswith(_RUNTIME_NOTICE)]
    assert (result.returncode, result.stdout, len(lines)) == (2, "", 1), result
    assert snapshot(agent.root) == before
    return lines[0]


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time and, where it can be read, content of everything below a directory."""
    return {str(path): _describe(path) for path in [root, *root.rglob("*")]}


def _describe(path: Path) -> tuple[int, int, bytes]:
    status = path.lstat()
    content = b""
    if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK):
        content = path.read_bytes()
    elif stat.S_ISLNK(status.st_mode):
        content = os.fsencode(path.readlink())
    return status.st_mode, status.st_mtime_ns, content
