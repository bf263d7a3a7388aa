# SPDX-License-Identifier: Apache-2.0
"""A USB or other V4L2 camera, through OpenCV."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from facelatch.camera.bounded import PATIENCE_S, BoundedCamera, Stream
from facelatch.camera.opencv import rgb_from_bgr
from facelatch.camera.protocol import Image
from facelatch.camera.v4l2_probe import probe
from facelatch.errors import CameraError, CameraFault

DAMAGED_RUN = 15
"""Pictures in a row that OpenCV cannot decode before a camera is given up: a bad cable damages some, and many cameras
begin with one or two."""

DAMAGED_S = 2.0
"""Fewer are enough if they took this long, so that the reason is told before ``PATIENCE_S`` has passed."""


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Tell whether the device streams."""

    def read(self) -> tuple[bool, cv2.typing.MatLike | None]:
        """Return whether there was a frame that could be decoded, and the frame: (height, width, 3) uint8, BGR."""

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
        given_up = time.monotonic() + DAMAGED_S
        for _ in range(DAMAGED_RUN):
            image = self._next()
            if image is not None:
                return self._converted(image)
            probe(self._device, claim=False)
            if time.monotonic() >= given_up:  # OpenCV waited for a frame in vain, as likely as not
                raise TimeoutError
        raise CameraError(
            CameraFault.FROZEN,
            f"camera {self._device} delivers no frames that can be read",
            "check its cable, or unplug it and plug it in again",
        )

    def _next(self) -> cv2.typing.MatLike | None:
        try:
            found, image = self._capture.read()
        except cv2.error as error:
            raise TimeoutError from error
        return image if found else None

    def _converted(self, image: cv2.typing.MatLike) -> Image:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise CameraError(
                CameraFault.MISCONFIGURED,
                f"camera {self._device} gives pictures of shape {image.shape} and type {image.dtype}",
                "choose another camera: this one's pictures have no colours that can be used",
            )
        return rgb_from_bgr(image)

    def release(self) -> None:
        self._capture.release()
