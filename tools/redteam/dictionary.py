# SPDX-License-Identifier: Apache-2.0
"""Try faces of others: every face of a data set, faces made to open many records, and what opens poor enrolments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facelatch.daemon.attempts import MIN_COSET_BITS
from facelatch.face.encoder import unit
from facelatch.l2fe.extractor import MAX_CANDIDATES, Extractor
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.strength import coset_bits
from tools import dataset
from tools.decoding.tables import Table, watched
from tools.evaluate.lock import Enrolled, Lock, at_cell, reach
from tools.evaluate.measure import watched as steps
from tools.evaluate.stats import clopper_pearson
from tools.redteam import masters, poor, records
from tools.redteam.beliefs import Floats, mixture
from tools.redteam.part import Control, Job, Outcome, Split
from tools.redteam.probes import lifted

Embeddings = npt.NDArray[np.float32]

# Faces decoded against every record; the others are tried by distance, which tells that they cannot open it.
_DECODED = 300
_TARGETS = 200
# Made-up probes tried, and where they start from: known enrolments, and the middles of so many groups.
_MASTERS = 8
_STARTS = 60
_GROUPS = 4
# People whose pictures are spoilt: attacked, and known.
_SPOILT = (30, 50)
# Records of the control, and by how much its radius is larger than it need be for everybody to be within.
_CONTROL, _LARGE = 30, 1.5
_QUICK = 4


@dataclass(frozen=True)
class _Records:
    """Records under attack."""

    lock: Lock
    people: list[str]
    enrolled: list[Enrolled]
    own: list[Embeddings]

    @property
    def vectors(self) -> Floats:
        """(m, k) enrolment vectors."""
        return np.stack([one.y for one in self.enrolled])

    def opened(self, probe: Embeddings) -> list[bool]:
        """Attempt each by name with one (d,) embedding; what is out of reach is not decoded, for it cannot open."""
        p = self.lock.extractor.parameters
        distances = np.linalg.norm(self.vectors - p.projection(probe), axis=1)
        return [
            bool(distance <= reach(p)) and self.lock.opened_at(one, probe[None]) is not None
            for one, distance in zip(self.enrolled, distances, strict=True)
        ]


def dictionary(job: Job) -> Outcome:
    """Attack records with faces of others, then poor records with probes of their kind."""
    split = job.split
    rng = np.random.default_rng(job.seed)
    under = _enrol(split.parameters, split, rng, _QUICK if job.quick else _TARGETS)
    tried, table = _every_face(job, under, rng)
    master, master_table = _masters(job, split, under, rng)
    spoilt, spoilt_table = _poor(job, split, rng)
    own = [
        under.lock.opened_at(one, unit(left.sum(axis=0))[None]) is not None
        for one, left in zip(under.enrolled, under.own, strict=True)
    ]
    return Outcome(
        figures={**tried, "masters": master, "poor": spoilt},
        tables=[table, master_table, *spoilt_table],
        controls=[
            Control("the owner's other pictures in the dictionary: most records open", float(np.mean(own)) > 0.5),
            _large_radius(split, under, rng),
        ],
        said=[
            f"{tried['faces']:,} faces of others open {tried['opened']} of {len(under.people)} records; "
            f"{tried['argon2id_share']:.2%} of such tries reach the costly part at all."
        ],
    )


def _large_radius(split: Split, under: _Records, rng: np.random.Generator) -> Control:
    p, middle = split.parameters, unit(split.known.units.mean(axis=0))
    farthest = float(np.linalg.norm(under.vectors - p.projection(middle), axis=1).max())
    large = at_cell(p, _LARGE * p.cell * farthest / p.accept_radius)
    opened = _enrol(large, split, rng, _CONTROL).opened(middle)
    return Control("a radius that everybody is within: the mean face opens most", float(np.mean(opened)) > 0.5)


def _enrol(p: ParameterSet, split: Split, rng: np.random.Generator, count: int) -> _Records:
    lock = Lock(Extractor(p), rng.bytes)
    drawn = records.enrolments(split.targets, np.random.default_rng(0))[:count]
    people, enrolled, left = zip(*drawn, strict=True)
    return _Records(lock, list(people), [lock.enrol(one) for one in enrolled], list(left))


def _every_face(job: Job, under: _Records, rng: np.random.Generator) -> tuple[dict[str, object], Table]:
    """Try every picture of everybody else against every record."""
    extractor = under.lock.extractor
    p = extractor.parameters
    faces, names = job.data.units, job.data.people
    vectors = p.projection(faces)
    other = names[:, None] != np.array(under.people)[None]
    apart = np.linalg.norm(vectors[:, None] - under.vectors[None], axis=-1)
    within = other & (apart <= reach(p))
    chosen = np.zeros(len(faces), dtype=np.bool_)
    chosen[rng.permutation(len(faces))[: _QUICK if job.quick else _DECODED]] = True
    chosen |= within.any(axis=1)
    sketches = [one.sketch for one in under.enrolled]
    decodes = runs = 0
    opened: set[tuple[str, str]] = set()
    for row in watched(np.flatnonzero(chosen).tolist(), "Dictionary"):
        found = extractor.candidates(faces[row], sketches, limit=MAX_CANDIDATES * len(sketches), users=1)
        decodes += int(other[row].sum())
        runs += sum(bool(other[row, candidate.index]) for candidate in found)
        opened |= {
            (under.people[candidate.index], str(names[row]))
            for candidate in found
            if other[row, candidate.index] and np.array_equal(candidate.point, under.enrolled[candidate.index].point)
        }
    tries = int(other.sum())
    pairs = len(np.unique(names)) * len(under.people) - len(under.people)
    share = runs / max(decodes, 1)
    upper = clopper_pearson(len(opened), pairs)[1]
    figures: dict[str, object] = {
        "faces": len(faces),
        "records": len(under.people),
        "tries": tries,
        "decodes": decodes,
        "argon2id_runs": runs,
        "argon2id_share": share,
        "opened": len({owner for owner, _ in opened}),
        "opened_pairs": len(opened),
        "pairs": pairs,
        "pairs_upper95": upper,
        "nearest": float(apart[other].min()),
        "accept_radius": p.accept_radius,
    }
    cells = [f"{len(faces):,}", str(len(under.people)), f"{tries:,}", f"{decodes:,}", f"{runs:,} ({share:.2%})"]
    cells += [str(figures["opened"]), f"{apart[other].min():.1f} ({p.accept_radius:.1f})", f"{upper:.1e}"]
    columns = ["faces", "records", "tries", "decoded", "Argon2id runs", "records opened", "nearest (accepted up to)"]
    return figures, Table(
        "Every face of the data set but the owner's", [*columns, "pairs of people, up to (95 %)"], [cells]
    )


def _masters(job: Job, split: Split, under: _Records, rng: np.random.Generator) -> tuple[dict[str, object], Table]:
    """Make probes on people the attacker knows; judge them on those attacked."""
    p = under.lock.extractor.parameters
    known = records.enrolments(split.known, rng)
    enrolled = p.projection(np.stack([embedding for _, embedding, _ in known]))
    looks = p.projection(split.known.units)
    groups = [part.mean for part in mixture(looks, np.zeros((p.k, p.k)), _GROUPS, job.seed)]
    starts = np.stack([enrolled.mean(axis=0), *groups, *(enrolled[: _QUICK if job.quick else _STARTS] / 2)])
    climbed = masters.climb(starts, enrolled, p.accept_radius)
    made = climbed[masters.best(climbed, enrolled, p.accept_radius, _MASTERS)]
    # A picture also reaches its own person's enrolment, which is one of the known people in reach.
    far = looks[rng.permutation(len(looks))[: 200 if job.quick else len(looks)]]
    real = far[masters.best(far, enrolled, p.accept_radius, _MASTERS)]
    rows: list[list[str]] = []
    figures: dict[str, object] = {}
    for name, probes in {
        "the mean of all": enrolled.mean(axis=0)[None],
        "the best made": made[:1],
        f"the {_MASTERS} best made": made,
        "the best picture": real[:1],
        f"the {_MASTERS} best pictures": real,
    }.items():
        inside = np.linalg.norm(enrolled[None] - probes[:, None], axis=-1) <= p.accept_radius
        taught = float(inside.any(axis=0).mean())
        lifts = [lifted(p.projection, probe).astype(np.float32) for probe in probes]
        opened: npt.NDArray[np.bool_] = np.any([under.opened(probe) for probe in lifts], axis=0)
        nearest = np.linalg.norm(under.vectors[None] - probes[:, None], axis=-1).min()
        low, high = clopper_pearson(int(opened.sum()), len(opened))
        weak = [
            coset_bits(one.y, p.spread, p.cell) < MIN_COSET_BITS
            for one, open_ in zip(under.enrolled, opened, strict=True)
            if open_
        ]
        figures[name] = {"known": taught, "opened": float(opened.mean()), "interval": (low, high), "weak": sum(weak)}
        told = f"{opened.sum()} of {len(opened)}: {opened.mean():.1%} ({low:.1%} to {high:.1%})"
        rows.append([name, f"{taught:.1%}", told, str(sum(weak)), f"{nearest:.1f}"])
    columns = ["probe", "known people in reach", "records opened (95 %)", "of them refused as weak", "nearest record"]
    return figures, Table(f"Master faces, made on {len(enrolled)} other people", columns, rows)


def _poor(job: Job, split: Split, rng: np.random.Generator) -> tuple[dict[str, object], list[Table]]:
    """Enrol spoilt pictures without the gate, and try the mean of other people's pictures spoilt alike."""
    p = split.parameters
    counts = (1, 2) if job.quick else _SPOILT
    folders = {folder[0].parent.name: folder for folder in dataset.list_images(job.folder) if folder}
    attacked = _pictures(folders, [name for name, _, _ in records.enrolments(split.targets, rng)][: counts[0]], 5)
    known = _pictures(folders, rng.permutation(np.unique(split.known.people)).tolist()[: counts[1]], 1)
    if not attacked or not known:
        return {}, []
    with steps(len(attacked) + len(known), "Spoiling pictures") as step:
        targets, others = poor.spoil(attacked, step), poor.spoil(known, step)
    rows: list[list[str]] = []
    figures: dict[str, object] = {}
    lock = Lock(Extractor(p), rng.bytes)
    for kind, spoilt in targets.items():
        enrolments = spoilt.enrolments(5)
        probe = unit(np.sum([looks[0] for looks in others[kind].embeddings.values()], axis=0))
        enrolled = [lock.enrol(embedding) for embedding in enrolments.values()]
        opened = np.array([lock.opened_at(one, probe[None]) is not None for one in enrolled])
        weak = np.array([coset_bits(one.y, p.spread, p.cell) < MIN_COSET_BITS for one in enrolled])
        distance = np.median([np.linalg.norm(one.y - p.projection(probe)) for one in enrolled])
        passed = spoilt.passed / max(spoilt.seen, 1)
        figures[kind] = {
            "enrolments": len(enrolled),
            "gate_passed": passed,
            "opened": float(opened.mean()),
            "refused_as_weak": float(weak.mean()),
            "opened_and_not_refused": float((opened & ~weak).mean()),
        }
        cells = [f"{opened.mean():.0%}", f"{weak.mean():.0%}", f"{(opened & ~weak).mean():.0%}", f"{distance:.1f}"]
        rows.append([kind, f"{passed:.0%} of {spoilt.seen}", str(len(enrolled)), *cells])
    columns = ["pictures", "the gate lets through", "enrolled without it", "opened by one probe", "refused as weak"]
    columns += ["opened, not refused", "median distance"]
    title = f"Poor enrolments against the mean of {len(known)} other people's pictures, spoilt alike"
    return figures, [Table(title, columns, rows)]


def _pictures(folders: dict[str, list[Path]], people: Sequence[str], each: int) -> list[tuple[str, Path]]:
    return [(name, path) for name in people for path in folders.get(name, [])[:each]]
