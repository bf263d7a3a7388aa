# SPDX-License-Identifier: Apache-2.0
"""A ribbon-cable camera of a Raspberry Pi, through picamera2, which comes from the distribution and not from us."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from facelatch.camera.bounded import PATIENCE_S, BoundedCamera, Stream
from facelatch.camera.opencv import rgb_from_nv12
from facelatch.camera.protocol import Image
from facelatch.camera.worker import Worker
from facelatch.errors import CameraError, CameraFault

FRAME_SHARE = 0.8
"""Of our patience, for which picamera2 may wait for a frame: it is to give up first, so as to be stopped in order."""

PIXEL_FORMAT = "BGR888"
"""picamera2 names formats from the highest byte to the lowest: arrays of this one are in the order R, G, B."""

VIDEO_FORMAT = "NV12"
"""What a camera without a converter to RGB gives instead."""

_RATE = "FrameDurationLimits"

DEVICES = Path("/dev")
_NODES = ("media*", "dma_heap/*")
"""What libcamera needs; where none of a group may be opened it just finds no camera."""

_IN_USE = ("acquire", "busy")
_FORBIDDEN = ("permission denied", "operation not permitted")


class Picamera(Protocol):
    """What is used of ``picamera2.Picamera2``."""

    @property
    def camera_controls(self) -> Mapping[str, object]:
        """What can be set of the camera, by name."""

    def create_video_configuration(self, main: dict[str, Any], controls: dict[str, Any]) -> dict[str, Any]:
        """Make a configuration."""

    def configure(self, configuration: dict[str, Any]) -> None:
        """Set the camera up; what it cannot do is adjusted."""

    def camera_configuration(self) -> dict[str, Any]:
        """Return the configuration as it was adjusted."""

    def start(self) -> None:
        """Start capturing."""

    def capture_array(self, name: str, *, wait: bool) -> object:
        """Ask for the next frame of a stream; without waiting, return a job."""

    def wait(self, job: object, timeout: float) -> npt.NDArray[Any]:
        """Return a job's result, or raise ``TimeoutError``."""

    def cancel_all_and_flush(self) -> None:
        """Forget all jobs."""

    def stop(self) -> None:
        """Stop capturing."""

    def close(self) -> None:
        """Let go of the camera."""


class Picamera2Camera(BoundedCamera):
    """Frames from a camera that libcamera knows.

    Args:
        number: its place in what ``rpicam-hello --list-cameras`` shows.
        width: pixels asked for; picamera2 takes the nearest it can do.
        height: as width.
        fps: frames a second; None leaves it to picamera2 (30).
        patience: seconds to wait for a picture.
    """

    revival = "check the camera's cable, or restart the device"

    def __init__(
        self,
        number: int,
        *,
        width: int = 640,
        height: int = 480,
        fps: float | None = None,
        patience: float = PATIENCE_S,
    ) -> None:
        super().__init__(f"picamera2 {number}", patience)
        self._number = number
        self._size = (width, height)
        self._fps = fps

    def check(self) -> None:
        """Check that the camera is there and may be used; another program may be using it.

        Raises:
            CameraError: ``MISCONFIGURED``, ``NO_PERMISSION``, ``UNPLUGGED`` or ``FROZEN``.
        """
        load()  # the first import takes seconds on a small device, which are not the camera's
        try:
            Worker(f"camera {self.name}").finish(self._require_camera).result(self._patience)
        except TimeoutError as error:
            raise self._frozen() from error

    def _require_camera(self) -> None:
        require_devices()
        kind = load()
        try:
            found = len(kind.global_camera_info())
        except Exception as error:  # libcamera itself cannot be started
            raise self._explained(error) from error
        if self._number >= found:
            raise CameraError(
                CameraFault.UNPLUGGED,
                f"camera {self.name} is not there, libcamera finds {found}",
                "check its cable, and its overlay in config.txt (`rpicam-hello --list-cameras` shows the cameras)",
            )

    def _start(self) -> Stream:
        self._require_camera()
        kind = load()
        # Made in two steps: if the second fails, the camera may be taken already, and has to be let go.
        camera: Any = kind.__new__(kind)
        stream = _Stream(self, camera)
        try:
            camera.__init__(self._number)
            self._begin(camera)
        except Exception as error:
            stream.release()
            raise self._explained(error) from error
        return stream

    def _begin(self, camera: Picamera) -> None:
        controls: dict[str, Any] = {}
        # To set what a camera does not have is an error to picamera2; such a one has a rate of its own.
        if self._fps is not None and _RATE in camera.camera_controls:
            microseconds = round(1e6 / self._fps)
            controls[_RATE] = (microseconds, microseconds)
        main = {"size": self._size, "format": PIXEL_FORMAT}
        camera.configure(camera.create_video_configuration(main=main, controls=controls))
        chosen = camera.camera_configuration()["main"]["format"]
        if chosen not in (PIXEL_FORMAT, VIDEO_FORMAT):
            raise self._wrong_format(chosen)
        camera.start()

    def _wrong_format(self, what: str) -> CameraError:
        return CameraError(
            CameraFault.MISCONFIGURED,
            f"camera {self.name} gives {what} instead of {PIXEL_FORMAT}",
            "use the v4l2 back end for a USB camera",
        )

    def _explained(self, error: Exception) -> CameraError:
        """Say what is wrong. picamera2's own error says only that something is; the reason is behind it."""
        reasons = list(_reasons(error))
        for reason in reasons:
            if isinstance(reason, CameraError):
                return reason
        if any(word in str(reason).lower() for reason in reasons for word in _FORBIDDEN):
            return forbidden(f"camera {self.name}")
        if any(word in str(reason).lower() for reason in reasons for word in _IN_USE):
            return CameraError(
                CameraFault.BUSY,
                f"camera {self.name} is in use by another program",
                "close that program (`fuser -v /dev/media*` names it)",
            )
        return CameraError(
            CameraFault.MISCONFIGURED,
            f"camera {self.name} cannot be started ({' '.join(str(reasons[-1]).split())[:200]})",
            "see whether `rpicam-hello` works, and check the camera's overlay in config.txt",
        )


class _Stream:
    def __init__(self, owner: Picamera2Camera, camera: Picamera) -> None:
        self._owner = owner
        self._camera = camera
        self._limit = FRAME_SHARE * owner._patience

    def read(self) -> Image:
        try:
            # Never a capture that waits by itself: if frames stop, it would wait for ever.
            image = self._camera.wait(self._camera.capture_array("main", wait=False), timeout=self._limit)
        except TimeoutError:
            self._owner._require_camera()
            raise
        except Exception as error:
            raise self._owner._explained(error) from error
        if image.ndim == 2 and image.dtype == np.uint8:  # no other format is accepted that has no third axis
            return rgb_from_nv12(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise self._owner._wrong_format(f"{image.shape} {image.dtype}")
        return image

    def release(self) -> None:
        # A job that timed out is still in the queue, and ``stop`` would queue up behind it for ever.
        for step in (self._camera.cancel_all_and_flush, self._camera.stop, self._camera.close):
            with suppress(Exception):
                step()


def load() -> Any:
    """Return the class ``picamera2.Picamera2``.

    Raises:
        CameraError: ``MISCONFIGURED``: it is not installed, or does not work in this environment.
    """
    # It tells of every step; what goes wrong it raises, too.
    logging.getLogger("picamera2").setLevel(logging.WARNING)
    try:
        return importlib.import_module("picamera2").Picamera2
    except ModuleNotFoundError as error:
        raise CameraError(
            CameraFault.MISCONFIGURED,
            f"the picamera2 back end lacks the Python module {error.name}",
            "run `apt install python3-picamera2`, and let the agent's environment see it (`--system-site-packages`)",
        ) from error
    except Exception as error:  # a module built for another NumPy raises ValueError, one for another libcamera others
        raise CameraError(
            CameraFault.MISCONFIGURED,
            f"picamera2 cannot be loaded ({' '.join(str(error).split())[:200]})",
            "use the distribution's NumPy and picamera2 together, from `apt`",
        ) from error


def require_devices() -> None:
    """Check that the devices that libcamera needs may be used.

    Raises:
        CameraError: ``NO_PERMISSION``.
    """
    for pattern in _NODES:
        nodes = sorted(DEVICES.glob(pattern))
        if nodes and not any(_may_use(node) for node in nodes):
            raise forbidden(str(nodes[0]))


def _may_use(node: Path) -> bool:
    # Asking for the permissions would not tell what the unit's device list forbids.
    try:
        os.close(os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def forbidden(what: str) -> CameraError:
    """Make the error for something that the agent's user may not use."""
    return CameraError(
        CameraFault.NO_PERMISSION,
        f"not allowed to use {what}",
        "put the agent's user in the group `video`, and let its unit allow char-media, char-video4linux, char-dma_heap",
    )


def _reasons(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what was behind it, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
