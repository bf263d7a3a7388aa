# SPDX-License-Identifier: Apache-2.0
"""Lets picamera2, which is written for Raspberry Pi's pipelines, use libcamera's virtual one. Runs in the guest.

Loaded at the end of Debian's ``libcamera`` module. picamera2 and libcamera themselves stay as they are released:

- The virtual pipeline has no raw stream, and answers that there is none; picamera2 takes there to be one always. So a
  question for it alone is answered with the stream that there is.
- The virtual pipeline writes NV12 into two planes; picamera2 gives every buffer one. So such a buffer's memory is told
  to libcamera as two planes, one behind the other, as it lies there anyway.
- libcamera 0.4's virtual pipeline leaves the status of a frame unset, whatever is in that memory; picamera2 passes over
  frames without success. So every frame counts as one: that pipeline knows no failures.
- That pipeline keeps no rate, and would take all of an emulated processor. So each buffer is given to it after a while.
- It gives each picture four times, to the byte, which the agent rightly takes for a frozen camera. So some noise
  is written into a corner, as a sensor would give it everywhere.
- Debian lacks two modules that picamera2 imports: ``pykms``, for a monitor, and ``pidng``, for raw pictures. Neither is
  used here, so names stand in for them.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import libcamera


class _Names:
    """Has every name, none of which can be used for anything."""

    def __getattr__(self, name: str) -> str:
        return name


def _stand_in(name: str, **names: object) -> None:
    module = ModuleType(name)
    vars(module).update(names)
    sys.modules[name] = module


_stand_in("pykms", PixelFormat=_Names())
_stand_in("pidng")
_stand_in("pidng.core", PICAM2DNG=None)
_stand_in("pidng.camdefs", Picamera2Camera=None)

_generate = libcamera.Camera.generate_configuration
_queue_at_once = libcamera.Camera.queue_request
_ready_at_once = libcamera.CameraManager.get_ready_requests
_PAUSE_S = 0.1
_NOISY = 16
_RAW = [libcamera.StreamRole.Raw]


def _configuration(camera: Any, roles: Sequence[Any]) -> Any:
    return _generate(camera, [libcamera.StreamRole.Viewfinder] if list(roles) == _RAW else roles)


class _TwoPlanes(libcamera.FrameBuffer):  # type: ignore[misc]
    """A buffer of a picture in NV12: of its three thirds two are luminance, and one is colour."""

    def __init__(self, planes: Sequence[Any]) -> None:
        (luma,) = planes
        whole = luma.length
        # The same plane, shortened: by the number of its descriptor, which a new one would not share, picamera2 knows
        # its buffers again.
        luma.length = whole * 2 // 3
        chroma = libcamera.FrameBuffer.Plane()
        chroma.fd = luma.fd
        chroma.offset, chroma.length = luma.length, whole - luma.length
        super().__init__([luma, chroma])


def _queue(camera: Any, request: Any) -> Any:
    time.sleep(_PAUSE_S)
    return _queue_at_once(camera, request)


def _ready(manager: Any) -> Any:
    requests = _ready_at_once(manager)
    for request in requests:
        for buffer in request.buffers.values():
            luma = buffer.planes[0]
            with mmap.mmap(luma.fd, luma.length) as memory:
                memory[:_NOISY] = os.urandom(_NOISY)
    return requests


libcamera.Camera.generate_configuration = _configuration
libcamera.CameraManager.get_ready_requests = _ready
libcamera.Camera.queue_request = _queue
libcamera.FrameBuffer = _TwoPlanes
libcamera.FrameMetadata.status = property(lambda _: libcamera.FrameMetadata.Status.Success)
