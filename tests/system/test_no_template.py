# SPDX-License-Identifier: Apache-2.0
"""Guarantee 1: nothing that shows a face is on disk, in the log, on a socket or in a core dump.

The real agent enrols, unlocks, fails and is killed; then all it wrote and said is searched for the very values it
worked with. The controls run an agent that leaks one of them, and find it.
"""

from __future__ import annotations

import os
import resource
import secrets
import signal
import stat
import sys
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from facelatch.ipc.words import EnrollMode
from tests.agent import Agent, agent_in_temporary_directory, scenario
from tests.leaks import PICTURE, find
from tests.leaky_agent import LEAKS
from tests.pictures import nobody, save
from tests.recorder import Recorder
from tests.truth import Person, Truth, accept_radius

LEAKY_AGENT = Path(__file__).parents[1] / "leaky_agent.py"
NUAA = Path(__file__).parents[2].parent / "shared" / "data" / "nuaa-dev.tar"
SHARED = "shared place "
ENROLMENT_FRAMES = 6
NUAA_FRAMES = 9

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may see what a process like this has open")


class Evidence:
    """An agent under observation, and all it leaves behind."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.found: dict[str, bytes] = {}
        self._recorder = Recorder(agent.runtime, agent.root / "recorded")
        self._shared_before = _shared_files()

    def live(self) -> dict[str, bytes]:
        """Enrol anna, unlock twice, see a stranger and nobody, enrol anna anew; return her first record."""
        agent = self.agent
        with self._recorder.recording("agent.sock", "status.sock") as front:

            def said(status: int, *command: str, through: Path | None = front) -> None:
                result = agent.cli(*command, runtime=through, given="a secret")
                assert result.returncode == status, result.stderr + agent.log
                self.found[f"output of {command[0]} {len(self.found)}"] = (result.stdout + result.stderr).encode()

            said(0, "enroll", "anna")
            first = agent.records
            said(0, "verify", "--challenge", secrets.token_hex(32), "--audience", "door", "--json")
            said(0, "verify", "--user", "anna")
            agent.show("stranger")
            said(1, "verify")
            agent.show("nobody")
            said(2, "verify", "--timeout", "300")
            agent.show("anna")
            # The recorder passes no descriptors on, so these two go to the agent itself.
            said(0, "seal", "anna", "keyring", "--accept-weak", through=None)
            said(0, "unseal", "anna", "keyring", through=None)
            said(0, "list", "--json")
            said(0, "status")
            said(0, "enroll", "anna", "--replace", "--json")
            said(0, "verify", "--json")
            said(0, "status", "--json")
        return first

    def collect_open_files(self) -> None:
        """Read what the running agent has open, whether or not it has a name. For root."""
        for path in Path(f"/proc/{self.agent.process.pid}/fd").iterdir():
            if stat.S_ISREG(path.stat().st_mode):
                self.found[f"descriptor {path.name}"] = path.read_bytes()

    def collect(self) -> dict[str, bytes]:
        """Read every file below the agent's directory, what is new in shared places, and the sockets' traffic."""
        for path in self.agent.root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.found[str(path.relative_to(self.agent.root))] = path.read_bytes()
        for path in _shared_files() - self._shared_before:
            with suppress(OSError):  # others use these places too
                self.found[f"{SHARED}{path}"] = path.read_bytes()
        for number, stream in enumerate(self._recorder.streams):
            self.found[f"stream {number}"] = bytes(stream)
        return self.found

    def leaks(self, truth: Truth) -> list[str]:
        """Search everything that was collected."""
        needles = truth.needles()
        if not find(b"\n\0\n".join(self.found.values()), needles):
            return []
        hits = [(place, what) for place, data in self.found.items() for what in find(data, needles)]
        # Whose picture it is that turned up in a shared place cannot be told.
        return [f"{place}: {what}" for place, what in hits if (place.startswith(SHARED), what) != (True, PICTURE)]


def _shared_files() -> set[Path]:
    """Files of ours in places that every process may write to."""
    places = {Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")}  # noqa: S108 - read only
    return {path for place in places if place.is_dir() for path in place.iterdir() if _is_ours(path)}


def _is_ours(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def _truth(people: list[Person], frames: int, key: Path, *stores: dict[str, bytes]) -> Truth:
    """Compute what was to be kept secret: from records that the first of these people enrolled for, and looks."""
    enrolled = people[0].enrolment(frames)
    truth = Truth(people)
    for records in stores:
        for name, data in records.items():
            truth.add_record(name, data, key, enrolled)
    return truth


@pytest.fixture(scope="module")
def people(scenes: Path) -> list[Person]:
    return [Person(scenes / "anna"), Person(scenes / "stranger")]


async def _kill_in_the_middle_of_an_enrolment(agent: Agent) -> None:
    async with agent.connect() as client:
        async for reply in client.Enroll(user="anna", mode=EnrollMode.replace):
            assert reply["progress"] is not None
            if reply["progress"].remaining is not None:
                agent.kill()
                return


def test_a_life_of_the_agent_and_its_sudden_death_leave_no_face_behind(agent: Agent, people: list[Person]) -> None:
    evidence = Evidence(agent)
    first = evidence.live()
    if os.geteuid() == 0:
        evidence.collect_open_files()
    assert agent.terminate() == 0
    second = agent.records

    agent.configure("enroll", seconds=600.0, timeout=600.0)  # the first look is taken at once, the last never
    agent.start()
    scenario(_kill_in_the_middle_of_an_enrolment(agent))
    assert agent.records == second != first

    truth = _truth(people, ENROLMENT_FRAMES, agent.key, first, second)
    # Matches and failures are among what was searched for.
    assert max(truth.distances("anna")) < accept_radius() < min(truth.distances("stranger"))
    found = evidence.collect()
    assert {"log", "key/device.key", *(f"records/{name}" for name in second)} <= set(found)
    assert any(b'"signature"' in data for data in found.values())
    assert evidence.leaks(truth) == []


@pytest.fixture(scope="module")
def leaks(scenes: Path, people: list[Person]) -> list[str]:
    """What the same search finds of an agent that leaks in every way it can be made to."""
    with agent_in_temporary_directory(scenes, _leaky(*LEAKS)) as agent:
        evidence = Evidence(agent)
        agent.start()
        first = evidence.live()
        if os.geteuid() == 0:
            evidence.collect_open_files()
        assert agent.terminate() == 0
        evidence.collect()
        # One of the leaks is bytes behind the record, without which it opens.
        tail = 2 * people[0].embeddings.shape[1]
        first = {name: data[:-tail] for name, data in first.items()}
        return evidence.leaks(_truth(people, ENROLMENT_FRAMES, agent.key, first))


def _leaky(*leaks: str) -> tuple[str, ...]:
    return sys.executable, str(LEAKY_AGENT), ",".join(leaks)


PLACES = {
    "embedding_in_a_file": ("records/cache: sum: anna embedding", "as <f4"),
    "half_precision_embedding_behind_the_record": (".rec: embedding: anna enrolled", "as <f2"),
    "distance_in_the_log": ("log: distance: anna after 1, generation 0", "as text"),
    "projection_in_a_reply": ("stream ", "projection: anna enrolled as text"),
    "secret_in_a_reply": ("stream ", "secret of generation 0"),
    "frame_as_a_picture": ("records/debug.jpg", PICTURE),
    "deflated_crop_in_a_temporary_file": ("tmp/crop", "anna crop 0 as rgb"),
    "embedding_in_an_unnamed_file": ("descriptor ", "sum: anna embedding 0 as <f4"),
}


def test_every_leak_is_looked_for() -> None:
    assert set(PLACES) == set(LEAKS)


@pytest.mark.parametrize(
    "leak", [pytest.param(leak, marks=needs_root) if "unnamed" in leak else leak for leak in PLACES]
)
def test_the_same_search_finds_a_leak_made_on_purpose(leak: str, leaks: list[str]) -> None:
    place, what = PLACES[leak]
    assert any(hit.find(place) >= 0 and hit.endswith(what) for hit in leaks), leaks


@pytest.fixture
def real_scenes(tmp_path: Path) -> Path:
    """Looks at two real people by one webcam, and a wall."""
    with tarfile.open(NUAA) as archive:
        names = archive.getnames()
        for scene, session in (("anna", "0007-01"), ("stranger", "0011-03")):
            members = sorted(
                (name for name in names if f"/live/{session}/" in name and name.endswith(".jpg")), key=_number
            )
            for number, member in enumerate(members[:NUAA_FRAMES]):
                file = archive.extractfile(member)
                assert file is not None
                target = tmp_path / scene / f"{number}.jpg"
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(file.read())
    save(tmp_path / "nobody", nobody())
    return tmp_path


def _number(name: str) -> int:
    return int(Path(name).stem.rpartition("_")[2])


@pytest.mark.skipif(not NUAA.is_file(), reason="the data set nuaa-dev is not here")
def test_photographs_of_real_people_are_not_left_behind(real_scenes: Path) -> None:
    people = [Person(real_scenes / "anna"), Person(real_scenes / "stranger")]
    with agent_in_temporary_directory(real_scenes) as agent:
        agent.configure("enroll", frames=NUAA_FRAMES)
        evidence = Evidence(agent)
        agent.start()
        first = evidence.live()
        agent.kill()
        truth = _truth(people, NUAA_FRAMES, agent.key, first, agent.records)
        assert max(truth.distances("anna")) < accept_radius() < min(truth.distances("stranger"))
        evidence.collect()
        assert evidence.leaks(truth) == []


UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def _cores_become_files() -> bool:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    return pattern.startswith("core") and resource.getrlimit(resource.RLIMIT_CORE)[1] == resource.RLIM_INFINITY


needs_cores = pytest.mark.skipif(
    not _cores_become_files(), reason="here the kernel writes no core dump into a directory"
)


def _start_with_cores_allowed(agent: Agent) -> None:
    agent.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, UNLIMITED))


def _cores_after_a_crash(agent: Agent) -> list[str]:
    """Have the kernel kill the agent the way a fault would; name the core dumps that this leaves."""
    agent.process.send_signal(signal.SIGABRT)
    assert agent.process.wait() == -signal.SIGABRT
    return [path.name for path in agent.root.iterdir() if path.name.startswith("core")]


@needs_cores
def test_a_crash_leaves_no_core_dump(idle_agent: Agent) -> None:
    _start_with_cores_allowed(idle_agent)
    assert resource.prlimit(idle_agent.process.pid, resource.RLIMIT_CORE) == (0, 0)
    assert _cores_after_a_crash(idle_agent) == []


@needs_cores
def test_a_crash_leaves_no_core_dump_even_without_a_limit(scenes: Path) -> None:
    # Core dumps that are piped into a program, as systemd-coredump is, know no limit.
    with agent_in_temporary_directory(scenes, _leaky("no_core_limit")) as agent:
        _start_with_cores_allowed(agent)
        assert resource.prlimit(agent.process.pid, resource.RLIMIT_CORE) == UNLIMITED
        assert _cores_after_a_crash(agent) == []


@needs_cores
def test_a_crash_of_an_agent_with_open_memory_leaves_a_core_dump(scenes: Path) -> None:
    with agent_in_temporary_directory(scenes, _leaky("open_memory")) as agent:
        _start_with_cores_allowed(agent)
        assert len(_cores_after_a_crash(agent)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="what root runs belongs to root in any case")
def test_other_processes_of_the_same_user_may_not_read_the_memory(agent: Agent) -> None:
    assert Path("/proc/self/mem").stat().st_uid == os.geteuid()
    assert Path(f"/proc/{agent.process.pid}/mem").stat().st_uid == 0
