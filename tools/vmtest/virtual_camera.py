# SPDX-License-Identifier: Apache-2.0
"""What a machine needs for libcamera's virtual camera, which shows pictures, and for picamera2 to use it."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.camera.protocol import Image
from tools.booted import Booted
from tools.build_package.suites import Suite
from tools.build_package.tree import ROOT
from tools.build_package.wheels import unpack
from tools.vmtest.image import PACKAGES

CAMERA_PACKAGES = (
    *PACKAGES,
    "python3-libcamera",
    # What picamera2 asks for, as far as Debian has it.
    *("python3-av", "python3-jsonschema", "python3-libarchive-c", "python3-piexif", "python3-pil", "python3-prctl"),
    "python3-tqdm",
)
"""What a Debian has that is to have such a camera."""

_PICAMERA2 = Suite(
    python=(3, 13), glibc=41, depends=(), vendored={"picamera2.txt": ("picamera2", "simplejpeg", "videodev2")}
)
_MODULES = "/usr/local/lib/python3.13/dist-packages"
_LIBCAMERA = "/usr/lib/python3/dist-packages/libcamera/__init__.py"
_INSIDE = Path(__file__).parent / "inside"
_SHOWN = "/var/lib/virtual-camera"
_CONFIG = f"""\
"Virtual0":
  supported_formats:
  - width: {{width}}
    height: {{height}}
    frame_rates: [10, 30]
  frames:
    path: "{_SHOWN}/"
  model: "Virtual"
"""
# picamera2 asks only for memory that a camera's hardware can reach; nothing here needs that.
_RULE = 'SUBSYSTEM=="dma_heap", KERNEL=="system", OPTIONS+="string_escape=none", SYMLINK+="dma_heap/linux,cma"\n'
_QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


def stage(folder: Path, scenes: dict[str, list[Image]]) -> None:
    """Put into a folder, which is to become a disk of the machine, what ``install`` and ``show`` take from there.

    Beside the pictures as the camera is to read them, which differ, it holds them as they are meant to be seen.

    Args:
        folder: for all that.
        scenes: the pictures of each, all of one size.

    Raises:
        PackageError: a package is not locked or cannot be had.
    """
    modules = folder / "python"
    modules.mkdir(parents=True)
    unpack(_PICAMERA2, "x86_64", ROOT / "requirements", modules)
    shutil.copy(_INSIDE / "virtual_pipeline.py", modules)
    shutil.copy(_INSIDE / "eye.py", folder)
    for name, pictures in scenes.items():
        for kind in ("shown", "meant"):
            (folder / kind / name).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            shown = in_video_range(picture)[..., ::-1]
            cv2.imwrite(str(folder / "shown" / name / f"{number}.jpg"), shown, _QUALITY)
            cv2.imwrite(str(folder / "meant" / name / f"{number}.png"), picture[..., ::-1])


def install(machine: Booted, disk: str, size: tuple[int, int]) -> None:
    """Install the camera and picamera2.

    Args:
        machine: where to.
        disk: where it sees the folder of ``stage``.
        size: width and height of the pictures.
    """
    machine.must("cp", "--recursive", f"{disk}/python/.", _MODULES)
    machine.must("sed", "--in-place", "$aimport virtual_pipeline", _LIBCAMERA)
    width, height = size
    machine.write("/usr/share/libcamera/pipeline/virtual/virtual.yaml", _CONFIG.format(width=width, height=height))
    machine.write("/etc/udev/rules.d/90-virtual-camera.rules", _RULE)
    machine.must("udevadm", "control", "--reload")
    machine.must("udevadm", "trigger", "--subsystem-match=dma_heap")
    machine.must("udevadm", "settle")


def show(machine: Booted, disk: str, scene: str) -> None:
    """Have the camera show a scene; libcamera reads the pictures when it is started."""
    machine.must("rm", "--recursive", "--force", _SHOWN)
    machine.must("cp", "--recursive", f"{disk}/shown/{scene}", _SHOWN)


def in_video_range(picture: Image) -> Image:
    """Make a picture whose JPEG holds the numbers that a camera asked for video would give for the one given.

    libcamera hands out what is in the JPEG, which uses the whole range of a byte, as if it were video, which does not.
    """
    whole: npt.NDArray[np.float32] = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    narrow = (whole - [0, 128, 128]) * [219 / 255, 224 / 255, 224 / 255] + [16, 128, 128]
    return np.asarray(cv2.cvtColor(np.rint(narrow).astype(np.uint8), cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
