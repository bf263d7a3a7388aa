# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: error rates in the terms of ISO/IEC 30107-3, with Clopper-Pearson intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from facelatch.face.liveness import Finding
from tools.evaluate.stats import clopper_pearson
from tools.pad.judging import Outcome

Figures = dict[str, object]


def summarise(outcomes: Sequence[Outcome], milliseconds: Sequence[float]) -> Figures:
    """Return the figures; the species that gets through most comes first.

    A presentation that gave no verdict (the face left, the camera repeats itself) passes nowhere: of an attack it is no
    error, of a live person it is one. The passive rule alone is judged: nobody in recorded frames answers a challenge.
    """
    live = [outcome for outcome in outcomes if outcome.shown.species is None]
    names = sorted({outcome.shown.species for outcome in outcomes if outcome.shown.species is not None})
    species = {name: attack([one for one in outcomes if one.shown.species == name]) for name in names}
    worst = sorted(species, key=lambda name: (-_rate(species[name]["apcer"]), name))
    rejected = [outcome for outcome in live if not outcome.live]
    return {
        "species": {name: species[name] for name in worst},
        "bpcer": _share(len(rejected), len(live)),
        "bpcer_ci95": clopper_pearson(len(rejected), len(live)),
        "bona_fide_presentations": len(live),
        "bona_fide_people": _people(live),
        "bpcer_people": _people(rejected),
        "bpcer_people_ci95": clopper_pearson(_people(rejected), _people(live)),
        "bona_fide_denied": sum(outcome.verdict.finding is Finding.SPOOF for outcome in live),
        "bona_fide_retries": _reasons(live),
        "nested": nested(outcomes),
        "frames_used_p50": float(np.median([outcome.looks for outcome in outcomes])) if outcomes else None,
        "ms_per_frame": float(np.median(milliseconds)) if milliseconds else None,
    }


def attack(outcomes: Sequence[Outcome]) -> Figures:
    """Return the figures of one species; all presentations of a person may err together, hence those by person too."""
    passed = [outcome for outcome in outcomes if outcome.live]
    both = [outcome for outcome in passed if outcome.matched]
    judged = [outcome for outcome in outcomes if outcome.matched is not None]
    return {
        "presentations": len(outcomes),
        "apcer": _share(len(passed), len(outcomes)),
        "apcer_ci95": clopper_pearson(len(passed), len(outcomes)),
        "iapar": _share(len(both), len(judged)),
        "iapar_ci95": clopper_pearson(len(both), len(judged)),
        "matched_without_liveness": _share(sum(bool(one.matched) for one in judged), len(judged)),
        "people": _people(outcomes),
        "people_passed": _people(passed),
        "people_passed_ci95": clopper_pearson(_people(passed), _people(outcomes)),
        "denied": sum(outcome.verdict.finding is Finding.SPOOF for outcome in outcomes),
        "retries": _reasons(outcomes),
    }


def nested(outcomes: Sequence[Outcome]) -> Figures | None:
    """Judge each person by a threshold chosen on the others: the middle between their live and their spoof scores.

    Where those overlap, the middle of the overlap. None where there are fewer than two people or nothing to compare.
    """
    scored = [one for one in outcomes if one.score is not None]
    people = sorted({one.shown.person for one in scored})
    errors = {True: 0, False: 0}
    counts = {True: 0, False: 0}
    thresholds = []
    for person in people:
        others = [one for one in scored if one.shown.person != person]
        live = [one.score for one in others if one.shown.species is None and one.score is not None]
        spoof = [one.score for one in others if one.shown.species is not None and one.score is not None]
        if not live or not spoof:
            return None
        threshold = (min(live) + max(spoof)) / 2
        thresholds.append(threshold)
        for one in scored:
            if one.shown.person == person and one.score is not None:
                real = one.shown.species is None
                counts[real] += 1
                errors[real] += (one.score < threshold) == real
    if not people:
        return None
    return {
        "apcer": _share(errors[False], counts[False]),
        "apcer_ci95": clopper_pearson(errors[False], counts[False]),
        "bpcer": _share(errors[True], counts[True]),
        "bpcer_ci95": clopper_pearson(errors[True], counts[True]),
        "thresholds": (min(thresholds), max(thresholds)),
    }


def lines(figures: Mapping[str, object]) -> list[str]:
    """Return the figures as lines of text, the species first."""
    said = []
    species = figures["species"]
    assert isinstance(species, dict)
    for name, one in species.items():
        said.append(
            f"{name}: {one['presentations']} presentations of {one['people']} people; "
            f"APCER {_said(one['apcer'], one['apcer_ci95'])}; IAPAR {_said(one['iapar'], one['iapar_ci95'])} "
            f"(without liveness {_said(one['matched_without_liveness'])}); "
            f"people who got through {_said(one['people_passed'] / one['people'], one['people_passed_ci95'])}"
        )
        said += [f"  no verdict, {reason}: {count}" for reason, count in one["retries"].items()]
    said.append(
        f"live: {figures['bona_fide_presentations']} presentations of {figures['bona_fide_people']} people; "
        f"BPCER {_said(figures['bpcer'], figures['bpcer_ci95'])}, passive; "
        f"denied outright {figures['bona_fide_denied']}"
    )
    retries = figures["bona_fide_retries"]
    assert isinstance(retries, dict)
    said += [f"  no verdict, {reason}: {count}" for reason, count in retries.items()]
    inner = figures["nested"]
    if isinstance(inner, dict):
        low, high = inner["thresholds"]
        said.append(
            f"threshold from the other people ({low:.1f} to {high:.1f}): APCER "
            f"{_said(inner['apcer'], inner['apcer_ci95'])}; BPCER {_said(inner['bpcer'], inner['bpcer_ci95'])}"
        )
    said.append(f"frames used, median: {figures['frames_used_p50']}; {_milliseconds(figures['ms_per_frame'])} a frame")
    return said


def _people(outcomes: Sequence[Outcome]) -> int:
    return len({outcome.shown.person for outcome in outcomes})


def _reasons(outcomes: Sequence[Outcome]) -> dict[str, int]:
    found: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.verdict.reason is not None:
            found[outcome.verdict.reason.value] = found.get(outcome.verdict.reason.value, 0) + 1
    return found


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _rate(value: object) -> float:
    return value if isinstance(value, float) else 0.0


def _said(share: object, interval: object = None) -> str:
    if not isinstance(share, float):
        return "not known"
    if not isinstance(interval, tuple):
        return f"{100 * share:.1f} %"
    return f"{100 * share:.1f} % ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _milliseconds(value: object) -> str:
    return f"{value:.1f} ms" if isinstance(value, float) else "no time"
