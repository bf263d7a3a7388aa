# SPDX-License-Identifier: Apache-2.0
"""Runs in the machine: tells how many attempts on the one who is enrolled have failed in a row, of those that are free.

    python3 failures.py STATE

It reads a copy by the agent's own code, and counts how many more are free. That takes no attempt: one may take
longer here than the wait that it ends with.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, "/usr/lib/facelatch")

from facelatch.vault.device_key import HostFileKey
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import FREE_FAILURES, Lockout


class Stands:
    """A clock of another boot, which stands still."""

    def boot(self) -> str:
        """Name no real boot."""
        return "none"

    def now(self) -> float:
        """Say that it has just begun."""
        return 0.0


def main(state: Path) -> None:
    """Count."""
    [record] = (state / "records").glob("*.rec")
    with TemporaryDirectory() as folder:
        copy = Path(folder, "lockout")
        if (state / "records" / "lockout").exists():
            shutil.copy(state / "records" / "lockout", copy)
        lockout = Lockout(copy, KeyRing(HostFileKey((state / "device.key").read_bytes())), Stands())
        failures = FREE_FAILURES
        while lockout.wait(record.stem) is None:
            lockout.charge(record.stem)
            failures -= 1
    print(failures)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
