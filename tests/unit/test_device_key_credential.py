# SPDX-License-Identifier: Apache-2.0
"""The device key as a systemd credential. systemd's part, decrypting and passing it, is played by the test."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from facelatch.errors import DeviceKeyError
from facelatch.l2fe.kdf import kdf
from facelatch.vault.key_credential import TPM2_KINDS, CredentialKey, Tpm2Key, sealed_with
from facelatch.vault.key_providers import open_key_ring

KEY = bytes(range(32))
BY_TPM2 = bytes.fromhex("0c7cc07b117645919c4b0bea08bc20fe")
BY_HOST = bytes.fromhex("5a1c6a86df9d4096b1d5a65e0862f19a")
BY_NOTHING = bytes.fromhex("058469daf6f54324800549da0f8ea2fb")


@pytest.fixture
def blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An encrypted credential, which systemd has decrypted for this process."""
    passed = tmp_path / "credentials"
    passed.mkdir()
    (passed / "device.key").write_bytes(KEY)
    (passed / "device.key").chmod(0o440)  # as it looks with the access control list that systemd sets
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(passed))
    path = tmp_path / "device.key"
    write_blob(path, BY_TPM2)
    return path


def write_blob(path: Path, kind: bytes) -> None:
    path.write_bytes(base64.encodebytes(kind + bytes(150)))


@pytest.mark.parametrize(("provider", "weak"), [("systemd-credential", True), ("tpm2", False)])
def test_the_credential_is_the_key(blob: Path, provider: str, weak: bool) -> None:
    key = open_key_ring(provider, blob, may_create=True).current
    assert (key.provider, key.weak) == (provider, weak)
    assert key.derive("record") == kdf(KEY, "record")
    assert key.key_id == kdf(KEY, "key-id")[:8]


@pytest.mark.parametrize("provider", ["systemd-credential", "tpm2"])
def test_it_cannot_be_renewed_by_the_agent(blob: Path, provider: str) -> None:
    with pytest.raises(DeviceKeyError, match=f"cannot renew a device key of provider '{provider}': seal a new"):
        open_key_ring(provider, blob, may_create=False).begin_rotation()


@pytest.mark.parametrize("kind", [CredentialKey, Tpm2Key])
def test_without_a_credential(kind: type[CredentialKey], blob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DeviceKeyError, match=r"passed no credential 'other\.key'.*: put `LoadCredentialEncrypted=other\.key:/"
    ):
        kind.load(blob.with_name("other.key"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(DeviceKeyError, match=r"passed no credentials to this process.* start it by systemd"):
        kind.load(blob)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "is damaged"), (KEY[:31], "is damaged"), (bytes(32), "is damaged"), (KEY + b"\n", "larger than 32 bytes")],
    ids=["empty", "short", "zeros", "newline"],
)
def test_a_credential_that_is_no_key(blob: Path, data: bytes, message: str) -> None:
    (blob.parent / "credentials" / "device.key").chmod(0o600)
    (blob.parent / "credentials" / "device.key").write_bytes(data)
    with pytest.raises(DeviceKeyError, match=message):
        CredentialKey.load(blob)


def test_every_kind_that_needs_a_tpm2_is_taken(blob: Path) -> None:
    assert len(TPM2_KINDS) == 6
    for kind in TPM2_KINDS:
        write_blob(blob, kind)
        assert not Tpm2Key.load(blob).weak


@pytest.mark.parametrize("kind", [BY_HOST, BY_NOTHING, b"", b"short"], ids=["host", "nothing", "empty", "short"])
def test_what_needs_no_tpm2_is_not_called_tpm2(blob: Path, kind: bytes) -> None:
    write_blob(blob, kind)
    with pytest.raises(DeviceKeyError, match="is not sealed to a TPM2: seal it by `systemd-creds encrypt --with-key="):
        Tpm2Key.load(blob)
    assert CredentialKey.load(blob).weak


def test_an_encrypted_file_that_is_not_base64(blob: Path) -> None:
    blob.write_bytes(b"\xff\x00A")
    with pytest.raises(DeviceKeyError, match="is not sealed to a TPM2"):
        Tpm2Key.load(blob)


def test_an_encrypted_file_that_is_missing_or_huge(blob: Path) -> None:
    blob.write_bytes(bytes(70_000))
    with pytest.raises(DeviceKeyError, match="is larger than"):
        Tpm2Key.load(blob)
    blob.unlink()
    with pytest.raises(DeviceKeyError, match="does not exist: put the encrypted credential there and let the agent"):
        Tpm2Key.load(blob)


def test_the_kind_is_where_systemd_writes_it(tmp_path: Path) -> None:
    # The real tool, with the one kind of key that needs neither a TPM2 nor a change to this machine.
    tool = shutil.which("systemd-creds")
    if tool is None:
        pytest.skip("systemd-creds is not installed")
    plain, blob = tmp_path / "plain", tmp_path / "device.key"
    plain.write_bytes(KEY)
    done = subprocess.run(  # noqa: S603 - our own files
        [tool, "encrypt", "--with-key=tpm2-absent", "--name=device.key", str(plain), str(blob)],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("this systemd-creds encrypts nothing without a TPM2 or a host key")
    assert sealed_with(blob) == BY_NOTHING
