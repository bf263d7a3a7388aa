# SPDX-License-Identifier: Apache-2.0
"""The pictures of a run; each is "" where there is nothing to draw."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from tools.evaluate.chart import Axis, Chart, linear, percent, rates
from tools.evaluate.curve import TARGET_FRR
from tools.evaluate.figures import Run
from tools.evaluate.measure import Genuine
from tools.evaluate.stats import clopper_pearson, det, per_person, success

# Steps of the DET curve in each power of ten.
_STEPS = 50
_BINS = 44
# Pairs of sessions shown, those farthest apart first.
_PAIRS = 24


def det_curve(run: Run) -> str:
    """Draw false rejects against false accepts of a threshold on distance, and the shipped lattice by decoding."""
    own = [trial.distance for trial in run.genuine]
    other = run.impostors.distances
    if not own or not len(other):
        return ""
    _, frr, far = det(own, other)
    _, bound = clopper_pearson(run.impostors.opened, len(other))
    x = rates("false accepts", 10 ** math.floor(math.log10(1 / len(other))))
    y = rates("false rejects", 10 ** math.floor(math.log10(1 / len(own))))
    chart = Chart("Detection error trade-off", x, y)
    # Steps in false accepts too small to be seen are left out.
    seen = np.round(_STEPS * np.log10(np.maximum(far, x.low)))
    corners = np.flatnonzero(np.diff(seen, prepend=-np.inf) + np.abs(np.diff(frr, prepend=2)))
    chart.line(far[corners].tolist(), frr[corners].tolist(), "own")
    rejected = float(np.mean([trial.opened_at is None for trial in run.genuine]))
    note = f"shipped: FRR {percent(rejected)}, FAR below {percent(bound)}"
    chart.line([x.low, bound], [rejected, rejected], "mark")
    chart.dot(bound, rejected, "mark", note)
    chart.text(bound, min(rejected * 1.35, 0.9), note, anchor="start" if bound < 1e-2 else "end")
    return chart.render()


def histograms(run: Run) -> str:
    """Draw how far genuine and impostor attempts are from the enrolment."""
    own, other = np.array([trial.distance for trial in run.genuine]), run.impostors.distances
    if not own.size and not other.size:
        return ""
    radius = run.parameters.accept_radius
    everything = np.concatenate([own, other, [radius]])
    edges = np.linspace(math.floor(everything.min()), math.ceil(everything.max()), _BINS + 1)
    shares = {
        style: np.histogram(values, edges)[0] / len(values)
        for style, values in (("own", own), ("other", other))
        if len(values)
    }
    top = max(float(share.max()) for share in shares.values()) * 1.12
    y = linear("share of attempts, in percent", 0, 100 * top)
    chart = Chart("Distances", linear("distance, in within-person deviations", edges[0], edges[-1]), y)
    for style, share in shares.items():
        chart.histogram(edges.tolist(), (100 * share).tolist(), style)
    chart.upright(radius, "accept radius")
    for style, words, values in (("own", "same person", own), ("other", "other people", other)):
        if len(values):
            peak = int(np.argmax(shares[style]))
            chart.text(edges[peak], 100 * float(shares[style][peak]) + 1.5 * top, words, f"note {style}", "middle")
    return chart.render()


def drift(run: Run) -> str:
    """Draw how far attempts are from enrolments, by pair of sessions."""
    if not run.protocol.sessions or not run.genuine:
        return ""
    several = {trial.person for trial in run.genuine}
    rows: dict[tuple[str, str], list[Genuine]] = defaultdict(list)
    for trial in (*run.genuine, *(again for again in run.same_session if again.person in several)):
        rows[trial.enrolled_in, trial.attempted_in].append(trial)
    by_distance = sorted(rows, key=lambda pair: -float(np.median([trial.distance for trial in rows[pair]])))
    shown = sorted(by_distance[:_PAIRS], key=lambda pair: (pair[0], pair[0] != pair[1], pair[1]))
    distances = [trial.distance for pair in shown for trial in rows[pair]]
    x = linear("distance, in within-person deviations", math.floor(min(distances)), math.ceil(max(distances)) + 1)
    last = len(shown)
    ticks = [(last - row - 0.5, _pair(pair)) for row, pair in enumerate(shown)]
    chart = Chart("Drift", x, Axis("enrolled in, attempted in", 0, last, ticks), height=70 + 19 * last, left=130)
    for row, pair in enumerate(shown):
        for trial in rows[pair]:
            style = "same" if _again(pair) else "own" if trial.opened_at is not None else "failed"
            chart.dot(trial.distance, last - row - 0.5, style, f"{trial.distance:.1f}")
    chart.upright(run.parameters.accept_radius, "accept radius")
    return chart.render()


def strength_curve(run: Run) -> str:
    """Draw guesswork against false rejects over the cells tried, by real decoding."""
    if not run.points:
        return ""
    bits = [point.guesswork_bits for point in run.points]
    highest = max(0.1, *(point.frr_ci95[1] for point in run.points))
    x = linear("false rejects, in percent", 0, 100 * highest)
    chart = Chart("Strength", x, linear("guesswork, in bits", max(0, min(bits) - 2), max(bits) + 2))
    chart.upright(100 * TARGET_FRR, "5 %")
    for point in run.points:
        low, high = point.frr_ci95
        chart.line([100 * low, 100 * high], [point.guesswork_bits] * 2, "faint")
    chart.line([100 * point.frr for point in run.points], bits, "own")
    for point in run.points:
        shipped = math.isclose(point.cell, run.parameters.cell)
        note = f"cell {point.cell:.2f}: {point.guesswork_bits:.1f} bits at FRR {percent(point.frr)}"
        chart.dot(100 * point.frr, point.guesswork_bits, "mark" if shipped else "own", note)
        if shipped:
            chart.text(100 * point.frr + 0.02 * 100 * highest, point.guesswork_bits - 1.2, "shipped")
    return chart.render()


def attack(run: Run) -> str:
    """Draw how likely an attacker with record and device key is to succeed, by tries, as predicted."""
    if not run.strength.people:
        return ""
    powers = np.linspace(0, 45, 91)
    chances = [
        100 * float(per_person(run.strength.people, [success(b, round(2**p)) for b in run.strength.bits]).mean())
        for p in powers
    ]
    ticks = [(10.0 * i, f"2^{10 * i}" if i else "1") for i in range(5)]
    chart = Chart("Attack", Axis("tries, each an Argon2id run", 0, 45, ticks), linear("success, in percent", 0, 100))
    chart.line(powers.tolist(), chances, "other")
    return chart.render()


def _again(sessions: tuple[str, str]) -> bool:
    """Tell whether an attempt is in a session of its enrolment."""
    return sessions[1] in sessions[0].split("+")


def _pair(sessions: tuple[str, str]) -> str:
    first, second = sessions
    words = f"{first}, {'again' if first == second else second.rpartition('-')[2]}"
    # The room beside the axis; the whole name stands in the table of people.
    return words if len(words) <= 20 else f"…{words[-19:]}"
