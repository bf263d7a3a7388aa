# SPDX-License-Identifier: Apache-2.0
"""Time of each stage of an unlock, as JSON: ``python -m tests.aarch64.stages FLOAT_ENCODER``.

Milliseconds of the processor, not of the clock, since who emulates seldom has the machine for themselves.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from facelatch import parameters
from facelatch.demo import portrait
from facelatch.face.alignment import align
from facelatch.face.detector import Detector
from facelatch.face.encoder import MOBILEFACENET, MOBILEFACENET_512, Encoder, unit
from facelatch.face.liveness import AntiSpoof
from facelatch.face.mesh import Mesh
from facelatch.face.quality import Limits, judge_crop
from facelatch.l2fe import keys
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.rotation import rotation
from facelatch.models import ANTI_SPOOF, DETECTOR, ENCODER, MESH, SECOND_ENCODER, read_model
from facelatch.shipped import encoders

_REPEATS = 5
_SEED = bytes(32)


def stages(float_encoder: bytes) -> dict[str, Callable[[], object]]:
    """Return what to time, by name, in the order of an unlock.

    Args:
        float_encoder: the first encoder before it was brought to 8 bits, which is not shipped.
    """
    picture = portrait.read()
    detector, mesh, anti_spoof = (
        Detector(read_model(DETECTOR)),
        Mesh(read_model(MESH)),
        AntiSpoof(read_model(ANTI_SPOOF)),
    )
    first, second = Encoder(read_model(ENCODER), MOBILEFACENET), Encoder(read_model(SECOND_ENCODER), MOBILEFACENET_512)
    in_float = Encoder(float_encoder, MOBILEFACENET)
    face = detector(picture)[0]
    landmarks = mesh(picture, face)
    crop = align(picture, landmarks.five)
    extractor = Extractor(parameters.read("standard"))
    p = extractor.parameters
    embedding = unit(encoders()(crop))
    sketch = extractor.sketch(embedding, _SEED, p.lattice.draw(np.random.default_rng(1).bytes))

    def stretch() -> bytes:
        return keys.stretch(b"s", pepper=_SEED, binding=(b"",), salt=bytes(keys.SALT_BYTES), cost=p.argon2id)

    return {
        "detect": lambda: detector(picture),
        "mesh": lambda: mesh(picture, face),
        "align": lambda: align(picture, landmarks.five),
        "quality": lambda: judge_crop(crop, Limits()),
        "liveness": lambda: anti_spoof(picture, landmarks.points),
        "encode, first": lambda: first(crop),
        "encode, first, in float": lambda: in_float(crop),
        "encode, second": lambda: second(crop),
        "project": lambda: extractor.project(embedding),
        "rotation": lambda: rotation.__wrapped__(_SEED, p.k),
        "decode, one user": lambda: extractor.candidates(embedding, [sketch]),
        "Argon2id": stretch,
    }


def _milliseconds(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(_REPEATS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    todo = stages(Path(sys.argv[1]).read_bytes())
    print(json.dumps({name: _milliseconds(call) for name, call in todo.items()}))
