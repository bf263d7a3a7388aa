# SPDX-License-Identifier: Apache-2.0
"""Other lattices, bases and lists against what is shipped, in bits of strength at equal false rejects.

Whoever bears more noise may have a smaller cell: k log2 of the ratio is gained.
"""

from __future__ import annotations

import numpy as np

from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.parameters import ParameterSet
from tools import bases, qary
from tools.decoding import faces, noise
from tools.decoding.faces import Sample
from tools.decoding.noise import Floats, Removes, bits
from tools.decoding.studies import against, level, shipped, side, span
from tools.decoding.tables import Table, watched

BEST = (2, 8)
# The lattice that was shipped before: k = 48, n = 24, its seed and its block size.
Q_ARY = (48, 24, 12289)
Q_ARY_SEED = b"facelatch/lattice/k48n24q12289/1"
Q_ARY_BEAMS = (128, 512)
BLOCK_SIZE = 40


def q_ary(p: ParameterSet, gauss: Sample, real: Sample | None) -> Table:
    """A random q-ary lattice in place of the shipped one."""
    _, _, q = Q_ARY
    basis = bases.reduced(qary.plain_basis(qary.expand(Q_ARY_SEED, *Q_ARY), q), BLOCK_SIZE)
    rivals = {f"q-ary, beam {beam}": noise.removal(Decoder(basis, beam), qary.side(*Q_ARY)) for beam in Q_ARY_BEAMS}
    return compared("A random q-ary lattice against the shipped one", p, rivals, gauss, real)


def lists(p: ParameterSet, gauss: Sample, real: Sample | None) -> Table:
    """Accepting the true point among the best few; and leaving none out."""
    rivals = {f"true point among the best {count}": noise.removal(shipped(p), side(p), count) for count in BEST}
    rivals["exhaustive"] = noise.every(bases.exhaustive(p.lattice.basis, side(p)), p.lattice.copies)
    return compared("Longer lists, and exhaustive search", p, rivals, gauss, real)


def compared(title: str, p: ParameterSet, rivals: dict[str, Removes], gauss: Sample, real: Sample | None) -> Table:
    """Compare with the shipped decoder on Gaussian noise and, if given, real faces, there also within the radius."""
    samples = [gauss] if real is None else [gauss, real]
    reference = [noise.borne(noise.removal(shipped(p), side(p)), sample.directions) for sample in samples]
    rows = [_row(f"shipped, beam {p.beam}", samples, reference, reference, p.k)]
    for name, removes in watched(list(rivals.items()), title):
        found = [noise.borne(removes, sample.directions) for sample in samples]
        rows.append(_row(name, samples, found, reference, p.k))
        columns = ["decoder", "Gaussian: sigma / v at 5 % errors", "bits gained (95 %)"]
    if real is not None:
        columns += ["faces: v at 5 % FRR", "bits gained (95 %)", "v within radius", "bits gained (95 %)"]
        title += f"; faces: {len(np.unique(real.owners))} people, {len(real.owners)} decodes each"
    return Table(title, columns, rows)


def _row(name: str, samples: list[Sample], found: list[Floats], reference: list[Floats], k: int) -> list[str]:
    row = [name]
    for index, (sample, own, old) in enumerate(zip(samples, found, reference, strict=True)):
        pairs = [(own, old)]
        if index:
            pairs.append((faces.within_radius(own, sample.directions), faces.within_radius(old, sample.directions)))
        for new, before in pairs:
            row.append(f"{1 / level(new):.3f}" if index else f"{level(new):.4f}")
            row.append("0" if own is old else span(bits(ratio, k) for ratio in against(before, new, sample.owners)))
    return row
