# SPDX-License-Identifier: Apache-2.0
"""The liveness policy of one attempt: what is asked for and when, and what it costs whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest

from facelatch.daemon.liveness import CHALLENGE_SECONDS, Step, Turn, Watch
from facelatch.face.liveness import Reason, Side
from facelatch.face.path import Look
from facelatch.face.quality import Hint
from tests.heads import seen, surface

HEAD, SHEET = surface(), surface(flat=True)
FPS = 15.0
ANNA = np.eye(1, 8, dtype=np.float32)[0]
LIVE, DOUBTFUL, PRINT = 5.0, 0.0, -6.0


class Person:
    """Someone before a watch: looks at them come at a steady pace."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.frames = 0

    def show(self, score: float, degrees: Iterable[float] = (0.0,) * 8, shape: np.ndarray = HEAD) -> list[Step]:
        steps = []
        for angle in degrees:
            look = Look(embedding=ANNA, points=seen(shape, angle, shake=self.frames), live=score)
            steps.append(self.watch.see(look, self.frames / FPS))
            self.frames += 1
        return steps

    def side(self) -> int:
        turn = self.watch.turn
        assert turn is not None
        return int(turn.side)

    def turn_as_asked(self) -> list[Step]:
        """Hold still for four looks, then turn."""
        return self.show(DOUBTFUL, self.side() * np.concatenate([np.zeros(4), np.linspace(4, 40, 12)]))


BREAKS: dict[str, Callable[[Person], object]] = {
    "out of sight": lambda person: person.watch.missed(Hint.NO_FACE),
    "somebody else beside": lambda person: person.watch.missed(Hint.SEVERAL_FACES),
    "a pause": lambda person: setattr(person, "frames", person.frames + 10),
}
"""What breaks a row of looks."""


def test_a_live_face_is_not_asked_and_decided_within_a_second() -> None:
    person = Person(Watch())
    steps = person.show(LIVE, [0.0] * int(FPS))
    assert Step.TURN not in steps
    assert steps[7:] == [Step.LIVE] * 8


def test_a_print_is_refused_without_a_turn_being_asked() -> None:
    assert Person(Watch()).show(PRINT) == [Step.WAIT] * 7 + [Step.SPOOF]


def test_who_is_in_doubt_turns_the_head_and_passes() -> None:
    person = Person(Watch())
    assert person.show(DOUBTFUL)[-1] is Step.TURN
    steps = person.turn_as_asked()
    assert Step.LIVE not in steps[:4]
    assert steps[-1] is Step.LIVE
    assert person.watch.turn is None


@pytest.mark.parametrize(("shape", "way"), [(HEAD, -1), (HEAD, 0), (SHEET, 1), (SHEET, -1)])
def test_no_turn_or_the_wrong_one_or_a_turned_sheet_is_refused_in_time(shape: np.ndarray, way: int) -> None:
    person = Person(Watch())
    person.show(DOUBTFUL, shape=shape)
    path = way * person.side() * np.concatenate([np.zeros(4), np.linspace(4, 45, 12), np.full(100, 45.0)])
    steps = person.show(DOUBTFUL, path, shape)
    assert Step.LIVE not in steps
    late = int(CHALLENGE_SECONDS * FPS)
    assert steps[late + 1] is Step.SPOOF


def test_once_asked_for_a_turn_nothing_else_will_do() -> None:
    person = Person(Watch())
    person.show(DOUBTFUL)
    assert Step.LIVE not in person.show(LIVE, [0.0] * 30)


def test_breaking_the_row_draws_no_other_side_and_no_more_time() -> None:
    person = Person(Watch())
    person.show(DOUBTFUL)
    side = person.side()
    for _ in range(4):
        person.watch.missed(Hint.NO_FACE)
        assert Step.LIVE not in person.show(LIVE, [0.0] * 18)
        assert person.side() == side
    assert person.show(LIVE, [0.0] * 10)[-1] is Step.SPOOF


def test_whoever_has_turned_may_look_straight_again_for_as_long_as_they_like() -> None:
    person = Person(Watch())
    person.show(DOUBTFUL)
    side = person.side()
    assert person.turn_as_asked()[-1] is Step.LIVE
    back = np.concatenate([np.linspace(40, 0, 12), np.zeros(int(CHALLENGE_SECONDS * FPS))])
    assert set(person.show(DOUBTFUL, side * back)) == {Step.LIVE}


@pytest.mark.parametrize("how", BREAKS)
def test_a_turn_counts_for_the_row_it_was_made_in_and_no_other(how: str) -> None:
    person = Person(Watch())
    person.show(DOUBTFUL)
    side = person.side()
    assert person.turn_as_asked()[-1] is Step.LIVE
    BREAKS[how](person)
    assert Step.LIVE not in person.show(DOUBTFUL, [0.0] * 12)
    assert person.side() == side
    assert person.turn_as_asked()[-1] is Step.LIVE


@pytest.mark.parametrize("how", BREAKS)
def test_nobody_else_ends_a_turn_that_somebody_began(how: str) -> None:
    person = Person(Watch())
    person.show(DOUBTFUL)
    side = person.side()
    person.show(DOUBTFUL, side * np.concatenate([np.zeros(4), np.linspace(4, 18, 5)]))
    BREAKS[how](person)
    assert Step.LIVE not in person.show(DOUBTFUL, [side * 40.0] * 20)


def test_a_row_that_breaks_is_told_once() -> None:
    person = Person(Watch())
    person.show(LIVE)
    BREAKS["a pause"](person)
    assert person.show(LIVE) == [Step.RETRY, *[Step.WAIT] * 6, Step.LIVE]


def test_a_picture_that_the_camera_repeats_counts_for_nothing_and_breaks_nothing() -> None:
    person = Person(Watch())
    person.show(LIVE, [0.0] * 6)
    person.frames -= 1
    assert person.show(LIVE, [0.0] * 3) == [Step.WAIT, Step.WAIT, Step.LIVE]


def test_a_picture_put_in_place_of_a_live_face_is_not_live() -> None:
    person = Person(Watch())
    assert person.show(LIVE)[-1] is Step.LIVE
    assert person.show(PRINT)[-1] is Step.SPOOF
    assert Step.LIVE not in person.show(PRINT)


def test_a_print_that_is_shown_after_the_turn_is_vetoed() -> None:
    person = Person(Watch())
    person.show(DOUBTFUL)
    assert person.turn_as_asked()[-1] is Step.LIVE
    assert person.show(PRINT, [0.0])[-1] is Step.TURN or person.watch.turn is None
    assert Step.LIVE not in person.show(PRINT, [0.0] * 3)


def test_a_face_that_was_out_of_sight_starts_over_and_a_blurred_one_goes_on() -> None:
    person = Person(Watch())
    person.show(LIVE, [0.0] * 7)
    person.watch.missed(Hint.BLURRED)
    assert person.show(LIVE, [0.0]) == [Step.LIVE]
    person.watch.missed(Hint.NO_FACE)
    assert person.show(LIVE, [0.0]) == [Step.WAIT]


def test_preferring_asks_nobody_and_still_refuses_prints() -> None:
    assert Person(Watch(asks=False)).show(DOUBTFUL)[-1] is Step.LIVE
    assert Person(Watch(asks=False)).show(PRINT)[-1] is Step.SPOOF


def test_a_look_that_was_not_judged_counts_for_nothing() -> None:
    watch = Watch()
    for n in range(20):
        whole = Look(embedding=ANNA, points=seen(HEAD, shake=n), live=LIVE)
        for look in (replace(whole, embedding=None), replace(whole, points=None), replace(whole, live=None)):
            assert watch.see(look, n / FPS) is Step.WAIT


def test_why_there_is_no_verdict_is_told_and_what_was_seen_adds_up() -> None:
    person = Person(Watch())
    assert person.watch.turn is None
    assert person.watch.reason == Reason.TOO_FEW.value
    person.show(LIVE)
    assert person.watch.reason == ""
    assert person.watch.total == pytest.approx(8 * ANNA)
    person.watch.missed(Hint.NO_FACE)
    assert person.watch.reason == Reason.LEFT.value


def test_a_turn_says_how_far_and_which_way() -> None:
    assert [Turn(side).degrees for side in (Side.LEFT, Side.RIGHT)] == [25, -25]
