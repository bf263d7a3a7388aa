# SPDX-License-Identifier: Apache-2.0
"""A Debian booted in a container, with systemd as its first process; what it writes is gone when it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.booted import ENVIRONMENT, Booted, Done, as_user
from tools.debian import StoryError

_POLL_S = 0.02


class Machine(Booted):
    """The booted container.

    Args:
        leader: its first process, as seen from outside.
    """

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def run(self, *command: str, given: str = "", user: str = "") -> Done:
        """Run a command in it to its end; see ``Booted``."""
        return subprocess.run(  # noqa: S603 - the story's own commands
            self._inside(command, user),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=Booted.guard_s,
        )

    @contextmanager
    def during(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Have a command run in it, whose output can be read; it is killed at the end if it still runs."""
        with subprocess.Popen(  # noqa: S603 - as above
            self._inside(command, ""),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                # The command itself is a child of nsenter, and would outlive it.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def seen(self, path: str) -> Path:
        """Return where a path of its is to be found from outside."""
        return Path(f"/proc/{self._leader}/root", path.lstrip("/"))

    def _inside(self, command: Sequence[str], user: str) -> list[str]:
        enter = [_program("nsenter"), f"--target={self._leader}", "--all", "--wd=/"]
        return [*enter, "/usr/bin/env", "-i", *ENVIRONMENT, *as_user(tuple(command), user)]


@contextmanager
def booted(root: Path, binds: Mapping[Path, str], log: Path) -> Iterator[Machine]:
    """Boot a root, which stays as it is: what is written goes to memory.

    Args:
        root: of the file system.
        binds: folders of ours to be seen in it, writable, by where.
        log: gets what the container's console says.

    Raises:
        StoryError: it does not boot.
    """
    command = [_program("systemd-nspawn"), "--quiet", f"--directory={root}", "--volatile=overlay"]
    command += ["--register=no", "--keep-unit", "--boot", "--console=pipe", "--link-journal=no"]
    # Without these systemd can neither filter devices nor take the network away, and only says so in its journal.
    command += ["--private-network", "--capability=CAP_BPF", "--system-call-filter=bpf"]
    command += [f"--bind={folder}:{place}" for folder, place in binds.items()]
    # Hosts with cgroups of both versions would pass on the first, with which systemd no longer boots.
    environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with log.open("wb") as console:
        container = subprocess.Popen(  # noqa: S603 - our own arguments
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment
        )
    try:
        machine = Machine(_leader(container, log))
        machine.wait("the boot", "systemctl", "is-system-running", "--wait")
        yield machine
    finally:
        # The second signal ends it at once; nothing in it is to be kept.
        for _ in range(2):
            container.send_signal(signal.SIGTERM)
            time.sleep(_POLL_S)
        try:
            container.wait(Booted.guard_s)
        except subprocess.TimeoutExpired:
            container.kill()
            container.wait()


def _leader(container: subprocess.Popen[bytes], log: Path) -> int:
    """Find the container's first process: the one below nspawn that is number 1 to itself."""
    end = time.monotonic() + Booted.guard_s
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    while time.monotonic() < end and container.poll() is None:
        for child in children.read_text().split():
            try:
                status = Path(f"/proc/{child}/status").read_text()
                name = Path(f"/proc/{child}/exe").readlink().name
            except OSError:
                continue
            numbers = [line.split() for line in status.splitlines() if line.startswith("NSpid:")]
            if numbers and numbers[0][-1] == "1" and len(numbers[0]) > 2 and name == "systemd":
                return int(child)
        time.sleep(_POLL_S)
    raise StoryError("the container does not boot", f"see {log}: {log.read_text()[-300:]}")


def _program(name: str) -> str:
    return shutil.which(name) or name
