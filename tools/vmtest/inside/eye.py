# SPDX-License-Identifier: Apache-2.0
"""What the package's picamera2 back end makes of the real picamera2. Runs in the guest; prints one JSON object.

Arguments: the folder of the pictures as they are meant to be seen, the seconds to wait for one, and what to look into.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, "/usr/lib/facelatch")

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.camera.picamera2_camera import Picamera2Camera
from facelatch.camera.protocol import Camera, opened
from facelatch.errors import CameraError

_HEAP = Path("/dev/dma_heap/linux,cma")
_MEANT = Path(sys.argv[1])
# Every fourth pixel of every fourth row: this is emulated, and takes its time.
_SPARSE = (slice(None, None, 4), slice(None, None, 4))
_PATIENCE = float(sys.argv[2])


def _camera(number: int = 0, fps: float | None = None, width: int = 640) -> Picamera2Camera:
    return Picamera2Camera(number, width=width, fps=fps, patience=_PATIENCE)


def _fault(call: Callable[[], object]) -> str:
    try:
        call()
    except CameraError as error:
        return f"{error.fault.name}: {error.problem}"
    return "no fault"


def _sees(camera: Camera) -> dict[str, object]:
    """How a frame looks, and how far its colours are from those of the nearest picture, of 255, on average."""
    frames = [camera.read() for _ in range(4)]
    image = frames[-1].image
    seen = image[_SPARSE].astype(int)
    return {
        "shape": list(image.shape),
        "type": image.dtype.name,
        "sequence": [frame.sequence for frame in frames],
        "off": min(float(np.abs(seen - picture).mean()) for picture in _meant()),
        "off, blue for red": min(float(np.abs(seen[..., ::-1] - picture).mean()) for picture in _meant()),
    }


@lru_cache
def _meant() -> list[npt.NDArray[np.int_]]:
    return [_read(path) for path in _MEANT.glob("*.png")]


def _read(path: Path) -> npt.NDArray[np.int_]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture[_SPARSE][..., ::-1].astype(int)


@contextmanager
def _without_memory() -> Iterator[None]:
    away = _HEAP.with_name("away")
    _HEAP.rename(away)
    try:
        yield
    finally:
        away.rename(_HEAP)


def _frames() -> dict[str, object]:
    camera = _camera()
    camera.check()
    found: dict[str, object] = {}
    with opened(camera):
        found["first"] = _sees(camera)
        found["second user"] = _fault(_camera().open)
        found["checked meanwhile"] = _fault(_camera().check)
        found["first, still"] = _sees(camera)
    for again in range(3):
        with opened(camera):
            found[f"opened again, {again}"] = _sees(camera)
    with opened(_camera(fps=10)) as slower:
        found["rate asked for"] = _sees(slower)
    with opened(_camera(width=320)) as smaller:
        found["size that it lacks"] = _sees(smaller)
    found["another number"] = _fault(_camera(1).open)
    with _without_memory():
        found["without memory for pictures"] = _fault(camera.open)
    with opened(camera):
        found["with memory again"] = _sees(camera)
    return found


def _forbidden() -> dict[str, object]:
    return {"check": _fault(_camera().check), "open": _fault(_camera().open)}


if __name__ == "__main__":
    print(json.dumps({"frames": _frames, "forbidden": _forbidden}[sys.argv[3]]()))
