# SPDX-License-Identifier: Apache-2.0
"""The face path with the models that ship: one place, so that the agent and whatever measures it see alike."""

from __future__ import annotations

from facelatch.face.detector import Detector
from facelatch.face.encoder import Encoder
from facelatch.face.path import FacePath
from facelatch.models import DETECTOR, ENCODER, read_model


def face_path() -> FacePath:
    """Load the models and join them up.

    Raises:
        ModelError: a model is missing, is not the pinned one, or does not run.
    """
    return FacePath(Detector(read_model(DETECTOR)), Encoder(read_model(ENCODER)))
