# SPDX-License-Identifier: Apache-2.0
"""Runs in the machine: a finger on a real input device, and an eye on two real LEDs, all three by uinput.

    python3 pins.py FOLDER

FOLDER/finger is a pipe that takes how many seconds to press for, a line each; FOLDER/heard gets a line for everything
that the kernel does to the latch and the light: what, on or off, and when, in seconds of the monotonic clock.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import struct
import sys
import time
from pathlib import Path

# linux/uinput.h and linux/input-event-codes.h
UI_SET_EVBIT, UI_SET_KEYBIT, UI_SET_LEDBIT, UI_SET_PHYS = 0x40045564, 0x40045565, 0x40045569, 0x4008556C
UI_DEV_SETUP, UI_DEV_CREATE = 0x405C5503, 0x5501
EV_SYN, EV_KEY, EV_LED = 0, 1, 0x11
KEY_PROG1 = 148
LATCH, LIGHT = 0x08, 0x09  # LED_MISC, LED_MAIL
NAMES = {LATCH: "latch", LIGHT: "light"}
EVENT = struct.Struct("@llHHi")
SETUP = struct.Struct("@HHHH80sI")


def device(name: str, phys: str, kind: int, codes: list[int], which: int) -> int:
    """Make an input device and return its descriptor, whose end ends it."""
    descriptor = os.open("/dev/uinput", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, UI_SET_EVBIT, kind)
    for code in codes:
        fcntl.ioctl(descriptor, which, code)
    fcntl.ioctl(descriptor, UI_SET_PHYS, phys.encode() + b"\0")
    fcntl.ioctl(descriptor, UI_DEV_SETUP, SETUP.pack(0x19, 1, 1, 1, name.encode(), 0))
    fcntl.ioctl(descriptor, UI_DEV_CREATE)
    return descriptor


def emit(descriptor: int, kind: int, code: int, value: int) -> None:
    """Report one event, and the end of the report."""
    os.write(descriptor, EVENT.pack(0, 0, kind, code, value) + EVENT.pack(0, 0, EV_SYN, 0, 0))


def main(folder: Path) -> None:
    """Press when told to, and tell what is lit, for ever."""
    # As an overlay on GPIO 22 would name it, so that the package's own udev rule finds it.
    button = device("button@16", "gpio-keys/input0", EV_KEY, [KEY_PROG1], UI_SET_KEYBIT)
    leds = device("leds", "facelatch/leds", EV_LED, list(NAMES), UI_SET_LEDBIT)
    folder.mkdir(exist_ok=True)
    (folder / "finger").unlink(missing_ok=True)
    os.mkfifo(folder / "finger")
    finger = os.open(folder / "finger", os.O_RDWR | os.O_NONBLOCK)
    selector = selectors.DefaultSelector()
    selector.register(finger, selectors.EVENT_READ)
    selector.register(leds, selectors.EVENT_READ)
    with (folder / "heard").open("a", buffering=1) as heard:
        heard.write("ready\n")
        while True:
            for key, _ in selector.select():
                if key.fd == leds:
                    _, _, kind, code, value = EVENT.unpack(os.read(leds, EVENT.size))
                    if kind == EV_LED:
                        heard.write(f"{NAMES[code]} {'on' if value else 'off'} {time.monotonic():.3f}\n")
                    continue
                for line in os.read(finger, 4096).split():
                    emit(button, EV_KEY, KEY_PROG1, 1)
                    time.sleep(float(line))
                    emit(button, EV_KEY, KEY_PROG1, 0)
                    heard.write(f"button off {time.monotonic():.3f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
