# SPDX-License-Identifier: Apache-2.0
"""What every chapter works with: the machine, what its camera sees, and the agent that runs in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.story.machine import Machine
from tools.debian import StoryError

SERVICE = "facelatch.service"
SOCKETS = ("facelatch-agent.socket", "facelatch-status.socket")
AGENT = "/run/facelatch/agent.sock"
STATUS = "/run/facelatch/status.sock"
STATE = "/var/lib/facelatch"
PINS = "/run/pins"
CONFIG = """\
[camera]
backend = "replay"
source = "/story/camera"
[enroll]
frames = 6
seconds = {seconds}
timeout = 600.0
[verify]
no_match_after = 0
"""
HARDWARE = f"""\
[button]
device = "{PINS}/button"
[indicator]
led = "{PINS}/indicator"
[latch]
backend = "led"
led = "{PINS}/latch"
pulse = {{pulse}}
gap = 0.1
test = true
"""


@dataclass(frozen=True)
class Story:
    """The story so far.

    Attributes:
        machine: where it takes place.
        ours: the folder that the machine sees as /story.
        packages: the two packages, as the machine sees them.
    """

    machine: Machine
    ours: Path
    packages: list[Path]

    def show(self, scene: str) -> None:
        """Switch what the camera shows when it is next opened."""
        link = self.ours / "next"
        link.symlink_to(Path("scenes", scene))
        link.replace(self.ours / "camera")

    def configure(self, seconds: float = 0.001, more: str = "") -> None:
        """Write the configuration down; it counts from the next start."""
        self.machine.write("/etc/facelatch/facelatch.toml", CONFIG.format(seconds=seconds) + more)

    def restart(self) -> None:
        """Start the agent anew, however often it has been of late."""
        self.machine.must("systemctl", "reset-failed", SERVICE)
        self.machine.must("systemctl", "restart", SERVICE)

    def drop_in(self, name: str, text: str, unit: str = SERVICE) -> None:
        """Change a unit as an administrator would."""
        self.machine.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)
        self.machine.must("systemctl", "daemon-reload")

    def without_drop_ins(self, unit: str = SERVICE) -> None:
        """Take the changes back."""
        self.machine.must("rm", "--recursive", f"/etc/systemd/system/{unit}.d")
        self.machine.must("systemctl", "daemon-reload")

    @property
    def pid(self) -> str:
        """Number of the agent's process."""
        return self.machine.property(SERVICE, "MainPID")

    @property
    def users(self) -> list[str]:
        """Who is enrolled."""
        reply = json.loads(self.machine.must("facelatch", "list", "--json"))
        return [user["name"] for user in reply["users"]]

    @property
    def has_varlinkctl(self) -> bool:
        """Whether systemd brings a client of its own (from 255 on)."""
        return self.machine.run("varlinkctl", "--version").returncode == 0

    def call(self, address: str, method: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        """Call a method by systemd's own client; return its replies, the last one an error if it ends so."""
        given = json.dumps(parameters or {})
        done = self.machine.run("varlinkctl", "--json=short", "--more", "call", address, method, given)
        # Each reply is a record of its own; an older version puts a separator before it.
        replies = [json.loads(line.strip("\x1e")) for line in done.stdout.splitlines() if line.strip("\x1e")]
        return [*replies, {"error": done.stderr.strip()}] if done.returncode else replies

    def verify(self, expected: str = "match: anna") -> None:
        """See that the owner gets in, or that somebody does not."""
        done = self.machine.run("facelatch", "verify")
        require(expected in done.stdout + done.stderr, f"facelatch verify says {done.stdout + done.stderr!r}")

    def journal(self) -> str:
        """What the agent and systemd have said about the unit."""
        self.machine.must("journalctl", "--sync")
        return self.machine.must("journalctl", "--no-pager", "--output=cat", f"--unit={SERVICE}")

    def signal(self, name: str) -> None:
        """Send the agent's process a signal."""
        self.machine.must("systemctl", "kill", "--kill-whom=main", f"--signal={name}", SERVICE)

    def killed(self) -> None:
        """Kill the agent as a crash would, and wait until systemd has started it anew."""
        before = self.pid
        self.signal("KILL")
        self.machine.until("the restart", lambda: self.pid not in ("0", before))
        self.machine.wait("the agent", "facelatch", "status")


def require(holds: bool, otherwise: str) -> None:
    """See that something holds.

    Raises:
        StoryError: it does not.
    """
    if not holds:
        raise StoryError(otherwise, "this is a fault of the package")


def declarations(text: str) -> list[str]:
    """Return what an interface declares, in any order and without comments and layout."""
    bare = re.sub(r"#.*", "", text)
    parts = re.split(r"\b(?=(?:interface|type|method|error)\s+[\w.]+)", bare)
    return sorted(re.sub(r"\s+", "", part) for part in parts if part.strip())
