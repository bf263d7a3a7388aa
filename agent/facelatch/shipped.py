# SPDX-License-Identifier: Apache-2.0
"""What ships and what the configuration chooses of it: the face path, the parameter set that fits it, the camera."""

from __future__ import annotations

from facelatch import parameters
from facelatch.camera import Camera, make_camera
from facelatch.config import CameraConfig
from facelatch.errors import ParameterSetError
from facelatch.face.detector import Detector
from facelatch.face.encoder import MOBILEFACENET, MOBILEFACENET_512, Encoder, Fusion
from facelatch.face.liveness import AntiSpoof
from facelatch.face.mesh import Mesh
from facelatch.face.path import FacePath
from facelatch.face.quality import Limits
from facelatch.l2fe.parameters import ParameterSet
from facelatch.models import ANTI_SPOOF, DETECTOR, ENCODER, MESH, SECOND_ENCODER, manifest, read_model

# In the order in which their outputs are joined, which is that of a parameter set's ``encoders``.
ENCODERS = {ENCODER: MOBILEFACENET, SECOND_ENCODER: MOBILEFACENET_512}


def configured_camera(chosen: CameraConfig) -> Camera:
    """Make the camera that a configuration asks for, not opened and not yet checked.

    Raises:
        ConfigError: as ``make_camera``.
    """
    return make_camera(
        chosen.backend,
        chosen.source,
        width=chosen.width,
        height=chosen.height,
        fps=chosen.fps,
        patience=chosen.patience,
        loop=chosen.loop,
    )


def face_path(limits: Limits | None = None, *, liveness: bool = False) -> FacePath:
    """Load the models and join them up, with the quality gate's usual limits unless others are given.

    Args:
        limits: the quality gate's.
        liveness: whether each look is judged for being a picture of a face.

    Raises:
        ModelError: a model is missing, is not the pinned one, or does not run.
    """
    anti_spoof = AntiSpoof(read_model(ANTI_SPOOF)) if liveness else None
    return FacePath(Detector(read_model(DETECTOR)), Mesh(read_model(MESH)), encoders(), limits, anti_spoof)


def encoders() -> Fusion:
    """Load the encoders and join them up.

    Raises:
        ModelError: as above.
    """
    return Fusion(*(Encoder(read_model(name), kind) for name, kind in ENCODERS.items()))


def encoder_digests() -> tuple[str, ...]:
    """Return the sha256 (hex) of each encoder that ships, in order.

    Raises:
        ModelError: the models' manifest cannot be read.
    """
    return tuple(manifest().models[name].sha256 for name in ENCODERS)


def parameter_set(name: str) -> ParameterSet:
    """Read a parameter set, and see that it was fitted to the encoders that ship.

    Raises:
        ParameterSetError: there is none of that name, it is not the pinned one, or was fitted to other encoders.
        ModelError: the models' manifest cannot be read.
    """
    chosen = parameters.read(name)
    if encoder_digests() != chosen.encoders:
        raise ParameterSetError(
            f"parameter set {chosen.name!r} was fitted to other encoders than those that ship", "reinstall facelatch"
        )
    return chosen
