# SPDX-License-Identifier: Apache-2.0
"""The face encoder: MobileFaceNet with one image a run and the operators the runtime is fast at."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facelatch.errors import ModelError
from tools.build_models import graph

SIDE = 112
PRELUS = 33
POINTWISE_PAIRS = 2
MIN_COSINE = 0.99999
_TRIALS = 8  # images of each kind


def build_encoder(source: bytes) -> bytes:
    """Rewrites the published network, computing the same function.

    Args:
        source: MobileFaceNet.tflite, which takes float32 [2, 112, 112, 3] and gives float32 [2, 192].

    Returns:
        A TFLite file that takes float32 [1, 112, 112, 3] and gives float32 [1, 192].

    Raises:
        ModelError: the source is built otherwise than expected, or the result computes something else.
    """
    model = graph.load(source)
    graph.repair_operator_codes(model)
    graph.set_batch(model, 1)
    if graph.fuse_prelu(model) != PRELUS or graph.merge_pointwise(model) != POINTWISE_PAIRS:
        raise ModelError("the encoder source is not built as expected", "check its version")
    graph.prune(model)
    built = graph.dump(model)
    images = sample_images()
    require_agreement(run(source, images), run(built, images), MIN_COSINE)
    return built


def require_agreement(expected: NDArray[np.float64], found: NDArray[np.float64], least: float) -> None:
    """Refuses a network whose outputs [n, d] differ from those of the one it was made from.

    Raises:
        ModelError: the cosine between some two of them is below ``least``, or there is none.
    """
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosine = float((np.sum(expected * found, axis=1) / lengths).min())
    if not cosine >= least:
        raise ModelError(f"the rewritten network differs (cosine {cosine:.6f})", "look for a fault in the rewriting")


def run(model: bytes, images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Outputs, float64 [n, d], of a network for images [n, side, side, 3], n a multiple of its batch."""
    interpreter: Any = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    entry, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for batch in images.reshape(-1, *entry["shape"]):
        interpreter.set_tensor(entry["index"], batch)
        interpreter.invoke()
        rows.append(interpreter.get_tensor(result["index"]))
    return np.concatenate(rows).astype(np.float64)


def sample_images(side: int = SIDE) -> NDArray[np.float32]:
    """Images, float32 [2 * _TRIALS, side, side, 3] in [-1, 1]: half noise, half smooth like a photograph.

    Args:
        side: a multiple of 16.
    """
    generator = np.random.default_rng(20250101)
    noise = generator.uniform(-1, 1, (_TRIALS, side, side, 3))
    smooth = np.zeros_like(noise)
    # Halving amplitude with each finer scale, as natural images about do.
    for cells in (2, 4, *(side // pixels for pixels in (16, 8, 4))):
        grid = generator.normal(size=(_TRIALS, cells, cells, 3))
        smooth += grid.repeat(side // cells, axis=1).repeat(side // cells, axis=2) / cells
    smooth /= np.abs(smooth).max(axis=(1, 2, 3), keepdims=True)
    return np.concatenate([noise, smooth]).astype(np.float32)
