# SPDX-License-Identifier: Apache-2.0
"""The chapters before and after the plug is pulled, in their order."""

from __future__ import annotations

import re

from tools.vmtest import hardware
from tools.vmtest.login import PASSWORD, Console
from tools.vmtest.scene import (
    CONFIG,
    DROP_IN,
    OURS,
    PULSE_S,
    SERVICE,
    SOCKETS,
    STATE,
    VOLUME,
    Chapter,
    Story,
    require,
)

_MAPPING = "/dev/mapper/facelatch"
_MOMENTS = ("ExecMainStart", "ActiveEnter")
# Counts in a disk, in pieces that overlap, what the files named hold.
COUNT = """\
import sys
disk, *files = sys.argv[1:]
wanted = [open(path, "rb").read() for path in files]
found, kept = [0] * len(wanted), b""
with open(disk, "rb", buffering=0) as data:
    while piece := data.read(1 << 20):
        kept = kept[-65536:] + piece
        found = [count + (text in kept) for count, text in zip(found, wanted)]
print(*map(min, found, [1] * len(found)))
"""


def boots(story: Story) -> str:
    """The machine boots, with a TPM and an empty second disk."""
    took = story.machine.boot()
    story.machine.must("test", "-c", "/dev/tpmrm0")
    require(story.machine.run("blkid", "-p", VOLUME).returncode == 2, "the second disk is not empty")
    return f"in {took:.0f} s; kernel {story.machine.must('uname', '--kernel-release')}"


def installs(story: Story) -> None:
    """The hardware is there, and the package installs."""
    machine = story.machine
    hardware.install(machine, OURS)
    machine.must("sh", "-c", f"dpkg --install {hardware.STORY}/packages/*.deb")
    machine.write("/etc/facelatch/facelatch.toml", CONFIG)
    machine.write(f"/etc/systemd/system/{SERVICE}.d/emulated.conf", DROP_IN)
    machine.must("systemctl", "daemon-reload")
    # The package's user did not exist when its button and LEDs appeared.
    machine.must("udevadm", "trigger", "--settle", "--subsystem-match=input", "--subsystem-match=leds")
    require(machine.must("stat", "--format=%U", "-L", "/dev/input/facelatch-button") == "facelatch", "whose button?")


def provisions(story: Story) -> str:
    """The volume is encrypted, with a key that the TPM holds."""
    machine = story.machine
    require(machine.run("facelatch", "status").returncode == 2, "an agent answers without the volume")
    said = machine.must("facelatch-provision", "--volume", VOLUME, "--key", "tpm2")
    recovery = re.findall(r"^[a-z]{8}(?:-[a-z]{8}){7}$", said, re.MULTILINE)
    require(len(recovery) == 1, "it tells no recovery key")
    again = machine.must("facelatch-provision", "--volume", VOLUME, "--key", "tpm2")
    require("luksFormat" not in again, "run again, it formats again")
    [cipher] = re.findall(r"cipher:\s+(\S+)", machine.must("cryptsetup", "status", "facelatch"))
    return str(cipher)


def enrols(story: Story) -> str:
    """The first caller starts the agent, and anna is enrolled before a real V4L2 device."""
    machine = story.machine
    story.show("anna")
    machine.must("systemctl", "enable", "--now", *SOCKETS)
    require(machine.run("systemctl", "is-active", SERVICE).stdout.strip() == "inactive", "it runs already")
    story.facelatch("enroll", "anna", "--administrator")
    story.users.add("anna")
    story.owner_gets_in()
    times = [
        int(machine.property(SERVICE, name))
        for name in ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    ]
    return f"start to ready {(times[1] - times[0]) / 1e6:.0f} s"


def locks_its_memory(story: Story) -> str:
    """What the agent has in memory cannot get into swap."""
    agent, other = (_locked(story, unit) for unit in (SERVICE, "systemd-journald.service"))
    require(other == 0, "what is counted here is locked in any program")
    require(agent > 0, "nothing is locked")
    return f"{agent / 1000:.0f} MB of addresses, each page as it is used"


def refuses(story: Story) -> None:
    """Somebody else is refused, and every attempt counts until anna comes."""
    story.show("stranger")
    for count in (1, 2):
        story.is_refused()
        require(story.failures() == count, f"{story.failures()} attempts are counted, not {count}")
    story.show("anna")
    story.facelatch("verify", "--user", "anna")
    require(story.failures() == 0, "the count goes on after anna came")


def opens(story: Story) -> str:
    """The button opens the latch for anna, for one pulse of the kernel's, and not for somebody else."""
    story.facelatch("arm")
    story.show("stranger")
    pins = hardware.Pins(story.machine)
    pins.press()
    pins.when("button", "off")
    pins.when("light", "on")
    pins.when("light", "off")
    require(not pins.has("latch", "on"), "it opens before anybody was seen")
    story.machine.until("the refusal", lambda: "verify_no_match user=- peer_uid=" in _journal(story))
    story.show("anna")
    pins.press()
    released = pins.when("button", "off")
    opened = pins.when("latch", "on")
    closed = pins.when("latch", "off")
    require("latch_opened user=anna" in _journal(story), "the journal does not say who was let in")
    return f"let go to open {opened - released:.1f} s; pulse of {PULSE_S:.0f} s was {closed - opened:.2f} s"


def logs_in(story: Story) -> None:
    """At the login of a serial console, a face is enough for anna; somebody else is asked for the password."""
    machine = story.machine
    machine.must("useradd", "--create-home", "--shell", "/bin/sh", "anna")
    machine.must("chpasswd", given=f"anna:{PASSWORD}\n")
    machine.must("env", "DEBIAN_FRONTEND=noninteractive", "pam-auth-update", "--enable", "facelatch", "facelatch-reset")
    machine.must("sed", "-i", "s/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 600/", "/etc/login.defs")
    machine.must("systemctl", "start", "serial-getty@ttyS1.service")
    with Console(machine.login_line, machine.guard_s) as console:
        console.read_until("login:")
        console.type("anna")
        require("Password" not in console.read_until("$ "), "anna is asked for her password")
        console.type("id --user --name; exit")
        require("anna" in console.read_until("login:"), "somebody else was logged in")
        story.show("stranger")
        console.type("anna")
        console.read_until("Password:")
        console.type(PASSWORD)
        console.read_until("$ ")
        console.type("exit")
    machine.must("systemctl", "stop", "serial-getty@ttyS1.service")
    story.show("anna")


def keeps_its_disk_secret(story: Story) -> str:
    """On the disk nothing of the records or the device key can be found, though it can be behind the encryption."""
    machine = story.machine
    machine.must("sync")
    files = [f"{STATE}/device.key", *machine.must("find", f"{STATE}/records", "-name", "*.rec").split()]
    wanted = ["1"] * len(files)
    behind = machine.must("python3", "-c", COUNT, _MAPPING, *files).split()
    require(behind == wanted, "the search finds nothing behind the encryption either")
    on_disk = machine.must("python3", "-c", COUNT, VOLUME, *files).split()
    require(on_disk == ["0"] * len(files), "something lies on the disk in the clear")
    return f"{len(files)} files looked for"


def is_no_use_to_a_thief(story: Story) -> str:
    """Copies of both disks, in a machine with another TPM, boot but do not open the volume; no agent starts."""
    thief = story.copied(story.folder / "thief")
    try:
        thief.boot(settled=False)
        said = ("journalctl", "--no-pager", "--output=cat", "--unit=systemd-cryptsetup@facelatch.service")
        thief.until("the TPM's refusal", lambda: "TPM" in thief.run(*said).stdout)
        require(thief.run("test", "-e", _MAPPING).returncode != 0, "the volume is open")
        require(thief.run("findmnt", STATE).returncode != 0, "the volume is mounted")
        require(thief.run("facelatch", "list").returncode == 2, "an agent answers")
        require(thief.must("find", STATE, "-mindepth", "1") == "", "something lies where the volume was")
        return next(line for line in thief.must(*said).splitlines() if "TPM" in line)[:100]
    finally:
        thief.pull_the_plug()


def ends(story: Story) -> None:
    """Switched off and on as a person would, it lets anna in."""
    story.machine.switch_off()
    story.machine.boot()
    story.owner_gets_in()


def _locked(story: Story, unit: str) -> int:
    """Return how many kilobytes of a unit's memory are locked, by the kernel's count."""
    pid = story.machine.property(unit, "MainPID")
    return int(story.machine.must("awk", "/^VmLck:/ { print $2 }", f"/proc/{pid}/status"))


def _journal(story: Story) -> str:
    story.machine.must("journalctl", "--sync")
    return story.machine.must("journalctl", "--no-pager", "--output=cat", f"--unit={SERVICE}")


BEFORE: list[Chapter] = [boots, installs, provisions, enrols]
BEFORE += [locks_its_memory, refuses, opens, logs_in, keeps_its_disk_secret]
AFTER: list[Chapter] = [is_no_use_to_a_thief, ends]
