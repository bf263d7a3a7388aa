# SPDX-License-Identifier: Apache-2.0
"""How a story is told: a line for each chapter, and what is kept where one does not hold."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tools.vmtest.image import KEPT
from tools.vmtest.machine import Guest


def tell(what: str, chapter: Callable[[], str | None]) -> None:
    """Go through a chapter, then say what holds, how long it took, and what was found on the way."""
    begun = time.monotonic()
    watched = sys.stdout.isatty()
    if watched:
        click.echo(f"   ...      {what}\r", nl=False)
    found = chapter()
    click.echo(f"ok {time.monotonic() - begun:6.1f} s  {what}{f'  [{found}]' if found else ''}")


@contextmanager
def ending(machine: Guest, folder: Path) -> Iterator[None]:
    """End a machine in any case; where a chapter fails, keep its screen, its console and its journal.

    Args:
        machine: the machine.
        folder: where its ``console.log`` is.
    """
    try:
        yield
    except BaseException:
        picture, log, journal = KEPT / "failed.png", KEPT / "failed.log", KEPT / "failed.journal"
        for path in (picture, log, journal):
            path.unlink(missing_ok=True)
        machine.picture(picture)
        machine.journal(journal)
        if (folder / "console.log").exists():
            log.write_bytes((folder / "console.log").read_bytes())
        click.echo(f"\nNOT so. The screen: {picture}; the console: {log}; the journal: {journal}")
        raise
    finally:
        machine.pull_the_plug()
