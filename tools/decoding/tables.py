# SPDX-License-Identifier: Apache-2.0
"""Tables as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
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

    def html(self) -> str:
        """Return it as HTML."""
        head = "".join(f"<th>{escape(column)}" for column in self.columns)
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}' for cell in row)}" for row in self.rows)
        return f'<p class="soft">{escape(self.title)}</p><table><tr>{head}{rows}</table>'


def watched(items: Sequence[Item], label: str) -> Iterator[Item]:
    """Yield the items under a progress bar."""
    with click.progressbar(items, label=label) as bar:
        yield from bar
