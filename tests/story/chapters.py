# SPDX-License-Identifier: Apache-2.0
"""The chapters, in their order: what holds at each point, and what is measured on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.story.cage import forbids_what_the_agent_does_not_need
from tests.story.life import LIFE, logs_in_without_the_package
from tests.story.scene import AGENT, SERVICE, SOCKETS, STATE, STATUS, Story, declarations, require

INTERFACES = Path(__file__).parents[2] / "agent" / "facelatch" / "ipc" / "io.facelatch.varlink"
_PAM = ("find", "/etc/pam.d", "-type", "f", "-exec", "sha256sum", "{}", "+")
Chapter = Callable[[Story], str | None]


def installs(story: Story) -> None:
    """The package installs, starts nothing and leaves PAM alone."""
    machine = story.machine
    pam = sorted(machine.must(*_PAM).splitlines())
    machine.must("dpkg", "--install", str(story.packages[0]))
    require(sorted(machine.must(*_PAM).splitlines()) == pam, "the package has changed /etc/pam.d")
    for unit in (SERVICE, *SOCKETS):
        require(machine.run("systemctl", "is-enabled", unit).stdout.strip() == "disabled", f"{unit} is enabled")
        require(machine.run("systemctl", "is-active", unit).stdout.strip() == "inactive", f"{unit} is active")
    require(machine.run("facelatch", "config", "check").returncode == 0, "the shipped configuration is not in order")


def asks_for_its_volume(story: Story) -> None:
    """Without the encrypted volume nothing starts, and nothing is written, unless an administrator says so."""
    machine = story.machine
    for unit in (SERVICE, *SOCKETS):
        require(machine.run("systemctl", "start", unit).returncode != 0, f"{unit} starts without the volume")
    require(machine.must("find", STATE, "-mindepth", "1") == "", "something was written")
    story.configure()
    story.show("anna")
    # Each of the three asserts by itself: freed one after the other, it starts with the last.
    freed = machine.must("cat", "/usr/share/facelatch/examples/unencrypted.conf")
    for count, unit in enumerate((*SOCKETS, SERVICE)):
        require(machine.run("systemctl", "start", SERVICE).returncode != 0, f"{count} of three assertions are enough")
        story.drop_in("unencrypted", freed, unit)
    machine.must("systemctl", "start", SERVICE)
    machine.must("systemctl", "stop", SERVICE, *SOCKETS)
    for unit in (*SOCKETS, SERVICE):
        story.without_drop_ins(unit)
    machine.must("find", STATE, "-mindepth", "1", "-delete")
    machine.must("systemctl", "reset-failed")


def starts_by_its_first_caller(story: Story) -> str:
    """With the volume there, the first caller starts it."""
    machine = story.machine
    # What is mounted makes no difference to the unit; this kernel may have no dm-crypt.
    machine.must("mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", STATE)
    machine.must("systemctl", "enable", "--now", *SOCKETS)
    require(machine.run("systemctl", "is-active", SERVICE).stdout.strip() == "inactive", "it runs already")
    machine.must("facelatch", "status")
    require(machine.run("systemctl", "is-active", SERVICE).stdout.strip() == "active", "nobody started it")
    story.restart()  # once more with everything in the page cache, as after a crash
    moments = [int(machine.property(SERVICE, name)) for name in (_STARTED, _READY)]
    return f"start to ready {(moments[1] - moments[0]) / 1e6:.2f} s"


_STARTED, _READY = "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic"


def is_in_its_sandbox(story: Story) -> str:
    """The sandbox holds, by systemd's judgement and the kernel's."""
    machine = story.machine
    judged = machine.must("systemd-analyze", "security", "--no-pager", "--threshold=10", SERVICE)
    status = machine.must("cat", f"/proc/{story.pid}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    require(fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1", "no system call filter is in force")
    require(int(fields["CapEff"], 16) == 0 and int(fields["CapBnd"], 16) == 0, "it has capabilities")
    require(fields["Uid"].split()[0] == machine.must("id", "--user", "facelatch"), "it runs as somebody else")
    locked, used = (int(fields[name].split()[0]) for name in ("VmLck", "VmRSS"))
    # A container gets no more of that than its host lets it have.
    unlimited = re.search(
        r"^Max locked memory\s+unlimited", machine.must("cat", f"/proc/{story.pid}/limits"), re.MULTILINE
    )
    require(locked >= used or not unlimited, f"of {used} kB of memory {locked} are locked")
    require(locked >= used or "may reach swap" in story.journal(), "that its memory is not locked goes untold")
    require(machine.property(SERVICE, "MemoryDenyWriteExecute") == "yes", "memory may be written and run")
    exposure = judged.splitlines()[-1].strip(" →").removesuffix("😀").strip()
    return f"{exposure}; memory {'locked' if unlimited else 'not locked, which this host forbids'}"


def speaks_varlink(story: Story) -> str | None:
    """Systemd's own client reads the interfaces, enrols anna and recognises her; a stranger is refused."""
    if not story.has_varlinkctl:
        story.machine.must("facelatch", "enroll", "anna", "--administrator")
        story.verify()
        story.show("stranger")
        story.verify("no match")
        story.show("anna")
        return "by the command line: this systemd has no varlinkctl"
    for address, text in zip((STATUS, AGENT), INTERFACES.read_text().split("\n---\n"), strict=True):
        name = f"io.facelatch.{'Status' if address == STATUS else 'Agent'}"
        shown = story.machine.must("varlinkctl", "introspect", address, name)
        require(declarations(shown) == declarations(text), f"{name} is not what the project's file says")
    enrolled = story.call(AGENT, "io.facelatch.Agent.Enroll", {"user": "anna", "administrator": True})
    require(
        len(enrolled) > 2 and enrolled[-1].get("result") == "enroll_completed", f"enrolment ends with {enrolled[-1:]}"
    )
    matched = story.call(AGENT, "io.facelatch.Agent.Verify")
    require(matched[-1].get("result") == "verify_match" and matched[-1]["user"] == "anna", f"{matched[-1:]}")
    story.show("stranger")
    refused = story.call(AGENT, "io.facelatch.Agent.Verify")
    require(refused[-1].get("result") == "verify_no_match", f"a stranger gets {refused[-1:]}")
    story.show("nobody")
    nobody = story.call(AGENT, "io.facelatch.Agent.Verify", {"timeout_ms": 500})
    require("io.facelatch.Agent.Timeout" in nobody[-1].get("error", ""), f"an empty room gets {nobody[-1:]}")
    story.show("anna")
    status = story.call(STATUS, "io.facelatch.Status.GetStatus")
    return f"{len(enrolled) - 1} steps of enrolment; camera {status[-1]['camera']}"


def knows_who_asks(story: Story) -> None:
    """Who asks is known from the kernel: a stranger to the policy is refused, a member of the group is not."""
    machine = story.machine
    machine.must("useradd", "--create-home", "guest")
    uid = machine.must("id", "--user", "guest")
    require(machine.run("facelatch", "verify", user="guest").returncode == 2, "anyone may have anyone verified")
    require(f"refused user=- peer_uid={uid}" in story.journal(), "the journal does not say who was refused")
    explained = machine.must("journalctl", "--no-pager", "--catalog", "FACELATCH_EVENT=refused")
    require(f"User id {uid} may not have this" in explained, "the journal's catalogue does not explain it")
    machine.must("usermod", "--append", "--groups", "facelatch", "guest")
    require(machine.run("facelatch", "verify", user="guest").returncode == 0, "a member of the group is refused")
    require(
        machine.run("facelatch", "list", user="guest").returncode == 2, "a member of the group sees who is enrolled"
    )


def survives_being_killed_while_it_enrols(story: Story) -> None:
    """Killed in the middle of an enrolment it starts anew, without a trace of it; the owner gets in."""
    machine = story.machine
    story.configure(seconds=590.0)
    story.restart()
    with machine.during("facelatch", "enroll", "bob", "--json") as enrolling:
        assert enrolling.stdout is not None
        require("remaining" in enrolling.stdout.readline(), "the enrolment does not begin")
        story.killed()
        require(enrolling.wait() == 2, "the caller is not told")
    require(story.users == ["anna"], f"enrolled are {story.users}")
    require(machine.must("find", STATE, "-name", "*.tmp") == "", "a half-written file is left")
    story.configure()
    story.restart()
    story.verify()


def is_restarted_by_its_watchdog(story: Story) -> None:
    """Stopped dead, it is ended by the watchdog, leaves no core dump, and starts anew."""
    machine = story.machine
    story.drop_in("watchdog", "[Service]\nWatchdogSec=2\n")
    story.restart()
    before = story.pid
    story.signal("STOP")
    story.machine.until("the watchdog", lambda: story.pid not in ("0", before))
    machine.wait("the agent", "facelatch", "status")
    require("Watchdog timeout" in story.journal(), "it was not the watchdog")
    require(machine.must("find", "/", "-xdev", "-name", "core*", "-size", "+1M") == "", "there is a core dump")
    story.verify()
    story.without_drop_ins()


def keeps_its_sockets(story: Story) -> None:
    """Stopped, it leaves its sockets to systemd, and the next caller starts it."""
    machine = story.machine
    machine.must("systemctl", "stop", SERVICE)
    machine.must("test", "-S", AGENT, "-a", "-S", STATUS)
    story.verify()


def takes_its_key_as_a_credential(story: Story) -> None:
    """The device key comes as an encrypted credential, which systemd alone can open."""
    machine = story.machine
    key, sealed = f"{STATE}/device.key", "/etc/facelatch/device.key"
    machine.must("systemd-creds", "encrypt", "--with-key=host", "--name=device.key", key, sealed)
    machine.must("chmod", "a+r", sealed)
    machine.must("mv", key, f"{key}.away")
    story.drop_in("device-key", machine.must("cat", "/usr/share/facelatch/examples/device-key.conf"))
    story.configure(more=f'[device_key]\nprovider = "systemd-credential"\npath = "{sealed}"\n')
    story.restart()
    story.verify()
    machine.must("mv", f"{key}.away", key)
    machine.must("rm", sealed)
    story.without_drop_ins()
    story.configure()
    story.restart()


def is_upgraded(story: Story) -> None:
    """An upgrade starts the new one, and keeps configuration, records and PAM as they are."""
    machine = story.machine
    before = story.pid
    kept = machine.must("sha256sum", "/etc/facelatch/facelatch.toml")
    machine.must("dpkg", "--install", "--force-confold", str(story.packages[1]))
    require(story.pid not in ("0", before), "the old one still runs")
    require(machine.must("sha256sum", "/etc/facelatch/facelatch.toml") == kept, "the configuration was changed")
    story.verify()


def goes_without_a_trace(story: Story) -> None:
    """Removed, it keeps what people made; purged, nothing is left but its user."""
    machine = story.machine
    pam = sorted(machine.must(*_PAM).splitlines())
    machine.must("dpkg", "--remove", "facelatch")
    require(story.machine.run("systemctl", "is-active", SERVICE).stdout.strip() != "active", "it still runs")
    require(machine.must("find", STATE, "-name", "*.rec").count(".rec") == 1, "the record is gone")
    machine.must("test", "-f", "/etc/facelatch/facelatch.toml")
    require(machine.run("test", "-e", "/usr/lib/facelatch").returncode != 0, "files are left")
    machine.must("dpkg", "--purge", "facelatch")
    machine.must("umount", STATE)
    left = machine.must("find", "/etc", "/usr", "/var", "/run", "-xdev", "-iname", "*facelatch*").split()
    # Root's own lines for PAM are root's to take out.
    left = [path for path in left if not path.startswith("/etc/pam.d/")]
    require(set(left) <= {STATE}, f"left behind: {left}")
    require(sorted(machine.must(*_PAM).splitlines()) == pam, "/etc/pam.d was changed")


def diagnoses(story: Story) -> str:
    """Doctor finds it healthy, and says what is weak."""
    reply = json.loads(story.machine.run("facelatch", "doctor", "--json").stdout)
    wrong = [finding for finding in reply["findings"] if finding["state"] in ("missing", "failed")]
    require(reply["healthy"] and not wrong, f"doctor finds {wrong}")
    return "weak: " + ", ".join(finding["name"] for finding in reply["findings"] if finding["state"] == "weak")


CHAPTERS: list[Chapter] = [
    installs,
    asks_for_its_volume,
    starts_by_its_first_caller,
    is_in_its_sandbox,
    speaks_varlink,
    forbids_what_the_agent_does_not_need,
    knows_who_asks,
    diagnoses,
    survives_being_killed_while_it_enrols,
    is_restarted_by_its_watchdog,
    keeps_its_sockets,
    takes_its_key_as_a_credential,
    *LIFE,
    is_upgraded,
    goes_without_a_trace,
    logs_in_without_the_package,
]
