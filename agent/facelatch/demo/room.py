# SPDX-License-Identifier: Apache-2.0
"""What the camera sees when nobody is there: a wall, a door and a floor."""

from __future__ import annotations

import cv2
import numpy as np

from facelatch.camera.protocol import Image
from facelatch.demo.session import HEIGHT, WIDTH

_WALL = (176, 168, 152)
_DOOR = (112, 84, 60)
_PANEL = (96, 70, 48)
_FLOOR = (90, 88, 92)
_HANDLE = (200, 190, 120)
_NOISE = 3.0


def frames(count: int, seed: int) -> list[Image]:
    """Make (480, 640, 3) uint8 RGB frames of an empty room; they differ by the sensor's noise."""
    random = np.random.Generator(np.random.PCG64(seed))
    room = _room()
    return [np.clip(room + random.normal(0, _NOISE, room.shape), 0, 255).astype(np.uint8) for _ in range(count)]


def _room() -> Image:
    room = np.full((HEIGHT, WIDTH, 3), _WALL, dtype=np.uint8)
    cv2.rectangle(room, (0, 400), (WIDTH, HEIGHT), _FLOOR, cv2.FILLED)
    cv2.rectangle(room, (360, 60), (540, 420), _DOOR, cv2.FILLED)
    for top in (90, 250):
        cv2.rectangle(room, (385, top), (515, top + 130), _PANEL, cv2.FILLED)
    cv2.circle(room, (375, 240), 6, _HANDLE, cv2.FILLED)
    light = np.linspace(1.15, 0.7, WIDTH)[:, None]
    return np.clip(room * light, 0, 255).astype(np.uint8)
