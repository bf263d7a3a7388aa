# SPDX-License-Identifier: Apache-2.0
"""Who is enrolled from which images, and who attempts with which: the two protocols."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import click
import numpy as np
import numpy.typing as npt

from facelatch.daemon.attempts import LOOKS
from facelatch.face.encoder import unit
from tools.dataset import DatasetError, Embedded

Embeddings = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Protocol:
    """How trials are drawn.

    Attributes:
        sessions: enrol in one session and attempt in another, of folders ``<person>-<session>``; otherwise a folder is
            a person, whose images are split at random.
        enrol: images of an enrolment.
        probe: good frames of an attempt at most.
        repeats: times each person (each session) is drawn.
        seed: of all draws.
    """

    sessions: bool
    enrol: int
    probe: int
    repeats: int
    seed: int

    @property
    def name(self) -> str:
        """As on the command line."""
        return "sessions" if self.sessions else "random"

    @property
    def decided_after(self) -> list[int]:
        """Good frames after which an attempt is decided, as the daemon does."""
        return [count for count in LOOKS if count <= self.probe]

    def person(self, folder: str) -> str:
        """Return whose a folder is.

        Raises:
            DatasetError: its name has no session, and the protocol needs one.
        """
        if not self.sessions:
            return folder
        person, _, session = folder.rpartition("-")
        if not person or not session:
            raise DatasetError(f"folder {folder} does not name a session", "call it PERSON-SESSION, or split at random")
        return person


@dataclass(frozen=True)
class Enrolment:
    """What Gen is given.

    Attributes:
        person: whose.
        session: the folder its images lie in.
        embedding: (d,) float32, their mean, of unit length.
    """

    person: str
    session: str
    embedding: Embeddings


@dataclass(frozen=True)
class Attempt:
    """What Rep is given, one time after another.

    Attributes:
        person: who attempts.
        session: the folder the frames lie in.
        looks: (l, d) float32, the running mean of unit length after each number of frames at which is decided.
    """

    person: str
    session: str
    looks: Embeddings


@dataclass
class Trials:
    """Enrolments and attempts; everyone also attempts at everyone else's enrolment.

    Attributes:
        genuine: pairs of an enrolment and an attempt of its own person, by index.
        same_session: enrolments, by index, and attempts with other frames of the very session: how near one could come.
    """

    enrolments: list[Enrolment] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    genuine: list[tuple[int, int]] = field(default_factory=list)
    same_session: list[tuple[int, Attempt]] = field(default_factory=list)

    @property
    def people(self) -> set[str]:
        """Who takes part."""
        return {e.person for e in self.enrolments} | {a.person for a in self.attempts}


def check_layout(names: set[str], protocol: Protocol) -> None:
    """See, before the long work of embedding, that folders' names suit the protocol; warn where they suit another.

    Raises:
        DatasetError: a folder does not name a session, and the protocol needs one.
    """
    for name in sorted(names):
        protocol.person(name)
    people = {name.rpartition("-")[0] for name in names}
    if not protocol.sessions and "" not in people and len(people) < len(names):
        click.echo("These folders look like PERSON-SESSION, and each is taken for a person; see --protocol.", err=True)


def draw(data: Embedded, protocol: Protocol, rng: np.random.Generator) -> Trials:
    """Draw trials of everyone who has images enough; an image serves once in a trial.

    Raises:
        DatasetError: a folder's name does not suit the protocol.
    """
    return _draw_sessions(data, protocol, rng) if protocol.sessions else _draw_random(data, protocol, rng)


def folders(data: Embedded) -> Iterator[tuple[str, Rows]]:
    """Give each folder's name and its rows in the data, in their order."""
    for name in np.unique(data.people).tolist():
        yield name, np.flatnonzero(data.people == name)


def look(embeddings: Embeddings, decided_after: Sequence[int]) -> Embeddings:
    """Return the unit running means (l, d) of frames (m, d) after each count, as the daemon decides on them."""
    sums = np.cumsum(embeddings, axis=0, dtype=np.float32)
    return np.stack([unit(sums[count - 1]) for count in decided_after])


def _draw_random(data: Embedded, protocol: Protocol, rng: np.random.Generator) -> Trials:
    drawn = Trials()
    for name, rows in folders(data):
        if len(rows) < protocol.enrol + protocol.probe:
            continue
        for _ in range(protocol.repeats):
            chosen = rng.permutation(rows)
            frames = chosen[protocol.enrol : protocol.enrol + protocol.probe]
            drawn.genuine.append((len(drawn.enrolments), len(drawn.attempts)))
            drawn.enrolments.append(_enrolment(data, name, name, chosen[: protocol.enrol]))
            drawn.attempts.append(_attempt(data, name, name, frames, protocol))
    return drawn


def _draw_sessions(data: Embedded, protocol: Protocol, rng: np.random.Generator) -> Trials:
    """Enrolments spread over a session, as the daemon spreads its looks; attempts are frames in a row."""
    drawn = Trials()
    enrolled: dict[str, dict[str, list[int]]] = defaultdict(dict)
    attempted: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for session, rows in folders(data):
        person = protocol.person(session)
        enrolled[person][session], attempted[person][session] = [], []
        for _ in range(protocol.repeats if len(rows) >= protocol.enrol else 0):
            chosen = spread(rows, protocol.enrol, rng)
            enrolled[person][session].append(len(drawn.enrolments))
            left = np.setdiff1d(rows, chosen)
            if len(left) >= protocol.probe:
                frames = in_a_row(left, protocol.probe, rng)
                again = _attempt(data, person, session, frames, protocol)
                drawn.same_session.append((len(drawn.enrolments), again))
            drawn.enrolments.append(_enrolment(data, person, session, chosen))
        for _ in range(protocol.repeats if len(rows) >= protocol.probe else 0):
            attempted[person][session].append(len(drawn.attempts))
            frames = in_a_row(rows, protocol.probe, rng)
            drawn.attempts.append(_attempt(data, person, session, frames, protocol))
    for person, sessions in enrolled.items():
        for first, enrolments in sessions.items():
            for second, attempts in attempted[person].items():
                if first != second:
                    drawn.genuine += zip(enrolments, attempts, strict=False)
    return drawn


def spread(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Choose rows at even steps, from a random start."""
    step = len(rows) / count
    return rows[(rng.uniform(0, step) + step * np.arange(count)).astype(np.intp)]


def in_a_row(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Choose rows one after the other, from a random start."""
    start = rng.integers(len(rows) - count + 1)
    return rows[start : start + count]


def _enrolment(data: Embedded, person: str, session: str, rows: Rows) -> Enrolment:
    return Enrolment(person, session, unit(data.embeddings[rows].sum(axis=0)))


def _attempt(data: Embedded, person: str, session: str, rows: Rows, protocol: Protocol) -> Attempt:
    return Attempt(person, session, look(data.embeddings[rows], protocol.decided_after))
