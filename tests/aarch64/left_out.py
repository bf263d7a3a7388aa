# SPDX-License-Identifier: Apache-2.0
"""The unit tests that emulation itself cannot run, each with what it lacks; nothing else belongs here."""

from __future__ import annotations

from collections.abc import Mapping

LEFT_OUT: Mapping[str, str] = {}
"""By pytest's name of each."""
