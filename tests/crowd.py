# SPDX-License-Identifier: Apache-2.0
"""Many people who never were, each with many looks: what a model is fitted to, and whom the red team attacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facelatch import parameters
from tools import fitting
from tools.dataset import Embedded
from tools.redteam.part import Job


def crowd(people: int = 40, looks: int = 9, *, size: int = 32, noise: float = 0.3) -> Embedded:
    """Return (people * looks, size) embeddings: clusters about points that are as far apart as chance has them.

    Args:
        people: how many.
        looks: of each.
        size: of an embedding.
        noise: deviation of a coordinate of a look, where one of a person is 1.
    """
    rng = np.random.default_rng(7)
    centres = np.repeat(rng.normal(size=(people, 1, size)), looks, axis=1)
    embeddings = (centres + noise * rng.normal(size=centres.shape)).reshape(-1, size).astype(np.float32)
    names = np.repeat([f"p{number:02}" for number in range(people)], looks)
    return Embedded(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), names, ())


def job(people: int, looks: int, *, noise: float) -> Job:
    """Return a small job on a crowd, with the shipped parameter set."""
    folder, data = Path("nowhere"), crowd(people, looks, size=96, noise=noise)
    return Job(folder, data, fitting.Sources(fitting.faces(folder, data)), parameters.read("standard"), quick=True)
