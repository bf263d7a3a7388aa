# SPDX-License-Identifier: Apache-2.0
"""The one place that picks a TFLite runtime: ai-edge-litert, else its predecessor tflite-runtime."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from facelatch.errors import ModelError

# LiteRT is the renamed successor; the old package is kept for Python 3.11 devices that have it from before.
_RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


class Network:
    """A TFLite model with one input, run on one thread.

    Args:
        model: the bytes of a .tflite file, already checked against its pinned hash.
        name: what to call the model in an error.

    Raises:
        ModelError: no runtime is installed, or the runtime refuses the model.
    """

    def __init__(self, model: bytes, name: str) -> None:
        self._interpreter = _interpreter(model, name)
        self._interpreter.allocate_tensors()
        (entry,) = self._interpreter.get_input_details()
        self._input = int(entry["index"])
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in entry["shape"])
        self._outputs = [int(o["index"]) for o in self._interpreter.get_output_details()]

    def __call__(self, tensor: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Run the network on a float32 tensor of ``input_shape``; copies of all outputs, in the model's order."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def _interpreter(model: bytes, name: str) -> Any:
    for module in _RUNTIMES:
        try:
            runtime = importlib.import_module(module)
        except ImportError:
            continue
        try:
            return runtime.Interpreter(model_content=model, num_threads=1)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"model {name} cannot be run by {module.split('.')[0]}", "reinstall facelatch") from error
    raise ModelError("no TFLite runtime is installed", "install ai-edge-litert")
