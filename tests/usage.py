# SPDX-License-Identifier: Apache-2.0
"""What a process holds: memory, descriptors, threads. For root, since the agent hides its memory from everyone else."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_KIB = 1024
_WINDOWS = 10
_PRIVATE = re.compile(r"^Private_(?:Clean|Dirty): +(\d+) kB$", re.MULTILINE)
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """At one moment.

    Attributes:
        memory: bytes that are this process's alone (USS).
        descriptors: open ones.
        threads: of them all.
        seconds: processor time used so far.
    """

    memory: int
    descriptors: int
    threads: int
    seconds: float


def usage(pid: int) -> Usage:
    """Look at a process."""
    process = Path(f"/proc/{pid}")
    memory = _KIB * sum(map(int, _PRIVATE.findall((process / "smaps_rollup").read_text())))
    # The name of the program, which may hold anything, ends at the last bracket.
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / _TICKS
    return Usage(memory, _entries(process / "fd"), _entries(process / "task"), seconds)


def _entries(folder: Path) -> int:
    return len(list(folder.iterdir()))


def growth(values: Sequence[float]) -> float:
    """Return by how much values, taken at even distances, grow from first to last.

    By the median of the slopes between all pairs (Theil and Sen), which a few outliers do not move.
    """
    y = np.asarray(values, dtype=np.float64)
    first, second = np.triu_indices(len(y), 1)
    return float(np.median((y[second] - y[first]) / (second - first))) * (len(y) - 1)


def lows(values: Sequence[float]) -> list[float]:
    """Return the lowest of each tenth of a row; of a short row, the row.

    The C library keeps some of what was freed, a dozen megabytes at times, for minutes or half an hour, and then gives
    it back. That comes and goes above what is held; what leaks is held, and raises the lowest.
    """
    return [min(tenth) for tenth in np.array_split(np.asarray(values, dtype=np.float64), min(_WINDOWS, len(values)))]


def leaks(samples: Sequence[Usage], memory: float) -> list[str]:
    """Name what grows over a row of samples.

    Args:
        samples: of the agent at rest, at even distances, once it has settled; two at least.
        memory: bytes by which it may grow over all of them.
    """
    found = []
    grown = growth(lows([sample.memory for sample in samples]))
    if grown > memory:
        found.append(f"memory: {grown / 2**20:.2f} MB")
    for what in ("descriptors", "threads"):
        # They are whole numbers and end where they began; what comes and goes has a median slope of nothing.
        more = growth([getattr(sample, what) for sample in samples])
        if more >= 1:
            found.append(f"{what}: {more:.0f}")
    return found
