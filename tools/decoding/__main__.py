# SPDX-License-Identifier: Apache-2.0
"""Measure the decoder: ``python -m tools.decoding [--dataset DIR] [--json FILE]``. Needs the ``build`` extra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from facelatch import parameters
from facelatch.errors import FacelatchError
from tools import dataset, fitting, options
from tools.decoding import faces, rivals, studies
from tools.decoding.tables import Table

SEED = 1


@click.command()
@click.option("--parameters", "name", default="standard", show_default=True, help="Parameter set to measure.")
@options.faces
@options.changes
@click.option("--trials", default=1000, show_default=True, help="Synthetic targets of each study.")
@click.option("--only", multiple=True, help="Studies to run: errors, gap, times, q-ary, lists. Default: all.")
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables here too.")
def main(
    name: str, data: Path | None, changes: tuple[Path, ...], trials: int, only: tuple[str, ...], output: Path | None
) -> None:
    """Print what the decoder misses, what it costs, and what another lattice and longer lists would gain."""
    try:
        p = parameters.read(name)
        gauss = faces.gaussian(trials, p.k, SEED)
        real = None if data is None else faces.genuine(fitting.read(data, changes), dataset.embed(data), p.k, SEED)
        runs: dict[str, Callable[[], Table]] = {
            "errors": lambda: studies.errors(p, gauss),
            "gap": lambda: studies.gap(p, gauss),
            "times": lambda: studies.times(p),
            "q-ary": lambda: rivals.q_ary(p, gauss, real),
            "lists": lambda: rivals.lists(p, gauss, real),
        }
        unknown = sorted(set(only) - runs.keys())
        if unknown:
            raise click.BadParameter(", ".join(unknown), param_hint="--only")
        tables = {}
        for study in only or runs:
            tables[study] = runs[study]()
            click.echo(tables[study].markdown())
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
    if output is not None:
        output.write_bytes(msgspec.json.format(msgspec.json.encode({key: asdict(t) for key, t in tables.items()})))


if __name__ == "__main__":
    main()
