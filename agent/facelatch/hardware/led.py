# SPDX-License-Identifier: Apache-2.0
"""An LED of the kernel's LED class: a directory of small files, which a stand-in can have, too."""

from __future__ import annotations

import os
from pathlib import Path

_CLASS = Path("/sys/class/leds")
# An attribute is one page at most.
_MAX_BYTES = 4096


class Led:
    """One LED.

    Args:
        name: as the kernel has it, or the absolute path of a directory with the same files.
    """

    def __init__(self, name: str) -> None:
        self.directory = _CLASS / name  # an absolute path takes the place of the whole

    def choose(self, trigger: str) -> None:
        """See that this trigger drives the LED.

        Raises:
            OSError: there is no such LED or trigger, or we may not choose it.
        """
        if f"[{trigger}]" not in self.read("trigger").split():
            self.write("trigger", trigger)

    def read(self, attribute: str) -> str:
        """Read an attribute.

        Raises:
            OSError: there is none, or it is not for us to read.
        """
        descriptor = os.open(self.directory / attribute, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.read(descriptor, _MAX_BYTES).decode("ascii", "replace").strip()
        finally:
            os.close(descriptor)

    def write(self, attribute: str, value: str) -> None:
        """Write an attribute that is there; none is ever made.

        Raises:
            OSError: there is none, it is not for us to write, or the kernel does not take the value.
        """
        # As a pipe, which a stand-in may have in its place, it must have a reader: nothing waits for one.
        flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_TRUNC
        descriptor = os.open(self.directory / attribute, flags)
        try:
            os.write(descriptor, f"{value}\n".encode("ascii"))
        finally:
            os.close(descriptor)


def reason(error: OSError) -> str:
    """Say an error of an LED in words that can be followed by a remedy."""
    if isinstance(error, PermissionError):
        return "it is not for us to write"
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    return error.strerror or type(error).__name__
