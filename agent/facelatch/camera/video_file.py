# SPDX-License-Identifier: Apache-2.0
"""Reads the pictures of a video file, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2

from facelatch.camera.media_file import require_file, require_size, unusable
from facelatch.camera.opencv import rgb_from_bgr
from facelatch.camera.protocol import Image


def read_video(path: Path) -> Iterator[Image]:
    """Yield every picture of a video once: (height, width, 3) uint8, RGB.

    Raises:
        CameraError: ``MISCONFIGURED`` or ``NO_PERMISSION``, naming the file; also if it holds no picture at all.
    """
    require_file(path)
    # An absolute path, since FFmpeg would take a name such as "concat:x" for a protocol.
    capture = cv2.VideoCapture(str(path.absolute()))
    try:
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        require_size(path, width, height)
        found, image = capture.read()
        if not found:
            raise unusable(
                f"{path} is neither a picture nor a video that can be read",
                "convert it to PNG, JPEG or MP4, or copy it again",
            )
        while found:
            yield rgb_from_bgr(image)
            found, image = capture.read()
    finally:
        capture.release()
