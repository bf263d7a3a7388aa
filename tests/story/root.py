# SPDX-License-Identifier: Apache-2.0
"""A Debian root with what the package depends on, made once and kept; a story never writes to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import click

from facelatch.errors import FacelatchError
from tools.build_package.suites import SUITES

ROOTS = Path(__file__).parents[2] / "build" / "roots"
_MIRROR = "http://deb.debian.org/debian"
# What a small Debian has besides, and what the story looks with.
_PACKAGES = ("systemd", "systemd-sysv", "udev", "pamtester", "python3")
_LIMIT_S = 1200
_PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter")


class StoryError(FacelatchError):
    """The story does not go as it must, or cannot be told here."""


def require_able() -> None:
    """See that a Debian can be booted here.

    Raises:
        StoryError: not root, or a program is missing.
    """
    if os.geteuid() != 0:
        raise StoryError("only root can boot a container", "run this as root")
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise StoryError(f"{', '.join(missing)} not installed", "install packages debootstrap and systemd-container")


def debian_root(suite: str) -> Path:
    """Return the root of a Debian release, bootstrapped if it is not there yet.

    Raises:
        StoryError: it cannot be bootstrapped.
    """
    root = ROOTS / suite
    if root.is_dir():
        return root
    unfinished = ROOTS / f".{suite}"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    needed = [dependency.split()[0] for dependency in SUITES[suite].depends]
    click.echo(f"bootstrapping Debian {suite} into {root}, which takes some minutes ...")
    _run("debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", suite, str(unfinished), _MIRROR)
    # Apart, since debootstrap knows no virtual packages.
    _run("chroot", str(unfinished), "apt-get", "install", "--yes", "--no-install-recommends", *needed)
    shutil.rmtree(unfinished / "var" / "cache" / "apt" / "archives", ignore_errors=True)
    unfinished.rename(root)
    return root


def _run(*command: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(  # noqa: S603 - our own arguments
        command, env=environment, capture_output=True, text=True, check=False, timeout=_LIMIT_S
    )
    if done.returncode != 0:
        last = " ".join((done.stdout + done.stderr).splitlines()[-3:])
        raise StoryError(f"{command[0]} fails ({last})", "see that a Debian mirror can be reached")
