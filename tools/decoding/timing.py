# SPDX-License-Identifier: Apache-2.0
"""What a decode costs, in processor time: unlike wall time it bears a busy machine, and counts every thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.extractor import MAX_CANDIDATES
from tools.decoding.noise import Floats

USERS = (1, 10, 100, 1000)
# Noise of a good match, in sides of the cell.
GENUINE = 0.16


def targets(users: int, k: int, side: float, *, genuine: bool, seed: int = 3) -> Floats:
    """Draw (users, k) targets: near a lattice point, or anywhere, as those of unrelated faces are."""
    rng = np.random.default_rng(seed)
    if genuine:
        return rng.normal(0, GENUINE * side, (users, k))
    # A cube as wide as 100 cells leaves no trace of its edges.
    return rng.uniform(-50 * side, 50 * side, (users, k))


def clock(decode: Decoder, k: int, side: float, radius: Callable[[int], float]) -> Iterator[list[str]]:
    """Yield a row for each kind of target: median milliseconds at each of USERS.

    Args:
        decode: the decoder, of k dimensions.
        k: of a target.
        side: the cell's, in lattice units.
        radius: of acceptance among so many users, in sides.
    """
    for genuine in (True, False):
        row = ["genuine" if genuine else "unrelated"]
        for users in USERS:
            drawn = targets(users, k, side, genuine=genuine)
            row.append(f"{1000 * _median(decode, drawn, radius(users) * side):.1f}")
        yield row


def _median(decode: Decoder, drawn: Floats, radius: float) -> float:
    decode(drawn[:1], radius, MAX_CANDIDATES)
    repeats = max(3, min(40, 400 // len(drawn)))
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        decode(drawn, radius, MAX_CANDIDATES)
        spent.append(time.process_time() - start)
    return float(np.median(spent))
