# SPDX-License-Identifier: Apache-2.0
"""Face data for measuring: folders of images, and their embeddings by the shipped face path.

Embeddings of people are kept in ``build/`` only, which git ignores; nothing of them goes into the project.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import numpy.typing as npt

from facelatch.errors import FacelatchError
from facelatch.face.path import FacePath
from facelatch.models import DETECTOR, ENCODER, manifest
from facelatch.shipped import face_path

CACHE = Path("build") / "embeddings"
UNREADABLE = "unreadable"


class DatasetError(FacelatchError):
    """A data set is missing, empty or not laid out as folders of people."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a data set.

    Attributes:
        embeddings: (m, 192) float32, of unit length.
        people: (m,) str, the folder each image lies in.
        refused: how many images gave none, by reason (the quality gate's hint, or ``unreadable``).
    """

    embeddings: npt.NDArray[np.float32]
    people: npt.NDArray[np.str_]
    refused: dict[str, int]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Embedded:
        """Return the part of the data set that the (m,) mask chooses."""
        return Embedded(self.embeddings[chosen], self.people[chosen], self.refused)


def embed(dataset: Path, *, at_least: int = 1) -> Embedded:
    """Embed every image of ``dataset/<identity>/<image>`` by the shipped path, or take it from the cache.

    Args:
        dataset: the folder.
        at_least: people with fewer images are left out.

    Raises:
        DatasetError: the folder is missing or holds no images.
    """
    folders = [sorted(path for path in folder.iterdir() if path.is_file()) for folder in sorted(dataset.glob("*/"))]
    images = [image for folder in folders if len(folder) >= at_least for image in folder]
    if not images:
        raise DatasetError(f"no images in {dataset}", "give a folder with one folder of images a person")
    key = _cache_key(dataset, images)
    cached = CACHE / f"{dataset.name}-{key[:16]}.npz"
    if cached.is_file():
        with np.load(cached) as kept:
            refused = dict(zip(kept["reasons"].tolist(), kept["counts"].tolist(), strict=True))
            return Embedded(kept["embeddings"], kept["people"], refused)
    embedded = _gather(images, _embed_all(images))
    cached.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        cached,
        embeddings=embedded.embeddings,
        people=embedded.people,
        reasons=np.array(list(embedded.refused), dtype=np.str_),
        counts=np.array(list(embedded.refused.values()), dtype=np.int64),
    )
    return embedded


def _embed_all(images: list[Path]) -> Iterable[npt.NDArray[np.float32] | str]:
    # The runtime does not survive a fork, so workers start afresh and build their own networks.
    with (
        multiprocessing.get_context("spawn").Pool(initializer=_start_worker) as pool,
        click.progressbar(length=len(images), label="Embedding") as bar,
    ):
        for result in pool.imap(_embed_one, images, chunksize=16):
            yield result
            bar.update(1)


def _start_worker() -> None:
    global _worker_path
    _worker_path = face_path()


_worker_path: FacePath


def _embed_one(image: Path) -> npt.NDArray[np.float32] | str:
    pixels = cv2.imread(str(image), cv2.IMREAD_COLOR)
    if pixels is None:
        return UNREADABLE
    look = _worker_path.look(np.ascontiguousarray(pixels[:, :, ::-1], dtype=np.uint8))
    return look.embedding if look.embedding is not None else str(look.hint)


def _gather(images: list[Path], results: Iterable[npt.NDArray[np.float32] | str]) -> Embedded:
    embeddings, people, refused = [], [], Counter[str]()
    for image, result in zip(images, results, strict=True):
        if isinstance(result, str):
            refused[result] += 1
        else:
            embeddings.append(result)
            people.append(image.parent.name)
    if not embeddings:
        raise DatasetError("no image of the data set shows a face that can be used", "check the folder")
    return Embedded(np.stack(embeddings), np.array(people, dtype=np.str_), dict(refused))


def _cache_key(dataset: Path, images: list[Path]) -> str:
    """Name what the embeddings depend on: the files, the models, and the face path's own code."""
    digest = hashlib.sha256()
    for name in (DETECTOR, ENCODER):
        digest.update(manifest().models[name].sha256.encode())
    import facelatch.face

    for source in sorted(Path(facelatch.face.__path__[0]).glob("*.py")):
        digest.update(source.read_bytes())
    for image in images:
        digest.update(f"{image.relative_to(dataset)} {image.stat().st_size}\n".encode())
    return digest.hexdigest()
