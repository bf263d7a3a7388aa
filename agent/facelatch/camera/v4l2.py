# SPDX-License-Identifier: Apache-2.0
"""A USB or other V4L2 camera, through OpenCV."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import cv2

from facelatch.camera.opencv import V4L2_SELECT_S, rgb_from_bgr
from facelatch.camera.protocol import Frame
from facelatch.camera.v4l2_probe import probe
from facelatch.camera.worker import Worker
from facelatch.errors import CameraError, CameraFault

OPEN_LIMIT_S = 5.0
"""Longest wait for a camera to start: USB cameras need up to two seconds after a suspend."""

READ_LIMIT_S = V4L2_SELECT_S + 1.0
"""Longest wait for a frame. OpenCV gives up before that; this catches a driver that hangs in a call."""

CLOSE_LIMIT_S = 1.0
"""Longest wait for a camera to be released. A later release happens on its own as soon as the driver returns."""


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Tell whether the device streams."""

    def read(self) -> tuple[bool, cv2.typing.MatLike]:
        """Return whether there was a frame, and the frame: (height, width, 3) uint8, BGR."""

    def release(self) -> None:
        """Stop and let go of the device."""


class V4l2Camera:
    """Frames from a V4L2 device.

    Args:
        device: a device node, a link to one, or the number of ``/dev/videoN``.
        width: pixels asked for; the driver takes the nearest it can do.
        height: as width.
        fps: frames a second asked for; None leaves it to the driver.
        start: opens the device; by default through OpenCV.
    """

    live = True

    def __init__(
        self,
        device: str | int,
        *,
        width: int = 640,
        height: int = 480,
        fps: float | None = None,
        start: Callable[[], Capture] | None = None,
    ) -> None:
        self._device = Path(f"/dev/video{device}" if isinstance(device, int) else device)
        self._width = width
        self._height = height
        self._fps = fps
        self._start = start or self._start_opencv
        self._worker: Worker | None = None
        self._capture: Future[Capture]

    @property
    def name(self) -> str:
        """The device node."""
        return str(self._device)

    def check(self) -> None:
        """Check that the device is a camera that we may use; another program may be using it.

        Raises:
            CameraError: ``UNPLUGGED``, ``NO_PERMISSION``, ``MISCONFIGURED`` or ``FROZEN``.
        """
        probe(self._device, claim=False)

    def open(self) -> None:
        """Start capturing.

        Raises:
            CameraError: as ``check()``, or ``BUSY``.
        """
        self.close()
        probe(self._device, claim=True)
        self._worker = Worker(f"camera {self.name}")
        self._capture = self._worker.submit(self._start)
        try:
            streams = self._capture.result(OPEN_LIMIT_S).isOpened()
        except (TimeoutError, cv2.error) as error:
            self.close()
            raise self._frozen() from error
        if not streams:
            self.close()
            probe(self._device, claim=True)  # it may have been taken or pulled out since
            raise CameraError(
                CameraFault.MISCONFIGURED,
                f"camera {self.name} has no picture format that can be used",
                "use the picamera2 back end for a ribbon-cable camera, or another device",
            )
        self._sequence = 0

    def _start_opencv(self) -> Capture:
        capture = cv2.VideoCapture(str(self._device), cv2.CAP_V4L2)
        if capture.isOpened():
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._height)
            if self._fps is not None:
                capture.set(cv2.CAP_PROP_FPS, self._fps)
        return capture

    def read(self) -> Frame:
        """Return the next frame.

        Raises:
            CameraError: ``UNPLUGGED`` if the device went away (or was never opened), ``FROZEN`` if no frame came.
        """
        if self._worker is None:
            raise CameraError(CameraFault.UNPLUGGED, f"camera {self.name} is closed", "open it first")
        try:
            found, image = self._worker.submit(self._capture.result().read).result(READ_LIMIT_S)
        except (TimeoutError, cv2.error) as error:
            raise self._frozen() from error
        if not found:
            probe(self._device, claim=False)
            raise self._frozen()
        frame = Frame(rgb_from_bgr(image), self._sequence, time.monotonic())
        self._sequence += 1
        return frame

    def _frozen(self) -> CameraError:
        return CameraError(
            CameraFault.FROZEN,
            f"camera {self.name} delivers no frames",
            "unplug the camera and plug it in again, or restart the device",
        )

    def close(self) -> None:
        """Release the device; if its driver hangs, as soon as it returns."""
        if self._worker is None:
            return
        capture = self._capture
        released = self._worker.finish(lambda: capture.result().release())
        self._worker = None
        with suppress(TimeoutError, cv2.error):
            released.result(CLOSE_LIMIT_S)
