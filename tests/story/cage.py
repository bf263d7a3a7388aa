# SPDX-License-Identifier: Apache-2.0
"""The chapter that tries, from inside the agent's sandbox, what the sandbox is there to prevent."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

from tests.story import forbidden
from tests.story.forbidden import ANYONE, ATTEMPTS, DEVICES, NOT_PREVENTED, OPEN, OPEN_PLACES, ROOT, SETUID_ID
from tests.story.scene import SERVICE, Story, require

_SAID = "/run/forbidden.json"
_PROGRAM = "/story/forbidden.py"
# All but what is run is the package's unit.
_INSTEAD = f"""\
[Service]
Type=oneshot
ExecStart=
ExecStart=/usr/bin/python3 -I {_PROGRAM}
ExecStopPost=
Restart=no
WatchdogSec=0
StandardOutput=truncate:{_SAID}
"""
# The kernel was built without it.
_NOT_HERE = "ENOSYS"
_LOOP, _INPUT, _KMSG = ("b", "7", "0"), ("c", "13", "64"), ("c", "1", "11")


def forbids_what_the_agent_does_not_need(story: Story) -> str:
    """From inside the sandbox all that it is there to prevent is tried, and fails; outside of it each succeeds."""
    machine = story.machine
    shutil.copyfile(forbidden.__file__, story.ours / Path(_PROGRAM).name)
    _open_everything(story)
    outside = {
        ANYONE: json.loads(machine.must("/usr/bin/python3", "-I", _PROGRAM, user="facelatch")),
        ROOT: json.loads(machine.must("/usr/bin/python3", "-I", _PROGRAM)),
    }
    machine.must("systemctl", "stop", SERVICE)
    story.drop_in("forbidden", _INSTEAD)
    machine.must("systemctl", "start", SERVICE)
    inside = json.loads(machine.must("cat", _SAID))
    story.without_drop_ins()
    machine.must("systemctl", "start", SERVICE)
    story.verify()
    # Such a limit holds only where systemd has that controller, which on some hosts the older hierarchy keeps.
    limited = "pids" in machine.must("cat", "/sys/fs/cgroup/cgroup.controllers").split()
    tried = {name: one for name, one in ATTEMPTS.items() if limited or one.by != ("TasksMax",)}
    for name, one in tried.items():
        require(outside[one.able][name] in ("done", _NOT_HERE), f"the control fails: {name}: {outside[one.able][name]}")
        require(inside[name] != "done", f"the sandbox lets it {name}")
        # Killed for taking too long, or ended by a fault of its own, it would have shown nothing.
        require(inside[name] in errno.errorcode.values(), f"nothing refused it {name}: {inside[name]}")
    for name in NOT_PREVENTED:
        require(inside[name] == "done", f"{name} is prevented after all ({inside[name]}): say so")
    weaker = [name for name, one in tried.items() if outside[one.able][name] == _NOT_HERE]
    weaker += [name for name in ATTEMPTS if name not in tried]
    able = {who: sum(one.able == who for name, one in tried.items() if name not in weaker) for who in outside}
    return (
        f"{len(tried)} attempts fail; outside {able[ANYONE]} succeed as the same user, {able[ROOT]} as root; "
        f"not to be judged on this kernel: {', '.join(weaker) or 'none'}"
    )


def _open_everything(story: Story) -> None:
    """Take away what stands in the way beside the sandbox: file modes above all."""
    machine = story.machine
    for place in (*OPEN_PLACES, "/tmp"):  # noqa: S108 - that others see nothing of it is what is tried
        machine.must("install", "--directory", "--mode=0777", f"{place}/{OPEN}")
    machine.must("install", "--mode=4755", "/usr/bin/id", SETUID_ID)
    for (kind, major, minor), name in (_LOOP, "block"), (_INPUT, "input"), (_KMSG, "log"):
        machine.must("mknod", "--mode=0666", DEVICES[name], kind, major, minor)
    machine.must("mknod", "--mode=0600", DEVICES["memory"], "c", "1", "1")
