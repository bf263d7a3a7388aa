# SPDX-License-Identifier: Apache-2.0
"""What a fuzz target is."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent
CORPUS = _FOLDER / "corpus"
CRASHES = _FOLDER / "crashes"

_MEMORY = Path("/dev/shm")  # noqa: S108 - a private directory is made in it


class WrongError(AssertionError):
    """An input was taken, and something that must hold of what is taken does not."""


@dataclass(frozen=True)
class Target:
    """One reader of bytes.

    Attributes:
        name: on the command line, and of its folders.
        module: of the product, under ``facelatch``, whose code is fuzzed; others are covered as far as it calls them.
        run: gives an input to the product; raises ``WrongError`` where what comes of it is wrong.
        refusals: what the product may raise: its named errors.
        seeds: make inputs to start from; the first is whole, so that most of the reader lies behind it.
        words: bytes that stand in such inputs; a fuzzer would be long in finding them.
        max_bytes: longest input that is tried.
        end: of the parts that an input consists of, which are lost, doubled and exchanged as a whole, too.
    """

    name: str
    module: str
    run: Callable[[bytes], None]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()
    max_bytes: int = 4096
    end: bytes = b""

    def __call__(self, data: bytes) -> None:
        """Try an input; whatever comes out of here is a finding."""
        with suppress(*self.refusals):
            self.run(data)

    @property
    def kept(self) -> list[Path]:
        """The inputs in the tree: the corpus, and what once was a finding."""
        return [path for folder in (CORPUS, CRASHES) for path in sorted((folder / self.name).glob("*"))]


def require(holds: bool, what: str) -> None:
    """See that something holds of an input that was taken.

    Raises:
        WrongError: it does not.
    """
    if not holds:
        raise WrongError(what)


@lru_cache(maxsize=1)
def scratch() -> Path:
    """Give a directory of this process, in memory where there is such a place; it goes at the end."""
    folder = Path(tempfile.mkdtemp(prefix="facelatch-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
