# SPDX-License-Identifier: Apache-2.0
"""Each liveness cue by itself, with a control that shows what it goes by; and bursts that say nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from facelatch.face.liveness import AntiSpoof, Burst, Challenge, Finding, Reason, Side, Verdict
from facelatch.face.liveness.appearance import log_odds, surroundings
from facelatch.face.liveness.burst import Bounds
from facelatch.face.liveness.challenge import Turn
from facelatch.face.liveness.geometry import parallax, turned
from facelatch.face.path import FacePath
from facelatch.models import ANTI_SPOOF, read_model
from facelatch.shipped import face_path
from tests import pictures
from tests.heads import Points, seen, surface

HEAD, SHEET = surface(), surface(flat=True)
LOOKS = Bounds().looks
ANNA = np.eye(1, 8, dtype=np.float32)[0]
BOB = np.eye(1, 8, 1, dtype=np.float32)[0]


@pytest.fixture(scope="module")
def path() -> FacePath:
    return face_path(liveness=True)


# Geometry.


@pytest.mark.parametrize("degrees", [-40, -20, 10, 30])
def test_a_flat_picture_moves_as_a_plane_and_a_head_does_not(degrees: float) -> None:
    sheet = parallax(seen(SHEET, shake=None), seen(SHEET, degrees, shake=None))
    head = parallax(seen(HEAD, shake=None), seen(HEAD, degrees, shake=None))
    assert sheet < 0.01
    assert head > 5


def test_parallax_minds_neither_place_nor_size_nor_tilt() -> None:
    one, other = seen(HEAD), seen(HEAD, 20)
    tilt = np.array([[math.cos(0.3), math.sin(0.3)], [-math.sin(0.3), math.cos(0.3)]])
    moved = other.copy()
    moved[:, :2] = other[:, :2] @ tilt * 1.7 + [40, -30]
    assert parallax(one, moved.astype(np.float32)) == pytest.approx(parallax(one, other), rel=0.05)


def test_a_head_turned_to_its_left_is_turned_to_its_left() -> None:
    assert turned(seen(HEAD, 25)) > 0.2
    assert turned(seen(HEAD, -25)) < -0.2
    assert abs(turned(seen(SHEET, 25))) < 0.12


def test_points_without_eyes_are_turned_out_of_all_bounds() -> None:
    assert turned(np.zeros((468, 3), dtype=np.float32)) == math.inf


# Appearance.


def test_a_person_looks_live_and_a_print_of_them_does_not(path: FacePath) -> None:
    people = [path.look(picture).live for picture in pictures.anna(4)]
    prints = [path.look(picture).live for picture in pictures.printed(4)]
    assert all(live is not None and live > Bounds().live for live in people)
    assert all(live is not None and live < Bounds().spoof for live in prints)


def test_without_the_network_nothing_is_judged() -> None:
    assert face_path().look(pictures.anna(1)[0]).live is None


def test_the_network_reads_what_is_round_the_face_inside_the_picture() -> None:
    points = np.array([[100, 100, 0], [200, 180, 0]], dtype=np.float32)
    assert surroundings(points, 640, 480) == (15, 5, 270)
    assert surroundings(points - 90, 640, 480) == (0, 0, 270)
    assert surroundings(points + np.array([450, 280, 0], dtype=np.float32), 640, 480) == (370, 210, 270)
    assert surroundings(points * 3, 640, 480) == (160, 0, 480)


def test_a_face_at_the_edge_of_a_picture_can_be_judged() -> None:
    judge = AntiSpoof(read_model(ANTI_SPOOF))
    image = np.zeros((120, 160, 3), dtype=np.uint8)
    assert math.isfinite(judge(image, np.array([[-40, -40, 0], [500, 500, 0]], dtype=np.float32)))


def test_log_odds_are_those_of_the_first_class() -> None:
    logits = np.log(np.array([0.7, 0.2, 0.1], dtype=np.float32)) + 5
    assert log_odds(logits) == pytest.approx(math.log(0.7 / 0.3), abs=1e-5)
    assert math.isfinite(log_odds(np.array([900.0, -900.0, 0.0], dtype=np.float32)))


# Bursts.


def feed(
    burst: Burst,
    count: int = LOOKS,
    *,
    fps: float = 15.0,
    score: float = 5.0,
    points: Callable[[int], Points] = lambda number: seen(HEAD, shake=number),
    embedding: Points = ANNA,
    start: float = 0.0,
) -> Verdict:
    for number in range(count):
        burst.add(start + number / fps, score, points(number), embedding)
    return burst.verdict


def test_eight_looks_at_a_live_face_are_enough_and_seven_are_not() -> None:
    assert feed(Burst(), LOOKS - 1) == Verdict(Finding.RETRY, Reason.TOO_FEW)
    assert feed(Burst()) == Verdict(Finding.LIVE)


def test_one_frame_is_no_burst() -> None:
    assert feed(Burst(), 1) == Verdict(Finding.RETRY, Reason.TOO_FEW)


def test_a_frozen_camera_gives_no_verdict_however_long_it_is_looked_at() -> None:
    still = seen(HEAD)
    assert feed(Burst(), 100, points=lambda _: still) == Verdict(Finding.RETRY, Reason.REPEATED)


def test_a_camera_that_repeats_every_frame_once_is_slower_and_not_frozen() -> None:
    assert feed(Burst(), 2 * LOOKS - 1, points=lambda number: seen(HEAD, shake=number // 2)) == Verdict(Finding.LIVE)


def test_two_frames_a_second_are_too_slow() -> None:
    assert feed(Burst(), 40, fps=2) == Verdict(Finding.RETRY, Reason.SLOW)
    assert feed(Burst(), 40, fps=4) == Verdict(Finding.LIVE)


def test_a_face_that_leaves_starts_over() -> None:
    burst = Burst()
    assert feed(burst) == Verdict(Finding.LIVE)
    burst.lost()
    assert burst.verdict == Verdict(Finding.RETRY, Reason.LEFT)
    assert feed(burst, LOOKS - 1, start=1.0) == Verdict(Finding.RETRY, Reason.LEFT)
    assert feed(burst, 1, start=1.5, points=lambda _: seen(HEAD, shake=99)) == Verdict(Finding.LIVE)


def test_a_face_that_jumps_is_another_face() -> None:
    burst = Burst()
    feed(burst)
    beside = seen(HEAD)
    beside[:, 0] += 120
    assert feed(burst, 1, start=0.6, points=lambda _: beside) == Verdict(Finding.RETRY, Reason.JUMPED)


def test_a_picture_of_another_person_does_not_inherit_the_row() -> None:
    burst = Burst()
    feed(burst)
    assert burst.total @ ANNA == pytest.approx(LOOKS)
    assert feed(burst, 1, start=0.6, embedding=BOB).reason is Reason.JUMPED
    np.testing.assert_array_equal(burst.total, BOB)


def test_one_look_at_a_picture_vetoes_until_it_is_past() -> None:
    burst = Burst()
    feed(burst, LOOKS - 1)
    assert feed(burst, 1, start=0.5, score=-5.0, points=lambda _: seen(HEAD, shake=50)) == Verdict(Finding.UNSURE)
    assert feed(burst, LOOKS - 1, start=0.6) == Verdict(Finding.UNSURE)
    assert feed(burst, 1, start=1.1, points=lambda _: seen(HEAD, shake=60)) == Verdict(Finding.LIVE)


@pytest.mark.parametrize(("score", "finding"), [(-4.0, Finding.SPOOF), (0.0, Finding.UNSURE), (2.0, Finding.LIVE)])
def test_the_median_of_the_looks_decides(score: float, finding: Finding) -> None:
    assert feed(Burst(), score=score).finding is finding


# Challenges.


def turn(surface: np.ndarray, degrees: np.ndarray, side: Side) -> bool:
    challenge = Challenge(side)
    return show(challenge, surface, degrees)


def show(challenge: Challenge, surface: np.ndarray, degrees: np.ndarray) -> bool:
    """Show every angle; tell whether the turn was made at any."""
    return True in [challenge.add(seen(surface, angle, shake=number)) for number, angle in enumerate(degrees)]


STILL = np.zeros(Turn().rest)
SLOWLY = np.concatenate([STILL, np.linspace(3, 40, 12)])


@pytest.mark.parametrize("side", list(Side))
def test_a_head_that_turns_to_the_side_asked_for_passes(side: Side) -> None:
    assert turn(HEAD, side * SLOWLY, side)
    assert not turn(HEAD, -side * SLOWLY, side)


@pytest.mark.parametrize("side", list(Side))
def test_a_flat_picture_passes_no_way_it_is_turned(side: Side) -> None:
    for way in (-1, 1):
        assert not turn(SHEET, way * np.concatenate([STILL, np.linspace(3, 60, 30)]), side)


def test_a_head_that_stays_still_does_not_pass() -> None:
    assert not turn(HEAD, np.zeros(60), Side.LEFT)


def test_a_picture_of_a_turned_head_put_there_does_not_pass() -> None:
    assert not turn(HEAD, np.concatenate([STILL, np.full(20, 40.0)]), Side.LEFT)


def test_one_look_is_not_a_turn() -> None:
    assert not turn(HEAD, np.concatenate([STILL, [8, 40, 5, 0, 0]]), Side.LEFT)


def test_a_broken_row_begins_the_turn_anew() -> None:
    challenge = Challenge(Side.LEFT)
    half = len(STILL) + 5
    assert not show(challenge, HEAD, SLOWLY[:half])
    challenge.restart()
    assert not show(challenge, HEAD, SLOWLY[half:])
