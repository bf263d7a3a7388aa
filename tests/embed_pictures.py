# SPDX-License-Identifier: Apache-2.0
"""Embed every picture of a folder by the shipped face path: ``python -m tests.embed_pictures FOLDER OUT.npy``.

Run under each environment in turn, it shows whether two runtimes agree.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from facelatch.shipped import face_path


def main(folder: Path, output: Path) -> None:
    """Write (m, d) float32 embeddings, of the pictures in the order of their names."""
    path = face_path()
    embeddings = []
    for picture in sorted(folder.iterdir()):
        pixels = cv2.imread(str(picture), cv2.IMREAD_COLOR)
        assert pixels is not None, picture
        look = path.look(np.ascontiguousarray(pixels[:, :, ::-1], dtype=np.uint8))
        assert look.embedding is not None, f"{picture}: {look.hint}"
        embeddings.append(look.embedding)
    np.save(output, np.stack(embeddings))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
