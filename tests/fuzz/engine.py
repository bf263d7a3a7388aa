# SPDX-License-Identifier: Apache-2.0
"""Runs one target under libFuzzer: `python -m tests.fuzz.engine TARGET [libFuzzer's arguments]`; it does not return.

The product is instrumented as it is imported, so nothing of it may be imported before.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import atheris

# How often whole parts are changed, and not bytes.
_PARTS_SHARE = 0.5


def main() -> None:
    """Instrument the product, then hand the target over."""
    with atheris.instrument_imports(include=["facelatch", "asyncvarlink", "tomllib"]):
        from tests.fuzz.targets import TARGETS
    name, *arguments = sys.argv[1:]
    target = TARGETS[name]
    mutator = {"custom_mutator": parts_mutator(target.end)} if target.end else {}
    # To make a corpus smaller libFuzzer runs itself, by this command.
    atheris.Setup([f"{sys.executable} -m tests.fuzz.engine {name}", *arguments], target, **mutator)
    atheris.Fuzz()


def parts_mutator(end: bytes) -> Callable[[bytes, int, int], bytes]:
    """Make what changes an input whose parts end so: now a part, now, as ever, some bytes."""

    def mutate(data: bytes, max_bytes: int, seed: int) -> bytes:
        chance = random.Random(seed)  # noqa: S311 - nothing is kept secret with it
        if chance.random() >= _PARTS_SHARE:
            return bytes(atheris.Mutate(data, max_bytes))
        parts = data.split(end)
        place, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        match chance.randrange(3):
            case 0:
                del parts[place]
            case 1:
                parts.insert(place, parts[other])
            case _:
                parts[place], parts[other] = parts[other], parts[place]
        return end.join(parts)[:max_bytes]

    return mutate


if __name__ == "__main__":
    main()
