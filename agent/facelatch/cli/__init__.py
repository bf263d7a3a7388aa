# SPDX-License-Identifier: Apache-2.0
"""The command line: a thin client of the agent's sockets, and the command that runs the agent.

Exit status (design section 7): 0 yes; 1 no (no match, not enrolled); 2 error, locked out, or not allowed.
"""

from __future__ import annotations

import click

from facelatch import __version__
from facelatch.cli import agent, people, sealing
from facelatch.cli.aim import aim
from facelatch.cli.doctor import doctor
from facelatch.cli.door import arm, release, set_up
from facelatch.cli.pam import pam


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facelatch")
def main() -> None:
    """Face unlock that stores helper data, never a face.

    Exit status: 0 yes; 1 no (no match, not enrolled); 2 error, locked out, or not allowed.
    """


for command in (
    agent.run,
    agent.demo,
    people.enroll,
    people.verify,
    people.list_users,
    people.remove,
    agent.status,
    agent.monitor,
    doctor,
    aim,
    arm,
    set_up,
    release,
    pam,
    sealing.seal,
    sealing.unseal,
    people.unlock_lockout,
    agent.config,
):
    main.add_command(command)
