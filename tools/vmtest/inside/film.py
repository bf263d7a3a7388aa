# SPDX-License-Identifier: Apache-2.0
"""Runs in the machine: plays a film into the video output that the driver's camera looks at.

    python3 film.py DEVICE FILM

FILM is raw pictures, one after the other; what it names may change at any time. A picture stays until the next comes.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

PICTURE = 640 * 480 * 3
# Often enough that no camera seems frozen; every picture costs the emulator dearly.
PAUSE_S = 0.2


def main(device: str, film: Path) -> None:
    """Play for ever."""
    output = os.open(device, os.O_WRONLY)
    number = 0
    while True:
        try:
            with film.open("rb", buffering=0) as pictures:
                number %= os.fstat(pictures.fileno()).st_size // PICTURE
                pictures.seek(number * PICTURE)
                os.write(output, pictures.read(PICTURE))
        except FileNotFoundError:
            pass  # nothing is shown yet
        number += 1
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
