# SPDX-License-Identifier: Apache-2.0
"""How tests/session_machine.py drives an agent: requests over real sockets, frames by hand, a rest after each step."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import socket
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis.stateful import RuleBasedStateMachine

from facelatch.daemon import looking
from facelatch.ipc.server import Server
from facelatch.l2fe.extractor import Extractor
from tests.in_process import CHEAP, ROOT, STEWARD, House, VirtualClock, going_by
from tests.session_cast import LOOKS, NOBODY, Request

GUARD_SECONDS = 60.0
"""Nothing here takes nearly as long: only a hang meets it."""

_AGENT = "io.facelatch.Agent"


class Driver(RuleBasedStateMachine):
    """An agent, those who ask it, and what is known of them."""

    patience = GUARD_SECONDS
    """How long a thread may take to end."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = set(threading.enumerate())
        self.directory = Path(tempfile.mkdtemp(prefix="facelatch-"))
        self.clock = VirtualClock()
        self.stack = ExitStack()
        self.stack.enter_context(going_by(self.clock))
        self.stack.enter_context(mock.patch.object(looking, "PRECEDENCE_S", math.inf))
        self.loop = asyncio.new_event_loop()
        self.mishaps: list[str] = []
        self.loop.set_exception_handler(lambda _, context: self.mishaps.append(str(context)))
        self.extractor = Extractor(CHEAP)
        self.enrolled: dict[str, str] = {}
        self.failures: dict[str, int] = {}
        self.until: dict[str, float] = {}
        self.running: Request | None = None
        self.waiting: Request | None = None  # of root, who is next
        self.late = False  # whether the time of the running request is over
        self.start()

    def start(self) -> None:
        self.house = House(self.directory, LOOKS, self.clock, self.extractor)
        self.server, self.for_root = self.house.server(STEWARD), self.house.server(ROOT)

    def stop(self) -> None:
        while self.running is not None:
            self.hang_up()
        for server in (self.server, self.for_root):
            self.do(server.close())
        self.house.close()

    def teardown(self) -> None:
        try:
            self.stop()
            assert asyncio.all_tasks(self.loop) == set(), "a task is left"
            self.do(self.loop.shutdown_default_executor())
            left = set(threading.enumerate()) - self.threads
            for thread in left:
                thread.join(self.patience)
            assert not [thread for thread in left if thread.is_alive()], "a thread is left"
            assert self.mishaps == []
        finally:
            self.loop.close()
            self.stack.close()
            shutil.rmtree(self.directory)

    def do(self, steps: Any) -> Any:
        return self.loop.run_until_complete(steps)

    @property
    def connections(self) -> int:
        return len(self.server.connections) + len(self.for_root.connections)

    def ask(self, method: str, *, user: str | None = None, server: Server | None = None, **parameters: Any) -> Request:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setblocking(False)
        given = parameters if user is None else {"user": user, **parameters}
        more = method in ("Verify", "Enroll")
        ours.send(json.dumps({"method": f"{_AGENT}.{method}", "parameters": given, "more": more}).encode() + b"\0")
        request = Request(ours, method, user)

        async def arrive() -> None:
            (server or self.server)._admit(theirs)  # what its listener does

        self.do(arrive())
        self.do(self.settle(request))
        return request

    async def settle(self, *asked: Request) -> None:
        """Wait until all is answered that can be, and the camera waits or is closed."""
        guard = time.monotonic() + GUARD_SECONDS
        while True:
            for _ in range(30):  # turns for whoever is ready
                await asyncio.sleep(0)
            worker = self.house.agent.worker
            busy, ready, is_next = worker.busy, self.house.camera.asked.is_set(), worker._next is not None
            unwanted = self.running is None and (self.waiting is None or is_next)
            if busy and ready and unwanted and not asked:
                self.house.camera.give(NOBODY)  # nobody waits for it any more
            open_requests = [each for each in (self.running, self.waiting, *asked) if each is not None]
            for each in open_requests:
                each.hear()
            unanswered = [each for each in open_requests if each.end is None]
            quiet = (ready and len(unanswered) == 1 + is_next) if busy else not unanswered
            if quiet and self.connections == len(open_requests):
                return
            assert time.monotonic() < guard, "it did not come to rest"
            if busy and not ready:
                await asyncio.sleep(0.001)

    def hang_up(self, request: Request | None = None) -> None:
        """Close a connection, the running one if none is given."""
        if request is None and self.running is not None:
            request, self.running = self.running, None
        if request is not None:
            request.connection.close()
        self.do(self.settle())
        if self.running is None and self.waiting is not None:
            first, self.waiting = self.waiting, None
            self.begin(first, self.refusal(first.user))

    def refusal(self, user: str | None) -> str | None:
        """The error that an attempt is answered with at once."""
        raise NotImplementedError

    def begin(self, request: Request, expected: str | None) -> None:
        """See that a request is answered with that error at once, or else that it is looked for."""
        raise NotImplementedError

    def ended(self) -> None:
        """Hang up once the running request is answered."""
        if self.running is not None and self.running.end is not None:
            self.hang_up()

    def answer(self, method: str, *, user: str | None = None, **parameters: Any) -> Request:
        """Ask for something that is answered at once; the running request goes on."""
        running = self.running
        request = self.ask(method, user=user, **parameters)
        assert request.end is not None
        request.connection.close()
        self.running = running
        self.do(self.settle())
        return request
