# SPDX-License-Identifier: Apache-2.0
"""What the real agent tells someone whose looks do not count, and that they cost nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facelatch.ipc.interface import AgentInterface
from facelatch.ipc.words import EnrollMode
from tests.agent import Agent, camera_is_free, scenario
from tests.pictures import Picture, anna, nobody, save


def zoomed(picture: Picture, scale: float) -> Picture:
    """Enlarge a square picture about its middle, or shrink it."""
    middle = picture.shape[0] / 2
    matrix = np.array([[scale, 0, middle * (1 - scale)], [0, scale, middle * (1 - scale)]])
    side = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.warpAffine(picture, matrix, side, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def lit(picture: Picture, gain: float, more: float = 0.0) -> Picture:
    return np.asarray(np.clip(picture * gain + more, 0, 255), np.uint8)


(FACE,) = anna(1)
POOR = {
    "verify_retry_no_face": nobody()[0],
    "verify_retry_too_far": zoomed(FACE, 0.45),
    "verify_retry_too_close": zoomed(FACE, 2.9),
    "verify_retry_too_dark": lit(FACE, 0.15),
    "verify_retry_too_bright": lit(FACE, 0.3, 190),
    "verify_retry_blurred": np.asarray(cv2.GaussianBlur(FACE, (0, 0), 6), np.uint8),
    "verify_retry_several_faces": np.hstack([FACE, FACE]),
}


LOOKS: list[Callable[[AgentInterface], AsyncIterator[Any]]] = [
    lambda agent: agent.Verify(user="anna"),
    lambda agent: agent.Enroll(user="bob"),
    lambda agent: agent.Enroll(user="anna", mode=EnrollMode.add),
    lambda agent: agent.Unseal(user="anna", name="keyring"),
]


@pytest.fixture
def patient(agent_with_anna: Agent) -> Agent:
    """An agent that knows anna, has a secret of hers, and does not give up."""
    agent_with_anna.configure("verify", timeout=600.0)
    agent_with_anna.configure("enroll", timeout=600.0)
    agent_with_anna.start()
    agent_with_anna.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse")
    return agent_with_anna


async def hint(agent: Agent, look: Callable[[AgentInterface], AsyncIterator[Any]]) -> str:
    """Look twice, and leave."""
    async with agent.connect() as client:
        replies = look(client)
        words = {str((await anext(replies))["progress"].result) for _ in range(2)}
    await camera_is_free(agent)
    (word,) = words
    return word


def test_a_poor_look_gets_a_hint_and_is_no_failure(patient: Agent, tmp_path: Path) -> None:
    async def steps() -> None:
        for word, picture in POOR.items():  # more than would lock anna out, were they failures
            patient.show(str(save(tmp_path / word, [picture])))
            assert await hint(patient, LOOKS[0]) == word

    scenario(steps())
    patient.show("anna")
    assert patient.cli("verify", "--user", "anna").returncode == 0


def test_whatever_looks_gives_hints(patient: Agent, tmp_path: Path) -> None:
    async def steps() -> None:
        for look in LOOKS:
            assert await hint(patient, look) == "verify_retry_too_dark"

    patient.show(str(save(tmp_path / "dark", [POOR["verify_retry_too_dark"]])))
    scenario(steps())
