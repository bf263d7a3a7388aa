# SPDX-License-Identifier: Apache-2.0
"""A random rotation from a seed, the same to the last bit on every machine.

NumPy's random streams change between versions, and sines, logarithms and LAPACK's QR differ in the last bit between
processors. So only operations that IEEE 754 rounds exactly are used, one at a time and in a fixed order (ADR 0003).
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import numpy.typing as npt

SEED_BYTES = 32
# A sum of twelve uniforms on [0, 1) has variance 1 and is near enough to normal for a direction that is public.
_UNIFORMS = 12


# A record's rotation is public to whoever opens the record, and expanding it costs more than using it.
@functools.lru_cache(maxsize=1024)
def rotation(seed: bytes, k: int) -> npt.NDArray[np.float64]:
    """Expand a seed into a (k, k) float64 orthogonal matrix, uniform up to the normal approximation.

    SHAKE-256(seed) is read as little-endian u32; each entry, in row order, is the sum of twelve of them, minus
    12 * 2^31, times 2^-32. Rows are then made orthonormal by Gram-Schmidt, run twice, where every sum is taken
    from the first term to the last.

    Raises:
        ValueError: the seed is not 32 bytes.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a rotation seed has {SEED_BYTES} bytes, not {len(seed)}")
    stream = hashlib.shake_256(seed).digest(4 * _UNIFORMS * k * k)
    sums = np.frombuffer(stream, dtype="<u4").astype(np.int64).reshape(k, k, _UNIFORMS).sum(axis=-1)
    normal = (sums - _UNIFORMS * 2**31).astype(np.float64) * 2.0**-32
    turned = _orthonormal(_orthonormal(normal))
    turned.flags.writeable = False
    return turned


def _orthonormal(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Modified Gram-Schmidt: each row in turn is scaled to length one and taken out of the rows after it."""
    rows = rows.copy()
    for i in range(len(rows)):
        rows[i] /= np.sqrt(_in_order(rows[i] * rows[i]))
        along = _in_order(rows[i + 1 :] * rows[i])
        rows[i + 1 :] -= along[:, None] * rows[i]
    return rows


def _in_order(terms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum the last axis from first to last; NumPy's own sum pairs terms up as the processor's vectors suggest."""
    total: npt.NDArray[np.float64] = np.add.accumulate(terms, axis=-1)[..., -1]
    return total
