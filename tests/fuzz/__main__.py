# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.fuzz TARGET|all [--runs N]`: needs atheris (extra ``fuzz``, x86-64 only)."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from tests.fuzz import campaign
from tests.fuzz.planted import PLANTED
from tests.fuzz.targets import TARGETS

_HEAD = "date\tcommit\ttarget\texecutions\tcoverage, edges\tfinding\n"


@click.command()
@click.argument("name", metavar="TARGET|all", type=click.Choice([*TARGETS, "all"]))
@click.option("--runs", default=100_000, show_default=True, help="Inputs to try on each target.")
@click.option(
    "--work", type=click.Path(path_type=Path), default=Path("build/fuzz"), help="What is found new stays here."
)
@click.option("--note", type=click.Path(path_type=Path), help="File to add a line to for each run.")
@click.option("--minimise", is_flag=True, help="Make the corpus in the tree anew from what was found, and try nothing.")
@click.option("--planted", is_flag=True, help="Look for a planted fault instead: the control.")
def main(name: str, runs: int, work: Path, note: Path | None, minimise: bool, planted: bool) -> None:
    """Give readers of bytes what nobody meant; exit with 1 where one of them fails at it."""
    failed = False
    for target in TARGETS.values() if name == "all" else [TARGETS[name]]:
        if minimise:
            click.echo(f"{target.name}: {campaign.minimise(target, work / target.name)} inputs kept")
            continue
        if planted:
            outcome = campaign.hunt(target, PLANTED[target.name])
            failed |= outcome.finding is None or outcome.executions == 0
        else:
            with click.progressbar(length=runs, label=target.name, file=sys.stderr) as bar:
                outcome = campaign.fuzz(target, runs, work / target.name, partial(_show, bar))
            failed |= outcome.finding is not None
        finding = outcome.finding or "none"
        click.echo(f"{target.name}: {outcome.executions} executions, {outcome.coverage} edges, finding: {finding}")
        if note is not None:
            _note(note, f"{target.name}\t{outcome.executions}\t{outcome.coverage}\t{finding}\n")
    sys.exit(failed)


def _show(bar: Any, done: int) -> None:
    bar.update(done - bar.pos)


def _note(path: Path, line: str) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
    if not path.exists():
        path.write_text(_HEAD)
    with path.open("a") as file:
        file.write(f"{datetime.now(UTC):%Y-%m-%d}\t{commit.stdout.strip()}\t{line}")


if __name__ == "__main__":
    main()
