# SPDX-License-Identifier: Apache-2.0
"""Button, indicator and latch: whether what the configuration names is there, and the agent's to use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from facelatch.config import Config
from facelatch.diagnosis.eyes import eyes_of
from facelatch.diagnosis.finding import AS_ROOT, Finding, State
from facelatch.hardware.led import Led

_OVERLAY = "add its overlay to /boot/firmware/config.txt (an example is in /usr/share/facelatch) and restart the device"
_OWNER = "see that the package's udev rule gives it to the agent's user, and its unit lets it write there"


def check_door(chosen: Config, owner: int | None) -> Iterator[Finding]:
    """Look at each that is configured, with the agent's eyes.

    Args:
        chosen: names them.
        owner: the agent's user; None where it is not known.
    """
    with eyes_of(owner):
        if chosen.button.device is not None:
            yield _judge("button", chosen.button.device, [chosen.button.device], os.R_OK, owner)
        if chosen.indicator.led is not None:
            yield _led("indicator", chosen.indicator.led, ("trigger",), owner)
        if chosen.latch.backend == "led":
            yield _led("latch", chosen.latch.led, ("trigger", "shot", "brightness"), owner)
        elif chosen.latch.backend == "exec":
            yield _program(Path(chosen.latch.command[0]))


def _led(name: str, led: str, attributes: tuple[str, ...], owner: int | None) -> Finding:
    directory = Led(led).directory
    return _judge(name, directory, [directory / attribute for attribute in attributes], os.W_OK, owner)


def _judge(name: str, thing: Path, files: list[Path], access: int, owner: int | None) -> Finding:
    if not thing.exists():
        return Finding(name, State.MISSING, f"{thing} is not there", _OVERLAY)
    for path in files:
        if not path.exists():
            return Finding(name, State.FAILED, f"{path} is not there", _OVERLAY)
        if not os.access(path, access, effective_ids=True):
            if owner is None:
                return Finding(name, State.WEAK, f"{path} is not for this user to use", AS_ROOT)
            return Finding(name, State.FAILED, f"{path} is not the agent's to use", _OWNER)
    return Finding(name, State.OK, f"{thing} can be used")


def _program(path: Path) -> Finding:
    if os.access(path, os.X_OK, effective_ids=True):
        return Finding("latch", State.OK, f"{path} can be run")
    return Finding("latch", State.FAILED, f"{path} cannot be run", "install it, or correct latch.command")
