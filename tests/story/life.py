# SPDX-License-Identifier: Apache-2.0
"""The chapters at the door and at the login."""

from __future__ import annotations

from collections.abc import Callable

from tests.story.scene import Story

LIFE: list[Callable[[Story], str | None]] = []
