"""Traps of structured concurrency that no other room sets: TRI-02, TRI-03, TRI-19, TRI-21, TRI-28, TRI-29; clocks that jump (FLT-19)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock, assert_checkpoints, memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, RawPeer
from trio_ssh.connection.tap import TAP
from trio_ssh.crypto.packet_key import SealingKey
from trio_ssh.protocol.role import Role
from trio_ssh.wire.numbers import MessageNumber as M

# -- TRI-02: cancelled with a packet half written --------------------------------------------------------------------------------------


class Part(pairs.MisbehavingStream):
    """Of what is sent after `limit` was set, only that many bytes pass; then sending blocks, for `seconds` or for ever."""

    limit: int | None = None
    seconds = float("inf")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        data = bytes(data)
        if self.limit is not None and len(data) > self.limit:
            passed, rest = data[: self.limit], data[self.limit :]
            self.limit = None
            if passed:
                await super().send_all(passed)
            await trio.sleep(self.seconds)
            data = rest
        await super().send_all(data)


@pytest.mark.parametrize("seconds", [float("inf"), 0.5], ids=["for ever", "half a second"])
@pytest.mark.parametrize("accepted", [0, 1, 4, 5, 20, 100, 1000, 5000])
async def test_tri_02_the_connection_is_cancelled_in_mid_packet(autojump_clock, accepted, seconds):
    """The peer sees whole packets and then the end, or half a packet and the end; a DISCONNECT only where the rest has left before it.
    Never a packet that does not open."""
    client_stream, server_stream = memory_stream_pair()
    stream = Part(server_stream, pairs.Wire(), pairs.Wire(), trio.Event())
    stream.seconds = seconds
    raw = RawPeer(client_stream, Role.CLIENT)
    async with pairs.served(stream=stream, authenticate=PASSWORDS) as ends:
        await raw.log_in()
        await raw.open_session("source 100000", window=1 << 20)
        stream.limit = accepted
        await wait_all_tasks_blocked()
        started = trio.current_time()
        ends.server_scope.cancel()
        raw.numbers.clear()
        payloads = await raw.drain()  # raises for a packet that does not open
        assert trio.current_time() - started <= 5
        numbers = [payload[0] for payload in payloads]
        if seconds < 1:
            assert numbers[-1] == M.DISCONNECT
        else:
            assert M.DISCONNECT not in numbers
    assert stream.closed


# -- TRI-03: no number, no nonce twice -------------------------------------------------------------------------------------------------


class Recording:
    """A sealing key that notes the order in which it is used."""

    def __init__(self, key: SealingKey, used: list[int]) -> None:
        self._key = key
        self.used = used
        self.alignment, self.tag_bytes, self.length_is_aligned = key.alignment, key.tag_bytes, key.length_is_aligned

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        self.used.append(sequence_number)
        self._key.seal(view, start, end, sequence_number)


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
async def test_tri_03_p9_numbers_are_used_once_and_in_order(autojump_clock, cipher):
    """50 tasks that send data, ask and are cancelled at random steps, 10,000 packets and more: each packet takes the next number."""
    TAP.set(None)
    used: list[int] = []
    algorithms = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=(cipher,))
    limits = trio_ssh.Limits(sessions=100)
    async with pairs.connected(client_algorithms=algorithms, server_algorithms=algorithms, limits=limits, leaves_channels=True) as ends:
        sealer = ends.client._connection.parts.transport._sealer
        first = sealer.sequence_number
        sealer._key = Recording(sealer._key, used)

        async def talk(number: int) -> None:
            while len(used) < 10_000:
                with trio.move_on_after(0.001 * (number % 7)):
                    async with ends.client.open_process("echo") as process:
                        for size in range(1, 60):
                            await process.stdin.send_all(bytes(size * (number + 1)))
                            await trio.lowlevel.checkpoint()
                await ends.client.ping()

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(talk, number)
    assert used == list(range(first, first + len(used)))
    assert len(used) >= 10_000


# -- TRI-19: other people's threads ----------------------------------------------------------------------------------------------------


async def test_tri_19_a_slow_exchange_does_not_wait_for_other_peoples_threads():
    """Every token of trio's own limiter is taken, as by stuck file operations: slow maths goes on. (Real clock: threads are at work.)"""
    limiter = trio.to_thread.current_default_thread_limiter()
    holders = [object() for _ in range(int(limiter.total_tokens))]
    for holder in holders:
        limiter.acquire_on_behalf_of_nowait(holder)
    try:
        slow = trio_ssh.Algorithms(kex=("diffie-hellman-group14-sha256",))
        with trio.fail_after(60):
            async with pairs.connected(client_algorithms=slow, server_algorithms=slow, never=60) as ends:
                await ends.client.rekey()
                await pairs.check_works(ends.client)
    finally:
        for holder in holders:
            limiter.release_on_behalf_of(holder)


# -- TRI-21: every public call is a checkpoint -----------------------------------------------------------------------------------------


async def test_tri_21_every_call_of_a_client_and_a_process_checkpoints(autojump_clock):
    """Also where there is nothing to wait for."""
    async with pairs.connected(leaves_channels=True) as ends:
        client = ends.client
        calls: list[Callable[[], Awaitable[object]]] = [
            client.ping,
            client.rekey,
            lambda: client.run_process("echo"),
            lambda: client.run_process("exit 3", check=False),
        ]
        for call in calls:
            with assert_checkpoints():
                await call()
        async with client.open_process("echo") as process:
            with assert_checkpoints():
                await process.stdin.send_all(b"")
            with assert_checkpoints():
                await process.stdin.send_all(b"x")
            with assert_checkpoints():
                await process.stdin.wait_send_all_might_not_block()
            await wait_all_tasks_blocked()
            with assert_checkpoints():
                assert await process.stdout.receive_some() == b"x"
            for _ in range(2):
                with assert_checkpoints():
                    await process.stdin.aclose()
            with assert_checkpoints():
                assert await process.stdout.receive_some() == b""
            for _ in range(2):
                with assert_checkpoints():
                    await process.wait()
            for _ in range(2):
                with assert_checkpoints():
                    await process.aclose()
        for _ in range(2):
            with assert_checkpoints():
                await client.aclose()
        with assert_checkpoints():
            await client.wait_closed()


# -- TRI-28: Ctrl-C --------------------------------------------------------------------------------------------------------------------


class InterruptAtStep(trio.abc.Instrument):
    """SIGINT at the n-th turn of any task: trio's handler turns it into a KeyboardInterrupt, wherever that may be."""

    def __init__(self, step: int) -> None:
        self.left = step

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


async def live(streams: list[pairs.MisbehavingStream]) -> None:
    client_stream, server_stream = pairs.misbehaving()
    streams += [client_stream, server_stream]
    async with pairs.connected(streams=(client_stream, server_stream), limits=trio_ssh.Limits(rekey_packets=10)) as ends:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(pairs.check_works, ends.client)


@pytest.mark.parametrize("start", range(1, 12))
def test_tri_28_ctrl_c_at_any_step_ends_cleanly(start):
    """A client, a server, a rekey and three commands in one run, with SIGINT in the midst: a KeyboardInterrupt and nothing else comes out,
    and both streams are closed."""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    interrupted = 0
    for step in range(start, 100_000, 41 + start):
        streams: list[pairs.MisbehavingStream] = []
        interrupt = InterruptAtStep(step)
        try:
            trio.run(live, streams, clock=MockClock(autojump_threshold=0), instruments=[interrupt])
        except KeyboardInterrupt:
            interrupted += 1
        except BaseExceptionGroup as group:
            passing, others = group.split(KeyboardInterrupt)
            assert others is None, others
            assert passing is not None
            interrupted += 1
        assert [stream.closed for stream in streams] in ([True, True], [])
        if interrupt.left > 0:
            break
    assert interrupted >= 5


# -- TRI-29: one run after another -----------------------------------------------------------------------------------------------------


def test_tri_29_two_runs_one_after_another():
    """In one process, and with an exchange in threads, whose limiter belongs to its run. (Real clock.)"""
    slow = trio_ssh.Algorithms(kex=("diffie-hellman-group14-sha256",))

    async def once() -> None:
        async with pairs.connected(client_algorithms=slow, server_algorithms=slow, never=60) as ends:
            await pairs.check_works(ends.client)

    for _ in range(2):
        trio.run(once)


def test_tri_29_importing_starts_nothing():
    """No run, no thread, no file, no socket."""
    program = (
        "import os, threading\n"
        "before = set(os.listdir('/proc/self/fd'))\n"
        "import trio_ssh\n"
        "import trio\n"
        "assert threading.active_count() == 1\n"
        "assert set(os.listdir('/proc/self/fd')) == before\n"
        "async def main(): await trio.lowlevel.checkpoint()\n"
        "trio.run(main); trio.run(main)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# -- FLT-19: clocks --------------------------------------------------------------------------------------------------------------------


def run_on(clock: MockClock, main: Callable[[MockClock], Awaitable[None]]) -> None:
    trio.run(main, clock, clock=clock)


@pytest.mark.parametrize("seconds", [60, 3700, 86_400 * 3])
def test_flt_19_the_machine_was_suspended(seconds):
    """The loop's clock leaps: the hourly rekey comes once, not once for each hour that was missed, and all goes on."""

    async def main(clock: MockClock) -> None:
        async with pairs.connected(never=10**9) as ends:
            await wait_all_tasks_blocked()
            clock.jump(seconds)
            await wait_all_tasks_blocked()
            assert len(ends.rekeys()) == (seconds > 3600)
            await pairs.check_works(ends.client)

    run_on(MockClock(), main)


def test_flt_19_keepalive_decides_after_a_suspension():
    """A peer that is still there answers the one question that is due; one that is gone is given up at the usual bound, not before."""

    async def main(clock: MockClock) -> None:
        limits = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=2)
        wire = pairs.Wire()
        async with pairs.connected(streams=pairs.misbehaving(server=wire), client_limits=limits, leaves_channels=True, never=10**9) as ends:
            await wait_all_tasks_blocked()
            clock.jump(1000)
            await wait_all_tasks_blocked()
            await ends.client.ping()  # alive: the silence was the machine's
            wire.stall_at = wire.count
            clock.autojump_threshold = 0
            started = trio.current_time()
            with pytest.raises(trio_ssh.ConnectionLost, match="keepalive"):
                await ends.client.wait_closed()
            assert 29 <= trio.current_time() - started <= 41

    run_on(MockClock(), main)


def test_flt_19_tri_25_the_wall_clock_is_not_looked_at():
    """It may leap by a year either way, or keep summer time: nothing of the package asks for it in the whole life of a connection, with
    its rekeys by time. (In a child process, whose every call of a clock is noted.)"""
    program = (
        "import sys, time, datetime\n"
        "asked = []\n"
        "def hook(frame, event, argument):\n"
        "    if event == 'c_call' and getattr(argument, '__name__', '') in ('time', 'now', 'utcnow', 'today', 'gmtime', 'localtime'):\n"
        "        file = frame.f_code.co_filename\n"
        "        # What is valid until a day of the calendar is judged by the calendar.\n"
        "        if '/trio_ssh/' in file and not file.endswith('/server/authorized_keys.py'):\n"
        "            asked.append((frame.f_code.co_filename, frame.f_code.co_name, argument))\n"
        "import trio, trio.testing\n"
        "from tests import pairs\n"
        "async def main():\n"
        "    async with pairs.connected() as ends:\n"
        "        await pairs.check_works(ends.client)\n"
        "        await trio.sleep(4000)\n"
        "        await ends.client.rekey()\n"
        "sys.setprofile(hook)\n"
        "trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))\n"
        "sys.setprofile(None)\n"
        "assert not asked, asked\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
