# SPDX-License-Identifier: Apache-2.0
"""All fuzz targets by name."""

from __future__ import annotations

from tests.fuzz import text_targets, vault_targets, wire_targets
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target for module in (vault_targets, text_targets, wire_targets) for target in module.TARGETS
}
