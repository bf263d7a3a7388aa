# SPDX-License-Identifier: Apache-2.0
"""What the threat model names as its evidence is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:unit|system|integration)/\w+\.py)::(\w+)`", TEXT)))
CHAPTERS = sorted(set(re.findall(r"story: `(\w+)`", TEXT)))


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def rows() -> Iterator[str]:
    table = [line for line in TEXT.splitlines() if line.startswith("| ") and line.count("|") == 5]
    return (line for line in table if not line.startswith("| who, with what"))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    assert name in functions(ROOT / "tests" / file)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_that_is_named_is_told(name: str) -> None:
    chapters = (ROOT / "tests" / "story").glob("*.py")
    assert any(name in functions(path) for path in chapters)
    told = "".join((ROOT / "tests" / "story" / file).read_text() for file in ("chapters.py", "life.py"))
    assert re.search(rf"^    {name},$|\[[^]]*\b{name}\b[^]]*\]$", told, re.MULTILINE)


@pytest.mark.parametrize("page", sorted(set(re.findall(r"\]\(([\w./-]+)\)", TEXT))))
def test_a_page_that_is_named_exists(page: str) -> None:
    assert (ROOT / "docs" / page).is_file()


def test_every_row_names_its_evidence_or_says_that_there_is_none() -> None:
    assert len(NAMED) > 30
    found = list(rows())
    assert len(found) > 40
    for row in found:
        evidence = row.rsplit("|", 2)[1]
        assert re.search(r"::test_|story: `|\]\(\w+\.md\)|^ not measured|^ without a control", evidence), row
