# SPDX-License-Identifier: Apache-2.0
"""The inversion attack on every form of storage, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facelatch.face.encoder import Fusion
from facelatch.shipped import encoders
from tools.redteam.inversion import forms, people, results
from tools.redteam.inversion.drawing import BATCH, STEPS, Artist, Pictures, Refiner, encode
from tools.redteam.inversion.judge import FAR, Flags, Judge, threshold
from tools.redteam.inversion.own import Record
from tools.redteam.inversion.people import Targets
from tools.redteam.inversion.prior import Floats, Prior, units
from tools.redteam.inversion.results import Result
from tools.redteam.part import Control, Job, Outcome

# What the paper's own attack reached, and a picture that succeeds "far" more often than another's face.
_GOAL = 0.89
_FAR_ABOVE = 0.5


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        targets: people attacked; of forms that give way only those with another image.
        crops: pictures the attacker learns to draw from.
        records: that the regressor is trained on.
        weak: records made weak on purpose.
        wide: cell of those, by the largest deviation of a coordinate over known people. A model fitted to a handful
            says little of how others differ: then more.
        others: other faces that are tried on each target, for the baseline.
        steps: down the gradient.
        batch: pictures drawn at a time.
        far: false accepts of the matcher.
    """

    targets: int = 600
    crops: int = 3000
    records: int = 600
    weak: int = 48
    wide: float = 16.0
    others: int = 200
    steps: int = STEPS
    batch: int = BATCH
    far: float = FAR


# So few pairs of people tell no small share of false accepts, and so few eigenfaces take more steps.
_QUICK = Scale(targets=6, crops=120, records=12, weak=6, wide=64.0, others=20, steps=14, batch=6, far=0.1)


def any_guess(ask: Callable[[Floats, Floats], Flags], guesses: Floats, whose: Floats) -> Flags:
    """Tell for which of (n, d) people one of (g, m, d) guesses succeeds, m >= n."""
    found: Flags = np.logical_or.reduce([ask(guess[: len(whose)], whose) for guess in guesses])
    return found


@dataclass(frozen=True)
class Attacker:
    """What the attacker works with: a judge, an artist, the encoders."""

    judge: Judge
    artist: Artist
    refiner: Refiner
    encoder: Fusion

    def attack(self, name: str, form: forms.Form[Any], targets: Targets, rng: np.random.Generator) -> Result:
        """Store the targets' embeddings in the form, and undo it."""
        x, others = targets.enrolled, targets.others
        guesses = form.estimate(form.store(x, rng))
        sketched = np.stack([self._encode(self.artist.draw(self.artist.sketch(guess))) for guess in guesses])
        drawn = [self.artist.draw(self.refiner(guess, f"Drawing from {name}")) for guess in guesses]
        seen = np.stack([self._encode(pictures) for pictures in drawn])
        # Of our own record an opening counts too; of the others' the matcher is all there is.
        success = self.judge.either if isinstance(form, Record) else self.judge.matches

        return Result(
            name=name,
            names=targets.names.tolist(),
            embedding=any_guess(success, guesses, x),
            picture=any_guess(success, seen, x),
            regression=any_guess(success, sketched, x),
            other_embedding=any_guess(success, guesses, others),
            other_picture=any_guess(success, seen, others),
            opens=any_guess(self.judge.opens, seen, x),
            likeness=float((guesses * x).sum(axis=-1).max(axis=0).mean()),
            shown=np.stack([pictures[: results.SHOWN] for pictures in drawn]),
        )

    def baseline(self, targets: Targets, known: Floats) -> float:
        """Return how often one succeeds who guesses: with the face of somebody else, or with the mean of all.

        Args:
            targets: whom the guess is to be taken for.
            known: (n, d) unit embeddings of other people.
        """
        others = float(np.mean([self.judge.either(known, one) for one in targets.enrolled]))
        blank = self.artist.draw(np.zeros((1, len(self.artist.eigenfaces))))
        means = np.concatenate([units(self.artist.centre)[None], self._encode(blank)])
        return max(others, *(float(self.judge.either(mean, targets.enrolled).mean()) for mean in means))

    def _encode(self, pictures: Pictures) -> Floats:
        return encode(pictures, self.encoder)


def invert(job: Job) -> Outcome:
    """Attack every form; the controls are the plain embedding, its picture, and a record made weak on purpose."""
    scale = _QUICK if job.quick else Scale()
    rng = np.random.default_rng([job.seed, 1])
    targets = Targets.choose(job.split.targets, scale.targets, rng)
    known = Targets.choose(job.split.known, scale.records, rng)
    prior = Prior.learn(job.split.known.units)
    attacker, originals = _prepare(job, targets, scale, rng)

    several = targets.several
    looks, again = known.several.enrolled, known.several.others
    weak = replace(job.split.parameters, scale=_weak_scale(job, known, scale.wide))
    tried: list[tuple[str, forms.Form[Any], Targets]] = [
        ("plain", forms.Plain(), several),
        ("mrp", forms.RandomProjection(prior), several),
        ("lwe_fe", forms.LweExtractor(prior, rng), several),
        ("sketch", forms.E8Sketch(prior, looks, again), several),
        ("l2fe", Record(job.split.parameters, prior, known.enrolled, rng), targets),
        ("l2fe_weak", Record(weak, prior, known.enrolled[: scale.weak], rng), targets.first(scale.weak)),
    ]
    found = [attacker.attack(name, form, attacked, rng) for name, form, attacked in tried]
    baseline = attacker.baseline(targets, known.enrolled[: scale.others])
    return Outcome(
        {"threshold": attacker.judge.threshold}
        | {result.name: results.figures(result, baseline, job.seed) for result in found},
        [results.table(found, baseline, attacker.judge.threshold, scale.far, job.seed)],
        controls(found, baseline),
        results.said(found),
        [results.faces(originals, found)],
    )


def _prepare(job: Job, targets: Targets, scale: Scale, rng: np.random.Generator) -> tuple[Attacker, Pictures]:
    """Train the attacker on the people he knows; also return one picture each of the first few targets."""
    files = np.array(people.files(job.folder, job.data))
    rows = np.flatnonzero(np.isin(job.data.people, job.split.known.people))
    rows = rng.permutation(rows)[: scale.crops]
    artist = Artist.learn(people.crops(files[rows].tolist(), "Cutting out known faces"), job.data.units[rows])
    first = [files[np.flatnonzero(job.data.people == name)[0]] for name in targets.names[: results.SHOWN]]
    judge = Judge(threshold(job.split.known, scale.far), job.split.parameters.projection, job.parameters.accept_radius)
    attacker = Attacker(judge, artist, Refiner(artist, scale.steps, scale.batch), encoders())
    return attacker, people.crops(first, "Cutting out targets")


def _weak_scale(job: Job, known: Targets, wide: float) -> float:
    """Return a D so small that a cell is wider than faces differ."""
    p = job.split.parameters
    return p.lattice.side / (wide * float(p.projection(known.enrolled).std(axis=0).max()))


def controls(found: list[Result], baseline: float) -> list[Control]:
    """Judge what has to succeed: a plain embedding, its picture, and a record made weak on purpose."""
    by_name = {result.name: result for result in found}
    plain, weak = by_name["plain"], by_name["l2fe_weak"]
    return [
        Control("the plain embedding, taken for its owner", bool(plain.embedding.mean() >= _GOAL)),
        Control(
            "a picture drawn from it, taken for its owner far more often than another face",
            bool(plain.picture.mean() - baseline >= _FAR_ABOVE),
        ),
        Control(
            "our record with cells wider than faces differ, the estimate taken for its owner",
            bool(weak.embedding.mean() - baseline >= _FAR_ABOVE),
        ),
    ]
