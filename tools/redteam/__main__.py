# SPDX-License-Identifier: Apache-2.0
"""Attack what a device stores: ``python -m tools.redteam [--dataset DIR] [--json FILE]``. Needs the ``build`` extra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import msgspec

from facelatch import parameters
from facelatch.errors import FacelatchError
from facelatch.l2fe.parameters import ParameterSet
from tools import dataset, fitting, options
from tools.dataset import Embedded
from tools.decoding.tables import Table
from tools.fitting import Sources
from tools.redteam import lattices, ranks, records

SEED = 1


@dataclass(frozen=True)
class Job:
    """What is attacked.

    Attributes:
        parameters: the set.
        data: faces, if there are any.
        sources: what models of them are fitted to.
        records: synthetic ones of each kind.
        dimensions: k to try.
        guesswork: G, in bits, of the cells to try.
    """

    parameters: ParameterSet
    data: Embedded | None
    sources: Sources | None
    records: int
    dimensions: tuple[int, ...]
    guesswork: tuple[float, ...]


def search(job: Job) -> list[Table]:
    """The search of a leaked record's coset, behind two lattices and whole numbers."""
    tables = []
    for k in job.dimensions:
        tried = (lattices.cubic(k), lattices.leeches(k), lattices.q_ary(k))
        if job.data is None or job.sources is None:
            people = records.synthetic(job.parameters, k, job.records, SEED)
        else:
            people = records.real(job.sources, job.data, k)
        tables.append(ranks.compared(people, tried, job.guesswork, SEED))
        tables.append(ranks.listing(people, tried, job.guesswork[0], SEED))
    return tables


PARTS: dict[str, Callable[[Job], list[Table]]] = {"search": search}


@click.command()
@click.option("--parameters", "name", default="standard", show_default=True, help="Parameter set to attack.")
@options.faces
@options.changes
@click.option("--only", multiple=True, type=click.Choice(sorted(PARTS)), help="Attacks to run. Default: all.")
@click.option("--records", "count", default=100, show_default=True, help="Synthetic records.")
@click.option("--k", "dimensions", multiple=True, type=int, default=(24, 48), show_default=True, help="Dimensions.")
@click.option(
    "--bits", "guesswork", multiple=True, type=float, default=(6, 9, 12, 15, 18), show_default=True, help="G to try."
)
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables here too.")
def main(
    name: str,
    data: Path | None,
    changes: tuple[Path, ...],
    only: tuple[str, ...],
    count: int,
    dimensions: tuple[int, ...],
    guesswork: tuple[float, ...],
    output: Path | None,
) -> None:
    """Print what each attack costs, against what is claimed."""
    try:
        embedded = None if data is None else dataset.embed(data)
        sources = None if data is None else fitting.read(data, changes)
        job = Job(parameters.read(name), embedded, sources, count, dimensions, guesswork)
        tables = {part: PARTS[part](job) for part in only or PARTS}
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
    for part in tables.values():
        for table in part:
            click.echo(table.markdown())
    if output is not None:
        plain = {part: [asdict(table) for table in found] for part, found in tables.items()}
        output.write_bytes(msgspec.json.format(msgspec.json.encode(plain)))


if __name__ == "__main__":
    main()
