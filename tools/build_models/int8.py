# SPDX-License-Identifier: Apache-2.0
"""The shipped networks: the float ones with the weights of their convolutions in 8 bits.

Such a convolution is of "dynamic range": the runtime finds the range of its input in each image, rounds the input to
8 bits with it, multiplies integers and gives floats. So nothing has to be calibrated, and no face data is needed. The
scheme for the weights is that of the TFLite 8-bit quantisation specification: symmetric, one scale an output channel.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from tools.build_models import graph
from tools.build_models.encoder import require_agreement, run, sample_images

MIN_COSINE = 0.985  # on synthetic images; the worst are noise, where the two encoders have 0.9985 and 0.9915
_LIMIT = 127  # -128 is left out, so that the range is symmetric
_VERSION = 5  # of CONV_2D, the first with a scale for each output channel beside a float input
_LEAST_SCALE = np.finfo(np.float32).tiny  # below it a float32 loses digits, in the end all of them


def in_int8(reference: bytes, images: NDArray[np.float32] | None = None) -> bytes:
    """Stores the convolutions of a float network, a TFLite file, in 8 bits; inputs and outputs stay as they are.

    Args:
        reference: the float network.
        images: (n, side, side, 3) that the two are compared on; an encoder's if None.

    Raises:
        ModelError: the result computes something else.
    """
    model = graph.load(reference)
    quantise_convolutions(model)
    graph.prune(model)
    built = graph.dump(model)
    images = sample_images() if images is None else images
    require_agreement(run(reference, images), run(built, images), MIN_COSINE)
    return built


def quantise_convolutions(model: graph.Model) -> int:
    """Stores the float weights, [out, height, width, in], of every convolution as int8; returns how many.

    Depthwise convolutions stay float: their weights are few, and the runtime has no fast kernel for them.
    """
    quantised = 0
    for operator in model.subgraphs[0].operators:
        kernel = int(operator.inputs[1]) if graph.op_name(model, operator) == "CONV_2D" else -1
        if kernel < 0 or not graph.is_constant(model, kernel):
            continue
        weights = graph.constant(model, kernel)
        if weights.dtype == np.float32:
            stored = _store(model, f"int8_weights_{quantised}", *quantise(weights))
            operator.inputs = np.array([operator.inputs[0], stored, *operator.inputs[2:]], dtype=np.int32)
            quantised += 1
    if quantised:
        entry = model.operatorCodes[graph.opcode_index(model, schema.BuiltinOperator.CONV_2D)]
        entry.version = max(entry.version, _VERSION)
    return quantised


def quantise(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds weights [out, ...] to int8 of the same shape, and the float32 scales [out] that undo it.

    Weights too small for a scale are rounded to 0.
    """
    scales = np.abs(weights).reshape(len(weights), -1).max(axis=1) / np.float32(_LIMIT)
    scales = np.where(scales >= _LEAST_SCALE, scales, np.float32(1)).astype(np.float32)
    steps = weights.astype(np.float64) / scales.astype(np.float64).reshape(-1, *[1] * (weights.ndim - 1))
    return np.clip(np.rint(steps), -_LIMIT, _LIMIT).astype(np.int8), scales


def _store(model: graph.Model, name: str, values: NDArray[np.int8], scales: NDArray[np.float32]) -> int:
    """Stores int8 values [out, ...] with their scales [out] as a new tensor and returns its index."""
    tensor = graph.add_constant(model, name, values)
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = scales, np.zeros(len(scales), dtype=np.int64)
    model.subgraphs[0].tensors[tensor].quantization = parameters
    return tensor
