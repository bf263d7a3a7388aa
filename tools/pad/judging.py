# SPDX-License-Identifier: Apache-2.0
"""What the shipped rule makes of each presentation, and whether the key would have come out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch.face.encoder import unit
from facelatch.face.liveness import Bounds, Burst, Finding, Verdict
from facelatch.l2fe.extractor import Extractor, Sketch
from facelatch.l2fe.lattice import Integers
from tools.pad.presentations import Presentation

# Looks that a person is enrolled with, spread over all of their live sessions.
_ENROLLED = 24


@dataclass(frozen=True)
class Outcome:
    """How one presentation ended.

    Attributes:
        shown: the presentation.
        verdict: of its last look.
        looks: how many were used: up to the first verdict that is live or spoof.
        score: median of the log-odds; the cue that the verdict goes by. None where too few looks are left.
        matched: whether the person's own key comes out of these looks, liveness aside; None where nobody is enrolled.
    """

    shown: Presentation
    verdict: Verdict
    looks: int
    score: float | None
    matched: bool | None

    @property
    def live(self) -> bool:
        """Whether it passed."""
        return self.verdict.finding is Finding.LIVE


def judge(
    presentations: Sequence[Presentation], extractor: Extractor | None, bounds: Bounds | None = None
) -> list[Outcome]:
    """Judge presentations; without an extractor nobody is matched."""
    sketches = {} if extractor is None else _enrolled(presentations, extractor)
    return [_outcome(shown, extractor, sketches.get(shown.person), bounds) for shown in presentations]


def run(shown: Presentation, bounds: Bounds | None = None) -> tuple[Burst, Verdict, int]:
    """Feed a presentation to the rule; return the burst, its verdict, and after how many looks it was reached."""
    burst = Burst(bounds)
    verdict = burst.verdict
    for number, (time, look) in enumerate(shown.looks, 1):
        if look.embedding is None or look.points is None or look.live is None:
            burst.lost()
        else:
            burst.add(time, look.live, look.points, look.embedding)
        verdict = burst.verdict
        if verdict.finding in (Finding.LIVE, Finding.SPOOF):
            return burst, verdict, number
    return burst, verdict, len(shown.looks)


def _outcome(shown: Presentation, extractor: Extractor | None, sketch: Sketch | None, bounds: Bounds | None) -> Outcome:
    _, verdict, looks = run(shown, bounds)
    scores = [look.live for _, look in shown.looks if look.live is not None]
    score = float(np.median(scores)) if len(scores) == len(shown.looks) else None
    matched = None
    if extractor is not None and sketch is not None:
        good = [look.embedding for _, look in shown.looks if look.embedding is not None]
        found = extractor.candidates(unit(np.sum(good, axis=0)), [sketch]) if good else []
        matched = any(not candidate.point.any() for candidate in found)
    return Outcome(shown, verdict, looks, score, matched)


def _enrolled(presentations: Sequence[Presentation], extractor: Extractor) -> dict[str, Sketch]:
    """A sketch of each live person, with the lattice point 0: who finds that has found the key."""
    zero: Integers = np.zeros(extractor.parameters.k, dtype=np.int64)
    looks: dict[str, list[npt.NDArray[np.float32]]] = {}
    for shown in presentations:
        if shown.species is None:
            good = [look.embedding for _, look in shown.looks if look.embedding is not None]
            looks.setdefault(shown.person, []).extend(good)
    return {
        person: extractor.sketch(unit(np.sum(good[:: -(-len(good) // _ENROLLED)], axis=0)), bytes(32), zero)
        for person, good in looks.items()
        if good
    }
