# SPDX-License-Identifier: Apache-2.0
"""A machine whose hardware is all emulated: it boots, its plug is pulled, it boots again."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tools.booted import Booted, Done, as_user
from tools.debian import StoryError, require_able
from tools.vmtest.image import Image, make_overlay
from tools.vmtest.wire import GuestAgent, screenshot

_QEMU = "qemu-system-x86_64"
_MEMORY_MB = 1536
_CORES = 2
# No acceleration: a machine with /dev/kvm need not be able to use it, and all are to see the same. As on a Pi 4, the
# processor has no AES instructions, so that the volume gets the other cipher.
_COMMAND = (
    *(_QEMU, "-accel", "tcg,thread=multi", "-cpu", "max,-aes", "-smp", str(_CORES), "-m", str(_MEMORY_MB)),
    *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "std"),
    *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
)
# The emulated processor's flaws are not ours, and mending them costs time.
_KERNEL = "root=/dev/vda rw console=ttyS0 console=tty0 mitigations=off systemd.show_status=yes loglevel=4"
_BOOTED = ("running", "degraded")
_LAST_WORDS_S = 60.0


def require_emulator() -> None:
    """See that a machine can be emulated here.

    Raises:
        StoryError: something is missing.
    """
    require_able(
        (_QEMU, "qemu-img", "swtpm", "mke2fs", "debootstrap"),
        ("qemu-system-x86", "qemu-utils", "swtpm", "e2fsprogs", "debootstrap"),
    )


class Guest(Booted):
    """The machine.

    Args:
        image: what it boots.
        folder: for its own disk, its sockets, and ``console.log``, what its console says at every boot.
        disks: further ones, which outlive it; a raw one cannot be written to. They are /dev/vdb and so on.
        tpm: folder of a TPM2's state, which is made if it is not there; without one the machine has none.
    """

    guard_s = 600.0

    def __init__(self, image: Image, folder: Path, disks: Sequence[Path] = (), tpm: Path | None = None) -> None:
        self._image = image
        self._folder = folder
        self._disks = disks
        self._tpm = tpm
        self._running: list[subprocess.Popen[bytes]] = []
        self._agent = GuestAgent(folder / "guest", self.guard_s)
        self._disk = folder / "disk.qcow2"
        if not self._disk.exists():
            make_overlay(image.disk, self._disk)

    @property
    def login_line(self) -> Path:
        """Socket of its second serial line (/dev/ttyS1), at which a person may log in."""
        return self._folder / "login"

    def boot(self, *, settled: bool = True) -> float:
        """Switch it on, wait until it has booted, and return how many seconds that took.

        Args:
            settled: wait for everything that is started at boot, too.

        Raises:
            StoryError: it does not boot.
        """
        begun = time.monotonic()
        for name in ("guest", "qmp", "login", "swtpm"):
            (self._folder / name).unlink(missing_ok=True)
        with (self._folder / "console.log").open("ab") as log:
            if self._tpm is not None:
                self._start_tpm(self._tpm, log.fileno())
            self._running.append(
                subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - our own arguments
            )
        self.until("the boot", self._is_there, "see the console")
        if not settled:
            return time.monotonic() - begun
        done = self.run("systemctl", "is-system-running", "--wait").stdout.strip()
        if done not in _BOOTED:
            raise StoryError(f"the machine is {done!r} after its boot", "see the console")
        return time.monotonic() - begun

    def run(self, *command: str, given: str = "", user: str = "") -> Done:
        """Run a command in it to its end; see ``Booted``."""
        return self._agent.run(("/usr/bin/env", "--", *as_user(command, user)), given)

    def pull_the_plug(self) -> None:
        """End it between two instructions: what it had not made its disks keep is gone."""
        self._agent.close()
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()

    def switch_off(self) -> None:
        """Shut it down as a person would."""
        with suppress(StoryError):  # it ends while it answers
            self.run("systemctl", "poweroff")
        try:
            self._running[-1].wait(self.guard_s)
        except subprocess.TimeoutExpired:
            raise StoryError("the machine does not shut down", "see the console") from None
        self.pull_the_plug()

    def picture(self, path: Path) -> None:
        """Take a picture of its screen (PNG), if it still has one."""
        with suppress(StoryError, OSError):
            screenshot(self._folder / "qmp", path)

    def journal(self, path: Path) -> None:
        """Write down what its journal says of this boot, if it still answers."""
        self._agent.close()
        last = GuestAgent(self._folder / "guest", _LAST_WORDS_S)
        with suppress(StoryError, OSError):
            command = ("/usr/bin/journalctl", "--boot", "--no-pager", "--output=short-monotonic", "--lines=2000")
            path.write_text(last.run(command, "").stdout)
        last.close()

    def _is_there(self) -> bool:
        if self._running[-1].poll() is not None:
            raise StoryError("the emulator has ended", f"see {self._folder / 'console.log'}")
        with suppress(OSError):
            return self._agent.is_there()
        return False

    def _start_tpm(self, state: Path, log: int) -> None:
        state.mkdir(exist_ok=True)
        socket = self._folder / "swtpm"
        command = [str(shutil.which("swtpm")), "socket", "--tpm2", f"--tpmstate=dir={state}", "--flags=startup-clear"]
        command += [f"--ctrl=type=unixio,path={socket}"]
        self._running.append(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - our own arguments
        )
        self.until("the TPM", socket.exists, "see the console")

    def _command(self) -> list[str]:
        command = [*_COMMAND, "-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)]
        command += ["-append", _KERNEL, "-drive", f"file={self._disk},if=virtio,format=qcow2"]
        for disk in self._disks:
            kind = "format=qcow2" if disk.suffix == ".qcow2" else "format=raw,readonly=on"
            command += ["-drive", f"file={disk},if=virtio,{kind}"]
        command += ["-chardev", f"socket,id=guest,path={self._folder / 'guest'},server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=guest,name=org.qemu.guest_agent.0"]
        command += [
            "-chardev",
            f"file,id=console,path={self._folder / 'console.log'},append=on",
            "-serial",
            "chardev:console",
        ]
        command += ["-serial", f"unix:{self.login_line},server=on,wait=off"]
        command += ["-qmp", f"unix:{self._folder / 'qmp'},server=on,wait=off"]
        if self._tpm is not None:
            command += ["-chardev", f"socket,id=tpm,path={self._folder / 'swtpm'}"]
            command += ["-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm"]
        return command
