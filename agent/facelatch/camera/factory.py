# SPDX-License-Identifier: Apache-2.0
"""Makes the camera that the configuration names."""

from __future__ import annotations

from pathlib import Path

from facelatch.camera.bounded import PATIENCE_S
from facelatch.camera.protocol import Camera
from facelatch.camera.watched import Watched
from facelatch.errors import ConfigError

BACKENDS = ("v4l2", "picamera2", "replay")
"""Names of the back ends; a new one is a module beside this one and a branch below."""

MIN_FPS = 1
"""Slower, and a frame would come later than the back ends wait for one."""

MAX_FPS = 240
"""Faster than any camera of this class; what is above it is a mistake."""


def make_camera(
    backend: str,
    source: str,
    *,
    width: int = 640,
    height: int = 480,
    fps: float | None = None,
    patience: float = PATIENCE_S,
    loop: bool = True,
) -> Camera:
    """Return the camera, not opened and not yet checked.

    Args:
        backend: one of ``BACKENDS``.
        source: ``v4l2``: a device node or the number of ``/dev/videoN``; ``picamera2``: the number of the camera;
            ``replay``: a folder, picture or video.
        width: pixels asked for (not ``replay``).
        height: pixels asked for (not ``replay``).
        fps: frames a second; None means the driver's choice, or as fast as read (``replay``).
        patience: seconds to wait for a picture (not ``replay``).
        loop: start over at the end (``replay``).

    Raises:
        ConfigError: there is no such back end, no source, or the rate makes no sense.
    """
    if not source or "\0" in source:
        raise ConfigError("the camera has no source that can be a path", "name a device, folder or video")
    if fps is not None and not MIN_FPS <= fps <= MAX_FPS:
        raise ConfigError(f"a camera cannot give {fps} frames a second", f"choose {MIN_FPS} to {MAX_FPS}")
    # Imported here so that a device loads only the back end it uses.
    if backend == "v4l2":
        from facelatch.camera.v4l2 import V4l2Camera

        device = int(source) if source.isdecimal() else source
        return Watched(V4l2Camera(device, width=width, height=height, fps=fps, patience=patience))
    if backend == "picamera2":
        from facelatch.camera.picamera2_camera import Picamera2Camera

        if not source.isdecimal():
            raise ConfigError(
                f"{source!r} is no camera of the picamera2 back end", "give its number; one alone is number 0"
            )
        return Watched(Picamera2Camera(int(source), width=width, height=height, fps=fps, patience=patience))
    if backend == "replay":
        from facelatch.camera.replay import ReplayCamera

        return Watched(ReplayCamera(Path(source), loop=loop, fps=fps))
    raise ConfigError(f"there is no camera back end {backend!r}", f"use one of {', '.join(BACKENDS)}")
