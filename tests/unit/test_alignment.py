# SPDX-License-Identifier: Apache-2.0
"""Where alignment puts five points, by pictures made of five dots."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from facelatch.face.alignment import SIZE, TEMPLATE, align, align_roughly, similarity
from facelatch.face.detector import Detection, Floats, Image, KeyPoint

Doubles = npt.NDArray[np.float64]


def moved(points: Doubles, turn: float, scale: float, shift: tuple[float, float]) -> Doubles:
    """Turn (n, 2) points by so many radians, scale and shift them."""
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.asarray(scale * points @ rotation.T + shift)


def dots(points: Doubles, radius: float) -> Image:
    """Draw a soft dot at each of (n, 2) points, each in a grey of its own."""
    y, x = np.mgrid[:480, :640]
    picture = np.zeros((480, 640), dtype=np.float64)
    for grey, (left, top) in zip((120, 150, 180, 210, 240), points, strict=True):
        picture += grey * np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * radius**2))
    return np.repeat(np.rint(picture).astype(np.uint8)[..., None], 3, axis=2)


def centre_of_light(crop: Image, near: Doubles) -> Floats:
    """(2,) mean place of the light within 7 pixels of (2,) a place."""
    y, x = np.mgrid[:SIZE, :SIZE]
    light = crop[..., 0] * ((x - near[0]) ** 2 + (y - near[1]) ** 2 < 7**2)
    return np.array([(light * x).sum(), (light * y).sum()], dtype=np.float32) / np.float32(light.sum())


@pytest.mark.parametrize(
    ("turn", "scale", "shift"), [(0.0, 1.0, (100, 90)), (0.4, 2.0, (250, 60)), (-1.2, 1.5, (160, 260))]
)
def test_the_five_points_land_on_the_template(turn: float, scale: float, shift: tuple[float, float]) -> None:
    five = moved(TEMPLATE, turn, scale, shift)
    crop = align(dots(five, radius=2 * scale), five.astype(np.float32))
    assert crop.shape == (SIZE, SIZE, 3)
    assert crop.dtype == np.uint8
    for target in TEMPLATE:
        assert centre_of_light(crop, target) == pytest.approx(target, abs=0.1)


def test_a_known_similarity_is_found_again() -> None:
    found = similarity(moved(TEMPLATE, 0.7, 3, (40, -25)), TEMPLATE)
    back = moved(TEMPLATE, 0.7, 3, (40, -25)) @ found[:, :2].T + found[:, 2]
    assert back == pytest.approx(TEMPLATE, abs=1e-9)
    assert math.sqrt(np.linalg.det(found[:, :2])) == pytest.approx(1 / 3)


def test_points_that_do_not_fit_are_met_in_least_squares() -> None:
    """Against a fit of the four numbers by linear algebra."""
    source = moved(TEMPLATE, 0.3, 2, (9, 5)) + np.random.default_rng(1).normal(0, 5, TEMPLATE.shape)
    one, none = np.ones(5), np.zeros(5)
    x, y = source.T
    system = np.vstack([np.stack([x, -y, one, none], axis=1), np.stack([y, x, none, one], axis=1)])
    a, b, right, down = np.linalg.lstsq(system, TEMPLATE.T.ravel(), rcond=None)[0]
    assert similarity(source, TEMPLATE) == pytest.approx(np.array([[a, -b, right], [b, a, down]]))


def test_the_rough_crop_is_the_same_where_the_key_points_are() -> None:
    five = moved(TEMPLATE, -0.2, 2, (200, 100))
    points = np.zeros((len(KeyPoint), 2), dtype=np.float32)
    points[: KeyPoint.MOUTH] = five[:3]
    points[KeyPoint.MOUTH] = five[3:].mean(axis=0)
    face = Detection(np.zeros(4, dtype=np.float32), points, 1.0)
    picture = dots(five, radius=4)
    difference = align_roughly(picture, face).astype(int) - align(picture, five.astype(np.float32)).astype(int)
    assert np.abs(difference).max() <= 1
