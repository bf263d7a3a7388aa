# SPDX-License-Identifier: Apache-2.0
"""How the cost grows, as pictures and tables: one HTML page, without scripts and without anything from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from tools import page
from tools.bench.beams import COPIES, NOISE
from tools.decoding import noise
from tools.decoding.tables import Table
from tools.evaluate.chart import Axis, Chart, linear, rates

if TYPE_CHECKING:
    from tools.bench.growth import Growth

_DIMENSION = 24 * COPIES
# Growth is held against a straight line from here: below it, what a call costs by itself counts most.
FROM, TO = 100, 1000
_STYLES = ("own", "other")


def linearity(grown: Mapping[int, float]) -> float:
    """Return how many times more the most users cost than a straight line from FROM has it."""
    return grown[TO] / (grown[FROM] * TO / FROM)


def render(found: Growth) -> str:
    """Return the page."""
    drawn = [
        (
            found.users,
            "Users",
            _users,
            "A decode for so many users at once. Dashed: a straight line from 100 users on.",
        ),
        (found.frames, "Frame size", _frames, "One look, from a frame to an embedding, at the same scene."),
        (
            found.threads,
            "Threads",
            _threads,
            "By the clock, two cores against one (decode: 100 users); below the line they help. The agent uses one.",
        ),
        (found.beams, "Errors by beam", _errors, f"Wrong decodes at noise {NOISE} v, k = {_DIMENSION}."),
        (
            found.beams,
            "Distance to the best decoding",
            _decibels,
            "Blue: how much less noise it bears than exhaustive search, at the same errors. Orange: than the sphere "
            "bound allows any lattice (Tarokh, Vardy and Zeger 1999). Dashed: the goal.",
        ),
    ]
    pictures = "".join(
        f"<section><h2>{title}</h2><figure>{draw(found)}<figcaption>{escape(words)}</figcaption></figure></section>"
        for part, title, draw, words in drawn
        if part
    )
    lacking = "".join(f'<p class="warn">{escape(part)}: {escape(why)}</p>' for part, why in found.missing.items())
    listed = "".join(f"<section>{table.html()}</section>" for table in tables(found))
    head = (
        '<h1>How the cost grows</h1><p class="soft">One core and one thread, but where threads are compared. '
        "Processor time, which other work on the machine touches little; it belongs to this machine.</p>"
    )
    return page.html("How the cost grows", f'{head}{lacking}<div class="pictures">{pictures}</div>{listed}')


def tables(found: Growth) -> list[Table]:
    """Return what was measured."""
    listed = []
    if found.users:
        counts = list(next(iter(found.users.values())))
        rows = [
            [name, *(f"{grown[users]:.3g}" for users in counts), f"{linearity(grown):.2f}"]
            for name, grown in found.users.items()
        ]
        columns = ["set", *map(str, counts), f"{TO} against {FROM}, linear = 1"]
        listed.append(Table("Milliseconds of a decode, by users", columns, rows))
    if found.frames:
        rows = [[size, f"{taken:.3g}"] for size, taken in found.frames.items()]
        listed.append(Table("Milliseconds of a look, by frame size", ["frame", "ms"], rows))
    if found.threads:
        rows = [[stage, f"{grown[1]:.3g}", f"{grown[2]:.3g}"] for stage, grown in found.threads.items()]
        listed.append(Table("Milliseconds by the clock, by threads", ["stage", "1", "2"], rows))
    if found.beams:
        rows = [
            [
                "exhaustive" if each.width is None else str(each.width),
                "" if each.milliseconds is None else f"{each.milliseconds:.2f}",
                "{:.3%} ({:.3%} to {:.3%})".format(*each.error),
                "{:.2f} ({:.2f} to {:.2f})".format(*each.short),
                f"{each.limit:.2f}",
            ]
            for each in found.beams
        ]
        rows.append(["sphere bound", "", f"{noise.sphere_bound(NOISE, _DIMENSION):.4%}", "", "0"])
        columns = ["beam", "ms", "errors (95 %)", "dB short of exhaustive (95 %)", "dB short of the sphere bound"]
        title = f"k = {_DIMENSION}, noise {NOISE} v, {found.trials} targets; one user"
        listed.append(Table(title, columns, rows))
    return listed


def _users(found: Growth) -> str:
    counts = list(next(iter(found.users.values())))
    every = [taken for grown in found.users.values() for taken in grown.values()]
    x = _powers("users", counts[0], counts[-1])
    chart = Chart("Milliseconds by users", x, _powers("ms", min(every), max(every)))
    for (name, grown), style in zip(found.users.items(), _STYLES, strict=False):
        chart.line([FROM, TO], [grown[FROM], grown[FROM] * TO / FROM], "mark")
        chart.line(list(grown), list(grown.values()), style)
        chart.text(counts[2], grown[counts[2]] * (0.45 if style == "own" else 1.8), name, f"note {style}")
    return chart.render()


def _frames(found: Growth) -> str:
    pixels = [math.prod(int(side) for side in size.split(" x ")) / 1e6 for size in found.frames]
    taken = list(found.frames.values())
    chart = Chart("Milliseconds by frame size", linear("megapixels", 0, max(pixels) * 1.1), _up("ms", max(taken)))
    chart.line(pixels, taken, "own")
    for size, across, up in zip(found.frames, pixels, taken, strict=True):
        chart.dot(across, up, "", f"{size}: {up:.1f} ms")
    return chart.render()


def _threads(found: Growth) -> str:
    stages = list(found.threads)
    shares = [grown[2] / grown[1] for grown in found.threads.values()]
    x = Axis("", 0.5, len(stages) + 0.5, [(place, stage) for place, stage in enumerate(stages, 1)])
    chart = Chart("Time with two threads", x, _up("with two threads, times that with one", max(1, *shares)))
    chart.line([x.low, x.high], [1, 1], "mark")
    for place, (stage, share) in enumerate(zip(stages, shares, strict=True), 1):
        chart.dot(place, share, "", f"{stage}: {share:.2f}")
    return chart.render()


def _errors(found: Growth) -> str:
    best, *ours = found.beams
    bound = noise.sphere_bound(NOISE, _DIMENSION)
    chart = Chart("Errors by beam", _beams(found), rates("wrong", min(bound, 1e-5), 1.0), left=74)
    ends = [each.width or 1 for each in (ours[0], ours[-1])]
    for share, name in ((best.error[0], "exhaustive"), (bound, "sphere bound, any lattice")):
        chart.line(ends, [share, share], "mark")
        chart.text(ends[0] * 1.1, share * 1.3, name)
    chart.line([each.width or 1 for each in ours], [max(each.error[0], 1e-5) for each in ours], "own")
    for each in ours:
        chart.dot(each.width or 1, each.error[0], "", f"beam {each.width}: {each.error[0]:.3%}")
    return chart.render()


def _decibels(found: Growth) -> str:
    _, *ours = found.beams
    widths = [each.width or 1 for each in ours]
    chart = Chart("dB by beam", _beams(found), _up("dB short", max(each.limit for each in ours)))
    chart.line([widths[0], widths[-1]], [0.3, 0.3], "mark")
    chart.line(widths, [each.limit for each in ours], "other")
    chart.line(widths, [each.short[0] for each in ours], "own")
    for each in ours:
        _, low, high = each.short
        chart.line([each.width or 1] * 2, [low, high], "own")
        chart.dot(each.width or 1, each.short[0], "", f"beam {each.width}, {each.milliseconds:.1f} ms")
    return chart.render()


def _beams(found: Growth) -> Axis:
    widths = [each.width for each in found.beams if each.width is not None]
    return Axis("beam", min(widths), max(widths), [(width, str(width)) for width in widths], log=True)


def _powers(label: str, low: float, high: float) -> Axis:
    """A logarithmic axis with a tick at each power of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return Axis(label, 10.0**first, 10.0**last, [(10.0**i, f"{10.0**i:g}") for i in range(first, last + 1)], log=True)


def _up(label: str, high: float) -> Axis:
    return linear(label, 0, high * 1.1)
