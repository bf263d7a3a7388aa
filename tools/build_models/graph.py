# SPDX-License-Identifier: Apache-2.0
"""Surgery on TFLite graphs, as small functions on the FlatBuffers object API.

A model is the ``ModelT`` of the schema that ``ai_edge_litert`` carries; the schema has no type information,
hence the aliases to ``Any`` below. Functions that change a model do so in place and say how much they did; all
work on models with one subgraph. Tensors are addressed by their index in that subgraph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeAlias

import flatbuffers  # type: ignore[import-untyped, unused-ignore]
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from facelatch.errors import ModelError

Model: TypeAlias = Any  # schema.ModelT
Operator: TypeAlias = Any  # schema.OperatorT

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # what the schema asks for buffers, and the generated packing code does not do
_LAST_OLD_CODE = 127  # operators above it have no value in the old, 8-bit code field
_NONE = schema.ActivationFunctionType.NONE
_DTYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.INT32: np.dtype("<i4"),
    schema.TensorType.INT8: np.dtype("i1"),
}
_TYPES = {dtype: code for code, dtype in _DTYPES.items()}
_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]  # an untyped base
    """A builder that puts byte vectors where weights may be read in place."""

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802  # the base class's name
        if x.dtype == np.uint8:
            self.Prep(_ALIGNMENT, x.size)
        offset: int = super().CreateNumpyVector(x)
        return offset


def load(data: bytes) -> Model:
    """Unpacks a TFLite file.

    Raises:
        ModelError: it is not a TFLite file, or has more than one subgraph.
    """
    if data[4:8] != _IDENTIFIER:
        raise ModelError("the file is not a TFLite model", "check where it comes from")
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    if len(model.subgraphs) != 1:
        raise ModelError("the model has several subgraphs", "use a model with one")
    return model


def dump(model: Model) -> bytes:
    """Packs a model; equal models give equal bytes."""
    builder = _AlignedBuilder(1 << 20)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def op_name(model: Model, operator: Operator) -> str:
    """The schema's name of an operator, such as ``"CONV_2D"``."""
    code = model.operatorCodes[operator.opcodeIndex]
    return str(_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])


def op_counts(model: Model) -> dict[str, int]:
    """How many operators of each name a model has."""
    return dict(Counter(op_name(model, operator) for operator in model.subgraphs[0].operators))


def opcode_index(model: Model, code: int) -> int:
    """The index that operators of builtin ``code`` use, entered into the model if it is new."""
    for index, entry in enumerate(model.operatorCodes):
        if max(entry.builtinCode, entry.deprecatedBuiltinCode) == code:
            return index
    entry = schema.OperatorCodeT()
    entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, _LAST_OLD_CODE), 1
    model.operatorCodes.append(entry)
    return len(model.operatorCodes) - 1


def producers(model: Model) -> dict[int, Operator]:
    """Maps a tensor to the operator that computes it."""
    return {int(tensor): operator for operator in model.subgraphs[0].operators for tensor in operator.outputs}


def consumers(model: Model) -> dict[int, list[Operator]]:
    """Maps a tensor to the operators that read it; a graph output that nothing reads is not in it."""
    readers: dict[int, list[Operator]] = {}
    for operator in model.subgraphs[0].operators:
        for tensor in operator.inputs:
            readers.setdefault(int(tensor), []).append(operator)
    return readers


def is_constant(model: Model, tensor: int) -> bool:
    """Whether a tensor's value is stored in the file."""
    return model.buffers[model.subgraphs[0].tensors[tensor].buffer].data is not None


def constant(model: Model, tensor: int) -> NDArray[Any]:
    """A copy of a stored tensor, in its own shape and type."""
    entry = model.subgraphs[0].tensors[tensor]
    raw = np.asarray(model.buffers[entry.buffer].data, dtype=np.uint8)
    return raw.view(_DTYPES[entry.type]).reshape([int(side) for side in entry.shape]).copy()


def add_constant(model: Model, name: str, value: NDArray[Any]) -> int:
    """Stores ``value`` (float32, int32 or int8, any shape) as a new tensor and returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(value.astype(value.dtype.newbyteorder("<")).tobytes(), dtype=np.uint8)
    model.buffers.append(buffer)
    entry = schema.TensorT()
    entry.name, entry.shape = name, np.array(value.shape, dtype=np.int32)
    entry.type, entry.buffer = _TYPES[value.dtype], len(model.buffers) - 1
    model.subgraphs[0].tensors.append(entry)
    return len(model.subgraphs[0].tensors) - 1


def new_model() -> Model:
    """A model with nothing in it but the empty buffer that comes first by convention."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.operatorCodes, model.buffers = [], [schema.BufferT()]
    graph.name, graph.tensors, graph.operators = "main", [], []
    return model


def add_value(model: Model, name: str, shape: tuple[int, ...]) -> int:
    """Enters a float32 tensor that is computed, or given as input, and returns its index."""
    entry = schema.TensorT()
    entry.name, entry.shape = name, np.array(shape, dtype=np.int32)
    entry.type, entry.buffer = schema.TensorType.FLOAT32, 0
    model.subgraphs[0].tensors.append(entry)
    return len(model.subgraphs[0].tensors) - 1


def add_operator(model: Model, code: int, inputs: list[int], output: int, options: Any = None) -> None:
    """Appends an operator of builtin ``code``; ``options`` is the schema's object for it, where it has one."""
    operator = schema.OperatorT()
    operator.opcodeIndex = opcode_index(model, code)
    operator.inputs, operator.outputs = np.array(inputs, dtype=np.int32), np.array([output], dtype=np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.NONE
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    model.subgraphs[0].operators.append(operator)


def shape_of(model: Model, tensor: int) -> tuple[int, ...]:
    """A tensor's shape."""
    return tuple(int(side) for side in model.subgraphs[0].tensors[tensor].shape)


def repair_operator_codes(model: Model) -> int:
    """Fills in ``builtin_code`` where a file from before 2020 has only the 8-bit field; returns how many."""
    repaired = 0
    for entry in model.operatorCodes:
        if entry.builtinCode < entry.deprecatedBuiltinCode:
            entry.builtinCode = entry.deprecatedBuiltinCode
            repaired += 1
    return repaired


def set_batch(model: Model, batch: int) -> None:
    """Gives every computed tensor the leading dimension ``batch``, and every RESHAPE a target to match."""
    graph = model.subgraphs[0]
    for index, entry in enumerate(graph.tensors):
        if entry.shape is not None and len(entry.shape) and not is_constant(model, index):
            entry.shape = np.array([batch, *entry.shape[1:]], dtype=np.int32)
            entry.shapeSignature = None
    for operator in graph.operators:
        if op_name(model, operator) == "RESHAPE":
            target = np.array(graph.tensors[operator.outputs[0]].shape, dtype=np.int32)
            operator.inputs = np.array([operator.inputs[0], add_constant(model, "target", target)], dtype=np.int32)
            operator.builtinOptions.newShape = target


def fuse_prelu(model: Model) -> int:
    """Replaces ``relu(x) + c * (x - |x|)`` by ``PRELU(x, 2c)``, five operators by one; returns how often.

    Doubling is exact in floating point, so even the rounding stays the same. A chain is left alone if a value
    inside it is read elsewhere, or if one of its operators has an activation of its own.
    """
    graph = model.subgraphs[0]
    made_by, read_by, kept = producers(model), consumers(model), set(map(int, graph.outputs))

    def made(tensor: int, name: str) -> Operator | None:
        operator = made_by.get(tensor)
        if operator is None or op_name(model, operator) != name or tensor in kept:
            return None
        return operator if len(read_by[tensor]) == 1 and _plain(operator) else None

    gone: set[int] = set()
    prelu = opcode_index(model, schema.BuiltinOperator.PRELU)
    for add in graph.operators:
        if op_name(model, add) != "ADD" or not _plain(add):
            continue
        relu, mul = _pair(made, add.inputs, "RELU", "MUL")
        if relu is None or mul is None:
            continue
        factor, difference = sorted(map(int, mul.inputs), key=lambda tensor: not is_constant(model, tensor))
        sub = made(difference, "SUB")
        absolute = None if sub is None else made(int(sub.inputs[1]), "ABS")
        source = int(relu.inputs[0])
        if sub is None or absolute is None or not is_constant(model, factor):
            continue
        if int(sub.inputs[0]) != source or int(absolute.inputs[0]) != source:
            continue
        slope = (2 * constant(model, factor)).reshape(1, 1, -1)
        add.inputs = np.array([source, add_constant(model, "slope", slope)], dtype=np.int32)
        add.opcodeIndex, add.builtinOptions = prelu, None
        add.builtinOptionsType = schema.BuiltinOptions.NONE
        gone.update(map(id, (relu, mul, sub, absolute)))
    graph.operators = [operator for operator in graph.operators if id(operator) not in gone]
    return len(gone) // 4


def merge_pointwise(model: Model) -> int:
    """Merges 1x1 convolutions that follow each other directly; returns how many pairs.

    Weights are [out, 1, 1, in], biases [out]. The product of the weights is summed in float64 in a fixed
    order, so that it does not depend on the linear algebra library of the machine.
    """
    graph = model.subgraphs[0]
    merged = 0
    for second in list(graph.operators):
        first = producers(model).get(int(second.inputs[0]))
        if first is None or not (_pointwise(model, first) and _pointwise(model, second)):
            continue
        between = int(first.outputs[0])
        if len(consumers(model)[between]) != 1 or between in map(int, graph.outputs):
            continue
        inner, outer = (constant(model, int(op.inputs[1])).astype(np.float64)[:, 0, 0] for op in (first, second))
        if outer.shape[0] * inner.shape[1] > outer.size + inner.size:
            continue  # a bottleneck: merged, it would cost more
        shift, bias = (constant(model, int(op.inputs[2])).astype(np.float64) for op in (first, second))
        weights = np.zeros((outer.shape[0], inner.shape[1]))
        for channel in range(inner.shape[0]):
            weights += outer[:, channel, None] * inner[channel]
            bias += outer[:, channel] * shift[channel]
        kernel = add_constant(model, "weights", weights[:, None, None].astype(np.float32))
        offset = add_constant(model, "bias", bias.astype(np.float32))
        second.inputs = np.array([first.inputs[0], kernel, offset], dtype=np.int32)
        graph.operators = [operator for operator in graph.operators if operator is not first]
        merged += 1
    return merged


def prune(model: Model) -> int:
    """Drops tensors, buffers and operator codes that nothing refers to; returns how many tensors.

    Raises:
        ModelError: the model has signatures, whose tensor indices this does not renumber.
    """
    if model.signatureDefs:
        raise ModelError("the model has signatures", "prune it before they are added")
    graph = model.subgraphs[0]
    ends = (graph.inputs, graph.outputs)
    used = {int(tensor) for operator in graph.operators for tensor in (*operator.inputs, *operator.outputs)}
    tensors = _renumbering(used.union(*(map(int, end) for end in ends)) - {-1})
    dropped = len(graph.tensors) - len(tensors)
    graph.tensors = [graph.tensors[old] for old in tensors]
    graph.inputs, graph.outputs = (_renumber(end, tensors) for end in ends)
    codes = _renumbering(operator.opcodeIndex for operator in graph.operators)
    model.operatorCodes = [model.operatorCodes[old] for old in codes]
    for operator in graph.operators:
        operator.inputs, operator.outputs = (_renumber(end, tensors) for end in (operator.inputs, operator.outputs))
        operator.opcodeIndex = codes[operator.opcodeIndex]
    # Buffer 0 is the empty one by convention; a computed tensor needs no other.
    for entry in graph.tensors:
        entry.buffer = 0 if model.buffers[entry.buffer].data is None else entry.buffer
    notes = model.metadata or []
    buffers = _renumbering({0} | {entry.buffer for entry in (*graph.tensors, *notes)})
    model.buffers = [model.buffers[old] for old in buffers]
    for entry in (*graph.tensors, *notes):
        entry.buffer = buffers[entry.buffer]
    model.metadataBuffer = None
    return dropped


def _plain(operator: Operator) -> bool:
    """Whether an operator has no activation fused into it."""
    return bool(getattr(operator.builtinOptions, "fusedActivationFunction", _NONE) == _NONE)


def _pair(made: Any, inputs: Iterable[int], one: str, other: str) -> tuple[Operator | None, Operator | None]:
    """The producers named ``one`` and ``other`` of two inputs that may come in either order."""
    left, right = map(int, inputs)
    if made(left, one) is None:
        left, right = right, left
    return made(left, one), made(right, other)


def _pointwise(model: Model, operator: Operator) -> bool:
    """Whether an operator is a float 1x1 convolution of stride 1 with a bias and no activation."""
    if op_name(model, operator) != "CONV_2D" or len(operator.inputs) != 3 or not _plain(operator):
        return False
    options, kernel = operator.builtinOptions, model.subgraphs[0].tensors[operator.inputs[1]]
    stored = all(is_constant(model, int(tensor)) for tensor in operator.inputs[1:])
    is_small = tuple(map(int, kernel.shape[1:3])) == (1, 1) and (options.strideW, options.strideH) == (1, 1)
    return stored and is_small and bool(kernel.type == schema.TensorType.FLOAT32)


def _renumbering(used: Iterable[int]) -> dict[int, int]:
    """Old index to new, in the old order and without gaps."""
    return {old: new for new, old in enumerate(sorted(set(used)))}


def _renumber(indices: Iterable[int], numbers: dict[int, int]) -> NDArray[np.int32]:
    """New indices for old; -1, an input left out, stays."""
    return np.array([numbers.get(int(index), -1) for index in indices], dtype=np.int32)
