"""`Client.run_process`: everything in, everything out, one result or one exception."""

from __future__ import annotations

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_ssh
from tests import pairs


async def test_input_and_both_outputs_and_the_exit_status(autojump_clock):
    async with pairs.connected() as ends:
        with assert_checkpoints():
            result = await ends.client.run_process("echo", input=b"hello")
        assert result == trio_ssh.CompletedProcess("echo", 0, None, b"hello", b"")
        result = await ends.client.run_process("both 300000")
        assert (result.stdout, result.stderr) == (pairs.pattern(300_000, "out"), pairs.pattern(300_000, "err"))
        assert (await ends.client.run_process("hash", input=pairs.pattern(3_000_000))).stdout.decode() == pairs.sha256(
            pairs.pattern(3_000_000)
        )


async def test_a_status_other_than_0_raises_process_failed(autojump_clock):
    async with pairs.connected() as ends:
        with pytest.raises(trio_ssh.ProcessFailed) as caught:
            await ends.client.run_process("exit 7")
        assert (caught.value.command, caught.value.exit_status, caught.value.exit_signal) == ("exit 7", 7, None)
        assert (await ends.client.run_process("exit 7", check=False)).exit_status == 7
        assert (await ends.client.run_process("exit 4294967295", check=False)).exit_status == 2**32 - 1


async def test_ended_by_a_signal(autojump_clock):
    async def handler(session):
        await session.send_all(b"so far")
        await session.exit_by_signal("SEGV", True, "bad pointer\x1b[2J")

    async with pairs.connected(handler) as ends:
        with pytest.raises(trio_ssh.ProcessFailed) as caught:
            await ends.client.run_process("x")
        assert (caught.value.exit_status, caught.value.exit_signal, caught.value.stdout) == (None, "SEGV", b"so far")
        async with ends.client.open_process("x") as process:
            assert await process.wait() is None
            assert process.exit_signal == trio_ssh.ExitSignalReport("SEGV", True, "bad pointer\x1b[2J")
            assert process.exit_status is None


async def test_a_server_that_does_not_say_how_it_ended(autojump_clock):
    async def handler(session):
        await session.send_all(b"so far")
        await session.aclose()

    async with pairs.connected(handler) as ends:
        with pytest.raises(trio_ssh.ProcessFailed, match="without saying how") as caught:
            await ends.client.run_process("x")
        assert (caught.value.exit_status, caught.value.exit_signal, caught.value.stdout) == (None, None, b"so far")


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        (trio_ssh.PIPE, (b"one three", b"two")),
        (trio_ssh.MERGE, (b"one two three", b"")),
        (trio_ssh.DISCARD, (b"one three", b"")),
    ],
    ids=lambda value: value.name if isinstance(value, trio_ssh.Stderr) else "",
)
async def test_what_becomes_of_stderr(autojump_clock, stderr, expected):
    async def handler(session):
        merged = stderr is trio_ssh.MERGE
        await session.send_all(b"one ")
        await session.stderr.send_all(b"two " if merged else b"two")
        await session.send_all(b"three")

    async with pairs.connected(handler) as ends:
        result = await ends.client.run_process("x", stderr=stderr)
        assert (result.stdout, result.stderr) == expected


async def test_discarded_stderr_gives_its_window_back(autojump_clock):
    async with pairs.connected(limits=trio_ssh.Limits(window_bytes=1000, channel_packet_bytes=1000)) as ends:
        result = await ends.client.run_process("stderr 100000", stderr=trio_ssh.DISCARD)
        assert (result.stdout, result.stderr) == (b"", b"")


@pytest.mark.parametrize("window_bytes", [1, 2, 1000, 65536])
async def test_output_that_comes_at_once_and_fills_the_window(autojump_clock, window_bytes):
    """The server's first packets can be here before `run_process` runs again: their window must be given back all the same."""
    limits = trio_ssh.Limits(window_bytes=window_bytes)
    size = min(20 * window_bytes, 200_000)
    async with pairs.connected(limits=limits) as ends:
        for _ in range(10):  # who comes first differs
            result = await ends.client.run_process(f"source {size}")
            assert result.stdout == pairs.pattern(size)
            result = await ends.client.run_process(f"both {size}", stderr=trio_ssh.MERGE)
            assert len(result.stdout) == 2 * size
            assert (await ends.client.run_process(f"stderr {size}")).stderr == pairs.pattern(size)


async def test_a_command_that_reads_no_input_is_no_error(autojump_clock):
    async with pairs.connected(limits=trio_ssh.Limits(window_bytes=1000)) as ends:
        result = await ends.client.run_process("exit 3", input=bytes(1_000_000), check=False)
        assert (result.exit_status, result.stdout) == (3, b"")


async def test_input_output_and_errors_larger_than_all_windows_do_not_wait_for_each_other(autojump_clock):
    async def handler(session):
        async for chunk in session:
            await session.stderr.send_all(chunk)
            await session.send_all(chunk)

    async with pairs.connected(handler, limits=trio_ssh.Limits(window_bytes=5000)) as ends:
        data = pairs.pattern(300_000)
        result = await ends.client.run_process("x", input=data)
        assert (result.stdout, result.stderr) == (data, data)


async def test_variables_and_terminal_reach_the_handler(autojump_clock):
    seen = []

    async def handler(session):
        seen.append((session.command, session.environ, session.terminal, session.username, session.subsystem))

    terminal = trio_ssh.Terminal("vt100", 132, 43)
    async with pairs.connected(handler) as ends:
        await ends.client.run_process("café \udc80", environ={"LC_ALL": "é", "PATH": "/tmp"}, terminal=terminal)
    assert seen == [("café \udc80", {"LC_ALL": "é"}, terminal, "ada", None)]


async def test_many_at_once(autojump_clock):
    results = {}

    async def one(client, number):
        results[number] = (await client.run_process("echo", input=str(number).encode() * 1000)).stdout

    async with pairs.connected(server_limits=trio_ssh.Limits(sessions=100)) as ends, trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(one, ends.client, number)
    assert results == {number: str(number).encode() * 1000 for number in range(100)}


async def test_cancelled_it_closes_the_channel_on_both_sides(autojump_clock):
    cancelled = []

    async def handler(session):
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(session.command)
            raise

    async with pairs.connected(handler) as ends:
        with trio.move_on_after(10) as scope:
            await ends.client.run_process("x", input=b"never read")
        assert scope.cancelled_caught
        await wait_all_tasks_blocked()
        assert cancelled == ["x"]
        assert ends.client.statistics().channels == ()


@pytest.mark.parametrize("stderr", list(trio_ssh.Stderr), ids=lambda stderr: stderr.name)
async def test_flt_29_the_connection_breaks_meanwhile(autojump_clock, stderr):
    """One typed exception, whoever waited for what."""
    wire = pairs.Wire(cut_at=10**9)
    async with pairs.connected(streams=pairs.misbehaving(server=wire), leaves_channels=True) as ends:

        async def cut():
            await trio.sleep(1)
            wire.cut_at = wire.count
            with pytest.raises(trio_ssh.ConnectionLost):
                await ends.client.ping()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            with pytest.raises(trio_ssh.ConnectionLost, match="reset by peer"):
                await ends.client.run_process("sleep", input=b"never read", stderr=stderr)
        with pytest.raises(trio_ssh.ConnectionLost, match="reset by peer"):
            await ends.client.run_process("echo", stderr=stderr)


async def test_the_server_refuses_the_command(autojump_clock):
    async with pairs.connected(server_limits=trio_ssh.Limits(exec_bytes=10)) as ends:
        with pytest.raises(trio_ssh.RequestDenied, match="exec"):
            await ends.client.run_process("a command of more than ten bytes")
        await pairs.check_works(ends.client)
