# SPDX-License-Identifier: Apache-2.0
"""What is read from ONNX computes the same, what cannot be read is refused, and channels go only where they may."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facelatch.errors import ModelError
from facelatch.models import SECOND_ENCODER, manifest, read_model

pytest.importorskip("flatbuffers")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

from tests.unit.test_build_models import DEPTH, SIDE, Network, run  # noqa: E402
from tools.build_models import channels, graph, onnx_graph  # noqa: E402
from tools.build_models.anti_spoof import merge_tail  # noqa: E402
from tools.build_models.second_encoder import build_second_encoder  # noqa: E402


class Onnx:
    """Writes a small ONNX network, operator by operator."""

    def __init__(self, *shape: int) -> None:
        self.onnx: Any = pytest.importorskip("onnx")
        self.random = np.random.default_rng(5)
        self.shape = shape
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def weights(self, *shape: int) -> str:
        """Random numbers, stored."""
        return self.store(self.random.normal(size=shape).astype(np.float32))

    def store(self, value: NDArray[Any]) -> str:
        self.stored.append(self.onnx.numpy_helper.from_array(value, f"w{len(self.stored)}"))
        return str(self.stored[-1].name)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator; returns the name of its result."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [f"t{len(self.nodes)}"], **attributes))
        return str(self.nodes[-1].output[0])

    def conv(self, source: str, depth: int, width: int, kernel: int = 1, **attributes: Any) -> str:
        return self.add("Conv", source, self.weights(depth, width, kernel, kernel), self.weights(depth), **attributes)

    def finish(self, result: str) -> bytes:
        helper, real = self.onnx.helper, self.onnx.TensorProto.FLOAT
        source = helper.make_tensor_value_info("x", real, self.shape)
        target = helper.make_tensor_value_info(result, real, [1, None])
        main = helper.make_graph(self.nodes, "main", [source], [target], self.stored)
        opset = helper.make_opsetid("", 13)
        return bytes(helper.make_model(main, opset_imports=[opset], ir_version=8).SerializeToString())


def small_network(side: int) -> bytes:
    """Every operator that is converted; its last images are 1x1."""
    net = Onnx(1, 3, side, side)
    narrow = net.add("PRelu", net.conv("x", 4, 3, 3, strides=[2, 2], pads=[1] * 4), net.weights(4, 1, 1))
    wide = net.add("PRelu", net.conv(narrow, 6, 4), net.weights(6, 1, 1))
    total = net.add("Add", narrow, net.conv(net.conv(wide, 6, 1, 3, pads=[1] * 4, group=6), 4, 6))
    halved = net.conv(total, 4, 1, 3, strides=[2, 2], pads=[1] * 4, group=4)
    # Small, so that the gate is neither open nor shut.
    small = net.store(np.full((2, 4, 1, 1), 0.02, dtype=np.float32))
    gate = net.add("Relu", net.add("Conv", net.add("GlobalAveragePool", halved), small, net.weights(2)))
    gated = net.add("Mul", halved, net.add("Sigmoid", net.conv(gate, 4, 2)))
    last = net.conv(net.conv(gated, 4, 1, -(-side // 4), group=4), 5, 4)
    return net.finish(net.add("Reshape", last, net.store(np.array([1, -1], dtype=np.int64))))


@pytest.mark.parametrize("side", [12, 13, 14, 15])
def test_converted_network_computes_the_same(side: int) -> None:
    source = small_network(side)
    images = np.random.default_rng(1).normal(size=(3, side, side, 3)).astype(np.float32)
    converted = graph.dump(onnx_graph.convert(source))
    found = np.concatenate([run(converted, image[None]) for image in images])
    assert found.shape == (3, 5)
    np.testing.assert_allclose(found, onnx_graph.run(source, images), rtol=1e-4, atol=1e-4)
    assert converted == graph.dump(onnx_graph.convert(source))


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes", "problem"),
    [
        ("Tanh", [], {}, "operator Tanh"),
        ("Conv", [(4, 3, 1, 1)], {}, "without a bias"),
        ("Conv", [(4, 3, 3, 1), (4,)], {}, r"weights \(4, 3, 3, 1\)"),
        ("Conv", [(4, 3, 3, 3), (4,)], {"dilations": [2, 2]}, "dilations"),
        ("Conv", [(4, 3, 3, 3), (4,)], {"pads": [0, 0, 1, 1]}, "pads"),
        ("Conv", [(4, 3, 3, 3), (4,)], {"strides": [1, 2]}, "strides"),
        ("Conv", [(4, 3, 3, 3), (4,)], {"auto_pad": "SAME_LOWER"}, "auto_pad"),
        ("Conv", [(6, 1, 3, 3), (6,)], {"group": 3}, "group"),
        ("PRelu", [(1,)], {}, "slopes"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    kind: str, inputs: list[tuple[int, ...]], attributes: dict[str, Any], problem: str
) -> None:
    net = Onnx(1, 3, 8, 8)
    source = net.finish(net.add(kind, "x", *(net.weights(*shape) for shape in inputs), **attributes))
    with pytest.raises(ModelError, match=problem):
        onnx_graph.convert(source)


def test_an_operand_or_a_shape_of_another_kind_is_refused() -> None:
    net = Onnx(1, 3, 8, 8)
    with pytest.raises(ModelError, match="weights that are computed"):
        onnx_graph.convert(net.finish(net.add("PRelu", "x", "x")))
    net = Onnx(1, 3, 8, 8)
    with pytest.raises(ModelError, match="a sum of two shapes"):
        onnx_graph.convert(net.finish(net.add("Add", "x", net.conv("x", 1, 3))))
    net = Onnx(1, 3, 8, 8)
    with pytest.raises(ModelError, match="larger than 1x1"):
        onnx_graph.convert(net.finish(net.add("Reshape", "x", net.store(np.array([1, -1], dtype=np.int64)))))
    net = Onnx(2, 3, 8, 8)
    with pytest.raises(ModelError, match="inputs, the first of shape"):
        onnx_graph.convert(net.finish(net.conv("x", 1, 3)))


def test_factors_of_another_shape_are_refused() -> None:
    net = Onnx(1, 3, 8, 8)
    with pytest.raises(ModelError, match="a product of two shapes"):
        onnx_graph.convert(net.finish(net.add("Mul", "x", net.conv("x", 1, 3))))


def anti_spoof_tail(net: Onnx, source: str, depth: int) -> tuple[str, list[NDArray[Any]]]:
    """The end of the anti-spoofing network, as its publisher has it; returns its result and what it stores."""
    shape = net.add("Shape", source)
    size = net.add("Gather", shape, net.add("Constant", value=net.onnx.numpy_helper.from_array(np.array(0))), axis=0)
    rest = net.store(np.array([-1], dtype=np.int64))
    sides = net.add("Concat", net.add("Unsqueeze", size, net.store(np.array([0], dtype=np.int64))), rest, axis=0)
    vector = net.add("Reshape", source, sides)
    values = [
        net.random.normal(size=(depth, 6)),
        *np.abs(net.random.normal(size=(4, 6))),
        net.random.normal(size=(6, 3)),
    ]
    first, *normal, last = (net.store(value.astype(np.float32)) for value in values)
    narrow = net.add("BatchNormalization", net.add("MatMul", vector, first), *normal, epsilon=1e-5)
    return net.add("MatMul", narrow, last), values


def test_the_last_layers_made_one_compute_the_same() -> None:
    net = Onnx(1, 4, 1, 1)
    result, (first, scale, shift, mean, variance, last) = anti_spoof_tail(net, net.conv("x", 5, 4), 5)
    image = np.random.default_rng(1).normal(size=(1, 1, 1, 4)).astype(np.float32)
    weights, bias = (net.onnx.numpy_helper.to_array(entry).astype(float) for entry in net.stored[:2])
    vector = weights[:, :, 0, 0] @ image.ravel() + bias
    expected = ((vector @ first - mean) * scale / np.sqrt(variance + 1e-5) + shift) @ last
    converted = graph.dump(onnx_graph.convert(merge_tail(net.finish(result))))
    np.testing.assert_allclose(run(converted, image)[0], expected, rtol=1e-4, atol=1e-4)


def test_an_onnx_network_of_another_build_is_no_anti_spoofing_network() -> None:
    with pytest.raises(ModelError, match="not built as expected"):
        merge_tail(small_network(12))


def test_what_is_not_onnx_is_refused() -> None:
    pytest.importorskip("onnx")
    with pytest.raises(ModelError, match="not an ONNX model"):
        onnx_graph.convert(b"\xff" * 64)


def test_an_onnx_network_of_another_build_is_no_second_encoder() -> None:
    with pytest.raises(ModelError, match="not built as expected"):
        build_second_encoder(small_network(12))


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match="make build-setup"):
        onnx_graph.convert(b"")


def bottleneck(*, residual: bool = False, second: bool = False) -> graph.Model:
    """A depthwise convolution and PReLUs between two convolutions, with some of the six channels there at nothing."""
    net = Network()
    shape = (1, SIDE, SIDE, 6)
    source = net.value(1, SIDE, SIDE, DEPTH)
    options = schema.DepthwiseConv2DOptionsT()
    options.strideW = options.strideH = options.depthMultiplier = 1
    wide = net.add(schema.BuiltinOperator.PRELU, [net.conv(source, 6), net.weights(1, 1, 6)], shape)
    kernel = [net.weights(1, SIDE, SIDE, 6), net.weights(6)]
    filtered = net.add(schema.BuiltinOperator.DEPTHWISE_CONV_2D, [wide, *kernel], shape, options)
    active = net.add(schema.BuiltinOperator.PRELU, [filtered, net.weights(1, 1, 6)], shape)
    if residual:
        active = net.add(schema.BuiltinOperator.ADD, [active, wide], shape, schema.AddOptionsT())
    results = [net.conv(active, DEPTH), *([active] if second else [])]
    model = graph.load(net.finish(source, *results))
    graph.repair_operator_codes(model)
    first, _, depthwise = model.subgraphs[0].operators[:3]
    scale(model, first, np.array([1, 1e-9, 1, 1e-9, 1e-9, 1]))  # channels 1 and 4 are at nothing in both
    scale(model, depthwise, np.array([1, 1e-9, 1, 1, 1e-9, 1e-9]))
    graph.prune(model)
    return model


def scale(model: graph.Model, operator: graph.Operator, factors: NDArray[np.float64]) -> None:
    """Multiplies each channel that a convolution, or a depthwise one, makes."""
    weights, bias = (graph.constant(model, int(tensor)) for tensor in operator.inputs[1:])
    along = factors if weights.shape[0] == 1 else factors[:, None, None, None]
    stored = [
        graph.add_constant(model, "w", (old * by).astype(np.float32)) for old, by in ((weights, along), (bias, factors))
    ]
    operator.inputs = np.array([operator.inputs[0], *stored], dtype=np.int32)


def test_dead_channels_go_and_the_function_stays() -> None:
    model = bottleneck()
    before = graph.dump(model)
    assert channels.drop_dead(model) == 2
    graph.prune(model)
    images = np.random.default_rng(2).normal(size=(1, SIDE, SIDE, DEPTH)).astype(np.float32)
    np.testing.assert_allclose(run(graph.dump(model), images), run(before, images), rtol=1e-4, atol=1e-4)
    shapes = [graph.shape_of(model, int(operator.outputs[0]))[3] for operator in model.subgraphs[0].operators]
    assert shapes == [4, 4, 4, 4, DEPTH]
    assert channels.drop_dead(model) == 0


@pytest.mark.parametrize("way", ["residual", "second"])
def test_channels_that_something_else_reads_stay(way: str) -> None:
    assert channels.drop_dead(bottleneck(**{way: True})) == 0


def test_a_layer_of_nothing_is_refused() -> None:
    net = Network()
    source = net.value(1, SIDE, SIDE, DEPTH)
    model = graph.load(net.finish(source, net.conv(net.conv(source, 3), DEPTH)))
    graph.repair_operator_codes(model)
    scale(model, model.subgraphs[0].operators[0], np.zeros(3))
    with pytest.raises(ModelError, match="carries nothing"):
        channels.drop_dead(model)


def test_shipped_second_encoder_is_rewritten() -> None:
    model = graph.load(read_model(SECOND_ENCODER))
    kinds = {"CONV_2D": 33, "PRELU": 33, "DEPTHWISE_CONV_2D": 17, "ADD": 12, "PAD": 4, "RESHAPE": 1}
    assert graph.op_counts(model) == kinds
    assert channels.drop_dead(graph.load(read_model(SECOND_ENCODER))) == 0
    versions = {entry.builtinCode: entry.version for entry in model.operatorCodes}
    assert versions.pop(schema.BuiltinOperator.CONV_2D) == 5
    assert set(versions.values()) == {1}
    entry = manifest().models[SECOND_ENCODER]
    assert (entry.inputs[0].shape, entry.outputs[0].shape) == ((1, 112, 112, 3), (1, 512))
