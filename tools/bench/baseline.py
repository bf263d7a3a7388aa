# SPDX-License-Identifier: Apache-2.0
"""A fixed piece of work to measure others by: how much slower the machine is now and here, they are about as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tools.bench import clock

# About as long each, a millisecond on the development machine: the networks and the decoder are bound by both.
_SIDE = 384
_COPIED = 2**22
_COPIES = 2


def work() -> Callable[[], object]:
    """Return the work: a product of float32 matrices, and copies of some memory beyond the nearest caches."""
    random = np.random.default_rng(1)
    left, right = random.random((2, _SIDE, _SIDE), dtype=np.float32)
    product = np.empty_like(left)
    source = random.integers(0, 256, _COPIED, dtype=np.uint8)
    target = np.empty_like(source)

    def call() -> None:
        np.matmul(left, right, out=product)
        for _ in range(_COPIES):
            np.copyto(target, source)

    return call


def ratios(calls: Mapping[str, Callable[[], object]], repeats: int, advance: Callable[[], None]) -> dict[str, float]:
    """Return how many times the baseline's processor time each call takes, the median over rounds.

    In every round the baseline runs just before each call. Processor time does not count what others were given.

    Args:
        calls: by name.
        repeats: rounds, after one that warms up.
        advance: called after each call's rounds.
    """
    fixed = work()
    found = {}
    for name, call in calls.items():
        clock.turns({"baseline": fixed, name: call}, 1)
        pairs = [(clock.once(fixed)[1], clock.once(call)[1]) for _ in range(repeats)]
        found[name] = float(np.median([taken / base for base, taken in pairs]))
        advance()
    return found
