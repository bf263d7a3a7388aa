# SPDX-License-Identifier: Apache-2.0
"""Searches bytes for numbers and pictures, however they were written down.

What is searched is unpacked first (base64, hex, zlib and gzip, one inside the other), so that a needle need be known
in its plain forms only: as binary numbers of every common width, as decimal text, as pixels.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

PICTURE = "a picture file"
"""Name of the hit for a picture that is none of those searched for."""

# Values in a row that cannot be there by chance, by the type they are written as.
_FLOAT_RUNS = {"f8": 2, "f4": 3, "f2": 6}
_INTEGER_RUNS = {"i8": 4, "i4": 4, "u2": 6}
_BYTE_RUN = 16
_PICTURE_RUN = 32
_PREFIX_BYTES = 8
# A run of bytes with fewer different values is a blank wall, not a picture; a run of numbers has more as well.
_MIN_DISTINCT = 5
# Digits that a run of printed numbers must have in all, and a single printed figure.
_TEXT_RUNS = {3: 9, 6: 9}
_FIGURE_DIGITS = 5
# Beyond these digits a float32, and what is computed from one, may differ.
_RELIABLE_DIGITS = 6
_TOLERANCE = 2e-6
# Keeps the table of numbers against values to a few megabytes.
_NUMBERS_AT_ONCE = 100

_MAX_DEPTH = 3
_SEPARATOR = b"\n\0\n"
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(rb"[0-9A-Fa-f]{16,}")
_DEFLATED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", re.DOTALL)
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]{5,}")
_NUMBER = re.compile(rb"-?(\d*\.?\d+)(?:[eE]([-+]?\d{1,2}))?")
_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|BM.{4}\0\0\0\0|P[2356]\s", re.DOTALL)


@dataclass(frozen=True)
class Blob:
    """Bytes of which any ``window`` that starts at a multiple of ``stride`` is a hit.

    Attributes:
        name: what they are.
        prefixes: the first 8 bytes of each window, as u64.
    """

    name: str
    data: bytes
    stride: int
    window: int
    prefixes: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Needles:
    """What to search for.

    Attributes:
        blobs: bytes of which a part is a hit.
        shorts: bytes that are a hit as a whole, and what they are.
        rows: numbers of which a few in a row are a hit.
        values: all of ``rows``, each with a NaN behind it.
        figures: numbers each of which is a hit.
    """

    blobs: list[Blob]
    shorts: dict[bytes, str]
    rows: list[tuple[str, Floats]]
    values: Floats
    figures: dict[str, float]


def needles(
    vectors: Mapping[str, npt.ArrayLike] | None = None,
    integers: Mapping[str, Integers] | None = None,
    figures: Mapping[str, float] | None = None,
    images: Mapping[str, Pixels] | None = None,
    files: Mapping[str, bytes] | None = None,
    secrets: Mapping[str, bytes] | None = None,
) -> Needles:
    """Prepare a search.

    Args:
        vectors: rows of real numbers, of which a few in a row are a hit.
        integers: rows of whole numbers, likewise.
        figures: single numbers.
        images: (height, width, 3) uint8 RGB, of which a stretch of one row is a hit.
        files: bytes of which a stretch is a hit.
        secrets: bytes of which any 16 in a row are a hit.
    """
    reals = {name: np.asarray(vector, dtype=np.float64) for name, vector in (vectors or {}).items()}
    whole = {name: np.asarray(row, dtype=np.int64) for name, row in (integers or {}).items()}
    blobs: list[Blob] = []
    for name, vector in reals.items():
        blobs += _real_blobs(name, vector)
    for name, row in whole.items():
        blobs += _blobs(name, ((row, kind, run) for kind, run in _INTEGER_RUNS.items()))
    for name, image in (images or {}).items():
        blobs += _image_blobs(name, image)
    blobs += [_blob(name, data, _PICTURE_RUN, _PICTURE_RUN) for name, data in (files or {}).items()]
    blobs += [_blob(name, data, 1, _BYTE_RUN) for name, data in (secrets or {}).items()]
    rows = [*reals.items(), *((name, row.astype(np.float64)) for name, row in whole.items())]
    figures = dict(figures or {})
    shorts = {
        np.asarray(value, dtype=order + kind).tobytes(): f"{name} as {order}{kind}"
        for name, value in figures.items()
        for order in "<>"
        for kind in ("f8", "f4")
    }
    values = np.concatenate([np.append(row, np.nan) for _, row in rows]) if rows else np.empty(0)
    return Needles([blob for blob in blobs if len(blob.prefixes)], shorts, rows, values, figures)


def find(haystack: bytes, wanted: Needles) -> list[str]:
    """Return what was found, sorted, each once."""
    layers = list(unpacked(haystack))
    everything = _SEPARATOR.join(layers)
    found = set(_find_blobs(everything, wanted.blobs))
    found.update(name for data, name in wanted.shorts.items() if data in everything)
    found.update(_find_text(everything, wanted))
    found.update(name for layer in layers for name in _find_pictures(layer))
    return sorted(found)


def unpacked(data: bytes) -> Iterator[bytes]:
    """Yield the bytes themselves, and what they hold in base64 at any alignment, in hex, or deflated; repeatedly."""
    layer = [data]
    for _ in range(_MAX_DEPTH):
        yield from layer
        layer = list({inner for outer in layer for inner in _unpack(outer)})
    yield from layer


def _unpack(data: bytes) -> Iterator[bytes]:
    for match in _BASE64.finditer(data):
        text = match[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        for shift in range(4):
            part = text[shift:]
            # One character too many carries no byte; missing padding is put back.
            part = part[: len(part) - (len(part) % 4 == 1)]
            yield base64.b64decode(part + b"=" * (-len(part) % 4))
    for match in _HEX.finditer(data):
        for shift in range(2):
            part = match[0][shift:]
            yield binascii.unhexlify(part[: len(part) // 2 * 2])
    for match in _DEFLATED.finditer(data):
        # What came out before a stream broke off counts too; 47 takes zlib's and gzip's header alike.
        stream = zlib.decompressobj(47)
        inflated = bytearray()
        try:
            for start in range(match.start(), len(data), 1024):
                inflated += stream.decompress(data[start : start + 1024])
        except zlib.error:
            pass
        if inflated:
            yield bytes(inflated)


def _real_blobs(name: str, vector: Floats) -> Iterator[Blob]:
    yield from _blobs(name, ((vector, kind, run) for kind, run in _FLOAT_RUNS.items()))
    # bfloat16 is the upper half of a float32.
    upper = (vector.astype("<f4").view("<u4") >> 16).astype(np.int64)
    yield from _blobs(f"{name} (bfloat16)", [(upper, "u2", _FLOAT_RUNS["f2"])])
    for scale in (127.0, 128.0, 127.0 / float(np.abs(vector).max() or 1)):
        quantised = np.clip(np.rint(vector * scale), -128, 127).astype("i1")
        yield _blob(f"{name} as i1", quantised.tobytes(), 1, _BYTE_RUN)


def _blobs(name: str, written: Iterable[tuple[npt.NDArray[np.generic], str, int]]) -> Iterator[Blob]:
    for values, kind, run in written:
        for order in "<>":
            dtype = np.dtype(order + kind)
            with np.errstate(over="ignore"):
                data = values.astype(dtype).tobytes()
            yield _blob(f"{name} as {dtype.str}", data, dtype.itemsize, run * dtype.itemsize)


def _image_blobs(name: str, image: Pixels) -> Iterator[Blob]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    forms: dict[str, npt.NDArray[np.generic]] = {
        "rgb": image,
        "bgr": image[..., ::-1],
        "grey": grey,
        "planes": np.moveaxis(image, -1, 0),
        "tensor": (image.astype(np.float32) - np.float32(127.5)) / np.float32(128),
    }
    for form, pixels in forms.items():
        yield _blob(f"{name} as {form}", np.ascontiguousarray(pixels).tobytes(), _PICTURE_RUN, _PICTURE_RUN)


def _blob(name: str, data: bytes, stride: int, window: int) -> Blob:
    if len(data) < window:
        return Blob(name, data, stride, window, np.empty(0, dtype=np.uint64))
    starts = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), window)[::stride]
    return Blob(name, data, stride, window, _prefixes(starts))


def _prefixes(windows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """First 8 bytes of each row of (n, >= 8), as (n,) u64."""
    prefixes: npt.NDArray[np.uint64] = np.ascontiguousarray(windows[:, :_PREFIX_BYTES]).view(np.uint64)[:, 0]
    return prefixes


def _find_blobs(haystack: bytes, blobs: list[Blob]) -> Iterator[str]:
    if len(haystack) < _PREFIX_BYTES or not blobs:
        return
    sliding = np.lib.stride_tricks.sliding_window_view(np.frombuffer(haystack, np.uint8), _PREFIX_BYTES)
    present = np.unique(_prefixes(sliding))
    for blob in blobs:
        at = np.minimum(np.searchsorted(present, blob.prefixes), len(present) - 1)
        begins = np.flatnonzero(present[at] == blob.prefixes) * blob.stride
        windows = {blob.data[begin : begin + blob.window] for begin in begins.tolist()}
        if any(len(set(window)) >= _MIN_DISTINCT and window in haystack for window in windows):
            yield blob.name


def _find_text(haystack: bytes, wanted: Needles) -> Iterator[str]:
    """Find printed numbers: each is as good as its digits, so a value fits if it rounds or truncates to them."""
    for text in _TEXT.findall(haystack):
        printed = [_read_number(match) for match in _NUMBER.finditer(text)]
        for start in range(0, len(printed), _NUMBERS_AT_ONCE):
            yield from _find_numbers(printed[start : start + _NUMBERS_AT_ONCE + max(_TEXT_RUNS)], wanted)


def _find_numbers(printed: list[tuple[float, float, int]], wanted: Needles) -> Iterator[str]:
    values, steps, counts = np.array(printed).T
    digits = np.minimum(counts, _RELIABLE_DIGITS)
    if digits.sum() < _FIGURE_DIGITS:
        return
    steps = np.maximum(steps, _TOLERANCE * np.abs(values))
    fits = np.abs(values[:, None] - wanted.values) <= steps[:, None]
    ends = np.cumsum([len(row) + 1 for _, row in wanted.rows])
    for run, total in _TEXT_RUNS.items():
        for column in _run_columns(fits, digits, run, total):
            yield f"{wanted.rows[np.searchsorted(ends, column, side='right')][0]} as text"
    exact = digits >= _FIGURE_DIGITS
    for name, figure in wanted.figures.items():
        if np.any(exact & (np.abs(values - figure) <= steps)):
            yield f"{name} as text"


def _read_number(match: re.Match[bytes]) -> tuple[float, float, int]:
    """Return a printed number's value, the worth of one unit of its last digit, and how many digits it has."""
    mantissa = match[1]
    exponent = int(match[2] or 0)
    decimals = len(mantissa.partition(b".")[2])
    digits = len(mantissa.replace(b".", b"").lstrip(b"0"))
    return float(match[0]), 10.0 ** (exponent - decimals), digits


def _run_columns(fits: npt.NDArray[np.bool_], digits: Floats, run: int, total: int) -> list[int]:
    """Say where ``run`` printed numbers (rows), with ``total`` digits, fit as many values (columns) one by one."""
    rows, columns = fits.shape[0] - run + 1, fits.shape[1] - run + 1
    if rows < 1 or columns < 1:
        return []
    together = np.lib.stride_tricks.sliding_window_view(digits, run).sum(axis=1) >= total
    runs = np.logical_and.reduce([fits[i : i + rows, i : i + columns] for i in range(run)])
    found: list[int] = np.flatnonzero(runs[together].any(axis=0)).tolist()
    return found


def _find_pictures(data: bytes) -> Iterator[str]:
    """Find pictures in any common file format: the agent has no business writing one, whatever it shows."""
    for match in _PICTURE.finditer(data):
        picture = cv2.imdecode(np.frombuffer(data[match.start() :], np.uint8), cv2.IMREAD_COLOR)
        if picture is not None:
            yield PICTURE
