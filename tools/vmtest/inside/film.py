# SPDX-License-Identifier: Apache-2.0
"""Runs in the machine: gives a film's pictures, one after the other, a few each second.

    python3 film.py FILM | v4l2-ctl -d DEVICE --stream-out-mmap --stream-from=-

FILM is raw pictures; what it names may change at any time. A picture stays until the next comes.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

PICTURE = 640 * 480 * 3
# Often enough that no camera seems frozen; every picture costs the emulator dearly.
PAUSE_S = 0.2


def main(film: Path) -> None:
    """Play for ever."""
    number = 0
    while True:
        try:
            with film.open("rb", buffering=0) as pictures:
                number %= os.fstat(pictures.fileno()).st_size // PICTURE
                pictures.seek(number * PICTURE)
                sys.stdout.buffer.write(pictures.read(PICTURE))
                sys.stdout.buffer.flush()
        except FileNotFoundError:
            pass  # nothing is shown yet
        number += 1
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
