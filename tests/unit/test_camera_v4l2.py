# SPDX-License-Identifier: Apache-2.0
"""The V4L2 camera. There is none here: the kernel's answers and OpenCV's capture are the fakes, the rest is real."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facelatch.camera import bounded, opened, v4l2
from facelatch.camera.v4l2 import V4l2Camera
from facelatch.camera.v4l2_probe import probe
from facelatch.camera.worker import Worker
from facelatch.config import CameraConfig
from facelatch.errors import CameraError, CameraFault, CameraStuckError
from facelatch.shipped import configured_camera

QUERYCAP = 0x80685600
REQBUFS = 0xC0145608
CAPTURE = 0x1
OUTPUT = 0x2
MPLANE = 0x1000
HAS_DEVICE_CAPS = 0x80000000

CHARACTER_DEVICE = Path("/dev/null")
# Long enough for a first frame on a busy machine.
IMPATIENT_S = 1.0


def fake_ioctl(
    monkeypatch: pytest.MonkeyPatch, whole: int = CAPTURE, node: int = 0, reqbufs_errno: int = 0
) -> list[int]:
    """Let the kernel describe a device with these capabilities; return the buffer types it is then asked about."""
    asked: list[int] = []

    def ioctl(_: int, request: int, argument: bytearray) -> int:
        if request == QUERYCAP:
            assert len(argument) == 104
            struct.pack_into("=II", argument, 84, whole, node)
        else:
            assert request == REQBUFS
            assert len(argument) == 20
            buffers, kind, memory = struct.unpack_from("=III", argument)
            assert (buffers, memory) == (0, 1)
            asked.append(kind)
            if reqbufs_errno:
                raise OSError(reqbufs_errno, os.strerror(reqbufs_errno))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return asked


def fault_of(call: Callable[[], object], message: str) -> CameraFault:
    with pytest.raises(CameraError, match=message) as caught:
        call()
    return caught.value.fault


@pytest.mark.parametrize("step", ["check", "open"])
def test_a_missing_device(step: str, tmp_path: Path) -> None:
    for device in (str(tmp_path / "video7"), 987):
        camera = V4l2Camera(device)
        assert fault_of(getattr(camera, step), "is not there: plug it in") is CameraFault.UNPLUGGED


@pytest.mark.parametrize("step", ["check", "open"])
def test_what_is_not_a_camera(step: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    for device in (tmp_path, tmp_path / "file", tmp_path / "pipe", Path("/dev/null"), Path("/dev/zero")):
        camera = V4l2Camera(str(device))
        assert fault_of(getattr(camera, step), f"{device} is not a camera: choose") is CameraFault.MISCONFIGURED


@pytest.mark.parametrize(
    ("number", "fault", "message"),
    [
        (errno.EACCES, CameraFault.NO_PERMISSION, "not allowed to use camera .*: .* group `video`"),
        (errno.EPERM, CameraFault.NO_PERMISSION, "allow the device in its unit"),
        (errno.EBUSY, CameraFault.BUSY, "in use by another program: close that program"),
        (errno.ENODEV, CameraFault.UNPLUGGED, "is not there"),
        (errno.ENXIO, CameraFault.UNPLUGGED, "is not there"),
        (errno.EIO, CameraFault.FROZEN, r"does not answer \(Input/output error\): unplug"),
    ],
)
def test_what_the_kernel_says_at_open(
    monkeypatch: pytest.MonkeyPatch, number: int, fault: CameraFault, message: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert fault_of(V4l2Camera(str(CHARACTER_DEVICE)).check, message) is fault


@pytest.mark.parametrize(
    ("whole", "node", "kind"),
    [
        (CAPTURE, 0, 1),
        (MPLANE, 0, 9),
        (CAPTURE | OUTPUT | HAS_DEVICE_CAPS, CAPTURE, 1),
        (HAS_DEVICE_CAPS, MPLANE, 9),
    ],
)
def test_a_capture_device_is_accepted(monkeypatch: pytest.MonkeyPatch, whole: int, node: int, kind: int) -> None:
    asked = fake_ioctl(monkeypatch, whole, node)
    probe(CHARACTER_DEVICE, claim=False)
    assert asked == []
    probe(CHARACTER_DEVICE, claim=True)
    assert asked == [kind]


@pytest.mark.parametrize(("whole", "node"), [(OUTPUT, 0), (CAPTURE | HAS_DEVICE_CAPS, OUTPUT)])
def test_another_kind_of_video_device_is_refused(monkeypatch: pytest.MonkeyPatch, whole: int, node: int) -> None:
    fake_ioctl(monkeypatch, whole, node)
    fault = fault_of(lambda: probe(CHARACTER_DEVICE, claim=False), "is not a camera")
    assert fault is CameraFault.MISCONFIGURED


def test_a_camera_in_use_can_be_checked_but_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ioctl(monkeypatch, reqbufs_errno=errno.EBUSY)
    camera = V4l2Camera(str(CHARACTER_DEVICE))
    camera.check()
    assert fault_of(camera.open, "in use by another program") is CameraFault.BUSY


def test_a_probe_leaves_no_descriptor_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    fake_ioctl(monkeypatch, reqbufs_errno=errno.EBUSY)
    with pytest.raises(CameraError):
        probe(CHARACTER_DEVICE, claim=True)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


class FakeCapture:
    """What OpenCV would give for a camera."""

    def __init__(self, *, opens: bool = True, frames: int = 10**6) -> None:
        self._opens = opens
        self._frames = frames
        self.stuck: threading.Event | None = None
        self.interval = 0.0
        self.damaged = 0
        self.picture: cv2.typing.MatLike = np.full((64, 96, 3), (30, 20, 10), dtype=np.uint8)
        self.released = threading.Event()

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self._opens

    def read(self) -> tuple[bool, cv2.typing.MatLike | None]:
        assert not self.released.is_set()
        if self.stuck is not None:
            self.stuck.wait()
        time.sleep(self.interval)
        if self.damaged > 0:
            self.damaged -= 1
            return False, None
        self._frames -= 1
        return (True, self.picture) if self._frames >= 0 else (False, None)

    def release(self) -> None:
        self.released.set()


@pytest.fixture
def quick_to_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "CLOSE_LIMIT_S", IMPATIENT_S)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A device that can be pulled out."""
    fake_ioctl(monkeypatch)
    link = tmp_path / "video0"
    link.symlink_to(CHARACTER_DEVICE)
    return link


def test_frames_are_rgb_numbered_and_timed(device: Path) -> None:
    capture = FakeCapture()
    camera = V4l2Camera(str(device), start=lambda: capture)
    assert camera.live
    with opened(camera):
        first, second = camera.read(), camera.read()
    assert tuple(first.image[0, 0]) == (10, 20, 30)
    assert (first.sequence, second.sequence) == (0, 1)
    assert second.time >= first.time
    assert capture.released.is_set()


def test_it_can_be_opened_again(device: Path) -> None:
    captures: list[FakeCapture] = []

    def start() -> FakeCapture:
        captures.append(FakeCapture())
        return captures[-1]

    camera = V4l2Camera(str(device), start=start)
    for _ in range(3):
        with opened(camera):
            assert camera.read().sequence == 0
    assert [capture.released.is_set() for capture in captures] == [True] * 3


def test_closing_twice_and_reading_when_closed(device: Path) -> None:
    camera = V4l2Camera(str(device), start=FakeCapture)
    camera.close()
    camera.open()
    camera.close()
    camera.close()
    assert fault_of(camera.read, "is closed: open it first") is CameraFault.UNPLUGGED


def test_no_usable_format(device: Path) -> None:
    capture = FakeCapture(opens=False)
    camera = V4l2Camera(str(device), start=lambda: capture)
    assert fault_of(camera.open, "no picture format .*: use the picamera2 back end") is CameraFault.MISCONFIGURED
    assert capture.released.is_set()


def test_taken_by_another_just_now(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> FakeCapture:
        fake_ioctl(monkeypatch, reqbufs_errno=errno.EBUSY)
        return FakeCapture(opens=False)

    assert fault_of(V4l2Camera(str(device), start=start).open, "in use by another") is CameraFault.BUSY


def test_frames_that_stop(device: Path) -> None:
    with opened(V4l2Camera(str(device), start=lambda: FakeCapture(frames=2))) as camera:
        camera.read()
        camera.read()
        assert fault_of(camera.read, "no frames that can be read: check its cable") is CameraFault.FROZEN


def test_some_damaged_pictures_are_passed_over(device: Path) -> None:
    capture = FakeCapture()
    with opened(V4l2Camera(str(device), start=lambda: capture)) as camera:
        for sequence in range(3):
            capture.damaged = v4l2.DAMAGED_RUN - 1
            assert camera.read().sequence == sequence


@pytest.mark.parametrize("interval", [1.0, 0.5, 0.2, 0.1, 0.03])
def test_damaged_pictures_are_told_of_before_the_wait_for_one_is_over(
    device: Path, interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    class SlowCapture(FakeCapture):
        def read(self) -> tuple[bool, cv2.typing.MatLike | None]:
            nonlocal now
            now += interval
            return super().read()

    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = v4l2._Stream(device, SlowCapture(frames=0))
    with pytest.raises((CameraError, TimeoutError)):
        stream.read()
    assert now < bounded.PATIENCE_S


@pytest.mark.parametrize("shape", [(480, 640), (480, 640, 1), (480, 640, 4)])
def test_pictures_without_three_colours_are_refused(device: Path, shape: tuple[int, ...]) -> None:
    capture = FakeCapture()
    capture.picture = np.zeros(shape, dtype=np.uint8)
    camera = V4l2Camera(str(device), start=lambda: capture)
    assert fault_of(camera.open, "gives pictures of shape") is CameraFault.MISCONFIGURED
    assert capture.released.is_set()


@pytest.mark.parametrize("shape", [(63, 640, 3), (480, 63, 3), (4097, 64, 3), (64, 4097, 3)])
def test_pictures_of_a_size_that_is_of_no_use_are_refused(device: Path, shape: tuple[int, ...]) -> None:
    capture = FakeCapture()
    with opened(V4l2Camera(str(device), start=lambda: capture)) as camera:
        camera.read()
        capture.picture = np.zeros(shape, dtype=np.uint8)
        assert fault_of(camera.read, f"pictures of {shape[1]} x {shape[0]} pixels") is CameraFault.MISCONFIGURED


def test_pulled_out(device: Path) -> None:
    with opened(V4l2Camera(str(device), start=lambda: FakeCapture(frames=1))) as camera:
        camera.read()
        device.unlink()
        assert fault_of(camera.read, "is not there: plug it in") is CameraFault.UNPLUGGED


@pytest.mark.usefixtures("quick_to_let_go")
def test_a_driver_that_hangs_in_a_read(device: Path) -> None:
    capture = FakeCapture()
    camera = V4l2Camera(str(device), start=lambda: capture, patience=IMPATIENT_S)
    with opened(camera):
        camera.read()
        capture.stuck = threading.Event()
        assert fault_of(camera.read, "delivers no frames") is CameraFault.FROZEN
    assert not capture.released.is_set()
    capture.stuck.set()
    assert capture.released.wait(5), "it is released as soon as the driver returns"


@pytest.mark.usefixtures("quick_to_let_go")
def test_a_driver_that_hangs_at_the_start(device: Path) -> None:
    capture = FakeCapture()
    stuck = threading.Event()

    def start() -> FakeCapture:
        stuck.wait()
        return capture

    assert (
        fault_of(V4l2Camera(str(device), start=start, patience=IMPATIENT_S).open, "delivers no frames")
        is CameraFault.FROZEN
    )
    stuck.set()
    assert capture.released.wait(5)


@pytest.mark.usefixtures("quick_to_let_go")
def test_a_camera_is_not_opened_before_its_driver_has_let_go(device: Path) -> None:
    captures = [FakeCapture(), FakeCapture()]
    started = iter(captures)
    stuck = captures[0].stuck = threading.Event()
    camera = V4l2Camera(str(device), start=lambda: next(started), patience=IMPATIENT_S)
    assert fault_of(camera.open, "delivers no frames") is CameraFault.FROZEN
    for _ in range(2):
        with pytest.raises(CameraStuckError, match=r"the driver of camera .* hangs: unplug"):
            camera.open()
    stuck.set()
    assert captures[0].released.wait(5)
    with opened(camera):
        assert camera.read().sequence == 0
    assert captures[1].released.is_set()


def test_a_fault_is_told_within_three_seconds(device: Path) -> None:
    # The real limits: a driver that hangs for good at its first frame is the slowest way to fail.
    capture = FakeCapture()
    capture.stuck = threading.Event()
    assert fault_of(V4l2Camera(str(device), start=lambda: capture).open, "delivers") is CameraFault.FROZEN
    assert bounded.PATIENCE_S + bounded.CLOSE_LIMIT_S < 3.0
    capture.stuck.set()


def test_it_waits_as_long_as_configured(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = FakeCapture()
    capture.interval = 0.2
    monkeypatch.setattr(V4l2Camera, "_capture_by_opencv", lambda _: capture)
    with opened(configured_camera(CameraConfig(source=str(device), patience=30.0))) as camera:
        assert camera.read().sequence == 0
    capture = FakeCapture()
    capture.stuck = threading.Event()
    camera = configured_camera(CameraConfig(source=str(device), patience=0.05))
    assert fault_of(camera.open, "delivers no frames") is CameraFault.FROZEN
    capture.stuck.set()


def test_one_frame_a_second_is_no_fault(device: Path) -> None:
    capture = FakeCapture()
    capture.interval = 1.0
    with opened(V4l2Camera(str(device), start=lambda: capture)) as camera:
        assert [camera.read().sequence for _ in range(2)] == [0, 1]


def test_an_exception_of_opencv_is_an_error_of_ours(device: Path) -> None:
    def start() -> FakeCapture:
        raise cv2.error("inside")

    assert fault_of(V4l2Camera(str(device), start=start).open, "delivers no frames") is CameraFault.FROZEN


def test_opencv_itself_refuses_what_is_no_camera(device: Path) -> None:
    # The real OpenCV this time, on a device whose faked description says camera.
    assert fault_of(V4l2Camera(str(device), fps=30).open, "no picture format") is CameraFault.MISCONFIGURED


def test_the_worker_ends() -> None:
    worker = Worker("test worker")
    assert worker.submit(lambda: 1).result(5) == 1
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 // 0).result(5)
    assert worker.finish(lambda: 2).result(5) == 2
    for thread in threading.enumerate():
        if thread.name == "test worker":
            thread.join(5)
            assert not thread.is_alive()
