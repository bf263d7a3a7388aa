# SPDX-License-Identifier: Apache-2.0
"""Tries every input that is kept: `python -m tests.fuzz.replay`; needs no fuzzer. A line for each finding, then 1."""

from __future__ import annotations

import sys

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS


def findings(target: Target) -> list[str]:
    """Try the kept inputs and the seeds of a target; say which of them do harm, and which."""
    inputs = [(path.name, path.read_bytes()) for path in target.kept]
    inputs += [(f"seed {number}", seed) for number, seed in enumerate(target.seeds())]
    found = []
    for name, data in inputs:
        try:
            target(data)
        except Exception as error:
            found.append(f"{target.name}: {name}: {type(error).__name__}: {error}")
    return found


def main() -> None:
    """Replay all."""
    found = [finding for target in TARGETS.values() for finding in findings(target)]
    print("\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
