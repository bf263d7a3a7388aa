# SPDX-License-Identifier: Apache-2.0
"""Gen and Rep on the shipped lattice, decided as the daemon decides; all that knows of the lattice is here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.extractor import MAX_CANDIDATES, Extractor, Floats, Sketch
from facelatch.l2fe.lattice import Integers
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.rotation import SEED_BYTES


@dataclass(frozen=True)
class Enrolled:
    """An enrolment, but for the wrapping of S, which any point but the true one fails.

    Attributes:
        sketch: what is stored.
        point: the true one.
        y: (k,) the enrolment vector.
    """

    sketch: Sketch
    point: Integers
    y: Floats


class Lock:
    """Enrols and attempts under one parameter set.

    Args:
        extractor: of the set.
        random: source of seeds and secrets; a seeded one makes the run repeatable.

    Attributes:
        decode_ms: what each decode took.
    """

    def __init__(self, extractor: Extractor, random: Callable[[int], bytes]) -> None:
        self.extractor = extractor
        self.decode_ms: list[float] = []
        self._random = random

    def enrol(self, embedding: npt.ArrayLike) -> Enrolled:
        """Gen of a (d,) unit embedding, under a rotation of its own."""
        seed, point = self._random(SEED_BYTES), self.extractor.parameters.lattice.draw(self._random)
        return Enrolled(self.extractor.sketch(embedding, seed, point), point, self.extractor.project(embedding))

    def opened_at(self, enrolled: Enrolled, looks: npt.NDArray[np.float32]) -> int | None:
        """Return the index of the first of (l, d) running means that opens, with the daemon's budget of guesses.

        It mirrors ``daemon.attempts``: ``MAX_CANDIDATES`` guesses in all, of which one is kept for the last look.
        """
        tried: set[bytes] = set()
        for number, look in enumerate(looks):
            early = number + 1 < len(looks)
            budget = MAX_CANDIDATES - 1 if early else MAX_CANDIDATES
            start = time.perf_counter()
            found = self.extractor.candidates(look, [enrolled.sketch], early=early)
            self.decode_ms.append((time.perf_counter() - start) * 1e3)
            for candidate in found:
                key = candidate.point.tobytes()
                if key in tried or len(tried) >= budget:
                    continue
                tried.add(key)
                if np.array_equal(candidate.point, enrolled.point):
                    return number
        return None


def reach(p: ParameterSet) -> float:
    """Distance of enrolment vector and attempt beyond which the true point is never accepted.

    The target lies at w - D U y' from the true point, w = D U y rounded: at least D |y - y'| less half a step in each
    of k coordinates. Only points within the accept radius are tried, and only the true one opens.
    """
    return p.accept_radius + math.sqrt(p.k) / (2 * p.scale)


def at_cell(p: ParameterSet, cell: float) -> ParameterSet:
    """Return the set with another cell v, and the accept radius in proportion; the lattice stays."""
    ratio = cell / p.cell
    return replace(p, scale=p.scale / ratio, accept_radius=p.accept_radius * ratio)
