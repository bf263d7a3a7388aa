# SPDX-License-Identifier: Apache-2.0
"""Scenes for the replay camera, made from the demo's portrait; small, since each pixel is searched for later."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.demo import portrait

Picture = npt.NDArray[np.uint8]

# A square of the portrait that has the face in it, and where in that square the face is.
_SIDE = 288
_LEFT = 80
_CENTRE = (144.0, 120.0)
_HEAD = 80.0
_EDGES = (20, 20, 20, 20)  # of a print
# Takes the face to 15 within-person deviations from itself, far outside the accept radius (9).
_SWELLING = 0.55
# To 20 of them, just outside it, but still a face that is worth a key.
_SLIGHT_SWELLING = 0.35


def anna(count: int, seed: int = 1) -> list[Picture]:
    """Looks at the person who enrols: the portrait, a little turned, shifted, relit and noisy each time."""
    return _looks(_face(), count, seed)


def stranger(count: int, seed: int = 2) -> list[Picture]:
    """Looks at somebody else: the same portrait with a swollen middle, which is another face to the encoder."""
    return _looks(_swell(_face(), _SWELLING), count, seed)


def crowd(people: int, looks: int, seed: int = 4) -> list[list[Picture]]:
    """Looks at made-up people: the portrait with parts moved and another tone, whom the encoders tell apart."""
    rng = np.random.default_rng(seed)
    return [_looks(_remade(rng), looks, number) for number in range(people)]


def guest(count: int, seed: int = 4) -> list[Picture]:
    """Looks at a third person, who, unlike the stranger, can be enrolled beside anna."""
    return _looks(_swell(_face(), _SLIGHT_SWELLING), count, seed)


def turned(yaw: float, pitch: float = 0.0) -> Picture:
    """The person who enrols, the head turned by so many radians to their left and downwards.

    The portrait has no depth: a ball with a nose stands in for the head, so larger turns look like nobody.
    """
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    dx, dy = x - np.float32(_CENTRE[0]), y - np.float32(_CENTRE[1])
    nose = np.float32(25) * np.exp(-(dx * dx + (dy - 8) ** 2) / np.float32(2 * 16**2))
    depth = np.sqrt(np.maximum(0, np.float32(_HEAD**2) - dx * dx - dy * dy)) + nose - np.float32(0.6 * _HEAD)
    across, down = [
        (d * np.float32(np.cos(angle)) - depth * np.float32(np.sin(angle)) + np.float32(centre))
        for d, angle, centre in ((dx, yaw, _CENTRE[0]), (dy, pitch, _CENTRE[1]))
    ]
    return np.asarray(cv2.remap(_face(), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)


def printed(count: int, seed: int = 4) -> list[Picture]:
    """Looks at a print of the person who enrols, held before a grey wall: a white border, less detail, noise."""
    rng = np.random.default_rng(seed)
    paper = cv2.copyMakeBorder(portrait.read()[:380, 40:420], *_EDGES, cv2.BORDER_CONSTANT, value=(250, 250, 250))
    looks = []
    for _ in range(count):
        view = np.full((480, 640, 3), 120, dtype=np.float32)
        down, across = rng.integers(25, 35), rng.integers(105, 115)
        view[down : down + len(paper), across : across + paper.shape[1]] = paper
        noisy = cv2.GaussianBlur(view, (0, 0), 2) + rng.normal(0, 3, view.shape)
        looks.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return looks


def nobody() -> list[Picture]:
    """A grey wall with some texture, and no face."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(90, 160, (9, 9, 3), dtype=np.uint8)
    return [np.asarray(cv2.resize(coarse, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)]


def save(folder: Path, pictures: list[Picture]) -> Path:
    """Write RGB pictures as PNG, so that what the camera reads is what is given here."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    return folder


def make_scenes(folder: Path) -> Path:
    """Make a folder for each of anna, stranger, guest and nobody."""
    save(folder / "anna", anna(6))
    save(folder / "stranger", stranger(3))
    save(folder / "guest", guest(6))
    save(folder / "nobody", nobody())
    return folder


def _face() -> Picture:
    return np.asarray(portrait.read()[:_SIDE, _LEFT : _LEFT + _SIDE], dtype=np.uint8)


def _looks(face: Picture, count: int, seed: int) -> list[Picture]:
    rng = np.random.default_rng(seed)
    return [_vary(face, rng) for _ in range(count)]


def _vary(face: Picture, rng: np.random.Generator) -> Picture:
    matrix = np.asarray(cv2.getRotationMatrix2D(_CENTRE, rng.uniform(-3, 3), rng.uniform(0.97, 1.03)), np.float64)
    matrix[:, 2] += rng.uniform(-5, 5, 2)
    moved = cv2.warpAffine(face, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REFLECT)
    lit = np.asarray(moved, np.float64) * rng.uniform(0.93, 1.07) + rng.normal(0, 2, moved.shape)
    return np.asarray(np.clip(np.rint(lit), 0, 255), np.uint8)


def _swell(face: Picture, strength: float) -> Picture:
    """Enlarge what is near the centre of the face."""
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    dx, dy = x - np.float32(_CENTRE[0]), y - np.float32(_CENTRE[1])
    pull = np.float32(strength) * np.exp(-(dx * dx + dy * dy) / np.float32(2 * 40**2))
    swollen = cv2.remap(face, x - pull * dx, y - pull * dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(swollen, dtype=np.uint8)


def _remade(rng: np.random.Generator) -> Picture:
    """Move twelve places of the face by some pixels each, and what is around them along."""
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    across, down = x.copy(), y.copy()
    for _ in range(12):
        centre, move = rng.normal(_CENTRE, 35), rng.normal(0, 11, 2)
        near = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 22**2)).astype(np.float32)
        across += np.float32(move[0]) * near
        down += np.float32(move[1]) * near
    moved = cv2.remap(_face(), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(np.clip(moved * rng.uniform(0.6, 1.1, 3), 0, 255), dtype=np.uint8)
