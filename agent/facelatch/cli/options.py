# SPDX-License-Identifier: Apache-2.0
"""What the commands share: exit status, options, and errors as one line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import ParamSpec

import click

from facelatch.errors import FacelatchError

_P = ParamSpec("_P")
# Here, since most commands do not read it, and config.py takes long to import.
_CONFIG = Path("/etc/facelatch/facelatch.toml")


class Exit(IntEnum):
    """Exit status, a contract."""

    YES = 0
    NO = 1
    ERROR = 2


def told(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turn an error into one line on stderr and status 2."""

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except FacelatchError as error:
            click.echo(f"facelatch: {error}", err=True)
            sys.exit(Exit.ERROR)

    return wrapped


runtime_option = click.option(
    "--runtime",
    type=click.Path(path_type=Path),
    default=Path("/run/facelatch"),
    envvar="FACELATCH_RUNTIME",
    show_default=True,
    show_envvar=True,
    help="Directory of the agent's sockets.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: one object, or one a line while streaming."
)
config_option = click.option(
    "--config",
    "path",
    # Whether it can be read is for us to say, in one line with the remedy.
    type=click.Path(path_type=Path, readable=False),
    default=_CONFIG,
    show_default=True,
    help="The configuration file.",
)
