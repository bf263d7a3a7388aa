# SPDX-License-Identifier: Apache-2.0
"""From folders of frames to presentations: bursts of consecutive frames, looked at by the shipped path."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from facelatch.camera.image_file import read_image
from facelatch.face.path import FacePath, Look
from facelatch.face.quality import Hint
from tools.dataset import DatasetError, list_images

FPS = 15.0
"""The rate that frames are taken to have come at: what a Pi with one core to spare does. NUAA's did not."""

LENGTH = 8
"""Frames of a presentation: as many as the rule looks at."""


@dataclass(frozen=True)
class Presentation:
    """One burst in front of the camera.

    Attributes:
        species: the kind of attack, or None for a live person.
        person: who is shown.
        looks: when each frame was taken, seconds, and what it gave.
    """

    species: str | None
    person: str
    looks: Sequence[tuple[float, Look]]


@dataclass(frozen=True)
class Gathered:
    """All presentations of some folders, and what judging liveness cost in each frame, milliseconds."""

    presentations: list[Presentation]
    milliseconds: list[float]


def find_species(folder: Path, name: str | None) -> dict[str, Path]:
    """Return the folders of each species of attack: those inside that hold folders, else the whole as one.

    Raises:
        DatasetError: there are no folders.
    """
    inner = sorted(path for path in folder.glob("*/") if not path.name.startswith("."))
    if not inner:
        raise DatasetError(f"there are no folders in {folder}", "give it a folder a session, PERSON-SESSION")
    if any(next(path.glob("*/"), None) for path in inner):
        return {path.name: path for path in inner}
    return {name or folder.resolve().name: folder}


def gather(path: FacePath, live: Path, spoof: dict[str, Path], fps: float = FPS) -> Gathered:
    """Look at every frame of live people and of attacks, folder by folder; frames are taken to come at ``fps``.

    Raises:
        DatasetError: a folder has no images.
        CameraError: an image cannot be read.
    """
    kinds: list[tuple[str | None, Path]] = [(None, live), *spoof.items()]
    folders = [(kind, folder) for kind, place in kinds for folder in list_images(place) if folder]
    for kind, place in kinds:
        if not any(kind == found for found, _ in folders):
            raise DatasetError(f"no images in {place}", "give it a folder of frames for each session, PERSON-SESSION")
    presentations, spent = [], []
    with click.progressbar(length=sum(len(files) for _, files in folders), label="Looking", file=sys.stderr) as bar:
        for kind, files in folders:
            person = files[0].parent.name.partition("-")[0]
            looks = []
            for number, file in enumerate(files):
                image = read_image(file)
                look = path.look(image)
                looks.append((number / fps, look))
                if look.points is not None and path.anti_spoof is not None:
                    start = time.process_time()
                    path.anti_spoof(image, look.points)
                    spent.append(1e3 * (time.process_time() - start))
                bar.update(1)
            presentations += [Presentation(kind, person, burst) for burst in bursts(looks)]
    return Gathered(presentations, spent)


def bursts(looks: Sequence[tuple[float, Look]]) -> Iterator[Sequence[tuple[float, Look]]]:
    """Cut a session into bursts of ``LENGTH`` frames that share none; what is left over at the end is left out.

    A session that is shorter than a burst is one all the same.

    Frames that the quality gate refuses for something that passes, such as blur, are passed over: the agent looks on.
    """
    kept = [(time, look) for time, look in looks if look.embedding is not None or look.hint in BREAKS]
    for start in range(0, max(len(kept) - LENGTH, 0) + 1, LENGTH):
        yield kept[start : start + LENGTH]


BREAKS = (Hint.NO_FACE, Hint.SEVERAL_FACES)
"""What ends a burst: the face was out of sight, or it is not clear whose is meant."""
