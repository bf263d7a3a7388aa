# SPDX-License-Identifier: Apache-2.0
"""Attack what a device stores, and what others store: ``python -m tools.redteam DATASET``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click

from facelatch import parameters
from facelatch.errors import FacelatchError
from tools import dataset, fitting, options, outputs
from tools.redteam import keys, linking, report, running
from tools.redteam.dictionary import dictionary
from tools.redteam.inversion.attack import invert
from tools.redteam.part import Job, Outcome
from tools.redteam.photo import photo
from tools.redteam.searching import search
from tools.redteam.study import compare_lattices

PARTS: dict[str, Callable[[Job], Outcome]] = {
    "inversion": invert,
    "search": search,
    "dictionary": dictionary,
    "photo": photo,
    "linking": linking.attack,
    "keys": keys.attack,
    "agent": running.attack,
}
# Only run where they are named.
ASIDE: dict[str, Callable[[Job], Outcome]] = {"lattices": compare_lattices}


@click.command()
@click.argument("data", metavar="DATASET", type=options.FOLDER)
@click.option("--only", multiple=True, type=click.Choice(sorted(PARTS | ASIDE)), help="Attacks to run; repeatable.")
@click.option("--quick", is_flag=True, help="Each attack in small: shows that it works, its figures mean little.")
@click.option("--parameters", "name", default="standard", show_default=True, metavar="SET", help="Set to attack.")
@options.changes
@click.option("--seed", default=1, show_default=True, help="Of all draws.")
@options.json
@click.option("--report", "page", type=options.NEW_FOLDER, metavar="DIR", help="Write DIR/index.html; it shows faces.")
def main(
    data: Path,
    only: tuple[str, ...],
    quick: bool,
    name: str,
    changes: tuple[Path, ...],
    seed: int,
    output: Path | None,
    page: Path | None,
) -> None:
    """Attack records of the people in DATASET, a folder of images for each, and the forms of storage they replace.

    The attacker knows the code, the parameter set, the record and the device key. Each attack is also run on something
    weakened on purpose. Exit status: 0 where all of those controls gave way, 1 where one did not, 2 for an error.
    """
    try:
        outputs.prepare(output, page)
        set_ = parameters.read(name)
        job = Job(data, dataset.embed(data), fitting.read(data, changes), set_, quick, seed)
        outcomes = {part: _run(part, job) for part in only or PARTS}
        figures = {part: outcome.figures for part, outcome in outcomes.items()}
        outputs.write(output, figures, page, lambda: report.render(job, outcomes))
    except (FacelatchError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
    blunt = [control.name for outcome in outcomes.values() for control in outcome.controls if not control.bites]
    for control in blunt:
        click.echo(f"control failed: {control} held", err=True)
    raise SystemExit(1 if blunt else 0)


def _run(part: str, job: Job) -> Outcome:
    start = time.monotonic()
    outcome = (PARTS | ASIDE)[part](job)
    click.echo(f"\n## {part}: {time.monotonic() - start:.0f} s\n")
    for table in outcome.tables:
        click.echo(table.markdown())
    for control in outcome.controls:
        click.echo(f"control: {control.name}: {'gives way' if control.bites else 'HOLDS'}")
    for sentence in outcome.said:
        click.echo(sentence)
    return outcome


if __name__ == "__main__":
    main()
