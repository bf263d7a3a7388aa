# SPDX-License-Identifier: Apache-2.0
"""Pictures of faces as sheets of paper, flat or bent, turned before a camera: ``python -m tools.pad.sheets DATASET``.

What a sheet can show of parallax follows from geometry, so it can be computed; how a print looks cannot, so what the
appearance cue says of these sheets is a hint at best: no printer, no paper and no lens were in between.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import click
import cv2
import numpy as np
import numpy.typing as npt

from facelatch import shipped
from facelatch.camera.image_file import read_image
from facelatch.errors import FacelatchError
from facelatch.face.detector import Image
from facelatch.face.liveness import Bounds
from facelatch.face.liveness.challenge import Turn
from facelatch.face.liveness.geometry import parallax, turned
from tools import dataset, options
from tools.evaluate.stats import clopper_pearson

Floats = npt.NDArray[np.float64]

VIEW = (480, 640)
"""Height and width of the picture that the camera takes."""

BENDS = {"flat": None, "bent, radius 19 cm": 250.0, "bent, radius 9 cm": 120.0, "bent inwards, 9 cm": -120.0}
"""Radius in pixels of a sheet bent about its upright axis, for a face some 200 pixels, or 15 cm, wide."""

_DEGREES = (20, 30, 40)
_FOCAL = 700.0  # pixels: an angle of view of some 50 degrees, as that of common cameras
_BORDER = 20
_BLUR = 1.0  # pixels: what printer and lens take from the detail, at the least
_WIDTH = 400.0  # of the picture on the sheet, pixels


def sheet(picture: Image, degrees: float = 0.0, radius: float | None = None, blur: float = _BLUR) -> Image:
    """Return what a camera sees of a printed picture with a white border, before a grey wall with some texture.

    Args:
        picture: (H, W, 3) uint8 RGB.
        degrees: how far the sheet is turned about its upright axis.
        radius: of the cylinder that it is bent to, pixels of the print: below zero with its middle away from the
            camera; None is flat.
        blur: standard deviation in pixels of what is lost of the detail.
    """
    height, width = (side + 2 * _BORDER for side in picture.shape[:2])
    paper = np.full((height, width, 3), 250, dtype=np.uint8)
    paper[_BORDER:-_BORDER, _BORDER:-_BORDER] = picture
    along = np.linspace(-width / 2, width / 2, 4 * width)
    angle = np.radians(degrees)
    across, away = (along, 0 * along) if radius is None else _bent(along, radius)
    x = across * np.cos(angle) + away * np.sin(angle)
    depth = _FOCAL - across * np.sin(angle) + away * np.cos(angle)
    column = _FOCAL * x / depth + VIEW[1] / 2
    # Where a bent sheet turns out of sight, what is behind its edge is left out.
    seen = np.concatenate([[True], column[1:] > np.maximum.accumulate(column)[:-1]])
    columns = np.arange(VIEW[1])
    source = np.interp(columns, column[seen], along[seen], left=-1e6, right=-1e6)
    rows = (np.arange(VIEW[0])[:, None] - VIEW[0] / 2) * np.interp(columns, column[seen], depth[seen]) / _FOCAL
    where = (source + width / 2).astype(np.float32)
    maps = np.broadcast_to(where, rows.shape).copy(), (rows + height / 2).astype(np.float32)
    view = cv2.remap(paper, *maps, cv2.INTER_LINEAR, dst=wall(), borderMode=cv2.BORDER_TRANSPARENT)
    return np.asarray(cv2.GaussianBlur(view, (0, 0), blur) if blur > 0 else view, dtype=np.uint8)


def _bent(along: Floats, radius: float) -> tuple[Floats, Floats]:
    return radius * np.sin(along / radius), radius - radius * np.cos(along / radius)


def wall() -> Image:
    """A wall, (480, 640, 3) uint8."""
    coarse = np.random.default_rng(3).integers(90, 160, (9, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, VIEW[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


@click.command()
@click.argument("data", metavar="DATASET", type=options.FOLDER)
@click.option("--people", default=200, show_default=True, help="How many people, one image of each.")
def main(data: Path, people: int) -> None:
    """Print what the cues say of sheets with pictures of DATASET on them, and of the pictures themselves."""
    try:
        for line in study(data, people):
            click.echo(line)
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error


def study(data: Path, people: int) -> list[str]:
    """Return the figures as lines.

    Raises:
        DatasetError: no image of the data set shows a face that can be used.
    """
    path = shipped.face_path(liveness=True)
    scores: dict[str, list[float]] = defaultdict(list)
    moved: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    with click.progressbar(spread(dataset.list_images(data), people), label="Looking", file=sys.stderr) as files:
        for file in files:
            picture = enlarged(read_image(file))
            bare, rest = path.look(picture), path.look(sheet(picture))
            if bare.live is None or rest.live is None or rest.points is None:
                continue
            scores["as it is"].append(bare.live)
            scores["as a sheet"].append(rest.live)
            for name, radius in BENDS.items():
                still = path.look(sheet(picture, 0, radius)).points
                for degrees in _DEGREES:
                    points = path.look(sheet(picture, degrees, radius)).points
                    other = path.look(sheet(picture, -degrees, radius)).points
                    for way, before in (("turned by", still), ("swung to both sides by", other)):
                        if points is not None and before is not None:
                            seen = abs(turned(points) - turned(before)), parallax(before, points)
                            moved[f"{name}, {way}", degrees].append(seen)
    if not scores:
        raise dataset.DatasetError(f"no image of {data} shows a face that can be used", "check the folder")
    said = [_score(name, np.array(found)) for name, found in scores.items()]
    return said + [_motion(*key, np.array(found)) for key, found in moved.items()]


def spread(folders: list[list[Path]], count: int) -> list[Path]:
    """The first image of ``count`` folders, or of all, spread evenly over the list."""
    return [files[0] for files in folders[:: max(1, len(folders) // count)] if files][:count]


def enlarged(picture: Image) -> Image:
    """Bring a picture to the width that it has on the sheet."""
    factor = _WIDTH / picture.shape[1]
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _score(name: str, scores: Floats) -> str:
    bounds, count = Bounds(), len(scores)
    live, spoof = int((scores >= bounds.live).sum()), int((scores <= bounds.spoof).sum())
    low, high = clopper_pearson(live, count)
    return (
        f"{name}, {count} people, one look: live {100 * live / count:.1f} % ({100 * low:.1f} to {100 * high:.1f}), "
        f"denied {100 * spoof / count:.1f} %, the rest unsure; median log-odds {np.median(scores):.1f}"
    )


def _motion(name: str, degrees: int, found: Floats) -> str:
    turn, residual = found.T
    asked = Turn()
    both = float(np.mean((turn >= asked.least) & (residual >= asked.parallax)))
    half, most_of_them, most = ([np.quantile(values, share) for values in (turn, residual)] for share in (0.5, 0.95, 1))
    return (
        f"{name} {degrees} degrees, {len(found)}: meets both bounds {100 * both:.1f} %; "
        f"turn median {half[0]:.2f}, 95 % {most_of_them[0]:.2f}, most {most[0]:.2f}; "
        f"parallax median {half[1]:.1f}, 95 % {most_of_them[1]:.1f}, most {most[1]:.1f}"
    )


if __name__ == "__main__":
    main()
