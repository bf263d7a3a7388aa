# SPDX-License-Identifier: Apache-2.0
"""``facelatch-provision``: the encrypted volume, from a named partition to the lines that mount it at boot."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TextIO

import click

from facelatch.cli.options import told
from facelatch.provisioning import keys, tables
from facelatch.provisioning.system import ProvisionError, System
from facelatch.provisioning.volume import LABEL, Content, choose_cipher, examine, format_volume, uuid_of
from facelatch.vault.device_key import KEY_BYTES
from facelatch.vault.files import write_durably

_ETC = Path("/etc")
_CPUINFO = Path("/proc/cpuinfo")
_UNIT_OF_VOLUME = f"systemd-cryptsetup@{tables.MAPPING}.service"
_TABLE_MODE = 0o644


@click.command()
@click.option(
    "--volume", type=click.Path(path_type=Path, readable=False), help="The empty partition (or file) to take."
)
@click.option(
    "--key", "kind", type=click.Choice(["tpm2", "rpi-fw-crypto", "passphrase"]), help="What opens it at boot."
)
@click.option("--passphrase-file", type=click.File("r"), help="Instead of asking for it; - is standard input.")
@click.option("--no-recovery-key", is_flag=True, help="Make none: if the key is lost, so is all on the volume.")
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be done; needs no root.")
@click.option("--etc", type=click.Path(path_type=Path), default=_ETC, hidden=True)
@click.option(
    "--write-volume-key", is_flag=True, hidden=True, help="For the unit that runs before the volume is opened."
)
@told
def main(
    volume: Path | None,
    kind: str | None,
    passphrase_file: TextIO | None,
    no_recovery_key: bool,
    dry: bool,
    etc: Path,
    write_volume_key: bool,
) -> None:
    """Make the encrypted volume for the agent's state; run again, it goes on or finds that all is done.

    Takes only the volume named by --volume, and only if nothing is on it. Never writes to one-time memory.
    """
    if write_volume_key:
        write_durably(keys.KEY_FILE, keys.firmware_key(System(dry=False)))
        return
    if volume is None or kind is None:
        raise ProvisionError("no volume is named, so nothing was touched", "give --volume and --key, and see --help")
    if os.geteuid() != 0 and not dry:
        raise ProvisionError("only root can make a volume", "run this as root, or with --dry-run")
    system = System(dry=dry)
    content = examine(system, volume)
    click.echo(f"{volume}: {content.value}")
    if content is Content.OURS:
        key = _key_of_tables(kind)
    else:
        key = _new_key(system, kind, passphrase_file)
        _make(system, volume, key, recovery=not no_recovery_key)
    _enter(system, volume, key, etc)
    click.echo(
        "this was a dry run: nothing was done" if dry else "done; start it by `systemctl enable --now facelatch`"
    )


def _new_key(system: System, kind: str, given: TextIO | None) -> keys.VolumeKey:
    """Get what is to open the volume before anything is done to it: firmware may refuse, people change their minds."""
    if kind == "rpi-fw-crypto":
        return keys.firmware(keys.firmware_key(system))
    if kind == "tpm2" or system.dry:
        return _key_of_tables(kind)
    phrase = (
        given.read().rstrip("\n") if given else click.prompt("Passphrase", hide_input=True, confirmation_prompt=True)
    )
    return keys.passphrase(phrase)


def _key_of_tables(kind: str) -> keys.VolumeKey:
    """Return what crypttab needs of a key, for a volume that has it already."""
    if kind == "tpm2":
        return keys.tpm2()
    if kind == "rpi-fw-crypto":
        return keys.firmware(bytes(KEY_BYTES))
    return keys.passphrase("x" * keys.LEAST_PASSPHRASE)


def _make(system: System, volume: Path, key: keys.VolumeKey, *, recovery: bool) -> None:
    """Format the volume, put a file system on it and give it its keys; the label, last of all, says that it is done."""
    now = secrets.token_hex(32)
    cipher = choose_cipher(_CPUINFO.read_text())
    click.echo(f"encrypting with {cipher.name}")
    format_volume(system, volume, cipher, now.encode())
    key.enroll(system, volume, now)
    if recovery:
        click.echo("the recovery key, told this once; keep it apart from the device:")
        system.show("systemd-cryptenroll", "--recovery-key", str(volume), secrets={"PASSWORD": now})
    system.run("cryptsetup", "open", "--key-file=-", str(volume), tables.MAPPING, given=now.encode())
    system.run("mkfs.ext4", "-q", "-m", "0", "-L", LABEL, f"/dev/mapper/{tables.MAPPING}")
    system.run("cryptsetup", "close", tables.MAPPING)
    system.run("cryptsetup", "luksRemoveKey", "--batch-mode", "--key-file=-", str(volume), given=now.encode())
    system.run("cryptsetup", "config", f"--label={LABEL}", str(volume))


def _enter(system: System, volume: Path, key: keys.VolumeKey, etc: Path) -> None:
    """Enter the volume into the tables, and mount it."""
    if not volume.is_block_device():
        source = str(volume.resolve())
    elif system.dry:
        source = "UUID=..."
    else:
        source = f"UUID={uuid_of(system, volume)}"
    changed = False
    for name, line, field in (
        ("crypttab", tables.crypttab_line(source, key.file, key.options), 0),
        ("fstab", tables.FSTAB_LINE, 1),
    ):
        path = etc / name
        text = path.read_text() if path.exists() else ""
        wanted = tables.with_line(text, line, field, path)
        if wanted != text:
            system.write(path, wanted, _TABLE_MODE)
            changed = True
    if etc != _ETC:
        return  # a system that is not this one
    system.make_directory(tables.MOUNT_POINT, 0o700)
    if changed:
        if key.unit is not None:
            system.run("systemctl", "enable", key.unit)
        system.run("systemctl", "daemon-reload")
        system.run("systemctl", "start", _UNIT_OF_VOLUME)
        system.run("mount", str(tables.MOUNT_POINT))
