# SPDX-License-Identifier: Apache-2.0
"""What a tool writes if asked to: its figures as JSON, and a report to be read in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec


def prepare(output: Path | None, page: Path | None) -> None:
    """Make the folders of both: a long run is not to end at a place that cannot be written.

    Raises:
        OSError: one cannot be made.
    """
    for folder in filter(None, (page, output and output.parent)):
        folder.mkdir(parents=True, exist_ok=True)


def write(output: Path | None, figures: object, page: Path | None, html: Callable[[], str]) -> None:
    """Write those that are asked for.

    Args:
        output: file for the figures.
        figures: whatever JSON can hold.
        page: folder for the report, as index.html.
        html: makes it; called only for a folder.

    Raises:
        OSError: one cannot be written.
    """
    if output is not None:
        output.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    if page is not None:
        (page / "index.html").write_text(html(), encoding="utf-8")
