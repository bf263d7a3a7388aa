# SPDX-License-Identifier: Apache-2.0
"""The old runtime, in its own environment with NumPy 1 and OpenCV 4, gives the embeddings the new one gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from facelatch import parameters
from facelatch.demo.portrait import read
from facelatch.demo.session import frames
from facelatch.face.encoder import unit
from facelatch.l2fe.extractor import Extractor

ROOT = Path(__file__).parents[2]
OLD = ROOT / ".venv-tflite-runtime" / "bin" / "python"


def embed(python: Path, pictures: Path, output: Path) -> npt.NDArray[np.float32]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "agent")}
    command = [str(python), "-m", "tests.embed_pictures", str(pictures), str(output)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    embeddings: npt.NDArray[np.float32] = np.load(output)
    return embeddings


def test_both_runtimes_agree_on_every_picture(tmp_path: Path) -> None:
    if not OLD.exists():
        pytest.skip("tflite-runtime's environment is not here: make .venv-tflite-runtime/.installed, on Python 3.11")
    which = subprocess.run(  # noqa: S603
        [str(OLD), "-c", "import tflite_runtime, numpy, cv2; print(numpy.__version__, cv2.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert which.stdout.startswith("1."), "this is not the old environment"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, frame in enumerate(frames(read(), 12, seed=21)):
        assert cv2.imwrite(str(pictures / f"{number:02}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    new = embed(Path(sys.executable), pictures, tmp_path / "new.npy")
    old = embed(OLD, pictures, tmp_path / "old.npy")
    assert len(new) == 12
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    old /= np.linalg.norm(old, axis=1, keepdims=True)
    agreement = (new * old).sum(axis=1)
    print(f"cosine between runtimes: mean {agreement.mean():.5f}, worst {agreement.min():.5f}")
    assert agreement.min() >= 0.99
    # Enrolled under one runtime, unlocked under the other: the same point, and with it the same key.
    extractor = Extractor(parameters.read("standard"))
    p = extractor.parameters
    point = p.lattice.draw(np.random.default_rng(1).bytes)
    sketch = extractor.sketch(unit(new[:8].sum(axis=0)), bytes(32), point)
    for probe in old[8:]:
        assert np.array_equal(extractor.candidates(probe, [sketch])[0].point, point)
    # The control: frames differ from each other by more than the runtimes do.
    assert (new[:-1] * new[1:]).sum(axis=1).min() < agreement.min()
