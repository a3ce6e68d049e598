"""Whole connections over simulated networks: the faults of long-lived tunnels (hardening §7), half-open, parted, slow."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import raw_server
from trio_ssh import testing
from trio_ssh.testing import ConnectionPair, Link, SimulatedNetwork, open_connection_pair
from trio_ssh.wire.numbers import MessageNumber as M

KEEPALIVE = trio_ssh.Limits(keepalive_seconds=15, keepalive_misses=3)
GIVEN_UP_BY = 15 * 4 + 15 + 1
"""Interval x (count + 1), and what has gone of the interval when the fault begins."""
GIVEN_UP = r"\(keepalive\)|has taken nothing|closed the connection without a DISCONNECT"
TRAFFIC = pairs.pattern(60_000)


async def expect_lost(errors: list[BaseException], function: Callable[..., Awaitable[object]], *arguments: Any) -> None:
    """The call fails because the peer does not answer, or takes nothing any more, or has itself given up."""
    with pytest.raises((trio_ssh.ConnectionLost, trio.BrokenResourceError), match=GIVEN_UP) as caught:
        await function(*arguments)
    errors.append(caught.value)


async def everybody_waits(pair: ConnectionPair, process: trio_ssh.Process, errors: list[BaseException]) -> None:
    """Returns when each of these has been told."""
    client = pair.client
    async with trio.open_nursery() as nursery:
        for call in (process.wait, process.stdout.receive_some, client.wait_closed, client.ping):
            nursery.start_soon(expect_lost, errors, call)
        nursery.start_soon(expect_lost, errors, client.run_process, "echo")


# -- half-open -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["both", "client", "server"])
async def test_flt_01_pain_05_half_open_and_idle(autojump_clock, which):
    """The peer is gone without a word, or what either side sends is swallowed: the keepalive tells everybody who waits, on both sides."""
    network = SimulatedNetwork(link=Link(latency_seconds=0.05))
    streams = network.stream_pair()
    errors: list[BaseException] = []
    async with open_connection_pair(pairs.commands, streams=streams, limits=KEEPALIVE, leaves_channels=True) as pair:
        async with pair.client.open_process("sleep") as process:
            await trio.sleep(1)
            if which == "both":
                network.partition()
            else:
                streams[which == "server"].stall()
            started = trio.current_time()
            with trio.fail_after(GIVEN_UP_BY * 2):  # who hears but is not heard is told by the other side's silence
                await everybody_waits(pair, process, errors)
                await pair.server_done.wait()
            assert trio.current_time() - started >= 60
    assert len({id(error) for error in errors}) == len(errors) == 5
    assert isinstance(pair.server_cause, trio_ssh.ConnectionLost)


@pytest.mark.parametrize("buffer_bytes", [1000, 256 * 1024])
async def test_flt_02_half_open_while_sending(autojump_clock, buffer_bytes):
    """A black hole and a full send buffer: `send_all` wakes with the same error, and leaving takes five seconds at most."""
    network = SimulatedNetwork(link=Link(buffer_bytes=buffer_bytes))
    errors: list[BaseException] = []
    async with open_connection_pair(pairs.commands, network=network, limits=KEEPALIVE, leaves_channels=True) as pair:
        async with pair.client.open_process("sleep") as process:
            network.partition()
            with trio.fail_after(200):
                await expect_lost(errors, process.stdin.send_all, bytes(10_000_000))
            closing = trio.current_time()
            await process.aclose()
            await pair.client.aclose()
            assert trio.current_time() - closing <= 5
        await pair.server_done.wait()


async def test_flt_02_tri_09_leaving_while_nothing_gets_out(autojump_clock):
    """No keepalive, data to send: the block is left within five seconds all the same."""
    network = SimulatedNetwork(link=Link(buffer_bytes=1000))
    async with open_connection_pair(pairs.commands, network=network, leaves_channels=True) as pair:
        network.partition()
        with trio.move_on_after(100) as scope:
            async with pair.client.open_process("sleep") as process:
                await process.stdin.send_all(bytes(10_000_000))
        assert scope.cancelled_caught
        started = trio.current_time()
        await pair.client.aclose()
        assert trio.current_time() - started <= 5
        pair.server_scope.cancel()


async def test_flt_03_pain_05_tcp_alive_and_ssh_stalled(autojump_clock):
    """The peer's host takes all that is sent and its SSH says nothing: answers count, not bytes that could be written."""
    streams = SimulatedNetwork(link=Link(buffer_bytes=10**9)).stream_pair()
    raw, stream = raw_server(streams)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(raw.log_in)
        async with pairs.connecting(stream, limits=KEEPALIVE) as client:
            started = trio.current_time()
            with pytest.raises(trio_ssh.ConnectionLost, match="keepalive"):
                await client.wait_closed()
            assert 60 <= trio.current_time() - started <= GIVEN_UP_BY
    assert streams[1].bytes_received < streams[0].bytes_sent


@pytest.mark.parametrize("direction", ["up", "down", "both"])
async def test_flt_04_pain_05_slow_but_healthy(autojump_clock, direction):
    """1 KiB/s, where a packet of 32 KiB takes half a minute and an answer stands behind it: nobody is given up while bytes move."""
    slow = Link(bytes_per_second=1024, buffer_bytes=8192)
    streams = SimulatedNetwork().stream_pair(
        slow if direction in ("up", "both") else None, slow if direction in ("down", "both") else None
    )
    async with open_connection_pair(pairs.commands, streams=streams, limits=KEEPALIVE) as pair:
        assert (await pair.client.run_process("echo", input=TRAFFIC)).stdout == TRAFFIC
        assert trio.current_time() > 55


# -- partitions ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keepalive", [False, True], ids=["no keepalive", "keepalive"])
@pytest.mark.parametrize("seconds", [1, 10, 60, 600])
@pytest.mark.parametrize("loaded", [False, True], ids=["idle", "loaded"])
async def test_flt_18_a_partition_and_then_it_heals(autojump_clock, seconds, keepalive, loaded):
    """Shorter than the keepalive: it survives and no byte is lost. Longer: both sides end within the bound. Without one: it survives."""
    network = SimulatedNetwork(link=Link(latency_seconds=0.03, bytes_per_second=100_000))
    limits = KEEPALIVE if keepalive else trio_ssh.Limits()
    survives = seconds < 45 or not keepalive
    streams = network.stream_pair()
    results: list[bytes] = []
    # The raw facts first: a connection that ends is an exception of the block where somebody waits in it.
    async with open_connection_pair(pairs.commands, streams=streams, limits=limits, leaves_channels=not survives) as pair:

        async def load() -> None:
            try:
                results.append((await pair.client.run_process("echo", input=TRAFFIC * 5)).stdout)
            except trio_ssh.ConnectionLost:
                assert not survives

        async with trio.open_nursery() as nursery:
            if loaded:
                nursery.start_soon(load)
            await trio.sleep(1)
            network.partition()
            started = trio.current_time()
            if survives:
                await trio.sleep(seconds)
                network.heal()
                await pairs.check_works(pair.client)
                assert trio.current_time() - started < seconds + 30
            else:
                with pytest.raises(trio_ssh.ConnectionLost, match="keepalive"):
                    await pair.client.wait_closed()
                assert trio.current_time() - started <= GIVEN_UP_BY
                await pair.server_done.wait()
                assert trio.current_time() - started <= GIVEN_UP_BY
                assert isinstance(pair.server_cause, trio_ssh.ConnectionLost)
    if survives and loaded:
        assert results == [TRAFFIC * 5]


async def test_flt_18_flt_06_a_partition_over_the_hourly_rekey(autojump_clock):
    """The rekey begins while nothing gets through; it is finished when the network is one again in time, and ends the connection if not."""
    for seconds, survives in ((50, True), (200, False)):
        network = SimulatedNetwork(link=Link(latency_seconds=0.1))
        began = trio.current_time()
        async with open_connection_pair(pairs.commands, network=network, leaves_channels=not survives) as pair:
            await trio.sleep_until(began + 3590)
            network.partition()
            await trio.sleep(seconds)
            network.heal()
            if survives:
                await trio.sleep(60)
                await pairs.check_works(pair.client)
                assert pair.rekeys()
            else:
                with pytest.raises((trio_ssh.ConnectionLost, trio_ssh.RemoteProtocolError)):
                    await pairs.check_works(pair.client)


# -- rekeys on links that take their time ----------------------------------------------------------------------------------------------


async def up_and_down(pair: ConnectionPair, size: int) -> None:
    """Data both ways at once, checked by its hash."""
    data = pairs.pattern(size)
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            result = await pair.client.run_process("hash", input=data)
            assert result.stdout.decode() == hashlib.sha256(data).hexdigest()

        async def receive() -> None:
            assert (await pair.client.run_process(f"source {size}")).stdout == data

        nursery.start_soon(send)
        nursery.start_soon(receive)


SLOW_LINKS = {
    "latency": Link(latency_seconds=0.1),
    "jitter": Link(latency_seconds=0.01, jitter_seconds=0.3, segment_bytes=range(1, 2000)),
    "bandwidth": Link(bytes_per_second=50_000, latency_seconds=0.02),
    "tiny buffers": Link(buffer_bytes=512, latency_seconds=0.01),
    "pieces": Link(segment_bytes=range(1, 50), write_bytes=range(1, 50), buffer_bytes=1000),
}


@pytest.mark.parametrize("who", ["client", "server", "both"])
@pytest.mark.parametrize("link", SLOW_LINKS.values(), ids=SLOW_LINKS)
async def test_flt_05_rekey_by_bytes_under_load_both_ways(autojump_clock, link, who):
    often = trio_ssh.Limits(rekey_bytes=16_384)
    limits = (often if who != "server" else None, often if who != "client" else None)
    async with open_connection_pair(pairs.commands, network=SimulatedNetwork(5, link=link), limits=limits) as pair:
        await up_and_down(pair, 100_000)
        assert len(pair.rekeys()) >= 2


@pytest.mark.parametrize("seconds", [5, 10])
async def test_flt_06_rekey_by_time_over_a_link_with_latency(autojump_clock, seconds):
    limits = trio_ssh.Limits(rekey_seconds=seconds)
    async with open_connection_pair(pairs.commands, network=SimulatedNetwork(link=SLOW_LINKS["latency"]), limits=limits) as pair:
        await trio.sleep(20 * seconds)
        assert len(pair.rekeys()) >= 18
        await pairs.check_works(pair.client)


@pytest.mark.parametrize("seed", range(10))
async def test_flt_07_both_begin_with_random_delays(autojump_clock, seed):
    """One exchange or two, as the delays fall; after each round everything works and the monitor has seen nothing wrong."""
    network = SimulatedNetwork(seed, link=Link(jitter_seconds=0.02, latency_seconds=0.005))
    limits = trio_ssh.Limits(rekeys_per_second=10**6)
    async with open_connection_pair(pairs.commands, network=network, limits=limits) as pair:
        for round_number in range(1, 21):
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(pair.client.rekey)
                    await trio.sleep(network.random.random() * 0.02)
            assert round_number <= len(pair.rekeys()) <= 2 * round_number
        await pairs.check_works(pair.client)


async def test_flt_08_rekey_around_opens_and_closes_on_their_way(autojump_clock):
    """Opens, requests, EOFs, exit statuses and CLOSEs of forty sessions are under way on a slow link while keys change again and again."""
    limits = trio_ssh.Limits(rekey_bytes=3000, sessions=50, rekeys_per_second=10**6)
    async with open_connection_pair(pairs.commands, network=SimulatedNetwork(1, link=SLOW_LINKS["jitter"]), limits=limits) as pair:
        statuses: list[int | None] = []

        async def one(number: int) -> None:
            async with pair.client.open_process(f"exit {number}") as process:
                await process.stdin.aclose()
                statuses.append(await process.wait())

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(one, number)
            for _ in range(5):
                nursery.start_soon(pair.client.ping)
                await pair.client.rekey()
        assert sorted(status for status in statuses if status is not None) == list(range(40))
        assert len(pair.rekeys()) >= 5


async def test_flt_09_a_rekey_begins_while_a_packet_is_half_on_the_wire(autojump_clock):
    """The link takes one byte at a time and holds a hundred: every KEXINIT stands behind a packet that is being written."""
    network = SimulatedNetwork(link=Link(write_bytes=1, buffer_bytes=100))
    async with open_connection_pair(pairs.commands, network=network) as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(up_and_down, pair, 5_000)
            for _ in range(3):
                for _ in range(50):
                    await trio.lowlevel.checkpoint()
                await pair.client.rekey()
        assert len(pair.rekeys()) >= 3


@pytest.mark.parametrize("seed", range(8))
async def test_flt_12_flt_13_flt_14_a_fault_at_a_byte_of_the_seeds_choice(autojump_clock, seed):
    """Cut, stalled or damaged anywhere: one typed error, and nobody is left; the seed names the byte."""
    at = range(6000)
    faults: list[dict[str, Any]] = [{"cut_at": at}, {"cut_at": at, "cut_cleanly": True}, {"stall_at": at}, {"flip_at": at}]
    link = Link(**faults[seed % 4])
    streams = SimulatedNetwork(seed).stream_pair(link if seed % 2 else None, None if seed % 2 else link)
    limits = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=1)
    with pytest.raises((trio_ssh.SSHError, trio.TooSlowError)):
        async with open_connection_pair(pairs.commands, streams=streams, limits=limits, leaves_channels=True) as pair:
            with trio.fail_after(500):
                await pair.client.rekey()
                await pair.client.run_process("echo", input=TRAFFIC)
    await wait_all_tasks_blocked()
    assert [stream.closed for stream in streams] == [True, True]


# -- hosts with names ------------------------------------------------------------------------------------------------------------------


async def test_a_server_with_many_clients_on_one_network(autojump_clock):
    """`serve_listeners` and `connect` over the network's own listeners; one client is cut off, the others do not notice."""
    network = SimulatedNetwork(link=Link(latency_seconds=0.02))
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await trio_ssh.serve_listeners(
                pairs.commands,
                [network.listen("server", 22)],
                host_keys=[testing.HOST_KEY],
                authenticate=trio_ssh.AuthorizedKeys.of([testing.USER_KEY.public_key]),
                limits=KEEPALIVE,
            )

        nursery.start_soon(serve)
        outcomes: dict[str, str] = {}

        async def live(name: str) -> None:
            stream = await network.connect("server", 22, source=name)
            try:
                async with pairs.connecting(stream, limits=KEEPALIVE) as client:
                    await trio.sleep(300)
                    await pairs.check_works(client)
                    outcomes[name] = "well"
            except trio_ssh.ConnectionLost:
                outcomes[name] = "lost"

        await wait_all_tasks_blocked()
        async with trio.open_nursery() as clients:
            for name in ("ada", "ben", "cy"):
                clients.start_soon(live, name)
            await trio.sleep(10)
            network.partition("ben")
        nursery.cancel_scope.cancel()
    assert outcomes == {"ada": "well", "ben": "lost", "cy": "well"}


async def test_a_raw_server_over_a_slow_link(autojump_clock):
    """The handshake's messages arrive one by one, each late."""
    raw, stream = raw_server(SimulatedNetwork(link=Link(latency_seconds=1)).stream_pair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(raw.log_in)
        async with pairs.connecting(stream):
            assert M.USERAUTH_REQUEST in raw.numbers
