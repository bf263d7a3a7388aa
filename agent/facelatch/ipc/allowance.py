# SPDX-License-Identifier: Apache-2.0
"""How often one user may have the agent: a token bucket that may be overdrawn, and has then to be waited for."""

from __future__ import annotations

from collections.abc import Callable


class Allowance:
    """The turns that a user has left, on all connections together; they come back steadily.

    Args:
        per_second: turns that come back.
        at_once: the most there are.
        clock: seconds, that never go back.
    """

    def __init__(self, per_second: float, at_once: int, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._clock = clock
        self._left = float(at_once)
        self._counted = clock()

    @property
    def is_full(self) -> bool:
        """Whether it is as good as new: nothing was spent, or all of it has come back."""
        self._count()
        return self._left == self._at_once

    def spend(self) -> float:
        """Take a turn, on credit if none is left; return for how many seconds no other may follow.

        What was done cannot be undone, so a turn is always given; whoever owes some rests until they have come back.
        """
        self._count()
        self._left -= 1
        return max(0.0, -self._left / self._per_second)

    def spend_if_any(self) -> bool:
        """Take a turn if one is left. One that is not had costs nothing, or whoever knocks on would never be let in."""
        self._count()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _count(self) -> None:
        now = self._clock()
        self._left = min(self._at_once, self._left + self._per_second * (now - self._counted))
        self._counted = now
