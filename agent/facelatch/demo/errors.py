# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with the demo itself."""

from __future__ import annotations

from facelatch.errors import FacelatchError


class PortraitError(FacelatchError):
    """The portrait is missing, or is not the picture that the demo was made with."""


class DemoError(FacelatchError):
    """A step did not go as told."""


def expect(holds: bool, problem: str, remedy: str = "see the agent's log below, and report this as a bug") -> None:
    """Require that a step went as told.

    Raises:
        DemoError: it did not.
    """
    if not holds:
        raise DemoError(problem, remedy)
