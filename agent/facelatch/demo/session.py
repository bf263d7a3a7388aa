# SPDX-License-Identifier: Apache-2.0
"""Camera sessions made from one portrait: the head moves and turns a little, the light changes, the sensor is noisy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.camera.protocol import Image

Floats = npt.NDArray[np.float32]

WIDTH: Final = 640
HEIGHT: Final = 480
# Where the face is in the portrait, and how far out the head is still near the nose's depth, in its pixels.
FACE: Final = (224.0, 125.0)
_DEPTH_RADIUS: Final = 40.0


@dataclass(frozen=True)
class Take:
    """How one frame differs from the portrait.

    Attributes:
        scale: frame pixels a portrait pixel.
        roll: tilt of the head, radians.
        shift: of the face from its usual place in the frame, pixels.
        turn: how far the nose moves against the ears, portrait pixels: a small yaw and pitch.
        gain, gamma: exposure and tone.
        warmth: red gained and blue lost, as a share.
        side: light gained at the right edge and lost at the left, as a share.
        blur: standard deviation of focus and motion, pixels.
        noise: standard deviation of the sensor's noise, grey levels.
    """

    scale: float
    roll: float
    shift: tuple[float, float]
    turn: tuple[float, float]
    gain: float
    gamma: float
    warmth: float
    side: float
    blur: float
    noise: float


def frames(portrait: Image, count: int, seed: int) -> list[Image]:
    """Make a session of (480, 640, 3) uint8 RGB frames; one seed gives one session.

    Args:
        portrait: (512, 512, 3) uint8 RGB with the face at ``FACE``.
        count: how many frames.
        seed: of the session.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    return [_render(portrait, _draw(random), random) for _ in range(count)]


def _draw(random: np.random.Generator) -> Take:
    def either(limit: float) -> float:
        return float(random.uniform(-limit, limit))

    return Take(
        scale=float(random.uniform(1.45, 1.85)),
        roll=either(0.10),
        shift=(either(60), either(15)),
        turn=(either(5), either(3)),
        gain=float(random.uniform(0.75, 1.1)),
        gamma=float(random.uniform(0.85, 1.2)),
        warmth=either(0.06),
        side=either(0.3),
        blur=float(random.uniform(0.3, 0.9)),
        noise=float(random.uniform(1.5, 4)),
    )


def _render(portrait: Image, take: Take, random: np.random.Generator) -> Image:
    image = cv2.remap(portrait, *_pose(take), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    image = cv2.GaussianBlur(image, (0, 0), take.blur)
    light = (np.asarray(image, dtype=np.float32) / np.float32(255)) ** np.float32(take.gamma)
    light *= np.float32(take.gain) * np.array([1 + take.warmth, 1, 1 - take.warmth], dtype=np.float32)
    light *= np.linspace(1 - take.side, 1 + take.side, WIDTH, dtype=np.float32)[:, None]
    light *= np.float32(255)
    light += np.float32(take.noise) * random.standard_normal(light.shape, dtype=np.float32)
    return np.asarray(np.clip(light, 0, 255), dtype=np.uint8)


def _pose(take: Take) -> tuple[Floats, Floats]:
    """Return where in the portrait each pixel of the frame is seen, x and y, each (480, 640)."""
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    x -= np.float32(WIDTH / 2 + take.shift[0])
    y -= np.float32(HEIGHT * 0.42 + take.shift[1])
    cosine, sine = np.float32(np.cos(take.roll) / take.scale), np.float32(np.sin(take.roll) / take.scale)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    # A turned head moves what is near the camera most; the portrait has no depth, so a bump at the nose stands in.
    near = np.exp(-(x**2 + y**2) / np.float32(2 * _DEPTH_RADIUS**2))
    return (
        x + np.float32(FACE[0]) - np.float32(take.turn[0]) * near,
        y + np.float32(FACE[1]) - np.float32(take.turn[1]) * near,
    )
