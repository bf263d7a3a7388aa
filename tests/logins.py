# SPDX-License-Identifier: Apache-2.0
"""The distribution's own PAM, in a mount namespace where /etc is a copy: profiles, pam_unix and passwords are real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.agent import GUARD_SECONDS, Agent

PROFILES = Path(__file__).parents[1] / "firmware_config" / "pam"
NEEDED = ("pamtester", "pam-auth-update", "unshare", "nsenter")
SERVICE = "facelatch-test"
ALONE = "facelatch-alone"
"""A service that has our lines of its own, and a common-auth without them."""

PASSWORD = "secret"  # noqa: S105 - of an account that exists in the copy alone
# openssl passwd -6 -salt facelatch secret
_HASH = "$6$facelatch$LTRsVjbtsyFptdddjsXhwSe7o3hR5W8af/Wa2ua9IivJUfR4aHQFWrH8XeVlD76wJBlHsvVgnLwpMGXwYpu2x1"
_SETTING_UP = """
set -e
cp -a /etc "$1/etc"; cp -a /var/lib/pam "$1/lib"; cp -a /usr/share/pam-configs "$1/profiles"
cp "$1"/own/* "$1/profiles/"
mount --bind "$1/etc" /etc
mount --bind "$1/lib" /var/lib/pam
mount --bind "$1/profiles" /usr/share/pam-configs
echo 'anna:x:4711:4711::/nonexistent:/bin/false' >> /etc/passwd
echo "anna:$2:20000:0:99999:7:::" >> /etc/shadow
printf '@include common-auth\\n@include common-account\\n' > "/etc/pam.d/$3"
cp /etc/pam.d/common-auth /etc/pam.d/without-us
sed 's/^# @include common-auth/@include without-us/' "$1/facelatch.pam.d" > "/etc/pam.d/$4"
DEBIAN_FRONTEND=noninteractive DEBCONF_DB_OVERRIDE="File{$1/debconf}" pam-auth-update --enable facelatch facelatch-reset
echo ready
exec cat
"""


def missing() -> str | None:
    """Say what a login cannot be tested without, here; None where it can."""
    if os.geteuid() != 0:
        return "only root may mount a copy of /etc"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    can = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0  # noqa: S607
    return None if can else "no mount namespaces here"


class Logins:
    """A machine's logins.

    Args:
        agent: the agent that its helper asks.
        holder: a process in the namespace.
    """

    def __init__(self, agent: Agent, holder: subprocess.Popen[str]) -> None:
        self._agent = agent
        self._holder = holder

    def authenticates(self, password: str | None = None, service: str = SERVICE, **items: str) -> bool:
        """Authenticate anna to a service, with a password to give if one is asked for, and PAM items."""
        settings = [word for name, value in items.items() for word in ("-I", f"{name}={value}")]
        command = ["nsenter", "--mount", "--target", str(self._holder.pid), "pamtester", *settings]
        ran = subprocess.run(  # noqa: S603 - programs of the distribution
            [*command, service, "anna", "authenticate"],
            input=f"{password}\n" if password else "",
            capture_output=True,
            text=True,
            timeout=GUARD_SECONDS,
            check=False,
        )
        assert ("successfully" in ran.stdout) == (ran.returncode == 0), ran.stderr
        return ran.returncode == 0

    @property
    def stack(self) -> list[str]:
        """The modules of common-auth in their order."""
        text = Path(f"/proc/{self._holder.pid}/root/etc/pam.d/common-auth").read_text()
        return [line for line in text.splitlines() if line and not line.startswith("#")]


@contextmanager
def logins(agent: Agent) -> Iterator[Logins]:
    """Have logins on a machine where both profiles are switched on, and anna has an account with a password."""
    root = agent.root / "pam"
    (root / "own").mkdir(parents=True)
    program = root / "facelatch"
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={os.environ.get('PYTHONPATH', '')}\n"
        f'exec {sys.executable} -m facelatch "$@" --config {agent.config}\n'
    )
    program.chmod(0o755)
    for target in (root / "own" / "facelatch", root / "own" / "facelatch-reset", root / "facelatch.pam.d"):
        text = (PROFILES / target.name).read_text()
        assert "/usr/bin/facelatch" in text
        target.write_text(text.replace("/usr/bin/facelatch", str(program)))
    unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SETTING_UP, "sh", str(root)]
    with subprocess.Popen(  # noqa: S603 - programs of the distribution
        [*unshare, _HASH, SERVICE, ALONE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert any(line == "ready\n" for line in holder.stdout), "the copy could not be set up"
            yield Logins(agent, holder)
        finally:
            holder.kill()
