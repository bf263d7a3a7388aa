# SPDX-License-Identifier: Apache-2.0
"""What each model file is made of, and what the manifest says about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from facelatch.models import ANTI_SPOOF, DETECTOR, ENCODER, MESH, SECOND_ENCODER, Manifest, ModelEntry, Source, Tensor
from tools.build_models.anti_spoof import build_anti_spoof, in_8_bits
from tools.build_models.encoder import build_encoder
from tools.build_models.int8 import in_int8
from tools.build_models.second_encoder import build_second_encoder
from tools.build_models.sources import BLAZEFACE, FACE_MESH, FR_FEATURE, FR_LIVENESS, MOBILEFACENET

_MANIFEST_VERSION = 1
_GOOGLE_DATA = "not published with the model; see Google's model card for it"

_FACEPLUGIN_LICENCE = (
    "MIT (package.json); the package's LICENSE is the MIT text with the holder gitguanqi (2021), not the publisher, "
    "Faceplugin; nothing in it is about the network by itself"
)


def _as_is(data: bytes) -> bytes:
    return data


@dataclass(frozen=True)
class Recipe:
    """How to make one model file, and the words about it.

    Attributes:
        rewrite: from the source to a TFLite file of the same function.
        store: from that to the file shipped, whose weights may be rounded.
    """

    source: Source
    role: str
    preprocessing: str
    licence: str
    built: str
    training_data: str
    rewrite: Callable[[bytes], bytes] = _as_is
    store: Callable[[bytes], bytes] = _as_is


RECIPES: dict[str, Recipe] = {
    DETECTOR: Recipe(
        source=BLAZEFACE,
        role="BlazeFace short range: 896 anchors, each a box, six key points and a score before the sigmoid",
        preprocessing="RGB, aspect ratio kept by padding, resized to 128x128, x / 127.5 - 1",
        licence="Apache-2.0",
        built="copied",
        training_data=_GOOGLE_DATA,
    ),
    MESH: Recipe(
        source=FACE_MESH,
        role="face mesh: 468 points (x, y, z in input pixels), and a face score before the sigmoid",
        preprocessing="RGB, square crop around the face turned upright, resized to 192x192, x / 255",
        licence="Apache-2.0",
        built="copied",
        training_data=_GOOGLE_DATA,
    ),
    ENCODER: Recipe(
        source=MOBILEFACENET,
        rewrite=build_encoder,
        store=in_int8,
        role="MobileFaceNet: a 192-dimensional embedding, not normalised",
        preprocessing="RGB, aligned to the five-point template of 112x112, (x - 127.5) / 128",
        licence="MIT (the package); Apache-2.0 (the network, from sirius-ai/MobileFaceNet_TF)",
        built="batch 2 to 1, 33 PReLUs fused, 2 pairs of 1x1 convolutions merged, rest pruned; "
        "convolution weights int8 by output channel, their inputs quantised at run time",
        training_data="MS1M (MS-Celeb-1M), a set of web photographs that its publisher has withdrawn",
    ),
    SECOND_ENCODER: Recipe(
        source=FR_FEATURE,
        rewrite=build_second_encoder,
        store=in_int8,
        role="a network like MobileFaceNet: a 512-dimensional embedding, not normalised",
        preprocessing="RGB, aligned to the five-point template of 112x112, (x - 127) / 128",
        licence=_FACEPLUGIN_LICENCE,
        built="ONNX to TFLite, 1371 channels with weights near 0 dropped; "
        "convolution weights int8 by output channel, their inputs quantised at run time",
        training_data="not disclosed by the publisher",
    ),
    ANTI_SPOOF: Recipe(
        source=FR_LIVENESS,
        rewrite=build_anti_spoof,
        store=in_8_bits,
        role="a network like MiniFASNet with gates: three classes before the softmax, the first of them a live face",
        preprocessing="BGR, the square of 2.7 times the face's larger side around it, resized to 128x128, 0 to 255",
        licence=_FACEPLUGIN_LICENCE,
        built="ONNX to TFLite, the last two linear layers and the normalisation between them made one; "
        "convolution weights int8 by output channel, their inputs quantised at run time",
        training_data="not disclosed by the publisher; may hold sets that it is measured on here",
    ),
}


def build_all(files: Mapping[Source, bytes]) -> tuple[dict[str, bytes], Manifest]:
    """Builds every model file from its source, and the manifest that describes them all."""
    built = {name: recipe.store(recipe.rewrite(files[recipe.source])) for name, recipe in RECIPES.items()}
    entries = {name: _entry(RECIPES[name], data) for name, data in built.items()}
    return built, Manifest(version=_MANIFEST_VERSION, models=entries)


def _entry(recipe: Recipe, data: bytes) -> ModelEntry:
    interpreter: Any = Interpreter(model_content=data, num_threads=1)
    return ModelEntry(
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        role=recipe.role,
        inputs=_tensors(interpreter.get_input_details()),
        outputs=_tensors(interpreter.get_output_details()),
        preprocessing=recipe.preprocessing,
        source=recipe.source,
        licence=recipe.licence,
        built=recipe.built,
        training_data=recipe.training_data,
    )


def _tensors(details: list[dict[str, Any]]) -> tuple[Tensor, ...]:
    """The interpreter's description of its inputs or outputs, as the manifest has it."""
    return tuple(
        Tensor(name=entry["name"], shape=tuple(map(int, entry["shape"])), dtype=np.dtype(entry["dtype"]).name)
        for entry in details
    )
