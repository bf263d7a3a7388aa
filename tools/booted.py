# SPDX-License-Identifier: Apache-2.0
"""A Debian that has been booted, wherever it runs: commands go in, what they print comes out."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from tools.debian import StoryError

_POLL_S = 0.02
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
ENVIRONMENT = (f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/root", "SYSTEMD_COLORS=0")
"""What a command finds in its environment; it shares nothing with ours."""

Done = subprocess.CompletedProcess[str]


class Booted(ABC):
    """A machine with systemd as its first process.

    Attributes:
        guard_s: seconds after which something hangs; nothing takes nearly as long.
    """

    guard_s = 120.0

    @abstractmethod
    def run(self, *command: str, given: str = "", user: str = "") -> Done:
        """Run a command in it to its end.

        Args:
            command: the program and its arguments.
            given: its standard input.
            user: who runs it, if not root.
        """

    def must(self, *command: str, given: str = "", user: str = "") -> str:
        """Run a command that must succeed, and return what it prints.

        Raises:
            StoryError: it does not.
        """
        done = self.run(*command, given=given, user=user)
        if done.returncode != 0:
            raise StoryError(
                f"`{' '.join(command)}` gives {done.returncode} ({(done.stdout + done.stderr).strip()[-600:]})",
                "see above",
            )
        return done.stdout.strip()

    def property(self, unit: str, name: str) -> str:
        """Return what systemd says of a unit."""
        return self.must("systemctl", "show", "--value", f"--property={name}", unit)

    def wait(self, what: str, *command: str) -> None:
        """Wait until a command succeeds.

        Raises:
            StoryError: it never does.
        """
        self.until(what, lambda: self.run(*command).returncode == 0, f"see `{' '.join(command)}`")

    def until(self, what: str, holds: Callable[[], bool], remedy: str = "see the journal") -> None:
        """Wait until something holds that must come to hold.

        Raises:
            StoryError: it never does.
        """
        end = time.monotonic() + self.guard_s
        while time.monotonic() < end:
            if holds():
                return
            time.sleep(_POLL_S)
        raise StoryError(f"{what} did not come to pass", remedy)

    def write(self, path: str, text: str) -> None:
        """Write a file in it."""
        self.must("mkdir", "-p", str(Path(path).parent))
        self.must("tee", path, given=text)


def as_user(command: tuple[str, ...], user: str) -> tuple[str, ...]:
    """Return the command that runs another one as a user; as root if there is none."""
    return ("/usr/sbin/runuser", "-u", user, "--", *command) if user else command
