# SPDX-License-Identifier: Apache-2.0
"""Dark and frozen cameras, and the choice of a back end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest

from facelatch.camera import BACKENDS, Camera, Frame, Image, Watched, make_camera, opened
from facelatch.camera.watched import ASLEEP_S, DARK_LUMINANCE, DARK_RUN, FROZEN_RUN, mean_luminance
from facelatch.errors import CameraError, CameraFault, ConfigError


def grey(level: int) -> Image:
    return np.full((4, 6, 3), level, dtype=np.uint8)


def noisy(level: int, seed: int) -> Image:
    noise = np.random.default_rng(seed).integers(0, 3, (4, 6, 3), dtype=np.uint8)
    return np.asarray(grey(level) + noise, dtype=np.uint8)


class FakeCamera:
    """A camera that shows the pictures it is given."""

    name = "fake"

    def __init__(self, images: Iterable[Image], *, live: bool = True, fps: float = 1e9) -> None:
        self.live = live
        self._fps = fps
        self.calls: list[str] = []
        self._images = iter(images)
        self._sequence = 0

    def check(self) -> None:
        self.calls.append("check")

    def open(self) -> None:
        self.calls.append("open")

    def read(self) -> Frame:
        self._sequence += 1
        return Frame(next(self._images), self._sequence - 1, self._sequence / self._fps)

    def close(self) -> None:
        self.calls.append("close")


def read_until_fault(camera: Camera) -> tuple[CameraFault, int]:
    """Return the fault, and how many frames came before it."""
    good = 0
    try:
        while True:
            camera.read()
            good += 1
    except CameraError as error:
        return error.fault, good


def test_a_good_camera_is_passed_through() -> None:
    fake = FakeCamera(noisy(100, seed) for seed in range(100))
    camera = Watched(fake)
    camera.check()
    with opened(camera):
        assert [camera.read().sequence for _ in range(100)] == list(range(100))
    assert fake.calls == ["check", "open", "close"]
    assert (camera.name, camera.live) == ("fake", True)


def test_a_covered_lens_is_dark() -> None:
    assert read_until_fault(Watched(FakeCamera(noisy(2, seed) for seed in range(100)))) == (
        CameraFault.DARK,
        DARK_RUN - 1,
    )


@pytest.mark.parametrize("live", [True, False])
def test_black_that_repeats_is_dark_and_not_frozen(live: bool) -> None:
    assert read_until_fault(Watched(FakeCamera(repeat(grey(0)), live=live)))[0] is CameraFault.DARK


def test_dark_frames_while_exposure_settles_are_no_fault() -> None:
    settling = [grey(0)] * (DARK_RUN - 1) + [noisy(90, seed) for seed in range(5)] + [grey(0)] * (DARK_RUN - 1)
    camera = Watched(FakeCamera(settling))
    for _ in settling:
        camera.read()


def test_a_live_camera_that_repeats_itself_is_frozen() -> None:
    assert read_until_fault(Watched(FakeCamera(repeat(grey(100))))) == (CameraFault.FROZEN, FROZEN_RUN - 1)


def test_a_few_repeats_are_no_fault() -> None:
    images = chain.from_iterable(repeat(grey(100 + step), FROZEN_RUN - 1) for step in range(5))
    camera = Watched(FakeCamera(images))
    for _ in range(5 * (FROZEN_RUN - 1)):
        camera.read()


def test_one_photograph_replayed_is_not_frozen() -> None:
    camera = Watched(FakeCamera(repeat(grey(100)), live=False))
    for _ in range(3 * FROZEN_RUN):
        camera.read()


@pytest.mark.parametrize(("level", "fault"), [(0, CameraFault.DARK), (100, CameraFault.FROZEN)])
@pytest.mark.parametrize(("fps", "good"), [(1, 2), (2, 4), (5, 10)])
def test_a_slow_camera_is_judged_by_the_time_it_took(level: int, fault: CameraFault, fps: float, good: int) -> None:
    assert read_until_fault(Watched(FakeCamera(repeat(grey(level)), fps=fps))) == (fault, good)


@pytest.mark.parametrize("level", [0, 100])
@pytest.mark.parametrize("fps", [1, 1.4, 2, 3, 5, 7, 10, 15, 30])
def test_what_is_wrong_with_the_pictures_is_told_within_three_seconds_of_the_first(level: int, fps: float) -> None:
    fake = FakeCamera(repeat(grey(level)), fps=fps)
    _, good = read_until_fault(Watched(fake))
    assert good / fps < 3.0  # by the camera's clock: the first picture was there at 0, the one refused after so many


class Sleeper:
    """The kernel's clocks on a device that sleeps when told to; each look at one takes a while."""

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME

    def __init__(self) -> None:
        self.slept = 0.0
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 10 * ASLEEP_S  # a thread that has to wait
        return self._now

    def clock_gettime(self, clock: int) -> float:
        assert clock == self.CLOCK_BOOTTIME
        return self.monotonic() + self.slept


def test_a_run_of_frames_ends_where_the_device_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Sleeper()
    monkeypatch.setattr("facelatch.camera.watched.time", clock)
    camera = Watched(FakeCamera(noisy(100, seed) for seed in range(100)))
    with opened(camera):
        for _ in range(5):
            camera.read()
        clock.slept += 21 * ASLEEP_S
        with pytest.raises(CameraError, match="the device was suspended while camera fake looked: try again") as caught:
            camera.read()
        assert caught.value.fault is CameraFault.FROZEN
    with opened(camera):
        camera.read()


def test_a_slow_camera_that_shows_something_is_no_fault() -> None:
    images = list(chain.from_iterable([grey(0), grey(0), grey(90), grey(90), grey(95)] for _ in range(10)))
    camera = Watched(FakeCamera(images, fps=1))
    for _ in images:
        camera.read()


def test_opening_starts_the_count_afresh() -> None:
    camera = Watched(FakeCamera(repeat(grey(0))))
    for _ in range(3):
        with opened(camera):
            for _ in range(DARK_RUN - 1):
                camera.read()


def test_the_messages_name_the_camera_and_a_remedy() -> None:
    with pytest.raises(CameraError, match="camera fake shows only black: uncover the lens"):
        list(iter(Watched(FakeCamera(repeat(grey(0)))).read, None))
    with pytest.raises(CameraError, match="camera fake repeats one picture: unplug the camera"):
        list(iter(Watched(FakeCamera(repeat(grey(99)))).read, None))


def test_mean_luminance() -> None:
    assert mean_luminance(grey(0)) == 0
    assert mean_luminance(grey(255)) == pytest.approx(255)
    green = np.zeros((2, 2, 3), dtype=np.uint8)
    green[..., 1] = 100
    assert mean_luminance(green) == pytest.approx(58.7)
    assert mean_luminance(grey(7)) < DARK_LUMINANCE <= mean_luminance(grey(8)) + 1e-9


def test_a_camera_is_closed_when_its_user_fails() -> None:
    fake = FakeCamera([])
    with pytest.raises(StopIteration), opened(fake):
        fake.read()
    assert fake.calls == ["open", "close"]


def test_make_camera(tmp_path: Path) -> None:
    assert BACKENDS == ("v4l2", "picamera2", "replay")
    replay = make_camera("replay", str(tmp_path), fps=5, loop=False)
    assert (replay.name, replay.live) == (f"replay of {tmp_path}", False)
    for source in ("/dev/video3", "3"):
        camera = make_camera("v4l2", source)
        assert (camera.name, camera.live) == ("/dev/video3", True)
    camera = make_camera("picamera2", "0")
    assert (camera.name, camera.live) == ("picamera2 0", True)


@pytest.mark.parametrize(
    ("backend", "source", "fps", "message"),
    [
        ("gphoto", "x", None, "no camera back end 'gphoto': use one of v4l2, picamera2, replay"),
        ("replay", "", None, "no source"),
        ("replay", "a\0b", None, "no source"),
        ("picamera2", "/dev/video0", None, "'/dev/video0' is no camera of the picamera2 back end: give its number"),
        ("replay", "x", 0.0, "frames a second: choose 1 to 240"),
        ("replay", "x", 0.9, "frames a second"),
        ("replay", "x", float("nan"), "frames a second"),
        ("v4l2", "x", 1e9, "frames a second"),
    ],
)
def test_make_camera_refuses(backend: str, source: str, fps: float | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_camera(backend, source, fps=fps)
