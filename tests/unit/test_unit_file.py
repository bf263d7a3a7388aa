# SPDX-License-Identifier: Apache-2.0
"""The systemd unit by systemd's own judgement."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from facelatch.config import Config
from facelatch.daemon.run import AGENT_SOCKET, STATUS_SOCKET

DEFAULT_RUNTIME = Config().runtime
UNIT = Path(__file__).parents[2] / "systemd" / "facelatch.service"
# Tenths of systemd's exposure level; its own band "safe" ends at 1.0.
THRESHOLD = 10


def exposure_is_low(unit: Path) -> bool:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    command = [analyze, "security", "--offline=yes", f"--threshold={THRESHOLD}", str(unit)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own file


def test_exposure_is_in_the_safe_band() -> None:
    assert exposure_is_low(UNIT)


def test_without_its_sandbox_it_would_not_be(tmp_path: Path) -> None:
    bare = tmp_path / "bare.service"
    bare.write_text(UNIT.read_text().split("CapabilityBoundingSet=")[0])
    assert not exposure_is_low(bare)


def test_the_sandbox_keeps_what_the_agent_lives_by() -> None:
    """Each of these lowers the exposure and breaks the agent; each of the others was asked for by name."""
    lines = UNIT.read_text().splitlines()
    assert not [line for line in lines if line.startswith(("PrivateUsers=", "RuntimeDirectory=", "ProcSubset="))]
    for line in (
        "MemoryDenyWriteExecute=yes",
        "AssertPathIsMountPoint=/var/lib/facelatch",
        "Type=notify",
        "LimitCORE=0",
        "RestrictAddressFamilies=AF_UNIX AF_NETLINK",
        "DeviceAllow=char-dma_heap rw",
    ):
        assert line in lines


@pytest.mark.parametrize("name", ["agent", "status"])
def test_sockets_have_the_names_that_the_agent_asks_for(name: str) -> None:
    socket = (UNIT.parent / f"facelatch-{name}.socket").read_text().splitlines()
    assert f"ListenStream={DEFAULT_RUNTIME}/{name}.sock" in socket
    assert f"FileDescriptorName={name}.sock" in socket
    assert f"{name}.sock" in (AGENT_SOCKET, STATUS_SOCKET)
    assert "AssertPathIsMountPoint=/var/lib/facelatch" in socket
