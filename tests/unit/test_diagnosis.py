# SPDX-License-Identifier: Apache-2.0
"""What ``doctor`` concludes from what the system says."""

from __future__ import annotations

import calendar
from pathlib import Path

import pytest

from facelatch.diagnosis.finding import Finding, State
from facelatch.diagnosis.mounts import Mount, is_encrypted, mount_of
from facelatch.diagnosis.running import check_core_dumps, find_agent
from facelatch.diagnosis.system import check_clock, check_space
from facelatch.diagnosis.vault import check_device_key
from facelatch.ipc.peer import Peer

MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
30 27 253:0 / /var/lib/face\040latch rw - ext4 /dev/mapper/state rw
31 27 0:40 / /data rw - tmpfs tmpfs rw
32 27 0:50 / /data rw - btrfs /dev/sda1 rw
nonsense
"""


def test_a_finding_is_one_line() -> None:
    assert str(Finding("disk", State.OK, "fine")).split() == ["ok", "disk", "fine"]
    assert str(Finding("disk", State.FAILED, "full", "remove files")).endswith("full: remove files")
    assert [state for state in State if Finding("x", state, "").serious] == [State.MISSING, State.FAILED]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/var/lib/face latch/records", "/dev/mapper/state"),
        ("/var/lib/face", "/dev/mmcblk0p2"),
        ("/data/x", "/dev/sda1"),
    ],
)
def test_the_deepest_and_last_mount_counts(path: str, source: str) -> None:
    mount = mount_of(Path(path), MOUNTINFO)
    assert mount is not None
    assert mount.source == source


def test_no_mount_is_made_up() -> None:
    assert mount_of(Path("/x"), "nonsense\n1 2 - x\n") is None


def _device(sys: Path, number: str, *, uuid: str = "", on: tuple[str, ...] = (), partition_of: str = "") -> None:
    """Make a block device as sysfs shows it."""
    device = sys / "devices" / (f"{partition_of}/{number}" if partition_of else number)
    (device / "slaves").mkdir(parents=True)
    if partition_of:
        (device / "slaves").rmdir()
        (device / "partition").write_text("1\n")
    if uuid:
        (device / "dm").mkdir()
        (device / "dm" / "uuid").write_text(f"{uuid}\n")
    for lower in on:
        (device / "slaves" / lower).symlink_to(sys / "devices" / lower)
    (sys / number).symlink_to(device)


@pytest.mark.parametrize(
    ("number", "expected"),
    [("179:2", False), ("253:0", True), ("253:1", True), ("253:2", False), ("7:0", None), ("9:9", None)],
)
def test_encryption_is_found_at_any_depth(tmp_path: Path, number: str, expected: bool | None) -> None:
    _device(tmp_path, "179:0")
    _device(tmp_path, "179:2", partition_of="179:0")
    _device(tmp_path, "253:0", uuid="CRYPT-LUKS2-0123-state", on=("179:0",))
    _device(tmp_path, "253:1", uuid="LVM-0123", on=("253:0",))
    _device(tmp_path, "253:2", uuid="LVM-4567", on=("253:0", "179:0"))
    _device(tmp_path, "7:0")
    (tmp_path / "devices" / "7:0" / "loop").mkdir()
    assert is_encrypted(Mount(Path("/"), "ext4", "/dev/x", number), tmp_path) is expected


def test_a_file_system_without_a_device_cannot_be_told(tmp_path: Path) -> None:
    assert is_encrypted(Mount(Path("/"), "overlay", "overlay", "0:30"), tmp_path) is None


@pytest.mark.parametrize(("year", "state"), [(1970, State.FAILED), (2025, State.FAILED), (2026, State.OK)])
def test_a_clock_before_this_program_was_built_is_wrong(year: int, state: State) -> None:
    assert check_clock(calendar.timegm((year, 6, 1, 0, 0, 0))).state is state


def test_free_space_is_told_of_a_place_that_is_not_there_yet(tmp_path: Path) -> None:
    assert "free for" in check_space(tmp_path / "not" / "yet").detail


@pytest.mark.parametrize(
    ("limits", "state"),
    [
        ("Max core file size        0                    0                    bytes\n", State.OK),
        ("Max core file size        0                    unlimited            bytes\n", State.FAILED),
        ("Max core file size        unlimited            unlimited            bytes\n", State.FAILED),
    ],
)
def test_core_dumps_are_judged_by_the_agents_own_limits(tmp_path: Path, limits: str, state: State) -> None:
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "limits").write_text(limits)
    assert check_core_dumps(Peer(42, 0, 0, frozenset()), tmp_path).state is state


def test_core_dumps_without_an_agent_cannot_be_told(tmp_path: Path) -> None:
    assert find_agent(tmp_path) is None
    assert check_core_dumps(None).state is State.WEAK


def test_a_credential_is_judged_by_its_encrypted_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    path = tmp_path / "facelatch.key"
    assert check_device_key("tpm2", path)[0].state is State.FAILED
    path.write_bytes(b"DHzAexF2RZGcSwvqCLwg/g==")  # the id of a credential sealed to a TPM2
    assert check_device_key("tpm2", path)[0].state is State.OK
    path.write_bytes(b"")
    assert check_device_key("tpm2", path)[0].state is State.FAILED
    assert check_device_key("systemd-credential", path)[0].state is State.WEAK
