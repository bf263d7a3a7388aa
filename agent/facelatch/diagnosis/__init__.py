# SPDX-License-Identifier: Apache-2.0
"""Looks at everything an agent needs and says how it is. It reads; nothing is made, locked, swept or changed.

What cannot be looked at as this user is ``weak`` and says so: it was not found to be in order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from facelatch import config
from facelatch.diagnosis.door import check_door
from facelatch.diagnosis.eyes import agent_uid, eyes_of
from facelatch.diagnosis.finding import AS_ROOT, Finding, State, failed
from facelatch.diagnosis.parts import check_camera, check_models, check_parameters
from facelatch.diagnosis.running import check_agent, check_core_dumps, find_agent
from facelatch.diagnosis.system import check_clock, check_encryption, check_groups, check_space
from facelatch.diagnosis.vault import check_vault
from facelatch.errors import ConfigError

__all__ = ["Finding", "State", "diagnose"]


def diagnose(path: Path) -> Iterator[Finding]:
    """Look at everything, one thing after the other.

    Args:
        path: the configuration file. What hangs on it is left out where it cannot be used.
    """
    yield from check_models()
    yield check_clock(time.time())
    try:
        chosen = config.load(path)
    except ConfigError as error:
        yield failed("config", error)
        return
    yield Finding("config", State.OK, f"{path} is in order")
    yield check_parameters(chosen)
    agent = find_agent(chosen.runtime)
    owner = agent_uid(chosen.state, agent)
    yield check_camera(chosen, owner, agent)
    yield from check_door(chosen, owner)
    if owner is not None:
        with eyes_of(owner):
            yield from check_vault(chosen)
    else:
        detail = f"{chosen.state} is for another user to read"
        yield from (Finding(name, State.WEAK, detail, AS_ROOT) for name in ("state", "device key", "records"))
    yield check_encryption(chosen.state)
    yield check_space(chosen.state)
    yield from check_groups(chosen)
    yield check_agent(chosen.runtime)
    yield check_core_dumps(agent)
