# SPDX-License-Identifier: Apache-2.0
"""Other lattices, bases and lists against what is shipped, in bits of strength at equal false rejects.

Whoever bears more noise may have a smaller cell: k log2 of the ratio is gained.
"""

from __future__ import annotations

import numpy as np

from facelatch.l2fe import lattice
from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.parameters import ParameterSet
from tools import leech
from tools.build_parameters import BLOCK_SIZE
from tools.decoding import bases, faces, noise
from tools.decoding.faces import Sample
from tools.decoding.noise import Floats, Removes, bits
from tools.decoding.studies import LEECH_BEAMS, against, level, side, span
from tools.decoding.tables import Table, watched
from tools.leech import Integers

BLOCKS = (20, 24, 30, 40, 48)
BASIS_BEAMS = (128, 512)
BEST = (2, 8)


def twice(removes: Removes) -> Removes:
    """Two copies of a lattice: noise is removed if both halves of it are."""

    def both(directions: Floats) -> noise.Flags:
        half = directions.shape[1] // 2
        return removes(directions[:, :half]) & removes(directions[:, half:])

    return both


def two_leech(p: ParameterSet, gauss: Sample, real: Sample | None) -> Table:
    """Two Leech lattices against the shipped one."""
    basis = bases.reduced(leech.basis(), leech.DIMENSION)
    rivals = {f"two Leech, beam {beam}": twice(noise.removal(Decoder(basis, beam), leech.SIDE)) for beam in LEECH_BEAMS}
    rivals["two Leech, exhaustive"] = twice(bases.exhaustive(basis, leech.SIDE))
    return compared("Two Leech lattices against the shipped one", p, rivals, gauss, real)


def other_bases(p: ParameterSet, gauss: Sample) -> Table:
    """Bases of the shipped lattice, differently reduced."""
    plain = lattice.plain_basis(p.x, p.q)
    tried: dict[str, Integers] = {}
    for block in BLOCKS:
        tried[f"BKZ-{block}"] = bases.reduced(plain, block)
        tried[f"dual BKZ-{block}"] = bases.dual_reduced(plain, p.q, block)
    tried["self-dual BKZ-24"] = bases.reduced(plain, 24, self_dual=True)
    tried["shipped"] = p.basis
    rivals = {
        f"{name}, beam {beam}": noise.removal(Decoder(basis, beam), side(p))
        for name, basis in tried.items()
        for beam in BASIS_BEAMS
    }
    return compared("Bases of the shipped lattice", p, rivals, gauss, None)


def lists(p: ParameterSet, gauss: Sample, real: Sample | None) -> Table:
    """Accepting the true point among the best few; and a dual-reduced basis, on faces too."""
    rivals = {f"true point among the best {count}": noise.removal(shipped(p), side(p), count) for count in BEST}
    basis = bases.dual_reduced(p.basis, p.q, BLOCK_SIZE)
    rivals[f"dual BKZ-{BLOCK_SIZE}, beam {p.beam}"] = noise.removal(Decoder(basis, p.beam), side(p))
    return compared("Lists, and a dual-reduced basis", p, rivals, gauss, real)


def shipped(p: ParameterSet) -> Decoder:
    """The decoder of the parameter set."""
    return Decoder(p.basis, p.beam)


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
