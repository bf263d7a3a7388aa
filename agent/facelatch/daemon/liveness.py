# SPDX-License-Identifier: Apache-2.0
"""The liveness policy: when a burst is enough, when a turn of the head is asked for, and when it is too late."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum, auto

from facelatch.face.detector import Floats
from facelatch.face.liveness import Burst, Challenge, Finding, Reason, Side
from facelatch.face.path import Look
from facelatch.face.quality import Hint

CHALLENGE_SECONDS = 5.0
"""Time to turn the head once asked: to read the hint, turn and hold."""

TURN_DEGREES = 25
"""What is asked for: about what ``challenge.Turn.least`` is."""

_OUT_OF_SIGHT = (Hint.NO_FACE, Hint.SEVERAL_FACES)


class Step(Enum):
    """What a look has led to."""

    WAIT = auto()
    TURN = auto()
    RETRY = auto()
    LIVE = auto()
    SPOOF = auto()


@dataclass(frozen=True)
class Turn:
    """The head is to be turned; a report to whoever asked."""

    side: Side

    @property
    def degrees(self) -> int:
        """How far, to the person's left; below zero to the right."""
        return TURN_DEGREES * self.side


class Watch:
    """Judges the looks of one attempt.

    Each look that is used for the key must be one of the burst that was found live: so a live face cannot lend its
    liveness to a picture that is put in its place.

    Args:
        asks: whether who looks neither live nor like a picture is asked to turn; else they are taken for live.
    """

    def __init__(self, *, asks: bool = True) -> None:
        self._asks = asks
        self._burst = Burst()
        self._challenge: Challenge | None = None
        self._until = 0.0
        self._answered = False

    @property
    def turn(self) -> Turn | None:
        """What is asked of the person and not done yet."""
        return None if self._challenge is None or self._answered else Turn(self._challenge.side)

    @property
    def total(self) -> Floats:
        """The sum of the embeddings of the burst, (d,) float32."""
        return self._burst.total

    @property
    def reason(self) -> str:
        """Why there is no verdict yet, for the log; empty where there is one."""
        reason = self._burst.verdict.reason
        return "" if reason is None else reason.value

    def missed(self, hint: Hint | None) -> None:
        """Take note of a frame that did not count."""
        if hint in _OUT_OF_SIGHT:
            self._burst.lost()
            self._restart()

    def see(self, look: Look, time: float) -> Step:
        """Take a good look at a time in seconds, and say what it has led to."""
        if look.embedding is None or look.points is None or look.live is None:
            return Step.WAIT
        broken = self._burst.add(time, look.live, look.points, look.embedding)
        if broken is Reason.REPEATED:
            return Step.WAIT
        if broken is not None:
            self._restart()
        if self._challenge is not None and not self._answered and time > self._until:
            return Step.SPOOF
        verdict = self._burst.verdict
        if verdict.finding is Finding.RETRY:
            return Step.WAIT if broken is None else Step.RETRY
        if verdict.finding is Finding.SPOOF:
            return Step.SPOOF
        if self._challenge is None:
            if verdict.finding is Finding.LIVE or not self._asks:
                return Step.LIVE
            self._challenge = Challenge(secrets.choice(list(Side)))
            self._until = time + CHALLENGE_SECONDS
        elif not self._answered:
            self._answered = self._challenge.add(look.points)
        return Step.LIVE if self._answered and not self._burst.vetoed else Step.TURN

    def _restart(self) -> None:
        # What was asked for stays asked for, the same side and the same time: else whoever breaks the row chooses both.
        self._answered = False
        if self._challenge is not None:
            self._challenge.restart()
