# SPDX-License-Identifier: Apache-2.0
"""A Debian root with what the package depends on, made once and kept; nobody writes to it afterwards."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from facelatch.errors import FacelatchError
from tools.build_package.suites import ARCHITECTURES, SUITES

ROOTS = Path(__file__).parents[1] / "build" / "roots"
_MIRROR = "http://deb.debian.org/debian"
_PACKAGES = ("systemd", "systemd-sysv", "udev", "python3")
# Under the emulation of another machine a large root takes most of an hour.
_LIMIT_S = 3600


class StoryError(FacelatchError):
    """The story does not go as it must, or cannot be told here."""


@dataclass(frozen=True)
class Debian:
    """A Debian root, by what is in it.

    Attributes:
        name: of its folder; another set of packages needs another name.
        suite: the release.
        packages: what it has beside a small Debian and what our package depends on.
        architecture: the machine, in Debian's words.
    """

    name: str
    suite: str
    packages: tuple[str, ...] = ()
    architecture: str = "amd64"

    def root(self) -> Path:
        """Return where it lies, bootstrapped if it is not there yet.

        Raises:
            StoryError: it cannot be bootstrapped.
        """
        root = ROOTS / self.name
        if root.is_dir():
            return root
        unfinished = ROOTS / f".{self.name}"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(parents=True)
        click.echo(f"bootstrapping Debian {self.suite}, {self.architecture}, which takes some minutes ...")
        needed = [dependency.split()[0] for dependency in SUITES[self.suite].depends]
        first = [f"--arch={self.architecture}", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
        run("debootstrap", *first, self.suite, str(unfinished), _MIRROR)
        # Apart, since debootstrap knows no virtual packages.
        apt = ("chroot", str(unfinished), "apt-get", "install", "--yes", "--no-install-recommends")
        run(*apt, *needed, *self.packages)
        shutil.rmtree(unfinished / "var" / "cache" / "apt" / "archives", ignore_errors=True)
        unfinished.rename(root)
        return root

    @property
    def is_foreign(self) -> bool:
        """Whether its programs run under emulation here."""
        return ARCHITECTURES[self.architecture] != platform.machine()


def require_able(programs: Sequence[str], packages: Sequence[str]) -> None:
    """See that we are root, and that programs are there.

    Args:
        programs: their names.
        packages: of Debian, that bring them.

    Raises:
        StoryError: not root, or one is missing.
    """
    if os.geteuid() != 0:
        raise StoryError("only root can set up a Debian", "run this as root")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise StoryError(f"{', '.join(missing)} not installed", f"install packages {', '.join(packages)}")


def run(*command: str) -> None:
    """Run a program to its end, without a question.

    Raises:
        StoryError: it fails.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(  # noqa: S603 - our own arguments
        command, env=environment, capture_output=True, text=True, check=False, timeout=_LIMIT_S
    )
    if done.returncode != 0:
        last = " ".join((done.stdout + done.stderr).splitlines()[-3:])
        raise StoryError(f"{command[0]} fails ({last})", "see that a Debian mirror can be reached")
