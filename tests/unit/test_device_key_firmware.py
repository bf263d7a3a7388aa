# SPDX-License-Identifier: Apache-2.0
"""The device key from the firmware. There is none here: a script that takes the tool's arguments stands in for it."""

from __future__ import annotations

import hashlib
import hmac
import sys
import time
from pathlib import Path

import pytest

from facelatch.errors import DeviceKeyError
from facelatch.l2fe.kdf import kdf
from facelatch.vault import key_firmware
from facelatch.vault.key_firmware import FirmwareKey
from facelatch.vault.key_providers import open_key_ring

OTP_KEY = bytes(range(7, 39))

STAND_IN = f"""#!{sys.executable} -IS
import hashlib, hmac, sys
otp = bytes.fromhex("{{otp}}")
options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
assert sys.argv[1] == "hmac" and options.keys() == {{{{"--in", "--key-id", "--outform"}}}}, sys.argv
assert (options["--key-id"], options["--outform"]) == ("1", "hex")
with open(options["--in"], "rb") as file:
    message = file.read(2049)
assert len(message) <= 2048
{{instead}}
print(hmac.new(otp, message, hashlib.sha256).hexdigest(), end="")
"""


class Firmware:
    """Writes the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.tool = folder / "rpi-fw-crypto"
        self.behave()

    def behave(self, instead: str = "", otp: bytes = OTP_KEY) -> None:
        """Let it do something before, or instead of, answering; or have another key."""
        self.tool.write_text(STAND_IN.format(otp=otp.hex(), instead=instead))
        self.tool.chmod(0o755)

    def refuse(self, complaint: str) -> None:
        self.behave(f"sys.stderr.write({complaint!r}); sys.exit(255)")


@pytest.fixture
def firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Firmware:
    """A device with a key in its OTP, where only the stand-in is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Firmware(folder)


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder / "device.salt"


@pytest.mark.usefixtures("firmware")
def test_the_key_is_the_hmac_of_label_and_salt(salt: Path) -> None:
    key = open_key_ring("rpi-fw-crypto", salt, may_create=True).current
    assert (key.provider, key.weak) == ("rpi-fw-crypto", False)
    assert len(salt.read_bytes()) == 32
    assert salt.stat().st_mode & 0o777 == 0o600
    expected = hmac.digest(OTP_KEY, b"facelatch/device-key/1" + salt.read_bytes(), hashlib.sha256)
    assert key.derive("record") == kdf(expected, "record")
    assert open_key_ring("rpi-fw-crypto", salt, may_create=False).current.key_id == key.key_id


@pytest.mark.usefixtures("firmware")
def test_it_is_renewed_by_a_new_salt(salt: Path) -> None:
    ring = open_key_ring("rpi-fw-crypto", salt, may_create=True)
    old, new = ring.current, ring.begin_rotation()
    assert (new.provider, new.key_id != old.key_id) == ("rpi-fw-crypto", True)
    ring = open_key_ring("rpi-fw-crypto", salt, may_create=False)
    assert ring.newest.key_id == new.key_id
    ring.finish_rotation()
    assert open_key_ring("rpi-fw-crypto", salt, may_create=False).current.key_id == new.key_id


def test_the_same_card_in_another_device_has_another_key(firmware: Firmware, salt: Path) -> None:
    key = FirmwareKey.create(salt)
    firmware.behave(otp=bytes(range(1, 33)))
    assert FirmwareKey.load(salt).key_id != key.key_id


@pytest.mark.parametrize(
    ("complaint", "message"),
    [
        (
            "Last crypto error: 6 (Key not set (all zeros))\n",
            "no key is programmed .*: program one .* cannot be undone",
        ),
        ("Last crypto error: 3 (Key not found)\n", "no key is programmed"),
        ("Last crypto error: 4 (Key is locked)\n", "locked against HMAC .*: restart the device"),
        ("Last crypto error: 8 (Operation not supported)\n", "cannot compute HMACs: update the firmware"),
        ("Failed to open /dev/vcio: Permission denied\n", "not allowed to ask the firmware: give .* the group"),
        ("Failed to open /dev/vcio: Operation not permitted\n", "not allowed to ask the firmware"),
        ("Failed to open /dev/vcio: No such file or directory\n", "/dev/vcio is missing: choose another provider"),
        ("ioctl failed\nLast crypto error: 9 (x)\n", r"refuses \(ioctl failed Last crypto error: 9 \(x\)\): update"),
        ("", r"refuses \(no reason given\): update"),
    ],
)
def test_a_refusal_says_what_to_do(firmware: Firmware, salt: Path, complaint: str, message: str) -> None:
    firmware.refuse(complaint)
    with pytest.raises(DeviceKeyError, match=message) as caught:
        open_key_ring("rpi-fw-crypto", salt, may_create=True)
    assert "\n" not in str(caught.value)
    assert list(salt.parent.iterdir()) == [], "nothing is written for a key that cannot be had"


def test_an_otp_of_zeros_is_no_key_even_if_the_firmware_takes_it(firmware: Firmware, salt: Path) -> None:
    firmware.behave(otp=bytes(32))
    with pytest.raises(DeviceKeyError, match="no key is programmed into this device's OTP"):
        FirmwareKey.create(salt)


@pytest.mark.parametrize(
    "instead",
    ["sys.exit(0)", "print('00' * 31); sys.exit(0)", "sys.stdout.buffer.write(bytes(32)); sys.exit(0)", "print('x')"],
    ids=["nothing", "short", "not hexadecimal", "more"],
)
def test_an_answer_that_is_no_hmac(firmware: Firmware, salt: Path, instead: str) -> None:
    firmware.behave(instead)
    with pytest.raises(DeviceKeyError, match="gives no HMAC in hexadecimal digits: update"):
        FirmwareKey.create(salt)


def test_a_firmware_that_does_not_answer(firmware: Firmware, salt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_firmware, "ANSWER_LIMIT_S", 0.2)
    firmware.behave("import time; time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(DeviceKeyError, match=r"has not answered rpi-fw-crypto for 0\.2 s: restart"):
        FirmwareKey.create(salt)
    assert time.monotonic() - start < 10


def test_without_the_tool(firmware: Firmware, salt: Path) -> None:
    firmware.tool.write_text("#!/nonexistent\n")
    with pytest.raises(DeviceKeyError, match=r"cannot run .*rpi-fw-crypto"):
        FirmwareKey.create(salt)
    firmware.tool.unlink()
    with pytest.raises(DeviceKeyError, match="rpi-fw-crypto is not installed: "):
        FirmwareKey.create(salt)


@pytest.mark.usefixtures("firmware")
def test_a_salt_is_guarded_like_a_key(salt: Path) -> None:
    FirmwareKey.create(salt)
    salt.chmod(0o644)
    with pytest.raises(DeviceKeyError, match="open to others"):
        FirmwareKey.load(salt)
    salt.chmod(0o600)
    salt.write_bytes(bytes(32))
    with pytest.raises(DeviceKeyError, match="is damaged"):
        FirmwareKey.load(salt)
    salt.unlink()
    with pytest.raises(DeviceKeyError, match="does not exist"):
        FirmwareKey.load(salt)
