# SPDX-License-Identifier: Apache-2.0
"""The tool that puts faults in: where, which, and that what nobody tests survives."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tools.mutation.mutants import Mutant, mutants
from tools.mutation.report import Tally, report
from tools.mutation.subjects import SUBJECTS
from tools.mutation.trial import Outcome

CHANGES = {
    "a <= b": ["a < b"],
    "a in b": ["a not in b"],
    "a and b": ["a or b", "b", "a"],
    "not a": ["a"],
    "a + 2": ["a - 2", "3"],
    "a << b": ["a >> b"],
    "x = max(a, b)": ["min"],
    "a[b:c]": ["a[:c]", "a[b:]"],
    "a if b else c": ["a", "c"],
    "x = b'k'": ["b'k!'"],
    "x = True": ["False"],
    "x = 1.5": ["2.5"],
    "a.x = b": ["pass"],
    "a(b)": ["pass"],
    "a -= b": ["a += b"],
    "if a: b": ["if True", "if False"],
    "raise a": ["pass"],
    "for a in b: break": ["continue"],
    "try: a\nexcept B: c": ["except ()"],
    "x = [a for a in b if c]": ["[a for a in b]"],
    "def f(): return a": ["return None"],
}


def changes(source: str) -> list[str]:
    return [mutant.change.split(" -> ")[1] for mutant in mutants(source)]


@pytest.mark.parametrize("source", CHANGES)
def test_each_fault_that_fits(source: str) -> None:
    assert sorted(changes(source)) == sorted(CHANGES[source])


@pytest.mark.parametrize(
    "source",
    [
        '"""Words."""',
        "import a",
        "def f(x: int = y) -> 'b': return",
        "@f(1)\ndef g(): pass",
        "x = f'{1}'",
        "return_ = None",
        "raise_ = SomeError('words', 1)",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert changes(source) == []


def test_each_mutant_differs_in_one_place_and_compiles() -> None:
    source = "def f(a, b):\n    if a < 1 and b:\n        return a + b\n    return max(a, b)\n"
    texts = [ast.unparse(mutant.tree) for mutant in mutants(source)]
    assert len(set(texts)) == len(texts) == 11
    for text in texts:
        compile(text, "mutant", "exec")
        before, after = source.splitlines(), text.splitlines()
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_the_report_counts_and_names_survivors() -> None:
    tally = Tally(SUBJECTS[0])
    for line, outcome in enumerate((Outcome.KILLED, Outcome.SURVIVED, Outcome.STUCK, Outcome.KILLED)):
        tally.note(Mutant(line, f"a{line} -> b", ast.Module([], [])), outcome)
    text = report([tally])
    assert "3 of    4 killed,  75.0 % (1 stuck)" in text
    assert text.endswith("survivors:\nvault.record:1: a1 -> b")


def tool(code: str) -> subprocess.CompletedProcess[str]:
    # A process of its own: here the modules are loaded already.
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603


def test_a_tested_module_passes_and_one_whose_tests_look_elsewhere_does_not() -> None:
    tested = tool("from tools.mutation.__main__ import main; main(['l2fe.framing'])")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "100.0 %" in tested.stdout
    elsewhere = tool(
        "import tools.mutation.__main__ as tool; from tools.mutation.subjects import Subject;"
        "tool.SUBJECTS = (Subject('l2fe.framing', ('policy',)),); tool.main(['l2fe.framing'])"
    )
    assert elsewhere.returncode == 1
    assert "0 of    4 killed" in elsewhere.stdout
