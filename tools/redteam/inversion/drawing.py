# SPDX-License-Identifier: Apache-2.0
"""From an embedding to a picture of the face, by an attacker who has pictures of other people.

Pictures are mean face plus eigenfaces (Turk and Pentland, "Eigenfaces for recognition", 1991). A first sketch of
their weights comes from the embedding by ridge regression, learnt on the attacker's people; a few steps down the
gradient of the encoders themselves then bring the picture's own embedding to the one that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facelatch.face.alignment import SIZE
from facelatch.face.encoder import Fusion
from tools.decoding.tables import watched
from tools.redteam.inversion.prior import Floats, units

Pictures = npt.NDArray[np.uint8]
Singles = npt.NDArray[np.float32]

# They keep 96 % of the variance of crops, and of a hundred faces written in them the encoders knew all again.
EIGENFACES = 400
# Of the mean variance of a coordinate. Chosen without a search.
_RIDGE = 0.02
# Steps, their size in deviations of a weight, and what its distance from the first sketch costs beside the cosine.
STEPS = 6
_STRIDE = 0.2
_STAY = 0.05
# Pictures at a time: what the processor's cache holds.
BATCH = 8
# The descent starts from a sketch stronger than the regression gives, which errs towards the mean face.
_BOLD = 2.0
# Adam's usual constants, the second shortened to suit few steps (Kingma and Ba, arXiv 1412.6980).
_MOMENTUM, _SCALE, _TINY = 0.9, 0.99, 1e-8


@dataclass(frozen=True)
class Artist:
    """Draws faces.

    Attributes:
        mean: (p,) float32, the mean picture, p = 112 * 112 * 3.
        eigenfaces: (n, p) float32, each as strong as it varies over people.
        centre: (d,) mean embedding.
        regression: (d, n), from an embedding less the mean one to the weights of eigenfaces.
    """

    mean: Singles
    eigenfaces: Singles
    centre: Floats
    regression: Floats

    @classmethod
    def learn(cls, crops: Pictures, embeddings: npt.ArrayLike) -> Artist:
        """Learn from (m, 112, 112, 3) aligned crops and their (m, d) unit embeddings."""
        flat = crops.reshape(len(crops), -1).astype(np.float32)
        mean = flat.mean(axis=0)
        flat -= mean
        _, vectors = np.linalg.eigh(flat @ flat.T)
        most = min(EIGENFACES, len(crops) - 1)
        weights = vectors[:, ::-1][:, :most] * len(crops) ** 0.5
        eigenfaces = (weights / len(crops)).T.astype(np.float32) @ flat
        x = np.asarray(embeddings, dtype=np.float64)
        centre = x.mean(axis=0)
        x = x - centre
        scatter = x.T @ x
        scatter += _RIDGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
        return cls(mean, eigenfaces, centre, np.linalg.solve(scatter, x.T @ weights))

    def sketch(self, x: Floats) -> Floats:
        """Return the weights that the regression gives for (m, d) embeddings, (m, n)."""
        weights: Floats = (x - self.centre) @ self.regression
        return weights

    def draw(self, weights: Floats) -> Pictures:
        """Return the pictures of weights (m, n), (m, 112, 112, 3)."""
        flat = self.mean + weights.astype(np.float32) @ self.eigenfaces
        return np.clip(np.rint(flat), 0, 255).astype(np.uint8).reshape(-1, SIZE, SIZE, 3)


class Refiner:
    """Improves weights by the encoders' own gradient.

    Args:
        artist: draws.
        steps: down the gradient.
        batch: pictures at a time.
    """

    def __init__(self, artist: Artist, steps: int = STEPS, batch: int = BATCH) -> None:
        # JAX is of the build extra, and takes a while to start.
        import jax
        import jax.numpy as jnp

        from tools.redteam.inversion import network

        networks, weights = network.shipped()
        held = jax.tree.map(jnp.asarray, (weights, artist.mean, artist.eigenfaces))

        def cost(c: Any, first: Any, wanted: Any, held: Any) -> Any:
            weights, mean, eigenfaces = held
            crops = jnp.clip(mean + c @ eigenfaces, 0, 255).reshape(-1, SIZE, SIZE, 3)
            cosines = jnp.sum(network.embed(networks, weights, crops) * wanted)
            return _STAY * jnp.sum(jnp.mean((c - first) ** 2, axis=1)) - cosines

        slope = jax.jit(jax.grad(cost))
        self._slope: Callable[..., Any] = lambda c, first, wanted: np.asarray(slope(c, first, wanted, held))
        self._artist = artist
        self._steps = steps
        self._batch = batch

    def __call__(self, wanted: Floats, label: str) -> Floats:
        """Return weights (m, n) whose pictures embed near to (m, d) wanted unit embeddings."""
        first = _BOLD * self._artist.sketch(wanted)
        # A shorter batch would be compiled anew.
        rows = np.resize(np.arange(len(wanted)), -(-len(wanted) // self._batch) * self._batch)
        refined = first.copy()
        for start in watched(range(0, len(rows), self._batch), label):
            chosen = rows[start : start + self._batch]
            refined[chosen] = self._descend(first[chosen].astype(np.float32), wanted[chosen].astype(np.float32))
        return refined

    def _descend(self, first: Singles, wanted: Singles) -> Singles:
        c = first
        speed = scale = np.zeros_like(first)
        for step in range(1, self._steps + 1):
            slope: Singles = self._slope(c, first, wanted)
            speed = speed + np.float32(1 - _MOMENTUM) * (slope - speed)
            scale = scale + np.float32(1 - _SCALE) * (slope**2 - scale)
            size = np.sqrt(scale / np.float32(1 - _SCALE**step)) + np.float32(_TINY)
            c = c - np.float32(_STRIDE / (1 - _MOMENTUM**step)) * speed / size
        return c


def encode(pictures: Pictures, encoder: Fusion) -> Floats:
    """Return the unit embeddings that the shipped encoders give (m, 112, 112, 3) pictures."""
    return units(np.stack([encoder(picture) for picture in pictures]))
