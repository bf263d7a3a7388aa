# SPDX-License-Identifier: Apache-2.0
"""Moving a sketch after its owner's slow change (docs/crypto.md, "Refresh").

A sketch is re-centred and never generated anew: under a second rotation nearly the same y could be decoded jointly with
the first. How far it can ever move by its owner's looks alone is bounded by the number of steps and their length, so no
distance is stored. Who may enrol anew may also join a second sitting to the first, at full weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.extractor import Extractor, Floats, Sketch
from facelatch.l2fe.lattice import Integers
from facelatch.l2fe.rotation import rotation

# Part of the way to the fresh look that one step goes; a quarter averages over the last few.
WEIGHT = 0.25
# Longest step, in within-person deviations: one odd look moves a sketch little.
MAX_STEP = 0.5
# Steps since an enrolment that another factor authorised: with MAX_STEP, and rounding, a path of under 5.5 deviations.
MAX_STEPS = 8
# Only looks this far inside the accept radius move anything: at the edge stands whoever poisons a template.
WELL_INSIDE = 0.8
INTERVAL_USEC = 24 * 3600 * 1_000_000


@dataclass(frozen=True)
class History:
    """What is known of a record's past: times in microseconds since the epoch, and the steps taken.

    Attributes:
        enrolled_usec: when it was enrolled.
        refreshed_usec: when it was last moved, 0 for never.
        steps: how often it was moved since it was enrolled.
    """

    enrolled_usec: int
    refreshed_usec: int
    steps: int


def due(history: History, now_usec: int) -> bool:
    """Tell whether a record may be moved at this time. A clock that was set back never brings a step forward."""
    last = max(history.enrolled_usec, history.refreshed_usec)
    return history.steps < MAX_STEPS and now_usec - last >= INTERVAL_USEC


def recentre(extractor: Extractor, sketch: Sketch, point: Integers, embedding: npt.ArrayLike) -> Sketch | None:
    """Move a sketch towards a fresh look, or return None where that look is not well inside the accept radius.

    Seed and point stay, and with them every key.

    Args:
        extractor: of the parameter set in use.
        sketch: the stored one.
        point: (k,) int64, the one that its tag has confirmed.
        embedding: (d,) unit length, the look that unlocked it.

    Raises:
        EmbeddingError: the embedding cannot be used.
    """
    error = extractor.project(embedding) - enrolled_vector(extractor, sketch, point)
    distance = float(np.linalg.norm(error))
    if not 0 < distance <= WELL_INSIDE * extractor.parameters.accept_radius:
        return None
    return _moved(extractor, sketch, min(WEIGHT * distance, MAX_STEP) / distance * error)


def joined(extractor: Extractor, sketch: Sketch, point: Integers, embedding: npt.ArrayLike, sittings: int) -> Sketch:
    """Move a sketch to the mean of the sittings that it was made from and a fresh one; seed, point and keys stay.

    It goes as far as that is: whoever asks for it could as well enrol anew.

    Args:
        extractor: of the parameter set in use.
        sketch: the stored one.
        point: (k,) int64, the one that its tag has confirmed.
        embedding: (d,) unit length, the look that unlocked it.
        sittings: before this one.

    Raises:
        EmbeddingError: the embedding cannot be used.
    """
    error = extractor.project(embedding) - enrolled_vector(extractor, sketch, point)
    return _moved(extractor, sketch, error / (sittings + 1))


def _moved(extractor: Extractor, sketch: Sketch, step: Floats) -> Sketch:
    p = extractor.parameters
    moved = np.rint(p.scale * (rotation(sketch.seed, p.k) @ step)).astype(np.int64)
    return Sketch(sketch.seed, (sketch.c + moved) % p.lattice.modulus)


def enrolled_vector(extractor: Extractor, sketch: Sketch, point: Integers) -> Floats:
    """Return the y, (k,), that a sketch holds behind its point: U^T w / D with w = c - point about zero."""
    p = extractor.parameters
    half = p.lattice.modulus // 2
    w = (sketch.c - point + half) % p.lattice.modulus - half
    return rotation(sketch.seed, p.k).T @ w / p.scale
