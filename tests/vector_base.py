# SPDX-License-Identifier: Apache-2.0
"""What all vectors are made of: keys, times, a source of bytes, and faces that are nobody's.

Nothing is random and nobody is shown: the embeddings are whole numbers over 2^12, of length exactly one.
"""

import hashlib
import math
from functools import lru_cache
from pathlib import Path

from tests.reference import Opened, Record, gen
from tests.reference_lattice import Parameters, Vector, parse_parameters

PARAMETERS = Path(__file__).parents[1] / "agent" / "facelatch" / "parameters" / "standard.json"
DENOMINATOR = 2**12
DEVICE_KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
THIRD_KEY = bytes(range(64, 96))
RECORD_ID = bytes(range(16))
OTHER_ID = bytes(range(16, 32))
NOW = 1_800_000_000_000_000
USER = "anna"


class Stream:
    """A source of bytes that is the same every time."""

    def __init__(self, label: str) -> None:
        self._bytes = hashlib.shake_256(f"facelatch vectors: {label}".encode()).digest(1 << 16)
        self._at = 0

    def __call__(self, size: int) -> bytes:
        """The next bytes."""
        self._at += size
        return self._bytes[self._at - size : self._at]

    def so_far(self) -> bytes:
        """All that was taken."""
        return self._bytes[: self._at]


# --- faces that are nobody's


def numerators(label: str) -> list[int]:
    """As many whole numbers as an embedding has, whose squares add up to the square of the denominator."""
    stream, rest, count = Stream(label), DENOMINATOR**2, len(parameters().mean)
    # Uniform values of this size leave about a sixth of the square to the last four.
    half = math.isqrt(5 * rest // (2 * count))
    values = [int.from_bytes(stream(2), "little") % (2 * half + 1) - half for _ in range(count - 4)]
    rest -= sum(value * value for value in values)
    return values + four_squares(rest)


def four_squares(total: int) -> list[int]:
    """Lagrange: every whole number is a sum of four squares."""
    for a in range(math.isqrt(total), -1, -1):
        for b in range(math.isqrt(total - a * a), -1, -1):
            for c in range(math.isqrt(total - a * a - b * b), -1, -1):
                rest = total - a * a - b * b - c * c
                if math.isqrt(rest) ** 2 == rest:
                    return [a, b, c, math.isqrt(rest)]
    raise ValueError("a negative number")


def exchanged(values: list[int], pairs: int) -> list[int]:
    """Exchange a few neighbours: another look of about the same face, of the same length."""
    values = list(values)
    for i in range(0, 2 * pairs, 2):
        values[i], values[i + 1] = values[i + 1], values[i]
    return values


def embedding(values: list[int]) -> Vector:
    """The numbers over the denominator: exact in floating point."""
    return [value / DENOMINATOR for value in values]


def faces() -> dict[str, list[int]]:
    """The embeddings by name."""
    enrolled = numerators("anna")
    return {"enrolled": enrolled, "near": exchanged(enrolled, 10), "stranger": numerators("stranger")}


# --- what they are enrolled under


@lru_cache(maxsize=1)
def parameters() -> Parameters:
    """The shipped parameter set."""
    data = PARAMETERS.read_bytes()
    return parse_parameters(data, hashlib.sha256(data).digest())


@lru_cache(maxsize=1)
def enrolled() -> tuple[Record, Opened]:
    """The record that all others are made from."""
    face = embedding(faces()["enrolled"])
    return gen(parameters(), DEVICE_KEY, face, USER, RECORD_ID, NOW, Stream("gen"))


def flip(data: bytes, at: int, bit: int = 0) -> bytes:
    """One bit turned over."""
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
