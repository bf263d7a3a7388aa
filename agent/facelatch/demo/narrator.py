# SPDX-License-Identifier: Apache-2.0
"""Prints the story: one line a step, with a mark, its time, and what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click

from facelatch.errors import FacelatchError

Say = Callable[[str], None]

_STEP_WIDTH = 36


class Narrator:
    """Writes to standard output; colours only where that is a terminal."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._done, self._failed = ("✓", "✗") if _can_write("✓✗") else ("ok", "NO")

    @property
    def elapsed(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._start

    def tell(self, text: str = "", *, bold: bool = False) -> None:
        """Print a line."""
        click.echo(click.style(text, bold=bold) if bold else text)

    def aside(self, text: str) -> None:
        """Print a line that belongs to the step above."""
        click.echo(click.style(f"{'':15}{text}", dim=True))

    @contextmanager
    def step(self, what: str) -> Generator[Say]:
        """Time a step and print it when it is over; what the block says stands beside it.

        An error marks the step as failed, with its reason, and goes on.
        """
        start = time.monotonic()
        told: list[str] = []
        try:
            yield told.append
        except BaseException as error:
            self._line(self._failed, "red", start, what, [*told, _reason(error)])
            raise
        self._line(self._done, "green", start, what, told)

    def _line(self, mark: str, colour: str, start: float, what: str, told: list[str]) -> None:
        taken = f"{time.monotonic() - start:6.2f} s"
        text = f"{what:<{_STEP_WIDTH}}  {'; '.join(told)}".rstrip()
        click.echo(f"  {click.style(f'{mark:<2}', fg=colour, bold=True)} {taken}  {text}")


def _reason(error: BaseException) -> str:
    if isinstance(error, FacelatchError):
        return error.problem
    return str(error) or type(error).__name__ if isinstance(error, Exception) else "interrupted"


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
