# SPDX-License-Identifier: Apache-2.0
"""What is found when one thing is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from facelatch.errors import FacelatchError

AS_ROOT = "run this as root to know"
"""The remedy for what this user may not see."""


class State(StrEnum):
    """How something is (the words of the socket's ``ComponentState``)."""

    OK = "ok"
    WEAK = "weak"
    MISSING = "missing"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Attributes:
        name: of the thing, for people.
        state: how it is.
        detail: what was seen.
        remedy: what to do about it; empty where there is nothing to do.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        """Give it as one line."""
        line = f"{self.state:<8} {self.name:<14} {self.detail}"
        return f"{line}: {self.remedy}" if self.remedy else line

    @property
    def serious(self) -> bool:
        """Whether the agent cannot do its work like this."""
        return self.state in (State.MISSING, State.FAILED)


def failed(name: str, error: FacelatchError) -> Finding:
    """Turn an error into what was found."""
    return Finding(name, State.FAILED, error.problem, error.remedy)
