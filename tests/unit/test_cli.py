# SPDX-License-Identifier: Apache-2.0
"""The command line as a contract: its verbs, and that each can be read by a program."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from facelatch.cli import main

VERBS = """
    aim arm config demo doctor enroll list monitor pam release remove run
    seal set-up status unlock-lockout unseal verify
"""
# They print what they go through, to people, or nothing but faults; the rest print an object, or one a line.
FOR_PEOPLE = {"run", "demo", "pam", "release"}


def leaves(group: click.Group, names: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= leaves(command, (*names, name))
        else:
            found[(*names, name)] = command
    return found


def test_the_verbs_are_those_of_the_contract() -> None:
    assert sorted(main.commands) == VERBS.split()


@pytest.mark.parametrize("names", [names for names in leaves(main) if names[0] not in FOR_PEOPLE], ids=" ".join)
def test_every_verb_that_prints_can_print_json(names: tuple[str, ...]) -> None:
    command = leaves(main)[names]
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("names", leaves(main), ids=" ".join)
def test_every_verb_and_every_option_is_explained(names: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*names, "--help"])
    assert result.exit_code == 0
    command = leaves(main)[names]
    assert command.help
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_it(shell: str) -> None:
    result = CliRunner().invoke(main, prog_name="facelatch", env={"_FACELATCH_COMPLETE": f"{shell}_source"})
    assert result.exit_code == 0
    assert "_FACELATCH_COMPLETE" in result.output
