# SPDX-License-Identifier: Apache-2.0
"""How the cost grows: ``python -m tools.bench growth FOLDER`` writes a report with pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np

from facelatch import parameters
from facelatch.errors import FacelatchError
from facelatch.face.detector import Image
from facelatch.l2fe.parameters import PINNED
from facelatch.shipped import face_path
from tools import options, outputs
from tools.bench import beams, clock, plots, stages, threads
from tools.bench.beams import Beam

USERS = (1, 3, 10, 30, 100, 300, 1000)
# Width and height, from VGA to 1080p.
FRAMES = ((640, 480), (800, 600), (1280, 720), (1920, 1080))
THREADS = (1, 2)
_REPEATS, _FEW, _MANY = 15, 5, 100
PARTS = {
    "users": len(PINNED) * len(USERS),
    "frames": len(FRAMES),
    "threads": 2 * len(THREADS),
    "beams": 1 + len(beams.BEAMS),
}


@dataclass
class Growth:
    """What was measured; a part that was not is empty.

    Attributes:
        users: processor milliseconds of a decode, by set and number of users.
        frames: processor milliseconds of a look, by width and height.
        threads: milliseconds by the clock, by stage and number of threads.
        beams: see ``Beam``, the best decoding first.
        trials: directions of noise behind ``beams``.
        missing: parts that were not measured, and why.
    """

    users: dict[str, dict[int, float]] = field(default_factory=dict)
    frames: dict[str, float] = field(default_factory=dict)
    threads: dict[str, dict[int, float]] = field(default_factory=dict)
    beams: list[Beam] = field(default_factory=list)
    trials: int = 0
    missing: dict[str, str] = field(default_factory=dict)


@click.command("growth")
@click.argument("folder", type=options.NEW_FOLDER)
@options.json
@click.option("--trials", default=20_000, show_default=True, help="Directions of noise for the beams.")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Parts to measure. Default: all.")
def command(folder: Path, output: Path | None, trials: int, only: tuple[str, ...]) -> None:
    """Measure how the cost grows with users, frame size, threads and beam, and write a report to FOLDER."""
    outputs.prepare(output, folder)
    try:
        found = measure(trials, only or tuple(PARTS))
        outputs.write(output, asdict(found), folder, lambda: plots.render(found))
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
    click.echo("\n".join(table.markdown() for table in plots.tables(found)))


def measure(trials: int, parts: tuple[str, ...]) -> Growth:
    """Measure the parts asked for, under a progress bar.

    Raises:
        FacelatchError: a part of the agent does not work.
    """
    found = Growth(trials=trials)
    with click.progressbar(length=sum(PARTS[part] for part in parts), label="Measuring", file=sys.stderr) as bar:

        def advance() -> None:
            bar.update(1)

        if "users" in parts:
            found.users = _users(advance)
        if "frames" in parts:
            found.frames = _frames(advance)
        if "threads" in parts:
            if threads.cores() < max(THREADS):
                found.missing["threads"] = "this machine lets us have one core"
            else:
                found.threads = _threads(advance)
        if "beams" in parts:
            try:
                found.beams = beams.measure(parameters.read("standard"), trials, advance)
            except beams.BeamsError as error:
                found.missing["beams"] = str(error)
    return found


def _users(advance: Callable[[], None]) -> dict[str, dict[int, float]]:
    grown: dict[str, dict[int, float]] = {}
    for name in PINNED:
        grown[name] = {}
        for users in USERS:
            call = stages.decode(parameters.read(name), users)
            grown[name][users] = clock.busy(call, _REPEATS if users < _MANY else _FEW)
            advance()
    return grown


def _frames(advance: Callable[[], None]) -> dict[str, float]:
    path, frame = face_path(), stages.scene().frames[-1]
    grown = {}
    for width, height in FRAMES:
        larger = enlarged(frame, width, height)
        grown[f"{width} x {height}"] = clock.busy(lambda larger=larger: path.look(larger), _REPEATS)  # type: ignore[misc]
        advance()
    return grown


def _threads(advance: Callable[[], None]) -> dict[str, dict[int, float]]:
    """By the clock, which is what more threads are for; twice each, in turns, and the better of both counts."""
    runs: dict[int, list[dict[str, float]]] = {count: [] for count in THREADS}
    for _ in range(2):
        for count in THREADS:
            runs[count].append(threads.measure(count))
            advance()
    return {
        stage: {count: min(run[stage] for run in several) for count, several in runs.items()} for stage in runs[1][0]
    }


def enlarged(frame: Image, width: int, height: int) -> Image:
    """Return the same scene by a camera of (height, width) pixels: as high as before, with more wall at the sides."""
    scale = height / frame.shape[0]
    resized = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    side = (width - resized.shape[1]) // 2
    return np.asarray(cv2.copyMakeBorder(resized, 0, 0, side, side, cv2.BORDER_REPLICATE), dtype=np.uint8)
