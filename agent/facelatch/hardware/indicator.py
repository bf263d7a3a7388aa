# SPDX-License-Identifier: Apache-2.0
"""The light beside the camera. The kernel blinks it (the LED class's timer trigger), so it costs no time here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from facelatch.errors import IndicatorError
from facelatch.hardware.led import Led, reason

_STAGE_CYCLE_MS = 1000
# Even before the first stage is passed there is light: the camera is on.
_SHORTEST_STAGE_MS = 100


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a light does, over and over: milliseconds lit, then dark; never zero both.

    None flashes more than three times a second, which can harm (WCAG 2.3.1).
    """

    lit: int
    dark: int


DARK: Final = Pattern(0, 1000)
LOOKING: Final = Pattern(1000, 0)
LOOK_AGAIN: Final = Pattern(250, 250)
TURN_HEAD: Final = Pattern(1500, 500)
RELEASE: Final = Pattern(500, 500)
DONE: Final = Pattern(900, 100)
REFUSED: Final = Pattern(100, 400)
LOCKED_OUT: Final = Pattern(100, 1900)


def stage(passed: int, of: int) -> Pattern:
    """Show how far an enrolment is: the lit share of each second."""
    lit = max(_SHORTEST_STAGE_MS, _STAGE_CYCLE_MS * passed // of)
    return Pattern(lit, _STAGE_CYCLE_MS - lit)


class Indicator(Protocol):
    """A light. One thread at a time may use it."""

    @property
    def name(self) -> str:
        """What a person would call it, for messages."""

    def show(self, pattern: Pattern) -> None:
        """Show a pattern until the next.

        Raises:
            IndicatorError: it does not.
        """


class NoIndicator:
    """For devices without a light."""

    name = "none"

    def show(self, pattern: Pattern) -> None:
        """Show nothing."""


class LedIndicator:
    """An LED of the kernel's.

    Args:
        led: its name under ``/sys/class/leds``, or the directory of a stand-in.
    """

    def __init__(self, led: str) -> None:
        self.name = f"LED {led}"
        self._led = Led(led)

    def show(self, pattern: Pattern) -> None:
        """Have the kernel blink it so.

        Raises:
            IndicatorError: the LED is missing or not ours to write.
        """
        try:
            self._led.choose("timer")
            # The time that is not zero first: two zeros are the kernel's word for its own rhythm.
            for attribute, time in sorted(
                [("delay_on", pattern.lit), ("delay_off", pattern.dark)], key=lambda entry: entry[1] == 0
            ):
                self._led.write(attribute, str(time))
        except OSError as error:
            raise IndicatorError(
                f"{self.name} cannot show anything ({reason(error)})", "check the overlay, the udev rule and the config"
            ) from error
