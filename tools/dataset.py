# SPDX-License-Identifier: Apache-2.0
"""Face data for measuring: folders of images, and their embeddings by the shipped face path.

Embeddings of people are kept in ``build/`` only, which git ignores; nothing of them goes into the project.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import numpy.typing as npt

import facelatch.face
from facelatch.camera.image_file import read_image
from facelatch.camera.replay import natural_order
from facelatch.errors import CameraError, FacelatchError
from facelatch.face.path import FacePath
from facelatch.face.quality import Limits
from facelatch.models import DETECTOR, MESH, manifest
from facelatch.shipped import ENCODERS, face_path

CACHE = Path("build") / "embeddings"
UNREADABLE = "unreadable"
# Starting another process takes as long as embedding about this many images.
_FEW = 64
# Pictures smaller than this are taken for cut-out faces, which fill them; the detector needs some surroundings.
_SMALL = 256
_NO_LIMITS = Limits(
    min_face=0, max_face=math.inf, min_light=0, max_light=255, min_sharpness=0, max_turn=math.inf, rival=math.inf
)


class DatasetError(FacelatchError):
    """A data set is missing, empty or not laid out as folders of people."""


@dataclass(frozen=True)
class Refused:
    """An image that gave no embedding: its folder's and its file's name, and the gate's hint or ``unreadable``."""

    person: str
    file: str
    reason: str


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a data set: folder by folder, and in a folder in natural order of the file names (2 before 10).

    Attributes:
        embeddings: (m, d) float32 as the face path gives them: the longer, the surer.
        people: (m,) str, the folder each image lies in.
        refused: the images that gave none.
    """

    embeddings: npt.NDArray[np.float32]
    people: npt.NDArray[np.str_]
    refused: tuple[Refused, ...]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Embedded:
        """Return the part of the data set that the (m,) mask chooses."""
        return Embedded(self.embeddings[chosen], self.people[chosen], self.refused)

    @property
    def units(self) -> npt.NDArray[np.float32]:
        """The embeddings brought to length one, (m, d) float32."""
        units: npt.NDArray[np.float32] = self.embeddings / np.linalg.norm(self.embeddings, axis=1, keepdims=True)
        return units

    @property
    def reasons(self) -> dict[str, int]:
        """How many images were refused, by reason, the most frequent first."""
        return dict(Counter(image.reason for image in self.refused).most_common())


def embed(dataset: Path, *, at_least: int = 1, ungated: bool = False) -> Embedded:
    """Embed every image of ``dataset/<identity>/<image>`` by the shipped path, or take it from the cache.

    Args:
        dataset: the folder.
        at_least: people with fewer images are left out.
        ungated: without the quality gate, and with a border round small pictures that a face may fill.

    Raises:
        DatasetError: the folder is missing or holds no images, or none shows a face that can be used.
    """
    images = [image for folder in list_images(dataset) if len(folder) >= at_least for image in folder]
    if not images:
        raise DatasetError(f"no images in {dataset}", "give a folder with one folder of images a person")
    dataset = dataset.resolve()
    key = _cache_key(images, ungated)
    cached = CACHE / f"{dataset.name}-{key[:16]}.npz"
    if cached.is_file():
        with np.load(cached) as kept:
            refused = tuple(Refused(*row) for row in kept["refused"].tolist())
            return Embedded(kept["embeddings"], kept["people"], refused)
    with closing(_embed_all(images, ungated)) as results:
        embedded = _gather(images, results)
    cached.parent.mkdir(parents=True, exist_ok=True)
    rows = [(image.person, image.file, image.reason) for image in embedded.refused]
    np.savez(
        cached,
        embeddings=embedded.embeddings,
        people=embedded.people,
        refused=np.array(rows, dtype=np.str_).reshape(-1, 3),
    )
    return embedded


def list_images(dataset: Path) -> list[list[Path]]:
    """List the files of each folder of a data set in natural order; names that begin with a dot are left out."""
    folders = sorted(path for path in dataset.glob("*/") if not path.name.startswith("."))
    return [
        sorted((path for path in folder.iterdir() if path.is_file() and path.name[0] != "."), key=natural_order)
        for folder in folders
    ]


def _embed_all(images: list[Path], ungated: bool) -> Generator[npt.NDArray[np.float32] | str]:
    processes = min(os.cpu_count() or 1, -(-len(images) // _FEW))
    with click.progressbar(length=len(images), label="Embedding", file=sys.stderr) as bar:
        if processes == 1:
            _start_worker(ungated)
            for image in images:
                yield _embed_one(image)
                bar.update(1)
            return
        # The runtime does not survive a fork, so workers start afresh and build their own networks.
        context = multiprocessing.get_context("spawn")
        with context.Pool(processes, initializer=_start_worker, initargs=(ungated,)) as pool:
            for result in pool.imap(_embed_one, images, chunksize=16):
                yield result
                bar.update(1)


def _start_worker(ungated: bool) -> None:
    global _worker_path, _border
    _worker_path = face_path(_NO_LIMITS if ungated else None)
    _border = ungated


_worker_path: FacePath
_border: bool


def _embed_one(image: Path) -> npt.NDArray[np.float32] | str:
    try:
        picture = read_image(image)
    except CameraError:
        return UNREADABLE
    if _border and max(picture.shape) < _SMALL:
        width = min(picture.shape[:2]) // 2
        picture = np.asarray(
            cv2.copyMakeBorder(picture, width, width, width, width, cv2.BORDER_REPLICATE), dtype=np.uint8
        )
    look = _worker_path.look(picture)
    return look.embedding if look.embedding is not None else str(look.hint)


def _gather(images: list[Path], results: Iterator[npt.NDArray[np.float32] | str]) -> Embedded:
    embeddings, people, refused = [], [], []
    for image, result in zip(images, results, strict=True):
        if isinstance(result, str):
            refused.append(Refused(image.parent.name, image.name, result))
        else:
            embeddings.append(result)
            people.append(image.parent.name)
    if not embeddings:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(one.reason for one in refused).items())
        raise DatasetError(f"no image of the data set shows a face that can be used ({reasons})", "check the folder")
    return Embedded(np.stack(embeddings), np.array(people, dtype=np.str_), tuple(refused))


def _cache_key(images: list[Path], ungated: bool) -> str:
    """Name what the embeddings depend on: the files, the models, the face path's own code, and this layout."""
    digest = hashlib.sha256(b"3 ungated" if ungated else b"3")
    # A model that gives no embedding, and code in folders below, may change without embedding everything anew.
    for model in (DETECTOR, MESH, *ENCODERS):
        digest.update(manifest().models[model].sha256.encode())
    for source in sorted(Path(facelatch.face.__path__[0]).glob("*.py")):
        digest.update(source.read_bytes())
    for image in images:
        state = image.stat()
        # The time tells apart raw pictures (PGM), which all have one size.
        where = os.fsencode(Path(image.parent.name) / image.name)
        digest.update(b"%s %d %d\n" % (where, state.st_size, state.st_mtime_ns))
    return digest.hexdigest()
