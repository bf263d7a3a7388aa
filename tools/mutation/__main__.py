# SPDX-License-Identifier: Apache-2.0
"""Puts faults into the pure modules, one at a time, and tells which of them no test notices.

python -m tools.mutation                                  # all, about an hour on one core
python -m tools.mutation vault.lockout --report FILE      # one module
"""

from __future__ import annotations

import ast
from pathlib import Path

import click

from tools.decoding.tables import watched
from tools.mutation.mutants import mutants
from tools.mutation.report import Tally, report
from tools.mutation.subjects import SUBJECTS, Subject
from tools.mutation.trial import Outcome, run, warm

GOAL = 0.9


@click.command()
@click.argument("modules", nargs=-1, type=click.Choice([subject.name for subject in SUBJECTS]))
@click.option("--report", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report there, too.")
def main(modules: tuple[str, ...], file: Path | None) -> None:
    """Try every mutant of the given MODULES, or of all; fails where under nine in ten are killed."""
    warm()
    tallies = [_try(subject) for subject in SUBJECTS if not modules or subject.name in modules]
    text = report(tallies)
    click.echo(text)
    if file is not None:
        file.write_text(text + "\n")
    if any(tally.killed < GOAL * tally.tried for tally in tallies):
        raise SystemExit(1)


def _try(subject: Subject) -> Tally:
    """Try every mutant of a module; each that survives is told at once, as a run takes long."""
    path = Path(subject.path)
    source = path.read_text()
    everything = list(mutants(source))
    tally = Tally(subject)
    # A set of tests that fails by itself would kill everything.
    if run(subject.module, path, ast.parse(source), subject.selection) is not Outcome.SURVIVED:
        raise click.ClickException(f"the tests of {subject.name} fail, and nothing was mutated yet")
    for mutant in watched(everything, f"{subject.name:20}"):
        outcome = run(subject.module, path, mutant.tree, subject.selection)
        tally.note(mutant, outcome)
        if outcome is Outcome.SURVIVED:
            click.echo(f" survived: {mutant.line}: {mutant.change}", err=True)
    return tally


if __name__ == "__main__":
    main()
