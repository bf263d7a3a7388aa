# SPDX-License-Identifier: Apache-2.0
"""The vectors of parameter sets: small ones of which exactly one thing is wrong, or nothing. None is pinned anywhere.

`expect` is "accepted", or what the refusal of a reader that leaves out the pin has to name.
"""

import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

Json = dict[str, object]

K = 8
MODULUS = 1 << 16


@dataclass(frozen=True)
class Case:
    """One vector: the bytes of a parameter set, and what comes of reading them."""

    about: str
    expect: str
    file: bytes


def packed(code: str, values: Sequence[float]) -> str:
    """Values as the file has them: "f" for numbers, "h" for whole ones."""
    return base64.b64encode(struct.pack(f"<{len(values)}{code}", *values)).decode("ascii")


def diagonal(values: Sequence[float], width: int = 0) -> list[float]:
    """A matrix row by row, with these on its diagonal."""
    columns = width or len(values)
    return [value if row == column else 0 for row, value in enumerate(values) for column in range(columns)]


def small_set() -> Json:
    """The smallest set that is accepted: of eight coordinates, all alike, for nobody."""
    return {
        "format": "facelatch/parameters/2",
        "name": "small",
        "encoders": ["00"],
        "block": 2,
        "copies": K // 2,
        "modulus": MODULUS,
        "scale": 16.0,
        "beam": 4,
        "accept_radius": 0.04,
        "far_exponent": 2.0,
        "argon2id_passes": 3,
        "argon2id_memory_kib": 65536,
        "mean": packed("f", [0] * K),
        "projection": packed("f", diagonal([1] * K)),
        "spread": packed("f", [1] * K),
        "basis": packed("h", diagonal([1] * 2)),
        "measured": {"frr": 0.1, "data": "none"},
    }


def encoded(content: Json) -> bytes:
    """The file of a set."""
    return json.dumps(content, separators=(",", ":")).encode()


def cases() -> dict[str, Case]:
    """Every vector of a parameter set by name."""
    return {**sound(), **broken_files(), **out_of_bounds(), **broken_arrays()}


def sound() -> dict[str, Case]:
    """Nothing wrong, up to the bounds."""
    changed: dict[str, tuple[str, Json]] = {
        "valid": ("A set.", {}),
        "valid-smallest-radius": ("The smallest radius that is written so.", {"accept_radius": 1e-9}),
        "valid-largest-beam": ("The largest beam.", {"beam": 65536}),
        "valid-exponent-of-k": ("The largest exponent.", {"far_exponent": float(K)}),
        "valid-condition-number": (
            "A projection that stretches one way 500 times as much as another.",
            {"projection": packed("f", diagonal([500, *[1] * (K - 1)]))},
        ),
    }
    return {
        name: Case(about, "accepted", encoded({**small_set(), **change})) for name, (about, change) in changed.items()
    }


def broken_files() -> dict[str, Case]:
    """Not a parameter set at all."""
    whole = small_set()
    file = encoded(whole)
    missing = {name: value for name, value in whole.items() if name != "spread"}
    return {
        "empty": Case("No bytes.", "cannot be read", b""),
        "truncated": Case("The last brace is missing.", "cannot be read", file[:-1]),
        "not-utf-8": Case("A name that is not UTF-8.", "cannot be read", file.replace(b"small", b"sm\x85ll")),
        "a-list": Case("JSON, but no object.", "cannot be read", b"[" + file + b"]"),
        "field-missing": Case("There is no spread.", "cannot be read", encoded(missing)),
        "field-unknown": Case("A field more.", "cannot be read", encoded({**whole, "more": 1})),
        "field-of-another-type": Case("A name that is a number.", "cannot be read", encoded({**whole, "name": 1})),
        "another-format": Case(
            "The format before this one.", "format", encoded({**whole, "format": "facelatch/parameters/1"})
        ),
    }


def out_of_bounds() -> dict[str, Case]:
    """One number beyond its bound."""
    changed: dict[str, tuple[str, str, Json]] = {
        "block-of-one": ("A block of one.", "block, copies", {"block": 1}),
        "no-copies": ("No copies.", "block, copies", {"copies": 0}),
        "too-many-dimensions": ("258 dimensions.", "block, copies", {"copies": 129}),
        "modulus-no-power": ("A modulus that is no power of two.", "modulus", {"modulus": MODULUS - 1}),
        "modulus-too-large": ("A modulus of 2^17.", "modulus", {"modulus": 2 * MODULUS}),
        "modulus-of-one": ("A modulus of one.", "modulus", {"modulus": 1}),
        "scale-too-small": ("Just under 16 steps for a deviation.", "scale", {"scale": 15.99}),
        "beam-of-none": ("No partial points.", "beam", {"beam": 0}),
        "beam-too-large": ("One partial point too many.", "beam", {"beam": 65537}),
        "argon2id-passes": ("Two passes.", "argon2id", {"argon2id_passes": 2}),
        "argon2id-memory": ("A kibibyte less than 64 MiB.", "argon2id", {"argon2id_memory_kib": 65535}),
        "key-bits": ("Points for a key of 120 bits.", "basis, modulus", {"modulus": MODULUS // 2}),
        "radius-of-zero": ("No radius.", "accept_radius", {"accept_radius": 0.0}),
        "radius-too-large": ("Several points about most targets.", "accept_radius", {"accept_radius": 0.05}),
        "exponent-under-one": (
            "False accepts that grow slower than the radius.",
            "far_exponent",
            {"far_exponent": 0.9},
        ),
        "exponent-over-k": ("Faster than the volume.", "far_exponent", {"far_exponent": K + 0.1}),
    }
    return {
        name: Case(about, expect, encoded({**small_set(), **change}))
        for name, (about, expect, change) in changed.items()
    }


def broken_arrays() -> dict[str, Case]:
    """One array with one fault."""
    flat = [1.0] * (K - 1)
    changed: dict[str, tuple[str, str, Json]] = {
        "mean-empty": ("No mean.", "mean", {"mean": "", "projection": ""}),
        "mean-not-base64": ("Not base64.", "mean", {"mean": "*" + packed("f", [0] * K)[1:]}),
        "mean-cut": ("A byte is missing.", "mean", {"mean": base64.b64encode(bytes(4 * K - 1)).decode("ascii")}),
        "mean-not-finite": ("An infinite value.", "mean", {"mean": packed("f", [*flat, float("inf")])}),
        "mean-shorter-than-k": (
            "Four values for eight coordinates: the projection cannot tell all faces apart.",
            "mean",
            {"mean": packed("f", [0] * 4), "projection": packed("f", diagonal([1] * 4, 4) + [1.0] * 16)},
        ),
        "projection-short": ("A row is missing.", "projection", {"projection": packed("f", diagonal(flat, K))}),
        "projection-not-a-number": (
            "A value that is not a number.",
            "projection",
            {"projection": packed("f", diagonal([*flat, float("nan")]))},
        ),
        "projection-of-zeros": ("Every face is one point.", "projection", {"projection": packed("f", [0] * K * K)}),
        "projection-flat": (
            "One coordinate is always zero.",
            "projection",
            {"projection": packed("f", diagonal([*flat, 0]))},
        ),
        "projection-ill-conditioned": (
            "One coordinate weighs 2,000 times another.",
            "projection",
            {"projection": packed("f", diagonal([*flat, 2000]))},
        ),
        "spread-short": ("A deviation is missing.", "spread", {"spread": packed("f", flat)}),
        "spread-of-zero": ("A coordinate in which all are alike.", "spread", {"spread": packed("f", [*flat, 0])}),
        "spread-negative": ("A deviation below zero.", "spread", {"spread": packed("f", [*flat, -1])}),
        "spread-wraps": ("Six deviations go beyond Q / 2.", "scale, spread", {"spread": packed("f", [*flat, 342])}),
        "basis-short": ("A value is missing.", "basis", {"basis": packed("h", [1, 0, 0])}),
        "basis-flat": ("Two rows alike.", "basis, modulus", {"basis": packed("h", [1, 1, 1, 1])}),
        "basis-without-the-modulus": (
            "Q Z^k is not in the lattice.",
            "basis, modulus",
            {"basis": packed("h", [3, 0, 0, 1])},
        ),
    }
    return {
        name: Case(about, expect, encoded({**small_set(), **change}))
        for name, (about, expect, change) in changed.items()
    }
