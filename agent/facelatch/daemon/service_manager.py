# SPDX-License-Identifier: Apache-2.0
"""What systemd and the agent tell each other: sockets handed over, "ready", and signs of life.

Sources: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). Where none of systemd's variables is set, nothing
happens, so the agent runs the same from a shell.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import MutableMapping

from facelatch.daemon.worker import Worker
from facelatch.errors import CameraStuckError, ServiceManagerError

_FIRST_FD = 3  # SD_LISTEN_FDS_START
# Systemd advises to give signs of life twice as often as it asks for; half of that leaves one to get lost.
_SIGNS_PER_WATCHDOG = 4


def inherited_sockets(environment: MutableMapping[str, str] = os.environ) -> dict[str, socket.socket]:
    """Take over the listening sockets that systemd made, by the names given in their units (``FileDescriptorName=``).

    The variables are removed, so that no child takes them for its own.

    Raises:
        ServiceManagerError: the variables do not say what they must.
    """
    pid, count, names = (environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()):
        return {}
    found = names.split(":")
    if not count.isdecimal() or int(count) != len(found) or len(set(found)) != len(found):
        raise ServiceManagerError(
            f"systemd hands over {count or 'no'} sockets named {names!r}",
            "use the socket units of the package: one socket and one FileDescriptorName= each",
        )
    sockets = {name: socket.socket(fileno=_FIRST_FD + number) for number, name in enumerate(found)}
    for handed in sockets.values():
        handed.set_inheritable(False)
    return sockets


def notify(state: str) -> None:
    """Tell systemd a state such as ``READY=1``; that nobody listens is no fault of ours."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # A leading @ stands for the zero byte of an abstract address.
    address = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError:
            return


def watchdog_seconds() -> float | None:
    """Return after how many seconds without a sign of life systemd ends us, or None: it does not watch."""
    period = os.environ.get("WATCHDOG_USEC", "")
    if not period.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(period) / 1e6 or None


async def give_signs_of_life(worker: Worker, seconds: float) -> None:
    """Feed systemd's watchdog for ever.

    While nobody looks, that this runs shows that the event loop turns. While somebody does, the worker must also have
    come further since the last sign: a thread stuck in a driver would otherwise look alive for ever. Nor is there a
    sign while the camera's driver is known to hang: a new start is what may cure that.

    Args:
        worker: whose progress counts while it is busy.
        seconds: the watchdog's limit.
    """
    told = -1
    while True:
        steps = worker.steps
        stuck = isinstance(worker.camera_fault, CameraStuckError)
        if not stuck and (not worker.busy or steps != told):
            notify("WATCHDOG=1")
        told = steps
        await asyncio.sleep(seconds / _SIGNS_PER_WATCHDOG)
