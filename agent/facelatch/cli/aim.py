# SPDX-License-Identifier: Apache-2.0
"""The command for mounting the camera: says where it sees a face, without showing a picture."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from facelatch import config as configuration
from facelatch.cli.calls import print_json
from facelatch.cli.options import Exit, config_option, json_option, told
from facelatch.config import CameraConfig
from facelatch.phrases import describe_word

if TYPE_CHECKING:
    from facelatch.face.view import Placement, View

_INTERVAL_S = 0.2
_REPLAY_FPS = 8.0
"""Pictures come as fast as they are read, unless told otherwise; nobody can look at that many."""

_COLUMNS, _ROWS = 40, 15
# A person stands well when the face's middle is this near to the picture's, in percent of the way to its edge.
_MIDDLE = 15
_GOOD = "good: a look from here counts"


@click.command()
@config_option
@json_option
@click.option("--seconds", type=click.FloatRange(0.1), metavar="N", help="End after this time.  [default: Ctrl-C]")
@told
def aim(path: Path, as_json: bool, seconds: float | None) -> None:
    """Say where the camera sees a face, how large, how lit and how sharp, to mount it by; shows no picture.

    The command takes the camera itself: while the agent looks at somebody, it is in use.
    """
    from facelatch.daemon.hardening import keep_memory_private

    config = configuration.load(path)
    keep_memory_private()  # pictures are about to be in it
    show = _as_json if as_json else _in_place() if sys.stdout.isatty() else _as_line
    last: View | None = None
    try:
        with closing(_views(config.camera, seconds)) as views:
            for view in views:
                if view != last:
                    show(view)
                    last = view
    except KeyboardInterrupt:
        sys.exit(Exit.YES)


def _views(chosen: CameraConfig, seconds: float | None) -> Generator[View, None, None]:
    """Look through the camera a few times a second; the camera is released however this ends."""
    from facelatch.camera import opened
    from facelatch.face.detector import Detector
    from facelatch.face.quality import Limits
    from facelatch.face.view import view
    from facelatch.models import DETECTOR, read_model
    from facelatch.shipped import configured_camera

    detector, limits = Detector(read_model(DETECTOR)), Limits()
    if chosen.fps is None and chosen.backend == "replay":
        chosen = msgspec.structs.replace(chosen, fps=_REPLAY_FPS)
    camera = configured_camera(chosen)
    with opened(camera):
        start, due = time.monotonic(), 0.0
        while seconds is None or time.monotonic() < start + seconds:
            image = camera.read().image
            # Every frame is fetched, or the next one would be an old one; few are looked at.
            if time.monotonic() >= due:
                yield view(image, detector(image), limits)
                due = time.monotonic() + _INTERVAL_S


def _as_json(view: View) -> None:
    print_json({"face": view.face, "light": view.light, "hint": view.hint, "good": view.hint is None})


def _as_line(view: View) -> None:
    click.echo(describe(view))


def _in_place() -> Callable[[View], None]:
    """Return what draws a view over the one before."""
    drawn = False

    def show(view: View) -> None:
        nonlocal drawn
        lines = [*draw(view.face), *describe(view).split(" | ")]
        lines += [""] * (_ROWS + 2 + 4 - len(lines))
        up = f"\x1b[{len(lines)}A" if drawn else ""
        click.echo(up + "\n".join(f"{line}\x1b[K" for line in lines))
        drawn = True

    return show


def describe(view: View) -> str:
    """Say in words what the camera sees."""
    hint = _GOOD if view.hint is None else describe_word(view.hint)
    light = f"light {_bar(view.light)}"
    if view.face is None:
        return f"{light} | {hint}"
    face = view.face
    return f"face {where(face)}, {face.width} % of the width | {light} | sharp {_bar(face.sharpness)} | {hint}"


def where(face: Placement) -> str:
    """Say on which side of the picture a face is, as the camera sees it."""
    words = []
    if abs(face.across) > _MIDDLE:
        words.append("left" if face.across < 0 else "right")
    if abs(face.down) > _MIDDLE:
        words.append("up" if face.down < 0 else "down")
    return f"{' and '.join(words)} of the middle" if words else "in the middle"


def draw(face: Placement | None) -> list[str]:
    """Draw the picture's edge, its middle, and the face as an area."""
    rows = [[" "] * _COLUMNS for _ in range(_ROWS)]
    if face is not None:
        for row in _cells(face.down, face.height, _ROWS):
            for column in _cells(face.across, face.width, _COLUMNS):
                rows[row][column] = "o"
    rows[_ROWS // 2][_COLUMNS // 2] = "+"
    edge = f"+{'-' * _COLUMNS}+"
    return [edge, *(f"|{''.join(row)}|" for row in rows), edge]


def _cells(middle: int, size: int, count: int) -> range:
    """Return which of ``count`` cells an extent covers: middle from -100 to 100, size in percent of all."""
    centre = (middle + 100) / 200
    first, last = centre - size / 200, centre + size / 200
    return range(max(0, round(first * count)), min(count, round(last * count)))


def _bar(tenths: int) -> str:
    return f"[{'#' * tenths}{'-' * (10 - tenths)}]"
