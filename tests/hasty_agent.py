# SPDX-License-Identifier: Apache-2.0
"""The agent in a world where a day is over at once; takes the command line of ``facelatch``."""

from __future__ import annotations

from facelatch.cli import main
from facelatch.l2fe import refresh

if __name__ == "__main__":
    refresh.INTERVAL_USEC = 0
    main()
