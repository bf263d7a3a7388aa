# SPDX-License-Identifier: Apache-2.0
"""Brings wheels along: those of the lock files, for another machine and another Python, each checked by its hash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

from facelatch.errors import FacelatchError
from tools.build_package.suites import Suite

_TIMEOUT_S = 900
_OLDEST_GLIBC = 17


class PackageError(FacelatchError):
    """The package cannot be built."""


def locked(text: str, names: tuple[str, ...], python: tuple[int, int]) -> list[str]:
    """Take the lines of packages out of a lock file, without the markers, which pip would judge by its own Python.

    Args:
        text: of the lock file, in the form of ``uv pip compile --generate-hashes``.
        names: which packages.
        python: for which Python.

    Raises:
        PackageError: one is not locked for that Python, or without a hash.
    """
    found = all_locked(text, python)
    for name in names:
        if "--hash=" not in found.get(name, ""):
            raise PackageError(f"{name} is not locked for Python {python[0]}.{python[1]}", "run `make lock`")
    return [found[name] for name in names]


def all_locked(text: str, python: tuple[int, int]) -> dict[str, str]:
    """Return, by package, every line of a lock file that counts for a Python on Linux, without its marker."""
    version = ".".join(map(str, python))
    environment = {"python_version": version, "python_full_version": f"{version}.0", "sys_platform": "linux"}
    environment |= {"platform_machine": "x86_64", "platform_python_implementation": "CPython"}
    found: dict[str, str] = {}
    for entry in text.replace("\\\n", " ").splitlines():
        line, *hashes = entry.split("--hash=")
        if not line.strip() or line.startswith("#"):
            continue
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            pins = " ".join(f"--hash={pin.strip()}" for pin in hashes)
            found[requirement.name] = f"{requirement.name}{requirement.specifier} {pins}"
    return found


def unpack(suite: Suite, machine: str, locks: Path, target: Path) -> None:
    """Fetch a suite's wheels and unpack them into a folder.

    Args:
        suite: the release.
        machine: the kernel's name of the machine.
        locks: folder of the lock files.
        target: must exist.

    Raises:
        PackageError: a package is not locked, cannot be had, or is not the one locked.
    """
    lines = [
        line
        for lock, names in suite.vendored.items()
        for line in locked((locks / lock).read_text(), names, suite.python)
    ]
    fetch(lines, suite, machine, target)


def fetch(lines: Sequence[str], suite: Suite, machine: str, target: Path) -> None:
    """Fetch wheels for a suite and unpack them into a folder.

    Args:
        lines: as ``locked`` returns them.
        suite: the release.
        machine: the kernel's name of the machine.
        target: must exist.

    Raises:
        PackageError: a package cannot be had, or is not the one locked.
    """
    glibcs = range(_OLDEST_GLIBC, suite.glibc + 1)
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in glibcs] + [f"manylinux2014_{machine}"]
    with TemporaryDirectory(prefix="facelatch-wheels-") as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(target)]
        command += [f"--platform={platform}" for platform in platforms]
        command += [f"--python-version={suite.python[0]}.{suite.python[1]}", "--requirement", str(wanted)]
        # The lock says for which Python each is; pip would ask the one that it runs under.
        command += ["--ignore-requires-python"]
        done = subprocess.run(command, check=False, timeout=_TIMEOUT_S, capture_output=True, text=True)  # noqa: S603 - pip, and names from our own locks
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-300:]
        raise PackageError(f"the locked wheels cannot be had ({reason})", "see that pip reaches a package index")
    shutil.rmtree(target / "bin", ignore_errors=True)
