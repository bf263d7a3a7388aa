# SPDX-License-Identifier: Apache-2.0
"""Provisioning takes the volume it is told, if nothing is on it, and nothing else; run again it changes nothing."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner, Result

from facelatch.provisioning import keys
from facelatch.provisioning.command import main
from facelatch.provisioning.system import ProvisionError, System
from facelatch.provisioning.tables import FSTAB_LINE, crypttab_line, with_line
from facelatch.provisioning.volume import (
    ADIANTUM,
    AES,
    LABEL,
    LEAST_BYTES,
    UNFINISHED,
    Content,
    choose_cipher,
    examine,
    format_volume,
)

needs_cryptsetup = pytest.mark.skipif(
    not (shutil.which("cryptsetup") and shutil.which("blkid")), reason="cryptsetup and blkid are not installed"
)
needs_dm_crypt = pytest.mark.skipif(
    os.geteuid() != 0 or "device-mapper" not in Path("/proc/misc").read_text(),
    reason="needs root and a kernel with device mapper",
)
MACHINE = System(dry=False)
PHRASE = "seven random words and a fish"
PI_4 = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
PI_5 = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics\n"
PC = "processor\t: 0\nflags\t\t: fpu vme aes xsave avx\n"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "volume"
    with path.open("wb") as file:
        file.truncate(LEAST_BYTES)
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _provision(*arguments: str, etc: Path) -> Result:
    return CliRunner().invoke(main, [*arguments, "--etc", str(etc)])


def _opens(volume: Path, key: bytes) -> bool:
    try:
        MACHINE.run("cryptsetup", "open", "--test-passphrase", "--key-file=-", str(volume), given=key)
    except ProvisionError:
        return False
    return True


@pytest.mark.parametrize(("cpuinfo", "cipher"), [(PI_4, ADIANTUM), (PI_5, AES), (PC, AES), ("", ADIANTUM)])
def test_the_cipher_is_the_one_that_the_processor_is_fast_at(cpuinfo: str, cipher: object) -> None:
    assert choose_cipher(cpuinfo) == cipher


@pytest.mark.parametrize("arguments", [(), ("--key", "tpm2"), ("--volume", "/dev/null")])
def test_without_a_named_volume_and_key_nothing_is_touched(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = _provision(*arguments, etc=tmp_path)
    assert result.exit_code == 2
    assert "nothing was touched" in result.output
    assert not list(tmp_path.iterdir())


@needs_cryptsetup
@pytest.mark.parametrize("kind", ["tpm2", "rpi-fw-crypto", "passphrase"])
def test_a_dry_run_says_all_and_does_nothing(volume: Path, tmp_path: Path, kind: str) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    before = _digest(volume)
    result = _provision("--volume", str(volume), "--key", kind, "--dry-run", etc=etc)
    assert result.exit_code == 0, result.output
    for said in ("luksFormat", "mkfs.ext4", "luksRemoveKey", f"write {etc}/crypttab", f"write {etc}/fstab", "dry run"):
        assert said in result.output
    assert _digest(volume) == before
    assert not list(etc.iterdir())


def _with_file_system(volume: Path) -> None:
    MACHINE.run("mkfs.ext4", "-q", "-F", str(volume))


def _with_partitions(volume: Path) -> None:
    data = bytearray(volume.read_bytes()[:512])
    # An MBR with one Linux partition (type 0x83) from sector 1 on.
    data[446:462] = bytes([0, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0xFF, 0x7F, 0, 0])
    data[510:512] = b"\x55\xaa"
    with volume.open("r+b") as file:
        file.write(data)


def _with_another_luks(volume: Path) -> None:
    format_volume(MACHINE, volume, AES, b"key")
    MACHINE.run("cryptsetup", "config", "--label=backup", str(volume))


def _too_small(volume: Path) -> None:
    os.truncate(volume, LEAST_BYTES - 1)


@needs_cryptsetup
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_with_file_system, "holds ext4, and nothing is ever overwritten"),
        (_with_partitions, "holds dos"),
        (_with_another_luks, "holds crypto_LUKS"),
        (_too_small, "has 31 MiB"),
        (Path.unlink, "cannot be looked at"),
    ],
)
def test_a_volume_with_something_on_it_is_refused_and_stays_as_it_is(
    volume: Path, tmp_path: Path, spoil: object, said: str
) -> None:
    assert callable(spoil)
    spoil(volume)
    before = volume.exists() and _digest(volume)
    result = _provision("--volume", str(volume), "--key", "tpm2", "--dry-run", etc=tmp_path)
    assert result.exit_code == 2
    assert said in result.output
    assert (volume.exists() and _digest(volume)) == before


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(ProvisionError, match="at least 12"):
        keys.passphrase("short")


@needs_cryptsetup
def test_a_real_volume_opens_by_its_keys_and_no_longer_by_the_first(volume: Path) -> None:
    """All but opening, for which the kernel must have dm-crypt; Adiantum needs it for formatting already."""
    assert examine(MACHINE, volume) is Content.NOTHING
    now = secrets.token_hex(32)
    format_volume(MACHINE, volume, AES, now.encode())
    assert examine(MACHINE, volume) is Content.UNFINISHED
    keys.passphrase(PHRASE).enroll(MACHINE, volume, now)
    keys.firmware(bytes(range(32))).enroll(MACHINE, volume, now)
    MACHINE.run("cryptsetup", "luksRemoveKey", "--batch-mode", "--key-file=-", str(volume), given=now.encode())
    MACHINE.run("cryptsetup", "config", f"--label={LABEL}", str(volume))
    assert examine(MACHINE, volume) is Content.OURS
    assert [_opens(volume, key) for key in (PHRASE.encode(), bytes(range(32)), now.encode())] == [True, True, False]


@contextmanager
def _software_tpm(folder: Path) -> Iterator[str]:
    """A TPM2 in software; gives the name by which systemd finds it."""
    program = shutil.which("swtpm")
    if program is None or shutil.which("systemd-cryptenroll") is None:
        pytest.skip("swtpm and systemd-cryptenroll are not installed")
    folder.mkdir()
    at = folder / "s"
    command = [program, "socket", "--tpm2", f"--tpmstate=dir={folder}", "--flags=startup-clear"]
    command += [f"--server=type=unixio,path={at}", f"--ctrl=type=unixio,path={at}.ctrl"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tpm:  # noqa: S603 - our own arguments
        try:
            while not at.exists():
                assert tpm.poll() is None
                time.sleep(0.01)
            yield f"swtpm:path={at}"
        finally:
            tpm.kill()


@needs_cryptsetup
def test_a_tpm_gets_a_key_of_its_own(volume: Path) -> None:
    with TemporaryDirectory(prefix="facelatch-") as folder, _software_tpm(Path(folder, "tpm")) as device:
        now = secrets.token_hex(32)
        format_volume(MACHINE, volume, AES, now.encode())
        try:
            keys.tpm2(device).enroll(MACHINE, volume, now)
        except ProvisionError as error:
            if "not supported" in str(error).lower() or "libtss2" in str(error):
                pytest.skip("libtss2-tcti-swtpm0 is not installed")
            raise
    assert "systemd-tpm2" in MACHINE.ask("cryptsetup", "luksDump", str(volume))[1]


@needs_cryptsetup
def test_where_the_firmware_refuses_the_volume_stays_as_it_is(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a volume")
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin")  # where no Pi's tool is
    monkeypatch.setattr(keys.firmware_key, "__defaults__", (tmp_path / "salt",))
    before = _digest(volume)
    result = _provision("--volume", str(volume), "--key", "rpi-fw-crypto", etc=tmp_path)
    assert result.exit_code == 2
    assert "rpi-fw-crypto is not installed" in result.output
    assert _digest(volume) == before
    assert [path.name for path in tmp_path.iterdir()] == ["volume"]


@needs_cryptsetup
def test_run_again_it_changes_nothing(volume: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a volume")
    format_volume(MACHINE, volume, AES, b"key")
    MACHINE.run("cryptsetup", "config", f"--label={LABEL}", str(volume))
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "fstab").write_text("# mine\nUUID=1 / ext4 defaults 0 1")
    arguments = ("--volume", str(volume), "--key", "tpm2")
    before = _digest(volume)
    assert _provision(*arguments, etc=etc).exit_code == 0
    first = {path.name: path.read_text() for path in etc.iterdir()}
    assert first["crypttab"] == f"facelatch {volume} none luks,nofail,tpm2-device=auto\n"
    assert first["fstab"] == f"# mine\nUUID=1 / ext4 defaults 0 1\n{FSTAB_LINE}\n"
    assert _provision(*arguments, etc=etc).exit_code == 0
    assert {path.name: path.read_text() for path in etc.iterdir()} == first
    assert _digest(volume) == before
    # Another key's line is somebody's choice, and not ours to change.
    other = _provision("--volume", str(volume), "--key", "passphrase", etc=etc)
    assert other.exit_code == 2
    assert "has another line about facelatch" in other.output
    assert {path.name: path.read_text() for path in etc.iterdir()} == first


def test_a_line_is_added_once_and_never_changes_another(tmp_path: Path) -> None:
    line = crypttab_line("UUID=1", "none")
    once = with_line("swap /dev/sda2 /dev/urandom swap", line, 0, tmp_path)
    assert once == f"swap /dev/sda2 /dev/urandom swap\n{line}\n"
    assert with_line(once, line, 0, tmp_path) == once
    assert with_line(f"#{line}\n", line, 0, tmp_path) == f"#{line}\n{line}\n"
    with pytest.raises(ProvisionError, match="another line about facelatch"):
        with_line("facelatch UUID=2 none luks\n", line, 0, tmp_path)


@needs_cryptsetup
@needs_dm_crypt
def test_the_whole_with_dm_crypt(volume: Path, tmp_path: Path) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text(PHRASE)
    etc = tmp_path / "etc"
    etc.mkdir()
    arguments = ("--volume", str(volume), "--key", "passphrase", "--passphrase-file", str(phrase), "--no-recovery-key")
    result = _provision(*arguments, etc=etc)
    assert result.exit_code == 0, result.output
    assert examine(MACHINE, volume) is Content.OURS
    assert _opens(volume, PHRASE.encode())
    assert (etc / "crypttab").read_text() == f"facelatch {volume} none luks,nofail\n"


@needs_cryptsetup
def test_a_run_that_was_interrupted_may_begin_anew(volume: Path, tmp_path: Path) -> None:
    format_volume(MACHINE, volume, AES, b"lost with the power")
    assert UNFINISHED in MACHINE.ask("blkid", "-p", str(volume))[1]
    result = _provision("--volume", str(volume), "--key", "tpm2", "--dry-run", etc=tmp_path)
    assert "begun by an earlier run" in result.output
    assert "luksFormat" in result.output
