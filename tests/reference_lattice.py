# SPDX-License-Identifier: Apache-2.0
"""The lattice half of tests/reference.py: parameter sets, the rotation and the nearest lattice point.

Written from docs/crypto.md alone, like the rest of it. Plain integers and floats, one operation at a time.
"""

import base64
import hashlib
import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from itertools import count
from typing import Any, Final

Vector = list[float]
Matrix = list[list[float]]

FORMAT: Final = "facelatch/parameters/2"
FIELDS: Final = {
    **dict.fromkeys(("format", "name", "mean", "projection", "spread", "basis"), (str,)),
    **dict.fromkeys(("block", "copies", "modulus", "beam", "argon2id_passes", "argon2id_memory_kib"), (int,)),
    **dict.fromkeys(("scale", "accept_radius", "far_exponent"), (int, float)),
    "encoders": (list,),
    "measured": (dict,),
}


class Reason(StrEnum):
    """Why something was refused; the values are those of the vectors' `expect`."""

    CORRUPT = "corrupt"
    VERSION = "another version"
    DEVICE_KEY = "another device key"
    PARAMETERS = "another parameter set"
    NO_MATCH = "no match"
    FACE = "no embedding"
    KEY = "no key"
    SEED = "no seed"
    MISPLACED = "another secret"
    MISSING = "no such secret"


class RefusedError(Exception):
    """A record, parameter set or face was refused."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def need(condition: bool, detail: str, reason: Reason = Reason.CORRUPT) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise RefusedError(reason, detail)


# --- arithmetic, every sum in index order


def dot(a: Vector, b: Vector) -> float:
    """Inner product: terms are added in index order, the first two first."""
    total = a[0] * b[0]
    for i in range(1, len(a)):
        total = total + a[i] * b[i]
    return total


def times(matrix: Matrix, vector: Vector) -> Vector:
    """Matrix times vector."""
    return [dot(row, vector) for row in matrix]


def transposed(matrix: Matrix) -> Matrix:
    """The transpose."""
    return [list(column) for column in zip(*matrix, strict=True)]


def centred(value: int, modulus: int) -> int:
    """The residue in [-Q/2, Q/2)."""
    return (value + modulus // 2) % modulus - modulus // 2


# --- parameter set


@dataclass(frozen=True)
class Parameters:
    """A parameter set and what follows from it."""

    digest: bytes
    block: int
    copies: int
    modulus: int
    scale: float
    accept_radius: float
    far_exponent: float
    passes: int
    memory_kib: int
    mean: Vector
    projection: Matrix
    spread: Vector
    basis: list[list[int]]

    @property
    def k(self) -> int:
        """Dimension."""
        return self.block * self.copies

    def point(self, coefficients: list[int]) -> list[int]:
        """Sum of the basis vectors, each so many times, modulo Q, copy by copy."""
        found = []
        for part in rows(coefficients, self.block):
            for column in range(self.block):
                total = sum(times * row[column] for times, row in zip(part, self.basis, strict=True))
                found.append(total % self.modulus)
        return found

    def radius(self, users: int) -> float:
        """Largest distance of a match when any of so many users may be meant."""
        return self.accept_radius / math.pow(users, 1 / self.far_exponent)

    def face(self, x: Vector) -> Vector:
        """Y = P (x - mu)."""
        return times(self.projection, [a - b for a, b in zip(x, self.mean, strict=True)])

    def expected(self, y: Vector) -> Vector:
        """The enrolment vector that an attempt y' lets one expect: each coordinate times s^2 / (s^2 + 1)."""
        return [value * s * s / (s * s + 1) for value, s in zip(y, self.spread, strict=True)]


def numbers(field: str, code: str, count: int) -> list[Any]:
    """An array from its base64; its size must be right and its values finite."""
    data = base64.b64decode(field, validate=True)
    need(len(data) == count * struct.calcsize(code), "size of an array")
    values = list(struct.unpack(f"<{count}{code}", data))
    need(all(map(math.isfinite, values)), "not finite")
    return values


def rows(values: list[Any], width: int) -> list[list[Any]]:
    """Cut an array in row order."""
    return [values[i : i + width] for i in range(0, len(values), width)]


def determinant(matrix: list[list[int]]) -> int:
    """Exact, by Bareiss's elimination without fractions."""
    m, sign, before = [list(row) for row in matrix], 1, 1
    for i in range(len(m) - 1):
        pivot = next((r for r in range(i, len(m)) if m[r][i] != 0), None)
        if pivot is None:
            return 0
        if pivot != i:
            m[i], m[pivot], sign = m[pivot], m[i], -sign
        for r in range(i + 1, len(m)):
            m[r] = [(a * m[i][i] - m[r][i] * b) // before for a, b in zip(m[r], m[i], strict=True)]
        before = m[i][i]
    return sign * m[-1][-1]


def inverse(matrix: list[list[int]]) -> list[list[Fraction]]:
    """Exact, by Gauss and Jordan."""
    size = len(matrix)
    m = [[Fraction(v) for v in row] + [Fraction(r == c) for c in range(size)] for r, row in enumerate(matrix)]
    for i in range(size):
        pivot = next(r for r in range(i, size) if m[r][i] != 0)
        m[i], m[pivot] = m[pivot], m[i]
        m[i] = [value / m[i][i] for value in m[i]]
        for r in range(size):
            if r != i:
                m[r] = [a - m[r][i] * b for a, b in zip(m[r], m[i], strict=True)]
    return [row[size:] for row in m]


def singular_values(matrix: Matrix) -> Vector:
    """By one-sided Jacobi: turn pairs of rows until all are orthogonal; their lengths are the answer."""
    m, busy = [list(row) for row in matrix], True
    while busy:
        busy = False
        for i in range(len(m)):
            for j in range(i + 1, len(m)):
                a, b, c = dot(m[i], m[i]), dot(m[j], m[j]), dot(m[i], m[j])
                if abs(c) <= 1e-9 * math.sqrt(a * b):
                    continue
                busy = True
                angle = 0.5 * math.atan2(2 * c, a - b)
                cos, sin = math.cos(angle), math.sin(angle)
                pairs = list(zip(m[i], m[j], strict=True))
                m[i] = [cos * p + sin * r for p, r in pairs]
                m[j] = [cos * r - sin * p for p, r in pairs]
    return [math.sqrt(dot(row, row)) for row in m]


def parse_parameters(file: bytes, pinned: bytes) -> Parameters:
    """Read and check a parameter set against its pin."""
    digest = hashlib.sha256(file).digest()
    need(digest == pinned, "not pinned", Reason.PARAMETERS)
    need(len(file) <= 1 << 20, "size")
    f = json.loads(file)
    need(f.keys() == FIELDS.keys(), "other fields")
    need(all(type(f[field]) in types for field, types in FIELDS.items()), "another type")
    need(f["format"] == FORMAT, "format", Reason.VERSION)
    block, copies, modulus, scale = f["block"], f["copies"], f["modulus"], f["scale"]
    k = block * copies
    need(block > 1 and copies > 0 and k <= 256, "dimension")
    need(modulus in [2**i for i in range(1, 17)], "modulus")
    mean = numbers(f["mean"], "f", len(base64.b64decode(f["mean"])) // 4)
    need(len(mean) >= k, "mean")
    spread = numbers(f["spread"], "f", k)
    projection = rows(numbers(f["projection"], "f", k * len(mean)), len(mean))
    basis = rows(numbers(f["basis"], "h", block * block), block)
    radius, exponent, passes, memory = (
        f[field] for field in ("accept_radius", "far_exponent", "argon2id_passes", "argon2id_memory_kib")
    )
    p = Parameters(
        digest, block, copies, modulus, scale, radius, exponent, passes, memory, mean, projection, spread, basis
    )
    need(1 <= f["beam"] <= 65536, "beam")
    need(math.isfinite(scale) and scale >= 16, "D")
    need(min(spread) > 0 and 6 * scale * max(spread) < modulus / 2, "spread")
    need(p.passes >= 3 and p.memory_kib >= 65536, "Argon2id")
    volume = abs(determinant(basis))
    need(volume > 0, "rank")
    need(all((modulus * value).denominator == 1 for row in inverse(basis) for value in row), "Q Z^k is not within L")
    need(copies * (block * math.log2(modulus) - math.log2(volume)) >= 128, "key bits")
    side = volume ** (1 / block) / scale
    need(0 < p.accept_radius <= 1.1 * math.sqrt(k / (2 * math.pi * math.e)) * side, "accept_radius")
    need(1 <= p.far_exponent <= k, "far_exponent")
    lengths = singular_values(projection)
    need(0 < max(lengths) <= 1000 * min(lengths), "condition number")
    return p


# --- rotation


@lru_cache(maxsize=16)
def rotation(seed: bytes, k: int) -> Matrix:
    """U in O(k) from a seed, the same to the last bit everywhere."""
    need(len(seed) == 32, "seed", Reason.SEED)
    words = struct.unpack(f"<{12 * k * k}I", hashlib.shake_256(seed).digest(4 * 12 * k * k))
    u = rows([(sum(words[i : i + 12]) - 12 * 2**31) * 2.0**-32 for i in range(0, len(words), 12)], k)
    for _ in range(2):
        for i in range(k):
            length = math.sqrt(dot(u[i], u[i]))
            u[i] = [value / length for value in u[i]]
            for r in range(i + 1, k):
                product = dot(u[r], u[i])
                u[r] = [a - product * b for a, b in zip(u[r], u[i], strict=True)]
    return u


# --- decoding


def nearest_point(p: Parameters, t: Vector, radius: float) -> list[int] | None:
    """The lattice point nearest to t, if one is within the radius: the nearest of each copy, side by side."""
    found: list[int] = []
    for part in rows(t, p.block):
        near = nearest_in_a_copy(p.basis, part, radius)
        if near is None:
            return None
        found += near
    return found if math.dist(found, t) <= radius else None


def nearest_in_a_copy(basis: list[list[int]], t: Vector, radius: float) -> list[int] | None:
    """Schnorr and Euchner's depth-first search. Exact, where the product's decoder keeps a few partial points."""
    stars: Matrix = []
    for row in basis:
        star = [float(value) for value in row]
        for other in stars:
            part = dot(star, other) / dot(other, other)
            star = [a - part * b for a, b in zip(star, other, strict=True)]
        stars.append(star)
    norms = [dot(star, star) for star in stars]
    best: list[int] | None = None
    bound = radius * radius

    def search(level: int, rest: Vector, spent: float, point: list[int]) -> None:
        nonlocal best, bound
        if level < 0:
            best, bound = point, spent
            return
        row = basis[level]
        middle = dot(rest, stars[level]) / norms[level]
        for times_row in outwards(middle):
            total = spent + (times_row - middle) ** 2 * norms[level]
            if total > bound:
                return
            lower = [a - times_row * b for a, b in zip(rest, row, strict=True)]
            search(level - 1, lower, total, [a + times_row * b for a, b in zip(point, row, strict=True)])

    search(len(basis) - 1, t, 0.0, [0] * len(basis))
    return best


def outwards(middle: float) -> Iterator[int]:
    """All whole numbers, the nearest to the middle first."""
    first = round(middle)
    step = 1 if middle > first else -1
    yield first
    for distance in count(1):
        yield first + distance * step
        yield first - distance * step
