# SPDX-License-Identifier: Apache-2.0
"""Who is enrolled from which images, and who attempts with which: the two protocols."""

from __future__ import annotations

import itertools
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
        enrolled_over: sessions that an enrolment is spread over; attempts are in any other.
    """

    sessions: bool
    enrol: int
    probe: int
    repeats: int
    seed: int
    enrolled_over: int = 1

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
        session: the folder its images lie in; of several, their names joined by +.
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
    """Enrolments spread over a session or several, as the daemon spreads its looks; attempts are frames in a row."""
    drawn = Trials()
    everyone: dict[str, dict[str, Rows]] = defaultdict(dict)
    for session, rows in folders(data):
        everyone[protocol.person(session)][session] = rows
    for person, sessions in everyone.items():
        enrolled: dict[tuple[str, ...], list[int]] = {}
        for chosen in itertools.combinations(sessions, protocol.enrolled_over):
            enrolled[chosen] = _enrol(drawn, data, protocol, person, {name: sessions[name] for name in chosen}, rng)
        for session, rows in sessions.items():
            attempts = []
            for _ in range(protocol.repeats if len(rows) >= protocol.probe else 0):
                attempts.append(len(drawn.attempts))
                drawn.attempts.append(_attempt(data, person, session, in_a_row(rows, protocol.probe, rng), protocol))
            for chosen, enrolments in enrolled.items():
                if session not in chosen:
                    drawn.genuine += zip(enrolments, attempts, strict=False)
    return drawn


def _enrol(
    drawn: Trials, data: Embedded, protocol: Protocol, person: str, sessions: dict[str, Rows], rng: np.random.Generator
) -> list[int]:
    """Draw enrolments over some sessions, alike in number from each; return their indices."""
    parts = [part.size for part in np.array_split(np.arange(protocol.enrol), len(sessions))]
    if any(len(rows) < part for rows, part in zip(sessions.values(), parts, strict=True)):
        return []
    made = []
    for _ in range(protocol.repeats):
        chosen = [spread(rows, part, rng) for rows, part in zip(sessions.values(), parts, strict=True)]
        for session, rows, used in zip(sessions, sessions.values(), chosen, strict=True):
            left = np.setdiff1d(rows, used)
            if len(left) >= protocol.probe:
                frames = in_a_row(left, protocol.probe, rng)
                drawn.same_session.append((len(drawn.enrolments), _attempt(data, person, session, frames, protocol)))
        made.append(len(drawn.enrolments))
        drawn.enrolments.append(_enrolment(data, person, "+".join(sessions), np.concatenate(chosen)))
    return made


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
