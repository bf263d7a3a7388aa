# SPDX-License-Identifier: Apache-2.0
"""The picamera2 back end. A module shaped like picamera2 stands in for it, with its traps: see ``Standin``."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from facelatch.camera import bounded, opened, picamera2_camera
from facelatch.camera.picamera2_camera import Picamera2Camera
from facelatch.config import CameraConfig
from facelatch.errors import CameraError, CameraFault
from facelatch.shipped import configured_camera
from tests.agent import GUARD_SECONDS

SCENE = np.zeros((64, 96, 3), dtype=np.uint8)
SCENE[...] = (10, 20, 30)
SCENE[0, 0] = (200, 100, 50)


def nv12(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """As a camera gives it that has no RGB: video range of Rec. 601, colours of each two pixels and rows together."""
    red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
    luma = 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    colours = [
        128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256,
        128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256,
    ]
    height, width = luma.shape
    halved = [colour.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for colour in colours]
    chroma = np.stack(halved, axis=-1).reshape(height // 2, width)
    return np.asarray(np.rint(np.vstack([luma, chroma])), dtype=np.uint8)


class Standin:
    """What is used of ``picamera2.Picamera2``.

    As in the real one: the arrays of a format are in the opposite order of its name; a format that a camera lacks is
    replaced in silence; ``stop`` queues up behind jobs that wait for frames; the constructor hides what went wrong.
    """

    cameras = 1
    taken = False
    frames: threading.Event
    fails: dict[str, Exception]
    format: str | None = None
    shape: tuple[int, ...] = SCENE.shape
    calls: list[str]
    controls: dict[str, Any]
    camera_controls: dict[str, object]
    waited: float

    @classmethod
    def global_camera_info(cls) -> list[dict[str, object]]:
        cls._step("info")
        return [{"Num": number} for number in range(cls.cameras)]

    @classmethod
    def _step(cls, name: str) -> None:
        cls.calls.append(name)
        if name in cls.fails:
            raise cls.fails[name]

    def __init__(self, camera_num: int) -> None:
        assert camera_num < self.cameras
        try:
            if Standin.taken:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")  # noqa: TRY301
            self._step("acquire")
        except Exception:
            raise RuntimeError("Camera __init__ sequence did not complete.")  # noqa: B904 - as it does
        Standin.taken = True
        self._jobs: list[Future[npt.NDArray[Any]]] = []
        self._step("allocate")

    def create_video_configuration(self, main: dict[str, Any], controls: dict[str, Any]) -> dict[str, Any]:
        self._step("create")
        for control in controls:
            if control not in self.camera_controls:
                raise RuntimeError(f"Control {control} is not advertised by libcamera")
        Standin.controls = controls
        return {"main": main}

    def configure(self, configuration: dict[str, Any]) -> None:
        self._step("configure")
        self._main = {**configuration["main"], "format": self.format or configuration["main"]["format"]}

    def camera_configuration(self) -> dict[str, Any]:
        return {"main": self._main}

    def start(self) -> None:
        self._step("start")

    def capture_array(self, name: str, *, wait: bool) -> Future[npt.NDArray[Any]]:
        assert (name, wait) == ("main", False)
        self._step("capture")
        job: Future[npt.NDArray[Any]] = Future()
        self._jobs.append(job)
        if self.frames.is_set():
            image = np.resize(SCENE, self.shape)
            orders = {"BGR888": image, "NV12": nv12(SCENE)}
            job.set_result(orders.get(self._main["format"], image[..., ::-1]).copy())
            self._jobs.remove(job)
        return job

    def wait(self, job: Future[npt.NDArray[Any]], timeout: float) -> npt.NDArray[Any]:
        Standin.waited = timeout
        return job.result(timeout)

    def cancel_all_and_flush(self) -> None:
        self._step("cancel")
        self._jobs.clear()

    def stop(self) -> None:
        while self._jobs:
            time.sleep(0.01)
        self._step("stop")

    def close(self) -> None:
        Standin.taken = False
        self._step("close")


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Standin]]:
    """A device with one camera that works, and picamera2 installed."""
    module = ModuleType("picamera2")
    module.Picamera2 = Standin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(picamera2_camera, "DEVICES", tmp_path)
    fresh: dict[str, Any] = {
        "cameras": 1,
        "taken": False,
        "format": None,
        "shape": SCENE.shape,
        "frames": threading.Event(),
        "fails": {},
        "calls": [],
        "controls": {},
        "waited": 0.0,
        "camera_controls": {"FrameDurationLimits": (33333, 120000, None)},
    }
    for name, value in fresh.items():
        monkeypatch.setattr(Standin, name, value, raising=False)
    Standin.frames.set()
    yield Standin
    # On a thread of its own, once the driver has returned.
    end = time.monotonic() + GUARD_SECONDS
    while Standin.taken and time.monotonic() < end:
        time.sleep(0.01)
    assert not Standin.taken, "the camera is released whatever happened"


def fault_of(call: Callable[[], object], message: str) -> CameraFault:
    with pytest.raises(CameraError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value.fault


def works(camera: Picamera2Camera) -> bool:
    with opened(camera):
        return np.array_equal(camera.read().image, SCENE)


def test_frames_are_rgb_numbered_and_timed() -> None:
    camera = Picamera2Camera(0)
    camera.check()
    assert (camera.name, camera.live) == ("picamera2 0", True)
    with opened(camera):
        first, second = camera.read(), camera.read()
    assert tuple(first.image[0, 0]) == (200, 100, 50)
    assert np.array_equal(second.image, SCENE)
    assert (first.image.dtype.name, first.sequence, second.sequence) == ("uint8", 0, 1)
    assert second.time >= first.time
    assert Standin.calls[-3:] == ["cancel", "stop", "close"]


def test_what_is_asked_of_the_camera() -> None:
    with opened(Picamera2Camera(0, fps=15)):
        assert Standin.controls == {"FrameDurationLimits": (66667, 66667)}
    with opened(Picamera2Camera(0)):
        assert Standin.controls == {}


@pytest.mark.parametrize("patience", [1.0, 2.5, 20.0])
def test_it_waits_as_long_as_configured_and_picamera2_gives_up_first(patience: float) -> None:
    with opened(configured_camera(CameraConfig(backend="picamera2", source="0", patience=patience))):
        assert patience / 2 < Standin.waited < patience - 0.1


def test_a_camera_whose_rate_cannot_be_set_keeps_its_own() -> None:
    Standin.camera_controls = {}
    with opened(Picamera2Camera(0, fps=15)) as camera:
        assert np.array_equal(camera.read().image, SCENE)
        assert Standin.controls == {}


def test_a_camera_without_rgb_is_converted_and_keeps_its_colours() -> None:
    Standin.format = "NV12"
    with opened(Picamera2Camera(0)) as camera:
        image = camera.read().image
    assert (image.shape, image.dtype.name) == (SCENE.shape, "uint8")
    # Where four pixels share their colour it is kept; where they differ, at least the brightness is each one's own.
    assert np.abs(image[2:].astype(int) - SCENE[2:]).max() <= 2
    assert image[0, 0].mean() > image[0, 1].mean() + 50


def test_it_can_be_opened_again() -> None:
    camera = Picamera2Camera(0)
    assert all(works(camera) for _ in range(3))
    camera.close()
    camera.close()
    assert fault_of(camera.read, "is closed: open it first") is CameraFault.UNPLUGGED


def test_it_can_be_checked_while_another_uses_it() -> None:
    Standin.taken = True
    camera = Picamera2Camera(0)
    camera.check()
    assert fault_of(camera.open, "in use by another program: close that program") is CameraFault.BUSY
    Standin.taken = False
    assert works(camera)


@pytest.mark.parametrize("step", ["check", "open"])
def test_no_such_camera(step: str) -> None:
    fault = fault_of(getattr(Picamera2Camera(1), step), "is not there, libcamera finds 1: check its cable")
    assert fault is CameraFault.UNPLUGGED


@pytest.mark.parametrize("step", ["check", "open"])
def test_picamera2_is_not_installed(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "picamera2")
    monkeypatch.setattr(sys, "path", [])
    fault = fault_of(getattr(Picamera2Camera(0), step), "lacks the Python module picamera2: run `apt install python3-")
    assert fault is CameraFault.MISCONFIGURED


def test_picamera2_does_not_fit_this_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "picamera2")
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    fault = fault_of(
        Picamera2Camera(0).check, r"cannot be loaded \(numpy\.dtype size changed\): use the distribution's"
    )
    assert fault is CameraFault.MISCONFIGURED


@pytest.mark.parametrize(
    ("step", "error", "fault", "message"),
    [
        ("acquire", RuntimeError("Failed to acquire camera"), CameraFault.BUSY, "in use"),
        ("acquire", RuntimeError("camera.acquire() returned unexpected code: -16"), CameraFault.BUSY, "in use"),
        ("acquire", RuntimeError("Initialization\nfailed."), CameraFault.MISCONFIGURED, r"\(Initialization failed\.\)"),
        ("acquire", OSError(errno.EACCES, "Permission denied"), CameraFault.NO_PERMISSION, "group `video`"),
        (
            "allocate",
            RuntimeError("Could not open any dmaHeap device"),
            CameraFault.MISCONFIGURED,
            "any dmaHeap device",
        ),
        ("configure", RuntimeError("Invalid camera configuration: {}"), CameraFault.MISCONFIGURED, "Invalid camera"),
        ("configure", OSError(errno.ENOMEM, "Cannot allocate memory"), CameraFault.MISCONFIGURED, "allocate memory"),
        ("start", RuntimeError("Failed to start camera: Device or resource busy"), CameraFault.BUSY, "in use"),
        ("capture", RuntimeError("Camera frontend has gone"), CameraFault.MISCONFIGURED, "frontend has gone"),
    ],
)
def test_a_failure_is_named_and_the_next_attempt_works(
    step: str, error: Exception, fault: CameraFault, message: str
) -> None:
    camera = Picamera2Camera(0)
    Standin.fails = {step: error}
    assert fault_of(camera.open, message) is fault
    assert not Standin.taken
    Standin.fails = {}
    assert works(camera)


@pytest.mark.parametrize("step", ["check", "open"])
def test_libcamera_cannot_be_started(step: str) -> None:
    Standin.fails = {"info": RuntimeError("Failed to start CameraManager: No such device")}
    camera = Picamera2Camera(0)
    fault = fault_of(getattr(camera, step), r"cannot be started \(Failed to start CameraManager: No such device\)")
    assert fault is CameraFault.MISCONFIGURED
    Standin.fails = {}
    assert works(camera)


@pytest.mark.parametrize("step", ["cancel", "stop", "close"])
def test_a_failure_while_letting_go_keeps_no_step_undone(step: str) -> None:
    Standin.fails = {step: RuntimeError("no")}
    assert works(Picamera2Camera(0))
    assert Standin.calls[-3:] == ["cancel", "stop", "close"]


def test_another_pixel_format_is_refused_and_not_shown_in_wrong_colours() -> None:
    Standin.format = "RGB888"
    fault = fault_of(Picamera2Camera(0).open, "gives RGB888 instead of BGR888: use the v4l2 back end")
    assert fault is CameraFault.MISCONFIGURED


def test_another_shape_is_refused() -> None:
    Standin.shape = (4, 6, 4)
    assert fault_of(Picamera2Camera(0).open, r"gives \(4, 6, 4\) uint8") is CameraFault.MISCONFIGURED


def test_frames_that_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2_camera, "FRAME_SHARE", 0.02)
    camera = Picamera2Camera(0)
    with opened(camera):
        camera.read()
        Standin.frames.clear()
        assert fault_of(camera.read, "delivers no frames: check the camera's cable") is CameraFault.FROZEN
    assert not Standin.taken, "the job that timed out does not keep it from stopping"
    Standin.frames.set()
    assert works(camera)


def test_a_camera_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2_camera, "FRAME_SHARE", 0.02)
    with opened(Picamera2Camera(0)) as camera:
        Standin.frames.clear()
        Standin.cameras = 0
        camera.read()  # the frame that came with opening
        assert fault_of(camera.read, "is not there, libcamera finds 0") is CameraFault.UNPLUGGED


def test_no_first_frame_is_told_within_three_seconds() -> None:
    Standin.frames.clear()
    camera = Picamera2Camera(0)
    assert fault_of(camera.open, "delivers no frames") is CameraFault.FROZEN
    assert bounded.PATIENCE_S + bounded.CLOSE_LIMIT_S < 3.0
    Standin.frames.set()
    assert works(camera)


def test_a_library_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "CLOSE_LIMIT_S", 0.05)
    stuck = threading.Event()
    monkeypatch.setattr(Standin, "global_camera_info", lambda: (stuck.wait(), [{}])[1])
    camera = Picamera2Camera(0, patience=0.05)
    for step in (camera.check, camera.open):
        assert fault_of(step, "delivers no frames") is CameraFault.FROZEN
    stuck.set()


@pytest.mark.parametrize("node", ["media0", "dma_heap/system"])
def test_devices_that_may_not_be_used(node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dma_heap").mkdir()
    for name in ("media0", "dma_heap/system"):
        (tmp_path / name).touch()
    camera = Picamera2Camera(0)
    camera.check()
    real_open = os.open

    def refuse(path: Path, flags: int, *more: Any) -> int:
        if str(path).endswith(node):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        return real_open(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    for step in (camera.check, camera.open):
        assert fault_of(step, rf"not allowed to use .*{node}: .* group `video`") is CameraFault.NO_PERMISSION
    (tmp_path / node).with_name("media1" if node == "media0" else "linux,cma").touch()
    camera.check()  # one of a group is enough
