# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.vmtest.picamera2``: the real picamera2 and libcamera, and through them the agent, to an unlock."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from facelatch.cli.options import told
from facelatch.demo import portrait, room, session
from facelatch.demo.stranger import stranger
from tools.build_package.__main__ import build
from tools.debian import Debian
from tools.vmtest import virtual_camera
from tools.vmtest.image import image, make_disk
from tools.vmtest.machine import Guest, require_emulator
from tools.vmtest.scene import SERVICE, SOCKETS, require
from tools.vmtest.telling import ending, tell

_DISK, _OURS = "/dev/vdb", "/ours"
_SIZE = (640, 480)
_PATIENCE_S = 20
# Enough that an enrolment is of different ones; libcamera decodes all of them, three times, whenever it starts.
_PICTURES = 8
_CONFIG = f"""\
# The portrait is a picture, and so it looks.
liveness = "off"
[camera]
backend = "picamera2"
source = "0"
patience = {_PATIENCE_S}
[enroll]
frames = 6
seconds = 0.001
timeout = 600.0
[verify]
timeout = 500.0
no_match_after = 0
"""
_DROP_IN = """\
[Unit]
AssertPathIsMountPoint=
[Service]
TimeoutStartSec=600
TimeoutStopSec=300
WatchdogSec=600
"""
_SOCKET_DROP_IN = "[Unit]\nAssertPathIsMountPoint=\n"
# Mean difference, of 255: what halving the colours and JPEG leave; exchanging red and blue makes several times that.
_OFF = 4.0
_GUESSES = 3


class _Story:
    """The machine, and what is asked of it.

    Args:
        machine: not booted yet; its second disk is what ``virtual_camera.stage`` made, with the package beside it.
    """

    def __init__(self, machine: Guest) -> None:
        self.machine = machine

    def show(self, scene: str) -> None:
        """Have the camera show a scene to an agent that starts anew."""
        virtual_camera.show(self.machine, _OURS, scene)
        self.machine.run("systemctl", "reset-failed", SERVICE)
        self.machine.must("systemctl", "restart", SERVICE)

    def look(self, what: str, user: str = "") -> dict[str, Any]:
        """Have our back end look, and return what it tells."""
        eye = ("python3", "-I", f"{_OURS}/eye.py", f"{_OURS}/meant/anna", str(_PATIENCE_S), what)
        told: dict[str, Any] = json.loads(self.machine.must(*eye, user=user).splitlines()[-1])
        return told

    def verify(self, *more: str) -> str:
        """Look for somebody, and return what is said."""
        done = self.machine.run("facelatch", "verify", *more)
        return (done.stdout + done.stderr).strip()

    def journal(self) -> str:
        """What the agent has said."""
        return self.machine.must("journalctl", "--no-pager", "--output=cat", f"--unit={SERVICE}")


def _boots(story: _Story) -> str:
    """Debian 13 boots, and the package, libcamera's virtual camera and picamera2 are installed."""
    took = story.machine.boot()
    machine = story.machine
    machine.must("mount", "--mkdir", "-o", "ro", _DISK, _OURS)
    machine.must("sh", "-c", f"dpkg --install {_OURS}/packages/*.deb")
    virtual_camera.install(machine, _OURS, _SIZE)
    virtual_camera.show(machine, _OURS, "anna")
    libcamera = machine.must("dpkg-query", "--show", "--showformat=${Version}", "python3-libcamera")
    kernel = machine.must("uname", "--kernel-release")
    return f"in {took:.0f} s; kernel {kernel}, libcamera {libcamera}, picamera2 {_version(machine)}"


def _version(machine: Guest) -> str:
    code = "import importlib.metadata as known; print(known.version('picamera2'))"
    return machine.must("python3", "-I", "-c", code)


def _gives_frames(story: _Story) -> str:
    """Our back end gets frames of the right size and colours, lets go, and names what goes wrong."""
    found = story.look("frames")
    seen = {name: value for name, value in found.items() if isinstance(value, dict)}
    for name, frames in seen.items():
        width, height = _SIZE
        require(frames["shape"] == [height, width, 3] and frames["type"] == "uint8", f"{name}: {frames}")
        require(frames["off"] < _OFF < frames["off, blue for red"] / 2, f"{name}: the colours are off: {frames}")
    require(len(seen) == len(found) - 4, f"not every opening gave frames: {found}")
    require(seen["first"]["sequence"] == [0, 1, 2, 3], "frames are not counted")
    require(found["second user"].startswith("BUSY"), f"second user: {found}")
    require(found["checked meanwhile"] == "no fault", f"a check in between: {found}")
    require(found["another number"].startswith("UNPLUGGED"), f"another number: {found}")
    memory = found["without memory for pictures"]
    require(memory.startswith("MISCONFIGURED") and "dmaHeap" in memory, f"without memory: {memory}")
    return f"colours off by {max(frames['off'] for frames in seen.values()):.1f} of 255; opened {len(seen) - 1} times"


def _is_forbidden(story: _Story) -> str:
    """Whoever is not in the camera's group is told so."""
    found = story.look("forbidden", user="nobody")
    require(all(fault.startswith("NO_PERMISSION") for fault in found.values()), f"{found}")
    return str(found["open"])


def _enrols(story: _Story) -> str:
    """The agent starts in its sandbox with that camera, finds it in order, and anna is enrolled."""
    machine = story.machine
    machine.write("/etc/facelatch/facelatch.toml", _CONFIG)
    machine.write(f"/etc/systemd/system/{SERVICE}.d/emulated.conf", _DROP_IN)
    for unit in SOCKETS:
        machine.write(f"/etc/systemd/system/{unit}.d/unencrypted.conf", _SOCKET_DROP_IN)
    machine.must("systemctl", "daemon-reload")
    started = machine.run("systemctl", "start", *SOCKETS, SERVICE).returncode == 0
    require(started, f"the agent does not start: {story.journal()[-2000:]}")
    doctor = machine.run("facelatch", "doctor").stdout
    line = next((line for line in doctor.splitlines() if "picamera2 0" in line), "")
    require("can be used" in line, f"the doctor finds {line or doctor!r}")
    begun = time.monotonic()
    machine.must("facelatch", "enroll", "anna", "--administrator")
    return f"enrolled in {time.monotonic() - begun:.0f} s"


def _unlocks(story: _Story) -> str:
    """Anna gets in, three times."""
    times = []
    for _ in range(_GUESSES):
        begun = time.monotonic()
        said = story.verify()
        require("match: anna" in said, f"anna is told {said!r}")
        times.append(time.monotonic() - begun)
    return f"in {min(times):.1f} to {max(times):.1f} s"


def _refuses(story: _Story) -> None:
    """Somebody else is refused, three times."""
    story.show("stranger")
    for _ in range(_GUESSES):
        said = story.verify("--user", "anna")
        require("no match" in said, f"somebody else is told {said!r}")


def _sees_nobody(story: _Story) -> str:
    """Before a wall nobody is recognised, and nothing is counted against anna."""
    story.show("nobody")
    said = story.verify("--user", "anna", "--timeout", "30000")
    require("match" not in said, f"a wall is told {said!r}")
    return said.splitlines()[-1]


def _unlocks_again(story: _Story) -> str:
    """Anna gets in again, and the journal tells of no fault."""
    story.show("anna")
    found = _unlocks(story)
    journal = story.journal()
    for word in ("Traceback", "Error", "denied"):
        require(word not in journal, f"the journal has {word!r}: {journal[-2000:]}")
    return found


_CHAPTERS = (_boots, _gives_frames, _is_forbidden, _enrols, _unlocks, _refuses, _sees_nobody, _unlocks_again)


@click.command()
@told
def main() -> None:
    """Try the picamera2 back end on the real thing in an emulated machine; needs root, and a network at first."""
    require_emulator()
    # Ended from outside, it ends its machine, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.monotonic()
    booted = image(Debian("vmtest-picamera2", "trixie", virtual_camera.CAMERA_PACKAGES))
    with TemporaryDirectory(prefix="facelatch-vmtest-") as folder:
        given = Path(folder, "given")
        click.echo("building the package and the pictures ...")
        build("trixie", "amd64", given / "packages")
        face = portrait.read()
        scenes = {
            "anna": session.frames(face, _PICTURES, seed=1),
            "stranger": session.frames(stranger(face), _PICTURES, seed=3),
            "nobody": room.frames(_PICTURES, seed=4),
        }
        virtual_camera.stage(given, scenes)
        make_disk(given, Path(folder, "given.ext4"))
        machine = Guest(booted, Path(folder), (Path(folder, "given.ext4"),))
        story = _Story(machine)
        steps: list[tuple[str, Callable[[], str | None]]] = [
            (chapter.__doc__ or "", partial(chapter, story)) for chapter in _CHAPTERS
        ]
        with ending(machine, Path(folder)):
            for what, step in steps:
                tell(what, step)
    click.echo(f"all told in {(time.monotonic() - begun) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
