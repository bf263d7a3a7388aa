# SPDX-License-Identifier: Apache-2.0
"""The command line as a contract: its verbs, and that each can be read by a program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


# Each takes long to import, or much memory, and none is needed to ask the agent something.
HEAVY = {
    "ai_edge_litert",
    "cv2",
    "facelatch.config",
    "facelatch.daemon",
    "facelatch.face",
    "facelatch.l2fe",
    "facelatch.vault",
    "msgspec",
    "nacl",
    "numpy",
}


def leaves(group: click.Group, names: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= leaves(command, (*names, name))
        else:
            found[(*names, name)] = command
    return found


def test_the_verbs_are_those_of_the_contract() -> None:
    assert sorted(main.list_commands(click.Context(main))) == VERBS.split()


def test_a_verb_goes_by_the_name_of_its_command() -> None:
    assert [names[-1] for names in leaves(main)] == [command.name for command in leaves(main).values()]


def test_an_unknown_verb_is_refused() -> None:
    result = CliRunner().invoke(main, ["nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.stderr


@pytest.mark.parametrize("arguments", [["status"], ["list"], ["verify"], ["monitor"]], ids=" ".join)
def test_asking_the_agent_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    assert not imported([*arguments, "--runtime", str(tmp_path)], says="there is no socket") & HEAVY


def test_what_is_heavy_is_seen_where_it_is_imported(tmp_path: Path) -> None:
    assert {"facelatch.config", "msgspec"} <= imported(
        ["config", "check", "--config", str(tmp_path / "none")], says="none"
    )


def imported(arguments: list[str], says: str) -> set[str]:
    """Run a command that fails with such an error, and return the modules that it had imported."""
    program = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from facelatch.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 2
    assert says in result.stderr
    return set(result.stdout.split())


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
