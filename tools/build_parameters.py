# SPDX-License-Identifier: Apache-2.0
"""Build a public parameter set from a data set of faces: ``python -m tools.build_parameters DATASET``.

The projection is fitted to everyone; the cell v is chosen, and the figures are measured, by cross-fitting over people.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import numpy as np

import facelatch.parameters
from facelatch.errors import FacelatchError
from facelatch.l2fe import parameters
from facelatch.l2fe.keys import ARGON2ID_FLOOR
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.population import Projection
from facelatch.l2fe.strength import guesswork_bits
from facelatch.shipped import encoder_digests
from tools import bases, dataset, fitting, leech, options, trials

# Lattice units for one of the Leech lattice's whole coordinates: D stays above 16 for cells up to 11.
UNIT = 64
MODULUS = 1 << 12
CELLS = tuple(float(v) for v in np.arange(6.0, 10.01, 0.0625))


@dataclass(frozen=True)
class Recipe:
    """What a parameter set is asked to be."""

    name: str
    target_frr: float
    copies: int = 3
    beam: int = 256

    @property
    def k(self) -> int:
        """Dimension of all copies of the Leech lattice together."""
        return self.copies * leech.DIMENSION


@dataclass(frozen=True)
class _Fitted:
    """What does not depend on the cell."""

    basis: leech.Integers
    projection: Projection
    spread: trials.Floats
    far_exponent: float


RECIPES = {"standard": Recipe("standard", target_frr=0.015), "strict": Recipe("strict", target_frr=0.03, copies=4)}


@click.command()
@click.argument("data", metavar="DATASET", type=click.Path(exists=True, file_okay=False, path_type=Path))
@options.changes
@click.option("--recipe", type=click.Choice(sorted(RECIPES)), default="standard", show_default=True)
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=facelatch.parameters.DIRECTORY)
def main(data: Path, changes: tuple[Path, ...], recipe: str, output: Path) -> None:
    """Fit, choose the cell, measure, and write the parameter set; print the hash to pin."""
    try:
        wire = build(dataset.embed(data), fitting.read(data, changes), RECIPES[recipe], data.name)
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
    content = msgspec.json.format(msgspec.json.encode(wire), indent=1)
    parameters.parse(content)
    path = output / f"{recipe}.json"
    output.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    for name, value in wire.measured.items():
        click.echo(f"{name}: {value}")
    digest = hashlib.sha256(content).hexdigest()
    click.echo(f"wrote {path}; pin in facelatch/l2fe/parameters.py: {recipe!r}: {digest!r}")


def build(data: dataset.Embedded, sources: fitting.Sources, recipe: Recipe, source: str) -> parameters.Wire:
    """Build the set; the smallest cell whose cross-fitted, really decoded FRR meets the recipe is chosen."""
    protocol = trials.Protocol()
    folds = trials.cross_fit(sources, data, protocol, recipe.k)
    variances = trials.enrolment_variances(folds)
    spread = np.sqrt(variances)
    impostors = np.concatenate([trials.distances(fold, spread)[trials.different_people(fold)] for fold in folds])
    fitted = _Fitted(
        basis=UNIT * bases.reduced(leech.basis(), leech.DIMENSION),
        projection=sources.fit(recipe.k),
        spread=spread,
        far_exponent=trials.far_exponent(impostors),
    )
    for cell in CELLS:
        wire = _wire(recipe, cell, fitted, {})
        people, accepted = _genuine(parameters.parse(msgspec.json.encode(wire)), folds, protocol.seed)
        frr = 1 - float(np.mean(accepted))
        click.echo(f"cell {cell:.3f}: FRR {frr:.2%}")
        if frr <= recipe.target_frr:
            break
    else:
        raise dataset.DatasetError("no cell reaches the wanted FRR", "give more images a person")
    low, high = trials.people_bootstrap(people, [not ok for ok in accepted], protocol.seed)
    measured: dict[str, str | float] = {
        "data": f"{source}: {len(np.unique(data.people))} people, {len(data.people)} images",
        "changes": "; ".join(f"{len(np.unique(part.people))} people of {part.name}" for part in sources.changes),
        "protocol": f"{protocol.enrol} + {protocol.probe} images, {protocol.folds} folds by person",
        "frr": round(frr, 4),
        "frr_low95": round(low, 4),
        "frr_high95": round(high, 4),
        "people": float(len(set(people))),
        "guesswork_bits": round(guesswork_bits(variances, cell), 1),
        "nearest_impostor": round(float(impostors.min()), 2),
    }
    return _wire(recipe, cell, fitted, measured)


def _genuine(shipped: ParameterSet, folds: list[trials.Fold], seed: int) -> tuple[list[str], list[bool]]:
    """Decode every genuine trial under its own fold's projection."""
    random = np.random.default_rng(seed).bytes
    people: list[str] = []
    accepted: list[bool] = []
    for fold in folds:
        people += [trial.person for trial in fold.trials]
        accepted += trials.genuine(trials.under(shipped, fold.projection), fold.trials, random)
    return people, accepted


def _wire(recipe: Recipe, cell: float, fitted: _Fitted, measured: dict[str, str | float]) -> parameters.Wire:
    return parameters.Wire(
        format=parameters.FORMAT,
        name=recipe.name,
        encoders=list(encoder_digests()),
        block=leech.DIMENSION,
        copies=recipe.copies,
        modulus=MODULUS,
        scale=round(UNIT * leech.SIDE / cell, 4),
        beam=recipe.beam,
        # A ball of this radius holds a lattice point by chance in some 4 % of places: few Argon2id runs are wasted.
        accept_radius=round(math.sqrt(recipe.k / (2 * math.pi * math.e)) * cell, 4),
        far_exponent=round(fitted.far_exponent, 2),
        argon2id_passes=ARGON2ID_FLOOR.passes,
        argon2id_memory_kib=ARGON2ID_FLOOR.memory_kib,
        mean=parameters.pack(fitted.projection.mean, "<f4"),
        projection=parameters.pack(fitted.projection.matrix, "<f4"),
        spread=parameters.pack(fitted.spread, "<f4"),
        basis=parameters.pack(fitted.basis, "<i2"),
        measured=measured,
    )


if __name__ == "__main__":
    main()
