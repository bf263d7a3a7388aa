# SPDX-License-Identifier: Apache-2.0
"""Reads one picture from a file of any format OpenCV knows, whatever its name ends in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facelatch.camera.media_file import require_file, require_size, unreadable, unusable
from facelatch.camera.opencv import rgb_from_bgr
from facelatch.camera.protocol import Image

MAX_FILE_BYTES = 64 * 2**20
"""Largest file read: an uncompressed picture of the largest size taken fits."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; the rest are tables


def is_image(path: Path) -> bool:
    """Tell from its first bytes whether OpenCV knows the format of a readable file."""
    return cv2.haveImageReader(str(path))


def check_image(path: Path) -> None:
    """Check as much of a picture file as can be told without decoding it.

    Raises:
        CameraError: ``MISCONFIGURED`` or ``NO_PERMISSION``, naming the file.
    """
    if require_file(path) > MAX_FILE_BYTES:
        raise unusable(f"{path} is too large a file", f"use pictures of at most {MAX_FILE_BYTES >> 20} MiB")
    if not is_image(path):
        raise unusable(f"{path} is not a picture", "remove it, or save it as PNG or JPEG")


def read_image(path: Path) -> Image:
    """Read a picture: grey becomes RGB, alpha is dropped, 16 bits become 8, EXIF rotation is applied.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        CameraError: ``MISCONFIGURED`` or ``NO_PERMISSION``, naming the file.
    """
    check_image(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    announced = announced_size(data)
    if announced is not None:
        require_size(path, *announced)
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise unusable(f"{path} is a damaged picture", "remove it, or copy it again")
    height, width = image.shape[:2]
    require_size(path, width, height)
    return rgb_from_bgr(image)


def announced_size(data: bytes) -> tuple[int, int] | None:
    """Return the (width, height) that a PNG or JPEG announces, so that a huge one is refused before it is decoded.

    None for other formats and for headers that make no sense: those are measured once decoded.
    """
    if data.startswith(_PNG_SIGNATURE) and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data.startswith(_JPEG_SIGNATURE):
        return _jpeg_size(data)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = len(_JPEG_SIGNATURE)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
            continue
        if marker in _JPEG_SIZE_MARKERS:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
