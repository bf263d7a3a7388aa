# SPDX-License-Identifier: Apache-2.0
"""What a refresh on unlock gains in later sessions, and what it costs in strength (agent/facelatch/l2fe/refresh.py)."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facelatch.face.encoder import unit
from facelatch.l2fe import refresh
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.strength import guesswork_bits
from tools import trials
from tools.dataset import Embedded
from tools.evaluate.lock import Enrolled, Lock
from tools.evaluate.measure import Group, watched
from tools.evaluate.protocol import Protocol, Rows, folders, in_a_row, look, spread

Looks = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Later:
    """One attempt in a session after others in which the record was refreshed.

    Attributes:
        steps: how often it was.
        third: the attempt is in a session other than those of enrolment and refreshes.
        opened: it opened the record as enrolled, as refreshed, and with a second sitting joined (``enroll --add``).
        distance: of its last look to each of them, in within-person deviations.
    """

    person: str
    steps: int
    third: bool
    opened: tuple[bool, ...]
    distance: tuple[float, ...]


def study(groups: Sequence[Group], data: Embedded, protocol: Protocol) -> list[Later]:
    """Enrol in one session, come daily in the light of a second, and attempt in what is left of it and in a third.

    Beside the daily refreshes, one sitting in the second session is joined to the enrolment.

    Each person is tried under the model of their group.
    """
    rng = np.random.default_rng(protocol.seed)
    sessions: dict[str, dict[str, Rows]] = defaultdict(dict)
    for name, rows in folders(data):
        sessions[protocol.person(name)][name] = rows
    found = []
    chains = [
        (group.parameters, person, own[first], own[second], [own[name] for name in own if name not in (first, second)])
        for group in groups
        for person, own in sessions.items()
        if person in group.trials.people
        for first, second in itertools.permutations(own, 2)
        if len(own[first]) >= protocol.enrol and len(own[second]) >= 2 * protocol.probe
    ]
    with watched(len(chains) * protocol.repeats, "Refreshing") as step:
        for p, person, first, second, others in chains:
            for _ in range(protocol.repeats):
                lock = Lock(Extractor(p), rng.bytes)
                embedding = unit(data.embeddings[spread(first, protocol.enrol, rng)].sum(axis=0))
                enrolled = lock.enrol(embedding)
                half = len(second) // 2
                moved, steps = _visit(lock, enrolled, _windows(data, second[:half], protocol))
                joined = _sit(lock, enrolled, _windows(data, second[:half], protocol))
                for third, rows in ((False, second[half:]), *((True, rows) for rows in others)):
                    if len(rows) >= protocol.probe:
                        frames = data.embeddings[in_a_row(rows, protocol.probe, rng)]
                        looks = look(frames, protocol.decided_after)
                        tried = [_try(lock, one, looks) for one in (enrolled, moved, joined)]
                        opened, distances = zip(*tried, strict=True)
                        found.append(Later(person, steps, third, opened, distances))
                step()
    return found


def _try(lock: Lock, record: Enrolled, looks: Looks) -> tuple[bool, float]:
    """Tell whether an attempt opens a record, and how far its last look is from it."""
    y = refresh.enrolled_vector(lock.extractor, record.sketch, record.point)
    distance = float(np.linalg.norm(lock.extractor.expect(looks[-1]) - y))
    return lock.opened_at(record, looks) is not None, distance


def _windows(data: Embedded, rows: Rows, protocol: Protocol) -> Iterator[Looks]:
    """Give attempts with frames in a row, none used twice."""
    for start in range(0, len(rows) - protocol.probe + 1, protocol.probe):
        yield look(data.embeddings[rows[start : start + protocol.probe]], protocol.decided_after)


def _visit(lock: Lock, enrolled: Enrolled, visits: Iterator[Looks]) -> tuple[Enrolled, int]:
    """Come a day apart; each unlock moves the record as the agent would. Returns it and how often it was moved."""
    steps = 0
    for day, looks in enumerate(visits, start=1):
        opened_at = lock.opened_at(enrolled, looks)
        now = day * refresh.INTERVAL_USEC
        last = refresh.History(enrolled_usec=0, refreshed_usec=now - refresh.INTERVAL_USEC, steps=steps)
        if opened_at is None or not refresh.due(last, now):
            continue
        moved = refresh.recentre(lock.extractor, enrolled.sketch, enrolled.point, looks[opened_at])
        if moved is not None:
            enrolled, steps = replace(enrolled, sketch=moved), steps + 1
    return enrolled, steps


def _sit(lock: Lock, enrolled: Enrolled, attempts: Iterator[Looks]) -> Enrolled:
    """Join the first attempt that unlocks, as an administrator may; without one the record stays."""
    for looks in attempts:
        opened_at = lock.opened_at(enrolled, looks)
        if opened_at is not None:
            sketch = refresh.joined(lock.extractor, enrolled.sketch, enrolled.point, looks[opened_at], 1)
            return replace(enrolled, sketch=sketch)
    return enrolled


def between_people(p: ParameterSet) -> float:
    """Return G from the variance between people alone.

    Whoever holds two versions of a record knows how far it was moved, and with it what its looks held besides the
    person. The set's spread is that of means of several images, each of which has variance one about its person.
    """
    noise = 1 / trials.Protocol().enrol
    return guesswork_bits(np.maximum(p.spread**2 - noise, np.finfo(np.float64).tiny), p.cell)


def figures(found: Sequence[Later], p: ParameterSet) -> dict[str, object]:
    """Sum up for the JSON file. Threes are as enrolled, as refreshed, with a second sitting; None without attempts."""
    result: dict[str, object] = {"guesswork_bits": (guesswork_bits(p.spread**2, p.cell), between_people(p))}
    for name, third in (("same_light", False), ("third_session", True)):
        rows = [later for later in found if later.third == third]
        opened = np.array([later.opened for later in rows]).reshape(-1, 3)
        distances = np.array([later.distance for later in rows]).reshape(-1, 3)
        result[name] = {
            "attempts": len(rows),
            "people": len({later.person for later in rows}),
            "steps_mean": float(np.mean([later.steps for later in rows])) if rows else None,
            "frr": (1 - opened.mean(axis=0)).tolist() if rows else None,
            "distance_median": np.median(distances, axis=0).tolist() if rows else None,
        }
    return result
