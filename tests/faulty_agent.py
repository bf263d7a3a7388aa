# SPDX-License-Identifier: Apache-2.0
"""The agent before a V4L2 camera that fails as it is told; takes the command line of ``facelatch``.

The back end, its threads, its limits and its words are the real ones. Played is only what lies below them: what the
kernel says of the device, what OpenCV captures, and the clock that counts sleep. The file ``fault`` in the directory it
is started in names the fault of the moment, one of ``FAULTS``; the link ``camera`` there leads to what is to be seen;
the camera is plugged in for as long as the link ``video0`` is there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from facelatch.camera import v4l2_probe
from facelatch.camera.opencv import V4L2_SELECT_S
from facelatch.camera.v4l2 import Capture, V4l2Camera
from facelatch.cli import main

FAULTS = (
    "none",
    "busy",
    "repeats",
    "stops",
    "damaged",
    "grey",
    "tiny",
    "black",
    "slow",
    "hangs in open",
    "hangs in read",
    "hangs in close",
    "hangs all",
    "slept",
)
_FAULT = Path("fault")
_WORLD = Path("camera")
_DEVICE = Path("video0")
_NOISE = 2
_POLL_S = 0.01
_SLOW_S = 1.0
_HOUR_S = 3600.0
_CAPTURE = 1


def fault() -> str:
    """Return the fault of the moment."""
    try:
        return _FAULT.read_text()
    except FileNotFoundError:
        return "none"


class _Capture:
    """What OpenCV would give; a hang ends when the fault does."""

    def __init__(self) -> None:
        self._numbers = count()
        self._hang("hangs in open")

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def read(self) -> tuple[bool, cv2.typing.MatLike | None]:
        self._hang("hangs in read")
        if not _DEVICE.is_symlink():  # it was pulled out
            return False, None
        match fault():
            case "hangs all":
                ctypes.PyDLL(None).pause()  # with the interpreter's lock held, as a bad driver library would
            case "stops":
                time.sleep(V4L2_SELECT_S)  # OpenCV waits so long for a frame
                return False, None
            case "damaged":
                return False, None
            case "black":
                return True, np.zeros((480, 640, 3), dtype=np.uint8)
            case "grey":
                return True, np.full((480, 640), 100, dtype=np.uint8)
            case "tiny":
                return True, np.full((8, 8, 3), 100, dtype=np.uint8)
            case "repeats":
                return True, self._picture(0)
            case "slow":
                time.sleep(_SLOW_S)
        number = next(self._numbers)
        noise = np.random.default_rng(number).integers(-_NOISE, _NOISE + 1, (288, 288, 3))
        return True, np.clip(self._picture(number) + noise, 0, 255).astype(np.uint8)

    def release(self) -> None:
        self._hang("hangs in close")

    @staticmethod
    def _hang(name: str) -> None:
        while fault() == name:
            time.sleep(_POLL_S)

    @staticmethod
    def _picture(number: int) -> cv2.typing.MatLike:
        files = sorted(_WORLD.iterdir())
        picture = cv2.imread(str(files[number % len(files)]))
        assert picture is not None
        return picture


def _ioctl(_descriptor: int, request: int, argument: bytearray) -> int:
    """Answer as the kernel does for a camera."""
    if request == v4l2_probe._VIDIOC_QUERYCAP:
        struct.pack_into("=II", argument, 84, _CAPTURE, 0)
    elif fault() == "busy":
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    return 0


def _start(self: V4l2Camera) -> Capture:  # noqa: ARG001 - it becomes a method
    return _Capture()


def _clock(clock: int, *, ask: Callable[[int], float] = time.clock_gettime) -> float:
    """Tell the time of a device that has slept for an hour where the fault says so; CLOCK_MONOTONIC has other ways."""
    return ask(clock) + (_HOUR_S if fault() == "slept" else 0.0)


if __name__ == "__main__":
    fcntl.ioctl = _ioctl  # type: ignore[assignment]
    time.clock_gettime = _clock
    V4l2Camera._capture_by_opencv = _start  # type: ignore[method-assign]
    main()
