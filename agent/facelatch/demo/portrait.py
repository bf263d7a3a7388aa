# SPDX-License-Identifier: Apache-2.0
"""The one photograph of the demo: NASA's portrait of astronaut Eileen Collins, which is in the public domain.

It comes inside scikit-image's wheel, from where it is read as a file: the library itself is never imported, so
none of its dependencies is needed.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from facelatch.camera.opencv import rgb_from_bgr
from facelatch.camera.protocol import Image
from facelatch.demo.errors import PortraitError

PACKAGE: Final = "skimage"
SHA256: Final = "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
_FILE: Final = Path("data") / "astronaut.png"
_REMEDY: Final = "run `make setup`, which installs it from the locked requirements/demo.txt"


def locate() -> Path:
    """Return where the portrait is installed.

    Raises:
        PortraitError: scikit-image is not installed, or not with this picture.
    """
    # For a top-level name this only looks along the path; nothing of the package is run.
    spec = importlib.util.find_spec(PACKAGE)
    for directory in (spec.submodule_search_locations or []) if spec else []:
        path = Path(directory) / _FILE
        if path.is_file():
            return path
    raise PortraitError("the demo's portrait (scikit-image's astronaut.png) is not installed", _REMEDY)


def read(path: Path | None = None) -> Image:
    """Return the portrait, (512, 512, 3) uint8 RGB.

    Args:
        path: where it is; None looks into the installed package.

    Raises:
        PortraitError: it is missing, unreadable, or has another hash.
    """
    path = path or locate()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PortraitError(f"the demo's portrait {path} cannot be read ({error.strerror})", _REMEDY) from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise PortraitError(f"{path} is not the portrait that the demo was made with", _REMEDY)
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise PortraitError(f"the demo's portrait {path} cannot be decoded", "reinstall opencv-python-headless")
    return rgb_from_bgr(image)
