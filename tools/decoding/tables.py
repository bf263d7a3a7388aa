# SPDX-License-Identifier: Apache-2.0
"""Tables as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import click

Item = TypeVar("Item")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: one line, with what the figures mean.
        columns: their heads.
        rows: as many cells as columns each.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join([self.title, "", *("| " + " | ".join(line) + " |" for line in lines), ""])


def watched(items: Sequence[Item], label: str) -> Iterator[Item]:
    """Yield the items under a progress bar."""
    with click.progressbar(items, label=label) as bar:
        yield from bar
