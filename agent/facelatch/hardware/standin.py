# SPDX-License-Identifier: Apache-2.0
"""A button, an indicator and a latch without hardware: the kernel's files in a folder, and its part played.

    python -m facelatch.hardware.standin make FOLDER    makes them, and plays the kernel until it is ended
    python -m facelatch.hardware.standin press FOLDER [SECONDS]

FOLDER/button is a pipe that carries ``struct input_event``; FOLDER/indicator and FOLDER/latch are directories with the
files of an LED. The latch's pulse is ended from here, as the kernel would, whatever becomes of the agent.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from facelatch.hardware.button import EV_KEY, EV_SYN, EVENT

_KEY = 148  # KEY_PROG1; any will do
_TAP_SECONDS = 0.15


def make(folder: Path) -> None:
    """Make the three of them in a folder that exists."""
    os.mkfifo(folder / "button")
    _make_led(folder / "indicator", {"trigger": "none [timer] oneshot", "delay_on": "0", "delay_off": "0"})
    _make_led(
        folder / "latch",
        {"trigger": "none timer [oneshot]", "invert": "0", "delay_on": "100", "delay_off": "100", "brightness": "0"},
    )
    os.mkfifo(folder / "latch" / "shot")


def _make_led(directory: Path, attributes: dict[str, str]) -> None:
    directory.mkdir()
    for name, value in attributes.items():
        (directory / name).write_text(f"{value}\n")


def play(folder: Path, happened: Callable[[str], None]) -> None:
    """Be the kernel, for ever: hold the button's end of its pipe, and give each shot of the latch its pulse.

    Args:
        folder: where they were made.
        happened: is told "open" and "closed".
    """
    latch = folder / "latch"
    os.open(folder / "button", os.O_RDWR)  # a device does not end because no key is pressed
    shots = os.open(latch / "shot", os.O_RDWR)
    while os.read(shots, 64):
        (latch / "brightness").write_text("1\n")
        happened("open")
        time.sleep(_milliseconds(latch / "delay_on"))
        (latch / "brightness").write_text("0\n")
        happened("closed")
        time.sleep(_milliseconds(latch / "delay_off"))
        # Shots during a pulse or the rest after it count for nothing.
        os.set_blocking(shots, False)
        with suppress(BlockingIOError):
            os.read(shots, 4096)
        os.set_blocking(shots, True)


def _milliseconds(attribute: Path) -> float:
    return int(attribute.read_text()) / 1000


def event(when: float, down: bool) -> bytes:
    """Return the bytes of a key that goes down or up at a time in seconds, and of the report's end."""
    at = (int(when), int(when % 1 * 1e6))
    return EVENT.pack(*at, EV_KEY, _KEY, int(down)) + EVENT.pack(*at, EV_SYN, 0, 0)


def press(button: Path, seconds: float) -> None:
    """Press a button that was made here, and hold it."""
    with button.open("wb", buffering=0) as pipe:
        pipe.write(event(time.monotonic(), True))
        time.sleep(seconds)
        pipe.write(event(time.monotonic(), False))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m facelatch.hardware.standin", description=__doc__)
    parser.add_argument("what", choices=("make", "press"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=float, nargs="?", default=_TAP_SECONDS)
    given = parser.parse_args()
    if given.what == "press":
        press(given.folder / "button", given.seconds)
        return
    make(given.folder)
    print("made", flush=True)
    play(given.folder, lambda word: print(f"latch {word}", flush=True))


if __name__ == "__main__":
    _main()
