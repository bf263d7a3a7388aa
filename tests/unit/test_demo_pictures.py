# SPDX-License-Identifier: Apache-2.0
"""The demo's pictures: always the same, good enough for the gate, and the stranger is one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from facelatch.camera.protocol import Image
from facelatch.demo import portrait, room, session
from facelatch.demo.errors import DemoError, PortraitError
from facelatch.demo.likeness import LIMIT, likeness
from facelatch.demo.stranger import stranger
from facelatch.face.detector import Detector
from facelatch.face.path import FacePath
from facelatch.face.quality import Hint
from facelatch.models import DETECTOR, read_model
from facelatch.shipped import face_path


@pytest.fixture(scope="module")
def original() -> Image:
    return portrait.read()


@pytest.fixture(scope="module")
def path() -> FacePath:
    return face_path()


def digests(pictures: Iterable[Image]) -> list[str]:
    return [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]


def test_a_session_is_frames_of_a_webcam(original: Image) -> None:
    for frame in session.frames(original, 3, seed=1):
        assert frame.shape == (480, 640, 3)
        assert frame.dtype == np.uint8


def test_one_seed_gives_one_session(original: Image) -> None:
    assert digests(session.frames(original, 3, seed=1)) == digests(session.frames(original, 3, seed=1))
    assert digests(room.frames(2, seed=1)) == digests(room.frames(2, seed=1))


def test_no_frame_comes_twice(original: Image) -> None:
    frames = digests(session.frames(original, 6, seed=1) + session.frames(original, 6, seed=2))
    assert len(set(frames)) == 12


def test_the_gate_takes_the_frames(original: Image, path: FacePath) -> None:
    for someone in (original, stranger(original)):
        looks = [path.look(frame) for frame in session.frames(someone, 20, seed=101)]
        assert sum(look.embedding is not None for look in looks) >= 19


def test_the_head_has_the_size_it_has_before_a_door(original: Image) -> None:
    detector = Detector(read_model(DETECTOR))
    widths = [detector(frame)[0].box[2] for frame in session.frames(original, 10, seed=102)]
    assert 120 < min(widths) < max(widths) < 220


def test_other_sessions_of_the_person_are_like_the_first_and_the_strangers_are_not(original: Image) -> None:
    person = session.frames(original, 6, seed=1)
    assert likeness(person, session.frames(original, 6, seed=103)) > 0.9
    for seed in (3, 104, 105):
        assert likeness(person, session.frames(stranger(original), 6, seed)) < LIMIT


def test_the_stranger_leaves_the_portrait_as_it_is(original: Image) -> None:
    before = original.copy()
    assert not np.array_equal(stranger(original), original)
    assert np.array_equal(before, original)


def test_likeness_of_pictures_without_a_face_is_an_error(original: Image) -> None:
    with pytest.raises(DemoError, match=r"do not pass the quality gate .*no_face"):
        likeness(session.frames(original, 2, seed=1), room.frames(1, seed=1))


def test_nobody_is_in_the_empty_room(path: FacePath) -> None:
    assert {path.look(frame).hint for frame in room.frames(5, seed=4)} == {Hint.NO_FACE}


def test_another_picture_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "astronaut.png"
    other.write_bytes(portrait.locate().read_bytes() + b"\0")
    with pytest.raises(PortraitError, match=r"astronaut\.png is not the portrait .*: run `make setup`"):
        portrait.read(other)


def test_a_missing_picture_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match=r"none\.png cannot be read \(No such file or directory\)"):
        portrait.read(tmp_path / "none.png")


@pytest.mark.parametrize("package", ["no_such_package", "json"])
def test_without_the_wheel_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(portrait, "PACKAGE", package)
    with pytest.raises(PortraitError, match=r"astronaut\.png\) is not installed: run `make setup`"):
        portrait.read()
