# SPDX-License-Identifier: Apache-2.0
"""How like two sets of pictures are to the encoder. For the demo's own pictures only: the agent tells nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from facelatch.camera.protocol import Image
from facelatch.demo.errors import expect
from facelatch.face.detector import Floats
from facelatch.face.encoder import unit
from facelatch.face.path import FacePath
from facelatch.shipped import face_path

LIMIT: Final = 0.2
"""Cosine below which two sets pass for two people. Of the pairs of different people in lfw-dev every tenth lies above
it (5.6 million pairs of 3337 people by the float encoder: mean 0.01, standard deviation 0.15)."""


def likeness(person: list[Image], others: list[Image]) -> float:
    """Return the largest cosine of any of the others' embeddings with the person's mean embedding.

    Raises:
        DemoError: the quality gate refuses a picture.
    """
    with _silent_runtime():
        path = face_path()
    mean = unit(_embed(path, person).sum(axis=0))
    return max(float(unit(embedding) @ mean) for embedding in _embed(path, others))


def _embed(path: FacePath, pictures: list[Image]) -> Floats:
    looks = [path.look(picture) for picture in pictures]
    refused = sorted({str(look.hint) for look in looks if look.hint})
    expect(not refused, f"pictures do not pass the quality gate ({', '.join(refused)})", "report this as a bug")
    return np.stack([look.embedding for look in looks if look.embedding is not None])


@contextmanager
def _silent_runtime() -> Generator[None]:
    """Keep the TFLite runtime's remark on its delegates, which it writes past Python, out of the story."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
