"""What an operation may cost, in counts that are the same on every machine: task switches, packets, calls of the stream, tasks.

Times are measured by ``make bench``, never here. Each bound stands a little above what the code costs today, so that it is met when somebody
puts a task switch, a packet or a call of the stream back into a path that was freed of it. A bound may be lowered after an improvement; before
raising one, read docs/life_of_a_byte.rst and say in the commit what the new cost buys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs

pytestmark = pytest.mark.usefixtures("autojump_clock")

MIB = 1 << 20
BULK_MIB = 16
BLOCK = bytes(256 * 1024)
TIMES = 50
PACKETS_PER_MIB = 32
"""Channel packets of 32 KiB."""


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


async def test_x():
    async with metered() as m:
        with m.measuring() as c:
            await send_bulk(m.client)
        print("up", c[0])
        with m.measuring() as c:
            await receive_bulk(m.client)
        print("down", c[0])
        with m.measuring() as c:
            for _ in range(TIMES): await m.client.run_process("true")
        print("exec", c[0])
        async with m.client.open_process("echo") as p:
            await wait_all_tasks_blocked()
            with m.measuring() as c:
                for _ in range(TIMES):
                    await p.stdin.send_all(b"x"); await p.stdout.receive_some()
            print("echo", c[0])
        with m.measuring() as c:
            for _ in range(5): await m.client.rekey()
            await wait_all_tasks_blocked()
        print("rekey x5", c[0])
        with m.measuring() as c:
            await trio.sleep(1000)
        print("idle 1000 s", c[0])
    ends=[CountingStream(e) for e in memory_stream_pair()]
    with counting() as k:
        async with pairs.connected(handle, streams=(ends[0],ends[1])) as e:
            st=e.client.statistics()
    print("login+close", k, [(x.sends,x.receives) for x in ends], st.packets_sent, st.packets_received)
