# SPDX-License-Identifier: Apache-2.0
"""How many equally face-like points a record leaves an attacker who holds it and the device key."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def guesswork_bits(variances: npt.ArrayLike, cell: float) -> float:
    """Estimate G, the log2 of the number of coset points at least as face-like as the true one.

    Enrolment vectors fill a typical set of volume 2^h, where h is their Gaussian entropy in bits; the coset has one
    point in every volume v^k; and all but a part 1/sqrt(pi k) of those lie where a face is less likely than the true.

    Args:
        variances: (k,) variance of each coordinate of enrolment vectors over people not used to fit the projection.
        cell: v, the side of the lattice's cell in within-person deviations.
    """
    s2 = np.asarray(variances, dtype=np.float64)
    k = len(s2)
    entropy = 0.5 * np.log2(2 * math.pi * math.e * s2).sum()
    return float(entropy - k * math.log2(cell) - 0.5 * math.log2(math.pi * k))


def coset_bits(y: npt.ArrayLike, spread: npt.ArrayLike, cell: float) -> float:
    """Estimate the log2 of how many points of its coset are at least as face-like as one enrolment vector.

    Those points fill the ellipsoid of equal likelihood through y, with one in every volume v^k. Secret, like y itself:
    it is judged at enrolment, and neither stored nor shown.

    Args:
        y: (k,) the enrolment vector.
        spread: (k,) deviation of each coordinate over people.
        cell: v.
    """
    s = np.asarray(spread, dtype=np.float64)
    k = len(s)
    radius = float(np.linalg.norm(np.asarray(y, dtype=np.float64) / s))
    if radius == 0:
        return -math.inf
    ball = 0.5 * k * math.log2(math.pi) - math.lgamma(k / 2 + 1) / math.log(2)
    return ball + k * math.log2(radius) + float(np.log2(s).sum()) - k * math.log2(cell)
