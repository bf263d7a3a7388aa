# SPDX-License-Identifier: Apache-2.0
"""The command that pam_exec runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from facelatch import config as configuration
from facelatch.cli.options import Exit, config_option
from facelatch.errors import FacelatchError


@click.command()
@click.option("--reset", is_flag=True, help="Only forget failed attempts, after another module has let the user in.")
@config_option
def pam(reset: bool, path: Path) -> None:
    """Recognise the user who logs in, for pam_exec. Exit status: 0 yes; 1 ask the next module, whatever happened.

    Nothing but PAM's items is taken from the environment, which may be the user's: where the agent is says the
    configuration.
    """
    try:
        config = configuration.load(path)
        from facelatch.login import answer

        socket = config.runtime / "agent.sock"
        if reset:
            answer.reset(os.environ, socket)
        else:
            answer.verify(os.environ, config.pam, socket)
    except FacelatchError as error:
        click.echo(f"facelatch: {error}", err=True)
        sys.exit(Exit.NO)
    except Exception as error:
        # A login must get to its password, whatever is broken here.
        click.echo(f"facelatch: {type(error).__name__}: use the password", err=True)
        sys.exit(Exit.NO)
