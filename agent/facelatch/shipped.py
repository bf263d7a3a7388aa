# SPDX-License-Identifier: Apache-2.0
"""What ships and what the configuration chooses of it: the face path, the parameter set that fits it, the camera."""

from __future__ import annotations

from facelatch import parameters
from facelatch.camera import Camera, make_camera
from facelatch.config import CameraConfig
from facelatch.errors import ParameterSetError
from facelatch.face.detector import Detector
from facelatch.face.encoder import Encoder
from facelatch.face.mesh import Mesh
from facelatch.face.path import FacePath
from facelatch.l2fe.parameters import ParameterSet
from facelatch.models import DETECTOR, ENCODER, MESH, manifest, read_model


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
    return FacePath(Detector(read_model(DETECTOR)), Mesh(read_model(MESH)), Encoder(read_model(ENCODER)))


def parameter_set(name: str) -> ParameterSet:
    """Read a parameter set, and see that it was fitted to the encoder that ships.

    Raises:
        ParameterSetError: there is none of that name, it is not the pinned one, or was fitted to another encoder.
        ModelError: the models' manifest cannot be read.
    """
    chosen = parameters.read(name)
    if manifest().models[ENCODER].sha256 not in chosen.encoders:
        raise ParameterSetError(
            f"parameter set {chosen.name!r} was fitted to another encoder than {ENCODER}", "reinstall facelatch"
        )
    return chosen
