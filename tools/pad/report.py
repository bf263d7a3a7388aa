# SPDX-License-Identifier: Apache-2.0
"""The report: the error trade-off of each cue, and where the rule is on it. No face appears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from facelatch.face.detector import Floats
from facelatch.face.liveness.geometry import parallax, turned
from tools import page
from tools.evaluate.chart import Chart, linear
from tools.pad.figures import lines
from tools.pad.judging import Outcome
from tools.pad.presentations import Presentation

Cues = dict[str, tuple[list[float], list[float]]]


def cues(outcomes: Sequence[Outcome]) -> Cues:
    """Return each cue's scores of live presentations and of attacks; more is more alive."""
    found: Cues = {}
    for name, score in (
        ("appearance: median log-odds of a burst", _appearance),
        ("geometry: parallax within a burst, passive", _parallax),
        ("geometry: how far the head turns within a burst", _turn),
    ):
        pairs = [(outcome.shown.species is None, score(outcome)) for outcome in outcomes]
        live = [value for real, value in pairs if real and value is not None]
        spoof = [value for real, value in pairs if not real and value is not None]
        found[name] = (live, spoof)
    return found


def area(live: Sequence[float], spoof: Sequence[float]) -> float:
    """Return the area under the ROC: how often a live presentation scores above an attack, ties counting half."""
    one, other = np.array(live)[:, None], np.array(spoof)[None]
    return float((one > other).mean() + (one == other).mean() / 2)


def render(outcomes: Sequence[Outcome], figures: Mapping[str, object]) -> str:
    """Return the page."""
    passed = [(outcome.shown.species is None, outcome.live) for outcome in outcomes]
    spoofs = [live for real, live in passed if not real]
    people = [live for real, live in passed if real]
    sections = []
    for name, (live, spoof) in cues(outcomes).items():
        if not live or not spoof:
            continue
        chart = Chart(f"ROC of {name}", linear("attacks passed, %", 0, 100), linear("live people refused, %", 0, 100))
        thresholds = np.unique(np.concatenate([live, spoof, [-np.inf, np.inf]]))
        chart.line(
            [100 * float(np.mean(np.array(spoof) >= t)) for t in thresholds],
            [100 * float(np.mean(np.array(live) < t)) for t in thresholds],
            "own",
        )
        if spoofs and people:
            chart.dot(100 * float(np.mean(spoofs)), 100 * (1 - float(np.mean(people))), "mark", "the rule")
        caption = f"Area under the ROC {area(live, spoof):.3f}. Dot: the shipped rule, all cues together."
        sections.append(
            f"<section><h2>{escape(name)}</h2><figure>{chart.render()}<figcaption>{caption}</figcaption></figure>"
            "</section>"
        )
    rows = "".join(f"<p>{escape(line)}</p>" for line in lines(figures))
    body = f'<h1>Liveness</h1>{rows}<div class="pictures">{"".join(sections)}</div>'
    return page.html("Facelatch: liveness", body)


def _appearance(outcome: Outcome) -> float | None:
    return outcome.score


def _parallax(outcome: Outcome) -> float | None:
    points = _points(outcome.shown)
    return max(parallax(points[0], other) for other in points[1:]) if len(points) > 1 else None


def _turn(outcome: Outcome) -> float | None:
    yaws = [turned(points) for points in _points(outcome.shown)]
    return max(yaws) - min(yaws) if yaws else None


def _points(shown: Presentation) -> list[Floats]:
    return [look.points for _, look in shown.looks if look.points is not None]
