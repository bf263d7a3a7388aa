# SPDX-License-Identifier: Apache-2.0
"""What the agent costs: ``python -m tools.bench [--json FILE]``, beside what a user would run instead.

``python -m tools.bench growth FOLDER`` shows how that grows with users and pictures, ``python -m tools.bench guard``
whether it has grown since limits were kept. All of it is measured on one core and one thread. Times belong to the
machine they were taken on; ratios within a run are the result.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facelatch import parameters
from facelatch.errors import FacelatchError
from facelatch.l2fe.parameters import PINNED
from tools import options, outputs
from tools.bench import agent, clock, growth, guard, rivals, stages
from tools.bench.figures import Figures

# Thousand users take a second; a few of them will do.
_MANY, _REPEATS, _FEW = 100, 25, 5
_ROUNDS, _REQUESTS = 30, 15
_QUICK_USERS = 10


@click.group(invoke_without_command=True)
@options.json
@click.option("--quick", is_flag=True, help="Few repeats: it shows that all parts work. Its figures mean little.")
@click.pass_context
def main(context: click.Context, output: Path | None, quick: bool) -> None:
    """Measure the agent and its rivals, show progress, and print a table."""
    clock.alone()
    if context.invoked_subcommand is not None:
        return
    try:
        figures = measure(quick=quick)
        outputs.write(output, figures.json(), None, str)
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
    click.echo(figures.table())


def measure(*, quick: bool = False) -> Figures:
    """Measure all, under a progress bar.

    Raises:
        RivalError: a contender ended.
        FacelatchError: the agent or a part of it does not work.
    """
    repeats, few, starts = (2, 1, 1) if quick else (_REPEATS, _FEW, _FEW)
    rounds, requests = (2, 1) if quick else (_ROUNDS, _REQUESTS)
    figures = Figures()
    decodes = [(name, users) for name in PINNED for users in stages.USERS if not (quick and users > _QUICK_USERS)]
    length = 2 + len(decodes) + starts + rounds + agent.STEPS
    with click.progressbar(length=length, label="Measuring", file=sys.stderr) as bar:

        def advance() -> None:
            bar.update(1)

        scene = stages.scene()
        figures.times |= clock.turns(stages.face(scene), repeats)
        advance()
        figures.times |= clock.turns(stages.core(scene), few)
        advance()
        for name, users in decodes:
            call = stages.decode(parameters.read(name), users)
            key = "decode_ms" if name == "standard" else f"decode_{name}_ms"
            figures.times[f"{key}/{users}"] = clock.repeat(call, repeats if users < _MANY else few)
            advance()
        figures.add(rivals.measure(scene, advance, rounds, starts))
        figures.add(agent.measure(advance, requests, starts))
    return figures


main.add_command(growth.command)
main.add_command(guard.command)

if __name__ == "__main__":
    main()
