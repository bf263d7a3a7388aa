# SPDX-License-Identifier: Apache-2.0
"""The face path with the models that ship, and the configured camera: whoever looks, looks through these."""

from __future__ import annotations

from facelatch.camera import Camera, make_camera
from facelatch.config import CameraConfig
from facelatch.face.detector import Detector
from facelatch.face.encoder import Encoder
from facelatch.face.path import FacePath
from facelatch.models import DETECTOR, ENCODER, read_model


def configured_camera(chosen: CameraConfig) -> Camera:
    """Make the camera that a configuration asks for, not opened and not yet checked.

    Raises:
        ConfigError: as ``make_camera``.
    """
    return make_camera(
        chosen.backend, chosen.source, width=chosen.width, height=chosen.height, fps=chosen.fps, loop=chosen.loop
    )


def face_path() -> FacePath:
    """Load the models and join them up.

    Raises:
        ModelError: a model is missing, is not the pinned one, or does not run.
    """
    return FacePath(Detector(read_model(DETECTOR)), Encoder(read_model(ENCODER)))
