# SPDX-License-Identifier: Apache-2.0
"""Which licences may ship with Apache-2.0, and the list of what ships under which (packaging/licences.toml)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from license_expression import ExpressionError, get_spdx_licensing

from facelatch.errors import FacelatchError

LIST = Path(__file__).parents[2] / "packaging" / "licences.toml"

PERMISSIVE = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "libpng-2.0", "MIT", "MIT-0"}
    | {"OpenSSL", "PSF-2.0", "Zlib"}
)
"""These ask for their notice at most."""

SEPARABLE = frozenset(("LGPL-2.0-or-later", "LGPL-2.1-or-later", "MPL-2.0", "GPL-3.0-or-later WITH GCC-exception-3.1"))
"""These ask for more, which files of their own, unchanged, fulfil: an entry under one has to say how."""

_SPDX = get_spdx_licensing()


class LicenceError(FacelatchError):
    """Something would ship under no known licence, or one that does not go with ours."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A licence as an SPDX expression, and a note."""

    licence: str
    note: str = ""


class Licences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list: packages by their name in the locks, libraries by how their file name begins, models by file name."""

    packages: dict[str, Entry]
    libraries: dict[str, Entry]
    models: dict[str, Entry]


def read(path: Path = LIST) -> Licences:
    """Read the list and check each of its entries.

    Raises:
        LicenceError: an entry is not in order.
    """
    try:
        listed = msgspec.convert(tomllib.loads(path.read_text()), Licences)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise LicenceError(f"{path.name} cannot be read ({error})", "correct it") from error
    for kind in (listed.packages, listed.libraries, listed.models):
        for name, entry in kind.items():
            require_compatible(name, entry)
    return listed


def require_compatible(name: str, entry: Entry) -> None:
    """See that something may ship with Apache-2.0.

    Raises:
        LicenceError: it may not, or nobody can tell.
    """
    try:
        parsed = _SPDX.parse(entry.licence, validate=True, strict=True)
    except ExpressionError as error:
        raise LicenceError(f"{name}: {entry.licence!r} is not an SPDX expression ({error})", "correct it") from error
    if parsed is None:
        raise LicenceError(f"{name} has no licence", "look it up")
    # Every one of them, also of those joined by OR: that is stricter than need be, and nothing here asks for less.
    for symbol in parsed.symbols:
        licence = symbol.render("{symbol.key}")
        if licence in SEPARABLE and not entry.note:
            raise LicenceError(f"{name} is under {licence}", "say in a note how what it asks for is fulfilled")
        if licence not in PERMISSIVE | SEPARABLE:
            raise LicenceError(f"{name} is under {licence}, which does not go with Apache-2.0", "leave it out")


def entry_of(name: str, listed: dict[str, Entry]) -> Entry:
    """Find a package's or a model's entry.

    Raises:
        LicenceError: it is not listed.
    """
    if name not in listed:
        raise LicenceError(f"the licence of {name} is not known", f"look it up and add it to {LIST.name}")
    return listed[name]


def library_of(file: str, listed: dict[str, Entry]) -> str:
    """Find by its file's name which library it is.

    Raises:
        LicenceError: it is not listed.
    """
    for name in sorted(listed, key=len, reverse=True):
        if file.startswith(name):
            return name
    raise LicenceError(f"the licence of {file} is not known", f"look it up and add it to {LIST.name}")
