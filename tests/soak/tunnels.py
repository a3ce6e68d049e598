"""FLT-30 scaled down: fifty channels on ten connections over real sockets for as long as there is time, with faults (hardening FLT-30).

Every channel echoes what it is sent, of random length and in random pieces, and is closed; then another one is opened. Keys change every 1
to 16 MiB, every few seconds, and when asked. Between client and server is a relay that pauses, cuts and swallows connections; one that it
did nothing to must never fail, and whatever arrives must be what was sent.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter

import attrs
import trio

import trio_ssh
from tests import pairs
from tests.soak.findings import Deadline, Findings, Memory, connections_alive, objects_alive, reason
from tests.soak.proxy import FaultyProxy
from tests.support import holdings, leaks_since

CONNECTIONS = 10
CHANNELS_EACH = 5
LIMITS = trio_ssh.Limits(rekey_bytes=4 << 20, keepalive_seconds=1, keepalive_misses=2)
BLACK_HOLE_SECONDS = 15.0
"""Longer than the keepalive needs."""
BLOCK = pairs.pattern(4 << 20)
MIB = 1 << 20
GROWTH_MAX = 24 * MIB
"""From the middle to the end: channels and buffers come and go. One channel that stayed would cost its window each time."""
LONG_ENOUGH_FOR_A_SLOPE = 600
TYPED = (trio_ssh.SSHError, trio.BrokenResourceError, trio.ClosedResourceError, OSError)


@attrs.define(eq=False)
class Tunnels:
    """What all the tasks count together."""

    seed: int
    findings: Findings
    deadline: Deadline
    counts: Counter[str] = attrs.field(factory=Counter)

    async def keep_open(self, number: int, proxy: FaultyProxy, port: int) -> None:
        """One connection after another, each until it is lost or the time is over."""
        chance = random.Random(f"{self.seed} {number}")
        while not self.deadline.is_over and not self.findings.hopeless:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            local_port = stream.socket.getsockname()[1]
            try:
                limits = attrs.evolve(LIMITS, rekey_bytes=chance.randint(MIB, 16 * MIB), rekey_seconds=chance.uniform(2, 20))
                async with pairs.connecting(stream, limits=limits, observer=self._note) as client:
                    await self._use(client, chance)
                self.counts["connections"] += 1
            except TYPED as error:
                if local_port not in proxy.lost:
                    self.findings.failed(f"connection {number} was lost, and nothing had been done to it: {reason(error)}")
                self.counts["reconnected"] += 1
                await trio.sleep(chance.random())

    def _note(self, event: trio_ssh.Event) -> None:
        if isinstance(event, trio_ssh.KeyExchangeDone) and event.cause is not trio_ssh.RekeyCause.FIRST:
            self.counts["rekeys"] += 1

    async def _use(self, client: trio_ssh.Client, chance: random.Random) -> None:
        """Until the time is over. Raises one of `TYPED` when the connection is gone."""
        lost: list[Exception] = []

        async def worker(number: int) -> None:
            own = random.Random(f"{chance.random()} {number}")
            try:
                while not self.deadline.is_over:
                    await self._echo(client, own)
                    await trio.sleep(own.expovariate(20))
                    if own.random() < 0.1:
                        await client.rekey()
                    if own.random() < 0.1:
                        await client.ping()
            except TYPED as error:
                lost.append(error)  # the others meet it too: a group of them would tell no more
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for number in range(CHANNELS_EACH):
                nursery.start_soon(worker, number)
        if lost:
            raise lost[0]

    async def _echo(self, client: trio_ssh.Client, chance: random.Random) -> None:
        size = int(10 ** chance.uniform(0, 6.5))
        start = chance.randrange(len(BLOCK))
        abandoned = chance.random() < 0.05
        received = 0
        async with client.open_process("echo") as process, trio.open_nursery() as nursery:
            nursery.start_soon(self._feed, process.stdin, start, size, chance)
            try:
                async for chunk in process.stdout:
                    if chunk != expected(start + received, len(chunk)):
                        self.counts["mismatches"] += 1
                        self.findings.failed(f"wrong bytes behind {received} of {size}")
                    received += len(chunk)
                    if abandoned and received > size // 2:
                        nursery.cancel_scope.cancel()
                        break
                if not abandoned and received != size:
                    self.findings.failed(f"an end of file behind {received} of {size} bytes")
            except trio.BrokenResourceError:
                nursery.cancel_scope.cancel()
        if client_is_gone := process.exit_status is None and not abandoned:
            await client.ping()
        self.counts["channels"] += 1
        self.counts["bytes"] += received
        assert not client_is_gone, "a stream broke on a connection that works"

    async def _feed(self, stdin: trio.abc.SendStream, start: int, size: int, chance: random.Random) -> None:
        sent = 0
        try:
            while sent < size:
                piece = min(size - sent, int(10 ** chance.uniform(0, 6)))
                await stdin.send_all(expected(start + sent, piece))
                sent += piece
            await stdin.aclose()
        except trio.BrokenResourceError:
            pass  # who reads is told as well


def expected(start: int, size: int) -> bytes:
    """`BLOCK` goes round and round."""
    start %= len(BLOCK)
    found = BLOCK[start : start + size]
    while len(found) < size:
        found += BLOCK[: size - len(found)]
    return found


def run(seconds: float, seed: int) -> Findings:
    findings = Findings("tunnels over sockets (FLT-30)")
    tunnels = Tunnels(seed, findings, Deadline(seconds))
    before = holdings()
    memory = Memory()

    async def main() -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(serve, tunnels._note)
            proxy = FaultyProxy(("127.0.0.1", listeners[0].socket.getsockname()[1]), random.Random(seed))
            port = await nursery.start(proxy.serve)
            async with trio.open_nursery() as clients:
                for number in range(CONNECTIONS):
                    clients.start_soon(tunnels.keep_open, number, proxy, port)
                clients.start_soon(weather, proxy, clients)
            findings.facts["faults"] = ", ".join(f"{kind} {count}" for kind, count in sorted(proxy.faults.items()))
            nursery.cancel_scope.cancel()
        left = trio.lowlevel.current_statistics().tasks_living - tasks
        if left:
            findings.failed(f"{left} tasks were left")

    async def weather(proxy: FaultyProxy, nursery: trio.Nursery) -> None:
        for second in itertools.count():
            if tunnels.deadline.is_over:
                return
            memory.sample(tunnels.deadline.passed)
            # The first third is for warming up without faults; then one every two seconds.
            if second % 2 and tunnels.deadline.passed > seconds / 3 and tunnels.deadline.passed < seconds - 5:
                await proxy.misbehave(nursery, BLACK_HOLE_SECONDS)
            await trio.sleep(1)

    trio.run(warm_up)
    objects = objects_alive()
    trio.run(main)
    counts = tunnels.counts
    objects = objects_alive() - objects
    findings.facts["channels"] = f"{counts['channels']}, {CONNECTIONS * CHANNELS_EACH} at once on {CONNECTIONS} connections"
    findings.facts["bytes"] = f"{counts['bytes'] / MIB:.0f} MiB there and back, mismatches {counts['mismatches']}"
    findings.facts["rekeys"] = f"{counts['rekeys']}, as both ends have counted them"
    findings.facts["lost and dialled again"] = counts["reconnected"]
    hourly = f" ({memory.slope * 3600 / MIB:+.0f} MiB an hour)" if seconds >= LONG_ENOUGH_FOR_A_SLOPE else ""
    findings.facts["resident memory"] = f"{memory.quarters}, {memory.growth / MIB:+.1f} MiB from the middle on{hourly}"
    if memory.growth > GROWTH_MAX:
        findings.failed(f"memory grew by {memory.growth / MIB:.1f} MiB from the middle on")
    findings.facts["objects left over"] = objects
    if objects > 1000 + counts["channels"] / 20:
        findings.failed(f"{objects} objects were left over")
    if leaks := leaks_since(before, 3):
        findings.failed(f"left behind: {', '.join(leaks)}")
    if alive := connections_alive():
        findings.failed(f"{alive} connections are still referred to")
    return findings


async def warm_up() -> None:
    """What is made at the first use, and kept, is no leak."""
    async with pairs.connected() as ends:
        await pairs.check_works(ends.client)
        await ends.client.rekey()


async def serve(observer: trio_ssh.Observer, *, task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
    await trio_ssh.serve(
        pairs.commands,
        0,
        host="127.0.0.1",
        host_keys=[pairs.HOST_KEY],
        authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
        algorithms=pairs.QUICK,
        limits=LIMITS,
        observer=observer,
        task_status=task_status,
    )
