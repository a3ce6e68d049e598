"""Hosts, listeners, the weather between them, and that all of it depends on the seed alone."""

from __future__ import annotations

import errno
import math
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from trio_ssh import testing
from trio_ssh.testing import Link, SimulatedListener, SimulatedNetwork, SimulatedStream


async def echo(stream: SimulatedStream) -> None:
    async with stream:
        async for chunk in stream:
            await stream.send_all(chunk)


async def serve_echo(nursery: trio.Nursery, network: SimulatedNetwork, host: str = "server", port: int = 7) -> SimulatedListener:
    listener = network.listen(host, port)
    nursery.start_soon(partial(trio.serve_listeners, echo, [listener]))
    return listener


async def ask(stream: SimulatedStream, data: bytes = b"hello") -> None:
    await stream.send_all(data)
    received = b""
    while len(received) < len(data):
        received += await stream.receive_some()
    assert received == data


# -- connections -----------------------------------------------------------------------------------------------------------------------


async def test_dialling_takes_a_round_trip(autojump_clock):
    network = SimulatedNetwork()
    network.set_link(Link(latency_seconds=1), sender="laptop", receiver="server")
    network.set_link(Link(latency_seconds=2), sender="server", receiver="laptop")
    async with trio.open_nursery() as nursery:
        await serve_echo(nursery, network)
        stream = await network.connect("server", 7, source="laptop")
        assert trio.current_time() == pytest.approx(3)
        assert (stream.local, stream.remote) == ("laptop", "server")
        await ask(stream)
        assert trio.current_time() == pytest.approx(6)
        await network.connect("server", 7, source="neighbour")
        assert trio.current_time() == pytest.approx(6)
        nursery.cancel_scope.cancel()


async def test_where_nobody_listens_or_any_more(autojump_clock):
    network = SimulatedNetwork(link=Link(latency_seconds=1))
    with pytest.raises(ConnectionRefusedError, match="server port 7"):
        await network.connect("server", 7)
    assert trio.current_time() == pytest.approx(2)
    listener = network.listen("server", 7)
    async with listener:
        await network.connect("server", 7)
        with pytest.raises(ConnectionRefusedError):
            await network.connect("server", 8)
        with pytest.raises(ConnectionRefusedError):
            await network.connect("another", 7)
    with pytest.raises(ConnectionRefusedError):
        await network.connect("server", 7)


async def test_ports(autojump_clock):
    network = SimulatedNetwork()
    one, other = network.listen("server"), network.listen("server")
    assert one.port != other.port
    with pytest.raises(OSError, match="in use") as caught:
        network.listen("server", one.port)
    assert caught.value.errno == errno.EADDRINUSE
    assert network.listen("elsewhere", one.port).port == one.port
    await one.aclose()
    again = network.listen("server", one.port)
    await one.aclose()  # it does not take the other's port along
    with pytest.raises(OSError, match="in use"):
        network.listen("server", again.port)


async def test_closing_a_listener(autojump_clock):
    """Who waits for `accept` on either side is told."""
    network = SimulatedNetwork()
    listener = network.listen("server", 7)
    waiting = await network.connect("server", 7)
    await listener.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await waiting.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()
    again = network.listen("server", 7)

    async def accept() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await again.accept()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await wait_all_tasks_blocked()
        await again.aclose()


async def test_more_than_the_backlog_is_refused(autojump_clock):
    network = SimulatedNetwork()
    network.listen("server", 7)
    for _ in range(128):
        await network.connect("server", 7)
    with pytest.raises(ConnectionRefusedError):
        await network.connect("server", 7)


# -- the weather -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 600, 1e6])
async def test_a_partition_loses_nothing(autojump_clock, seconds):
    network = SimulatedNetwork(link=Link(latency_seconds=0.1))
    async with trio.open_nursery() as nursery:
        await serve_echo(nursery, network)
        stream = await network.connect("server", 7)
        await stream.send_all(b"under way ")
        network.partition()
        started = trio.current_time()
        await stream.send_all(b"and behind")
        with trio.move_on_after(seconds) as scope:
            await stream.receive_some()
        assert scope.cancelled_caught
        network.heal()
        received = b""
        while len(received) < 20:
            received += await stream.receive_some()
        assert received == b"under way and behind"
        assert trio.current_time() - started == pytest.approx(seconds + 0.2)
        nursery.cancel_scope.cancel()


async def test_a_partition_is_between_hosts(autojump_clock):
    network = SimulatedNetwork()
    async with trio.open_nursery() as nursery:
        await serve_echo(nursery, network)
        await serve_echo(nursery, network, "mirror")
        to_server, to_mirror = await network.connect("server", 7), await network.connect("mirror", 7)
        others = await network.connect("server", 7, source="neighbour")
        late = 0

        async def works(stream: SimulatedStream) -> bool:
            with trio.move_on_after(1):
                await ask(stream)
                return True
            # What was sent comes once it is one network again, and would be taken for a later answer.
            nonlocal late
            late += 1
            return False

        network.partition("client", "server")
        assert [await works(stream) for stream in (to_server, to_mirror, others)] == [False, True, True]
        network.partition("mirror")
        assert [await works(stream) for stream in (to_mirror, others)] == [False, True]
        network.heal("server", "client")
        assert await to_server.receive_some() == b"hello"
        assert [await works(stream) for stream in (to_server, to_mirror, others)] == [True, False, True]
        network.heal()
        await wait_all_tasks_blocked()
        assert await to_mirror.receive_some() == b"hello" * 2
        assert late == 3
        nursery.cancel_scope.cancel()


async def test_dialling_waits_for_the_end_of_a_partition(autojump_clock):
    network = SimulatedNetwork()
    async with trio.open_nursery() as nursery:
        await serve_echo(nursery, network)
        network.partition("server")
        with trio.move_on_after(100) as scope:
            await network.connect("server", 7)
        assert scope.cancelled_caught

        async def heal() -> None:
            await trio.sleep(50)
            network.heal("server")

        nursery.start_soon(heal)
        await ask(await network.connect("server", 7))
        assert trio.current_time() == pytest.approx(150)
        nursery.cancel_scope.cancel()


async def test_a_connection_made_inside_a_partition_is_parted(autojump_clock):
    network = SimulatedNetwork()
    network.partition()
    one, other = network.stream_pair()
    await one.send_all(b"x")
    with trio.move_on_after(9) as scope:
        await other.receive_some()
    assert scope.cancelled_caught
    network.heal()
    assert await other.receive_some() == b"x"


async def test_links_of_open_connections_change_too(autojump_clock):
    network = SimulatedNetwork()
    one, other = network.stream_pair()
    network.set_link(Link(latency_seconds=5))
    await one.send_all(b"x")
    assert await other.receive_some() == b"x"
    assert trio.current_time() == pytest.approx(5)
    network.set_link(Link(latency_seconds=1), sender="server", receiver="client")
    await other.send_all(b"x")
    assert await one.receive_some() == b"x"
    assert trio.current_time() == pytest.approx(6)
    with pytest.raises(trio_ssh.LocalProtocolError, match="both hosts"):
        network.set_link(Link(), sender="server")


# -- the seed --------------------------------------------------------------------------------------------------------------------------

WILD = Link(latency_seconds=0.01, jitter_seconds=0.05, bytes_per_second=50_000, segment_bytes=range(1, 700), write_bytes=range(1, 2000))


async def talk(network: SimulatedNetwork) -> list[testing.Passage]:
    """Three clients of an echo server, all at once, over wild links."""
    network.set_link(WILD)
    async with trio.open_nursery() as nursery:
        await serve_echo(nursery, network)

        async def live(name: str) -> None:
            stream = await network.connect("server", 7, source=name)
            async with stream:
                for _ in range(3):
                    await ask(stream, network.random.randbytes(3000))

        async with trio.open_nursery() as clients:
            for name in ("ada", "ben", "cy"):
                clients.start_soon(live, name)
        nursery.cancel_scope.cancel()
    return list(network.transcript)


def test_the_same_seed_gives_the_same_transcript_and_another_seed_another():
    found = {seed: testing.simulate(talk, seed=seed) for seed in range(4)}
    assert all(testing.simulate(talk, seed=seed) == transcript for seed, transcript in found.items())
    assert len({tuple(transcript) for transcript in found.values()}) == 4
    for transcript in found.values():
        assert sum(passage.size for passage in transcript) == 3 * 3 * 3000 * 2
        assert [passage.seconds for passage in transcript] == sorted(passage.seconds for passage in transcript)


async def ssh_over(network: SimulatedNetwork) -> tuple[list[testing.Passage], str]:
    """A login, a rekey and a command; what is drawn by cryptography has no say in sizes or times."""

    async def handler(session: trio_ssh.ServerSession) -> int:
        async for chunk in session:
            await session.send_all(chunk)
        return 0

    network.set_link(WILD)
    limits = trio_ssh.Limits(rekey_bytes=5000)
    async with testing.open_connection_pair(handler, network=network, limits=limits) as pair:
        result = await pair.client.run_process("x", input=bytes(20_000))
        assert result.stdout == bytes(20_000)
        events = [type(event).__name__ for event in pair.client_events]
    return list(network.transcript), " ".join(events)


def test_a_whole_ssh_connection_is_the_same_under_the_same_seed():
    first, second, other = (testing.simulate(ssh_over, seed=seed) for seed in (7, 7, 8))
    assert first == second
    assert first[0] != other[0]
    assert len(first[0]) > 100


def test_it_says_its_seed():
    assert repr(SimulatedNetwork(91)) == "SimulatedNetwork(seed=91)"


async def test_the_transcript_is_bounded(autojump_clock):
    network = SimulatedNetwork(link=Link(segment_bytes=1, buffer_bytes=math.inf), passages=10)
    one, other = network.stream_pair()
    await one.send_all(bytes(50))
    await one.aclose()
    assert len([chunk async for chunk in other]) == 50
    assert network.transcript == type(network.transcript)([testing.Passage(0, "client", "server", 1)] * 10)
