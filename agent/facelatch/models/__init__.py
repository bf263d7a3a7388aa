# SPDX-License-Identifier: Apache-2.0
"""The networks that ship with Facelatch, and the manifest that pins them.

Every hash comes from the manifest of the installed package, also when the model files are kept elsewhere:
whoever can replace a model in that other directory cannot replace what it is compared with.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from facelatch.errors import ModelError

DETECTOR: Final = "detector.tflite"
MESH: Final = "mesh.tflite"
ENCODER: Final = "encoder.tflite"
SECOND_ENCODER: Final = "encoder-512.tflite"
ANTI_SPOOF: Final = "anti-spoof.tflite"

MODELS_DIR: Final = Path(__file__).parent
MANIFEST_NAME: Final = "manifest.json"
_REMEDY: Final = "reinstall facelatch, or run `python -m tools.build_models` in a source tree"


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output of a model; ``dtype`` is NumPy's name for it."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file a model was built from: where it is in which released package."""

    registry: str
    package: str
    version: str
    path: str
    sha256: str


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What there is to know about one model file."""

    sha256: str
    bytes: int
    role: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    preprocessing: str
    source: Source
    licence: str
    built: str
    training_data: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All model files, by file name."""

    version: int
    models: dict[str, ModelEntry]


@cache
def manifest() -> Manifest:
    """The manifest of the installed package.

    Raises:
        ModelError: it is missing or malformed.
    """
    try:
        return msgspec.json.decode((MODELS_DIR / MANIFEST_NAME).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError("the model manifest is missing or damaged", _REMEDY) from error


def read_model(name: str, directory: Path = MODELS_DIR) -> bytes:
    """The bytes of one model, checked against the manifest of the installed package.

    Args:
        name: ``DETECTOR``, ``MESH``, ``ENCODER``, ``SECOND_ENCODER`` or ``ANTI_SPOOF``.
        directory: where the file is, if not in the package.

    Raises:
        ModelError: no such model, or its file is missing, unreadable or not the one in the manifest.
    """
    entry = manifest().models.get(name)
    if entry is None:
        raise ModelError(f"there is no model named {name!r}", f"choose from {', '.join(manifest().models)}")
    try:
        data = (directory / name).read_bytes()
    except OSError as error:
        problem = f"model {name} cannot be read from {directory} ({error.strerror})"
        raise ModelError(problem, _REMEDY) from error
    if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelError(f"model {name} in {directory} is not the one in the manifest", _REMEDY)
    return data
