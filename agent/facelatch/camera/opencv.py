# SPDX-License-Identifier: Apache-2.0
"""The process-wide settings of OpenCV that capturing needs, made once, by importing this module."""

from __future__ import annotations

import os

import cv2
import numpy as np

from facelatch.camera.protocol import Image

V4L2_SELECT_S = 2
"""How long OpenCV waits for a V4L2 frame. Its own 10 s is longer than a person stands in front of a door, and the
read-timeout property is not implemented for V4L2; this variable (whole seconds) is the only way to set it."""

# Read by OpenCV at the first capture, so setting them at import is early enough. A person's own setting wins.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(V4L2_SELECT_S))
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

# What OpenCV has to say comes back as an error of ours; its own lines would only clutter the journal.
if hasattr(cv2, "setLogLevel"):  # OpenCV 4
    cv2.setLogLevel(0)
else:  # OpenCV 5
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def rgb_from_bgr(image: cv2.typing.MatLike) -> Image:
    """Turn a picture as OpenCV delivers it, (height, width, 3) BGR, into ours, RGB uint8 (a copy)."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def rgb_from_nv12(image: Image) -> Image:
    """Turn a picture in NV12 into ours.

    Args:
        image: (1.5 height, width) uint8, video range of Rec. 601: the luminance, below it the colours of each two rows.

    Returns:
        (height, width, 3) uint8, RGB.
    """
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_YUV2RGB_NV12), dtype=np.uint8)
