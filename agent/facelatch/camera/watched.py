# SPDX-License-Identifier: Apache-2.0
"""Notices a camera that delivers frames, but useless ones: a covered lens, or the same picture for ever."""

from __future__ import annotations

import cv2
import numpy as np

from facelatch.camera.protocol import Camera, Frame, Image
from facelatch.camera.wrapper import CameraWrapper
from facelatch.errors import CameraError, CameraFault

DARK_LUMINANCE = 8.0
"""Mean luminance (0 to 255) below which a frame shows nothing: a covered lens with sensor noise stays below it. A room
that is merely too dark for a face lies above it, and is for the quality gate to say."""

DARK_RUN = 20
"""Dark frames in a row before the camera is called dark: automatic exposure takes up to this many after opening."""

FROZEN_RUN = 15
"""Equal frames in a row before a live camera is called frozen. Sensor noise makes even two unlikely, but some cameras
repeat frames to keep their rate in low light."""

SLOW_RUN = 3
SLOW_S = 2.0
"""Fewer such frames are enough if they took this long: a slow camera would be judged too late by their number alone."""


def mean_luminance(image: Image) -> float:
    """Return the mean luminance, 0 to 255 (Rec. 601), of an RGB picture (height, width, 3) uint8."""
    red, green, blue, _ = cv2.mean(image)
    return 0.299 * red + 0.587 * green + 0.114 * blue


class _Run:
    """Frames in a row that have something in common.

    Args:
        limit: as many as this are too many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._start = 0.0

    def restart(self, frame: Frame, count: int) -> None:
        """Count anew: none, or this frame alone."""
        self._count = count
        self._start = frame.time

    def add(self, frame: Frame) -> bool:
        """Count a frame; tell whether there are too many."""
        if self._count == 0:
            self._start = frame.time
        self._count += 1
        slow = self._count >= SLOW_RUN and frame.time - self._start >= SLOW_S
        return slow or self._count >= self._limit


class Watched(CameraWrapper):
    """A camera like the one it wraps, whose ``read()`` also raises ``DARK`` and, if it is live, ``FROZEN``.

    A replay is never frozen: one photograph shown over and over is its normal use.
    """

    def __init__(self, camera: Camera) -> None:
        super().__init__(camera)
        self._forget()

    def _forget(self) -> None:
        self._last: Image | None = None
        self._dark = _Run(DARK_RUN)
        self._equal = _Run(FROZEN_RUN)

    def open(self) -> None:
        """As the wrapped camera; what it showed before does not count."""
        self._forget()
        super().open()

    def close(self) -> None:
        """As the wrapped camera; keeps no picture either."""
        self._forget()
        super().close()

    def read(self) -> Frame:
        """Return the wrapped camera's next frame.

        Raises:
            CameraError: as the wrapped camera; or ``DARK`` after ``DARK_RUN`` frames below ``DARK_LUMINANCE``, or
                ``FROZEN`` after ``FROZEN_RUN`` equal frames from a live camera; or after ``SLOW_RUN`` of them that took
                ``SLOW_S``.
        """
        frame = super().read()
        dark = mean_luminance(frame.image) < DARK_LUMINANCE
        if not dark:
            self._dark.restart(frame, 0)
        elif self._dark.add(frame):
            raise CameraError(
                CameraFault.DARK,
                f"camera {self.name} shows only black",
                "uncover the lens or turn on a light",
            )
        # A black picture may well repeat itself to the byte; that camera is dark and not frozen.
        if self.live and not dark:
            self._watch_for_repeats(frame)
        return frame

    def _watch_for_repeats(self, frame: Frame) -> None:
        last, self._last = self._last, frame.image
        if last is None or not np.array_equal(frame.image, last):
            self._equal.restart(frame, 1)
        elif self._equal.add(frame):
            raise CameraError(
                CameraFault.FROZEN,
                f"camera {self.name} repeats one picture",
                "unplug the camera and plug it in again, or restart the device",
            )
