# SPDX-License-Identifier: Apache-2.0
"""Command line of ``python -m tools.pad``."""

from __future__ import annotations

import math
from pathlib import Path

import click

from facelatch import shipped
from facelatch.errors import FacelatchError
from facelatch.face.liveness import Bounds
from facelatch.l2fe.extractor import Extractor
from tools import options, outputs
from tools.pad import capture, report
from tools.pad.figures import lines, summarise
from tools.pad.judging import judge
from tools.pad.presentations import FPS, find_species, gather


@click.command()
@click.argument("live", metavar="LIVE_DIR", type=options.FOLDER, required=False)
@click.argument("spoof", metavar="SPOOF_DIR", type=options.FOLDER, required=False)
@click.option("--species", help="Name of the attacks in SPOOF_DIR, where that holds one kind [default: its name].")
@click.option("--fps", default=FPS, show_default=True, help="Rate that the frames are taken to have come at.")
@click.option("--consecutive", is_flag=True, help="No frames are left out: a face that jumps is not the same face.")
@click.option("--parameters", "name", default="standard", show_default=True, metavar="SET", help="Parameter set.")
@options.json
@click.option("--report", "page", type=options.NEW_FOLDER, metavar="DIR", help="Write DIR/index.html, with pictures.")
@click.option("--capture", "into", type=options.NEW_FOLDER, metavar="DIR", help="Record presentations of your own.")
@click.option("--device", default="0", show_default=True, help="Camera for --capture: its number or device node.")
def main(
    live: Path | None,
    spoof: Path | None,
    species: str | None,
    fps: float,
    consecutive: bool,
    name: str,
    output: Path | None,
    page: Path | None,
    into: Path | None,
    device: str,
) -> None:
    """Measure the liveness check on bursts of live people and of attacks, or record such bursts.

    LIVE_DIR holds a folder of frames for each session, PERSON-SESSION; SPOOF_DIR the same of attacks that show these
    people, or a folder of such for each species.
    """
    try:
        if into is not None:
            capture.capture(into, device)
            return
        if live is None or spoof is None:
            raise click.UsageError("give LIVE_DIR and SPOOF_DIR, or --capture DIR")
        outputs.prepare(output, page)
        gathered = gather(shipped.face_path(liveness=True), live, find_species(spoof, species), fps)
        bounds = Bounds() if consecutive else Bounds(jump=math.inf)
        outcomes = judge(gathered.presentations, Extractor(shipped.parameter_set(name)), bounds)
        figures = summarise(outcomes, gathered.milliseconds)
        for line in lines(figures):
            click.echo(line)
        for cue, (alive, flat) in report.cues(outcomes).items():
            if alive and flat:
                click.echo(f"{cue}: area under the ROC {report.area(alive, flat):.3f}")
        outputs.write(output, figures, page, lambda: report.render(outcomes, figures))
    except (FacelatchError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
