# SPDX-License-Identifier: Apache-2.0
"""The second face encoder: from ONNX to the runtime's format, without the channels that carry nothing."""

from __future__ import annotations

from facelatch.errors import ModelError
from tools.build_models import graph, onnx_graph
from tools.build_models.channels import drop_dead
from tools.build_models.encoder import MIN_COSINE, require_agreement, run, sample_images

DEAD_CHANNELS = 1371


def build_second_encoder(source: bytes) -> bytes:
    """Rewrites the published network, computing the same function.

    Unlike MobileFaceNet.tflite it has its PReLUs as such and no pair of 1x1 convolutions to merge.

    Args:
        source: fr_feature.onnx, which takes float32 [1, 3, 112, 112] and gives float32 [1, 512].

    Returns:
        A TFLite file that takes float32 [1, 112, 112, 3] and gives float32 [1, 512].

    Raises:
        ModelError: the source is built otherwise than expected, or the result computes something else, or the package
            ``onnx`` is missing.
    """
    model = onnx_graph.convert(source)
    if drop_dead(model) != DEAD_CHANNELS:
        raise ModelError("the second encoder's source is not built as expected", "check its version")
    graph.prune(model)
    built = graph.dump(model)
    images = sample_images()
    require_agreement(onnx_graph.run(source, images), run(built, images), MIN_COSINE)
    return built
