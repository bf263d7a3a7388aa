# SPDX-License-Identifier: Apache-2.0
"""The emulated machine's virtual camera, as far as it needs no machine."""

from __future__ import annotations

import cv2
import numpy as np

from facelatch.camera.opencv import rgb_from_nv12
from facelatch.camera.protocol import Image
from tests import pictures
from tools.vmtest.virtual_camera import in_video_range


def as_the_camera_gives_it(picture: Image) -> Image:
    """As libcamera's virtual pipeline does it: what is in the JPEG, the colours of each four pixels together."""
    luma, red, blue = np.moveaxis(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb), -1, 0)
    height, width = luma.shape
    halved = [cv2.resize(colour, (width // 2, height // 2), interpolation=cv2.INTER_AREA) for colour in (blue, red)]
    return np.vstack([luma, np.stack(halved, axis=-1).reshape(height // 2, width)])


def test_a_picture_is_seen_as_it_is_meant() -> None:
    picture = pictures.anna(1)[0]
    seen = rgb_from_nv12(as_the_camera_gives_it(in_video_range(picture)))
    assert (seen.shape, seen.dtype.name) == (picture.shape, "uint8")
    off = np.abs(seen.astype(int) - picture).mean()
    # The control: without the conversion it would be seen with too much contrast.
    careless = rgb_from_nv12(as_the_camera_gives_it(picture))
    assert off < 3 < np.abs(careless.astype(int) - picture).mean()
