# SPDX-License-Identifier: Apache-2.0
"""The parameter sets that ship with this version."""

from __future__ import annotations

from pathlib import Path

from facelatch.errors import ParameterSetError
from facelatch.l2fe import parameters
from facelatch.l2fe.parameters import ParameterSet

DIRECTORY = Path(__file__).parent


def read(name: str, directory: Path = DIRECTORY) -> ParameterSet:
    """Read a parameter set from its file.

    Raises:
        ParameterSetError: unknown, missing, or not the one whose hash is pinned in code.
    """
    if name not in parameters.PINNED:
        known = ", ".join(sorted(parameters.PINNED))
        raise ParameterSetError(f"there is no parameter set {name!r}", f"use one of: {known}")
    path = directory / f"{name}.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ParameterSetError(
            f"parameter set {name!r} cannot be read ({error.strerror})", "reinstall facelatch"
        ) from error
    return parameters.load(name, data)
