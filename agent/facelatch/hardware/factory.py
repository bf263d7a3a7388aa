# SPDX-License-Identifier: Apache-2.0
"""Makes the button, the indicator and the latch that the configuration names."""

from __future__ import annotations

from facelatch.config import ButtonConfig, IndicatorConfig, LatchConfig
from facelatch.hardware.button import Button, EvdevButton
from facelatch.hardware.indicator import Indicator, LedIndicator, NoIndicator
from facelatch.hardware.latch import CommandLatch, Latch, LedLatch


def make_button(chosen: ButtonConfig) -> Button | None:
    """Return the button, not opened; None where there is none."""
    return None if chosen.device is None else EvdevButton(chosen.device)


def make_indicator(chosen: IndicatorConfig) -> Indicator:
    """Return the indicator, not looked at."""
    return NoIndicator() if chosen.led is None else LedIndicator(chosen.led)


def make_latch(chosen: LatchConfig) -> Latch | None:
    """Return the latch, not looked at; None where there is none."""
    match chosen.backend:
        case "none":
            return None
        case "led":
            return LedLatch(chosen.led, chosen.pulse, chosen.gap)
        case "exec":
            return CommandLatch(chosen.command, chosen.release, chosen.pulse)
