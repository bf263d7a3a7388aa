# SPDX-License-Identifier: Apache-2.0
"""Which modules are mutated, and the fast tests that have to notice: those that fail soonest come first."""

from __future__ import annotations

from dataclasses import dataclass

SLOW = (
    # They try the second implementation, not the product.
    "tests/unit/test_vectors.py::test_the_second_implementation_gives_the_expected_outcome",
    "tests/unit/test_vectors.py::test_the_vectors_are_what_their_generator_writes_and_nothing_else",
)


@dataclass(frozen=True)
class Subject:
    """A module and its tests.

    Attributes:
        name: of the module, below ``facelatch``.
        tests: of its unit tests, by what distinguishes their files.
        core: whether the goal names it.
    """

    name: str
    tests: tuple[str, ...]
    core: bool = False

    @property
    def module(self) -> str:
        """Full name of the module."""
        return f"facelatch.{self.name}"

    @property
    def path(self) -> str:
        """File of the module, below the repository's root."""
        return f"agent/facelatch/{self.name.replace('.', '/')}.py"

    @property
    def selection(self) -> list[str]:
        """The tests as pytest takes them."""
        files = [f"tests/unit/test_{name}.py" for name in self.tests]
        return [*files, *(f"--deselect={test}" for test in SLOW)]


SUBJECTS = (
    Subject("vault.record", ("record", "vectors"), core=True),
    Subject("vault.lockout", ("lockout",), core=True),
    Subject("daemon.policy", ("policy",), core=True),
    Subject("l2fe.keys", ("parameters", "vectors", "extractor"), core=True),
    Subject("l2fe.extractor", ("vectors", "extractor", "refresh"), core=True),
    Subject("l2fe.kdf", ("device_key", "vectors")),
    Subject("l2fe.framing", ("secrets_format", "vectors")),
    Subject("l2fe.rotation", ("rotation",)),
    Subject("l2fe.lattice", ("lattice",)),
    Subject("l2fe.population", ("population",)),
    Subject("l2fe.refresh", ("refresh",)),
    Subject("vault.padded", ("secrets_format",)),
    Subject("vault.secret_box", ("secrets_format", "secrets")),
    Subject("vault.secret_file", ("secrets_format", "secrets")),
    Subject("vault.device_key", ("device_key",)),
    Subject("vault.key_ring", ("device_key_ring",)),
    Subject("ipc.allowance", ("allowance",)),
    Subject("daemon.liveness", ("watch",)),
    Subject("daemon.stages", ("stages",)),
    Subject("vault.files", ("vault_files", "device_key", "vault_store")),
)
