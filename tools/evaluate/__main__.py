# SPDX-License-Identifier: Apache-2.0
"""Measure the shipped path on a folder of faces: ``python -m tools.evaluate DATASET``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from facelatch import shipped
from facelatch.errors import FacelatchError
from facelatch.l2fe.parameters import ParameterSet
from tools import dataset, fitting, options, outputs
from tools.evaluate import curve, measure, refreshing, report, strength, table, timing
from tools.evaluate.figures import Run, summarise
from tools.evaluate.protocol import Protocol, check_layout

# Enrolment, attempt and repeats of each protocol where the command line says nothing.
DEFAULTS = {"random": (5, 3, 4), "sessions": (10, 5, 8)}
# NumPy's own threads make small products slower, and the decoder's times those of several cores.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_COUNT = click.IntRange(min=1)


@click.command()
@click.argument("data", metavar="DATASET", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--protocol", "kind", type=click.Choice(sorted(DEFAULTS)), default="random", show_default=True)
@click.option("--enroll", type=_COUNT, help="Images of an enrolment [default: 5; sessions: 10].")
@click.option("--probe", type=_COUNT, help="Good frames of an attempt at most [default: 3; sessions: 5].")
@click.option("--enroll-sessions", "over", type=_COUNT, default=1, help="Sessions that an enrolment is spread over.")
@click.option("--repeats", type=_COUNT, help="Draws of each person [default: 4], of each session [default: 8].")
@click.option("--seed", default=1, show_default=True, help="Of all draws.")
@click.option("--parameters", "name", default="standard", show_default=True, metavar="SET", help="Parameter set.")
@click.option("--cross-fit", is_flag=True, help="Judge each fold of people by a model fitted without them.")
@click.option("--population", type=options.NEW_FOLDER, help="What that is fitted to [default: DATASET].")
@options.changes
@click.option("--ungated", is_flag=True, help="Take images that the quality gate refuses too.")
@click.option("--refresh", is_flag=True, help="Measure refreshes on unlock too; needs sessions.")
@options.json
@click.option("--report", "page", type=options.NEW_FOLDER, metavar="DIR", help="Write DIR/index.html, with pictures.")
def main(
    data: Path,
    kind: str,
    enroll: int | None,
    probe: int | None,
    over: int,
    repeats: int | None,
    seed: int,
    name: str,
    cross_fit: bool,
    population: Path | None,
    changes: tuple[Path, ...],
    ungated: bool,
    refresh: bool,
    output: Path | None,
    page: Path | None,
) -> None:
    """Measure false accepts and rejects, strength and times of the shipped path on DATASET.

    DATASET holds a folder of images for each identity, or for each session of one (PERSON-SESSION, with --protocol
    sessions). Images that the quality gate refuses are counted, and count as nothing else: the agent looks on. With
    --ungated they are taken, as for cut-out faces that fill their pictures, which no camera at a door would give.
    """
    if kind != "sessions" and (refresh or over > 1):
        raise click.UsageError("--refresh and --enroll-sessions go with --protocol sessions")
    if (population or changes) and not cross_fit:
        raise click.UsageError("--population and --changes go with --cross-fit")
    enrol_default, probe_default, repeats_default = DEFAULTS[kind]
    protocol = Protocol(
        sessions=kind == "sessions",
        enrol=enroll or enrol_default,
        probe=probe or probe_default,
        repeats=repeats or repeats_default,
        seed=seed,
        enrolled_over=over,
    )
    try:
        outputs.prepare(output, page)
        refit = measure.Refit(fitting.read(population or data, changes), data.resolve()) if cross_fit else None
        run = evaluate(data, protocol, shipped.parameter_set(name), refit=refit, ungated=ungated, refresh=refresh)
        figures = summarise(run)
        click.echo(table.render(figures))
        outputs.write(output, figures, page, lambda: report.render(run, figures))
    except (FacelatchError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error


def evaluate(
    data: Path,
    protocol: Protocol,
    p: ParameterSet,
    *,
    refit: measure.Refit | None = None,
    ungated: bool = False,
    refresh: bool = False,
) -> Run:
    """Run all trials on a data set.

    Raises:
        DatasetError: it is empty, or not laid out as the protocol needs it.
    """
    images = [image for folder in dataset.list_images(data) for image in folder]
    check_layout({image.parent.name for image in images}, protocol)
    embedded = dataset.embed(data, ungated=ungated)
    groups = measure.group(embedded, protocol, p, refit)
    people = set().union(*(group.trials.people for group in groups))
    genuine, decode_ms = measure.genuine(groups, protocol.seed)
    predicted = strength.predict(groups)
    points = curve.trace(groups, genuine, predicted, protocol.seed) if genuine else []
    name = data.name or data.resolve().name
    return Run(
        dataset=name,
        data=embedded,
        protocol=protocol,
        parameters=p,
        people=people,
        skipped={protocol.person(image.parent.name) for image in images} - people,
        held_out=refit is not None or not fitted_to(p, name, embedded),
        genuine=genuine,
        same_session=measure.same_session(groups, protocol.seed),
        impostors=measure.impostors(groups, protocol.seed),
        strength=predicted,
        points=points,
        at_frr=curve.at_frr(points, predicted, p.k, protocol.seed) if points else None,
        decode_ms=decode_ms,
        encode_ms=timing.encode_ms(images),
        later=refreshing.study(groups, embedded, protocol) if refresh else None,
    )


def fitted_to(p: ParameterSet, name: str, data: dataset.Embedded) -> bool:
    """Tell whether a set names this data as what it was fitted to: by the folder's name, or by its counts.

    People whose changes it learnt from are not held out either.
    """
    source, _, counts = str(p.measured.get("data", "")).partition(": ")
    changes = {part.partition(" people of ")[2] for part in str(p.measured.get("changes", "")).split("; ")}
    return name in {source, *changes} or counts == f"{len(set(data.people.tolist()))} people, {len(data.people)} images"


if __name__ == "__main__":
    if not _ONE_THREAD.items() <= os.environ.items():
        # Threads can be forbidden only before NumPy is loaded.
        arguments = [sys.executable, "-m", "tools.evaluate", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, **_ONE_THREAD})  # noqa: S606 - this program once more
    main()
