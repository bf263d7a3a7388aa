# SPDX-License-Identifier: Apache-2.0
"""Master faces: probes made to come near as many enrolments as possible, learnt on people other than those attacked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tools.redteam.beliefs import Floats

# Steps of the climb, their length in within-person deviations, and the width of the edge that it feels, first and last.
_STEPS = 150
_LENGTH = 0.4
_EDGES = (4.0, 0.5)


def climb(starts: Floats, enrolled: Floats, radius: float) -> Floats:
    """Move probes so that more enrolments lie within the radius of each.

    The count is smoothed by a logistic edge, which is wide at first and then narrows.

    Args:
        starts: (s, k).
        enrolled: (n, k) of people the attacker knows.
        radius: of a match.

    Returns:
        (s, k) where they ended.
    """
    probes = starts.copy()
    for edge in np.geomspace(*_EDGES, _STEPS):
        apart = enrolled[None] - probes[:, None]
        distance = np.maximum(np.linalg.norm(apart, axis=-1), np.finfo(np.float64).tiny)
        inside = 1 / (1 + np.exp(np.clip((distance - radius) / edge, -50, 50)))
        pull = (inside * (1 - inside) / distance)[..., None] * apart
        slope = pull.sum(axis=1)
        length = np.linalg.norm(slope, axis=1, keepdims=True)
        probes += _LENGTH * slope / np.maximum(length, np.finfo(np.float64).tiny)
    return probes


def best(probes: Floats, enrolled: Floats, radius: float, count: int) -> npt.NDArray[np.intp]:
    """Choose probes one after the other, each the one with the most enrolments in reach that none before has.

    Of probes that reach alike many, the one nearest to the rest is taken: it reaches more of those not known.

    Args:
        probes: (s, k).
        enrolled: (n, k).
        radius: of a match.
        count: to choose.
    """
    distance = np.linalg.norm(enrolled[None] - probes[:, None], axis=-1)
    left = np.ones(len(enrolled), dtype=np.bool_)
    chosen: list[int] = []
    for _ in range(min(count, len(probes))):
        reached = np.count_nonzero((distance <= radius) & left, axis=1)
        rest = distance[:, left].mean(axis=1) if left.any() else distance.mean(axis=1)
        order = np.lexsort((rest, -reached))
        pick = next(int(index) for index in order if index not in chosen)
        chosen.append(pick)
        left &= distance[pick] > radius
    return np.array(chosen, dtype=np.intp)
