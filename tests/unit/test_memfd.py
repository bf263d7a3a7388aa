# SPDX-License-Identifier: Apache-2.0
"""Secrets in descriptors: nobody can change what was offered, and nothing else than that is taken."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from facelatch.ipc.memfd import DescriptorError, offer, take

SECRET = b"correct horse battery staple"
LIMIT = 4096
FIXED = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
NO_MEMFD = "is not a memfd that can be read: pass a memfd sealed"
NOT_SEALED = "is not sealed: pass a memfd sealed"


@pytest.fixture(autouse=True)
def no_blocking() -> Iterator[None]:
    """Fail a test that takes longer than two seconds: a read that blocks would never end."""

    def blocked(*_: object) -> None:
        raise AssertionError("blocked")

    before = signal.signal(signal.SIGALRM, blocked)
    signal.setitimer(signal.ITIMER_REAL, 2.0)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@contextmanager
def owned(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def offered(secret: bytes) -> AbstractContextManager[int]:
    return owned(offer(secret))


def unsealed(content: bytes, seals: int = 0) -> AbstractContextManager[int]:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    if seals:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return owned(descriptor)


@pytest.mark.parametrize("secret", [b"", b"\0", SECRET, os.urandom(LIMIT)], ids=["empty", "nul", "text", "largest"])
def test_what_is_offered_is_taken(secret: bytes) -> None:
    with offered(secret) as descriptor:
        assert take(descriptor, LIMIT) == secret
        assert take(descriptor, LIMIT) == secret


def test_a_program_that_just_reads_gets_the_secret() -> None:
    with offered(SECRET) as descriptor, open(descriptor, "rb", closefd=False) as file:
        assert file.read() == SECRET


def test_where_the_descriptor_stands_does_not_matter() -> None:
    with offered(SECRET) as descriptor:
        os.lseek(descriptor, 7, os.SEEK_SET)
        assert take(descriptor, LIMIT) == SECRET
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 7


def test_nobody_can_change_what_was_offered() -> None:
    with offered(SECRET) as descriptor:
        with pytest.raises(PermissionError):
            os.write(descriptor, b"x")
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, 3)
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, LIMIT)
        with pytest.raises(PermissionError):
            mmap.mmap(descriptor, len(SECRET))
        with pytest.raises(PermissionError):
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
        with owned(os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)) as again, pytest.raises(PermissionError):
            os.write(again, b"x")
        assert take(descriptor, LIMIT) == SECRET


def test_an_offer_is_not_inherited_and_not_executable() -> None:
    with offered(SECRET) as descriptor:
        assert not os.get_inheritable(descriptor)
        if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) != FIXED | fcntl.F_SEAL_SEAL:  # the kernel has MFD_NOEXEC_SEAL
            assert os.fstat(descriptor).st_mode & 0o111 == 0


def test_an_older_kernel_gets_no_flag_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    create = os.memfd_create
    tried = []

    def old(name: str, flags: int) -> int:
        tried.append(flags)
        if flags & ~(os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING):
            raise OSError(errno.EINVAL, "Invalid argument")
        return create(name, flags)

    monkeypatch.setattr(os, "memfd_create", old)
    with offered(SECRET) as descriptor:
        assert take(descriptor, LIMIT) == SECRET
    assert len(tried) == 2


def test_without_memory_no_descriptor_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="Cannot allocate"):
        offer(SECRET)
    monkeypatch.undo()
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_too_much_is_refused_whatever_is_behind_it() -> None:
    with offered(bytes(LIMIT + 1)) as descriptor, pytest.raises(DescriptorError, match="4097 bytes: send at most 4096"):
        take(descriptor, LIMIT)
    with unsealed(b"") as descriptor:
        os.ftruncate(descriptor, 2**40)  # a terabyte of holes
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, FIXED)
        with pytest.raises(DescriptorError, match="send at most"):
            take(descriptor, LIMIT)


def test_a_memfd_by_somebody_else_is_taken_if_it_is_sealed() -> None:
    with unsealed(SECRET, FIXED) as descriptor:
        assert take(descriptor, LIMIT) == SECRET


@pytest.mark.parametrize("missing", [fcntl.F_SEAL_WRITE, fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, FIXED])
def test_a_memfd_that_could_change_is_refused(missing: int) -> None:
    with unsealed(SECRET, FIXED & ~missing) as descriptor, pytest.raises(DescriptorError, match=NOT_SEALED):
        take(descriptor, LIMIT)


def test_no_memory_that_is_mapped_for_writing_can_be_called_sealed() -> None:
    # The guarantee that take() rests on: seals are refused while somebody could still write.
    with unsealed(SECRET) as descriptor, mmap.mmap(descriptor, len(SECRET)), pytest.raises(OSError, match="busy"):
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, FIXED)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/self/status", "/"])
def test_devices_and_directories_are_refused(path: str) -> None:
    with owned(os.open(path, os.O_RDONLY)) as descriptor, pytest.raises(DescriptorError, match=NO_MEMFD):
        take(descriptor, LIMIT)


def test_pipes_and_sockets_are_refused(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with owned(reader), owned(writer), pytest.raises(DescriptorError, match=NO_MEMFD):
        take(reader, LIMIT)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with owned(os.open(fifo, os.O_RDWR)) as descriptor, pytest.raises(DescriptorError, match=NO_MEMFD):
        take(descriptor, LIMIT)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(DescriptorError, match=NO_MEMFD):
        take(ours.fileno(), LIMIT)


def test_other_descriptors_without_a_file_are_refused() -> None:
    with owned(os.eventfd(0)) as descriptor, pytest.raises(DescriptorError, match=NO_MEMFD):
        take(descriptor, LIMIT)
    with owned(os.pidfd_open(os.getpid())) as descriptor, pytest.raises(DescriptorError, match=NO_MEMFD):
        take(descriptor, LIMIT)


def test_a_descriptor_that_cannot_be_read_is_refused() -> None:
    with offered(SECRET) as descriptor:
        for flags in (os.O_WRONLY, os.O_PATH):
            with (
                owned(os.open(f"/proc/self/fd/{descriptor}", flags)) as useless,
                pytest.raises(DescriptorError, match=NO_MEMFD),
            ):
                take(useless, LIMIT)


def test_a_closed_descriptor_is_refused() -> None:
    with offered(SECRET) as descriptor:
        pass
    with pytest.raises(DescriptorError, match=NO_MEMFD):
        take(descriptor, LIMIT)


def test_a_file_is_refused_while_it_grows_and_while_it_rests(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(SECRET)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(SECRET)
                file.flush()
                stop.wait(0.001)

    writer = threading.Thread(target=grow)
    with owned(os.open(path, os.O_RDONLY)) as descriptor:
        writer.start()
        try:
            for _ in range(20):
                with pytest.raises(DescriptorError, match="sealed"):
                    take(descriptor, LIMIT)
        finally:
            stop.set()
            writer.join()
        with pytest.raises(DescriptorError, match="sealed"):
            take(descriptor, LIMIT)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no /dev/shm here")  # noqa: S108
def test_a_file_in_memory_is_refused_too() -> None:
    # It answers for seals like a memfd, but has none that matter.
    path = Path("/dev/shm") / f"facelatch-test-{os.getpid()}"  # noqa: S108
    with owned(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)) as descriptor:
        path.unlink()
        os.write(descriptor, SECRET)
        with pytest.raises(DescriptorError, match="sealed"):
            take(descriptor, LIMIT)


def test_a_memfd_cut_short_by_a_fault_is_not_taken_for_a_shorter_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pread", lambda *_: SECRET[:5])
    with offered(SECRET) as descriptor, pytest.raises(DescriptorError, match="to its end"):
        take(descriptor, LIMIT)
