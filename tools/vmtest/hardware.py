# SPDX-License-Identifier: Apache-2.0
"""The hardware that the machine finds at every boot: camera, button, light and latch, real to its kernel."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facelatch.camera.protocol import Image
from facelatch.demo import portrait, room, session
from facelatch.demo.stranger import stranger
from tools.booted import Booted

STORY = "/story"
"""Where the machine sees what we give it."""

FINGER, HEARD, FILM = "/run/pins/finger", "/run/pins/heard", "/run/film"
_INSIDE = Path(__file__).parent / "inside"
_PICTURES = 12
_UNIT = """\
[Unit]
After={after}
[Service]
Type={kind}
ExecStart={command}
RemainAfterExit=yes
[Install]
WantedBy=multi-user.target
"""
_PLAY = f"python3 {STORY}/inside/film.py {FILM} | v4l2-ctl -d /dev/video1 --stream-out-mmap=3 --stream-from=- --silent"
_UNITS = {
    "vmtest-setup": ("local-fs.target systemd-udevd.service", "oneshot", f"/bin/sh {STORY}/inside/setup.sh"),
    "vmtest-pins": ("vmtest-setup.service", "exec", f"/usr/bin/python3 {STORY}/inside/pins.py /run/pins"),
    "vmtest-film": ("vmtest-setup.service", "exec", f"/bin/sh -c '{_PLAY}'"),
}


def pack(folder: Path) -> None:
    """Put into a folder what the machine's hardware is played with: films, and the programs that play."""
    face = portrait.read()
    films = {
        "anna": session.frames(face, _PICTURES, seed=1),
        "stranger": session.frames(stranger(face), _PICTURES, seed=3),
        "nobody": room.frames(_PICTURES, seed=4),
    }
    (folder / "films").mkdir(parents=True)
    for name, pictures in films.items():
        (folder / "films" / name).write_bytes(_raw(pictures))
    shutil.copytree(_INSIDE, folder / "inside", ignore=shutil.ignore_patterns("__pycache__"))


def install(machine: Booted, disk: str) -> None:
    """Have the machine find its hardware at this boot and every further one.

    Args:
        machine: the machine.
        disk: its disk that holds what was packed.
    """
    machine.must("mkdir", "-p", STORY)
    fstab = machine.must("cat", "/etc/fstab")
    machine.write("/etc/fstab", f"{fstab}\n{disk} {STORY} ext4 ro 0 0\n")
    machine.must("mount", STORY)
    machine.must("cp", f"{STORY}/inside/leds.rules", "/etc/udev/rules.d/99-vmtest.rules")
    for name, (after, kind, command) in _UNITS.items():
        text = _UNIT.format(after=after, kind=kind, command=command)
        machine.write(f"/etc/systemd/system/{name}.service", text)
    machine.must("systemctl", "daemon-reload")
    machine.must("udevadm", "control", "--reload")
    machine.must("systemctl", "enable", "--now", *_UNITS)


def show(machine: Booted, film: str) -> None:
    """Switch what the camera sees."""
    machine.must("ln", "-sfn", f"{STORY}/films/{film}", FILM)


class Pins:
    """A finger on the button, and an eye on latch and light, from now on."""

    def __init__(self, machine: Booted) -> None:
        self._machine = machine
        machine.wait("the button", "test", "-p", FINGER)
        self._read = len(self._lines())

    def press(self, seconds: float = 0.3) -> None:
        """Press the button for so long."""
        self._machine.must("tee", FINGER, given=f"{seconds}\n")

    def when(self, *words: str) -> float:
        """Wait until something is heard after what was heard last, and return when it was, by the machine's clock."""
        found: list[float] = []

        def heard() -> bool:
            for number, line in enumerate(self._lines()[self._read :], self._read + 1):
                if line[:-1] == list(words):
                    self._read = number
                    found.append(float(line[-1]))
                    return True
            return False

        self._machine.until(" ".join(words), heard)
        return found[0]

    def has(self, *words: str) -> bool:
        """Whether something has been heard after what was heard last."""
        return any(line[:-1] == list(words) for line in self._lines()[self._read :])

    def _lines(self) -> list[list[str]]:
        return [line.split() for line in self._machine.must("cat", HEARD).splitlines()]


def _raw(pictures: Sequence[Image]) -> bytes:
    return b"".join(np.ascontiguousarray(picture[..., ::-1]).tobytes() for picture in pictures)
