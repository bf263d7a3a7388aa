# SPDX-License-Identifier: Apache-2.0
"""The real agent, made to leak: ``python leaky_agent.py LEAK,LEAK run --config FILE``.

It is the control of test_no_template: whoever looks for leaks must find these.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facelatch.cli import main
from facelatch.daemon import run
from facelatch.daemon.roster import Roster
from facelatch.daemon.service import AgentService
from facelatch.face import path as face_path
from facelatch.face.path import FacePath
from facelatch.ipc import interface as wire
from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.extractor import Extractor
from facelatch.vault.store import Store

# The agent is started in the directory that its own lie in.
_STATE = Path("records")

Function = Callable[..., Any]


def _replace(owner: Any, name: str, make: Callable[[Function], Function]) -> None:
    setattr(owner, name, make(getattr(owner, name)))


def _before(owner: Any, name: str, spy: Function) -> None:
    """Have a spy see what a function is called with."""

    def make(original: Function) -> Function:
        def spied(*arguments: Any, **options: Any) -> Any:
            spy(*arguments, **options)
            return original(*arguments, **options)

        return spied

    _replace(owner, name, make)


def _after(owner: Any, name: str, spy: Function) -> None:
    """Have a spy see what a function returns."""

    def make(original: Function) -> Function:
        def spied(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            spy(result)
            return result

        return spied

    _replace(owner, name, make)


def embedding_in_a_file() -> None:
    def spy(look: face_path.Look) -> None:
        if look.embedding is not None:
            with (_STATE / "cache").open("ab") as file:
                file.write(look.embedding.tobytes())

    _after(FacePath, "look", spy)


def half_precision_embedding_behind_the_record() -> None:
    tail = bytearray()

    def make(original: Function) -> Function:
        return lambda store, record_id, data: original(store, record_id, data + bytes(tail))

    def spy(_roster: Roster, _user: str, embedding: Any, **_: Any) -> None:
        tail[:] = np.asarray(embedding, dtype=np.float16).tobytes()

    _before(Roster, "make", spy)
    _replace(Store, "put", make)


def distance_in_the_log() -> None:
    def spy(found: Any) -> None:
        for near in (candidate for row in found for candidate in row):
            logging.getLogger("facelatch.l2fe").info("nearest point at %.4f", near.distance)

    _after(Decoder, "__call__", spy)


def projection_in_a_reply() -> None:
    last: list[float] = []

    def make(original: Function) -> Function:
        async def enrolment(*arguments: Any) -> wire.EnrollReply:
            reply: wire.EnrollReply = await original(*arguments)
            if "result" in reply:
                reply["reason"] = json.dumps(last)
            return reply

        return enrolment

    def spy(y: Any) -> None:
        last[:] = y.tolist()

    _after(Extractor, "project", spy)
    _replace(AgentService, "_enrolment", make)


def secret_in_a_reply() -> None:
    def make(original: Function) -> Function:
        def matched(service: AgentService, match: Any, signed_for: Any) -> wire.VerifyReply:
            reply: wire.VerifyReply = original(service, match, signed_for)
            reply["signature"] = reply["public_key"] = match.secret.hex()
            return reply

        return matched

    _replace(AgentService, "_matched", make)


def frame_as_a_picture() -> None:
    def spy(_path: FacePath, image: Any) -> None:
        cv2.imwrite(str(_STATE / "debug.jpg"), image[..., ::-1])

    _before(FacePath, "look", spy)


def deflated_crop_in_a_temporary_file() -> None:
    def spy(crop: Any) -> None:
        Path(tempfile.gettempdir(), "crop").write_bytes(zlib.compress(crop.tobytes()))

    _after(face_path, "align", spy)


def embedding_in_an_unnamed_file() -> None:
    descriptor = os.open(tempfile.gettempdir(), os.O_TMPFILE | os.O_RDWR)

    def spy(look: face_path.Look) -> None:
        if look.embedding is not None:
            os.write(descriptor, look.embedding.tobytes())

    _after(FacePath, "look", spy)


def open_memory() -> None:
    _replace(run, "keep_memory_private", lambda _: lambda: None)


def no_core_limit() -> None:
    """No leak by itself: what is closed beside the limit is to keep core dumps from being written."""
    _replace(resource, "setrlimit", lambda _: lambda *_: None)


def kept_secret() -> None:
    """A key that is held on to, in memory alone: the control of test_forgetting."""
    kept: list[bytes] = []

    def make(original: Function) -> Function:
        def matched(service: AgentService, match: Any, signed_for: Any) -> wire.VerifyReply:
            kept.append(match.secret)
            reply: wire.VerifyReply = original(service, match, signed_for)
            return reply

        return matched

    _replace(AgentService, "_matched", make)


LEAKS = {
    leak.__name__: leak
    for leak in (
        embedding_in_a_file,
        half_precision_embedding_behind_the_record,
        distance_in_the_log,
        projection_in_a_reply,
        secret_in_a_reply,
        frame_as_a_picture,
        deflated_crop_in_a_temporary_file,
        embedding_in_an_unnamed_file,
    )
}
WEAKNESSES = {weakness.__name__: weakness for weakness in (open_memory, no_core_limit, kept_secret)}


if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        (LEAKS | WEAKNESSES)[name]()
    main()
