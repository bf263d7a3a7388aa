# SPDX-License-Identifier: Apache-2.0
"""Asks the kernel itself what is wrong with a video device, since OpenCV only says that it could not open it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

from facelatch.errors import CameraError, CameraFault

# From <linux/videodev2.h>; the numbers are the same on all architectures.
_VIDIOC_QUERYCAP = 0x80685600
_VIDIOC_REQBUFS = 0xC0145608
_CAPABILITY = struct.Struct("=16s32s32sIII12x")  # v4l2_capability: ..., version, capabilities, device_caps, reserved
_REQUEST_BUFFERS = struct.Struct("=IIIIB3x")  # v4l2_requestbuffers: count, type, memory, capabilities, flags
_CAP_VIDEO_CAPTURE = 0x00000001
_CAP_VIDEO_CAPTURE_MPLANE = 0x00001000
_CAP_DEVICE_CAPS = 0x80000000
_BUF_TYPE_VIDEO_CAPTURE = 1
_BUF_TYPE_VIDEO_CAPTURE_MPLANE = 9
_MEMORY_MMAP = 1

_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR, errno.ELOOP})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


def probe(device: Path, *, claim: bool) -> None:
    """Check that a device is a camera that we may use.

    Args:
        device: a device node or a link to one.
        claim: also ask whether another program is capturing from it. It must not be open for capture by us then.

    Raises:
        CameraError: ``UNPLUGGED``, ``NO_PERMISSION``, ``BUSY``, ``MISCONFIGURED`` or ``FROZEN``.
    """
    try:
        if not stat.S_ISCHR(device.stat().st_mode):
            raise _not_a_camera(device)
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            buffer_type = _capture_type(device, descriptor)
            if claim:
                # Asking for no buffers changes nothing, and is refused while another program holds some.
                request = bytearray(_REQUEST_BUFFERS.pack(0, buffer_type, _MEMORY_MMAP, 0, 0))
                fcntl.ioctl(descriptor, _VIDIOC_REQBUFS, request)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _camera_error(device, error) from error


def _capture_type(device: Path, descriptor: int) -> int:
    answer = bytearray(_CAPABILITY.size)
    fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, answer)
    *_, whole, node = _CAPABILITY.unpack(answer)
    capabilities = node if whole & _CAP_DEVICE_CAPS else whole  # one camera may have several nodes
    if capabilities & _CAP_VIDEO_CAPTURE:
        return _BUF_TYPE_VIDEO_CAPTURE
    if capabilities & _CAP_VIDEO_CAPTURE_MPLANE:
        return _BUF_TYPE_VIDEO_CAPTURE_MPLANE
    raise _not_a_camera(device)


def _not_a_camera(device: Path) -> CameraError:
    return CameraError(
        CameraFault.MISCONFIGURED,
        f"{device} is not a camera",
        "choose one of the capture devices that `v4l2-ctl --list-devices` shows",
    )


def _camera_error(device: Path, error: OSError) -> CameraError:
    if error.errno in _GONE:
        return CameraError(CameraFault.UNPLUGGED, f"camera {device} is not there", "plug it in, or correct the device")
    if error.errno in _FORBIDDEN:
        return CameraError(
            CameraFault.NO_PERMISSION,
            f"not allowed to use camera {device}",
            "put the agent's user in the group `video`, and allow the device in its unit",
        )
    if error.errno == errno.EBUSY:
        return CameraError(
            CameraFault.BUSY,
            f"camera {device} is in use by another program",
            f"close that program (`fuser -v {device}` names it)",
        )
    if error.errno in (errno.ENOTTY, errno.EINVAL):
        return _not_a_camera(device)
    return CameraError(
        CameraFault.FROZEN,
        f"camera {device} does not answer ({error.strerror})",
        "unplug the camera and plug it in again",
    )
