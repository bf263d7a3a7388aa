# SPDX-License-Identifier: Apache-2.0
"""The face mesh: its crop's geometry, and the real network on the portrait and on what is no face."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from facelatch.demo import portrait
from facelatch.face.alignment import align, align_roughly
from facelatch.face.detector import Detection, Detector, Image, KeyPoint
from facelatch.face.encoder import unit
from facelatch.face.mesh import POINTS, Landmarks, Mesh, restore, upright
from facelatch.face.path import FacePath
from facelatch.face.quality import Hint, Limits, judge_landmarks
from facelatch.models import DETECTOR, MESH, read_model
from facelatch.shipped import encoders

SIZE = 192
NOSE_TIP = 1
MIDDLE_BETWEEN_EYES = 168
RIM = [127, 152, 356]  # right temple, chin, left temple
# What the portrait is turned about, and where in a 640x480 frame that comes to lie.
FACE = (224.0, 125.0)
MIDDLE = np.array([320.0, 240.0])


def detection(centre: tuple[float, float], width: float, height: float, tilt: float = 0.0) -> Detection:
    """A face whose eyes are at a slope of so many radians."""
    points = np.zeros((len(KeyPoint), 2), dtype=np.float32)
    eye = np.array([math.cos(tilt), math.sin(tilt)]) * width / 5
    points[KeyPoint.RIGHT_EYE], points[KeyPoint.LEFT_EYE] = centre - eye, centre + eye
    points[KeyPoint.NOSE], points[KeyPoint.MOUTH] = (
        centre + np.array([-math.sin(tilt), math.cos(tilt)]) * width * d for d in (0.2, 0.4)
    )
    box = np.array([centre[0] - width / 2, centre[1] - height / 2, width, height], dtype=np.float32)
    return Detection(box, points, 1.0)


class Claims:
    """A detector that sees a face wherever it looks."""

    def __init__(self, face: Detection) -> None:
        self._face = face

    def __call__(self, _image: Image) -> list[Detection]:
        return [self._face]


@pytest.fixture(scope="module")
def picture() -> Image:
    return portrait.read()


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(read_model(DETECTOR))


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return Mesh(read_model(MESH))


@pytest.mark.parametrize("tilt", [0.0, 0.5, -2.0, math.pi])
def test_the_crop_is_the_square_round_the_face_upright(tilt: float) -> None:
    matrix = upright(detection((300, 200), 80, 100, tilt), SIZE)
    linear, shift = matrix[:, :2], matrix[:, 2]
    assert linear @ (300, 200) + shift == pytest.approx((SIZE / 2, SIZE / 2))
    # One and a half times the longer side of the box, along the eyes, is the width of the crop.
    along = np.array([math.cos(tilt), math.sin(tilt)]) * 1.5 * 100
    assert linear @ along == pytest.approx((SIZE, 0), abs=1e-3)
    # A turn and a scale: the picture is not mirrored.
    assert np.linalg.det(linear) == pytest.approx((SIZE / 150) ** 2, rel=1e-6)


def test_points_of_the_crop_are_taken_back_to_the_image() -> None:
    rng = np.random.default_rng(1)
    matrix = upright(detection((300, 200), 80, 80, 0.6), SIZE)
    there = rng.uniform(0, 480, (7, 2))
    crop = np.column_stack([there @ matrix[:, :2].T + matrix[:, 2], rng.uniform(-30, 30, 7)]).astype(np.float32)
    back = restore(crop, matrix)
    assert back.dtype == np.float32
    assert back[:, :2] == pytest.approx(there, abs=1e-3)
    assert back[:, 2] == pytest.approx(crop[:, 2] * 120 / SIZE, abs=1e-3)


def test_five_points_of_the_mesh() -> None:
    points = np.zeros((POINTS, 3), dtype=np.float32)
    for number, place in ((33, (1, 4)), (133, (3, 4)), (159, (2, 3)), (145, (2, 5))):
        points[number] = *place, 9
    for number, place in ((362, (7, 4)), (263, (9, 4)), (386, (8, 3)), (374, (8, 5))):
        points[number] = *place, 9
    points[NOSE_TIP], points[61], points[291] = (5, 7, -9), (3, 9, 9), (7, 9, 9)
    expected = [(2, 4), (8, 4), (5, 7), (3, 9), (7, 9)]
    assert Landmarks(points, 1.0).five.tolist() == [list(place) for place in expected]


def test_the_points_of_the_portrait(picture: Image, detector: Detector, mesh: Mesh) -> None:
    face = detector(picture)[0]
    found = mesh(picture, face)
    assert found.points.shape == (POINTS, 3)
    assert found.points.dtype == np.float32
    assert found.score > 0.99
    right, left, nose, mouth_right, mouth_left = found.five
    apart = float(np.linalg.norm(left - right))
    # A smile lifts the corners of the mouth above its middle.
    for own, point, most in (
        (right, KeyPoint.RIGHT_EYE, 0.1),
        (left, KeyPoint.LEFT_EYE, 0.1),
        (nose, KeyPoint.NOSE, 0.1),
        ((mouth_right + mouth_left) / 2, KeyPoint.MOUTH, 0.25),
    ):
        assert np.linalg.norm(own - face.points[point]) < most * apart
    assert mouth_right[0] < nose[0] < mouth_left[0]
    # The nose is nearest, the rim of the face is farthest.
    depth = found.points[:, 2]
    assert depth[NOSE_TIP] < depth[MIDDLE_BETWEEN_EYES] < depth[RIM].min()


def test_turned_and_shifted_pictures_give_the_same_crop(picture: Image, detector: Detector, mesh: Mesh) -> None:
    """The control is the alignment by the detector's key points, which wander three times as far."""
    encoder = encoders()
    rng = np.random.default_rng(1)

    def measure(image: Image) -> tuple[Landmarks, Detection, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        face = detector(image)[0]
        found = mesh(image, face)
        crops = align(image, found.five), align_roughly(image, face)
        fine, rough = (unit(encoder(crop)) for crop in crops)
        return found, face, fine, rough

    still, face, embedding, rough = measure(picture)
    wandered, control, likeness, likeness_control = [], [], [], []
    for _ in range(12):
        matrix = np.asarray(cv2.getRotationMatrix2D(FACE, rng.uniform(-25, 25), rng.uniform(1, 2)), np.float64)
        matrix[:, 2] += MIDDLE - FACE + rng.uniform(-40, 40, 2)
        image = np.asarray(cv2.warpAffine(picture, matrix, (640, 480)), dtype=np.uint8)
        found, again, this, roughly = measure(image)

        expected = still.five @ matrix[:, :2].T + matrix[:, 2]
        apart = np.linalg.norm(expected[1] - expected[0])
        wandered.append(np.linalg.norm(found.five - expected, axis=1).mean() / apart)
        expected = face.points[: KeyPoint.MOUTH + 1] @ matrix[:, :2].T + matrix[:, 2]
        control.append(np.linalg.norm(again.points[: KeyPoint.MOUTH + 1] - expected, axis=1).mean() / apart)
        likeness.append(embedding @ this)
        likeness_control.append(rough @ roughly)
    assert np.mean(wandered) < 0.015
    assert np.mean(wandered) < np.mean(control) / 2
    assert min(likeness) > 0.99
    assert np.mean(likeness) > np.mean(likeness_control)


def test_all_points_turn_with_the_picture(picture: Image, detector: Detector, mesh: Mesh) -> None:
    """In 90 degrees nobody is detected, so the detection is turned too: it is the mesh that is looked at."""
    face = detector(picture)[0]
    still = mesh(picture, face)
    side = picture.shape[0] - 1
    box = np.array([side - face.box[1] - face.box[3], face.box[0], face.box[3], face.box[2]], dtype=np.float32)
    points = np.column_stack([side - face.points[:, 1], face.points[:, 0]]).astype(np.float32)
    found = mesh(np.ascontiguousarray(np.rot90(picture, -1)), Detection(box, points, face.score))
    expected = np.column_stack([side - still.points[:, 1], still.points[:, 0], still.points[:, 2]])
    assert np.abs(found.points - expected).max() < 1


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("black", Hint.TOO_DARK), ("grey", Hint.BLURRED), ("noise", Hint.NO_FACE), ("clothes", Hint.NO_FACE)],
)
def test_what_is_no_face_is_refused_though_the_detector_claims_one(
    kind: str, hint: Hint, mesh: Mesh, picture: Image
) -> None:
    rng = np.random.default_rng(2)
    images = {
        "black": np.zeros((480, 640, 3), dtype=np.uint8),
        "grey": np.full((480, 640, 3), 128, dtype=np.uint8),
        "noise": rng.integers(0, 256, (480, 640, 3), dtype=np.uint8),
        "clothes": np.asarray(cv2.resize(picture[300:, 300:], (640, 480)), dtype=np.uint8),
    }
    face = detection((320, 240), 160, 160)
    assert mesh(images[kind], face).score < 0.01
    look = FacePath(Claims(face), mesh, encoders()).look(images[kind])  # type: ignore[arg-type]
    assert look.hint is hint
    assert look.embedding is None


@pytest.mark.parametrize(("score", "hint"), [(0.0, Hint.NO_FACE), (0.09, Hint.NO_FACE), (0.11, None), (1.0, None)])
def test_the_score_decides(score: float, hint: Hint | None) -> None:
    assert judge_landmarks(Landmarks(np.zeros((POINTS, 3), dtype=np.float32), score), Limits()) is hint


def test_a_face_half_out_of_the_picture_is_measured_without_error(mesh: Mesh, picture: Image) -> None:
    assert np.isfinite(mesh(picture, detection((-30, 20), 160, 160)).points).all()
