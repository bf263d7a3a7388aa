# SPDX-License-Identifier: Apache-2.0
"""Small pictures as inline SVG: axes, lines, areas and dots; colours and type come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# A picture is drawn this wide and scaled to the page: narrow, so that its type can still be read on a phone.
WIDTH = 440.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 20.0, 20.0, 42.0


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: what it shows, with the unit.
        low, high: its ends; both above zero on a logarithmic one.
        ticks: where it is marked, and with what.
        log: logarithmic.
    """

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 1; values beyond the ends are brought to them."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear(label: str, low: float, high: float) -> Axis:
    """Make an axis with some five round ticks; both ends are moved out if they are the same."""
    if high <= low:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return Axis(label, low, high, [(i * step, f"{i * step:.6g}") for i in range(first, last + 1)])


def rates(label: str, low: float, high: float = 1.0) -> Axis:
    """Make a logarithmic axis of rates with a tick at each power of ten."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    # A tick at least every power up to six of them, else every other.
    chosen = powers if len(powers) <= 6 else powers[::2]
    return Axis(label, low, high, [(10.0**power, percent(10.0**power)) for power in chosen], log=True)


def percent(share: float) -> str:
    """Write a share as percent, or as one in so many where it is tiny."""
    if share == 0 or share >= 1e-4:
        return f"{100 * share:.3g} %"
    return f"1 in {1 / share:,.0f}"


class Chart:
    """One picture, drawn in order.

    Args:
        title: what it is, for who cannot see it.
        x, y: the axes.
        height: of the whole, in units of which ``WIDTH`` is the width.
        left: room for the labels of the y axis.
    """

    def __init__(self, title: str, x: Axis, y: Axis, *, height: float = 290.0, left: float = _LEFT) -> None:
        self._title, self._x, self._y = title, x, y
        self._height, self._left = height, left
        self._parts: list[str] = []

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies in the picture."""
        across = self._left + self._x.place(x) * (WIDTH - self._left - _RIGHT)
        down = self._height - _BOTTOM - self._y.place(y) * (self._height - _BOTTOM - _TOP)
        return across, down

    def line(self, xs: Sequence[float], ys: Sequence[float], style: str) -> None:
        """Join points (n,) in order."""
        points = (self.point(x, y) for x, y in zip(xs, ys, strict=True))
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in points)
        self._parts.append(f'<path class="line {style}" d="M{path}"/>')

    def histogram(self, edges: Sequence[float], heights: Sequence[float], style: str) -> None:
        """Fill bars of n heights between n + 1 edges."""
        corners = [self.point(edges[0], 0)]
        for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True):
            corners += [self.point(low, height), self.point(high, height)]
        corners.append(self.point(edges[-1], 0))
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in corners)
        self._parts.append(f'<path class="area {style}" d="M{path}Z"/>')

    def dot(self, x: float, y: float, style: str, note: str = "") -> None:
        """Draw a dot; the note shows when it is pointed at."""
        across, down = self.point(x, y)
        title = f"<title>{escape(note)}</title>" if note else ""
        self._parts.append(f'<circle class="dot {style}" cx="{across:.1f}" cy="{down:.1f}" r="4">{title}</circle>')

    def upright(self, x: float, label: str) -> None:
        """Draw a line from bottom to top, named at its upper end."""
        self.line([x, x], [self._y.low, self._y.high], "mark")
        across, _ = self.point(x, self._y.high)
        anchor, shift = ("end", -5) if across > WIDTH * 0.6 else ("start", 5)
        place = f'x="{across + shift:.1f}" y="{_TOP + 10:.1f}" text-anchor="{anchor}"'
        self._parts.append(f'<text class="note" {place}>{escape(label)}</text>')

    def text(self, x: float, y: float, words: str, style: str = "note", anchor: str = "start") -> None:
        """Write beside a point."""
        across, down = self.point(x, y)
        self._parts.append(
            f'<text class="{style}" x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def render(self) -> str:
        """Return the SVG element."""
        title = escape(self._title)
        return (
            f'<svg viewBox="0 0 {WIDTH:g} {self._height:g}" role="img" aria-label="{title}">'
            f"{self._axes()}{''.join(self._parts)}</svg>"
        )

    def _axes(self) -> str:
        bottom = self._height - _BOTTOM
        parts = []
        for value, words in self._x.ticks:
            across, _ = self.point(value, self._y.low)
            parts.append(f'<path class="grid" d="M{across:.1f} {_TOP:g}V{bottom:g}"/>')
            parts.append(f'<text class="tick" x="{across:.1f}" y="{bottom + 15:g}" text-anchor="middle">{words}</text>')
        for value, words in self._y.ticks:
            _, down = self.point(self._x.low, value)
            parts.append(f'<path class="grid" d="M{self._left:g} {down:.1f}H{WIDTH - _RIGHT:g}"/>')
            place = f'x="{self._left - 5:g}" y="{down + 4:.1f}"'
            parts.append(f'<text class="tick" {place} text-anchor="end">{escape(words)}</text>')
        middle = (self._left + WIDTH - _RIGHT) / 2
        place = f'x="{middle:g}" y="{self._height - 8:g}" text-anchor="middle"'
        parts.append(f'<text class="label" {place}>{escape(self._x.label)}</text>')
        parts.append(f'<text class="label" x="2" y="9">{escape(self._y.label)}</text>')
        return "".join(parts)
