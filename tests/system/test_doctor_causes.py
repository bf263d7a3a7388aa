# SPDX-License-Identifier: Apache-2.0
"""What a door's owner meets sooner or later, each caused here, and each named by doctor with its remedy."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import facelatch
from facelatch.diagnosis import Finding, State, diagnose, mounts
from facelatch.hardware import standin
from tests.agent import NOBODY, Agent

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and mount")
# A character device that nobody else has open, to stand for the camera.
_DEVICE = Path("/dev/full")
_QUERYCAP = 0x80685600
_CAPTURE = 1


def _find(agent: Agent, name: str) -> Finding:
    """Return what doctor finds about one thing, the worst if it finds several."""
    agent.write_config()
    order = list(State)
    return max((f for f in diagnose(agent.config) if f.name == name), key=lambda finding: order.index(finding.state))


def _give_away(agent: Agent) -> None:
    """Make another user the agent's, as the package does."""
    for path in (agent.state, *agent.state.iterdir(), agent.key):
        os.chown(path, NOBODY, NOBODY)


@needs_root
def test_wrong_group(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    camera = agent.root / "closed"
    shutil.copytree((agent.root / "camera").resolve(), camera)
    agent.configure("camera", source=str(camera))
    _give_away(agent)
    assert _find(agent, "camera").state is State.OK
    camera.chmod(0o750)  # root's and its group's, of which the agent's user is no member
    found = _find(agent, "camera")
    assert found.state is State.FAILED
    assert "not allowed" in found.detail
    os.chown(camera, 0, NOBODY)
    assert _find(agent, "camera").state is State.OK


@pytest.fixture
def busy_camera(agent_with_anna: Agent, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """A device that describes itself as a camera, and says that it is in use: no machine of ours has one."""

    def ioctl(_: int, request: int, argument: bytearray) -> int:
        if request != _QUERYCAP:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        struct.pack_into("=I", argument, 84, _CAPTURE)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    agent_with_anna.configure("camera", backend="v4l2", source=str(_DEVICE))
    return agent_with_anna


def test_camera_busy(busy_camera: Agent) -> None:
    found = _find(busy_camera, "camera")
    assert (found.state, found.detail) == (State.FAILED, f"camera {_DEVICE} is in use by another program")
    with _DEVICE.open() as device, subprocess.Popen(["/bin/sleep", "600"], stdin=device) as other:
        device.close()
        found = _find(busy_camera, "camera")
        other.kill()
    assert found.state is State.FAILED
    assert found.detail == f"camera {_DEVICE} is in use by another program, sleep ({other.pid})"
    assert found.remedy == "close that program"


def test_overlay_missing(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    agent.configure("button", device="/dev/input/facelatch-button")
    agent.configure("indicator", led="facelatch-light")
    agent.configure("latch", backend="led", test=True)
    for name in ("button", "indicator", "latch"):
        found = _find(agent, name)
        assert found.state is State.MISSING
        assert "add its overlay to /boot/firmware/config.txt" in found.remedy


def test_overlay_there(agent_with_anna: Agent) -> None:
    agent = _wired(agent_with_anna)
    assert [_find(agent, name).state for name in ("button", "indicator", "latch")] == [State.OK] * 3
    (agent.root / "pins" / "latch" / "shot").unlink()  # it has another trigger than the overlay is to choose
    assert _find(agent, "latch").state is State.FAILED


@needs_root
def test_udev_rule_missing(agent_with_anna: Agent) -> None:
    agent = _wired(agent_with_anna)
    for path in (agent.root / "pins").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o600)
    _give_away(agent)
    for name in ("button", "indicator", "latch"):
        found = _find(agent, name)
        assert found.state is State.FAILED
        assert "udev rule" in found.remedy


def _wired(agent: Agent) -> Agent:
    pins = agent.root / "pins"
    pins.mkdir()
    standin.make(pins)
    agent.configure("button", device=str(pins / "button"))
    agent.configure("indicator", led=str(pins / "indicator"))
    agent.configure("latch", backend="led", led=str(pins / "latch"), test=True)
    return agent


def test_key_provider_weak(agent_with_anna: Agent) -> None:
    found = _find(agent_with_anna, "device key")
    assert found.state is State.WEAK
    assert "lies on the same card as the records" in found.detail


def test_clock_wrong(agent_with_anna: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _find(agent_with_anna, "clock").state is State.OK
    monkeypatch.setattr(time, "time", lambda: 0.0)  # what a Pi without a battery shows before the network is up
    found = _find(agent_with_anna, "clock")
    assert (found.state, found.detail) == (State.FAILED, "shows the year 1970")


@pytest.mark.parametrize(("uuid", "state"), [("CRYPT-LUKS2-1-facelatch\n", State.OK), ("LVM-1\n", State.WEAK)])
def test_state_not_encrypted(
    agent_with_anna: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uuid: str, state: State
) -> None:
    (tmp_path / "253:0" / "dm").mkdir(parents=True)
    (tmp_path / "253:0" / "dm" / "uuid").write_text(uuid)
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"30 1 253:0 / {agent_with_anna.state.resolve()} rw - ext4 /dev/mapper/facelatch rw\n")
    monkeypatch.setattr(mounts, "MOUNTINFO", mountinfo)
    monkeypatch.setattr(mounts, "SYS_DEVICES", tmp_path)
    found = _find(agent_with_anna, "encryption")
    assert found.state is state
    assert ("not encrypted" in found.detail) is (state is State.WEAK)
    assert found.remedy == ("" if state is State.OK else "put it on a LUKS volume (`facelatch-provision`)")


def test_model_hash_wrong(agent_with_anna: Agent, tmp_path: Path) -> None:
    package = Path(facelatch.__file__).parent
    shutil.copytree(package, tmp_path / "facelatch", ignore=shutil.ignore_patterns("__pycache__"))
    model = tmp_path / "facelatch" / "models" / "encoder.tflite"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    agent_with_anna.write_config()
    # An installation of its own: isolated, so that no other is found.
    program = (
        sys.executable,
        "-c",
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from facelatch.cli import main; main()",
    )
    result = agent_with_anna.cli(
        "doctor", "--json", "--config", str(agent_with_anna.config), program=(*program, str(tmp_path))
    )
    assert result.returncode == 2
    found = [f for f in json.loads(result.stdout)["findings"] if f["name"] == "models"]
    assert [(f["state"], f["detail"]) for f in found] == [
        ("failed", f"model encoder.tflite in {tmp_path}/facelatch/models is not the one in the manifest")
    ]


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    mount = subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=4M", "tmpfs", str(folder)], check=False)  # noqa: S603 - our own folder
    if mount.returncode != 0:
        pytest.skip("this root may not mount")
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", str(folder)], check=True)  # noqa: S603 - as above


@needs_root
def test_disk_full(agent_with_anna: Agent) -> None:
    disk = agent_with_anna.root / "disk"
    with _small_disk(disk):
        shutil.move(agent_with_anna.state, disk / "records")
        agent_with_anna.settings["state"] = str(disk / "records")
        assert _find(agent_with_anna, "disk").state is State.WEAK  # 4 MiB are little, but enough
        (disk / "filler").write_bytes(bytes(3500 * 1024))
        found = _find(agent_with_anna, "disk")
    assert found.state is State.FAILED
    assert found.detail == f"no space left for {disk}/records"
