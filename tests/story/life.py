# SPDX-License-Identifier: Apache-2.0
"""The chapters at the door, with the shipped stand-ins for button and latch, and at the login, with the real PAM."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO

from facelatch.hardware import standin
from facelatch.vault.lockout import FREE_FAILURES
from tests.story.scene import HARDWARE, PINS, SERVICE, SOCKETS, Story, require
from tools.booted import Booted
from tools.debian import StoryError

_STANDIN = ("env", "PYTHONPATH=/usr/lib/facelatch", "python3", "-u", "-m", "facelatch.hardware.standin")
_LINK = "/run/pins-by-class"
_TAP_S = 0.2
_PASSWORD = "correct horse"  # noqa: S105 - of an account in a container
_PAM_SERVICE = "facelatch-story"


class Pins:
    """What hangs on the agent's pins, as seen from outside.

    Args:
        folder: the stand-ins' own.
        heard: the lines in which they say what the latch does.
    """

    def __init__(self, folder: Path, heard: IO[str]) -> None:
        self._folder = folder
        self._heard: Queue[tuple[str, float]] = Queue()
        self._clock = 1000.0
        Thread(target=self._listen, args=(heard,), daemon=True).start()

    def tap(self) -> float:
        """Press and release the button; return when, by our clock."""
        self._clock += 1.0
        with (self._folder / "button").open("wb", buffering=0) as pipe:
            pipe.write(standin.event(self._clock, True) + standin.event(self._clock + _TAP_S, False))
        return time.monotonic()

    def hears(self, word: str) -> float:
        """Wait for what the latch does next, which must be this; return when it did."""
        try:
            heard, when = self._heard.get(timeout=Booted.guard_s)
        except Empty:
            raise StoryError(f"{word!r} is not heard", "see the journal") from None
        require(heard == word, f"{heard!r} instead of {word!r}")
        return when

    def tap_until(self, word: str) -> None:
        """Press now and then, as a person would, until the latch does this."""
        while self._heard.empty():
            self.tap()
            time.sleep(_TAP_S)
        self.hears(word)

    def _listen(self, heard: IO[str]) -> None:
        for line in heard:
            self._heard.put((line.strip(), time.monotonic()))

    @property
    def lit(self) -> bool:
        """Whether the latch's coil is powered."""
        return (self._folder / "latch" / "brightness").read_text().strip() != "0"


@contextmanager
def _wired(story: Story, pulse: float) -> Iterator[Pins]:
    machine = story.machine
    machine.must("rm", "--recursive", "--force", PINS, _LINK)
    machine.must("mkdir", PINS)
    machine.must("ln", "--symbolic", PINS, _LINK)
    with machine.during(*_STANDIN, "make", PINS) as kernel:
        assert kernel.stdout is not None
        pins = Pins(machine.seen(PINS), kernel.stdout)
        pins.hears("made")
        machine.must("chown", "--recursive", "facelatch", PINS)
        # By a link, as /sys/class/leds has them: the unit must let the agent write to where it leads.
        story.drop_in("pins", f"[Service]\nReadWritePaths=-{_LINK}\n")
        story.configure(more=HARDWARE.format(pulse=pulse))
        story.restart()
        machine.must("facelatch", "arm")
        yield pins
    story.without_drop_ins()
    story.configure()
    story.restart()


def opens_the_door(story: Story) -> str:
    """A press of the button opens the latch for anna, for one pulse, and not for a stranger."""
    with _wired(story, pulse=0.5) as pins:
        pressed = pins.tap()
        opened = pins.hears("latch open")
        closed = pins.hears("latch closed")
        story.show("stranger")
        pins.tap()
        story.machine.until("the refusal", lambda: "verify_no_match user=- peer_uid=" in story.journal())
        story.show("anna")
        # The next thing heard is anna's: the stranger's press has moved nothing.
        pins.tap_until("latch open")
        require(story.journal().count("latch_opened user=anna") == 2, "the journal tells otherwise")
        pins.hears("latch closed")
    return f"press to latch {opened - pressed:.2f} s, pulse of 0.5 s was {closed - opened:.2f} s"


def lets_go_when_killed(story: Story) -> str:
    """Killed while the latch is open: it closes by itself, and the next press opens it again."""
    with _wired(story, pulse=3.0) as pins:
        pins.tap()
        opened = pins.hears("latch open")
        require(pins.lit, "it is not open")
        story.killed()
        closed = pins.hears("latch closed")
        require(not pins.lit, "it stays open")
        pins.tap_until("latch open")
    return f"pulse of 3 s was {closed - opened:.2f} s"


def logs_in(story: Story) -> None:
    """Once root has chosen the profiles, a face logs in; the password always does, and resets the lockout."""
    machine = story.machine
    machine.must("useradd", "--create-home", "anna")
    machine.must("chpasswd", given=f"anna:{_PASSWORD}\n")
    machine.must("env", "DEBIAN_FRONTEND=noninteractive", "pam-auth-update", "--enable", "facelatch", "facelatch-reset")
    machine.write(f"/etc/pam.d/{_PAM_SERVICE}", "@include common-auth\n@include common-account\n")
    require(authenticates(story), "the face does not log in")
    story.show("stranger")
    require(not authenticates(story), "a stranger's face logs in")
    require(authenticates(story, _PASSWORD), "the password does not log in")
    for _ in range(FREE_FAILURES):
        machine.run("facelatch", "verify", "--user", "anna")
    story.show("anna")
    require(not authenticates(story), "a face logs in during the lockout")
    require(not authenticates(story, "wrong"), "a wrong password logs in")
    require(authenticates(story, _PASSWORD), "the password does not log in during the lockout")
    require(authenticates(story), "the password has not reset the lockout")
    machine.must("systemctl", "stop", SERVICE, *SOCKETS)
    require(not authenticates(story), "a face logs in without an agent")
    require(authenticates(story, _PASSWORD), "without an agent the password does not log in")
    machine.must("systemctl", "start", *SOCKETS)
    story.verify()


def authenticates(story: Story, password: str = "") -> bool:
    """Log anna in through PAM, with a password to give if one is asked for."""
    given = f"{password}\n" if password else ""
    return story.machine.run("pamtester", _PAM_SERVICE, "anna", "authenticate", given=given).returncode == 0


def logs_in_without_the_package(story: Story) -> None:
    """With the package gone and the profiles still chosen, the password logs in."""
    story.machine.must("test", "!", "-e", "/usr/bin/facelatch")
    require(authenticates(story, _PASSWORD), "the password does not log in any more")
    require(not authenticates(story), "nothing at all logs in")


LIFE: list[Callable[[Story], str | None]] = [opens_the_door, lets_go_when_killed, logs_in]
