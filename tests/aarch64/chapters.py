# SPDX-License-Identifier: Apache-2.0
"""What is seen to hold on aarch64, and what is measured on the way."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from packaging.utils import canonicalize_name

from facelatch import parameters
from facelatch.face.encoder import unit
from facelatch.l2fe.extractor import Extractor
from facelatch.models import ENCODER
from tests.aarch64.guest import OURS, Guest, environment, locked_wheels
from tests.aarch64.left_out import LEFT_OUT, TOOLS
from tools.build_models.recipes import RECIPES
from tools.build_models.sources import from_packages
from tools.debian import StoryError
from tools.decoding.tables import Table, watched

PI_4, PI_5 = "cortex-a72", "cortex-a76"
"""QEMU's names of their processors: without and with the dot product of 8 bit integers."""

# What x86-64 is when emulated: vectors of 128 bits, as on a Pi, and what NumPy's wheels ask for at least.
_X86 = "Nehalem"
# As for another runtime (tests/system/test_runtimes.py).
_LEAST_COSINE = 0.99
_ROUNDS = 2
_INSTALLED = """
import importlib.metadata as m, json, platform
import ai_edge_litert.interpreter, cv2, nacl.pwhash, numpy
versions = {distribution.name: distribution.version for distribution in m.distributions(path=[PATH])}
print(json.dumps([platform.machine(), platform.python_version(), versions]))
"""


@dataclass(frozen=True)
class World:
    """The two machines.

    Attributes:
        arm: emulates a Pi 4's processor.
        amd: the same Debian on this machine, run natively.
        shared: the folder that both see; ``scenes`` is in it.
        tests: what pytest runs.
    """

    arm: Guest
    amd: Guest
    shared: Path
    tests: tuple[str, ...]


Chapter = Callable[[World], str]


def has_the_locked_wheels(world: World) -> str:
    """Each locked package is there as its real wheel for this machine, and loads."""
    text = _INSTALLED.replace("PATH", f"'{world.arm.site}'")
    machine, python, versions = json.loads(world.arm.run("-c", text).splitlines()[-1])
    if machine != "aarch64":
        raise StoryError(f"it calls itself {machine}", "see QEMU's registration")
    versions = {canonicalize_name(name): version for name, version in versions.items()}
    locked = locked_wheels(world.arm.python)
    for name, line in locked.items():
        if f"{name}=={versions.get(name)} " not in line:
            raise StoryError(f"{name} is there as {versions.get(name)}", "remove build/aarch64")
    return f"Python {python}, NumPy {versions['numpy']}, LiteRT {versions['ai-edge-litert']}, {len(locked)} packages"


def passes_the_unit_tests(world: World) -> str:
    """The unit tests and the vectors pass, of all that runs on a device."""
    click.echo(f"left out, as no device runs what they test: {', '.join(TOOLS)}")
    for name, reason in LEFT_OUT.items():
        click.echo(f"left out: {name}: {reason}")
    command = world.arm.command("-u", "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--tb=short")
    command += [f"--deselect={name}" for name in LEFT_OUT]
    command += [f"--ignore-glob=*/test_{files}.py" for files in TOOLS]
    with subprocess.Popen(  # noqa: S603 - our own arguments
        [*command, *world.tests], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pytest:
        try:
            summary = _shown(pytest)
        finally:
            # Ended from outside, it does not wait for the rest.
            pytest.terminate()
    if pytest.returncode != 0:
        raise StoryError(f"pytest gives {pytest.returncode} ({summary})", "see above")
    return summary


def opens_records_of_the_other(world: World) -> str:
    """A record and a sealed secret made on x86-64 open there, and the other way round; a stranger opens neither."""
    for maker, opener in ((world.amd, world.arm), (world.arm, world.amd)):
        with_scenes = world.shared / "owner"
        shutil.rmtree(with_scenes, ignore_errors=True)
        with_scenes.mkdir()
        shutil.copytree(world.shared / "scenes", with_scenes / "scenes")
        secret = secrets.token_hex(8)
        for machine, what in ((maker, "make"), (opener, "open")):
            machine.run("-m", "tests.aarch64.owner", what, f"{OURS}/owner", secret)
    return "by the real agent, over its sockets"


def sees_the_same_faces(world: World) -> str:
    """Embeddings are those of x86-64, but for what rounding makes of them."""
    pictures = world.shared / "pictures"
    pictures.mkdir()
    for scene in ("anna", "guest", "stranger"):
        for picture in (world.shared / "scenes" / scene).iterdir():
            shutil.copyfile(picture, pictures / f"{scene}-{picture.name}")
    here = _embeddings(world.amd, world.shared)
    told = [f"{len(here)} pictures"]
    extractor = Extractor(parameters.read("standard"))
    # The control: pictures of one person differ from each other by more than the machines do.
    nearest = _nearest_other(here)
    for cpu in (PI_4, PI_5):
        there = _embeddings(world.arm.on(cpu), world.shared)
        cosines = (here * there).sum(axis=1)
        moved = max(
            float(np.linalg.norm(extractor.project(one) - extractor.project(other)))
            for one, other in zip(here, there, strict=True)
        )
        told.append(f"{cpu}: cosine mean {cosines.mean():.5f}, worst {cosines.min():.5f}, moved by {moved:.2f} at most")
        if cosines.min() < max(_LEAST_COSINE, nearest):
            raise StoryError(f"embeddings differ ({told[-1]}; other pictures: {nearest:.5f})", "see the networks")
    radius = extractor.parameters.accept_radius
    return f"{'; '.join(told)} (in within-person deviations; accepted up to {radius:.1f}); other pictures {nearest:.5f}"


def takes_its_time(world: World) -> str:
    """The time of each stage, as a ratio to x86-64 under the same emulation."""
    source = RECIPES[ENCODER]
    (world.shared / "float.tflite").write_bytes(source.rewrite(from_packages()[source.source]))
    machines = {"x86": world.amd.emulated(_X86), PI_4: world.arm.on(PI_4), PI_5: world.arm.on(PI_5)}
    # Round by round, so that what else the machine does meets all alike.
    runs = [name for _ in range(_ROUNDS) for name in machines]
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in machines}
    for name in watched(runs, "timing"):
        printed = machines[name].run("-m", "tests.aarch64.stages", f"{OURS}/float.tflite")
        taken[name].append(json.loads(printed.splitlines()[-1]))
    least = {name: {stage: min(run[stage] for run in of) for stage in of[0]} for name, of in taken.items()}
    base = least["x86"]
    rows = [
        [stage, f"{base[stage]:.2f}", *(f"{least[cpu][stage] / base[stage]:.2f}" for cpu in (PI_4, PI_5))]
        for stage in base
    ]
    title = (
        f"Emulated: milliseconds on x86-64 ({_X86}), and how many times that aarch64 takes. QEMU's costs, not a Pi's "
        "times: what counts is a stage that stands out."
    )
    click.echo(Table(title, ["stage", "x86-64", PI_4, PI_5], rows).markdown())
    ratios = {cpu: np.array([least[cpu][stage] / base[stage] for stage in base]) for cpu in (PI_4, PI_5)}
    return "; ".join(
        f"{cpu} {np.median(r):.2f} times x86-64 in the median, {r.max():.2f} at most" for cpu, r in ratios.items()
    )


CHAPTERS: dict[str, Chapter] = {
    "wheels": has_the_locked_wheels,
    "records": opens_records_of_the_other,
    "embeddings": sees_the_same_faces,
    "times": takes_its_time,
    "units": passes_the_unit_tests,
}


def _shown(pytest: subprocess.Popen[str]) -> str:
    """Show what pytest says as it goes; return its last word."""
    assert pytest.stdout is not None
    summary = ""
    for line in pytest.stdout:
        click.echo(f"  {line.rstrip()}")
        summary = line.strip(" =\n") if " in " in line and "passed" in line else summary
    pytest.wait()
    return summary


def _embeddings(machine: Guest, shared: Path) -> npt.NDArray[np.float32]:
    machine.run("-m", "tests.embed_pictures", f"{OURS}/pictures", f"{OURS}/embeddings.npy")
    embeddings: npt.NDArray[np.float32] = np.load(shared / "embeddings.npy")
    return np.stack([unit(embedding) for embedding in embeddings])


def _nearest_other(embeddings: npt.NDArray[np.float32]) -> float:
    """Return the largest cosine of two different pictures."""
    cosines = embeddings @ embeddings.T
    return float(cosines[~np.eye(len(cosines), dtype=bool)].max())
