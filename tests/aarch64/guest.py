# SPDX-License-Identifier: Apache-2.0
"""A Debian root of either architecture with the locked wheels in it, whose programs QEMU or this machine runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import click

from tools.build_package.suites import ARCHITECTURES, SUITES
from tools.build_package.wheels import all_locked, fetch
from tools.debian import Debian, StoryError, require_able

TREE = Path(__file__).parents[2]
OURS = "/ours"
"""Where a guest sees the folder that is shared with it."""

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_WHEELS = TREE / "build" / "aarch64"
_LOCKS = ("dev.txt", "demo.txt")
# Only a hang meets it, also on a busy machine.
_GUARD_S = 7200
_EMULATOR = "qemu-x86_64-static"
_PACKAGES = ("debootstrap", "systemd-container", "qemu-user-static", "binfmt-support")
# What an editable installation would write.
_PTH = "/tree/agent\n"
# This QEMU shows the machine's own /proc/cpuinfo, by which the TFLite runtime on Arm ends in a fault.
_DESCRIBED = 'mount --bind "$0" /proc/cpuinfo && exec "$@"'
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    # With it Hypothesis sets no deadlines, which emulation would miss.
    "CI": "true",
    "PYTHONUNBUFFERED": "1",
    "FACELATCH_GUARD_SECONDS": "1800",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Guest:
    """A root with Python and wheels; what is written in it, but to the shared folder, is gone with the command.

    Attributes:
        root: of the file system.
        wheels: what the lock says, unpacked.
        python: its version.
        shared: a folder of ours, seen as ``OURS``.
        cpu: which one QEMU emulates; None runs natively.
        emulator: put before the command where the kernel does not call QEMU by itself.
    """

    root: Path
    wheels: Path
    python: tuple[int, int]
    shared: Path
    cpu: str | None = None
    emulator: tuple[str, ...] = ()

    @property
    def site(self) -> str:
        """Where its Python sees the wheels."""
        return f"/usr/local/lib/python{self.python[0]}.{self.python[1]}/dist-packages"

    def command(self, *arguments: str) -> list[str]:
        """Return what runs Python there with these arguments."""
        command = ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--volatile=overlay", "--as-pid2"]
        command += ["--register=no", "--keep-unit", "--console=pipe", "--link-journal=no"]
        # Writable, so that Python's compiled modules stay.
        command += [f"--bind={self.wheels}:{self.site}", f"--bind={self.shared}:{OURS}"]
        command += [f"--overlay={TREE}::/tree", "--chdir=/tree"]
        command += [f"--bind-ro={shutil.which(name)}:/usr/bin/{name}" for name in self.emulator]
        environment = _ENVIRONMENT | ({"QEMU_CPU": self.cpu} if self.cpu else {})
        command += [f"--setenv={name}={value}" for name, value in environment.items()]
        described = Path("tests", "aarch64", "cpuinfo", self.cpu or "")
        if self.cpu and (TREE / described).is_file():
            command += ["/bin/sh", "-c", _DESCRIBED, f"/tree/{described}"]
        return [*command, *self.emulator, "/usr/bin/python3", *arguments]

    def run(self, *arguments: str) -> str:
        """Run Python to its end, and return what it prints.

        Raises:
            StoryError: it fails.
        """
        done = subprocess.run(  # noqa: S603 - our own arguments
            self.command(*arguments), env=environment(), capture_output=True, text=True, check=False, timeout=_GUARD_S
        )
        if done.returncode != 0:
            told = (done.stdout + done.stderr).strip()[-2000:]
            raise StoryError(f"`{' '.join(arguments)}` gives {done.returncode} there ({told})", "see what it says")
        return done.stdout.strip()

    def on(self, cpu: str) -> Guest:
        """Return the same under another emulated CPU."""
        return replace(self, cpu=cpu)

    def emulated(self, cpu: str) -> Guest:
        """Return the same, of this machine's own architecture, run by QEMU all the same."""
        return replace(self, cpu=cpu, emulator=(_EMULATOR,))


def require_emulation() -> None:
    """See that this is x86-64 and that programs for aarch64 run here, also in another root.

    Raises:
        StoryError: something is missing; it says what.
    """
    if os.uname().machine != "x86_64":
        raise StoryError("this compares an emulated aarch64 with x86-64", "run it on x86-64; on aarch64: `make test`")
    require_able(("debootstrap", "systemd-nspawn", _EMULATOR), _PACKAGES)
    require_registered(_BINFMT)


def require_registered(binfmt: Path) -> None:
    """See that the kernel gives programs for aarch64 to QEMU, also in another root.

    Args:
        binfmt: where binfmt_misc is mounted.

    Raises:
        StoryError: it does not.
    """
    try:
        entry = (binfmt / "qemu-aarch64").read_text().splitlines()
    except OSError as error:
        raise StoryError(
            f"the kernel runs no programs for aarch64 ({binfmt} has no qemu-aarch64)",
            f"mount -t binfmt_misc binfmt_misc {_BINFMT}; then update-binfmts --enable qemu-aarch64",
        ) from error
    flags = "".join(line for line in entry if line.startswith("flags:"))
    # Loaded once for all roots, by F, it need not be in them.
    if "enabled" not in entry or "F" not in flags:
        raise StoryError(
            "binfmt_misc's qemu-aarch64 is disabled, or not for all roots (no flag F)",
            "update-binfmts --disable qemu-aarch64; then update-binfmts --enable qemu-aarch64",
        )


def guest(suite: str, architecture: str, shared: Path) -> Guest:
    """Return a guest, bootstrapped and with wheels unpacked if it is not there yet.

    Args:
        suite: Debian's release.
        architecture: ``arm64`` or ``amd64``.
        shared: a folder.

    Raises:
        StoryError: it cannot be bootstrapped.
        PackageError: the wheels cannot be had.
    """
    # That of this machine is the story's.
    debian = (
        Debian(suite, suite, ("pamtester",))
        if architecture == "amd64"
        else Debian(f"{suite}-arm64", suite, (), "arm64")
    )
    return Guest(debian.root(), _wheels(suite, ARCHITECTURES[architecture]), SUITES[suite].python, shared)


def environment() -> dict[str, str]:
    """Return what nspawn itself is to be run with."""
    # Hosts with cgroups of both versions would pass on the first.
    return {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}


def locked_wheels(python: tuple[int, int]) -> dict[str, str]:
    """Return the lines of our locks for a Python, by package: what `make setup` installs."""
    locks = [(TREE / "requirements" / lock).read_text() for lock in _LOCKS]
    return {name: line for lock in locks for name, line in all_locked(lock, python).items()}


def _wheels(suite: str, machine: str) -> Path:
    lines = list(locked_wheels(SUITES[suite].python).values())
    folder = _WHEELS / f"{suite}-{machine}-{hashlib.sha256(''.join(lines).encode()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    click.echo(f"fetching the locked wheels for {suite}, {machine} ...")
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    fetch(lines, SUITES[suite], machine, unfinished)
    (unfinished / "facelatch.pth").write_text(_PTH)
    unfinished.rename(folder)
    return folder
