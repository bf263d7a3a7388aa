# SPDX-License-Identifier: Apache-2.0
"""The capture protocol: which presentations to record with a camera, a printer and a phone of one's own, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import cv2

from facelatch.camera import make_camera, opened
from tools.pad.presentations import LENGTH

_BURSTS = 5
_FRAMES = _BURSTS * LENGTH
# What automatic exposure takes after a camera is opened.
_WARM_UP = 15


@dataclass(frozen=True)
class Step:
    """One recording: the folder below which it goes, and what to do in front of the camera."""

    folder: str
    instruction: str


STEPS = (
    Step("live", "Look into the camera as if to unlock. Sway a little."),
    Step("live", "The same again at another place or in other light, with glasses if you have any."),
    Step(
        "spoof/print-flat", "Hold a print of your face, A4, matt, as large as life, where your head was. Keep it flat."
    ),
    Step("spoof/print-moved", "The same print: move it, turn it to each side, tilt it."),
    Step("spoof/print-bent", "The same print, bent round your own face or a bottle; turn it."),
    Step("spoof/print-cut", "The same print, cut out along the face, without any border."),
    Step("spoof/phone-photo", "A photograph of your face on a phone at full brightness, filling its screen."),
    Step(
        "spoof/phone-video", "A video of yourself on that phone, in which you look into the camera and turn your head."
    ),
    Step("spoof/tablet-video", "The same video on a tablet or a laptop, its edges out of view. Skip with Ctrl-C."),
)
"""Worst cases among cheap ones: each tells which cue it got past."""


def capture(into: Path, device: str) -> None:
    """Record every step for one person into ``into``/live and ``into``/spoof, laid out as the tool reads them.

    The pictures stay on this machine; they show a face, so delete them after measuring.

    Raises:
        CameraError: the camera gives no frames.
        OSError: the frames cannot be written.
    """
    person = click.prompt("A short name for the person", default="p1").replace("-", "_")
    click.echo(f"Frames go to {into} and nowhere else. Delete them when you have measured.")
    for number, step in enumerate(STEPS, 1):
        folder = into / step.folder / f"{person}-{number:02d}"
        if folder.exists():
            click.echo(f"{folder} is there already; left as it is")
            continue
        click.echo(f"{number} of {len(STEPS)}: {step.instruction}")
        if click.confirm("Record this one?", default=True):
            _record(folder, device)
    click.echo(f"Now: python -m tools.pad {into / 'live'} {into / 'spoof'} --consecutive --json figures.json")


def _record(folder: Path, device: str) -> None:
    """Write ``_FRAMES`` frames as PNG, without loss, once the camera has settled."""
    with opened(make_camera("v4l2", device)) as camera:
        for _ in range(_WARM_UP):
            camera.read()
        frames = []
        with click.progressbar(range(_FRAMES), label="Recording") as bar:
            for _ in bar:
                frames.append(camera.read().image)
    folder.mkdir(parents=True)
    for number, image in enumerate(frames):
        if not cv2.imwrite(str(folder / f"{number}.png"), image[..., ::-1]):
            raise OSError(f"{folder} cannot be written")
