# SPDX-License-Identifier: Apache-2.0
"""What provisioning does to the machine, each thing said before it is done, or said only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from facelatch.errors import FacelatchError
from facelatch.vault.files import write_durably

# A passphrase may cost a slow board half a minute to stretch; a TPM2 takes seconds.
_LIMIT_S = 300.0


class ProvisionError(FacelatchError):
    """The volume cannot be made, or not without harm."""


class System:
    """The machine.

    Args:
        dry: only say what would be done.
    """

    def __init__(self, *, dry: bool) -> None:
        self.dry = dry

    def run(self, *command: str, given: bytes = b"", secrets: Mapping[str, str] | None = None) -> None:
        """Run a program to its end.

        Args:
            command: the program and its arguments, in which no secret may be: every user can see them.
            given: its standard input, never shown.
            secrets: variables of its environment, never shown.

        Raises:
            ProvisionError: it is missing, fails or hangs.
        """
        click.echo(f"  {' '.join(command)}")
        if self.dry:
            return
        self._finish(command, given, secrets or {}, shown=False)

    def show(self, *command: str, secrets: Mapping[str, str]) -> None:
        """Run a program whose output is for the person: the recovery key, which is told this once."""
        click.echo(f"  {' '.join(command)}")
        if not self.dry:
            self._finish(command, b"", secrets, shown=True)

    def ask(self, *command: str) -> tuple[int, str]:
        """Run a program that changes nothing, and return its status and output; a dry run does so, too.

        Raises:
            ProvisionError: it is missing or hangs.
        """
        done = self._start(command, b"", {}, shown=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def write(self, path: Path, text: str, mode: int) -> None:
        """Write a file so that a power cut leaves the old or the new one."""
        click.echo(f"  write {path}")
        if not self.dry:
            write_durably(path, text.encode(), mode)

    def make_directory(self, path: Path, mode: int) -> None:
        """Make a directory that is not there yet."""
        if path.is_dir():
            return
        click.echo(f"  mkdir {path}")
        if not self.dry:
            path.mkdir(mode=mode, parents=True)

    def _finish(self, command: Sequence[str], given: bytes, secrets: Mapping[str, str], *, shown: bool) -> None:
        done = self._start(command, given, secrets, shown=shown)
        if done.returncode != 0:
            words = (
                " ".join((done.stderr or b"").decode(errors="replace").split())[-300:] or f"status {done.returncode}"
            )
            raise ProvisionError(f"{command[0]} fails ({words})", "mend that and run this again, which goes on")

    def _start(
        self, command: Sequence[str], given: bytes, secrets: Mapping[str, str], *, shown: bool
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 - the programs are named in this package
                command,
                input=given,
                stdout=None if shown else subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **secrets},
                timeout=_LIMIT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise ProvisionError(
                f"{command[0]} is not installed", "install packages cryptsetup and e2fsprogs"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ProvisionError(f"{command[0]} hangs", "see what holds the volume") from error
