# SPDX-License-Identifier: Apache-2.0
"""Attacks through the camera on what a record is made of: two people in one enrolment, and poisoned refreshes."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from facelatch.daemon import attempts
from facelatch.daemon.attempts import Enrolled, EnrolmentPlan, Refused
from facelatch.daemon.worker import DeadlineError, Session
from facelatch.face.encoder import unit
from facelatch.face.path import Look
from facelatch.l2fe import refresh
from facelatch.l2fe.extractor import Extractor, Sketch
from facelatch.l2fe.lattice import Integers
from facelatch.l2fe.rotation import SEED_BYTES
from tools.decoding.tables import watched
from tools.evaluate.stats import rate_interval
from tools.redteam.madeup import Sphere
from tools.redteam.part import Control, Job
from tools.redteam.records_at_rest import cheap, roster, unlocks
from tools.redteam.search import Floats

Looks = npt.NDArray[np.float32]

# Images of each person that an enrolment takes, and that an attempt takes.
_ENROL, _PROBE = 6, 3
_PAIRS, _QUICK_PAIRS = 60, 4
# Distances at which a look-alike stands, in parts of the accept radius; and how long they come.
_ALIKE = (0.5, 0.7, 0.8, 0.9, 1.0)
_DAYS = 60
_TRIALS, _QUICK_TRIALS = 10, 2
# How steady a look of somebody is, in within-person deviations: as a mean of some frames in one light.
_LOOK_NOISE = 0.4
# Distance of a stranger, in accept radii: the median of lfw-dev's impostors is over two.
_STRANGER = 2.0


class _Script(Session[Any]):
    """Plays looks to an enrolment; stands in for the camera's thread."""

    def __init__(self, looks: Iterable[Look]) -> None:
        self.report = lambda _: None
        self.elapsed = 0.0
        self._script = looks
        self._stop = threading.Event()
        self._timeout = float("inf")

    def looks(self) -> Generator[Look]:
        for look in self._script:
            self.elapsed += 1.0
            yield look
        raise DeadlineError


@dataclass(frozen=True)
class Morph:
    """How one enrolment of two people ended: why it was refused or None, and for whom the record opens."""

    refused: str | None
    first: bool
    second: bool


def two_in_one(job: Job) -> tuple[list[list[str]], dict[str, dict[str, Any]]]:
    """Enrol two people as one, by turns before the camera and as a blend, by the agent's own checks.

    The blend is one of embeddings, which a blend of pictures only approaches.

    Returns:
        Rows for a table; figures.
    """
    pairs = _QUICK_PAIRS if job.quick else _PAIRS
    kinds = {"one person": (1.0, True), "by turns": (0.5, True), "blend": (0.5, False)}
    found: dict[str, list[tuple[str, Morph]]] = {kind: [] for kind in kinds}
    for extractor, people in _held_out(job, pairs):
        for number, (name, own) in enumerate(people):
            other = people[(number + 1) % len(people)][1]
            for kind, (part, turns) in kinds.items():
                found[kind].append((name, _morph(extractor, own, other, part, turns=turns)))
    rows: list[list[str]] = []
    figures: dict[str, dict[str, Any]] = {}
    for kind, morphs in found.items():
        names = [name for name, _ in morphs]
        both = [one.first and one.second for _, one in morphs]
        refused = [one.refused for _, one in morphs if one.refused]
        first, second = (float(np.mean([getattr(one, who) for _, one in morphs])) for who in ("first", "second"))
        low, high = rate_interval(names, both, seed=job.seed)
        counts = {reason: refused.count(reason) for reason in sorted(set(refused))}
        figures[kind] = {
            "pairs": len(morphs),
            "refused": counts,
            "first_opens": first,
            "second_opens": second,
            "both_open": float(np.mean(both)),
            "both_open_interval": (low, high),
        }
        told = ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"
        rows.append([kind, told, f"{first:.0%}", f"{second:.0%}", f"{np.mean(both):.0%} ({low:.0%} to {high:.0%})"])
    return rows, figures


def _held_out(job: Job, pairs: int) -> Generator[tuple[Extractor, list[tuple[str, Looks]]]]:
    """Give, fold by fold, people with images enough, under a model fitted without them."""
    data, p = job.data, cheap(job.parameters)
    rng = np.random.default_rng([job.seed, 14])
    for projection, held_out in watched(job.folds, "two people in one enrolment"):
        people = []
        for name in np.unique(data.people[held_out]):
            rows = np.flatnonzero(data.people == name)
            if len(rows) >= _ENROL + _PROBE:
                people.append((str(name), data.embeddings[rng.permutation(rows)[: _ENROL + _PROBE]]))
        share = people[: max(2, pairs // len(job.folds))]
        if len(share) > 1:
            yield Extractor(replace(p, projection=projection)), share


def _morph(extractor: Extractor, first: Looks, second: Looks, part: float, *, turns: bool) -> Morph:
    if part == 1:
        looks = first[:_ENROL]
    elif turns:
        # Two of one, two of the other: every third look is kept aside, which should not be one person's alone.
        blocks = [np.concatenate([first[i : i + 2], second[i : i + 2]]) for i in range(0, _ENROL, 2)]
        looks = np.concatenate(blocks)
    else:
        looks = (part * first[:_ENROL] + (1 - part) * second[:_ENROL]).astype(np.float32)
    plan = EnrolmentPlan("anna", False, frames=len(looks), seconds=1e-6, timeout=1e-6)
    with roster(extractor) as (people, _):
        session = _Script([Look(embedding=look) for look in looks])
        outcome = attempts.enrol(session, plan, extractor, people)
    if not isinstance(outcome, Enrolled):
        reason = outcome.reason.name.lower() if isinstance(outcome, Refused) else "duplicate"
        return Morph(reason, False, False)
    probes = [unit(one[_ENROL:].sum(axis=0)) for one in (first, second)]
    opens = [unlocks(extractor, outcome.record, probe) for probe in probes]
    return Morph(None, *opens)


@dataclass(frozen=True)
class Poisoned:
    """Where a record has gone: how far, on which day the attacker first opened it, and whether the owner still does."""

    moved: float
    taken: int | None
    owner: bool


def poisoned(job: Job) -> tuple[list[list[str]], dict[str, object], Control]:
    """Come daily as a look-alike, or with a picture that drifts; the agent's own refresh moves the record.

    Returns:
        Rows for a table, figures, and the same without the bound on the number of steps.
    """
    p = job.parameters
    extractor, sphere = Extractor(p), Sphere(p)
    trials = _QUICK_TRIALS if job.quick else _TRIALS
    days = 2 * refresh.MAX_STEPS if job.quick else _DAYS
    rows: list[list[str]] = []
    figures: dict[str, object] = {}
    for part in watched(_ALIKE[1:3] if job.quick else _ALIKE, "poisoned refreshes"):
        found = [_come(extractor, sphere, part, days, [job.seed, 15, n], bounded=True) for n in range(trials)]
        rows.append(_row(f"a look-alike at {part:g} of the accept radius", found))
        figures[f"alike_{part:g}"] = _figures(found)
    drift = [
        _come(extractor, sphere, _STRANGER, days, [job.seed, 16, n], bounded=True, drifting=True) for n in range(trials)
    ]
    free = [
        _come(extractor, sphere, _STRANGER, _DAYS, [job.seed, 16, n], bounded=False, drifting=True)
        for n in range(trials)
    ]
    rows.append(_row("a stranger with pictures that drift from the owner to them", drift))
    rows.append(_row("the same, without the bound on steps", free))
    figures["drift"], figures["drift_unbounded"] = _figures(drift), _figures(free)
    bites = all(one.taken is not None for one in free) and all(one.taken is None for one in drift)
    return rows, figures, Control("refreshes without an end: a drifting picture takes the record over", bites)


def _come(
    extractor: Extractor,
    sphere: Sphere,
    part: float,
    days: int,
    seed: list[int],
    *,
    bounded: bool,
    drifting: bool = False,
) -> Poisoned:
    """Come once a day; ``drifting`` shows a face between the record and one's own, as far as a refresh allows."""
    p = extractor.parameters
    rng = np.random.default_rng(seed)
    owner = p.spread * rng.normal(size=p.k)
    away = rng.normal(size=p.k)
    attacker = owner + part * p.accept_radius * away / np.linalg.norm(away)
    point = p.lattice.draw(rng.bytes)
    sketch = extractor.sketch(sphere.at(owner), rng.bytes(SEED_BYTES), point)
    steps, taken = 0, None

    def look(y: Floats) -> npt.NDArray[np.float32]:
        return sphere.at(y + _LOOK_NOISE * rng.normal(size=p.k))

    for day in range(1, days + 1):
        shown = attacker
        if drifting:
            at = refresh.enrolled_vector(extractor, sketch, point)
            left = attacker - at
            reach = 0.7 * refresh.WELL_INSIDE * p.accept_radius
            shown = at + left * min(1.0, reach / float(np.linalg.norm(left)))
        seen = look(shown)
        history = refresh.History(0, 0, steps if bounded else 0)
        if _opens(extractor, sketch, point, seen) and refresh.due(history, day * refresh.INTERVAL_USEC):
            moved = refresh.recentre(extractor, sketch, point, seen)
            sketch, steps = (sketch, steps) if moved is None else (moved, steps + 1)
        if taken is None and _opens(extractor, sketch, point, look(attacker)):
            taken = day
    moved_by = float(
        np.linalg.norm(refresh.enrolled_vector(extractor, sketch, point) - extractor.project(sphere.at(owner)))
    )
    return Poisoned(moved_by, taken, _opens(extractor, sketch, point, look(owner)))


def _opens(extractor: Extractor, sketch: Sketch, point: Integers, look: npt.NDArray[np.float32]) -> bool:
    return any(np.array_equal(found.point, point) for found in extractor.candidates(look, [sketch]))


def _row(name: str, found: list[Poisoned]) -> list[str]:
    taken = [one.taken for one in found if one.taken is not None]
    return [
        name,
        f"{np.mean([one.moved for one in found]):.1f}",
        f"{len(taken)} of {len(found)}",
        f"{np.median(taken):.0f}" if taken else "",
        f"{sum(one.owner for one in found)} of {len(found)}",
    ]


def _figures(found: list[Poisoned]) -> dict[str, object]:
    taken = [one.taken for one in found if one.taken is not None]
    return {
        "trials": len(found),
        "moved_mean": float(np.mean([one.moved for one in found])),
        "attacker_opens": len(taken),
        "median_day": float(np.median(taken)) if taken else None,
        "owner_opens": sum(one.owner for one in found),
    }
