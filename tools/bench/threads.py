# SPDX-License-Identifier: Apache-2.0
"""The stages on so many threads and cores: ``python -m tools.bench.threads COUNT``, which prints JSON.

Libraries make their threads as they are loaded, so each number of them needs a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

_REPEATS = 25
_USERS = 100


def measure(count: int) -> dict[str, float]:
    """Return median milliseconds by the clock of each network and of a decode, on so many threads and cores.

    Raises:
        subprocess.CalledProcessError: it does not run.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(count), "OPENBLAS_NUM_THREADS": str(count)}
    command = [sys.executable, "-m", "tools.bench.threads", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)  # noqa: S603 - our own program
    found: dict[str, float] = json.loads(done.stdout)
    return found


def cores() -> int:
    """Return how many cores this machine would let us have."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        return len(os.sched_getaffinity(0))
    finally:
        os.sched_setaffinity(0, before)


def main() -> None:
    """Measure in this process."""
    count = int(sys.argv[1])
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-count:])
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from facelatch import parameters
    from facelatch.models import DETECTOR, MESH, read_model
    from facelatch.shipped import ENCODERS
    from tools.bench import clock, stages

    calls: stages.Calls = {}
    for name in (DETECTOR, MESH, *ENCODERS):
        # The agent's own networks have one thread, always; here that is what is tried.
        network: Any = Interpreter(model_content=read_model(name), num_threads=count)
        network.allocate_tensors()
        entry = network.get_input_details()[0]
        image = np.random.default_rng(1).uniform(-1, 1, entry["shape"]).astype(np.float32)
        network.set_tensor(entry["index"], image)
        calls[name.removesuffix(".tflite")] = network.invoke
    calls["decode"] = stages.decode(parameters.read("standard"), _USERS)
    print(json.dumps({name: taken.median for name, taken in clock.turns(calls, _REPEATS).items()}))


if __name__ == "__main__":
    main()
