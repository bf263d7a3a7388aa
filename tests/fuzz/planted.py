# SPDX-License-Identifier: Apache-2.0
"""One wrong line for each target: a fuzzer that does not find it would not find others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import facelatch

_PACKAGE = Path(facelatch.__file__).parent


@dataclass(frozen=True)
class Planted:
    """A line of the product, and what is put in its place.

    Attributes:
        file: of the package.
        right: text that stands there once.
        wrong: what is put there.
        runs: within which it is found, from the target's first seed alone.
    """

    file: str
    right: str
    wrong: str
    runs: int = 50_000


PLANTED = {
    "record": Planted("vault/record.py", 'raise ValueError("unknown flags")', 'raise LookupError("unknown flags")'),
    "secret": Planted("vault/padded.py", "except struct.error:", "except OverflowError:"),
    "lockout": Planted("vault/lockout.py", "except (CryptoError, ValueError):", "except CryptoError:"),
    "device-key": Planted("vault/device_key.py", "len(data) != KEY_BYTES", "len(data) < KEY_BYTES - 8"),
    "config": Planted("config.py", "not (latch.command and Path(", "not (Path("),
    "parameters": Planted(
        "l2fe/parameters.py",
        'raise ParameterSetError(f"{field} in the parameter set has the wrong size", _REMEDY) from error',
        "raise LookupError(field) from error",
    ),
    "tables": Planted("provisioning/tables.py", 'text.split("\\n")', "text.splitlines()"),
    "varlink": Planted("daemon/replies.py", "except ValueError:", "except LookupError:"),
    "evdev": Planted("hardware/button.py", "is not None and time - self._down >= BOUNCE_SECONDS", "is not None"),
}


def plant(faults: Iterable[Planted], folder: Path) -> None:
    """Make a copy of the package with these faults in it, to be imported from ``folder``; links but for their files.

    Raises:
        ValueError: the right text does not stand there once.
    """
    shutil.copytree(_PACKAGE, folder / "facelatch", copy_function=os.symlink, ignore=shutil.ignore_patterns("*.pyc"))
    for fault in faults:
        path = folder / "facelatch" / fault.file
        text = path.read_text()
        if text.count(fault.right) != 1:
            raise ValueError(f"{fault.right!r} stands {text.count(fault.right)} times in {fault.file}")
        path.unlink()
        path.write_text(text.replace(fault.right, fault.wrong))
