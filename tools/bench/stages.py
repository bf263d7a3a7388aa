# SPDX-License-Identifier: Apache-2.0
"""The stages of an attempt as calls without arguments, on one face that is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch import parameters
from facelatch.demo import portrait, session
from facelatch.face.alignment import align
from facelatch.face.detector import Detector, Image
from facelatch.face.encoder import Encoder, Fusion, unit
from facelatch.face.mesh import Mesh
from facelatch.face.quality import Limits, judge_crop, judge_landmarks, judge_place
from facelatch.l2fe import keys
from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.extractor import MAX_CANDIDATES, Context, Extractor
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.rotation import rotation
from facelatch.models import DETECTOR, MESH, read_model
from facelatch.shipped import ENCODERS, encoders, face_path
from tools.bench import twin

Calls = dict[str, Callable[[], object]]

USERS = (1, 10, 100, 1000)
# Frames that a face is learned from; one more is looked at.
_LEARNED = 8
_SEED = 5


@dataclass(frozen=True)
class Scene:
    """A face before the camera, and what has been found of it in the last frame.

    Attributes:
        frames: (480, 640, 3) uint8 RGB, of the demo's portrait.
        crop: (112, 112, 3) uint8 RGB, the face of the last one, aligned.
        embedding: (d,) float32 of unit length, of that.
    """

    frames: list[Image]
    crop: Image
    embedding: npt.NDArray[np.float32]


def scene() -> Scene:
    """Make the frames, and look at the last."""
    frames = session.frames(portrait.read(), _LEARNED + 1, seed=_SEED)
    frame = frames[-1]
    face = Detector(read_model(DETECTOR))(frame)[0]
    crop = align(frame, Mesh(read_model(MESH))(frame, face).five)
    return Scene(frames, crop, unit(encoders()(crop)))


def face(scene: Scene) -> Calls:
    """From a frame to an embedding: each stage, each encoder in 8 bits and in float, and all of it."""
    detector, mesh, path = Detector(read_model(DETECTOR)), Mesh(read_model(MESH)), face_path()
    frame, crop, limits = scene.frames[-1], scene.crop, Limits()
    faces = detector(frame)
    landmarks = mesh(frame, faces[0])

    def judge() -> None:
        judge_place(frame, faces, limits)
        judge_crop(crop, limits)
        judge_landmarks(landmarks, limits)

    whole = encoders()
    calls: Calls = {
        "detect_ms": lambda: detector(frame),
        "mesh_ms": lambda: mesh(frame, faces[0]),
        "align_ms": lambda: align(frame, landmarks.five),
        "quality_ms": judge,
        "encode_int8_ms": lambda: whole(crop),
    }
    floats = []
    for number, (name, kind) in enumerate(ENCODERS.items(), 1):
        small, large = Encoder(read_model(name), kind), Encoder(twin.floated(read_model(name)), kind)
        floats.append(large)
        calls[f"encode_{number}_int8_ms"] = lambda encoder=small: encoder(crop)  # type: ignore[misc]
        calls[f"encode_{number}_float_ms"] = lambda encoder=large: encoder(crop)  # type: ignore[misc]
    fused = Fusion(*floats)
    return {**calls, "encode_float_ms": lambda: fused(crop), "frame_ms": lambda: path.look(frame)}


def core(scene: Scene) -> Calls:
    """From an embedding to a key, and what is loaded for that."""
    p = parameters.read("standard")
    extractor = Extractor(p)
    context = Context(pepper=bytes(32), user=b"bench", record_id=bytes(16), header=b"")

    def stretch() -> None:
        keys.stretch(b"s", pepper=bytes(32), binding=(b"",), salt=bytes(16), cost=p.argon2id)

    return {
        "project_ms": lambda: extractor.expect(scene.embedding),
        "rotation_ms": lambda: rotation.__wrapped__(bytes(32), p.k),
        "parameters_load_ms": lambda: parameters.read("standard"),
        "argon2id_ms": stretch,
        "enrol_ms": lambda: extractor.generate(scene.embedding, context, seed=os.urandom(32)),
    }


def decode(p: ParameterSet, users: int) -> Callable[[], object]:
    """Decode for so many users, with an unrelated face, the radius that the agent takes, and both candidates."""
    decoder = Decoder(p.lattice.basis, p.beam, p.lattice.copies)
    targets = np.random.default_rng(_SEED).uniform(0, p.lattice.modulus, (users, p.k))
    radius = p.radius(users) * p.scale
    return lambda: decoder(targets, radius, MAX_CANDIDATES)
