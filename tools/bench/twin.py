# SPDX-License-Identifier: Apache-2.0
"""The shipped encoders in float, and as ONNX: for what 8 bits save, and for another runtime on the same network.

Both are made from the shipped file, whose rounded weights are written out as floats again: what a network costs hangs
on its shape and not on its weights, and no model source has to be fetched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from facelatch.errors import ModelError
from tools.build_models import graph

# Operators as in ONNX's specification of this version; the file format's is what every runtime of today reads.
_OPSET, _FORMAT = 13, 8
_NONE = schema.ActivationFunctionType.NONE


def floated(model: bytes) -> bytes:
    """Return a TFLite file with all weights as float32, given one whose convolutions' are int8, a scale a channel."""
    loaded = graph.load(model)
    tensors = loaded.subgraphs[0].tensors
    for operator in loaded.subgraphs[0].operators:
        kernel = int(operator.inputs[1]) if graph.op_name(loaded, operator) == "CONV_2D" else -1
        if kernel < 0 or tensors[kernel].type != schema.TensorType.INT8:
            continue
        scales = np.asarray(tensors[kernel].quantization.scale, dtype=np.float32)
        weights = graph.constant(loaded, kernel) * scales.reshape(-1, 1, 1, 1)
        stored = graph.add_constant(loaded, f"float_{kernel}", weights.astype(np.float32))
        operator.inputs = np.array([operator.inputs[0], stored, *operator.inputs[2:]], dtype=np.int32)
    graph.prune(loaded)
    return graph.dump(loaded)


def as_onnx(model: bytes) -> bytes:
    """Return an ONNX file, float32 [1, channel, side, side] to [1, d], that computes what a float TFLite encoder does.

    Args:
        model: its operators are CONV_2D, DEPTHWISE_CONV_2D, PRELU, ADD, PAD and RESHAPE (of a 1x1 image, to a vector).

    Raises:
        ModelError: the package ``onnx`` is missing, or an operator is another.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelError("the package onnx is not installed", "run `make bench-setup`") from error
    loaded = graph.load(model)
    main = loaded.subgraphs[0]
    writer = _Writer(loaded, onnx)
    for operator in main.operators:
        writer.write(operator)
    _, side, _, depth = graph.shape_of(loaded, int(main.inputs[0]))
    floats = onnx.TensorProto.FLOAT
    entry = onnx.helper.make_tensor_value_info(f"t{main.inputs[0]}", floats, [1, depth, side, side])
    size = graph.shape_of(loaded, int(main.outputs[0]))
    result = onnx.helper.make_tensor_value_info(f"t{main.outputs[0]}", floats, list(size))
    built = onnx.helper.make_graph(writer.nodes, "encoder", [entry], [result], writer.stored)
    opset = [onnx.helper.make_opsetid("", _OPSET)]
    written = onnx.helper.make_model(built, opset_imports=opset, ir_version=_FORMAT)
    onnx.checker.check_model(written)
    return bytes(written.SerializeToString())


class _Writer:
    """Writes TFLite operators, in their order, as ONNX nodes.

    Attributes:
        nodes: the nodes so far.
        stored: the weights so far.
    """

    def __init__(self, model: graph.Model, onnx: Any) -> None:
        self.nodes: list[Any] = []
        self.stored: list[Any] = []
        self._model = model
        self._onnx = onnx

    def write(self, operator: graph.Operator) -> None:
        name = graph.op_name(self._model, operator)
        write = getattr(self, f"_write_{name.lower()}", None)
        if write is None or getattr(operator.builtinOptions, "fusedActivationFunction", _NONE) != _NONE:
            raise ModelError(f"the encoder has the operator {name}, which is not converted here", "teach it")
        write(operator, [int(tensor) for tensor in operator.inputs])

    def _write_conv_2d(self, operator: graph.Operator, inputs: list[int]) -> None:
        # [out, height, width, in] becomes [out, in, height, width].
        self._convolution(operator, inputs, graph.constant(self._model, inputs[1]).transpose(0, 3, 1, 2), 1)

    def _write_depthwise_conv_2d(self, operator: graph.Operator, inputs: list[int]) -> None:
        # [1, height, width, channel] becomes [channel, 1, height, width].
        weights = graph.constant(self._model, inputs[1]).transpose(3, 0, 1, 2)
        self._convolution(operator, inputs, weights, len(weights))

    def _convolution(self, operator: graph.Operator, inputs: list[int], weights: NDArray[Any], group: int) -> None:
        side, reach = (graph.shape_of(self._model, int(tensor))[1] for tensor in (inputs[0], operator.outputs[0]))
        stride, kernel = int(operator.builtinOptions.strideW), weights.shape[2]
        # SAME puts the odd one behind; VALID needs none, which the formula gives as well.
        missing = max((reach - 1) * stride + kernel - side, 0)
        before = missing // 2
        names = [self._constant(inputs[1], weights), self._constant(inputs[2], graph.constant(self._model, inputs[2]))]
        pads = [before, before, missing - before, missing - before]
        options = {"strides": [stride] * 2, "pads": pads, "group": group, "kernel_shape": [kernel] * 2}
        self._node("Conv", operator, [f"t{inputs[0]}", *names], **options)

    def _write_prelu(self, operator: graph.Operator, inputs: list[int]) -> None:
        slopes = graph.constant(self._model, inputs[1]).reshape(-1, 1, 1)
        self._node("PRelu", operator, [f"t{inputs[0]}", self._constant(inputs[1], slopes)])

    def _write_add(self, operator: graph.Operator, inputs: list[int]) -> None:
        self._node("Add", operator, [f"t{tensor}" for tensor in inputs])

    def _write_pad(self, operator: graph.Operator, inputs: list[int]) -> None:
        # Rows of (before, after) for [batch, row, column, channel] become all befores, then all afters.
        amounts = graph.constant(self._model, inputs[1])[[0, 3, 1, 2]].T.reshape(-1).astype(np.int64)
        self._node("Pad", operator, [f"t{inputs[0]}", self._constant(inputs[1], amounts)])

    def _write_reshape(self, operator: graph.Operator, inputs: list[int]) -> None:
        if graph.shape_of(self._model, inputs[0])[:3] != (1, 1, 1):
            raise ModelError("the encoder reshapes an image larger than 1x1", "teach it")
        self._node("Flatten", operator, [f"t{inputs[0]}"])

    def _node(self, kind: str, operator: graph.Operator, inputs: list[str], **options: Any) -> None:
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [f"t{operator.outputs[0]}"], **options))

    def _constant(self, tensor: int, value: NDArray[Any]) -> str:
        # One tensor may be read by several operators, each of which stores what it reads.
        name = f"c{tensor}_{len(self.stored)}"
        self.stored.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name
