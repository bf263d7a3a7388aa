# SPDX-License-Identifier: Apache-2.0
"""What the encoders cost on this machine, on images of the data set."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from facelatch.camera.image_file import read_image
from facelatch.errors import CameraError
from facelatch.face.alignment import align_roughly
from facelatch.face.detector import Detector
from facelatch.models import DETECTOR, read_model
from facelatch.shipped import encoders

_IMAGES = 40


def encode_ms(images: Sequence[Path]) -> list[float]:
    """Time the encoders as shipped, on one thread, on some images spread over the data set.

    Apart from the embedding itself, which runs on all cores at once or comes from the cache.
    """
    detector, encoder = Detector(read_model(DETECTOR)), encoders()
    times = []
    for path in images[:: max(1, len(images) // _IMAGES)]:
        try:
            image = read_image(path)
        except CameraError:
            continue
        faces = detector(image)
        if faces:
            crop = align_roughly(image, faces[0])
            start = time.perf_counter()
            encoder(crop)
            times.append((time.perf_counter() - start) * 1e3)
    return times[1:]  # the first one warms up
