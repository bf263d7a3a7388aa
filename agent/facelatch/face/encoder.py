# SPDX-License-Identifier: Apache-2.0
"""From an aligned crop to an embedding."""

from __future__ import annotations

import numpy as np

from facelatch.errors import EmbeddingError
from facelatch.face.detector import Floats, Image
from facelatch.face.runtime import Network


class Encoder:
    """MobileFaceNet (Chen et al., arXiv 1804.07573): 112x112 RGB to 192 numbers.

    Args:
        model: bytes of the batch-1 encoder model.
        mirror: average each crop with its mirror image, which steadies the embedding at twice the cost.
    """

    def __init__(self, model: bytes, *, mirror: bool = True) -> None:
        self._network = Network(model, "encoder")
        self._mirror = mirror

    def __call__(self, crop: Image) -> Floats:
        """Return the (192,) float32 unit-length embedding of a (112, 112, 3) uint8 RGB crop."""
        total = self._embed(crop)
        if self._mirror:
            total = total + self._embed(crop[:, ::-1])
        return unit(total)

    def _embed(self, crop: Image) -> Floats:
        tensor = crop[None].astype(np.float32)
        tensor -= np.float32(127.5)
        tensor /= np.float32(128)
        return unit(self._network(tensor)[0][0])


def unit(vector: Floats) -> Floats:
    """Scale a vector to length one.

    Raises:
        EmbeddingError: it is zero or not finite, so it has no direction.
    """
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise EmbeddingError("the encoder gave an embedding without a direction", "reinstall facelatch's models")
    return vector / np.float32(length)
