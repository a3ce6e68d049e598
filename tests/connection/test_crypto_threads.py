"""Slow key exchange maths: in threads of its own, with a bounded queue before them (hardening RES-07, TRI-18)."""

from __future__ import annotations

import threading

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_ssh import RemoteProtocolError
from trio_ssh.connection.rekey_supervisor import THREADS, _run


async def test_quick_maths_needs_no_thread():
    assert await _run(False, threading.get_ident, 0) == threading.get_ident()


async def test_slow_maths_runs_in_a_thread():
    assert await _run(True, threading.get_ident, 0) != threading.get_ident()


@pytest.mark.parametrize("queue_max", [0, 2])
async def test_res_07_more_than_the_queue_takes_is_refused(queue_max: int):
    gate = threading.Event()
    done = []

    async def compute() -> None:
        done.append(await _run(True, lambda: gate.wait(60), queue_max))

    async with trio.open_nursery() as nursery:
        for _ in range(THREADS + queue_max):
            nursery.start_soon(compute)
        await wait_all_tasks_blocked()
        with pytest.raises(RemoteProtocolError, match="too many key exchanges") as refusal:
            await _run(True, lambda: True, queue_max)
        assert refusal.value.reason == 12
        gate.set()
    assert done == [True] * (THREADS + queue_max)
