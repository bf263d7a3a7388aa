# SPDX-License-Identifier: Apache-2.0
"""What every chapter works with: the machine, its disks, and the agent that runs in it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools.debian import StoryError
from tools.vmtest import hardware
from tools.vmtest.image import Image
from tools.vmtest.machine import Guest

SERVICE = "facelatch.service"
SOCKETS = ("facelatch-agent.socket", "facelatch-status.socket")
STATE = "/var/lib/facelatch"
VOLUME = "/dev/vdb"
OURS = "/dev/vdc"
PULSE_S = 2.0
# Everything takes some twenty to fifty times as long as on a machine that is not emulated.
CONFIG = f"""\
# The portrait is a picture, and so it looks.
liveness = "off"
[camera]
backend = "v4l2"
source = "/dev/video0"
patience = 20
[enroll]
frames = 6
seconds = 0.001
timeout = 600.0
[verify]
timeout = 300.0
no_match_after = 0
[button]
device = "/dev/input/facelatch-button"
[indicator]
led = "/run/leds/light"
[latch]
backend = "led"
led = "/run/leds/latch"
pulse = {PULSE_S}
gap = 0.5
[pam]
timeout = 60.0
"""
DROP_IN = """\
[Service]
TimeoutStartSec=600
TimeoutStopSec=300
WatchdogSec=600
Environment=OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT=20
ReadWritePaths=-/run/leds/latch -/run/leds/light
"""
# A look may be of a moment between two pictures, as with any person.
_TRIES = 3


@dataclass
class Story:
    """The story so far.

    Attributes:
        image: what every machine boots.
        folder: of the owner's machine.
        volume: its second disk.
        ours: the disk with what we give it.
        chance: where the plug's moments come from.
        machine: the owner's.
        users: who must be enrolled by now.
    """

    image: Image
    folder: Path
    volume: Path
    ours: Path
    chance: random.Random
    machine: Guest = field(init=False)
    users: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Put the machine together."""
        self.machine = Guest(self.image, self.folder, (self.volume, self.ours), self.folder / "tpm")

    def show(self, film: str) -> None:
        """Switch what the camera sees."""
        hardware.show(self.machine, film)

    def facelatch(self, *words: str) -> str:
        """Return what a command that must succeed prints."""
        return self.machine.must("facelatch", *words)

    def enrolled(self) -> set[str]:
        """Who is enrolled."""
        return {str(user["name"]) for user in self._listed()}

    def owner_gets_in(self) -> None:
        """See that anna is recognised."""
        self.show("anna")
        said = ""
        for _ in range(_TRIES):
            done = self.machine.run("facelatch", "verify", "--user", "anna")  # by name: it ends the count of failures
            said = (done.stdout + done.stderr).strip()
            if "match: anna" in said:
                return
        raise StoryError(f"the owner does not get in ({said})", "see the journal")

    def is_refused(self) -> None:
        """Have somebody else try to pass for anna, and see that they do not."""
        done = self.machine.run("facelatch", "verify", "--user", "anna")
        said = (done.stdout + done.stderr).strip()
        require("no match" in said, f"somebody else is told {said!r}")

    def failures(self) -> int:
        """Return how many attempts on anna, who alone is enrolled, have failed in a row; five at most."""
        return int(self.machine.must("python3", f"{hardware.STORY}/inside/failures.py", STATE))

    def _listed(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.facelatch("list", "--json"))["users"]
        return found

    def copied(self, folder: Path) -> Guest:
        """Return a machine with copies of both disks, and a TPM of its own: a thief's."""
        folder.mkdir()
        for disk in (self.folder / "disk.qcow2", self.volume):
            shutil.copy(disk, folder / disk.name)
        return Guest(self.image, folder, (folder / self.volume.name, self.ours), folder / "tpm")


Chapter = Callable[[Story], str | None]


def require(holds: bool, otherwise: str) -> None:
    """See that something holds.

    Raises:
        StoryError: it does not.
    """
    if not holds:
        raise StoryError(otherwise, "this is a fault of ours")
