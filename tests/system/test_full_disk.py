# SPDX-License-Identifier: Apache-2.0
"""The real agent on real file systems that are full, or have turned read-only as they do when a card fails."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import pytest

from facelatch.ipc import interface as wire
from tests.agent import Agent, Finished, scenario
from tests.refusal import refusal

SIZE = 2**20
"""Bytes of the volume: room for some records, and for ext4's own tables."""


def _system(*command: str) -> bool:
    # Whoever runs this may not have the administrator's programs on their path.
    program = shutil.which(command[0], path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if program is None:
        return False
    return subprocess.run([program, *command[1:]], capture_output=True, check=False).returncode == 0  # noqa: S603 - constants and our paths


@contextmanager
def mounted(kind: str, image: Path, place: Path, options: str = "rw") -> Iterator[Path]:
    """Mount a small file system of its own; the test is skipped where that is not allowed."""
    place.mkdir(exist_ok=True)
    if kind == "tmpfs":
        done = _system("mount", "-t", "tmpfs", "-o", f"{options},size={SIZE},mode=0700", "tmpfs", str(place))
    else:
        fresh = not image.exists()
        if fresh:
            image.write_bytes(bytes(SIZE))
        # -m 0: root, who runs this, would have the reserve.
        done = (not fresh or _system("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image))) and _system(
            "mount", "-o", f"loop,{options},errors=remount-ro", str(image), str(place)
        )
    if not done:
        pytest.skip(f"no {kind} can be mounted here: that takes root, and a kernel that has it")
    try:
        yield place
    finally:
        _system("umount", "--lazy", str(place))  # whatever a test that failed has left running


def move_to(agent: Agent, volume: Path) -> None:
    """Have an agent keep its records and its key on a volume."""
    shutil.move(agent.state, volume / "records")
    shutil.move(agent.key, volume / "device.key")
    agent.state = volume / "records"
    agent.settings["state"] = str(agent.state)
    agent.settings["device_key"] = {"path": str(volume / "device.key")}
    os.sync()  # the agent wrote them durably, but they were moved since


def fill(volume: Path) -> Path:
    """Take all the space there is; return the file that has it."""
    with (volume / "ballast").open("wb", buffering=0) as ballast:
        for chunk in (4096, 1):
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                _write_for_ever(ballast, chunk)
    return volume / "ballast"


def _write_for_ever(file: FileIO, chunk: int) -> None:
    while file.write(bytes(chunk)):
        pass


def kept(agent: Agent) -> dict[str, bytes]:
    """Everything that an agent keeps, by name."""
    return {
        str(path): path.read_bytes()
        for path in agent.state.parent.rglob("*")
        if path.suffix in (".rec", ".sec", ".key")
    }


def requests(agent: Agent) -> list[Finished]:
    """Ask for everything that has to write."""
    return [
        agent.cli("verify", "--user", "anna"),
        agent.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse"),
        agent.cli("enroll", "anna", "--replace"),
        agent.cli("enroll", "anna", "--add"),
    ]


async def rekey_in_vain(agent: Agent, why: str) -> None:
    """Ask for a new device key; see that there is none."""
    async with agent.connect() as client:
        with pytest.raises(wire.StorageFault) as told:
            await client.Rekey()
        assert why in told.value.parameters["what"]


def refuses_all(agent: Agent, why: str) -> None:
    """See that nothing is done that could not be kept, that each says so in a line, and that nothing is lost."""
    before = kept(agent)
    for finished in requests(agent):
        assert finished.returncode == 2, finished.stdout
        assert finished.stderr.count("\n") == 1
        assert why in finished.stderr
    scenario(rekey_in_vain(agent, why))
    assert kept(agent) == before
    assert agent.cli("list").returncode == 0


def does_all(agent: Agent) -> None:
    """See that it works again."""
    for finished in requests(agent):
        assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_full_disk(agent_with_anna: Agent, kind: str) -> None:
    agent = agent_with_anna
    with mounted(kind, agent.root / "image", agent.root / "volume") as volume:
        move_to(agent, volume)
        agent.start()
        ballast = fill(volume)
        refuses_all(agent, "no space left to ")
        ballast.unlink()
        does_all(agent)
        agent.kill()
        agent.start()
        assert agent.cli("verify", "--user", "anna").returncode == 0
        assert agent.terminate() == 0


def test_a_full_disk_still_lets_a_user_be_removed(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    with mounted("tmpfs", agent.root / "image", agent.root / "volume") as volume:
        move_to(agent, volume)
        agent.start()
        fill(volume)
        assert agent.cli("remove", "anna").returncode == 0
        assert not agent.records
        assert agent.terminate() == 0


def test_a_file_system_that_turned_read_only(agent_with_anna: Agent) -> None:
    """As ext4 does when it meets a fault; the kernel is asked to meet one."""
    agent = agent_with_anna
    image, place = agent.root / "image", agent.root / "volume"
    with mounted("ext4", image, place) as volume:
        move_to(agent, volume)
        agent.start()
        device = Path(
            os.path.realpath(f"/sys/dev/block/{os.major(volume.stat().st_dev)}:{os.minor(volume.stat().st_dev)}")
        )
        trigger = Path("/sys/fs/ext4", device.name, "trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel's ext4 cannot be made to meet a fault")
        trigger.write_text("a fault for a test")
        refuses_all(
            agent, "its file system is read-only: mount it writable; if it turned read-only by itself, the card"
        )
        assert agent.terminate() == 0
        assert "its file system is read-only" in refusal(agent)
    assert _system("fsck.ext4", "-p", "-f", str(image)) or _system("fsck.ext4", "-n", "-f", str(image))
    with mounted("ext4", image, place):
        agent.start()
        does_all(agent)
        assert agent.terminate() == 0


def test_a_start_on_what_is_read_only(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    image, place = agent.root / "image", agent.root / "volume"
    with mounted("ext4", image, place) as volume:
        move_to(agent, volume)
    with mounted("ext4", image, place, "ro"):
        agent.write_config()
        assert "its file system is read-only: mount it writable" in refusal(agent)
