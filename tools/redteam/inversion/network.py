# SPDX-License-Identifier: Apache-2.0
"""The shipped encoders once more, in JAX: an attacker wants their derivatives, which TFLite does not give.

Weights are stored as int8 and used as the numbers they stand for. The rounding of values between the layers, which
has no useful derivative, is left out; what comes out agrees to a cosine above 0.999.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from facelatch.errors import ModelError
from facelatch.face.encoder import Kind
from facelatch.models import read_model
from facelatch.shipped import ENCODERS
from tools.build_models import graph

Array: TypeAlias = Any  # jax.Array, whose type information is not there without the build extra
Weights: TypeAlias = list[npt.NDArray[np.float32]]
# How the images, the kernels and the results of a convolution lie in memory.
_LAYOUT = ("NHWC", "HWIO", "NHWC")


@dataclass(frozen=True)
class _Step:
    name: str
    inputs: tuple[int, ...]
    output: int
    stride: int
    same: bool


@dataclass(frozen=True)
class Network:
    """An encoder as steps on numbered values; its weights are kept apart, so that they are not compiled in."""

    steps: tuple[_Step, ...]
    source: int
    result: int
    kind: Kind

    def __call__(self, weights: Mapping[int, Array], crops: Array) -> Array:
        """Return what ``Encoder`` does for (b, 112, 112, 3) crops of 0 to 255: (b, d)."""
        values = {**weights, self.source: (crops - self.kind.offset) / 128}
        for step in self.steps:
            values[step.output] = _OPERATIONS[step.name](step, *(values[index] for index in step.inputs))
        output = values[self.result]
        return output * jnp.linalg.norm(output, axis=1, keepdims=True) / self.kind.length**2


def shipped() -> tuple[tuple[Network, ...], list[dict[int, npt.NDArray[np.float32]]]]:
    """Read the encoders that ship, and their weights.

    Raises:
        ModelError: one is missing, is not the pinned one, or has an operator that is not known here.
    """
    networks, weights = zip(*(_read(read_model(name), kind) for name, kind in ENCODERS.items()), strict=True)
    return networks, list(weights)


def embed(networks: tuple[Network, ...], weights: list[Mapping[int, Array]], crops: Array) -> Array:
    """Return (b, d) embeddings of unit length of (b, 112, 112, 3) crops, as ``Fusion`` joins them."""
    joined = jnp.concatenate([network(w, crops) for network, w in zip(networks, weights, strict=True)], axis=1)
    return joined / jnp.linalg.norm(joined, axis=1, keepdims=True)


def _read(data: bytes, kind: Kind) -> tuple[Network, dict[int, npt.NDArray[np.float32]]]:
    model = graph.load(data)
    only = model.subgraphs[0]
    steps, weights = [], {}
    for operator in only.operators:
        name = graph.op_name(model, operator)
        if name not in _OPERATIONS:
            raise ModelError(f"the encoder has an operator {name}", "add it to tools/redteam/inversion/network.py")
        inputs = [int(index) for index in operator.inputs]
        if name in ("PAD", "RESHAPE"):  # what they are told besides is the same everywhere
            inputs = inputs[:1]
        for index in inputs:
            if graph.is_constant(model, index):
                weights[index] = _value(model, index, name)
        options = operator.builtinOptions
        same = getattr(options, "padding", None) == schema.Padding.SAME
        steps.append(_Step(name, tuple(inputs), int(operator.outputs[0]), getattr(options, "strideH", 1), same))
    return Network(tuple(steps), int(only.inputs[0]), int(only.outputs[0]), kind), weights


def _value(model: graph.Model, index: int, name: str) -> npt.NDArray[np.float32]:
    value = graph.constant(model, index)
    if value.dtype == np.int8:
        stored = model.subgraphs[0].tensors[index].quantization
        shape = [1] * value.ndim
        shape[stored.quantizedDimension] = -1
        value = value.astype(np.float32) * np.asarray(stored.scale, dtype=np.float32).reshape(shape)
    if name == "CONV_2D" and value.ndim == 4:  # out, height, width, in, there; in comes before out here
        value = value.transpose(1, 2, 3, 0)
    return np.asarray(value, dtype=np.float32)


def _pad(_step: _Step, x: Array) -> Array:
    """Pad by one all round: the only way these networks pad."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def _convolve(step: _Step, x: Array, kernel: Array, bias: Array) -> Array:
    if kernel.shape[:2] == (1, 1):
        return x @ kernel[0, 0] + bias
    strides = (step.stride, step.stride)
    padding = "SAME" if step.same else "VALID"
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_LAYOUT) + bias


def _convolve_each(step: _Step, x: Array, kernel: Array, bias: Array) -> Array:
    side, stride = kernel.shape[1], step.stride
    if side == x.shape[1]:
        return jnp.einsum("bhwc,hwc->bc", x, kernel[0])[:, None, None] + bias
    if step.same:
        size = -(-x.shape[1] // stride)
        more = (size - 1) * stride + side - x.shape[1]
        x = jnp.pad(x, ((0, 0), (more // 2, more - more // 2), (more // 2, more - more // 2), (0, 0)))
    return _each(stride, x, kernel[0]) + bias


def _shifted(stride: int, x: Array, kernel: Array) -> Array:
    """Convolve each channel by adding shifted copies, whose derivative is cheap too."""
    side = kernel.shape[0]
    span = (x.shape[1] - side) // stride * stride + 1
    cut = [(i, j) for i in range(side) for j in range(side)]
    return sum(x[:, i : i + span : stride, j : j + span : stride] * kernel[i, j] for i, j in cut)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _each(stride: int, x: Array, kernel: Array) -> Array:
    return _shifted(stride, x, kernel)


def _each_forward(stride: int, x: Array, kernel: Array) -> tuple[Array, tuple[int, Array]]:
    return _shifted(stride, x, kernel), (x.shape[1], kernel)


def _each_backward(stride: int, kept: tuple[int, Array], slope: Array) -> tuple[Array, None]:
    """Convolve back, by the kernel turned round. The kernel's own derivative is not needed."""
    size, kernel = kept
    side = kernel.shape[0]
    rest = size - ((slope.shape[1] - 1) * stride + 1)
    border = (side - 1, rest, stride - 1)
    # Without the barrier XLA computes the padding anew for each shifted copy.
    wide = jax.lax.optimization_barrier(jax.lax.pad(slope, jnp.float32(0), ((0, 0, 0), border, border, (0, 0, 0))))
    return _shifted(1, wide, kernel[::-1, ::-1]), None


_each.defvjp(_each_forward, _each_backward)


def _bend(_step: _Step, x: Array, slope: Array) -> Array:
    return jnp.where(x >= 0, x, x * slope)


def _add(_step: _Step, x: Array, y: Array) -> Array:
    return x + y


def _flatten(_step: _Step, x: Array) -> Array:
    return x.reshape(len(x), -1)


_OPERATIONS: dict[str, Callable[..., Array]] = {
    "PAD": _pad,
    "CONV_2D": _convolve,
    "DEPTHWISE_CONV_2D": _convolve_each,
    "PRELU": _bend,
    "ADD": _add,
    "RESHAPE": _flatten,
}
