# SPDX-License-Identifier: Apache-2.0
"""A burst of looks at one face that was never out of sight, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from facelatch.face.detector import Floats

# A look at somebody else has a cosine of about 0, one at the same person above 0.5; turned heads lie between.
_SAME_PERSON = 0.3


class Finding(Enum):
    """What a burst comes to."""

    LIVE = auto()
    SPOOF = auto()
    UNSURE = auto()
    RETRY = auto()


class Reason(Enum):
    """Why a burst says nothing yet."""

    TOO_FEW = "too few looks in a row"
    REPEATED = "the camera repeats its pictures"
    SLOW = "too much time between two looks"
    LEFT = "the face was out of sight"
    JUMPED = "the face jumped, or became another"


@dataclass(frozen=True)
class Verdict:
    """A finding, and why it is ``RETRY`` if it is."""

    finding: Finding
    reason: Reason | None = None


@dataclass(frozen=True)
class Bounds:
    """What is asked of a burst; chosen on nuaa-dev, where live medians lie above 7 and those of prints below -4.

    They lie nearer to the prints than the middle would, 0 being the middle when people are left out in turn: other
    cameras look less alive (docs/liveness.md), and who is in doubt is asked to turn rather than refused.

    Attributes:
        looks: how many in a row are judged; at 15 a second, half a second.
        gap: longest time between two of them, seconds; in more, a face can be exchanged for a picture.
        jump: farthest that a face may move from one to the next, in its own widths.
        live: least median of the looks' log-odds that is taken for live.
        spoof: a single look below it vetoes; when the median is, it is a spoof.
    """

    looks: int = 8
    gap: float = 0.35
    jump: float = 0.5
    live: float = 1.5
    spoof: float = -3.0


class Burst:
    """Gathers looks; whatever breaks the row makes it start over.

    Args:
        bounds: what is asked of it.

    Attributes:
        total: the sum of the embeddings of the looks in the row, (d,) float32; empty where there are none.
    """

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._restart(Reason.TOO_FEW)

    def _restart(self, reason: Reason) -> None:
        self._reason = reason
        self._scores: list[float] = []
        self._points: Floats | None = None
        self._time = 0.0
        self.total: Floats = np.zeros(0, dtype=np.float32)

    @property
    def looks(self) -> int:
        """How many looks there are in the row."""
        return len(self._scores)

    def lost(self) -> None:
        """Take note that a frame showed no face, or not one alone."""
        self._restart(Reason.LEFT)

    def add(self, time: float, score: float, points: Floats, embedding: Floats) -> Reason | None:
        """Take a good look; return why it does not go on from the one before, or None where it does.

        Args:
            time: when the frame was taken, seconds.
            score: log-odds of a live face, as ``AntiSpoof`` gives it.
            points: (468, 3) float32, as ``Landmarks.points``.
            embedding: (d,) float32.
        """
        broken = self._broken(time, points, embedding)
        if broken is Reason.REPEATED:
            # It counts for nothing: some cameras repeat pictures in low light.
            self._reason = broken
            return broken
        if broken is not None:
            self._restart(broken)
        self.total = self.total + embedding if self._scores else embedding
        self._scores.append(score)
        self._points, self._time = points, time
        return broken

    def _broken(self, time: float, points: Floats, embedding: Floats) -> Reason | None:
        if self._points is None:
            return None
        # The networks give the same picture the same points to the last bit; no two pictures of a camera are equal.
        if np.array_equal(points, self._points):
            return Reason.REPEATED
        if time - self._time > self._bounds.gap:
            return Reason.SLOW
        if _jump(self._points, points) > self._bounds.jump or _cosine(self.total, embedding) < _SAME_PERSON:
            return Reason.JUMPED
        return None

    @property
    def vetoed(self) -> bool:
        """Whether one of the last looks was of a picture beyond doubt."""
        return any(score <= self._bounds.spoof for score in self._scores[-self._bounds.looks :])

    @property
    def verdict(self) -> Verdict:
        """What the last looks come to."""
        bounds = self._bounds
        if self.looks < bounds.looks:
            return Verdict(Finding.RETRY, self._reason)
        last = np.array(self._scores[-bounds.looks :])
        median = float(np.median(last))
        if median <= bounds.spoof:
            return Verdict(Finding.SPOOF)
        if median >= bounds.live and not self.vetoed:
            return Verdict(Finding.LIVE)
        return Verdict(Finding.UNSURE)


def _jump(before: Floats, after: Floats) -> float:
    """How far a face moved, or grew, in its own widths."""
    low, high = before[:, :2].min(axis=0), before[:, :2].max(axis=0)
    new_low, new_high = after[:, :2].min(axis=0), after[:, :2].max(axis=0)
    corners = np.abs(np.concatenate([new_low - low, new_high - high]))
    return float(corners.max() / max(float((high - low)[0]), 1.0))


def _cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
