# SPDX-License-Identifier: Apache-2.0
"""What the tests of the socket share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket is."""
    return tmp_path / "agent.sock"
