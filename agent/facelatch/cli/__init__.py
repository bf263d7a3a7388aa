# SPDX-License-Identifier: Apache-2.0
"""The command line: a thin client of the agent's sockets, and the command that runs the agent.

Exit status (design section 7): 0 yes; 1 no (no match, not enrolled); 2 error, locked out, or not allowed.
"""

from __future__ import annotations

import pkgutil

import click

from facelatch import __version__

# Where the command of each name is, below this package.
_COMMANDS = {
    "aim": "aim:aim",
    "arm": "door:arm",
    "config": "agent:config",
    "demo": "agent:demo",
    "doctor": "doctor:doctor",
    "enroll": "people:enroll",
    "list": "people:list_users",
    "monitor": "agent:monitor",
    "pam": "pam:pam",
    "release": "door:release",
    "remove": "people:remove",
    "run": "agent:run",
    "seal": "sealing:seal",
    "set-up": "door:set_up",
    "status": "agent:status",
    "unlock-lockout": "people:unlock_lockout",
    "unseal": "sealing:unseal",
    "verify": "people:verify",
}


class _Commands(click.Group):
    """Imports a command when it is asked for: a run wants one of them, and may not wait for the others' modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base class has it
        """Name them all."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        """Import the command of that name; None if there is none."""
        place = _COMMANDS.get(cmd_name)
        found: click.Command | None = None if place is None else pkgutil.resolve_name(f"{__name__}.{place}")
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facelatch")
def main() -> None:
    """Face unlock that stores helper data, never a face.

    Exit status: 0 yes; 1 no (no match, not enrolled); 2 error, locked out, or not allowed.
    """
