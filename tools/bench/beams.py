# SPDX-License-Identifier: Apache-2.0
"""How near the decoder comes to the best decoding, and to what no lattice could do better, by the width of its beam."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facelatch.errors import FacelatchError
from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.extractor import MAX_CANDIDATES
from facelatch.l2fe.parameters import ParameterSet
from tools import bases
from tools.bench import clock
from tools.decoding import noise, timing
from tools.decoding.noise import Floats, decibels
from tools.evaluate.stats import clopper_pearson

# The goal is put for two copies of the Leech lattice, k = 48, at noise of this share of the cell's side.
COPIES, NOISE = 2, 0.18
# At one or two it errs even at the least noise that is looked at.
BEAMS = (4, 8, 16, 32, 64, 128, 256, 512)
# Directions that bear more than this never count where one in some hundreds fails at NOISE.
_MOST = 0.2
_DRAWS = 500
_SEED = 7
_REPEATS = 40


class BeamsError(FacelatchError):
    """The best decoding cannot be had here, or was never wrong, so that there is no distance to it."""


@dataclass(frozen=True)
class Beam:
    """What one width of the beam comes to; None stands for the best decoding instead of ours.

    Attributes:
        width: partial points kept.
        milliseconds: processor time of one decode for one user, median, the costliest kind of target.
        error: share of targets decoded wrongly at NOISE, with its 95 % interval.
        short: dB by which the noise it bears falls short of the best decoding's at equal errors, with the interval.
        limit: dB by which it falls short of the noise at which the sphere bound has those errors.
    """

    width: int | None
    milliseconds: float | None
    error: tuple[float, float, float]
    short: tuple[float, float, float]
    limit: float


def measure(p: ParameterSet, trials: int, advance: Callable[[], None]) -> list[Beam]:
    """Decode the same noise with each beam, and with enumeration.

    Args:
        p: the set whose lattice's copies are taken.
        trials: directions of noise.
        advance: called ``len(BEAMS) + 1`` times.

    Raises:
        BeamsError: fpylll is missing, or no target was decoded wrongly by enumeration.
    """
    if importlib.util.find_spec("fpylll") is None:
        raise BeamsError("fpylll is not installed, which decodes exhaustively", "run `make build-setup`")
    basis, side, k = p.lattice.basis, p.lattice.side, COPIES * len(p.lattice.basis)
    directions = np.random.default_rng(_SEED).normal(size=(trials, k))
    best = noise.borne(noise.every(bases.exhaustive(basis, side), COPIES), directions, _MOST)
    share = float(np.mean(best < NOISE))
    if share == 0:
        raise BeamsError(f"the best decoding made no error in {trials} trials", "ask for more trials")
    advance()
    found = [_beam(None, None, best, best, share, k)]
    for width in BEAMS:
        decode = Decoder(basis, width, COPIES)
        own = noise.borne(noise.removal(decode, side), directions, _MOST)
        found.append(_beam(width, _clock(decode, k, side), own, best, share, k))
        advance()
    return found


def _beam(width: int | None, milliseconds: float | None, own: Floats, best: Floats, share: float, k: int) -> Beam:
    wrong = int(np.count_nonzero(own < NOISE))
    limit = decibels(noise.sphere_level(share, k) / float(np.quantile(own, share)))
    error = (wrong / len(own), *clopper_pearson(wrong, len(own)))
    return Beam(width, milliseconds, error, _short(own, best, share), limit)


def _short(own: Floats, best: Floats, share: float) -> tuple[float, float, float]:
    """DB between the noises at which a share of directions is no longer borne, with the interval over directions."""

    def between(rows: Floats) -> float:
        ours, theirs = np.quantile(rows, share, axis=1)
        return decibels(float(theirs / ours))

    pairs = np.stack([own, best])
    rng = np.random.default_rng(_SEED)
    drawn = [between(pairs[:, rng.integers(0, len(own), len(own))]) for _ in range(_DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return between(pairs), float(low), float(high)


def _clock(decode: Decoder, k: int, side: float) -> float:
    """Milliseconds for one target anywhere, and the radius beyond which nearly every target has several points."""
    target = timing.targets(1, k, side, genuine=False)
    radius = math.sqrt(k / (2 * math.pi * math.e)) * side
    return clock.busy(lambda: decode(target, radius, MAX_CANDIDATES), _REPEATS)
