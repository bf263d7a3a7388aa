# SPDX-License-Identifier: Apache-2.0
"""One way to know a face, alone in its process: ``python -m tools.bench.contender NAME FOLDER``, asked over its input.

It learns the face from all frames in the folder but the last, says what that took, and then for every line "look" or
"encode" how long the last frame took to be judged, or its face to be encoded. It ends if the face is not known again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# All else is loaded by those who need it: what loading costs is a figure.
from tools.bench import field
from tools.bench.memory import resident

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facelatch.face.encoder import Fusion
    from facelatch.face.path import FacePath

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

Step = Callable[[str], None]


@dataclass(frozen=True)
class Contender:
    """A face that was learned.

    Attributes:
        verdict: whether an (H, W, 3) uint8 RGB frame shows the face again.
        encode: encodes the face of the last frame, found before.
        stored: bytes kept of the face, or None where that is measured elsewhere.
    """

    verdict: Callable[[Image], bool]
    encode: Callable[[], object]
    stored: int | None = None


def main() -> None:
    """Learn the face, and answer."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    began = time.perf_counter()
    memory, took = {"bare": resident()}, {}

    def step(done: str) -> None:
        nonlocal began
        took[done] = (time.perf_counter() - began) * 1e3
        memory[done] = resident()
        began = time.perf_counter()

    contender = _MAKERS[name](folder, step)
    _answer({"took_ms": took, "rss_mb": memory, "stored_bytes": contender.stored})
    *_, frame = _frames(folder)
    calls: dict[str, Callable[[], object]] = {"look": lambda: contender.verdict(frame), "encode": contender.encode}
    for line in sys.stdin:
        call = calls[line.strip()]
        # Another was busy just before; like a camera's second frame, the one that counts is warm.
        if call() is False:
            sys.exit(f"{name} does not know the face again")
        start, busy = time.perf_counter(), time.process_time()
        call()
        wall, processor = (time.perf_counter() - start) * 1e3, (time.process_time() - busy) * 1e3
        _answer({"wall": wall, "processor": processor, "rss_mb": resident(), "peak_mb": resident(field="VmHWM")})


def facelatch(folder: Path, step: Step) -> Contender:
    """What ships, without Argon2id: whoever finds the lattice point is known."""
    import numpy as np

    from facelatch.face.encoder import unit
    from facelatch.l2fe.extractor import Extractor
    from facelatch.shipped import encoders, parameter_set

    step("import")
    encoder = encoders()
    path = _path(encoder)
    step("models")
    extractor = Extractor(parameter_set("standard"))
    step("parameters")
    point = extractor.parameters.lattice.draw(os.urandom)
    sketches = [extractor.sketch(_learned(path, folder), os.urandom(32), point)]
    crop = _crop(folder)

    def verdict(image: Image) -> bool:
        found = extractor.candidates(unit(_embedding(path, image)), sketches)
        return any(np.array_equal(candidate.point, point) for candidate in found)

    return Contender(verdict, lambda: encoder(crop))


def onnxruntime(folder: Path, step: Step) -> Contender:
    """The same, but for the encoders: their float form, run by onnxruntime. A plain embedding is kept and compared."""
    import onnxruntime as runtime

    from facelatch.face.encoder import Encoder, Fusion, Kind, unit
    from facelatch.shipped import ENCODERS

    step("import")

    class Onnx(Encoder):
        """An encoder in the other runtime."""

        def __init__(self, model: bytes, kind: Kind) -> None:
            self._session = _session(runtime, model)
            self._kind = kind

        def output(self, crop: Image) -> Floats:
            """Return what the network gives for a (112, 112, 3) uint8 RGB crop."""
            tensor = crop.transpose(2, 0, 1)[None].astype("float32")
            tensor -= self._kind.offset
            tensor /= 128
            found: Floats = self._session.run(None, {self._session.get_inputs()[0].name: tensor})[0][0]
            return found

    files = {name: (folder / name).with_suffix(".onnx").read_bytes() for name in ENCODERS}
    encoder = Fusion(*(Onnx(files[name], kind) for name, kind in ENCODERS.items()))
    path = _path(encoder)
    step("models")
    stored = _learned(path, folder)
    crop = _crop(folder)
    # Looks at one person are near 0.9 here; what the threshold is makes no difference to the time.
    return Contender(
        lambda image: float(stored @ unit(_embedding(path, image))) > 0.5, lambda: encoder(crop), stored.nbytes
    )


def dlib(folder: Path, step: Step, upsample: int = 0) -> Contender:
    """Histograms of gradients, five points and the ResNet, compared as face_recognition does.

    Args:
        folder: what it is given.
        step: told of each.
        upsample: how often the picture is doubled before the search; by default face_recognition and Howdy do it once.
    """
    import dlib as library
    import numpy as np

    step("import")
    models = field.dlib_models()
    find = library.get_frontal_face_detector()
    points = library.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
    network = library.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))
    step("models")

    def describe(image: Image) -> NDArray[np.float64]:
        box = max(find(image, upsample), key=lambda found: found.area())
        return np.array(network.compute_face_descriptor(image, points(image, box)))

    *learned, frame = _frames(folder)
    stored: NDArray[np.float64] = np.mean([describe(image) for image in learned], axis=0)
    shape = points(frame, find(frame, upsample)[0])
    # The threshold that the network was published with.
    return Contender(
        lambda image: bool(np.linalg.norm(stored - describe(image)) < 0.6),
        lambda: network.compute_face_descriptor(frame, shape),
        stored.nbytes,
    )


def opencv(folder: Path, step: Step) -> Contender:
    """YuNet and SFace by OpenCV itself, compared by the cosine and threshold of OpenCV's own example."""
    import cv2
    import numpy as np

    step("import")
    models = field.opencv_models()
    find = cv2.FaceDetectorYN.create(str(models / field.YUNET), "", (field.SHAPE[1], field.SHAPE[0]))
    network = cv2.FaceRecognizerSF.create(str(models / field.SFACE), "")
    step("models")

    def align(image: Image) -> Any:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        return network.alignCrop(bgr, find.detect(bgr)[1][0])

    def describe(image: Image) -> Floats:
        # It hands out its own memory, which the next call overwrites.
        return np.array(network.feature(align(image)), dtype=np.float32)

    *learned, frame = _frames(folder)
    stored: Floats = np.mean([describe(image) for image in learned], axis=0)
    crop = align(frame)
    return Contender(
        lambda image: network.match(stored, describe(image), cv2.FaceRecognizerSF_FR_COSINE) > 0.363,
        lambda: network.feature(crop),
        stored.nbytes,
    )


_MAKERS: dict[str, Callable[[Path, Step], Contender]] = {
    field.OWN: facelatch,
    field.DLIB: dlib,
    field.DLIB_TWICE: lambda folder, step: dlib(folder, step, upsample=1),
    field.ONNXRUNTIME: onnxruntime,
    field.OPENCV: opencv,
}


def _session(runtime: Any, model: bytes) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _path(encoder: Fusion) -> FacePath:
    from facelatch.face.detector import Detector
    from facelatch.face.mesh import Mesh
    from facelatch.face.path import FacePath
    from facelatch.models import DETECTOR, MESH, read_model

    return FacePath(Detector(read_model(DETECTOR)), Mesh(read_model(MESH)), encoder)


def _embedding(path: FacePath, image: Image) -> Floats:
    look = path.look(image)
    assert look.embedding is not None, look.hint
    return look.embedding


def _learned(path: FacePath, folder: Path) -> Floats:
    import numpy as np

    from facelatch.face.encoder import unit

    *learned, _ = _frames(folder)
    return unit(np.sum([_embedding(path, image) for image in learned], axis=0))


def _frames(folder: Path) -> list[Image]:
    import numpy as np

    return list(np.fromfile(folder / field.FRAMES, dtype=np.uint8).reshape(-1, *field.SHAPE))


def _crop(folder: Path) -> Image:
    import numpy as np

    return np.fromfile(folder / field.CROP, dtype=np.uint8).reshape(112, 112, 3)


def _answer(figures: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
