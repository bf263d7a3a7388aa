# SPDX-License-Identifier: Apache-2.0
"""Time: one core, one thread, warm repeats, and turns for what is to be compared.

On a machine with other work wall times mean little. Of things that take turns the ratio still means something, since
both meet the same load; and processor time does not count what others were given.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Libraries make their threads when they are loaded; this has to be set before.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_DRAWS = 1000


@dataclass(frozen=True)
class Times:
    """What repeats of one thing took.

    Attributes:
        wall: (n,) milliseconds by the clock.
        processor: (n,) milliseconds of processor time of this process, or nothing where another did the work.
    """

    wall: tuple[float, ...]
    processor: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """Median by the clock."""
        return float(np.median(self.wall))

    @property
    def p95(self) -> float:
        """What 95 % of repeats stay within, by the clock."""
        return float(np.quantile(self.wall, 0.95))

    @property
    def busy(self) -> float | None:
        """Median of processor time."""
        return float(np.median(self.processor)) if self.processor else None


def alone() -> None:
    """Bring this program, and all that it starts, to one core and one thread; it is started once more for that."""
    cores = os.sched_getaffinity(0)
    if len(cores) == 1 and ONE_THREAD.items() <= os.environ.items():
        return
    # The last one: the first is where a kernel puts most of its own work.
    os.sched_setaffinity(0, {max(cores)})
    arguments = [sys.executable, "-m", "tools.bench", *sys.argv[1:]]
    os.execve(sys.executable, arguments, {**os.environ, **ONE_THREAD})  # noqa: S606 - this program once more


def once(call: Callable[[], object]) -> tuple[float, float]:
    """Return the milliseconds of one call, by the clock and of processor time."""
    start, busy = time.perf_counter(), time.process_time()
    call()
    return (time.perf_counter() - start) * 1e3, (time.process_time() - busy) * 1e3


def repeat(call: Callable[[], object], repeats: int = 25) -> Times:
    """Time a call, after one that warms up."""
    return turns({"": call}, repeats)[""]


def busy(call: Callable[[], object], repeats: int) -> float:
    """Return a call's median milliseconds of processor time, after one that warms up."""
    return float(np.median(repeat(call, repeats).processor))


def turns(calls: Mapping[str, Callable[[], object]], repeats: int = 25) -> dict[str, Times]:
    """Time calls that take turns, after a round that warms up."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            taken[name].append(once(call))
    return {name: of(pairs) for name, pairs in taken.items()}


def of(pairs: Sequence[tuple[float, float]]) -> Times:
    """Join pairs of wall and processor milliseconds."""
    return Times(tuple(wall for wall, _ in pairs), tuple(busy for _, busy in pairs))


def apart(timed: Callable[[], float], repeats: int) -> Times:
    """Take the times of what tells its own milliseconds, after one that warms up; the work is another process's."""
    timed()
    return Times(tuple(timed() for _ in range(repeats)))


def ratio(longer: Sequence[float], shorter: Sequence[float], seed: int = 1) -> tuple[float, float, float]:
    """Return how many times longer one thing's median is than another's, with the 95 % interval over rounds.

    Args:
        longer: (n,) times of the one.
        shorter: (n,) times of the other, those of one round at the same place.
        seed: of the rounds that are drawn again.
    """
    pairs = np.array([longer, shorter])
    drawn = pairs[:, np.random.default_rng(seed).integers(0, pairs.shape[1], (_DRAWS, pairs.shape[1]))]
    over, under = np.median(drawn, axis=2)
    low, high = np.quantile(over / under, [0.025, 0.975])
    middle = np.median(pairs, axis=1)
    return float(middle[0] / middle[1]), float(low), float(high)
