# SPDX-License-Identifier: Apache-2.0
"""A USB or other V4L2 camera, through OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2

from facelatch.camera.bounded import PATIENCE_S, BoundedCamera, Stream
from facelatch.camera.opencv import rgb_from_bgr
from facelatch.camera.protocol import Image
from facelatch.camera.v4l2_probe import probe
from facelatch.errors import CameraError, CameraFault


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Tell whether the device streams."""

    def read(self) -> tuple[bool, cv2.typing.MatLike]:
        """Return whether there was a frame, and the frame: (height, width, 3) uint8, BGR."""

    def release(self) -> None:
        """Stop and let go of the device."""


class V4l2Camera(BoundedCamera):
    """Frames from a V4L2 device.

    Args:
        device: a device node, a link to one, or the number of ``/dev/videoN``.
        width: pixels asked for; the driver takes the nearest it can do.
        height: as width.
        fps: frames a second asked for; None leaves it to the driver.
        patience: seconds to wait for a picture.
        start: opens the device; by default through OpenCV.
    """

    revival = "unplug the camera and plug it in again, or restart the device"

    def __init__(
        self,
        device: str | int,
        *,
        width: int = 640,
        height: int = 480,
        fps: float | None = None,
        patience: float = PATIENCE_S,
        start: Callable[[], Capture] | None = None,
    ) -> None:
        self._device = Path(f"/dev/video{device}" if isinstance(device, int) else device)
        super().__init__(str(self._device), patience)
        self._width = width
        self._height = height
        self._fps = fps
        self._capture = start or self._capture_by_opencv

    def check(self) -> None:
        """Check that the device is a camera that we may use; another program may be using it.

        Raises:
            CameraError: ``UNPLUGGED``, ``NO_PERMISSION``, ``MISCONFIGURED`` or ``FROZEN``.
        """
        probe(self._device, claim=False)

    def _start(self) -> Stream:
        probe(self._device, claim=True)
        try:
            capture = self._capture()
        except cv2.error as error:
            raise self._frozen() from error
        if not capture.isOpened():
            capture.release()
            probe(self._device, claim=True)  # it may have been taken or pulled out since
            raise CameraError(
                CameraFault.MISCONFIGURED,
                f"camera {self.name} has no picture format that can be used",
                "use the picamera2 back end for a ribbon-cable camera, or another device",
            )
        return _Stream(self._device, capture)

    def _capture_by_opencv(self) -> Capture:
        capture = cv2.VideoCapture(str(self._device), cv2.CAP_V4L2)
        if capture.isOpened():
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._height)
            if self._fps is not None:
                capture.set(cv2.CAP_PROP_FPS, self._fps)
        return capture


class _Stream:
    def __init__(self, device: Path, capture: Capture) -> None:
        self._device = device
        self._capture = capture

    def read(self) -> Image:
        try:
            found, image = self._capture.read()
        except cv2.error as error:
            raise TimeoutError from error
        if not found:
            probe(self._device, claim=False)
            raise TimeoutError
        return rgb_from_bgr(image)

    def release(self) -> None:
        self._capture.release()
