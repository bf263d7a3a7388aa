# SPDX-License-Identifier: Apache-2.0
"""A turn of the head that was asked for: which way, and whether it was made by a head."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from statistics import median

from facelatch.face.detector import Floats
from facelatch.face.liveness.geometry import parallax, turned


class Side(IntEnum):
    """The person's own; the sign is that of ``geometry.turned``."""

    RIGHT = -1
    LEFT = 1


@dataclass(frozen=True)
class Turn:
    """What a turn must show; measured on turned sheets and heads, docs/liveness.md.

    Attributes:
        least: how far the nose goes to the side asked for, in eye distances. A flat sheet turned by 40 degrees
            has 0.08.
        parallax: least residual of a homography, in percent. A flat sheet turned by 40 degrees has 6.
        looks: how many must show both: one may be a slip of the network.
        rest: how many looks tell how the head is held before it turns.
    """

    least: float = 0.25
    parallax: float = 13.0
    looks: int = 2
    rest: int = 4


class Challenge:
    """Watches a turn to one side.

    Args:
        side: which side is asked for.
        turn: what the turn must show.
    """

    def __init__(self, side: Side, turn: Turn | None = None) -> None:
        self.side = side
        self._turn = turn or Turn()
        self.restart()

    def restart(self) -> None:
        """Forget what was seen: the row of looks has broken."""
        self._rest: deque[Floats] = deque(maxlen=self._turn.rest)
        self._seen = 0
        self._between = False

    def add(self, points: Floats) -> bool:
        """Take a look, (468, 3) float32, that goes on from the one before; tell whether the turn was made."""
        turn = self._turn
        if len(self._rest) < turn.rest:
            self._rest.append(points)
            return False
        rest = median(turned(before) for before in self._rest)
        gone = self.side * (turned(points) - rest)
        if gone < turn.least:
            # A head passes through where it goes; a picture of a turned one that is put there does not.
            self._between |= gone > turn.least / 4
            self._seen = 0
            return False
        if parallax(self._rest[-1], points) >= turn.parallax:
            self._seen += 1
        return self._between and self._seen >= turn.looks
