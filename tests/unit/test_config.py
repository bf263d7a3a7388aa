# SPDX-License-Identifier: Apache-2.0
"""The configuration: defaults stand, and every mistake is named with its key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facelatch import config
from facelatch.errors import ConfigError


def test_an_empty_file_gives_the_defaults() -> None:
    parsed = config.parse(b"", "test")
    assert parsed == config.Config()
    assert parsed.runtime == Path("/run/facelatch")
    assert parsed.policy.administrators == []


def test_every_table_is_read() -> None:
    parsed = config.parse(
        b"""
        state = "/data/records"
        [camera]
        backend = "replay"
        source = "/data/frames"
        [verify]
        timeout = 5
        [policy]
        administrators = ["anna"]
        [audiences]
        front-door = ["door"]
        """,
        "test",
    )
    assert parsed.state == Path("/data/records")
    assert parsed.camera.source == "/data/frames"
    assert parsed.verify.timeout == 5
    assert parsed.audiences == {"front-door": ["door"]}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour = 1", "colour"),
        ("[camera]\nfsp = 15", "fsp"),
        ("[camera]\nfps = 0", "camera.fps"),
        ("[camera]\npatience = 0.5", "camera.patience"),
        ("[camera]\npatience = 21", "camera.patience"),
        ("[camera]\nfps = '15'", "camera.fps"),
        ("[camera]\nbackend = 'webcam'", "camera.backend"),
        ("[verify]\ntimeout = -1", "verify.timeout"),
        ("[enroll]\nframes = 1", "enroll.frames"),
        ("state = 'records'", "not an absolute path"),
        ("state = 3", "state"),
        ("[audiences]\n'Front Door' = []", "audiences"),
        ("[device_key]\nprovider = 'none'", "device_key.provider"),
        ("[button]\ndevice = 'event0'", "not an absolute path"),
        ("[button]\nhold = 0.1", "button.hold"),
        ("[indicator]\nled = '../secret'", "indicator.led"),
        ("[latch]\nbackend = 'gpio'", "latch.backend"),
        ("[latch]\npulse = 31", "latch.pulse"),
        ("[latch]\ngap = 0", "latch.gap"),
        ("[latch]\nbackend = 'exec'", "latch.command"),
        ("[latch]\nbackend = 'exec'\ncommand = ['unlock']", "latch.command"),
        ("[latch]\nbackend = 'exec'\ncommand = ['/unlock']\nrelease = ['lock']", "latch.release"),
        ("[latch]\nbackend = 'led'\n[button]\nreset = true", "exclude each other"),
        ("[latch]\nbackend = 'led'\n[camera]\nbackend = 'replay'\nsource = '/f'", "replay camera must not open"),
        ("[pam]\ntimeout = 0", "pam.timeout"),
        ("[camera", "not TOML"),
        ("x = \x00", "not TOML"),
    ],
)
def test_a_mistake_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        config.parse(text.encode(), "door.toml")
    assert "door.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_replay_camera_opens_a_latch_where_nothing_hangs_on_it() -> None:
    text = b"[latch]\nbackend = 'led'\ntest = true\n[camera]\nbackend = 'replay'\nsource = '/f'"
    assert config.parse(text, "test").latch.test


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml cannot be read"):
        config.load(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"#" * 70000)
    with pytest.raises(ConfigError, match="larger than"):
        config.load(tmp_path / "big")


def test_the_shipped_file_shows_every_key_with_its_default() -> None:
    path = Path(__file__).parents[2] / "firmware_config" / "facelatch.toml"
    assert config.load(path) == config.Config()
    text = path.read_text()
    for section in config._Section.__subclasses__():
        for key in section.__struct_fields__:
            assert re.search(rf"^(# |\[)?{key}\b", text, re.MULTILINE), key
