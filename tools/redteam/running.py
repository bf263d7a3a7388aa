# SPDX-License-Identifier: Apache-2.0
"""Attacks on the agent as it runs: a process of its own, its real sockets, and a camera that replays what we paint."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from asyncvarlink import VarlinkErrorReply

from facelatch.demo import portrait, session
from facelatch.demo.errors import expect
from facelatch.demo.process import AgentProcess
from facelatch.demo.stage import Stage
from facelatch.demo.stranger import stranger
from facelatch.ipc.client import connect
from facelatch.ipc.interface import AgentInterface, NotEnrolled, PermissionDenied, StatusInterface
from facelatch.ipc.words import EnrollResult, VerifyResult
from facelatch.shipped import face_path
from tools.decoding.tables import Table, watched
from tools.redteam.madeup import Sphere
from tools.redteam.part import Control, Job, Outcome
from tools.redteam.search import Floats

USER = "owner"
NOBODY = 65534
"""Another login, which every system has."""

# How much of the owner a shown face has: steps that an attacker who climbs would take.
_PARTS = (0.0, 0.2, 0.4, 0.5)
_FRAMES = 8
_ENROL_FRAMES = 12
# Attempts of each kind whose time is taken; each takes as long as ``no_match_after``.
_TIMED = 10
_PERMUTATIONS = 10_000
# A difference of times is taken for one below this p.
_CLEAR = 0.01
# Seconds after which the shipped configuration tells of no match.
_SHIPPED_WAIT = 2.0
# Bytes of an embedding in a row that cannot be in memory by chance.
_TELLING = 64
_SMALLEST_MAP = 4096

Picture = npt.NDArray[np.uint8]


class Device:
    """An agent on a stage of its own, with an owner enrolled or not yet."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder)
        face = portrait.read()
        self._owner = session.frames(face, _ENROL_FRAMES, seed=1)
        self._others = session.frames(stranger(face), _ENROL_FRAMES, seed=1)

    @contextmanager
    def running(self) -> Iterator[int]:
        """Run the agent; give its process id."""
        stage = self.stage
        self.show(1.0, _ENROL_FRAMES)
        config: dict[str, dict[str, object]] = {
            "camera": {"backend": "replay", "source": str(stage.directory / "camera")},
            "device_key": {"path": str(stage.device_key)},
            "enroll": {"frames": 6, "seconds": 0.001},
            "verify": {"no_match_after": _SHIPPED_WAIT},
            "policy": {"administrators": _us(), "group": _group()},
        }
        lines = [f"state = {json.dumps(str(stage.state))}", f"runtime = {json.dumps(str(stage.runtime))}"]
        for table, values in config.items():
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        stage.config.write_text("\n".join(lines) + "\n")
        stage.directory.chmod(0o755)  # another login is to reach the socket
        with AgentProcess(stage) as process:
            asyncio.run(_ready(process))
            yield process.pid
            process.stop()

    def show(self, part: float, count: int = _FRAMES) -> list[Picture]:
        """Point the camera at faces that are ``part`` the owner and the rest somebody else."""
        pictures = [
            np.asarray(cv2.addWeighted(own, part, other, 1 - part, 0), dtype=np.uint8)
            for own, other in zip(self._owner[:count], self._others[:count], strict=True)
        ]
        folder = self.stage.directory / f"pictures-{part}-{count}"
        if not folder.is_dir():
            folder.mkdir()
            for number, picture in enumerate(pictures):
                cv2.imwrite(str(folder / f"{number:02}.png"), picture[..., ::-1])
        link = self.stage.directory / "camera.new"
        link.symlink_to(folder)
        link.replace(self.stage.directory / "camera")
        return pictures

    async def enrol(self, user: str) -> dict[str, Any]:
        """Enrol whoever the camera sees; return the last reply."""
        async with connect(AgentInterface, self.stage.agent_socket) as agent:
            return dict([reply async for reply in agent.Enroll(user=user)][-1])

    async def verify(self, user: str | None, uid: int | None = None) -> list[dict[str, Any]]:
        """Attempt, as another login if told so; return all replies, the error's name among them."""
        with _as(uid):
            connection = connect(AgentInterface, self.stage.agent_socket)
            agent = await connection.__aenter__()
        replies: list[dict[str, Any]] = []
        try:
            async for reply in agent.Verify(user=user):
                replies.append(dict(reply))
        except VarlinkErrorReply as error:
            replies.append({"error": type(error).__name__})
        finally:
            await connection.__aexit__(None, None, None)
        return replies

    async def forget_failures(self) -> None:
        """Reset every wait, so that one attempt does not tell of the last."""
        async with connect(AgentInterface, self.stage.agent_socket) as agent:
            await agent.ResetLockout()
            await agent.ResetLockout(user=USER)


def attack(job: Job) -> Outcome:
    """Climb, time, probe the duplicate check, look into its memory, and inject a camera."""
    controls = [_trilaterated(job)]
    with TemporaryDirectory(prefix="facelatch-") as folder:
        device = Device(Path(folder))
        with device.running() as pid:
            enrolled = asyncio.run(device.enrol(USER))["result"] is EnrollResult.enroll_completed
            climbing = _climb(device)
            oracle = asyncio.run(_duplicate(device))
            memory = _memory(device, pid)
            timing = None if job.quick or os.geteuid() != 0 else _timed(device, job.seed)
    if timing is not None:
        name = "an unknown name answered at once, as administrators are: time tells who is enrolled"
        controls.append(Control(name, timing["p_told_at_once"] < _CLEAR))
    rows = [
        ["enrolled, and opens for its owner", _yes(enrolled and climbing["owner_opens"])],
        ["replies differ between faces that do not match", _yes(climbing["distinct_replies"] > 1)],
        ["a member who may not know learns of a duplicate", _yes(oracle["others_may_ask"])],
        ["the duplicate's reply names somebody", _yes(oracle["names"])],
        ["a replayed camera passes for a live one", _yes(memory["liveness"] not in ("not_evaluated", "off"))],
        ["memory locked against swap, kB", str(memory["locked_kb"])],
        ["copies of the device key in memory", str(memory["device_key_copies"])],
        ["copies of a look's embedding in memory", str(memory["embedding_copies"])],
    ]
    tables = [Table("The running agent", ["what", "found"], rows)]
    if timing is not None:
        columns = [
            "no match, s",
            "no such user, s",
            "p (permutation)",
            "match, s",
            "told at once, s",
            "p (permutation)",
        ]
        seconds = [f"{timing[kind]:.3f}" for kind in ("no_match", "no_such_user", "match", "told_at_once")]
        row = [*seconds[:2], f"{timing['p']:.3f}", *seconds[2:], f"{timing['p_told_at_once']:.4f}"]
        tables.append(Table(f"Median time until the last reply, {_TIMED} attempts of each kind", columns, [row]))
    figures = {"climbing": climbing, "duplicate": oracle, "memory": memory, "timing": timing}
    return Outcome(figures, tables, controls)


def _climb(device: Device) -> dict[str, Any]:
    """Show faces ever nearer to the owner's, and compare what ``Verify`` says of those it refuses."""
    told, matched = [], []
    for part in watched(_PARTS, "hill climbing"):
        device.show(part)
        replies = asyncio.run(device.verify(USER))
        asyncio.run(device.forget_failures())
        if replies[-1].get("result") is VerifyResult.verify_match:
            matched.append(part)
        else:
            told.append(repr(replies))
    device.show(1.0)
    owner = asyncio.run(device.verify(USER))[-1].get("result") is VerifyResult.verify_match
    return {
        "refused": len(told),
        "matched_at": matched,
        "distinct_replies": len(set(told)),
        "owner_opens": owner,
    }


def _trilaterated(job: Job) -> Control:
    """Find a face from distances, had replies held them: k + 1 of them fix a point in k dimensions."""
    p = job.parameters
    rng = np.random.default_rng([job.seed, 17])
    y = p.spread * rng.normal(size=p.k)
    shown = p.spread * rng.normal(size=(p.k + 1, p.k))
    squared = ((shown - y) ** 2).sum(axis=1)
    found: Floats = np.linalg.solve(
        2 * (shown[1:] - shown[0]), squared[0] - squared[1:] + (shown[1:] ** 2).sum(axis=1) - (shown[0] ** 2).sum()
    )
    near = float(np.linalg.norm(Sphere(p).at(found) - Sphere(p).at(y))) < 1e-3
    return Control(f"replies that hold a distance: {p.k + 1} of them give the face", near)


async def _duplicate(device: Device) -> dict[str, bool]:
    """Ask the duplicate check whether the owner is enrolled: as an administrator, and as somebody else."""
    device.show(1.0, _ENROL_FRAMES)
    reply = await device.enrol("another")
    may = False
    if os.geteuid() == 0:
        with _as(NOBODY):
            connection = connect(AgentInterface, device.stage.agent_socket)
            agent = await connection.__aenter__()
        try:
            async for _ in agent.Enroll(user="another"):
                may = True
        except PermissionDenied:
            pass
        finally:
            await connection.__aexit__(None, None, None)
    return {
        "told_to_administrators": reply["result"] is EnrollResult.enroll_duplicate,
        "names": USER in str(reply.get("reason")),
        "others_may_ask": may,
    }


def _memory(device: Device, pid: int) -> dict[str, Any]:
    """Look into the agent's memory after an unlock, as a hibernation image or swap would show it. For root."""
    picture = device.show(1.0, 1)[0]
    asyncio.run(device.verify(USER))
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    key = device.stage.device_key.read_bytes()
    embedding = face_path().look(picture).embedding
    telling = b"" if embedding is None else embedding.tobytes()[:_TELLING]
    keys = looks = None
    if os.geteuid() == 0:
        image = _image(pid)
        keys = sum(part.count(key) for part in image)
        looks = sum(part.count(telling) for part in image) if telling else None
    return {
        "liveness": str(asyncio.run(_liveness(device))),
        "locked_kb": int(fields["VmLck"].split()[0]),
        "swapped_kb": int(fields["VmSwap"].split()[0]),
        "device_key_copies": keys,
        "embedding_copies": looks,
    }


def _image(pid: int) -> list[bytes]:
    """Read what is mapped writable and private: where secrets are."""
    parts = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, mode, *_ = line.split()
            start, end = (int(number, 16) for number in where.split("-"))
            if mode.startswith("rw") and end - start >= _SMALLEST_MAP:
                memory.seek(start)
                try:
                    parts.append(memory.read(end - start))
                except OSError:  # a mapping of a device
                    continue
    return parts


def _timed(device: Device, seed: int) -> dict[str, Any]:
    """Time no match and no such user, in turns, as a member of the group who may not know who is enrolled."""
    kinds = {
        "no_match": (USER, 0.0, NOBODY, VerifyResult.verify_no_match),
        "no_such_user": ("ghost", 0.0, NOBODY, VerifyResult.verify_no_match),
        "match": (USER, 1.0, NOBODY, VerifyResult.verify_match),
        "told_at_once": ("ghost", 0.0, None, NotEnrolled.__name__),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in watched(range(_TIMED), "timing"):
        for kind, (user, part, uid, expected) in kinds.items():
            device.show(part)
            start = time.perf_counter()
            replies = asyncio.run(device.verify(user, uid))
            taken[kind].append(time.perf_counter() - start)
            told = replies[-1].get("result") or replies[-1].get("error")
            expect(told == expected, f"{kind}: the agent said {replies[-1]}")
            asyncio.run(device.forget_failures())
    medians = {kind: float(np.median(times)) for kind, times in taken.items()}
    p = {
        "p": permuted(taken["no_match"], taken["no_such_user"], seed),
        "p_told_at_once": permuted(taken["no_match"], taken["told_at_once"], seed),
    }
    return {"attempts": _TIMED, **medians, **p}


def permuted(first: Sequence[float], second: Sequence[float], seed: int) -> float:
    """Chance of so large a difference of medians where both kinds take equally long: a permutation test."""
    rng = np.random.default_rng(seed)
    pooled, cut = np.concatenate([first, second]), len(first)
    seen = abs(np.median(first) - np.median(second))
    dealt = rng.permuted(np.tile(pooled, (_PERMUTATIONS, 1)), axis=1)
    apart = np.abs(np.median(dealt[:, :cut], axis=1) - np.median(dealt[:, cut:], axis=1))
    return float((1 + np.count_nonzero(apart >= seen)) / (1 + _PERMUTATIONS))


async def _ready(process: AgentProcess) -> None:
    await process.ready()


async def _liveness(device: Device) -> object:
    async with connect(StatusInterface, device.stage.status_socket) as agent:
        return (await agent.GetStatus())["liveness"]


@contextmanager
def _as(uid: int | None) -> Iterator[None]:
    """Be another login while connecting: the kernel tells the agent who we were then."""
    if uid is None:
        yield
        return
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def _us() -> list[str]:
    return [] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]


def _group() -> str:
    # Whoever connects as somebody else keeps our group, and so is a member.
    return grp.getgrgid(os.getegid()).gr_name


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
