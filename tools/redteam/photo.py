# SPDX-License-Identifier: Apache-2.0
"""With a photograph of the owner, several, an old one, or of a look-alike: one attempt, and search without limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facelatch.face.encoder import unit
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.parameters import ParameterSet
from tools import dataset
from tools.dataset import Embedded
from tools.decoding.tables import Table, watched
from tools.evaluate.lock import Lock
from tools.evaluate.protocol import spread as evenly
from tools.evaluate.stats import Interval, rate_interval
from tools.fitting import Faces
from tools.redteam import beliefs, records, searched, trying
from tools.redteam.beliefs import Belief, Floats
from tools.redteam.part import Control, Job, Outcome
from tools.redteam.records import HeldOut
from tools.redteam.searched import Run
from tools.redteam.trying import Target

Embeddings = npt.NDArray[np.float32]

# Photographs that the attacker has.
COUNTS = (1, 2, 3, 5)
# Searches of each kind; attempts are made at all.
_SEARCHES = 20
_QUICK = 2
# Frames of a session that an enrolment takes, and photographs of another tried for each.
_FRAMES = 24
_TRIED = 5
_NO_KIN = "Kin: not measured, for no data set here says who is related; see the relatives made up under `search`."


@dataclass(frozen=True)
class Shot:
    """What the attacker has of one owner.

    Attributes:
        parameters: the set, with a model that has not seen the owner.
        person: the owner.
        enrolled: (d,) what the owner enrolled with.
        shown: (d,) the unit embedding that the photographs give.
        belief: what they tell of the enrolment vector.
    """

    parameters: ParameterSet
    person: str
    enrolled: Embeddings
    shown: Embeddings
    belief: Belief


@dataclass(frozen=True)
class Seen:
    """How it went.

    Attributes:
        name: what the attacker had.
        people: whose each shot is.
        opened: at one attempt, with the daemon's two guesses.
        run: searches of some of them.
    """

    name: str
    people: list[str]
    opened: list[bool]
    run: Run

    @property
    def share(self) -> float:
        """Share opened at one attempt."""
        return float(np.mean(self.opened))

    @property
    def interval(self) -> Interval:
        """Its 95 % interval, over people."""
        return rate_interval(self.people, self.opened, seed=1)


def photo(job: Job) -> Outcome:
    """Attack owners of whom photographs are known."""
    parts = records.held_out(job.sources, job.data, job.parameters.k, job.seed, few=job.quick)
    kinds = {
        f"{count} photograph{'s' if count > 1 else ''}": _photographs(job, parts, count)
        for count in COUNTS[: 1 if job.quick else None]
    }
    kinds["a look-alike"] = _look_alikes(job, parts)
    notes = [_NO_KIN]
    old = [shots for faces in job.sources.changes if (shots := _old(job, faces))]
    if old:
        kinds["1 photograph of another session"] = [shot for shots in old for shot in shots]
    else:
        notes.append("An old photograph: skipped, for no --changes folder holds people of several sessions.")
    found = [_attempted(job, name, shots) for name, shots in kinds.items() if shots]
    one = kinds["1 photograph"]
    itself = [replace(shot, shown=shot.enrolled) for shot in one[:_SEARCHES]]
    return Outcome(
        figures={
            "success": found[0].share,
            "success_interval": found[0].interval,
            "kinds": {seen.name: _figures(seen) for seen in found},
        },
        tables=[_table(found)],
        controls=[
            Control("the enrolment itself is shown: opens every time", all(_opened(itself, job.seed, "Control")))
        ],
        said=[
            f"One photograph of the owner and a single attempt open {found[0].share:.0%} of the records whose device "
            "key is known: a photograph mostly suffices.",
            *notes,
        ],
    )


def _photographs(job: Job, parts: Sequence[HeldOut], count: int) -> list[Shot]:
    shots = []
    for part in parts:
        p = replace(job.parameters, projection=part.projection)
        rng = np.random.default_rng(job.seed)
        pairs = [
            (part.projection(unit(left[:count].sum(axis=0))), part.projection(enrolled))
            for _, enrolled, left in records.enrolments(part.known, rng)
            if len(left) >= count
        ]
        if len(pairs) < 2:
            continue
        slope, offset, left_over = beliefs.from_pairs(*map(np.stack, zip(*pairs, strict=True)))
        for name, enrolled, left in zip(part.people.tolist(), part.enrolled, part.left, strict=True):
            if len(left) >= count:
                shown = unit(left[:count].sum(axis=0))
                belief = (beliefs.apart(offset + slope * part.projection(shown), left_over),)
                shots.append(Shot(p, name, enrolled, shown, belief))
    return shots


def _look_alikes(job: Job, parts: Sequence[HeldOut]) -> list[Shot]:
    """Give each owner the nearest of the people the attacker knows, chosen as by one who knows the owner."""
    shots = []
    for part in parts:
        p = replace(job.parameters, projection=part.projection)
        names, faces = means(part.known)
        looks = part.projection(faces)
        drawn = records.enrolments(part.known, np.random.default_rng(job.seed))
        vectors = part.projection(np.stack([enrolled for _, enrolled, _ in drawn]))
        hints = [_nearest(looks, y, names != name) for (name, _, _), y in zip(drawn, vectors, strict=True)]
        slope, offset, left_over = beliefs.from_pairs(looks[hints], vectors)
        for name, enrolled, y in zip(part.people.tolist(), part.enrolled, part.vectors, strict=True):
            like = _nearest(looks, y, names != name)
            belief = (beliefs.apart(offset + slope * looks[like], left_over),)
            shots.append(Shot(p, name, enrolled, faces[like], belief))
    return shots


def _old(job: Job, faces: Faces) -> list[Shot]:
    """Photographs of one session against enrolments of another, of people with several; none if there are none."""
    data = dataset.embed(faces.origin, ungated=True)
    sessions: dict[str, list[str]] = {}
    for name in np.unique(data.people).tolist():
        person, _, number = name.rpartition("-")
        if person and number.isdigit():
            sessions.setdefault(person, []).append(name)
    several = {person: names for person, names in sessions.items() if len(names) > 1}
    if not several:
        return []
    projection = job.sources.without(faces.origin, list(several)).fit(job.parameters.k)
    p = replace(job.parameters, projection=projection)
    rng = np.random.default_rng(job.seed)
    # How far a photograph may be from its owner is learnt from the population, whose pictures are as far apart.
    pairs = [
        (projection(unit(left[0])), projection(enrolled)) for _, enrolled, left in records.enrolments(job.data, rng)
    ]
    slope, offset, left_over = beliefs.from_pairs(*map(np.stack, zip(*pairs, strict=True)))
    shots = []
    for person, names in several.items():
        for first in names:
            rows = np.flatnonzero(data.people == first)
            enrolled = unit(data.embeddings[evenly(rows, min(_FRAMES, len(rows)), rng)].sum(axis=0))
            for second in names:
                others = np.flatnonzero(data.people == second)
                for row in rng.choice(others, min(_TRIED, len(others)), replace=False) if first != second else ():
                    shown = unit(data.embeddings[row])
                    belief = (beliefs.apart(offset + slope * projection(shown), left_over),)
                    shots.append(Shot(p, person, enrolled, shown, belief))
    return shots


def _attempted(job: Job, name: str, shots: Sequence[Shot]) -> Seen:
    rng = np.random.default_rng(job.seed)
    some = [shots[index] for index in rng.permutation(len(shots))[: _QUICK if job.quick else _SEARCHES]]
    targets = [
        Target(shot.parameters.projection(shot.enrolled), shot.belief, shot.parameters.cell, (job.seed, index))
        for index, shot in enumerate(some)
    ]
    tried = some if job.quick else shots
    opened = _opened(tried, job.seed, f"Attempts, {name}")
    run = Run(name, job.parameters.cell, trying.ranked(targets, f"Search, {name}"))
    return Seen(name, [shot.person for shot in tried], opened, run)


def _opened(shots: Sequence[Shot], seed: int, label: str) -> list[bool]:
    """Enrol each and attempt once with what is shown."""
    random = np.random.default_rng(seed).bytes
    opened = []
    for shot in watched(shots, label):
        lock = Lock(Extractor(shot.parameters), random)
        opened.append(lock.opened_at(lock.enrol(shot.enrolled), shot.shown[None]) is not None)
    return opened


def means(data: Embedded) -> tuple[npt.NDArray[np.str_], Embeddings]:
    """Return everyone's name, (n,), and unit mean embedding, (n, d)."""
    names, person = np.unique(data.people, return_inverse=True)
    sums = np.zeros((len(names), data.embeddings.shape[1]), dtype=np.float32)
    np.add.at(sums, person, data.embeddings)
    return names, (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)


def _nearest(looks: Floats, y: Floats, allowed: npt.NDArray[np.bool_]) -> int:
    return int(np.argmin(np.where(allowed, np.linalg.norm(looks - y, axis=1), np.inf)))


def _figures(seen: Seen) -> dict[str, object]:
    return {
        "one_attempt": seen.share,
        "interval": seen.interval,
        "attempts": len(seen.opened),
        "people": len(set(seen.people)),
        "searches": len(seen.run.ranks),
        "median_log2": float(np.median(seen.run.tries)),
        "success_at": {f"2^{bits}": seen.run.share(2**bits) for bits in searched.BUDGETS},
    }


def _table(found: Sequence[Seen]) -> Table:
    rows = []
    for seen in found:
        low, high = seen.interval
        at = [f"{seen.run.share(2**bits):.0%}" for bits in searched.BUDGETS]
        rows.append(
            [
                seen.name,
                f"{len(seen.opened)} of {len(set(seen.people))}",
                f"{seen.share:.1%} ({low:.1%} to {high:.1%})",
                str(len(seen.run.ranks)),
                f"{np.median(seen.run.tries):.1f}",
                *at,
            ]
        )
    columns = ["attacker has", "attempts, people", "open at one attempt (95 %)", "searches", "median, log2 of tries"]
    return Table("With side information", columns + [f"open at 2^{bits}" for bits in searched.BUDGETS], rows)
