# SPDX-License-Identifier: Apache-2.0
"""Search one record, of real people held out, at the shipped sets and at smaller ones, by attackers who know more."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from facelatch import parameters
from facelatch.l2fe.extractor import Context, Extractor, Sketch
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.rotation import rotation
from facelatch.l2fe.strength import guesswork_bits
from tools.evaluate.lock import at_cell
from tools.redteam import beliefs, probes, records, searched, trying
from tools.redteam.beliefs import Belief, Floats, Gaussian
from tools.redteam.part import Control, Job, Outcome
from tools.redteam.records import HeldOut
from tools.redteam.search import Integers, Leak
from tools.redteam.searched import Run
from tools.redteam.trying import Target

Pairs = list[tuple[Floats, Belief]]
Believes = Callable[[HeldOut, Floats], Belief]

# Parts of a mixture, and so groups that an owner may be known to be of.
_PARTS = (2, 8)
# Parts of the mixtures whose promise is told of everybody, by volume alone.
_PROMISED = (1, 2, 4, 8, 16)
_MADE_UP = f"mixture of {_PARTS[-1]}, of made-up Gaussian people"
# The other set that ships, and how many of its records are searched: each takes twice as long.
_STRICT, _WIDER = "strict", 80
# A cell so large that no other point is as face-like as the true one, and how many records it must open at once.
_OPEN_BITS = -24.0
_MOST = 0.9
# Whole records searched with real Argon2id runs: how many, at which G, with how many runs.
_REAL, _REAL_BITS, _RUNS = 2, -3.0, 24


@dataclass(frozen=True)
class Plan:
    """What is run; a count takes about a second at k = 72.

    Attributes:
        k: dimension; that of the set if 0.
        shipped: at the shipped cells, on everybody; else at G = 12.
        bits: G of the cells enlarged.
        listed: G of the cells at which all is listed too, by k.
        correlations: of relatives.
        records: of the runs at other cells.
        few: records of each of the rest.
    """

    k: int
    shipped: bool
    bits: tuple[float, ...]
    listed: dict[int, tuple[float, ...]]
    correlations: tuple[float, ...]
    records: int
    few: int


_LISTED = {24: (6.0, 12.0, 18.0), 48: (6.0,)}
_WHOLE = Plan(0, True, (6.0, 9.0, 12.0, 15.0, 18.0), _LISTED, (0.25, 0.5, 0.7), 40, 24)
_QUICK = Plan(24, False, (6.0,), {24: (6.0,)}, (), 3, 3)


def search(job: Job) -> Outcome:
    """Attack real people's records at the shipped sets and at cells enlarged, then with more knowledge of them."""
    plan = _QUICK if job.quick else _WHOLE
    k = plan.k or job.parameters.k
    strict = parameters.read(_STRICT)
    # Fitted once, with as many coordinates as any run takes.
    folds = records.held_out(job.sources, job.data, max(k, strict.k) if plan.shipped else k, job.seed, few=job.quick)
    parts = [fold.first(k) for fold in folds]
    spread = records.spread(parts)
    cell = job.parameters.cell if plan.shipped else _cell(spread, 12.0)

    def some(believes: Believes) -> Pairs:
        return _pairs(parts, believes, job.seed)[: plan.few]

    everybody = _pairs(parts, _published(spread), job.seed)
    main = _run(
        f"{job.parameters.name}, k = {k}", everybody if plan.shipped else everybody[: plan.records], cell, job.seed
    )
    shipped = [main]
    if plan.shipped and job.parameters.name != _STRICT:
        wider = [fold.first(strict.k) for fold in folds]
        pairs = _pairs(wider, _published(records.spread(wider)), job.seed)[:_WIDER]
        shipped.append(_run(f"{_STRICT}, k = {strict.k}", pairs, strict.cell, job.seed))
    enlarged = [
        _run(f"k = {k}, G = {bits:g}", everybody[: plan.records], _cell(spread, bits), job.seed) for bits in plan.bits
    ]
    listed = [
        _listed([fold.first(size) for fold in folds], bits, plan.records, job.seed)
        for size, cells in plan.listed.items()
        for bits in cells
    ]
    knowing = [_run(name, some(believes), cell, job.seed) for name, believes in _knowing(parts, job.seed).items()]
    related = [
        _run(f"a relative, correlation {rho:g}", _relatives(rho, spread, plan.few, job.seed), cell, job.seed)
        for rho in plan.correlations
    ]
    promises = {k: _promised(parts, cell, job.seed)}
    if plan.shipped and k != strict.k:
        promises[strict.k] = _promised([fold.first(strict.k) for fold in folds], strict.cell, job.seed)
    second = searched.argon2id_seconds(job.parameters.argon2id)
    others = [*shipped[1:], *enlarged, *listed, *knowing, *related]
    return Outcome(
        figures={
            **searched.figures(main, second),
            "others": {run.name: searched.figures(run, second) for run in others},
            "by_belief": searched.promised(promises),
        },
        tables=[
            searched.table("Search of one record, real people held out; log2 of tries, counted (predicted)", shipped),
            searched.cost(shipped, second),
            searched.many(main),
            searched.table("The same people, cells enlarged", enlarged),
            searched.checked(listed),
            searched.promises(promises),
            searched.table("By an attacker who knows more of people, or of this one", [main, *knowing, *related]),
        ],
        controls=[_large_cell(spread, job.seed), _for_real(job.parameters, job.seed)],
        said=searched.said(main.tries, _of_faces(promises[k]), second),
        pictures=[searched.picture(main)],
    )


def _run(name: str, pairs: Pairs, cell: float, seed: int, *, listing: bool = False) -> Run:
    """Make the records and attack them; each has a seed of its own."""
    targets = [Target(y, belief, cell, (seed, len(y), index)) for index, (y, belief) in enumerate(pairs)]
    return Run(name, cell, trying.ranked(targets, name, trying.listed if listing else trying.rank))


def _pairs(parts: Sequence[HeldOut], believes: Believes, seed: int) -> Pairs:
    """Pair every enrolment with what the attacker believes of it, in no order: the first few are a sample."""
    pairs = [(y, believes(part, y)) for part in parts for y in part.vectors]
    return [pairs[index] for index in np.random.default_rng(seed).permutation(len(pairs))]


def _cell(spread: Floats, bits: float) -> float:
    return float(2 ** ((guesswork_bits(spread**2, 1.0) - bits) / len(spread)))


def _published(spread: Floats) -> Believes:
    """What the parameter set tells everyone, and what ``strength`` judges by."""
    belief = (beliefs.apart(np.zeros(len(spread)), spread),)
    return lambda _part, _y: belief


def _listed(parts: Sequence[HeldOut], bits: float, count: int, seed: int) -> Run:
    spread = records.spread(parts)
    pairs = _pairs(parts, _published(spread), seed)[:count]
    return _run(f"k = {len(spread)}, G = {bits:g}, listed", pairs, _cell(spread, bits), seed, listing=True)


def _knowing(parts: Sequence[HeldOut], seed: int) -> dict[str, Believes]:
    """Attackers who have fitted more to the other people than the parameter set publishes."""
    lessons = {id(part): part.taught() for part in parts}
    believe: dict[str, Believes] = {}
    for count in (1, *_PARTS):
        fitted = {key: beliefs.mixture(*lesson, count, seed) for key, lesson in lessons.items()}
        name = "covariance of others" if count == 1 else f"mixture of {count}"
        believe[name] = _fitted(fitted, told=False)
        if count > 1:
            believe[f"{name}, the owner's known"] = _fitted(fitted, told=True)
    return believe


def _fitted(belief: dict[int, Belief], *, told: bool) -> Believes:
    """Believe what was fitted without this part's people; ``told`` which of a mixture's parts the owner is of."""
    return lambda part, y: beliefs.nearest_part(belief[id(part)], y) if told else belief[id(part)]


def _promised(parts: Sequence[HeldOut], cell: float, seed: int) -> dict[str, Floats]:
    """Predict, by volume, what everybody's record costs attackers who fit more and more to the other people.

    The last row is the check on them: among as many made-up people who are Gaussian a mixture has nothing to find.
    """
    spread = records.spread(parts)
    lessons = [part.taught() for part in parts]
    promised = {"published": _bits(parts, [_published(spread)(parts[0], spread)] * len(parts), cell)}
    for count in _PROMISED:
        fitted = [beliefs.mixture(*lesson, count, seed) for lesson in lessons]
        promised["covariance of others" if count == 1 else f"mixture of {count}"] = _bits(parts, fitted, cell)
    rng = np.random.default_rng(seed)
    made_up = [replace(part, vectors=spread * rng.normal(size=part.vectors.shape)) for part in parts]
    fitted = [
        beliefs.mixture(spread * rng.normal(size=means.shape), np.zeros_like(noise), _PARTS[-1], seed)
        for means, noise in lessons
    ]
    promised[_MADE_UP] = _bits(made_up, fitted, cell)
    return promised


def _of_faces(promised: dict[str, Floats]) -> dict[str, Floats]:
    return {belief: bits for belief, bits in promised.items() if belief != _MADE_UP}


def _bits(parts: Sequence[HeldOut], believed: Sequence[Belief], cell: float) -> Floats:
    pairs = zip(parts, believed, strict=True)
    return np.array([beliefs.expected_bits(belief, y, cell) for part, belief in pairs for y in part.vectors])


def _relatives(rho: float, spread: Floats, count: int, seed: int) -> Pairs:
    """Made-up people of whom a relative's enrolment is known: y = rho * relative + sqrt(1 - rho^2) * fresh."""
    rng = np.random.default_rng([seed, round(100 * rho)])
    left = (1 - rho**2) ** 0.5 * spread
    relatives = spread * rng.normal(size=(count, len(spread)))
    return [
        (rho * relative + left * rng.normal(size=len(spread)), (beliefs.apart(rho * relative, left),))
        for relative in relatives
    ]


def _large_cell(spread: Floats, seed: int) -> Control:
    rng = np.random.default_rng(seed)
    belief = (beliefs.apart(np.zeros(len(spread)), spread),)
    pairs: Pairs = [(spread * rng.normal(size=len(spread)), belief) for _ in range(8)]
    found = _run("control", pairs, _cell(spread, _OPEN_BITS), seed)
    return Control(f"a cell so large that G = {_OPEN_BITS:g}: open at the first try", found.share(1) >= _MOST)


def _for_real(p: ParameterSet, seed: int) -> Control:
    """Search whole records, wrapped under Argon2id, until they open, at cells at which that takes few runs."""
    rng = np.random.default_rng(seed)
    open_ = at_cell(p, _cell(p.spread, _REAL_BITS))
    extractor, belief = Extractor(open_), beliefs.apart(np.zeros(p.k), p.spread)
    opened = 0
    for _ in range(_REAL):
        context = Context(pepper=rng.bytes(32), user=b"anna", record_id=rng.bytes(16), header=b"")
        embedding = probes.lifted(p.projection, p.spread * rng.normal(size=p.k))
        helper = extractor.generate(embedding, context, random=rng.bytes)
        opened += any(
            extractor.secret(point, helper, context) is not None
            for point in itertools.islice(_guesses(open_, helper.sketch, belief), _RUNS)
        )
    return Control(f"whole records at G = {_REAL_BITS:g}, {_RUNS} Argon2id runs for each", opened == _REAL)


def _guesses(p: ParameterSet, sketch: Sketch, belief: Gaussian) -> Iterator[Integers]:
    """Give the points that a beam finds, the likeliest first."""
    leak = Leak(sketch.c, rotation(sketch.seed, p.k), p.scale, p.spread)
    basis = np.kron(np.eye(p.lattice.copies, dtype=np.int64), p.lattice.basis)
    reach = 1.5 * p.k**0.5
    for residual in trying.coset(leak, basis, belief).nearest(reach, trying.LIST_BEAM):
        y = np.linalg.solve(belief.whitening, residual) + belief.mean
        yield (sketch.c - np.rint(p.scale * (leak.rotation @ y)).astype(np.int64)) % p.lattice.modulus
