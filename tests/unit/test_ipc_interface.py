# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802 - the methods have the names of the wire
"""The classes, the text kept in the package, and the contract say the same."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from asyncvarlink import TypedVarlinkErrorReply, VarlinkMethodCall, varlinksignature

from facelatch.errors import CameraFault
from facelatch.ipc import interface, words
from facelatch.ipc.interface import AgentInterface, CameraUnavailable, StatusInterface
from facelatch.ipc.words import CameraReason, Word

KEPT = Path(inspect.getfile(interface)).parent / "io.facelatch.varlink"
CONTRACT = Path(__file__).parents[3] / "shared" / "io.facelatch.varlink"


def members(text: str) -> dict[str, set[str]]:
    """Each interface's members, whatever their order, spacing and comments."""
    interfaces: dict[str, set[str]] = {}
    for line in text.splitlines():
        words = " ".join(line.partition("#")[0].split())
        if words.startswith("interface "):
            current = interfaces.setdefault(words, set())
        elif words and words != "---":
            current.add(words)
    return interfaces


def test_the_kept_text_is_what_the_classes_say() -> None:
    assert KEPT.read_text() == interface.describe(), (
        "python -m facelatch.ipc.interface > agent/facelatch/ipc/io.facelatch.varlink"
    )


@pytest.mark.skipif(not CONTRACT.exists(), reason="the contract, ../shared/io.facelatch.varlink, is not here")
def test_the_classes_say_what_the_contract_says() -> None:
    assert members(interface.describe()) == members(CONTRACT.read_text())


def test_the_comparison_sees_a_difference_in_any_member() -> None:
    text = interface.describe()
    assert members(text) != members(text.replace("timeout_ms: ?int", "timeout_ms: int"))
    assert members(text) != members(text.replace("frozen, ", ""))
    assert members(text) == members("# said\n" + text.replace(", ", ",  "))


def test_only_structures_have_names() -> None:
    assert re.findall(r"^type (\w+)", interface.describe(), re.M) == ["Component", "Progress", "User"]


def all_words() -> Iterator[type[Word]]:
    return (kind for kind in vars(words).values() if inspect.isclass(kind) and kind in Word.__subclasses__())


def test_every_word_is_used_in_the_interface() -> None:
    text = interface.describe()
    for kind in all_words():
        assert f"({', '.join(str(word) for word in kind)})" in text


def test_camera_reasons_are_the_words_of_camera_faults() -> None:
    assert {reason.name for reason in CameraReason} == {fault.value for fault in CameraFault}


def test_an_implementation_is_described_as_its_declaration() -> None:
    class Implementation(StatusInterface):
        async def GetStatus(self) -> interface.StatusReply:
            """Say something else."""
            raise NotImplementedError

    assert Implementation.render_interface_description() == StatusInterface.render_interface_description()


def test_a_helper_of_an_implementation_is_not_callable_from_outside() -> None:
    class Implementation(StatusInterface):
        async def Helper(self) -> None:
            raise NotImplementedError

    assert varlinksignature(Implementation.Helper) is None


def test_every_error_is_listed_and_named_after_its_interface() -> None:
    declared = {
        error
        for error in vars(interface).values()
        if inspect.isclass(error) and issubclass(error, TypedVarlinkErrorReply) and error is not TypedVarlinkErrorReply
    }
    assert declared == {*StatusInterface.errors, *AgentInterface.errors}
    for declaration in (StatusInterface, AgentInterface):
        for error in declaration.errors:
            assert error.name.rpartition(".")[0] == declaration.name
            VarlinkMethodCall(error.name, {})  # checks the form of the name


def test_an_error_carries_words() -> None:
    error = CameraUnavailable(reason=CameraReason.dark, detail="lens cap")
    assert error.tojson() == {
        "error": "io.facelatch.Agent.CameraUnavailable",
        "parameters": {"reason": "dark", "detail": "lens cap"},
    }
