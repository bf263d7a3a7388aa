# SPDX-License-Identifier: Apache-2.0
"""The figures of a run, as the JSON file has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.parameters import ParameterSet
from tools.dataset import UNREADABLE, Embedded
from tools.evaluate.curve import AtFrr, Point, crossing
from tools.evaluate.measure import Genuine, Impostors
from tools.evaluate.protocol import Protocol
from tools.evaluate.refreshing import Later
from tools.evaluate.refreshing import figures as refresh_figures
from tools.evaluate.stats import bootstrap, clopper_pearson, per_person, rate_interval, success
from tools.evaluate.strength import Strength

Figures = dict[str, object]
TRIES = {"1": 1, "2^10": 1 << 10, "2^20": 1 << 20, "2^30": 1 << 30}


@dataclass(frozen=True)
class Run:
    """All that was measured.

    Attributes:
        dataset: name of the folder.
        data: its embeddings, and the images that gave none.
        people: who took part.
        skipped: who did not, for want of images.
        held_out: nobody who took part had a part in the population model.
        points: the strength curve; empty without genuine attempts.
        later: of the study of refreshes; None without one.
    """

    dataset: str
    data: Embedded
    protocol: Protocol
    parameters: ParameterSet
    people: set[str]
    skipped: set[str]
    held_out: bool
    genuine: list[Genuine]
    same_session: list[Genuine]
    impostors: Impostors
    strength: Strength
    points: list[Point]
    at_frr: AtFrr | None
    decode_ms: list[float]
    encode_ms: list[float]
    later: list[Later] | None


def summarise(run: Run) -> Figures:
    """Return the figures; None where there is nothing to count."""
    unreadable = [f"{image.person}/{image.file}" for image in run.data.refused if image.reason == UNREADABLE]
    images = len(run.data.people) + len(run.data.refused)
    refused = len(run.data.refused) - len(unreadable)
    protocol = run.protocol
    figures: Figures = {
        "dataset": run.dataset,
        "parameter_set": run.parameters.name,
        "protocol": protocol.name,
        "enroll": protocol.enrol,
        "enroll_sessions": protocol.enrolled_over,
        "probe": protocol.probe,
        "repeats": protocol.repeats,
        "seed": protocol.seed,
        "held_out": run.held_out,
        "identities": len(run.people),
        "identities_skipped": len(run.skipped),
        "images": images,
        "unreadable": unreadable,
        "failure_to_acquire": refused / (images - len(unreadable)) if images > len(unreadable) else None,
        "failure_to_acquire_by_hint": {hint: n for hint, n in run.data.reasons.items() if hint != UNREADABLE},
    }
    figures |= rejects(run.genuine, protocol.seed) | _accepts(run.impostors) | _strength(run.strength, protocol.seed)
    figures |= {
        "cell": run.parameters.cell,
        "accept_radius": run.parameters.accept_radius,
        "guesswork_at_frr5": run.at_frr.guesswork_bits if run.at_frr else None,
        "guesswork_at_frr5_ci95": run.at_frr.guesswork_ci95 if run.at_frr else None,
        "cell_at_frr5": run.at_frr.cell if run.at_frr else None,
        "guesswork_at_frr5_centred": _at_frr_centred(run),
        **population_at(run.points, run.strength.gaussian, run.parameters, 0.1),
        "guesswork_at_frr": [
            {"cell": p.cell, "guesswork_bits": p.guesswork_bits, "frr": p.frr, "frr_ci95": p.frr_ci95}
            for p in run.points
        ],
        "decode_ms_p50": _quantile(run.decode_ms, 0.5),
        "decode_ms_p95": _quantile(run.decode_ms, 0.95),
        "encode_ms_p50": _quantile(run.encode_ms, 0.5),
    }
    if run.same_session:
        again = rejects(run.same_session, protocol.seed)
        figures["same_session"] = {name: again[name] for name in ("genuine_people", "frr", "frr_at_first_frame")}
    if run.later is not None:
        figures["refresh"] = refresh_figures(run.later, run.parameters)
    return figures


def rejects(genuine: Sequence[Genuine], seed: int) -> Figures:
    """Count false rejects, after all looks and after the first alone."""
    people = [trial.person for trial in genuine]
    failed = [trial.opened_at is None for trial in genuine]
    return {
        "genuine_attempts": len(genuine),
        "genuine_people": len(set(people)),
        "frr": float(np.mean(failed)) if genuine else None,
        "frr_ci95": rate_interval(people, failed, seed) if genuine else None,
        "frr_at_first_frame": float(np.mean([trial.opened_at != 0 for trial in genuine])) if genuine else None,
    }


def _accepts(impostors: Impostors) -> Figures:
    attempts, pairs = len(impostors.distances), len(impostors.pairs)
    return {
        "impostor_attempts": attempts,
        "impostors_decoded": impostors.decoded,
        "person_pairs": pairs,
        "false_accepts": impostors.opened,
        "far": impostors.opened / attempts if attempts else None,
        "far_ci95": clopper_pearson(impostors.opened, attempts) if attempts else None,
        "far_ci95_person_pairs": clopper_pearson(len(impostors.accepted), pairs) if pairs else None,
        "nearest_impostor": float(impostors.distances.min()) if attempts else None,
    }


def _strength(strength: Strength, seed: int) -> Figures:
    if not strength.people:
        names = (
            "guesswork_bits",
            "guesswork_bits_p5",
            "guesswork_ci95",
            "guesswork_bits_centred",
            "guesswork_bits_gaussian",
            "success_at",
            "success_at_centred",
        )
        return dict.fromkeys(names)
    bits = per_person(strength.people, strength.bits)
    return {
        "guesswork_bits": float(np.median(bits)),
        "guesswork_bits_p5": float(np.quantile(bits, 0.05)),
        "guesswork_ci95": bootstrap(bits, lambda drawn: float(np.median(drawn)), seed),
        "guesswork_bits_centred": _centred(strength),
        "guesswork_bits_gaussian": strength.gaussian,
        "success_at": _success(strength.people, strength.bits),
        "success_at_centred": _success(strength.people, strength.centred)
        if len(strength.centred) == len(strength.people)
        else None,
    }


def _success(people: Sequence[str], bits: Sequence[float]) -> dict[str, float]:
    """Mean over people of the chance of success within so many tries."""
    return {
        name: float(per_person(people, [success(of_one, tries) for of_one in bits]).mean())
        for name, tries in TRIES.items()
    }


def _at_frr_centred(run: Run) -> float | None:
    """Carry the shipped cell's centred median to the cell at which the curve meets the rate."""
    centred = _centred(run.strength)
    if run.at_frr is None or centred is None:
        return None
    return centred - run.parameters.k * math.log2(run.at_frr.cell / run.parameters.cell)


def population_at(points: Sequence[Point], gaussian: float | None, p: ParameterSet, frr: float) -> Figures:
    """Cell at which the curve meets a rate, and G there by the spread of the population model, not of these people.

    For a handful of people, or ones off the model's mean, their own median says little.
    """
    cells, rates = np.array([point.cell for point in points]), np.array([point.frr for point in points])
    at = crossing(cells, rates, frr) if points else None
    bits = None if at is None or gaussian is None else gaussian - p.k * math.log2(at / p.cell)
    name = f"frr{round(100 * frr)}"
    return {f"cell_at_{name}": at, f"guesswork_at_{name}_gaussian": bits}


def _centred(strength: Strength) -> float | None:
    if not strength.people or len(strength.centred) < len(strength.people):
        return None
    return float(np.median(per_person(strength.people, strength.centred)))


def _quantile(values: npt.ArrayLike, share: float) -> float | None:
    measured = np.asarray(values, dtype=np.float64)
    return float(np.quantile(measured, share)) if measured.size else None
