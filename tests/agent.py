# SPDX-License-Identifier: Apache-2.0
"""The real agent as a process of its own, with its real sockets and the replay camera, in a directory of its own."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from facelatch.ipc.client import connect
from facelatch.ipc.interface import AgentInterface, EnrollReply, StatusInterface
from facelatch.ipc.words import EnrollMode

GUARD_SECONDS = float(os.environ.get("FACELATCH_GUARD_SECONDS", "120"))
"""Nothing here takes nearly as long: only a hang meets it. Under emulation it takes more."""

PROGRAM = (sys.executable, "-m", "facelatch")
NOBODY = 65534
"""Another user, whom every system has."""

# Imports all it needs before it stops being root: the new user need not be able to read this checkout.
_AS_NOBODY = """
import os, sys
import asyncvarlink, facelatch.cli, facelatch.ipc.client, facelatch.ipc.interface
for name in facelatch.cli.main.list_commands(None): facelatch.cli.main.get_command(None, name)
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv.pop(1)))
facelatch.cli.main()
"""
NOBODY_PROGRAM = (sys.executable, "-c", _AS_NOBODY, str(NOBODY))

Reply = Mapping[str, Any]
Finished = subprocess.CompletedProcess[str]


class Agent:
    """One agent and all it may write: its state, key, sockets, home and temporary files lie below ``root``.

    Args:
        root: a directory with a short path, since sockets are made in it.
        scenes: a folder of folders of pictures; ``show`` picks one for the camera.
        program: what runs the agent.
    """

    def __init__(self, root: Path, scenes: Path, program: Sequence[str] = PROGRAM) -> None:
        self.root = root
        self.runtime = root / "run"
        self.state = root / "records"
        self.key = root / "key" / "device.key"
        self.config = root / "facelatch.toml"
        self.log_file = root / "log"
        # Root may do everything without being named; when somebody else runs the tests, they are to as well.
        us = [] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]
        self.settings: dict[str, Any] = {
            "state": str(self.state),
            "runtime": str(self.runtime),
            "device_key": {"path": str(self.key)},
            "camera": {"backend": "replay", "source": str(root / "camera")},
            # As fast as looks come, and each of them counts.
            "enroll": {"frames": 6, "seconds": 0.001},
            "verify": {"no_match_after": 0},
            "policy": {"administrators": us},
            "audiences": {"door": us},
        }
        self._program = program
        self._scenes = scenes
        self._process: subprocess.Popen[bytes] | None = None
        for folder in ("run", "key", "home", "tmp"):
            (root / folder).mkdir()
        root.chmod(0o755)  # other users are to reach the sockets
        self.show("anna")

    def __enter__(self) -> Self:
        """Leave it as it is, not started."""
        return self

    def __exit__(self, *_: object) -> None:
        """See that no process stays."""
        if self._process is not None:
            self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the agent was not started"
        return self._process

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def records(self) -> dict[str, bytes]:
        """The record files, by name."""
        return {path.name: path.read_bytes() for path in self.state.glob("*.rec")}

    @property
    def sockets(self) -> list[str]:
        return sorted(path.name for path in self.runtime.iterdir())

    def configure(self, section: str, **values: Any) -> None:
        """Change settings; they count from the next start."""
        self.settings[section] = {**self.settings.get(section, {}), **values}

    def show(self, scene: str) -> None:
        """Switch what the camera shows when it is next opened."""
        link = self.root / "next"
        link.symlink_to(self._scenes / scene)
        link.replace(self.root / "camera")

    def start(self, **options: Any) -> None:
        """Start it, with options for ``subprocess.Popen``, and wait until it answers."""
        self.spawn(**options)
        for _ in _until_guard():
            assert self.process.poll() is None, f"the agent ended at once:\n{self.log}"
            if _answers(self.runtime / "status.sock"):
                return

    def spawn(self, **options: Any) -> None:
        """Start it without waiting."""
        self.write_config()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this checkout's own program
                [*self._program, "run", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                cwd=self.root,
                env=self._environment(),
                **options,
            )

    def write_config(self) -> None:
        """Write the settings down."""
        self.config.write_text(_toml(self.settings))

    def run(self, **environment: str) -> Finished:
        """Run it, with the configuration as it lies there, to its end, which is at hand when something is wrong."""
        return self._finish([*self._program, "run", "--config", str(self.config)], environment)

    def terminate(self) -> int:
        """Ask it to end, and return its exit status."""
        self.process.terminate()
        return self.process.wait(GUARD_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        assert self.process.wait(GUARD_SECONDS) is not None

    def cli(
        self, *arguments: str, program: Sequence[str] = PROGRAM, runtime: Path | None = None, given: str = ""
    ) -> Finished:
        """Run a command of the command line to its end, with something given on its standard input."""
        return self._finish([*program, *arguments], {"FACELATCH_RUNTIME": str(runtime or self.runtime)}, given)

    def command(self, *arguments: str, **environment: str) -> Finished:
        """Run a command with additions to its environment, and nothing that says where the agent is."""
        return self._finish([*self._program, *arguments], environment)

    def lines(self, *arguments: str) -> list[Any]:
        """Run a command with ``--json`` and return what it printed, line by line."""
        return [json.loads(line) for line in self.cli(*arguments, "--json").stdout.splitlines()]

    def as_nobody(self, *arguments: str) -> Finished:
        """Run a command as another user; needs root."""
        return self.cli(*arguments, program=NOBODY_PROGRAM)

    @contextmanager
    def client(self, *arguments: str, program: Sequence[str] = PROGRAM) -> Iterator[subprocess.Popen[str]]:
        """Start a command whose output can be read as it comes; it is killed at the end if it still runs."""
        environment = {**self._environment(), "FACELATCH_RUNTIME": str(self.runtime), "PYTHONUNBUFFERED": "1"}
        command = [*program, *arguments]
        with subprocess.Popen(command, cwd=self.root, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - this checkout's own program
            try:
                yield process
            finally:
                process.kill()

    def connect(self) -> AbstractAsyncContextManager[AgentInterface]:
        """Connect to the agent's socket as a program would."""
        return connect(AgentInterface, self.runtime / "agent.sock")

    def _finish(self, command: Sequence[str], environment: Mapping[str, str], given: str = "") -> Finished:
        environment = {**self._environment(), **environment}
        return subprocess.run(  # noqa: S603 - this checkout's own program
            command,
            cwd=self.root,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=GUARD_SECONDS,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        own = {"HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        return {name: value for name, value in os.environ.items() if not name.startswith("XDG_")} | own


@contextmanager
def agent_in_temporary_directory(scenes: Path, program: Sequence[str] = PROGRAM) -> Iterator[Agent]:
    """Make an agent, not started, whose directory goes at the end; pytest's own have names too long for a socket."""
    with TemporaryDirectory(prefix="facelatch-") as root, Agent(Path(root), scenes, program) as agent:
        yield agent


def scenario(steps: Coroutine[Any, Any, None]) -> None:
    """Run a test that talks to the agent while something else happens."""
    asyncio.run(asyncio.wait_for(steps, GUARD_SECONDS))


async def last(replies: AsyncIterator[Reply]) -> Reply:
    """Follow a request to its end."""
    return [reply async for reply in replies][-1]


@asynccontextmanager
async def enrolment(agent: Agent, mode: EnrollMode = EnrollMode.new) -> AsyncIterator[AsyncIterator[EnrollReply]]:
    """Be in the middle of an enrolment with an agent that is slow at it: one look is taken, five are not."""
    async with agent.connect() as client:
        replies = client.Enroll(user="anna", mode=mode)
        reply = await anext(replies)
        assert reply["progress"] is not None
        assert reply["progress"].remaining == 5
        yield replies


async def camera(agent: Agent) -> str:
    """Ask how the camera is."""
    async with connect(StatusInterface, agent.runtime / "status.sock") as status:
        return str((await status.GetStatus())["camera"])


async def camera_is_free(agent: Agent) -> None:
    """Wait until nobody uses the camera."""
    while await camera(agent) == "in_use":
        pass


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that must come to hold."""
    for _ in _until_guard():
        if holds():
            return
        await asyncio.sleep(0)


def _until_guard() -> Iterator[None]:
    end = time.monotonic() + GUARD_SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(0.01)
    raise AssertionError("it did not come to pass")


def _answers(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect(str(path))
        return True
    return False


def _toml(settings: Mapping[str, Any]) -> str:
    """Write settings as TOML, which takes JSON's scalars and lists as they are."""
    plain = {name: value for name, value in settings.items() if not isinstance(value, Mapping)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    for name in settings.keys() - plain.keys():
        lines += [f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in settings[name].items())]
    return "\n".join(lines) + "\n"
