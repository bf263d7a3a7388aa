# SPDX-License-Identifier: Apache-2.0
"""The plug is pulled in the middle of something, and what must hold when the machine is back."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tools.vmtest.scene import SERVICE, STATE, Story, require

_TOLD = "/run/vmtest-told"
_UNIT = "vmtest-deed"


@dataclass(frozen=True)
class Deed:
    """Something that may be cut short.

    Attributes:
        name: in words.
        film: what the camera sees.
        command: what is asked of the agent.
        seconds: how long it takes from the first thing told, about; the plug is pulled within that.
    """

    name: str
    film: str
    command: tuple[str, ...]
    seconds: float


ENROLMENT = Deed("an enrolment", "stranger", ("enroll", "bob", "--json"), 30.0)
UNLOCK = Deed("an unlock", "stranger", ("verify", "--user", "anna", "--json"), 30.0)
REFRESH = Deed("a refresh", "anna", ("enroll", "anna", "--add", "--json"), 30.0)
DEEDS = (ENROLMENT, UNLOCK, REFRESH)


def cut_short(story: Story, deed: Deed) -> str:
    """Pull the plug in the middle of a deed, switch on again, and see that nothing is lost; return what was met."""
    machine = story.machine
    _make_ready(story)
    if deed is UNLOCK:
        story.show("stranger")
        story.is_refused()
    story.show(deed.film)
    unit = (f"--unit={_UNIT}", "--collect", "--quiet", f"--property=StandardOutput=truncate:{_TOLD}")
    machine.must("rm", "-f", _TOLD)
    machine.must("systemd-run", *unit, "facelatch", *deed.command)
    machine.wait("the deed's beginning", "test", "-s", _TOLD)
    after = story.chance.uniform(0.0, deed.seconds)
    time.sleep(after)
    told = machine.must("cat", _TOLD)
    over = machine.run("systemctl", "is-active", "--quiet", _UNIT).returncode != 0
    machine.pull_the_plug()
    machine.boot()
    _require_whole(story, deed, done="completed" in told)
    return f"after {after:.1f} s, {len(told.splitlines())} lines told{', and it was over' if over else ''}"


def _make_ready(story: Story) -> None:
    story.owner_gets_in()  # which also begins the count of failures anew
    if "bob" in story.users:
        story.facelatch("remove", "bob")
        story.users.discard("bob")


def _require_whole(story: Story, deed: Deed, *, done: bool) -> None:
    """See that the volume opened by itself, the agent starts, and everything is as before the deed or after it."""
    machine = story.machine
    machine.must("findmnt", STATE)
    if deed is UNLOCK:
        # The one that was told surely, the one that was cut short perhaps.
        require(story.failures() in (1, 2), f"{story.failures()} failures are counted")
    users = story.enrolled()
    if deed is ENROLMENT and "bob" in users:
        story.users.add("bob")
    require(not (deed is ENROLMENT and done) or "bob" in users, "bob was told that he is enrolled, and is not")
    require(users == story.users, f"enrolled are {sorted(users)}, not {sorted(story.users)}")
    story.owner_gets_in()
    faults = machine.run("journalctl", "--no-pager", "--output=cat", "--priority=err", "--boot", f"--unit={SERVICE}")
    require(faults.stdout.strip() in ("", "-- No entries --"), f"the agent complains: {faults.stdout.strip()[-300:]}")
