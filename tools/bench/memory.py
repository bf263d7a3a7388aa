# SPDX-License-Identifier: Apache-2.0
"""What a process holds, from /proc. It loads nothing that would count itself."""

from __future__ import annotations

from pathlib import Path


def resident(pid: int | str = "self", field: str = "VmRSS") -> float:
    """Return megabytes of a process by the kernel's count: VmRSS now, VmHWM at the peak."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(round(int(line.split()[1]) / 1000, 1) for line in lines if line.startswith(f"{field}:"))
