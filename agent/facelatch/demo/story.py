# SPDX-License-Identifier: Apache-2.0
"""The demo itself: a person enrols and unlocks, a stranger and an empty room do not, and what was stored is shown."""

from __future__ import annotations

import asyncio
import base64
import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from asyncvarlink import VarlinkErrorReply

from facelatch.demo import evidence, portrait
from facelatch.demo.controller import Controller
from facelatch.demo.errors import DemoError, expect
from facelatch.demo.likeness import LIMIT, likeness
from facelatch.demo.narrator import Narrator
from facelatch.demo.process import AgentProcess
from facelatch.demo.stage import AUDIENCE, Scene, Stage
from facelatch.errors import FacelatchError
from facelatch.ipc.client import connect
from facelatch.ipc.interface import AgentInterface, StatusReply, Timeout, VerifyReply
from facelatch.ipc.words import EnrollResult, ProgressResult, VerifyResult
from facelatch.phrases import describe_error

USER: Final = "astronaut"

# Far more than any call takes: the agent's own limits end it first, unless it hangs.
_CALL_SECONDS = 120.0
_ROOM_MS = 1500
_LOG_LINES = 15
_HEX_BYTES = 32

_INTRODUCTION = """\
The real agent runs here, with its real sockets; only the camera is replaced, by one that replays pictures.
They are made from one public-domain portrait (NASA's of astronaut Eileen Collins): other poses, distances, light
and noise. So this shows that it works, and says nothing of how accurate it is. No second portrait that may be
passed on is at hand: the stranger is the same portrait, warped until the encoder sees somebody else."""

_CAVEAT = """\
Not shown: liveness. The agent was shown nothing but photographs just now, and in a replay it cannot ask for more; of
a camera it requires a live face. The device key lies in a file, beside the record that it protects."""


def tell(*, keep: bool = False) -> bool:
    """Play the demo on standard output; tell whether every step went as told.

    Args:
        keep: leave the directory with the pictures, the store and the log behind.
    """
    narrator = Narrator()
    narrator.tell("Facelatch: your face is the key, and no picture of it is kept", bold=True)
    narrator.tell(_INTRODUCTION + "\n")
    with _directory(keep, narrator) as directory, _ending_on_sigterm():
        try:
            asyncio.run(_play(narrator, Stage(directory), keep=keep))
        except (FacelatchError, OSError) as error:
            narrator.tell(f"\nThe demo did not go as told. {error}")
            _show_log(narrator, directory)
            return False
        narrator.tell(f"\nAll went as told, in {narrator.elapsed:.1f} s.", bold=True)
        narrator.tell(_CAVEAT)
        return True


async def _play(narrator: Narrator, stage: Stage, *, keep: bool) -> None:
    with ExitStack() as stack:
        _prepare(narrator, stage, keep=keep)
        with narrator.step("start the agent") as say:
            process = stack.enter_context(AgentProcess(stage))
            status = await process.ready()
            say(f"process {process.pid}, {status['users']} enrolled")
        public_key = await _enrol(narrator, stage)
        controller = Controller(AUDIENCE, _device_id(status), os.getuid(), USER, public_key)
        await _unlock(narrator, stage, controller)
        await _refuse_stranger(narrator, stage)
        await _ignore_room(narrator, stage)
        _show_store(narrator, stage)
        with narrator.step("stop the agent") as say:
            expect(process.stop() == 0, "the agent did not end cleanly")
            expect(not any(stage.runtime.iterdir()), "the agent left a socket behind")
            say("exit status 0, sockets gone")


def _prepare(narrator: Narrator, stage: Stage, *, keep: bool) -> None:
    stage.configure(_login())
    stage.show(Scene.ENROLMENT)
    with narrator.step("make the pictures") as say:
        scenes = stage.paint(portrait.read())
        if keep:
            stage.write_sheet(scenes)
        say(", ".join(f"{scene} {len(pictures)}" for scene, pictures in scenes.items()))
    with narrator.step("see that the stranger is one") as say:
        cosine = likeness(scenes[Scene.RETURN], scenes[Scene.STRANGER])
        expect(cosine < LIMIT, f"the stranger is too like the person: cosine {cosine:.2f}, not below {LIMIT}")
        say(f"cosine with the person {cosine:.2f} at most; two people have 0.0 +- 0.15")


async def _enrol(narrator: Narrator, stage: Stage) -> bytes:
    with narrator.step("enrol over the socket") as say:
        good = 0
        async with _agent(stage) as agent:
            async for reply in agent.Enroll(user=USER):
                progress = reply.get("progress")
                good += progress is not None and progress.result is ProgressResult.enroll_stage_passed
        result = reply.get("result")
        expect(result is EnrollResult.enroll_completed, f"{result}: {reply.get('reason')}")
        public_key = base64.b64decode(reply.get("public_key") or "")
        say(f"{good} looks; public key {public_key.hex()[:16]}...")
    return public_key


async def _unlock(narrator: Narrator, stage: Stage, controller: Controller) -> None:
    challenge = controller.challenge()
    with narrator.step("unlock with other pictures") as say:
        stage.show(Scene.RETURN)
        reply = await _verify(stage, challenge)
        expect(reply.get("result") is VerifyResult.verify_match, f"the person got {reply.get('result')}")
        expect(reply.get("user") == USER, f"the person was taken for {reply.get('user')}")
        say(f"match: {reply.get('user')}")
    with narrator.step("check the signature, as a door would") as say:
        expect(controller.accepts(reply, challenge), "the signature is not the enrolled person's over this challenge")
        say(f"good, by the key from the enrolment, for {AUDIENCE}")
    with narrator.step("take it to another door, and again") as say:
        other = replace(controller, audience="back-door")
        expect(not other.accepts(reply, challenge), "the signature is good for another audience too")
        expect(not controller.accepts(reply, controller.challenge()), "the signature is good for another challenge too")
        say("refused, both times")


async def _refuse_stranger(narrator: Narrator, stage: Stage) -> None:
    with narrator.step("show it the stranger") as say:
        stage.show(Scene.STRANGER)
        reply = await _verify(stage, Controller.challenge())
        expect(reply.get("result") is VerifyResult.verify_no_match, f"the stranger got {reply.get('result')}")
        expect(reply.get("signature") is None, "the stranger got a signature")
        say("no match, no signature")


async def _ignore_room(narrator: Narrator, stage: Stage) -> None:
    with narrator.step("show it an empty room") as say:
        stage.show(Scene.ROOM)
        hints: set[ProgressResult] = set()
        async with _agent(stage) as agent:
            try:
                async for reply in agent.Verify(timeout_ms=_ROOM_MS):
                    if (progress := reply.get("progress")) is not None:
                        hints.add(progress.result)
            except Timeout:
                pass
            else:
                expect(False, f"the empty room got {reply.get('result')}")
        expect(hints == {ProgressResult.verify_retry_no_face}, f"the empty room got {sorted(map(str, hints))}")
        say(f"no face in view; gave up after {_ROOM_MS / 1000} s")


def _show_store(narrator: Narrator, stage: Stage) -> None:
    with narrator.step("search what is stored") as say:
        files = evidence.stored(stage)
        named = evidence.holding(files, USER)
        expect(not named, f"the name {USER} can be read in {named}")
        shared = evidence.sharing_with_pictures(files, stage)
        expect(not shared, f"part of a picture is in {shared}")
        path = evidence.only_record(stage)
        record, whole = evidence.open_record(stage, path)
        expect(whole and record.header.user == USER, "the record holds something unknown")
        say("no piece of a picture file, not even the name")
    for file in files:
        narrator.aside(f"{file.relative_to(stage.directory)!s:<44} {file.stat().st_size:>4} bytes")
    narrator.aside(f"the record begins {evidence.hexdump(path.read_bytes(), _HEX_BYTES)}")
    narrator.aside(
        f"opened with the device key it is the name, {record.helper.sketch.c.size} numbers that hide a random secret "
        "behind the face,"
    )
    narrator.aside("a seed, a salt, a wrapped secret, two public keys and a header: no image, no embedding")


async def _verify(stage: Stage, challenge: bytes) -> VerifyReply:
    """Ask who is there; the last reply."""
    async with _agent(stage) as agent:
        nonce = base64.b64encode(challenge).decode("ascii")
        return [reply async for reply in agent.Verify(challenge=nonce, audience=AUDIENCE)][-1]


@asynccontextmanager
async def _agent(stage: Stage) -> AsyncIterator[AgentInterface]:
    """Connect to the agent; what it refuses becomes an error of the demo."""
    try:
        async with asyncio.timeout(_CALL_SECONDS), connect(AgentInterface, stage.agent_socket) as agent:
            yield agent
    except VarlinkErrorReply as error:
        name = error.name.rsplit(".", 1)[-1]
        raise DemoError(f"the agent answered: {describe_error(name, error.paramstojson())}", "see its log") from error
    except TimeoutError:
        raise DemoError(f"the agent gives no answer in {_CALL_SECONDS:.0f} s", "see its log") from None


def _device_id(status: StatusReply) -> bytes:
    (device,) = (component for component in status["components"] if component.name == "device")
    return bytes.fromhex(device.detail.removeprefix("id "))


def _login() -> str:
    """Return our login name, by which the configuration lets us manage the demo's agent."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise DemoError(f"user id {os.getuid()} has no login name", "run the demo as a user that has one") from None


@contextmanager
def _directory(keep: bool, narrator: Narrator) -> Generator[Path]:
    """Make a private directory; remove it at the end, or say where it is."""
    directory = Path(tempfile.mkdtemp(prefix="facelatch-demo-")).resolve()
    try:
        yield directory
    finally:
        if keep:
            narrator.tell(f"\nKept in {directory}: look at pictures.png there first.")
        else:
            shutil.rmtree(directory)


@contextmanager
def _ending_on_sigterm() -> Generator[None]:
    """End as on Ctrl-C when terminated, so that no agent and no directory stays."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_log(narrator: Narrator, directory: Path) -> None:
    log = directory / "agent.log"
    if log.is_file():
        narrator.tell(f"The last the agent said ({_LOG_LINES} lines at most):")
        for line in log.read_text(errors="replace").splitlines()[-_LOG_LINES:]:
            narrator.tell(f"    {line}")
