# SPDX-License-Identifier: Apache-2.0
"""How well records of one person can be told from records of two (ISO/IEC 30136; Gomez-Barrero et al., 2018).

M. Gomez-Barrero, J. Galbally, C. Rathgeb and C. Busch, "General framework to evaluate unlinkability in biometric
template protection systems", IEEE TIFS 13(6), 2018: the local measure D(s) says how much likelier a score is between
records of one person than between those of two, D_sys is its mean over scores of one person: 0 unlinkable, 1 linkable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.redteam.search import Floats

# Fewest scores in a bin, on average: with fewer, chance alone looks like linkage.
_IN_A_BIN = 10
_SHUFFLES = 200


@dataclass(frozen=True)
class Linkage:
    """D_sys, and what chance gives.

    Attributes:
        d_sys: global measure.
        by_chance: 95 % quantile of D_sys when scores are dealt out to both kinds at random; below it nothing is shown.
    """

    d_sys: float
    by_chance: float


def local(mated: Floats, other: Floats) -> tuple[Floats, Floats]:
    """D(s) in bins of equal numbers of scores, both kinds together, and the share of mated scores in each bin.

    Args:
        mated: (m,) scores of pairs of records of one person.
        other: (n,) of pairs of two people; both kinds are taken for equally likely beforehand (omega = 1).
    """
    pooled = np.concatenate([mated, other])
    # An even number: where the kinds lie apart, they part at an edge.
    bins = max(2, 2 * (min(len(mated), len(other)) // (2 * _IN_A_BIN)))
    edges = np.unique(np.quantile(pooled, np.linspace(0, 1, bins + 1))[1:-1])
    own, others = (
        np.bincount(np.searchsorted(edges, s, side="right"), minlength=len(edges) + 1) for s in (mated, other)
    )
    p, q = own / len(mated), others / len(other)
    # 2 LR / (1 + LR) - 1 with LR = p / q, and none where the score speaks for two people.
    measure: Floats = np.maximum(0.0, (p - q) / np.maximum(p + q, np.finfo(np.float64).tiny))
    return measure, p


def linkage(mated: Floats, other: Floats, seed: int) -> Linkage:
    """Return D_sys of the scores, and what chance gives with as many."""
    rng = np.random.default_rng(seed)
    pooled = np.concatenate([mated, other])
    dealt = []
    for _ in range(_SHUFFLES):
        mixed = rng.permutation(pooled)
        dealt.append(_d_sys(mixed[: len(mated)], mixed[len(mated) :]))
    return Linkage(_d_sys(mated, other), float(np.quantile(dealt, 0.95)))


def _d_sys(mated: Floats, other: Floats) -> float:
    measure, share = local(mated, other)
    return float(measure @ share)
