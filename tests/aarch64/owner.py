# SPDX-License-Identifier: Apache-2.0
"""Anna and her record on one machine: ``python -m tests.aarch64.owner make|open FOLDER SECRET``.

``make`` enrols her with the real agent, seals a secret to her face, and leaves records and device key in the folder.
``open`` gives both to a new agent, which is to know her and nobody else.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.agent import Agent, agent_in_temporary_directory

_NAME = "keyring"
_TIMEOUT = 600.0  # seconds, of one request; under emulation a look takes several


def main(what: str, folder: Path, secret: str) -> None:
    """Do one of the two; ``folder`` has the scenes, and the rest is put beside them."""
    with agent_in_temporary_directory(folder / "scenes") as agent:
        agent.configure("enroll", timeout=_TIMEOUT)
        agent.configure("verify", timeout=_TIMEOUT)
        {"make": _make, "open": _open}[what](agent, folder, secret)


def _make(agent: Agent, folder: Path, secret: str) -> None:
    agent.start()
    _expect(agent, 0, "enroll", "anna")
    _expect(agent, 0, "seal", "anna", _NAME, "--accept-weak", given=secret)
    assert agent.terminate() == 0, agent.log
    shutil.copytree(agent.state, folder / "state")
    shutil.copytree(agent.key.parent, folder / "key")


def _open(agent: Agent, folder: Path, secret: str) -> None:
    shutil.copytree(folder / "state", agent.state)
    shutil.copytree(folder / "key", agent.key.parent, dirs_exist_ok=True)
    agent.start()
    assert _expect(agent, 0, "verify") == "looking\nmatch: anna\n"
    assert _expect(agent, 0, "unseal", "anna", _NAME) == secret
    # The control: with all the same on the disk, another face gets nothing.
    agent.show("stranger")
    assert "match: anna" not in _expect(agent, 1, "verify")
    assert _expect(agent, 1, "unseal", "anna", _NAME) == ""


def _expect(agent: Agent, status: int, *arguments: str, given: str = "") -> str:
    done = agent.cli(*arguments, given=given)
    assert done.returncode == status, f"{arguments}: {done.returncode}, {done.stdout}{done.stderr}\n{agent.log}"
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
