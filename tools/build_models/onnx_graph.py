# SPDX-License-Identifier: Apache-2.0
"""From an ONNX graph to a TFLite one, for networks made of convolutions, gates over channels and a last reshape.

ONNX has images as [batch, channel, row, column] and TFLite as [batch, row, column, channel], so weights are transposed.
Both are float32 throughout. ONNX's operators are as in its specification, "Operators", versions 9 to 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from facelatch.errors import ModelError
from tools.build_models import graph

_BATCH = 1
_CONV_DEFAULTS: dict[str, Any] = {
    "strides": [1, 1],
    "pads": [0] * 4,
    "dilations": [1, 1],
    "group": 1,
    "kernel_shape": [],
}
_Attributes = Mapping[str, Any]


def convert(source: bytes) -> graph.Model:
    """The TFLite model that computes what an ONNX one computes, for one image a run.

    Args:
        source: an ONNX file whose one input is float32 [1, channel, side, side]; its operators are Conv (of one group,
            or of one a channel), PRelu (one slope a channel), Relu, Sigmoid, Add, Mul (by one factor a channel, or of
            equals), GlobalAveragePool and Reshape (of a 1x1 image, to a vector).

    Returns:
        A model whose input is float32 [1, side, side, channel].

    Raises:
        ModelError: the package ``onnx`` is missing, the file is not ONNX, or something in it is beyond this.
    """
    onnx = library()
    published = parsed(source).graph
    stored = {entry.name: onnx.numpy_helper.to_array(entry) for entry in published.initializer}
    entry, result = published.input[0], published.output[0]
    shape = [side.dim_value for side in entry.type.tensor_type.shape.dim]
    if len(published.input) != 1 or len(shape) != 4 or shape[0] != _BATCH or shape[2] != shape[3]:
        raise _unknown(f"{len(published.input)} inputs, the first of shape {shape}")
    writer = _Writer(graph.new_model(), stored)
    writer.value(entry.name, (_BATCH, shape[2], shape[3], shape[1]))
    for node in published.node:
        write = getattr(writer, f"write_{node.op_type.lower()}", None)
        if write is None:
            raise _unknown(f"the operator {node.op_type}")
        attributes = {given.name: onnx.helper.get_attribute_value(given) for given in node.attribute}
        write(list(node.input), node.output[0], attributes)
    main = writer.model.subgraphs[0]
    main.inputs = np.array([writer.tensors[entry.name]], dtype=np.int32)
    main.outputs = np.array([writer.tensors[result.name]], dtype=np.int32)
    return writer.model


def run(source: bytes, images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Outputs, float64 [n, d], of an ONNX network for images [n, side, side, channel], by ONNX's own slow evaluator.

    Raises:
        ModelError: the package ``onnx`` is missing, or the file is not ONNX.
    """
    model = parsed(source)
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    name = evaluator.input_names[0]
    rows = [evaluator.run(None, {name: image[None].transpose(0, 3, 1, 2)})[0] for image in images]
    return np.concatenate(rows).astype(np.float64)


class _Writer:
    """Writes ONNX operators, in their order, into a TFLite model.

    Attributes:
        model: what is being written.
        tensors: the index in it of every ONNX value computed so far, by name.
    """

    def __init__(self, model: graph.Model, stored: Mapping[str, NDArray[Any]]) -> None:
        self.model = model
        self.tensors: dict[str, int] = {}
        self._stored = stored

    def value(self, name: str, shape: tuple[int, ...]) -> int:
        """Enters the value that ONNX calls ``name``."""
        self.tensors[name] = graph.add_value(self.model, name, shape)
        return self.tensors[name]

    def write_conv(self, inputs: list[str], output: str, attributes: _Attributes) -> None:
        """A convolution, or a depthwise one; ONNX weights are [out, in / group, height, width]."""
        if len(inputs) != 3:
            raise _unknown("a convolution without a bias")
        source, weights, bias = self.tensors[inputs[0]], self._weights(inputs[1]), self._weights(inputs[2])
        _, side, _, depth = graph.shape_of(self.model, source)
        given = {**_CONV_DEFAULTS, **attributes}
        kernel, stride, pad = weights.shape[2], given["strides"][0], given["pads"][0]
        depthwise = given["group"] > 1
        if (
            given.keys() != _CONV_DEFAULTS.keys()
            or weights.shape[2:] != (kernel, kernel)
            or given["strides"] != [stride] * 2
            or given["pads"] != [pad] * 4
            or given["dilations"] != [1, 1]
            or (depthwise and not given["group"] == depth == len(weights))
        ):
            raise _unknown(f"a convolution of weights {weights.shape} with {attributes}")
        reach = (side + 2 * pad - kernel) // stride + 1
        # SAME pads no more than the stride needs: where that is not ``pad`` on every side, zeros are put around first.
        same = pad > 0 and reach == -(-side // stride) and (reach - 1) * stride + kernel - side == 2 * pad
        if pad and not same:
            source = self._padded(source, pad)
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME if same else schema.Padding.VALID
        options.strideW = options.strideH = stride
        if depthwise:
            options.depthMultiplier = 1
        code = schema.BuiltinOperator.DEPTHWISE_CONV_2D if depthwise else schema.BuiltinOperator.CONV_2D
        ordered = weights.transpose(1, 2, 3, 0) if depthwise else weights.transpose(0, 2, 3, 1)
        parameters = [self._constant(inputs[1], ordered), self._constant(inputs[2], bias)]
        result = self.value(output, (_BATCH, reach, reach, len(weights)))
        graph.add_operator(self.model, code, [source, *parameters], result, options)

    def write_prelu(self, inputs: list[str], output: str, _: _Attributes) -> None:
        """A PReLU; ONNX slopes are [channel, 1, 1]."""
        source, slopes = self.tensors[inputs[0]], self._weights(inputs[1])
        shape = graph.shape_of(self.model, source)
        if slopes.shape != (shape[3], 1, 1):
            raise _unknown(f"a PReLU with slopes {slopes.shape} for {shape[3]} channels")
        operands = [source, self._constant(inputs[1], slopes.reshape(1, 1, -1))]
        graph.add_operator(self.model, schema.BuiltinOperator.PRELU, operands, self.value(output, shape))

    def write_add(self, inputs: list[str], output: str, _: _Attributes) -> None:
        """The sum of two computed values of one shape."""
        left, right = (self.tensors[name] for name in inputs)
        shape = graph.shape_of(self.model, left)
        if shape != graph.shape_of(self.model, right):
            raise _unknown("a sum of two shapes")
        result = self.value(output, shape)
        graph.add_operator(self.model, schema.BuiltinOperator.ADD, [left, right], result, schema.AddOptionsT())

    def write_mul(self, inputs: list[str], output: str, _: _Attributes) -> None:
        """The product of two computed values of one shape, or of the first with one factor a channel."""
        left, right = (self.tensors[name] for name in inputs)
        shape = graph.shape_of(self.model, left)
        if graph.shape_of(self.model, right) not in (shape, (_BATCH, 1, 1, shape[3])):
            raise _unknown("a product of two shapes")
        result = self.value(output, shape)
        graph.add_operator(self.model, schema.BuiltinOperator.MUL, [left, right], result, schema.MulOptionsT())

    def write_relu(self, inputs: list[str], output: str, _: _Attributes) -> None:
        """What is above 0."""
        self._each(schema.BuiltinOperator.RELU, inputs[0], output)

    def write_sigmoid(self, inputs: list[str], output: str, _: _Attributes) -> None:
        """The logistic function."""
        self._each(schema.BuiltinOperator.LOGISTIC, inputs[0], output)

    def write_globalaveragepool(self, inputs: list[str], output: str, _: _Attributes) -> None:
        """The mean of each channel, as a 1x1 image."""
        source = self.tensors[inputs[0]]
        axes = graph.add_constant(self.model, f"axes_{source}", np.array([1, 2], dtype=np.int32))
        options = schema.ReducerOptionsT()
        options.keepDims = True
        result = self.value(output, (_BATCH, 1, 1, graph.shape_of(self.model, source)[3]))
        graph.add_operator(self.model, schema.BuiltinOperator.MEAN, [source, axes], result, options)

    def write_reshape(self, inputs: list[str], output: str, _: _Attributes) -> None:
        """A 1x1 image made a vector; in a larger image the two orders of dimensions would give different vectors."""
        source = self.tensors[inputs[0]]
        *sides, depth = graph.shape_of(self.model, source)
        if sides != [1, 1, 1]:
            raise _unknown("a reshape of an image larger than 1x1")
        target = np.array([_BATCH, depth], dtype=np.int32)
        options = schema.ReshapeOptionsT()
        options.newShape = target
        operands = [source, graph.add_constant(self.model, "target", target)]
        result = self.value(output, (_BATCH, depth))
        graph.add_operator(self.model, schema.BuiltinOperator.RESHAPE, operands, result, options)

    def _each(self, code: int, name: str, output: str) -> None:
        """An operator without options on every number by itself."""
        source = self.tensors[name]
        result = self.value(output, graph.shape_of(self.model, source))
        graph.add_operator(self.model, code, [source], result)

    def _padded(self, source: int, pad: int) -> int:
        """``source`` with ``pad`` zeros on every side."""
        batch, side, _, depth = graph.shape_of(self.model, source)
        amounts = np.array([[0, 0], [pad, pad], [pad, pad], [0, 0]], dtype=np.int32)
        result = graph.add_value(self.model, f"padded_{source}", (batch, side + 2 * pad, side + 2 * pad, depth))
        operands = [source, graph.add_constant(self.model, f"pads_{source}", amounts)]
        graph.add_operator(self.model, schema.BuiltinOperator.PAD, operands, result, schema.PadOptionsT())
        return result

    def _weights(self, name: str) -> NDArray[Any]:
        """A value that is stored in the ONNX file."""
        if name not in self._stored:
            raise _unknown("weights that are computed")
        return self._stored[name]

    def _constant(self, name: str, value: NDArray[Any]) -> int:
        return graph.add_constant(self.model, name, np.ascontiguousarray(value, dtype=np.float32))


def library() -> Any:
    """The package ``onnx``, which only this needs."""
    try:
        import onnx
    except ImportError as error:
        raise ModelError("the package onnx is not installed", "run `make build-setup`") from error
    return onnx


def parsed(source: bytes) -> Any:
    """An ONNX file unpacked and checked."""
    onnx = library()
    try:
        model = onnx.load_model_from_string(source)
        onnx.checker.check_model(model)
    except Exception as error:  # what onnx and protobuf raise has no common class
        raise ModelError("the file is not an ONNX model", "check where it comes from") from error
    return model


def _unknown(what: str) -> ModelError:
    return ModelError(f"the ONNX model has {what}, which is not converted here", "check its version")
