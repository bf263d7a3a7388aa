# SPDX-License-Identifier: Apache-2.0
"""The searcher for leaks finds each encoding it claims to know, and nothing where there is nothing."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.leaks import Needles, find, needles

Pixels = npt.NDArray[np.uint8]

_RNG = np.random.default_rng(7)
EMBEDDING = _RNG.normal(size=192).astype(np.float32) / np.float32(14)
PROJECTION = _RNG.normal(size=48) * 5
NOISE = _RNG.integers(0, 12289, 24)
DISTANCE = 7.123456789
SECRET = _RNG.bytes(32)
FILE = _RNG.bytes(4000)


def _texture() -> Pixels:
    coarse = _RNG.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


IMAGE = _texture()


@pytest.fixture(scope="module")
def wanted() -> Needles:
    return needles(
        vectors={"embedding": EMBEDDING, "projection": PROJECTION},
        integers={"noise": NOISE},
        figures={"distance": DISTANCE},
        images={"image": IMAGE},
        files={"file": FILE},
        secrets={"secret": SECRET},
    )


def hidden(data: bytes) -> bytes:
    """Put data at an odd place among random bytes."""
    rng = np.random.default_rng(11)
    return rng.bytes(1021) + data + rng.bytes(509)


def found(data: bytes, wanted: Needles) -> str:
    return ", ".join(find(hidden(data), wanted))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f8", "f4", "f2"])
def test_finds_real_numbers_as_binary(kind: str, order: str, wanted: Needles) -> None:
    for name, vector in (("embedding", EMBEDDING), ("projection", PROJECTION)):
        assert f"{name} as {order}{kind}" in found(vector.astype(order + kind).tobytes(), wanted)
        assert f"{name} as {order}{kind}" in found(vector[20:28].astype(order + kind).tobytes(), wanted)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["i8", "i4", "u4", "i2", "u2"])
def test_finds_whole_numbers_as_binary(kind: str, order: str, wanted: Needles) -> None:
    assert "noise" in found(NOISE.astype(order + kind).tobytes(), wanted)


def test_finds_bfloat16_and_int8(wanted: Needles) -> None:
    upper = (EMBEDDING.view("<u4") >> 16).astype("<u2")
    assert "embedding (bfloat16)" in found(upper.tobytes(), wanted)
    assert "embedding as i1" in found(np.rint(EMBEDDING * 128).astype("i1").tobytes(), wanted)
    scaled = PROJECTION * 127 / np.abs(PROJECTION).max()
    assert "projection as i1" in found(np.rint(scaled).astype("i1").tobytes(), wanted)


@pytest.mark.parametrize("form", ["%.3g", "%.5g", "%.9g", "%.3f", "%.6f", "%.4e", "%r"])
@pytest.mark.parametrize("separator", [", ", " ", "\n", ";", "|x="])
def test_finds_numbers_as_text(form: str, separator: str, wanted: Needles) -> None:
    text = separator.join(form % float(value) for value in EMBEDDING[:40])
    assert "embedding as text" in found(text.encode(), wanted)


def test_finds_numbers_as_printed_by_numpy_and_by_json(wanted: Needles) -> None:
    assert "projection as text" in found(repr(PROJECTION).encode(), wanted)
    assert "projection as text" in found(str(PROJECTION).encode(), wanted)
    assert "projection as text" in found(json.dumps({"y": PROJECTION.tolist()}).encode(), wanted)
    assert "noise as text" in found(str(NOISE).encode(), wanted)


@pytest.mark.parametrize("text", ["7.1235", "7.1234", "7.123457", "7.123456789", "7.12346e+00", "71.2346e-1"])
def test_finds_one_distance_as_text(text: str, wanted: Needles) -> None:
    assert found(f"distance={text} radius".encode(), wanted) == "distance as text"


@pytest.mark.parametrize("text", ["7.123", "7.1236", "7.2", "71235", "7.1233", "-7.1235", "1763761234567890"])
def test_takes_no_other_number_for_the_distance(text: str, wanted: Needles) -> None:
    assert found(f"distance={text} radius".encode(), wanted) == ""


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", ">f4"])
def test_finds_one_distance_as_binary(kind: str, wanted: Needles) -> None:
    assert f"distance as {kind}" in found(np.array(DISTANCE, kind).tobytes(), wanted)


def _base64_at(shift: int) -> Callable[[bytes], bytes]:
    return lambda data: b'"' + base64.b64encode(b"abc"[:shift] + data) + b'"'


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "base64 at 0": _base64_at(0),
    "base64 at 1": _base64_at(1),
    "base64 at 2": _base64_at(2),
    "base64 for URLs": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "base64 after a word": lambda data: b"/x/key" + base64.b64encode(data),
    "hex": lambda data: data.hex().encode(),
    "HEX after a digit": lambda data: b"f" + data.hex().upper().encode(),
    "zlib": zlib.compress,
    "zlib, fast": lambda data: zlib.compress(data, 1),
    "gzip": gzip.compress,
    "zlib broken off": lambda data: zlib.compress(data + _RNG.bytes(4096))[:-2000],
    "base64 of zlib": lambda data: base64.b64encode(zlib.compress(data)),
    "hex of base64 of gzip": lambda data: base64.b64encode(gzip.compress(data)).hex().encode(),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_finds_what_is_wrapped(wrapping: str, wanted: Needles) -> None:
    wrap = WRAPPINGS[wrapping]
    assert "embedding as <f4" in found(wrap(EMBEDDING.tobytes()), wanted)
    assert "secret" in found(wrap(SECRET), wanted)
    assert "projection as text" in found(wrap(str(PROJECTION).encode()), wanted)


def test_finds_a_secret_in_part(wanted: Needles) -> None:
    assert found(SECRET[9:25], wanted) == "secret"
    assert found(SECRET[9:24], wanted) == ""


def test_finds_a_stretch_of_a_file(wanted: Needles) -> None:
    assert found(FILE[1001:1064], wanted) == "file"


def test_finds_a_stretch_of_pixels(wanted: Needles) -> None:
    grey = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY)
    assert "image as rgb" in found(IMAGE[40, 10:40].tobytes(), wanted)
    assert "image as bgr" in found(IMAGE[40, 10:40, ::-1].tobytes(), wanted)
    assert "image as grey" in found(grey[40].tobytes(), wanted)
    assert "image as planes" in found(IMAGE[40, :, 1].tobytes(), wanted)
    tensor = (IMAGE.astype(np.float32) - np.float32(127.5)) / np.float32(128)
    assert "image as tensor" in found(tensor[40].tobytes(), wanted)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".ppm"])
def test_finds_any_picture_file(suffix: str, wanted: Needles) -> None:
    done, data = cv2.imencode(suffix, np.ascontiguousarray(IMAGE[::2, ::-2]))
    assert done
    assert "a picture file" in found(data.tobytes(), wanted)


def test_finds_nothing_in_what_is_like_the_agents_files_and_messages(wanted: Needles) -> None:
    rng = np.random.default_rng(5)
    assert find(rng.bytes(200_000), wanted) == []
    assert find(base64.b64encode(rng.bytes(20_000)), wanted) == []
    assert find(rng.bytes(20_000).hex().encode(), wanted) == []
    assert find(zlib.compress(str(rng.normal(size=1000)).encode()), wanted) == []
    assert find(str(rng.integers(0, 100_000, 2000).tolist()).encode(), wanted) == []
    assert find(bytes(10_000), wanted) == []
    assert find(b"", wanted) == []


def test_a_blank_wall_is_no_picture() -> None:
    blank = needles(images={"wall": np.full((64, 64, 3), 255, np.uint8)})
    assert find(b"\xff" * 10_000, blank) == []
