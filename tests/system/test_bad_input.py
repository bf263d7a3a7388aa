# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong at the start is told in one line that names it and the remedy, and nothing on disk changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import facelatch
from tests.agent import Agent
from tests.refusal import refusal, snapshot

PACKAGE = Path(facelatch.__file__).parent


def test_what_is_in_order_is_not_refused(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    assert agent_with_anna.lines("status")[0]["users"] == 1


def test_a_change_on_disk_would_be_seen(idle_agent: Agent) -> None:
    before = snapshot(idle_agent.root)
    assert snapshot(idle_agent.root) == before
    (idle_agent.root / "tmp" / "new").touch()
    assert snapshot(idle_agent.root) != before


# --- configuration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "values", "named"),
    [
        ("camear", {"source": "x"}, "unknown key `camear`"),
        ("camera", {"fsp": 30}, "unknown key `fsp` - at `camera`"),
        ("enroll", {"frames": 1}, "at `enroll.frames`"),
        ("camera", {"width": "wide"}, "at `camera.width`"),
        ("device_key", {"path": "device.key"}, "'device.key' is not an absolute path - at `device_key.path`"),
        ("audiences", {"Front Door!": []}, "`audiences`"),
    ],
)
def test_a_key_or_value_that_is_not_allowed(
    agent_with_anna: Agent, section: str, values: dict[str, object], named: str
) -> None:
    agent_with_anna.configure(section, **values)
    agent_with_anna.write_config()
    said = refusal(agent_with_anna)
    assert said.startswith(f"facelatch: config {agent_with_anna.config}: ")
    assert named in said
    assert said.endswith(": mend or remove that key")


@pytest.mark.parametrize(("key", "value"), [("state", "records"), ("runtime", 7), ("state", "/a\0b")])
def test_a_directory_that_is_no_absolute_path(agent_with_anna: Agent, key: str, value: object) -> None:
    agent_with_anna.settings[key] = value
    agent_with_anna.write_config()
    said = refusal(agent_with_anna)
    assert f"config {agent_with_anna.config}: " in said
    assert f"`{key}`" in said
    assert "mend or remove that key" in said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"state = ", "is not TOML"),
        (b"a = 1\n" * 20_000, "is larger than 65536 bytes"),
        (b"[camera]\nfps = nan\n", "fps"),
    ],
)
def test_a_file_that_is_no_configuration(idle_agent: Agent, content: bytes, problem: str) -> None:
    idle_agent.config.write_bytes(content)
    said = refusal(idle_agent)
    assert str(idle_agent.config) in said
    assert problem in said


def test_a_configuration_that_is_not_there(idle_agent: Agent) -> None:
    said = refusal(idle_agent)
    assert said == (
        f"facelatch: config {idle_agent.config} cannot be read (No such file or directory): check the path and its mode"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_configuration_that_may_not_be_read(idle_agent: Agent) -> None:
    idle_agent.write_config()
    idle_agent.config.chmod(0)
    said = refusal(idle_agent)
    assert f"config {idle_agent.config} cannot be read (Permission denied): check the path and its mode" in said


def test_a_configuration_that_is_a_folder(idle_agent: Agent) -> None:
    idle_agent.config.mkdir()
    said = refusal(idle_agent)
    assert f"config {idle_agent.config} cannot be read (Is a directory): check the path and its mode" in said


# --- camera -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "source", "problem", "remedy"),
    [
        ({}, "gone", "gone does not exist", "correct the path, or put the pictures there"),
        ({}, "", "holds no picture", "put pictures there, or correct the path"),
        ({"a.png": b""}, "", "a.png is empty", "remove it, or copy it again"),
        ({"a.png": b""}, "a.png", "a.png is empty", "remove it, or copy it again"),
        ({"a.png": b"hello"}, "", "a.png is not a picture", "remove it, or save it as PNG or JPEG"),
    ],
)
def test_a_camera_that_shows_nothing(
    agent_with_anna: Agent, files: dict[str, bytes], source: str, problem: str, remedy: str
) -> None:
    folder = agent_with_anna.root / "pictures"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    agent_with_anna.configure("camera", source=str(folder / source))
    agent_with_anna.write_config()
    said = refusal(agent_with_anna)
    assert str(folder) in said
    assert problem in said
    assert f": {remedy}" in said


def test_a_camera_device_that_is_none(agent_with_anna: Agent) -> None:
    device = agent_with_anna.root / "video0"
    device.touch()
    agent_with_anna.configure("camera", backend="v4l2", source=str(device))
    agent_with_anna.write_config()
    said = refusal(agent_with_anna)
    assert f"{device} is not a camera" in said
    assert said.count(": ") >= 2  # the program, the problem, the remedy


# --- models and parameters ----------------------------------------------------------------------------------------


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("file", "spoil", "problem"),
    [
        ("models/encoder.tflite", _flip_a_bit, "model encoder.tflite"),
        ("models/detector.tflite", Path.unlink, "model detector.tflite cannot be read"),
        ("models/manifest.json", Path.unlink, "the model manifest is missing or damaged"),
        ("parameters/standard.json", _flip_a_bit, "parameter set 'standard' has hash"),
    ],
)
def test_a_model_or_a_parameter_set_that_is_not_the_one_that_was_shipped(
    agent_with_anna: Agent, tmp_path: Path, file: str, spoil: Callable[[Path], None], problem: str
) -> None:
    package = shutil.copytree(PACKAGE, tmp_path / "facelatch", ignore=shutil.ignore_patterns("__pycache__"))
    spoil(package / file)
    agent_with_anna.write_config()
    said = refusal(agent_with_anna, PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert problem in said
    assert ": reinstall facelatch" in said


def test_a_parameter_set_that_does_not_exist(agent_with_anna: Agent) -> None:
    agent_with_anna.settings["parameters"] = "best"
    agent_with_anna.write_config()
    assert refusal(agent_with_anna) == "facelatch: there is no parameter set 'best': use one of: standard, strict"
