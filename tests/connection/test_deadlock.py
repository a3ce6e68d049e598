"""Nobody waits for somebody who waits for him: both ends send all they can over streams that hold little (hardening TRI-11 to TRI-14)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.stalling import all_of, send_all_of
from tests.wires import Streams
from trio_ssh.connection.channel import Channel
from trio_ssh.testing import Link, SimulatedNetwork


def narrow_pair() -> Streams:
    """Streams that hold 4 KiB: a sender waits until they are taken."""
    return SimulatedNetwork(link=Link(buffer_bytes=4096)).stream_pair()


STREAMS = pytest.mark.parametrize("make_streams", [lockstep_stream_pair, narrow_pair], ids=["lockstep", "narrow"])


@STREAMS
async def test_tri_13_two_of_us_flood_each_other_with_questions_and_data(autojump_clock, make_streams):
    """TRI-13: it completes; neither reader ever waits for its own answers to leave."""
    data = pairs.pattern(200_000)
    async with pairs.muxes(streams=make_streams()) as ends:
        assert ends.server.mux is not None
        async with trio.open_nursery() as nursery:
            ours, theirs = await ends.channel()
            for one, other in ((ours, theirs), (theirs, ours)):
                nursery.start_soon(send_all_of, one, data)
                nursery.start_soon(all_of, other, data)
            for mux in (ends.client_mux, ends.server.mux):
                for _ in range(300):
                    nursery.start_soon(mux.probe)
            for channel in (ours, theirs):
                for _ in range(300):
                    nursery.start_soon(expect_refusal, channel)


async def expect_refusal(channel: Channel) -> None:
    with pytest.raises(trio_ssh.RequestDenied):
        await channel.request("nobody-knows@test", bytes(100))


@STREAMS
async def test_tri_11_pain_03_one_channel_stands_still_and_the_others_do_not(autojump_clock, make_streams):
    """TRI-11: a full window on one channel, both ways; data, opens, questions and rekeys go on around it."""
    limits = trio_ssh.Limits(window_bytes=30_000, rekey_bytes=20_000)
    async with pairs.connected(limits=limits, streams=make_streams()) as ends:
        async with ends.client.open_process("sleep") as full, trio.open_nursery() as nursery:
            nursery.start_soon(full.stdin.send_all, bytes(100_000))
            async with ends.client.open_process("source 100000"):
                await wait_all_tasks_blocked()
                data = pairs.pattern(100_000)
                assert (await ends.client.run_process("echo", input=data)).stdout == data
                await ends.client.rekey()
                await ends.client.ping()
            nursery.cancel_scope.cancel()
        assert len(ends.rekeys()) > 3


@STREAMS
@pytest.mark.parametrize("who", ["client", "server"])
async def test_flt_02_leaving_while_everything_is_full(autojump_clock, make_streams, who):
    """Both ends send as much as they can and nobody reads: whoever leaves is out in time, and so is the other one (FLT-02, FLT-26)."""

    async def handler(session):
        await session.send_all(bytes(50_000_000))

    started = trio.current_time()
    async with pairs.connected(handler, streams=make_streams(), leaves_channels=True) as ends:
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(send_for_ever, ends.client)
        if who == "server":
            ends.server_scope.cancel()
            with trio.fail_after(10), pytest.raises(trio_ssh.ConnectionLost):
                await ends.client.wait_closed()
    assert trio.current_time() - started <= 20


async def send_for_ever(client: trio_ssh.Client) -> None:
    async with client.open_process("x") as process:
        await process.stdin.send_all(bytes(50_000_000))
