# SPDX-License-Identifier: Apache-2.0
"""The stages of an enrolment: so many looks of each pose, as far as the person goes along with it.

Looks of one pose alone make a record that opens badly in any other. But whoever cannot turn their head, or does not
understand what is asked, is to be enrolled all the same: so there is a bound to the asking, and none to the answer.
"""

from __future__ import annotations

from collections import Counter
from statistics import median

from facelatch.face.pose import Attitude, Pose, pose


class Stages:
    """Decides which good looks of one enrolment count.

    Args:
        looks: how many are wanted in all.
        patience: how many good looks may be passed over, in all, while another pose is asked for.
    """

    def __init__(self, looks: int, patience: int) -> None:
        self._share = -(-looks // len(Pose))
        self._patience = patience
        self._first: list[Attitude] = []
        self._taken: Counter[Pose] = Counter()

    def takes(self, attitude: Attitude) -> bool:
        """Tell whether the next good look counts. If not, there are enough of its pose: ask for another."""
        seen = self._pose(attitude)
        if self._taken[seen] >= self._share and self._patience > 0:
            self._patience -= 1
            return False
        self._taken[seen] += 1
        return True

    def _pose(self, attitude: Attitude) -> Pose:
        """Judge by the first looks, taken before anything was asked for; they themselves are straight ahead."""
        if len(self._first) < self._share:
            self._first.append(attitude)
            return Pose.AHEAD
        yaws, pitches = zip(*self._first, strict=True)
        return pose(attitude, Attitude(median(yaws), median(pitches)))
