# SPDX-License-Identifier: Apache-2.0
"""Tries what the agent must not be able to do, and says how each attempt went: one JSON object, by name.

A program of its own, of the standard library alone: the story runs it in the agent's place, under the agent's unit, and
as a control outside of it. "done" means that nothing stood in the way; else it is the name of the error. Nothing lasts
that it does on success: the clock, the host name and the rest are set to what they are.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import shutil
import signal
import socket
import stat
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ANYONE, ROOT = "anyone", "root"
"""Who can do it outside of the sandbox: the agent's own user, or only root."""

OPEN_PLACES = ("/etc", "/usr", "/home", "/root", "/var/lib", "/run", "/boot", "/srv")
OPEN = "open-to-all"
"""Folders in which the story lets everybody write, so that only the sandbox stands in the way."""

SETUID_ID = "/usr/local/bin/id-as-root"
"""A copy of ``id`` with the set-user-id bit, made by the story."""

DEVICES = {"block": "/dev/open-block", "input": "/dev/open-input", "memory": "/dev/mem", "log": "/dev/open-kmsg"}
"""Nodes made by the story, open to everybody; /dev/mem asks for a capability besides."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
# From the kernel's tables, for calls that the C library does not wrap: x86-64, aarch64.
_NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "finit_module": (313, 273),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
}
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_PTRACE_ATTACH, _PTRACE_DETACH = 16, 17
_ADDR_NO_RANDOMIZE = 0x0040000
_LIMIT_S = 20


@dataclass(frozen=True)
class Attempt:
    """Something that must not be possible.

    Attributes:
        by: the directives of the unit that forbid it.
        able: who can do it where the sandbox does not hold.
        do: does it, or raises an ``OSError``.
    """

    by: tuple[str, ...]
    able: str
    do: Callable[[], None]


ATTEMPTS: dict[str, Attempt] = {}


def attempt(*by: str, able: str = ANYONE) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Have a function tried by its name."""

    def add(do: Callable[[], None]) -> Callable[[], None]:
        ATTEMPTS[do.__name__] = Attempt(by, able, do)
        return do

    return add


def _call(name: str, *arguments: object) -> int:
    """Call the C library, or the kernel by number, and raise what it says."""
    if name in _NUMBERS:
        number = _NUMBERS[name][platform.machine() == "aarch64"]
        result = _libc.syscall(ctypes.c_long(number), *arguments)
    else:
        result = getattr(_libc, name)(*arguments)
    if result in (-1, None, ctypes.c_void_p(-1).value):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return int(result)


def _checked(name: str, *arguments: object) -> None:
    _call(name, *arguments)


def _child(work: Callable[[], None]) -> int:
    """Run something in a child; return how it ended, as ``waitpid`` has it. An error is passed on by its number."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except OSError as error:
            os._exit(error.errno or 255)
        except BaseException:
            os._exit(255)  # never back into the program that it was forked from
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def _raise(status: int) -> None:
    number = os.waitstatus_to_exitcode(status)
    if number > 0:
        raise OSError(number, os.strerror(number))


def _socket(family: int, kind: int = socket.SOCK_STREAM) -> None:
    socket.socket(family, kind).close()


@attempt("RestrictAddressFamilies")
def internet_socket() -> None:
    _socket(socket.AF_INET)


@attempt("RestrictAddressFamilies")
def internet_socket_of_version_6() -> None:
    _socket(socket.AF_INET6)


@attempt("RestrictAddressFamilies", "CapabilityBoundingSet", able=ROOT)
def packet_socket() -> None:
    _socket(socket.AF_PACKET, socket.SOCK_RAW)


@attempt("SystemCallFilter")
def io_uring() -> None:
    # Its sockets are opened by the kernel's own threads, which no filter of system calls sees.
    os.close(_call("io_uring_setup", 1, ctypes.byref(ctypes.create_string_buffer(120))))


def _write_in(place: str) -> Callable[[], None]:
    def do() -> None:
        folder = Path(place)
        file = (folder / OPEN if place in OPEN_PLACES else folder) / f"forbidden-{os.getpid()}"
        file.touch(exist_ok=False)
        file.unlink()

    return do


for _place in OPEN_PLACES:
    _by = ("ProtectHome",) if _place in ("/home", "/root") else ("ProtectSystem",)
    # Into root's own home nobody else comes to begin with.
    ATTEMPTS[f"write_in_{_place[1:].replace('/', '_')}"] = Attempt(
        _by, ROOT if _place == "/root" else ANYONE, _write_in(_place)
    )


@attempt("InaccessiblePaths")
def write_in_shared_memory() -> None:
    _write_in("/dev/shm")()  # noqa: S108 - that is the point


@attempt("PrivateTmp")
def see_files_of_others_in_tmp() -> None:
    Path("/tmp", OPEN).stat()  # noqa: S108 - that is the point


@attempt("ProtectHome")
def read_a_home() -> None:
    Path("/home", OPEN).stat()


@attempt("ProtectKernelTunables", able=ROOT)
def write_a_tunable() -> None:
    tunable = Path("/proc/sys/net/ipv4/ip_default_ttl")  # the others no container may write
    tunable.write_text(tunable.read_text())


@attempt("ProtectControlGroups", able=ROOT)
def make_a_control_group() -> None:
    group = Path("/sys/fs/cgroup/forbidden")
    group.mkdir()
    group.rmdir()


@attempt("ProtectProc")
def read_of_another_process() -> None:
    Path("/proc/1/cmdline").read_bytes()


@attempt("ProtectKernelModules", "SystemCallFilter", able=ROOT)
def load_a_module() -> None:
    descriptor = os.memfd_create("no-module")
    try:
        _call("finit_module", descriptor, b"", 0)
    except OSError as error:
        if error.errno not in (errno.ENOEXEC, errno.EBUSY, errno.EINVAL, errno.EIO):
            raise  # the others say that the kernel has looked into it


def _with_a_child(work: Callable[[int], None]) -> None:
    pid = os.fork()
    if pid == 0:
        time.sleep(_LIMIT_S)
        os._exit(0)
    try:
        work(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@attempt("SystemCallFilter")
def trace_a_process() -> None:
    def attach(pid: int) -> None:
        _call("ptrace", _PTRACE_ATTACH, pid, None, None)
        os.waitpid(pid, 0)
        _call("ptrace", _PTRACE_DETACH, pid, None, None)

    _with_a_child(attach)


@attempt("SystemCallFilter")
def read_memory_of_a_process() -> None:
    theirs = ctypes.create_string_buffer(b"secret")
    ours = ctypes.create_string_buffer(6)

    def read(pid: int) -> None:
        spans = [struct.pack("NN", ctypes.addressof(buffer), 6) for buffer in (ours, theirs)]
        _call("process_vm_readv", pid, spans[0], 1, spans[1], 1, 0)

    _with_a_child(read)


@attempt("SystemCallFilter", "CapabilityBoundingSet", able=ROOT)
def mount() -> None:
    def work() -> None:
        _call("unshare", _CLONE_NEWNS)
        _call("mount", b"none", b"/", None, 1 << 18 | 1 << 14, None)  # nothing gets out
        _call("mount", b"tmpfs", b"/mnt", b"tmpfs", 0, None)

    _raise(_child(work))


@attempt("RestrictNamespaces")
def user_namespace() -> None:
    _raise(_child(lambda: _checked("unshare", _CLONE_NEWUSER)))


@attempt("SystemCallFilter", "CapabilityBoundingSet", able=ROOT)
def change_root() -> None:
    _raise(_child(lambda: os.chroot("/usr")))


@attempt("SystemCallFilter", "CapabilityBoundingSet", able=ROOT)
def become_another_user() -> None:
    _raise(_child(lambda: os.setresuid(65534, 65534, 65534)))


@attempt("NoNewPrivileges")
def run_a_setuid_program() -> None:
    reading, writing = os.pipe()

    def work() -> None:
        os.dup2(writing, 1)
        os.execv(SETUID_ID, ["id", "-u"])  # noqa: S606 - that is the point

    _raise(_child(work))
    os.close(writing)
    if os.read(reading, 64).strip() != b"0":
        raise PermissionError(errno.EPERM, "it runs without the bit")


@attempt("RestrictSUIDSGID")
def make_a_setuid_file() -> None:
    file = _own_file()
    try:
        file.chmod(stat.S_ISUID | 0o700)
    finally:
        file.unlink()


@attempt("MemoryDenyWriteExecute")
def memory_to_write_and_run() -> None:
    _map(mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


@attempt("MemoryDenyWriteExecute")
def memory_written_then_run() -> None:
    size = mmap.PAGESIZE
    place = _map(mmap.PROT_READ | mmap.PROT_WRITE)
    _call("mprotect", ctypes.c_void_p(place), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_EXEC)


@attempt("NoExecPaths")
def run_a_file_of_ones_own() -> None:
    file = _own_file()
    try:
        shutil.copyfile("/usr/bin/true", file)
        file.chmod(0o700)
        _raise(_child(lambda: os.execv(file, ["true"])))  # noqa: S606 - that is the point
    finally:
        file.unlink()


@attempt("LimitCORE")
def dump_core() -> None:
    folder = _own_file().parent
    old = {path.name for path in folder.iterdir()}

    def work() -> None:
        os.chdir(folder)
        unlimited = resource.RLIM_INFINITY
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (unlimited, unlimited))
        except ValueError as error:  # which is how Python tells EPERM here
            raise PermissionError(errno.EPERM, str(error)) from error
        os.abort()

    status = _child(work)
    cores = [path for path in folder.iterdir() if path.name not in old and path.name.startswith("core")]
    for core in cores:
        core.unlink()
    if os.WIFEXITED(status):
        _raise(status)
    if not os.WCOREDUMP(status):
        raise PermissionError(errno.EPERM, "no core dump")


def _device(kind: str, mode: int) -> Callable[[], None]:
    def do() -> None:
        try:
            os.close(os.open(DEVICES[kind], mode))
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENODEV):
                raise  # these two say that it would be allowed, were there such a thing

    return do


ATTEMPTS["read_a_disk"] = Attempt(("DevicePolicy",), ANYONE, _device("block", os.O_RDONLY))
ATTEMPTS["write_to_an_input"] = Attempt(("DevicePolicy", "DeviceAllow"), ANYONE, _device("input", os.O_WRONLY))
ATTEMPTS["read_the_memory_of_all"] = Attempt(("DevicePolicy",), ROOT, _device("memory", os.O_RDONLY))
ATTEMPTS["write_to_the_kernel_log"] = Attempt(("DevicePolicy",), ANYONE, _device("log", os.O_WRONLY))


@attempt("ProtectKernelLogs", "SystemCallFilter", able=ROOT)
def read_the_kernel_log() -> None:
    _call("klogctl", 3, ctypes.create_string_buffer(64), 64)


@attempt("ProtectClock", "SystemCallFilter", able=ROOT)
def set_the_clock() -> None:
    time.clock_settime_ns(time.CLOCK_REALTIME, time.clock_gettime_ns(time.CLOCK_REALTIME))


@attempt("ProtectHostname", "SystemCallFilter", able=ROOT)
def name_the_host() -> None:
    socket.sethostname(socket.gethostname())


@attempt("SystemCallFilter", "CapabilityBoundingSet", able=ROOT)
def replace_the_kernel() -> None:
    try:
        _call("kexec_load", 0, 0, None, ctypes.c_ulong(1 << 30))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise  # no such flag: the kernel has looked at it


@attempt("SystemCallFilter", "CapabilityBoundingSet", able=ROOT)
def swap_on_a_file() -> None:
    try:
        _call("swapon", b"/usr/bin/true", 0)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBUSY, errno.ETXTBSY):
            raise  # the kernel has looked at it


@attempt("SystemCallFilter", able=ROOT)
def load_a_program_into_the_kernel() -> None:
    try:
        _call("bpf", 5, ctypes.create_string_buffer(128), 128)  # BPF_PROG_LOAD of nothing
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.E2BIG, errno.EFAULT):
            raise


@attempt("SystemCallFilter", able=ROOT)
def watch_by_performance_counters() -> None:
    # Of type software, 112 bytes, counting page faults of this process, the kernel's too.
    what = struct.pack("IIQ", 1, 112, 2).ljust(112, b"\0")
    os.close(_call("perf_event_open", what, 0, -1, -1, 0))


@attempt("SystemCallFilter")
def key_in_the_kernel() -> None:
    _call("add_key", b"user", b"forbidden", b"x", 1, -3)  # into the session's key ring


@attempt("SystemCallFilter", able=ROOT)
def fault_handling_in_user_space() -> None:
    os.close(_call("userfaultfd", 0))


@attempt("LockPersonality")
def fixed_addresses() -> None:
    _raise(_child(lambda: _checked("personality", ctypes.c_ulong(_ADDR_NO_RANDOMIZE))))


@attempt("RestrictRealtime", "SystemCallFilter", able=ROOT)
def real_time() -> None:
    _raise(_child(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))))


@attempt("TasksMax")
def a_hundred_processes() -> None:
    children = []
    try:
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                time.sleep(_LIMIT_S)
                os._exit(0)
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


NOT_PREVENTED: dict[str, Callable[[], None]] = {}
"""What the sandbox does not stop; it is tried as well, so that nobody believes more of it than it does."""


def _run_from_memory() -> None:
    descriptor = os.memfd_create("true")
    os.write(descriptor, Path("/usr/bin/true").read_bytes())
    _raise(_child(lambda: os.execv(f"/proc/self/fd/{descriptor}", ["true"])))  # noqa: S606 - that is the point


NOT_PREVENTED["run_a_program_from_a_memfd"] = _run_from_memory
NOT_PREVENTED["run_a_program_of_the_system"] = lambda: _raise(
    _child(lambda: os.execv("/usr/bin/true", ["true"]))  # noqa: S606 - that is the point
)
# libcamera needs it; in a network of the agent's own, in which there is nothing.
NOT_PREVENTED["open_a_netlink_socket"] = lambda: _socket(socket.AF_NETLINK, socket.SOCK_RAW)


def _own_file() -> Path:
    folder = Path(os.environ.get("STATE_DIRECTORY", "/var/tmp"))  # noqa: S108 - outside of the sandbox it has none
    file = folder / f"forbidden-{os.getpid()}"
    file.touch()
    return file


def _map(protection: int) -> int:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return _call("mmap", None, ctypes.c_size_t(mmap.PAGESIZE), protection, flags, -1, ctypes.c_long(0))


def _tried(do: Callable[[], None]) -> str:
    """Try it in a process of its own, so that nothing that succeeds is of use to the next."""

    def work() -> None:
        signal.alarm(_LIMIT_S)
        do()

    status = _child(work)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    number = os.waitstatus_to_exitcode(status)
    return "done" if number == 0 else errno.errorcode.get(number, f"status {number}")


def main() -> None:
    """Try everything, and print how it went."""
    todo = {**{name: one.do for name, one in ATTEMPTS.items()}, **NOT_PREVENTED}
    print(json.dumps({name: _tried(do) for name, do in todo.items()}), flush=True)


if __name__ == "__main__":
    main()
