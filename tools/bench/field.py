# SPDX-License-Identifier: Apache-2.0
"""Who is compared, what each needs, and where that is found. It loads nothing, as contenders count what they load."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

OWN = "facelatch"
DLIB = "dlib"
DLIB_TWICE = "dlib-upsampled"
ONNXRUNTIME = "onnxruntime"
OPENCV = "opencv"
RIVALS = (DLIB, DLIB_TWICE, ONNXRUNTIME, OPENCV)

# What a contender is given in its folder.
FRAMES, CROP = "frames", "crop"
SHAPE = (480, 640, 3)

_DLIB_MODELS = "face_recognition_models"
_PACKAGES = {DLIB: ("dlib", _DLIB_MODELS), DLIB_TWICE: ("dlib", _DLIB_MODELS), ONNXRUNTIME: ("onnx", "onnxruntime")}
# OpenCV's models are in no package index, only in its own collection (OpenCV Zoo): the 2023 and 2021 ones.
OPENCV_FOLDER = "FACELATCH_BENCH_OPENCV"
YUNET, SFACE = "face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx"
_OPENCV_SHA256 = {
    YUNET: "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    SFACE: "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
}


def missing(name: str) -> str | None:
    """Return what a rival lacks here and how to get it, or None if it can be measured."""
    lacking = [package for package in _PACKAGES.get(name, ()) if importlib.util.find_spec(package) is None]
    if lacking:
        return f"{' and '.join(lacking)} not installed: run `make bench-setup`"
    if name == OPENCV:
        try:
            opencv_models()
        except OSError as error:
            reason = f"{YUNET} and {SFACE} are in no package index ({error})"
            return f"{reason}: put those of OpenCV Zoo in a folder and name it by {OPENCV_FOLDER}"
    return None


def dlib_models() -> Path:
    """Return where dlib's models are; their package itself is not loaded, as it asks for more than Python has today.

    Raises:
        FileNotFoundError: it is not installed.
    """
    spec = importlib.util.find_spec(_DLIB_MODELS)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        return Path(folder) / "models"
    raise FileNotFoundError(_DLIB_MODELS)


def opencv_models() -> Path:
    """Return where OpenCV's models are.

    Raises:
        OSError: one is not there, or is another file.
    """
    folder = Path(os.environ.get(OPENCV_FOLDER, "."))
    for name, digest in _OPENCV_SHA256.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise FileNotFoundError(f"{name} is another file than was pinned")
    return folder
