# SPDX-License-Identifier: Apache-2.0
"""What is in a wheel or a Debian package, as it was built: no list that could be out of step with it."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import Parser
from io import BytesIO
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from facelatch.errors import FacelatchError

_LIMIT_S = 300


class ContentsError(FacelatchError):
    """A file is neither a wheel nor a Debian package, or cannot be read."""


@dataclass(frozen=True)
class Contents:
    """What was found.

    Attributes:
        name, version: of the whole.
        packages: Python packages inside, by canonical name, with their versions; without facelatch itself.
        libraries: shared libraries that these bring along, by file name.
        files: facelatch's own models and parameter sets, by file name.
        needs: what it asks of others: Debian packages of a Debian package, Python packages of a wheel.
    """

    name: str
    version: str
    packages: dict[str, str]
    libraries: dict[str, bytes]
    files: dict[str, bytes]
    needs: tuple[str, ...]


def of(path: Path) -> Contents:
    """Look into a wheel or a Debian package.

    Raises:
        ContentsError: it is neither.
    """
    if path.suffix == ".whl":
        try:
            with zipfile.ZipFile(path) as archive:
                files = {PurePosixPath(name): archive.read(name) for name in archive.namelist()}
        except (OSError, zipfile.BadZipFile) as error:
            raise ContentsError(f"{path} is not a wheel ({error})", "build it again") from error
        metadata = [
            data for name, data in files.items() if name.parts[0].endswith(".dist-info") and name.name == "METADATA"
        ]
        if len(metadata) != 1:
            raise ContentsError(f"{path} says {len(metadata)} times what it is", "build it again")
        fields = Parser().parsestr(metadata[0].decode())
        asked = [Requirement(line) for line in fields.get_all("Requires-Dist", [])]
        plain = tuple(canonicalize_name(need.name) for need in asked if "extra" not in str(need.marker))
        return _found("facelatch", fields["Version"], files.items(), plain)
    if path.suffix == ".deb":
        control = Parser().parsestr(_dpkg("--field", path).decode())
        needs = tuple(part.strip() for part in control["Depends"].split(","))
        return _found(control["Package"], control["Version"], _tar(_dpkg("--fsys-tarfile", path)), needs)
    raise ContentsError(f"{path} is neither a wheel nor a Debian package", "name a .whl or a .deb")


def _found(name: str, version: str, files: Iterable[tuple[PurePosixPath, bytes]], needs: tuple[str, ...]) -> Contents:
    found = Contents(name, version, {}, {}, {}, needs)
    for path, data in files:
        folder = path.parent.name
        if path.name == "METADATA" and folder.endswith(".dist-info"):
            fields = Parser().parsestr(data.decode())
            found.packages[canonicalize_name(fields["Name"])] = fields["Version"]
        elif folder.endswith(".libs"):
            found.libraries[path.name] = data
        elif path.suffix == ".tflite" or (folder == "parameters" and path.suffix == ".json"):
            found.files[path.name] = data
    found.packages.pop("facelatch", None)
    return found


def _tar(data: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                yield PurePosixPath(member.name), file.read()


def _dpkg(option: str, path: Path) -> bytes:
    program = shutil.which("dpkg-deb")
    if program is None:
        raise ContentsError("dpkg-deb is not installed", "run this on a Debian system")
    done = subprocess.run([program, option, str(path)], capture_output=True, check=False, timeout=_LIMIT_S)  # noqa: S603 - a file that the caller named
    if done.returncode != 0:
        raise ContentsError(f"{path} is not a Debian package ({done.stderr.decode().strip()[-200:]})", "build it again")
    return done.stdout
