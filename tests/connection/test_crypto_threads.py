"""Slow key exchange maths: in a thread, one computation at a time, with a bounded queue before it (hardening RES-07, TRI-18)."""

from __future__ import annotations

import threading

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, raw_client
from trio_ssh import RemoteProtocolError
from trio_ssh.connection.slow_maths import run_in_turn
from trio_ssh.wire.transport import KexEcdhInit


async def test_tri_18_slow_maths_runs_in_a_thread():
    assert await run_in_turn(threading.get_ident, 0) != threading.get_ident()


@pytest.mark.parametrize("queue_max", [0, 2])
async def test_res_07_more_than_the_queue_takes_is_refused(queue_max: int):
    gate = threading.Event()
    done = []

    async def compute() -> None:
        done.append(await run_in_turn(lambda: gate.wait(60), queue_max))

    async with trio.open_nursery() as nursery:
        for _ in range(1 + queue_max):
            nursery.start_soon(compute)
        await wait_all_tasks_blocked()
        with pytest.raises(RemoteProtocolError, match="too many key exchanges") as refusal:
            await run_in_turn(lambda: True, queue_max)
        assert refusal.value.reason == 12
        gate.set()
    assert done == [True] * (1 + queue_max)


async def test_res_07_whoever_is_logged_in_is_not_turned_away():
    gate = threading.Event()
    done = []

    async def compute(queue_max: int | None) -> None:
        done.append(await run_in_turn(lambda: gate.wait(60), queue_max))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(compute, 2)
        await wait_all_tasks_blocked()
        nursery.start_soon(compute, None)
        await wait_all_tasks_blocked()
        gate.set()
    assert done == [True] * 4


async def test_res_07_the_queue_of_a_server_as_its_limits_say():
    """Whoever would be the first to wait gets DISCONNECT 12: too many connections."""
    gate = threading.Event()
    slow = trio_ssh.Algorithms(kex=("diffie-hellman-group16-sha512",))
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, kex=slow.kex)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_in_turn, lambda: gate.wait(60), None)
        async with pairs.served(stream=stream, algorithms=slow, authenticate=PASSWORDS, limits=trio_ssh.Limits(crypto_queue=0)):
            await raw.identify()
            await raw.send_kexinit()
            await raw.wait_for(20)
            await raw.send(KexEcdhInit(bytes([1]) * 400))
            await raw.expect_disconnect(12)
        gate.set()


async def test_tri_18_one_computation_at_a_time():
    gate = threading.Event()
    begun: list[int] = []
    one_began = trio.Event()

    def compute(number: int) -> None:
        begun.append(number)
        trio.from_thread.run_sync(one_began.set)
        gate.wait(60)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(run_in_turn, lambda number=number: compute(number), None)
        await one_began.wait()
        await wait_all_tasks_blocked()
        assert len(begun) == 1
        gate.set()
    assert len(begun) == 3
