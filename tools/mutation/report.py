# SPDX-License-Identifier: Apache-2.0
"""How many mutants were killed, and which were not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.mutation.mutants import Mutant
from tools.mutation.subjects import Subject
from tools.mutation.trial import Outcome


@dataclass
class Tally:
    """What became of a module's mutants."""

    subject: Subject
    outcomes: list[tuple[Mutant, Outcome]] = field(default_factory=list)

    def note(self, mutant: Mutant, outcome: Outcome) -> None:
        """Add one."""
        self.outcomes.append((mutant, outcome))

    @property
    def tried(self) -> int:
        """How many there were."""
        return len(self.outcomes)

    @property
    def survivors(self) -> list[Mutant]:
        """Those that nothing noticed."""
        return [mutant for mutant, outcome in self.outcomes if outcome is Outcome.SURVIVED]

    @property
    def stuck(self) -> int:
        """How many were killed for not coming to an end."""
        return sum(outcome is Outcome.STUCK for _, outcome in self.outcomes)

    @property
    def killed(self) -> int:
        """How many were noticed, the stuck included."""
        return self.tried - len(self.survivors)


def report(tallies: Sequence[Tally]) -> str:
    """Write a line for each module, then a line for each survivor."""
    lines = [_line(tally.subject.name, tally.killed, tally.tried, tally.stuck) for tally in tallies]
    for title, chosen in (("core", [t for t in tallies if t.subject.core]), ("all", list(tallies))):
        if len(chosen) > 1:
            lines.append(
                _line(title, *(sum(n) for n in zip(*((t.killed, t.tried, t.stuck) for t in chosen), strict=True)))
            )
    survivors = [
        f"{tally.subject.name}:{mutant.line}: {mutant.change}" for tally in tallies for mutant in tally.survivors
    ]
    return "\n".join([*lines, "", "survivors:" if survivors else "no survivors", *survivors])


def _line(name: str, killed: int, tried: int, stuck: int) -> str:
    share = 100 * killed / tried if tried else 100.0
    return f"{name:20} {killed:4} of {tried:4} killed, {share:5.1f} %" + (f" ({stuck} stuck)" if stuck else "")
