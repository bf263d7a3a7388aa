# SPDX-License-Identifier: Apache-2.0
"""Disks for an emulated machine, made from folders without mounting anything."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tools.debian import Debian, StoryError, run

KEPT = Path(__file__).parents[2] / "build" / "vmtest"
"""Where what takes long to make is kept."""

# Free room beside what the root holds: the package with its wheels, the journal.
_ROOM_MB = 1024
_INITRAMFS = "MODULES=list\nBUSYBOX=n\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\nKEYMAP=n\nFSTYPE=ext4\nRUNSIZE=10%\n"
PACKAGES = (
    *("linux-image-amd64", "initramfs-tools", "zstd", "kmod", "procps", "e2fsprogs", "dbus"),
    "qemu-guest-agent",
)
"""What a root needs to boot, and to be spoken to."""


@dataclass(frozen=True)
class Image:
    """A disk to boot from, never written to, and the kernel that boots it."""

    disk: Path
    kernel: Path
    initrd: Path


def image(debian: Debian) -> Image:
    """Return the image of a Debian root, made if it is not there yet.

    Raises:
        StoryError: it cannot be made.
    """
    root = debian.root()
    disk = KEPT / f"{debian.name}.ext4"
    if not disk.exists():
        click.echo(f"making the disk {disk.name} ...")
        make_disk(root, disk, size_mb=_used_mb(root) + _ROOM_MB)
    kernel = _only(root / "boot", "vmlinuz-*")
    initrd = KEPT / f"{debian.name}.initrd"
    if not initrd.exists():
        _make_initrd(root, kernel.name.removeprefix("vmlinuz-"), initrd)
    return Image(disk, kernel, initrd)


def make_disk(folder: Path, disk: Path, size_mb: int | None = None) -> None:
    """Make a disk with an ext4 file system that holds what a folder holds.

    Raises:
        StoryError: it does not fit, or ``mke2fs`` is missing.
    """
    disk.parent.mkdir(parents=True, exist_ok=True)
    unfinished = disk.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    size = f"{size_mb or _used_mb(folder) + 64}M"
    run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", str(folder), str(unfinished), size)
    unfinished.rename(disk)


def make_overlay(base: Path, overlay: Path) -> None:
    """Make a disk that begins as another, which stays as it is.

    Raises:
        StoryError: ``qemu-img`` is missing or fails.
    """
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base.resolve()), "-F", "raw", str(overlay))


def make_empty(disk: Path, size_mb: int) -> None:
    """Make an empty disk, which takes no room yet.

    Raises:
        StoryError: as ``make_overlay``.
    """
    run("qemu-img", "create", "-q", "-f", "qcow2", str(disk), f"{size_mb}M")


def _make_initrd(root: Path, version: str, initrd: Path) -> None:
    """Make one with nothing but what our disks need: the usual one takes the emulator half a minute."""
    with TemporaryDirectory(dir=root / "tmp") as folder:
        settings = Path(folder)
        for name in ("conf.d", "hooks", "scripts"):
            (settings / name).mkdir()
        (settings / "initramfs.conf").write_text(_INITRAMFS)
        (settings / "modules").write_text("virtio_pci\nvirtio_blk\next4\n")
        inside = Path("/tmp", settings.name)  # noqa: S108 - of the root, and named by us
        run("chroot", str(root), "mkinitramfs", "-d", str(inside), "-o", str(inside / "initrd"), version)
        shutil.copy(settings / "initrd", initrd)


def _used_mb(folder: Path) -> int:
    # Small files take a block, and inodes take room.
    return (
        sum(max(4096, path.lstat().st_size) for path in folder.rglob("*") if not path.is_dir()) * 5 // 4 // 2**20 + 16
    )


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise StoryError(f"{folder} has no {pattern}", "remove that root, to have it made anew")
    return found[-1]
