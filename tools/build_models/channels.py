# SPDX-License-Identifier: Apache-2.0
"""Drops channels that training has driven to nothing, so that nobody computes them.

Where a network widens, filters each channel by itself and narrows again, as MobileNetV2 (Sandler et al., arXiv
1801.04381) does, the channels in between never meet: one that is always zero can go, with the weights that make it and
those that read it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelatch.errors import ModelError
from tools.build_models import graph

_NOTHING = 1e-4  # in the second encoder a channel's weights stay below 1e-5 or reach 1e-3
# The stored inputs of the operators that make such channels, and the dimension of each that counts the channels.
_MADE = {"CONV_2D": {1: 0, 2: 0}, "DEPTHWISE_CONV_2D": {1: 3, 2: 0}, "PRELU": {1: 2}, "PAD": {}}
_READ = {1: 3}  # the same of the convolution that reads them


def drop_dead(model: graph.Model) -> int:
    """Drops the dead channels between every two convolutions that nothing but channel by channel work is between.

    A channel is dead if the weights and biases of all convolutions that make it, depthwise ones too, are nothing.

    Returns:
        How many channels went.

    Raises:
        ModelError: all channels in some place are dead.
    """
    dropped = 0
    for operator in model.subgraphs[0].operators:
        if graph.op_name(model, operator) == "CONV_2D":
            *makers, reader = _path(model, operator)
            if makers and graph.op_name(model, reader) == "CONV_2D":
                alive = _alive(model, makers)
                _narrow(model, makers, reader, np.flatnonzero(alive))
                dropped += int(np.count_nonzero(~alive))
    return dropped


def _path(model: graph.Model, first: graph.Operator) -> list[graph.Operator]:
    """From a convolution to the next operator that mixes channels, or to a value read not just once."""
    read_by, path = graph.consumers(model), [first]
    ends = set(map(int, model.subgraphs[0].outputs))
    while len(readers := read_by.get(int(path[-1].outputs[0]), [])) == 1 and int(path[-1].outputs[0]) not in ends:
        path += readers
        if graph.op_name(model, path[-1]) not in _MADE or graph.op_name(model, path[-1]) == "CONV_2D":
            break
    return path


def _alive(model: graph.Model, makers: list[graph.Operator]) -> NDArray[np.bool_]:
    """Which channels, bool [channel], some convolution of ``makers`` makes something of."""
    largest = []
    for operator in makers:
        if graph.op_name(model, operator) in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            for place, axis in _MADE[graph.op_name(model, operator)].items():
                sizes = np.abs(graph.constant(model, int(operator.inputs[place])))
                largest.append(np.moveaxis(sizes, axis, 0).reshape(sizes.shape[axis], -1).max(axis=1))
    alive: NDArray[np.bool_] = np.max(largest, axis=0) > _NOTHING
    if not alive.any():
        raise ModelError("a layer of the network carries nothing", "check the version of its source")
    return alive


def _narrow(model: graph.Model, makers: list[graph.Operator], reader: graph.Operator, kept: NDArray[np.int64]) -> None:
    """Leaves only the channels ``kept``, by index, between ``makers`` and ``reader``."""
    for operator in makers:
        _take(model, operator, _MADE[graph.op_name(model, operator)], kept)
        value = model.subgraphs[0].tensors[operator.outputs[0]]
        value.shape = np.array([*value.shape[:3], len(kept)], dtype=np.int32)
    _take(model, reader, _READ, kept)


def _take(model: graph.Model, operator: graph.Operator, axes: dict[int, int], kept: NDArray[np.int64]) -> None:
    """Replaces stored inputs of an operator, given with a dimension each, by their parts ``kept`` along it."""
    operator.inputs = operator.inputs.copy()
    for place, axis in axes.items():
        part = graph.constant(model, int(operator.inputs[place])).take(kept, axis=axis)
        name = model.subgraphs[0].tensors[operator.inputs[place]].name
        operator.inputs[place] = graph.add_constant(model, name, part)
