# SPDX-License-Identifier: Apache-2.0
"""Bytes of the kernel's driver become touches: without bounces, and without what was lost."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from facelatch.hardware.button import EV_KEY, EV_SYN, Contact, EvdevButton, Pressed, Released, Touch
from facelatch.hardware.standin import event

DROPPED = 3


def touches(*edges: tuple[float, int]) -> list[Touch]:
    """Feed key edges (time, down) to a contact."""
    contact = Contact()
    return [touch for time, down in edges if (touch := contact.event(time, EV_KEY, 148, down)) is not None]


def held(*edges: tuple[float, int]) -> list[float]:
    """Return how long each touch was."""
    return [touch.held for touch in touches(*edges) if isinstance(touch, Released)]


def test_a_press_and_its_length() -> None:
    assert touches((5.0, 1), (5.5, 0), (7.0, 1), (13.0, 0)) == [Pressed(), Released(0.5), Pressed(), Released(6.0)]


def test_bounces_on_either_edge_are_one_touch() -> None:
    down = [(1.000, 1), (1.002, 0), (1.004, 1)]
    up = [(1.300, 0), (1.302, 1), (1.304, 0)]
    assert held(*down, *up) == [pytest.approx(0.296)]


def test_a_spike_does_not_make_the_next_press_a_hold() -> None:
    assert held((1.0, 1), (1.01, 0), (9.0, 1), (9.2, 0)) == [pytest.approx(0.2)]


def test_a_repeat_by_the_driver_is_no_press() -> None:
    assert touches((1.0, 1), (1.3, 2), (1.6, 2), (2.0, 0)) == [Pressed(), Released(1.0)]


def test_after_lost_events_a_release_means_nothing() -> None:
    contact = Contact()
    contact.event(1.0, EV_KEY, 148, 1)
    contact.event(1.5, EV_SYN, DROPPED, 0)
    assert contact.event(9.0, EV_KEY, 148, 0) is None
    # Without the loss it would have been a hold.
    contact.event(11.0, EV_KEY, 148, 1)
    assert contact.event(19.0, EV_KEY, 148, 0) == Released(8.0)


def test_a_device_is_read_in_whatever_pieces_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "button"
    os.mkfifo(path)
    data = event(1.0, True) + event(1.5, False)

    async def read() -> list[Touch]:
        found: list[Touch] = []
        descriptor = os.open(path, os.O_RDWR)
        try:
            async with aclosing(EvdevButton(path).touches()) as stream:
                os.write(descriptor, data[:31])
                found.append(await anext(stream))
                os.write(descriptor, data[31:])
                found.append(await anext(stream))
        finally:
            os.close(descriptor)
        return found

    assert asyncio.run(asyncio.wait_for(read(), 60)) == [Pressed(), Released(0.5)]


def test_one_that_is_not_there_says_so(tmp_path: Path) -> None:
    button = EvdevButton(tmp_path / "none")

    async def look() -> None:
        async with aclosing(button.touches()) as stream:
            task = asyncio.create_task(anext(stream))
            while button.fault is None:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(asyncio.wait_for(look(), 60))
    assert "it is not there" in str(button.fault)
