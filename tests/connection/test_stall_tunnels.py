"""Stall invariants 11 to 13 and the pains of those who keep tunnels open for weeks (the essay: test_stall_invariants.py)."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.stalling import expect_lost
from tests.raw_peer import PASSWORDS, raw_client
from trio_ssh import RekeyCause
from trio_ssh.testing import Link, SimulatedNetwork
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import ChannelOpen, ChannelRequest, Exec
from trio_ssh.wire.transport import Ignore

WHO = pytest.mark.parametrize("who", ["client_limits", "server_limits", "both"])
DAY = 24 * 3600


def sides(limits: trio_ssh.Limits, who: str) -> dict[str, Any]:
    return {name: limits for name in ("client_limits", "server_limits") if who in (name, "both")}


# -- 11 --------------------------------------------------------------------------------------------------------------------------------


async def test_stall_11_flt_06_pol_07_idle_for_a_day(autojump_clock):
    """Twenty-four rekeys, by either clock, and not a packet beside them: three from each side for each."""
    async with pairs.connected(never=2 * DAY) as ends, ends.client.open_process("echo") as process:
        await process.stdin.send_all(b"in the morning")
        assert await process.stdout.receive_some() == b"in the morning"
        await wait_all_tasks_blocked()
        before = ends.client.statistics()
        await trio.sleep(DAY + 60)
        after = ends.client.statistics()
        assert len(ends.rekeys()) == 24
        assert set(ends.rekeys()) <= {RekeyCause.TIME, RekeyCause.PEER}
        assert (after.packets_sent - before.packets_sent, after.packets_received - before.packets_received) == (72, 72)
        await process.stdin.send_all(b"and the next one")
        assert await process.stdout.receive_some() == b"and the next one"
        await process.stdin.aclose()
        assert await process.wait() == 0
        await pairs.check_works(ends.client)


@WHO
@pytest.mark.parametrize("seconds", [5, 10])
@pytest.mark.parametrize("loaded", [False, True], ids=["idle", "loaded"])
async def test_stall_11_flt_06_by_time(autojump_clock, who, seconds, loaded):
    """Over a link that takes its time, so that the two clocks are never quite the same."""

    async def handler(session: trio_ssh.ServerSession) -> None:
        if loaded:
            for number in range(200):
                await session.send_all(number.to_bytes(1, "big") * 1000)
                await trio.sleep(0.5)
        else:
            await trio.sleep(100)

    streams = SimulatedNetwork(3, link=Link(latency_seconds=0.02, jitter_seconds=0.02)).stream_pair()
    async with pairs.connected(handler, streams=streams, **sides(trio_ssh.Limits(rekey_seconds=seconds), who)) as ends:
        result = await ends.client.run_process("x")
        assert result.stdout == (b"".join(number.to_bytes(1, "big") * 1000 for number in range(200)) if loaded else b"")
        assert abs(len(ends.rekeys()) - 100 / seconds) <= 2
        assert set(ends.rekeys()) <= {RekeyCause.TIME, RekeyCause.PEER}
        await trio.sleep(4)  # a rekey may have begun


# -- 12 --------------------------------------------------------------------------------------------------------------------------------


@WHO
@pytest.mark.parametrize("direction", ["up", "down", "both ways"])
@pytest.mark.parametrize(
    ("rekey_bytes", "size"), [(16, 60_000), (1 << 10, 100_000), (32 << 10, 1 << 20), (128 << 10, 4 << 20), (256 << 10, 8 << 20)]
)
async def test_stall_12_flt_05_bulk_goes_on_past_the_limit_of_a_key(autojump_clock, who, direction, rekey_bytes, size):
    # What lies in the outbox when a budget is spent leaves under the old key: a short outbox makes for many exchanges.
    short = trio_ssh.Limits(out_buffer_bytes=min(rekey_bytes, 32768), channel_packet_bytes=min(32768, max(1000, rekey_bytes)))
    data = pairs.pattern(size)

    async def up() -> None:
        assert (await ends.client.run_process("hash", input=data)).stdout.decode() == hashlib.sha256(data).hexdigest()

    async def down() -> None:
        assert (await ends.client.run_process(f"source {size}")).stdout == data

    async with pairs.connected(limits=short, **sides(attrs.evolve(short, rekey_bytes=rekey_bytes), who)) as ends:
        async with trio.open_nursery() as nursery:
            for way, work in (("up", up), ("down", down)):
                if direction in (way, "both ways"):
                    nursery.start_soon(work)
        assert len(ends.rekeys()) >= 3
        assert set(ends.rekeys()) <= {RekeyCause.SENT, RekeyCause.RECEIVED, RekeyCause.PEER}


# -- 13 --------------------------------------------------------------------------------------------------------------------------------

SLOW_LINK = Link(latency_seconds=0.01, bytes_per_second=1_000_000)


async def seconds_for(client: trio_ssh.Client, size: int) -> float:
    """What it takes to get `size` bytes there and back."""
    started = trio.current_time()
    data = pairs.pattern(size)
    assert (await client.run_process("echo", input=data)).stdout == data
    return trio.current_time() - started


async def test_stall_13_tri_11_pain_03_channels_that_nobody_reads(autojump_clock):
    """Five of them, full both ways; another one is as fast as alone, keepalive and rekeys go on."""
    limits = trio_ssh.Limits(window_bytes=100_000, rekey_bytes=300_000, keepalive_seconds=1, keepalive_misses=1)
    async with pairs.connected(limits=limits, streams=SimulatedNetwork(link=SLOW_LINK).stream_pair()) as ends:
        alone = await seconds_for(ends.client, 2_000_000)
    async with pairs.connected(limits=limits, streams=SimulatedNetwork(link=SLOW_LINK).stream_pair()) as ends:
        async with trio.open_nursery() as nursery:

            async def keep_full(task_status: trio.TaskStatus[None]) -> None:
                async with ends.client.open_process("source 5000000") as process, trio.open_nursery() as inner:
                    inner.start_soon(process.stdin.send_all, bytes(5_000_000))
                    await trio.sleep(2)
                    task_status.started()

            for _ in range(5):
                await nursery.start(keep_full)
            before = len(ends.rekeys())
            beside_others = await seconds_for(ends.client, 2_000_000)
            assert len(ends.rekeys()) > before + 5
            assert beside_others <= alone / 0.9
            assert await ends.client.ping() < 1
            await trio.sleep(3600)
            await ends.client.rekey()
            await pairs.check_works(ends.client)
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def jump(outer: trio_ssh.Client, **options: Any):
    """A client whose stream is a process of `outer`: what ``ssh -J`` does."""
    async with outer.open_process("jump") as process:
        async with pairs.connecting(trio.StapledStream(process.stdin, process.stdout), **options) as inner:
            yield inner


@pytest.mark.parametrize("loaded", [False, True], ids=["idle", "loaded"])
async def test_stall_13_flt_23_the_far_end_of_a_jump_dies_and_the_near_one_lives(autojump_clock, loaded):
    """Its own keepalive notices, while that of the outer connection is content; the outer one goes on."""
    target = SimulatedNetwork()
    near, far = target.stream_pair()

    async def relay(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
        async for chunk in source:
            await sink.send_all(chunk)

    async def jump_host(session: trio_ssh.ServerSession) -> int:
        if session.command != "jump":
            return await pairs.commands(session)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay, session, near)
            nursery.start_soon(relay, near, session)
        return 0

    keepalive = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=2)
    async with pairs.served(stream=far) as inner_ends:
        async with pairs.connected(jump_host, limits=keepalive) as ends:
            with pytest.raises(trio_ssh.ConnectionLost, match="keepalive"):
                async with jump(ends.client, limits=keepalive) as inner:
                    await pairs.check_works(inner)
                    near.stall()
                    far.stall()
                    started = trio.current_time()
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(expect_lost, "keepalive", inner.ping)
                        if loaded:
                            nursery.start_soon(expect_lost, "keepalive", inner.run_process, f"source {10**9}")
                        nursery.start_soon(expect_lost, "keepalive", inner.wait_closed)
                    assert 30 <= trio.current_time() - started <= 41
                    await inner.wait_closed()
            await trio.sleep(1000)
            await ends.client.rekey()
            await pairs.check_works(ends.client)
        inner_ends.server_scope.cancel()


# -- pains -----------------------------------------------------------------------------------------------------------------------------


async def test_pain_04_res_09_what_the_application_has_not_taken_is_the_window_and_no_more(autojump_clock):
    """Credit is given back for what was taken only: a forwarder never holds more of a stream than its window and its outbox."""
    limits = trio_ssh.Limits(window_bytes=50_000, out_buffer_bytes=60_000)
    taken = 0
    go = trio.Event()

    async def handler(session: trio_ssh.ServerSession) -> None:
        nonlocal taken
        await go.wait()
        while data := await session.receive_some(10_000):
            taken += len(data)
            await wait_all_tasks_blocked()
            assert sent_by_client() <= taken + 50_000

    def sent_by_client() -> int:
        """Data, without what packets have beside it."""
        statistics = ends.client.statistics()
        return statistics.bytes_sent - before.bytes_sent - 64 * (statistics.packets_sent - before.packets_sent)

    async with pairs.connected(handler, limits=limits) as ends, ends.client.open_process("x") as process:
        before = ends.client.statistics()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(process.stdin.send_all, bytes(1_000_000))
            await trio.sleep(3000)
            assert 49_000 <= sent_by_client() <= 50_000
            assert ends.client.statistics().bytes_waiting <= 60_000
            go.set()
        await process.stdin.aclose()
        assert await process.wait() == 0
        assert taken == 1_000_000


KEEPALIVE = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=2)


async def test_pain_05_an_empty_window_is_no_sign_of_death(autojump_clock):
    """Nobody reads for ten hours, both ways; both ends ask each other and are content; then everything arrives."""
    go = trio.Event()
    data = pairs.pattern(200_000)

    async def handler(session: trio_ssh.ServerSession) -> None:
        await go.wait()
        async for chunk in session:
            await session.send_all(chunk)

    limits = attrs.evolve(KEEPALIVE, window_bytes=5000)
    async with pairs.connected(handler, limits=limits, never=40_000) as ends, trio.open_nursery() as nursery:

        async def run() -> None:
            assert (await ends.client.run_process("x", input=data)).stdout == data

        nursery.start_soon(run)
        await trio.sleep(36_000)
        go.set()


@pytest.mark.parametrize("says", ["nothing", "something"])
async def test_pain_05_flt_02_flt_03_a_peer_that_takes_nothing_any_more(autojump_clock, says):
    """TCP is alive, and the peer has stopped reading. One that says nothing is dead to the keepalive; one that goes on talking is not, but
    what we write makes no progress for as long, and that is the end as well."""
    raw, server_stream = raw_client(SimulatedNetwork(link=Link(buffer_bytes=65536)).stream_pair())
    ended: list[float] = []

    async def handler(session: trio_ssh.ServerSession) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await session.send_all(bytes(10_000_000))
        ended.append(trio.current_time())

    limits = attrs.evolve(KEEPALIVE, out_buffer_bytes=200_000)
    async with pairs.served(handler, stream=server_stream, authenticate=PASSWORDS, limits=limits, never=50_000) as ends:
        await raw.log_in()
        await raw.send(ChannelOpen("session", 0, 2**31, 32768), ChannelRequest(0, "exec", True, encode(Exec(b"x"))))
        while not ends.server_done.is_set() and trio.current_time() < 2000:
            if says == "something":
                try:
                    await raw.send(Ignore(b"are you there?"))
                except trio.BrokenResourceError:
                    break
            await trio.sleep(1)
        assert ended, "nobody noticed"
        # What lay in the outbox is given the time that a slow link would take, 1 KiB a second.
        assert ended[0] <= 31 + (200_000 + 2 * 65536) / 1024
    assert isinstance(ends.server_cause, trio_ssh.ConnectionLost)


async def test_pain_05_flt_04_a_slow_but_healthy_peer_is_left_alone(autojump_clock):
    """1 KiB a second each way, 50 ms there: a packet takes half a minute, which is longer than the keepalive waits for a word."""
    streams = SimulatedNetwork(link=Link(latency_seconds=0.05, bytes_per_second=1024, buffer_bytes=4096)).stream_pair()
    limits = attrs.evolve(KEEPALIVE, identification_seconds=100, kex_seconds=100, login_seconds=1000)
    async with pairs.connected(limits=limits, streams=streams) as ends:
        data = pairs.pattern(100_000)
        assert (await ends.client.run_process("echo", input=data)).stdout == data
        assert trio.current_time() > 100


async def test_pain_05_flt_04_a_rekey_over_a_slow_loaded_link_is_given_its_time(autojump_clock):
    """10 KB a second each way: our KEXINIT leaves behind a full outbox, the peer's comes behind its own, and that takes longer than a
    minute. The peer is not slow to answer, the link is."""
    streams = SimulatedNetwork(link=Link(latency_seconds=0.05, bytes_per_second=10_000, buffer_bytes=65536)).stream_pair()
    async with pairs.connected(limits=KEEPALIVE, streams=streams) as ends, trio.open_nursery() as nursery:
        nursery.start_soon(seconds_for, ends.client, 3_000_000)
        await trio.sleep(200)
        await ends.client.rekey()
        assert trio.current_time() > 260


async def test_pain_02_pain_01_everything_at_once(autojump_clock):
    """All of it together, on a network that is bad in every way that loses nothing: small pieces, delays, hardly any buffer."""
    for seed in range(3):
        bad = Link(latency_seconds=0.01, jitter_seconds=0.05, buffer_bytes=4096, write_bytes=range(1, 3000), segment_bytes=range(1, 3000))
        streams = SimulatedNetwork(seed, link=bad).stream_pair()
        limits = trio_ssh.Limits(rekey_bytes=20_000, rekey_seconds=7, window_bytes=30_000, keepalive_seconds=5, out_buffer_bytes=20_000)
        async with pairs.connected(limits=limits, streams=streams) as ends:
            async with trio.open_nursery() as nursery:
                for number in range(6):
                    nursery.start_soon(seconds_for, ends.client, 10_000 * number)
                for _ in range(5):
                    await ends.client.rekey()
                    await ends.client.ping()
            await trio.sleep(1)  # a rekey may have begun
