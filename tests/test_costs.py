"""What an operation may cost, in counts that are the same on every machine: task switches, packets, calls of the stream, tasks.

Times are measured by ``make bench``, never here. Each bound stands a little above what the code costs today, so that it is met when
somebody puts a task switch, a packet or a call of the stream back into a path that was freed of it. A bound may be lowered after an
improvement; before raising one, read docs/life_of_a_byte.rst and say in the commit what the new cost buys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs

MIB = 1 << 20
BULK_MIB = 16
BLOCK = bytes(256 * 1024)
TIMES = 50
PACKETS_PER_MIB = 32
"""Channel packets are of 32 KiB."""
HANDFUL = 8
"""Packets or calls for opening and closing the channel."""


@attrs.define(eq=False)
class Counts(trio.abc.Instrument):
    """Task switches and new tasks while it is attached."""

    steps: int = 0
    tasks: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.tasks += 1


@contextmanager
def counting() -> Iterator[Counts]:
    counts = Counts()
    trio.lowlevel.add_instrument(counts)
    try:
        yield counts
    finally:
        trio.lowlevel.remove_instrument(counts)


class CountingStream(trio.abc.Stream):
    """Counts the calls that would be system calls on a socket."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.sends = 0
        self.receives = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.sends += 1
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self.receives += 1
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


@attrs.frozen(kw_only=True)
class Cost:
    """What happened between two looks at a pair; sends and receives are calls of the streams."""

    steps: int
    tasks: int
    client_packets: int
    server_packets: int
    client_bytes: int
    client_sends: int
    server_sends: int
    receives: int


@attrs.define(eq=False)
class Meter:
    """A logged-in pair over counting streams."""

    client: trio_ssh.Client
    ends: tuple[CountingStream, CountingStream]

    @contextmanager
    def measuring(self) -> Iterator[list[Cost]]:
        """The list has one `Cost` behind the block."""
        costs: list[Cost] = []
        before, sends, receives = self.client.statistics(), [end.sends for end in self.ends], sum(end.receives for end in self.ends)
        with counting() as counts:
            yield costs
        after = self.client.statistics()
        costs.append(
            Cost(
                steps=counts.steps,
                tasks=counts.tasks,
                client_packets=after.packets_sent - before.packets_sent,
                server_packets=after.packets_received - before.packets_received,
                client_bytes=after.bytes_sent - before.bytes_sent,
                client_sends=self.ends[0].sends - sends[0],
                server_sends=self.ends[1].sends - sends[1],
                receives=sum(end.receives for end in self.ends) - receives,
            )
        )


async def handle(session: trio_ssh.ServerSession) -> int:
    command, _, argument = (session.command or "").partition(" ")
    if command == "sink":
        async for _ in session:
            pass
    elif command == "source":
        for _ in range(int(argument) // len(BLOCK)):
            await session.send_all(BLOCK)
    elif command == "echo":
        async for chunk in session:
            await session.send_all(chunk)
    return 0


@asynccontextmanager
async def metered(limits: trio_ssh.Limits | None = None) -> AsyncIterator[Meter]:
    client_end, server_end = (CountingStream(end) for end in memory_stream_pair())
    async with pairs.connected(handle, streams=(client_end, server_end), limits=limits) as ends:
        await wait_all_tasks_blocked()
        yield Meter(ends.client, (client_end, server_end))


async def send_bulk(client: trio_ssh.Client) -> None:
    async with client.open_process("sink") as process:
        for _ in range(BULK_MIB * MIB // len(BLOCK)):
            await process.stdin.send_all(BLOCK)
        await process.stdin.aclose()
        assert await process.wait() == 0


async def receive_bulk(client: trio_ssh.Client) -> None:
    received = 0
    async with client.open_process(f"source {BULK_MIB * MIB}") as process:
        async for chunk in process.stdout:
            received += len(chunk)
    assert received == BULK_MIB * MIB


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_bulk(direction: str, autojump_clock: trio.testing.MockClock):
    async with metered() as meter:
        with meter.measuring() as costs:
            await (send_bulk if direction == "up" else receive_bulk)(meter.client)
    cost = costs[0]
    sender_packets, receiver_packets = cost.client_packets, cost.server_packets
    sender_sends, receiver_sends = cost.client_sends, cost.server_sends
    if direction == "down":
        sender_packets, receiver_packets = receiver_packets, sender_packets
        sender_sends, receiver_sends = receiver_sends, sender_sends
    assert sender_packets <= BULK_MIB * PACKETS_PER_MIB + HANDFUL  # full packets only
    assert receiver_packets <= BULK_MIB + HANDFUL  # one WINDOW_ADJUST for half a window of 2 MiB
    assert sender_sends <= 4 * BULK_MIB + HANDFUL  # batches of 256 KiB
    assert receiver_sends <= BULK_MIB + HANDFUL
    assert cost.receives <= 5 * BULK_MIB + 2 * HANDFUL
    assert cost.steps <= 36 * BULK_MIB + HANDFUL  # both ends; five for a batch's way, and as many for the memory streams
    assert cost.tasks <= 1


async def test_bytes_around_the_payload(autojump_clock: trio.testing.MockClock):
    async with metered() as meter:
        with meter.measuring() as costs:
            await send_bulk(meter.client)
    around = costs[0].client_bytes - BULK_MIB * MIB
    assert around <= 48 * costs[0].client_packets  # head, padding, tag and the channel's own head


async def test_one_byte_there_and_back(autojump_clock: trio.testing.MockClock):
    async with metered() as meter, meter.client.open_process("echo") as process:
        await wait_all_tasks_blocked()
        with meter.measuring() as costs:
            for _ in range(TIMES):
                await process.stdin.send_all(b"x")
                assert await process.stdout.receive_some() == b"x"
    cost = costs[0]
    assert (cost.client_packets, cost.server_packets) == (TIMES, TIMES)
    assert (cost.client_sends, cost.server_sends) == (TIMES, TIMES)
    assert cost.receives <= 2 * TIMES + 2
    assert cost.steps <= 17 * TIMES
    assert cost.tasks == 0


async def test_a_command(autojump_clock: trio.testing.MockClock):
    async with metered() as meter:
        with meter.measuring() as costs:
            for _ in range(TIMES):
                await meter.client.run_process("true")
    cost = costs[0]
    assert cost.client_packets <= 4 * TIMES  # OPEN, exec, EOF, CLOSE
    assert cost.server_packets <= 5 * TIMES  # CONFIRMATION, SUCCESS, exit-status, EOF, CLOSE
    assert cost.client_sends <= 3 * TIMES
    assert cost.server_sends <= 3 * TIMES
    assert cost.steps <= 40 * TIMES
    assert cost.tasks <= TIMES  # the handler


async def test_a_connection_from_its_first_byte_to_its_last(autojump_clock: trio.testing.MockClock):
    client_end, server_end = (CountingStream(end) for end in memory_stream_pair())
    with counting() as counts:
        async with pairs.connected(handle, streams=(client_end, server_end)) as ends:
            statistics = ends.client.statistics()
    assert statistics.packets_sent <= 6  # KEXINIT, ECDH_INIT, NEWKEYS, EXT_INFO, SERVICE_REQUEST, USERAUTH_REQUEST
    assert statistics.packets_received <= 7  # KEXINIT, ECDH_REPLY, NEWKEYS, EXT_INFO, SERVICE_ACCEPT, USERAUTH_SUCCESS, the host keys
    assert client_end.sends <= 5
    assert server_end.sends <= 5
    assert counts.steps <= 120
    assert counts.tasks <= 8  # each end's writer, reader and supervisor, and on the server's side two that hold the connection


async def test_a_rekey(autojump_clock: trio.testing.MockClock):
    async with metered(trio_ssh.Limits(rekeys_per_second=10**6)) as meter:
        with meter.measuring() as costs:
            for _ in range(TIMES):
                await meter.client.rekey()
            await wait_all_tasks_blocked()
    cost = costs[0]
    assert cost.client_packets == 3 * TIMES  # KEXINIT, ECDH_INIT, NEWKEYS
    assert cost.server_packets == 3 * TIMES
    assert cost.client_sends <= 3 * TIMES
    assert cost.server_sends <= 3 * TIMES
    assert cost.steps <= 44 * TIMES
    assert cost.tasks == 0


async def test_bulk_with_a_rekey_each_mebibyte(autojump_clock: trio.testing.MockClock):
    async with metered(trio_ssh.Limits(rekey_bytes=MIB)) as meter:
        with meter.measuring() as costs:
            await send_bulk(meter.client)
        rekeys = len(meter.client.statistics().rekeys)
    cost = costs[0]
    assert BULK_MIB - 2 <= rekeys <= BULK_MIB + 2
    assert cost.client_packets <= BULK_MIB * PACKETS_PER_MIB + 3 * rekeys + HANDFUL
    assert cost.steps <= 36 * BULK_MIB + 36 * rekeys
    assert cost.tasks <= 1


async def test_an_idle_connection_costs_nothing(autojump_clock: trio.testing.MockClock):
    async with metered() as meter:
        with meter.measuring() as costs:
            await trio.sleep(trio_ssh.Limits().rekey_seconds / 2)
    cost = costs[0]
    assert cost.steps <= 1  # this task's own
    assert (cost.client_packets, cost.server_packets, cost.client_sends, cost.server_sends) == (0, 0, 0, 0)
