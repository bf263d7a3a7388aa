# SPDX-License-Identifier: Apache-2.0
"""A fixed piece of work to measure others by: how much slower the machine is now and here, they are about as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tools.bench import clock

# About a millisecond each on the development machine. The networks are bound by the first, pictures by the second, and
# the decoder by the third: a baseline of the first alone let its ratio stray by a half beside other work.
_SIDE = 288
_COPIED, _COPIES = 2**22, 2
_STEPS, _BEAM, _TAKEN = 150, (16, 64), 256


def work() -> Callable[[], object]:
    """Return the work: a product of float32 matrices, copies beyond the nearest caches, many steps on small arrays."""
    random = np.random.default_rng(1)
    left, right = random.random((2, _SIDE, _SIDE), dtype=np.float32)
    product = np.empty_like(left)
    source = random.integers(0, 256, _COPIED, dtype=np.uint8)
    target = np.empty_like(source)
    small = random.random(_BEAM)
    chosen = random.integers(0, small.size, (_STEPS, _TAKEN))

    def call() -> None:
        np.matmul(left, right, out=product)
        for _ in range(_COPIES):
            np.copyto(target, source)
        for rows in chosen:
            (small.take(rows) * 1.5).argmin()
            small + 1.0

    return call


def ratios(calls: Mapping[str, Callable[[], object]], repeats: int, advance: Callable[[], None]) -> dict[str, float]:
    """Return how many times the baseline's processor time each call takes, the median over rounds.

    In every round the baseline runs just before each call. Processor time does not count what others were given.

    Args:
        calls: by name, none of them much shorter than the baseline: what is short is mostly the caches' state.
        repeats: rounds, after one that warms up.
        advance: called after each call's rounds.
    """
    fixed = work()
    found = {}
    for name, call in calls.items():
        clock.turns({"baseline": fixed, "call": call}, 1)
        pairs = [(clock.once(fixed)[1], clock.once(call)[1]) for _ in range(repeats)]
        found[name] = float(np.median([taken / base for base, taken in pairs]))
        advance()
    return found
