# SPDX-License-Identifier: Apache-2.0
"""What each Debian release has, and what the package must bring along for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ARCHITECTURES: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's name of each machine, and the kernel's."""


@dataclass(frozen=True)
class Suite:
    """A Debian release.

    Attributes:
        python: its Python.
        glibc: the minor version of its glibc 2, which wheels may need at most.
        depends: what the distribution gives.
        vendored: by lock file, what it lacks, has too old, or has only with much around it.
    """

    python: tuple[int, int]
    glibc: int
    depends: tuple[str, ...]
    vendored: Mapping[str, tuple[str, ...]]


_EVERYWHERE = ("python3-click (>= 8.1)", "python3-nacl (>= 1.5)", "python3-typing-extensions", "systemd (>= 252)")
# Debian's OpenCV is older than what we ask for, and brings 348 packages, a desktop's libraries among them.
_BROUGHT = ("ai-edge-litert", "asyncvarlink")

SUITES: Mapping[str, Suite] = {
    # Its NumPy is 1.24, and a second one beside it would break picamera2, whose parts are compiled against that one:
    # so OpenCV is the one that still works with NumPy 1.
    "bookworm": Suite(
        python=(3, 11),
        glibc=36,
        depends=("python3-numpy (>= 1:1.24)", *_EVERYWHERE),
        vendored={"runtime.txt": (*_BROUGHT, "msgspec"), "tflite-runtime.txt": ("opencv-python-headless",)},
    ),
    "trixie": Suite(
        python=(3, 13),
        glibc=41,
        depends=("python3-numpy (>= 1:2)", "python3-msgspec (>= 0.19)", *_EVERYWHERE),
        vendored={"runtime.txt": (*_BROUGHT, "opencv-python-headless")},
    ),
}
