# SPDX-License-Identifier: Apache-2.0
"""The network that tells a face from a picture of one: from ONNX to the runtime's format, its last layers made one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelatch.errors import ModelError
from tools.build_models import graph, onnx_graph
from tools.build_models.encoder import MIN_COSINE, require_agreement, run, sample_images
from tools.build_models.int8 import in_int8

SIDE = 128
# How the published file ends: a vector is made of a 1x1 image by way of its own shape, then comes a linear layer, a
# normalisation by stored means, and another linear layer.
_TAIL = ["Shape", "Constant", "Gather", "Unsqueeze", "Concat", "Reshape", "MatMul", "BatchNormalization", "MatMul"]


def build_anti_spoof(source: bytes) -> bytes:
    """Rewrites the published network, computing the same function.

    Args:
        source: fr_liveness.onnx, which takes float32 [1, 3, 128, 128] and gives float32 [1, 3].

    Returns:
        A TFLite file that takes float32 [1, 128, 128, 3] and gives float32 [1, 3].

    Raises:
        ModelError: the source is built otherwise than expected, or the result computes something else, or the package
            ``onnx`` is missing.
    """
    merged = merge_tail(source)
    model = onnx_graph.convert(merged)
    graph.prune(model)
    built = graph.dump(model)
    images = pictures()
    # Not with the source itself: ONNX's evaluator normalises as if in training where a file says how it was trained.
    require_agreement(onnx_graph.run(merged, images), run(built, images), MIN_COSINE)
    return built


def in_8_bits(reference: bytes) -> bytes:
    """Stores its convolutions in int8, as ``int8.in_int8``."""
    return in_int8(reference, pictures())


def pictures() -> NDArray[np.float32]:
    """Images, float32 [n, 128, 128, 3], in the range of pixels, 0 to 255."""
    return ((sample_images(SIDE) + 1) * np.float32(127.5)).astype(np.float32)


def merge_tail(source: bytes) -> bytes:
    """Makes the linear layers at the end of the ONNX network one convolution of its last, 1x1, image.

    Raises:
        ModelError: it does not end like that, or the package ``onnx`` is missing.
    """
    network = onnx_graph.parsed(source)
    onnx = onnx_graph.library()
    nodes = network.graph.node
    tail = list(nodes)[-len(_TAIL) :]
    if [node.op_type for node in tail] != _TAIL:
        raise ModelError("the anti-spoofing network is not built as expected", "check its version")
    first, normalised, last = tail[6:]
    stored = {entry.name: onnx.numpy_helper.to_array(entry) for entry in network.graph.initializer}
    weights, bias = _linear(onnx, first, normalised, last, stored)
    del nodes[-len(_TAIL) :]
    helper = onnx.helper
    network.graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(weights.T.reshape(3, -1, 1, 1).astype(np.float32), "tail_weights"),
            onnx.numpy_helper.from_array(bias.astype(np.float32), "tail_bias"),
            onnx.numpy_helper.from_array(np.array([1, -1], dtype=np.int64), "tail_shape"),
        ]
    )
    nodes.append(helper.make_node("Conv", [tail[0].input[0], "tail_weights", "tail_bias"], ["tail"]))
    nodes.append(helper.make_node("Reshape", ["tail", "tail_shape"], [network.graph.output[0].name]))
    return bytes(network.SerializeToString())


def _linear(
    onnx: Any, first: Any, normalised: Any, last: Any, stored: dict[str, NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The matrix [in, out] and the bias [out] that are the three layers together: x A, normalised, times B."""
    given = {entry.name: onnx.helper.get_attribute_value(entry) for entry in normalised.attribute}
    scale, shift, mean, variance = (stored[name].astype(np.float64) for name in normalised.input[1:])
    gain = scale / np.sqrt(variance + given["epsilon"])
    narrow, wide = (stored[node.input[1]].astype(np.float64) for node in (last, first))
    return (wide * gain) @ narrow, (shift - mean * gain) @ narrow
