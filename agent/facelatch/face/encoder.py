# SPDX-License-Identifier: Apache-2.0
"""From an aligned crop to an embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facelatch.errors import EmbeddingError
from facelatch.face.detector import Floats, Image
from facelatch.face.runtime import Network


@dataclass(frozen=True)
class Kind:
    """How an encoder wants its crop, and what its numbers mean.

    Attributes:
        offset: taken off each of the 0 to 255, before division by 128.
        length: typical length of its output on faces: what is longer, the network is surer of.
    """

    offset: float
    length: float


MOBILEFACENET = Kind(offset=127.5, length=71.0)
MOBILEFACENET_512 = Kind(offset=127.0, length=3.57)


class Encoder:
    """MobileFaceNet (Chen et al., arXiv 1804.07573) of one kind or another: 112x112 RGB to d numbers.

    Args:
        model: bytes of a batch-1 encoder model.
        kind: which.
    """

    def __init__(self, model: bytes, kind: Kind) -> None:
        self._network = Network(model, "encoder")
        self._kind = kind

    def __call__(self, crop: Image) -> Floats:
        """Return (d,) float32 for a (112, 112, 3) uint8 RGB crop: its direction is the face's.

        Its length is the square of the output's, as a share of the typical one: in a sum of looks each then counts by
        how sure the network was (lengths shrink with blur, shade and turned heads; Meng et al., "MagFace", CVPR 2021).
        """
        output = self.output(crop)
        weighed: Floats = output * np.float32(np.linalg.norm(output) / self._kind.length**2)
        return weighed

    def output(self, crop: Image) -> Floats:
        """Return what the network gives for a (112, 112, 3) uint8 RGB crop, (d,) float32."""
        tensor = crop[None].astype(np.float32)
        tensor -= np.float32(self._kind.offset)
        tensor /= np.float32(128)
        output: Floats = self._network(tensor)[0][0]
        return output


class Fusion:
    """Several encoders side by side.

    Args:
        encoders: in the order in which the parameter set was fitted to them.
    """

    def __init__(self, *encoders: Encoder) -> None:
        self.encoders = encoders

    def __call__(self, crop: Image) -> Floats:
        """Return all outputs for a (112, 112, 3) uint8 RGB crop, joined into one (d,) float32 of length about 1.

        Raises:
            EmbeddingError: it has no direction.
        """
        outputs = np.concatenate([encoder(crop) for encoder in self.encoders])
        joined: Floats = (outputs / len(self.encoders) ** 0.5).astype(np.float32)
        unit(joined)
        return joined


def unit(vector: Floats) -> Floats:
    """Scale a vector to length one.

    Raises:
        EmbeddingError: it is zero or not finite, so it has no direction.
    """
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise EmbeddingError("the encoder gave an embedding without a direction", "reinstall facelatch's models")
    return vector / np.float32(length)
