"""`open_process`, `open_shell`, `open_subsystem` and what can be done with a `Process`."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs


async def test_talking_to_a_process(autojump_clock):
    async with pairs.connected() as ends, ends.client.open_process("echo") as process:
        assert process.exit_status is None
        for text in (b"one", b"two", pairs.pattern(100_000)):
            await process.stdin.send_all(text)
            received = bytearray()
            while len(received) < len(text):
                received += await process.stdout.receive_some()
            assert received == text
        await process.stdin.aclose()
        assert await process.stdout.receive_some() == b""
        assert await process.wait() == 0
        assert process.exit_status == 0
        assert process.exit_signal is None
        assert await process.wait() == 0


async def test_iterating_over_output(autojump_clock):
    async with pairs.connected() as ends, ends.client.open_process("both 200000") as process:
        out, err = bytearray(), bytearray()

        async def collect(stream, into):
            async for chunk in stream:
                into.extend(chunk)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect, process.stdout, out)
            nursery.start_soon(collect, process.stderr, err)
        assert bytes(out) == pairs.pattern(200_000, "out")
        assert bytes(err) == pairs.pattern(200_000, "err")


async def test_what_shell_and_subsystem_are_to_the_handler(autojump_clock):
    async def handler(session):
        await session.send_all(repr((session.command, session.subsystem, session.terminal is not None)).encode())

    async def answer(process):
        return (await process.stdout.receive_some()).decode()

    async with pairs.connected(handler) as ends:
        async with ends.client.open_shell() as process:
            assert await answer(process) == "(None, None, False)"
        async with ends.client.open_shell(trio_ssh.Terminal()) as process:
            assert await answer(process) == "(None, None, True)"
        async with ends.client.open_subsystem("sftp") as process:
            assert await answer(process) == "(None, 'sftp', False)"
        async with ends.client.open_process("") as process:
            assert await answer(process) == "('', None, False)"


async def test_signals_and_sizes_reach_the_handler(autojump_clock):
    seen = []

    async def handler(session):
        async with trio.open_nursery() as nursery:

            async def signals():
                async for name in session.signals:
                    seen.append(name)

            async def resizes():
                async for terminal in session.resizes:
                    seen.append((terminal.columns, terminal.rows, terminal.width_pixels, terminal.height_pixels))

            nursery.start_soon(signals)
            nursery.start_soon(resizes)
            async for _ in session:
                pass
            seen.append(session.terminal)
            nursery.cancel_scope.cancel()

    async with pairs.connected(handler) as ends, ends.client.open_shell(trio_ssh.Terminal("vt100", 80, 24)) as process:
        process.send_signal("INT")
        process.send_signal("SIGHUP")
        await wait_all_tasks_blocked()
        process.resize(100, 50, 1000, 500)
        await wait_all_tasks_blocked()
        process.terminate()
        process.kill()
        process.send_break(500)
        await wait_all_tasks_blocked()
        process.resize(101, 50)
        await process.stdin.aclose()
        await process.wait()
        assert process.terminal == trio_ssh.Terminal("vt100", 101, 50)
    assert seen[:5] == ["INT", "HUP", (100, 50, 1000, 500), "TERM", "KILL"]
    assert trio_ssh.Terminal("vt100", 101, 50) in seen


async def test_only_the_newest_size_waits(autojump_clock):
    go = trio.Event()
    seen = []

    async def handler(session):
        await go.wait()
        seen.append(await session.resizes.receive())

    async with pairs.connected(handler) as ends, ends.client.open_shell(trio_ssh.Terminal()) as process:
        for columns in range(1, 1000):
            process.resize(columns, 24)
        await wait_all_tasks_blocked()
        go.set()
        await process.wait()
    assert [terminal.columns for terminal in seen] == [999]


async def test_a_terminal_that_is_not_permitted(autojump_clock):
    client_stream, server_stream = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: trio_ssh.serve_stream(
                pairs.commands,
                server_stream,
                host_keys=[pairs.HOST_KEY],
                authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
                permit_terminal=False,
                accept_env=["GREETING"],
            )
        )
        async with pairs.connecting(client_stream) as client:
            with pytest.raises(trio_ssh.RequestDenied, match="pty-req"):
                async with client.open_shell(trio_ssh.Terminal()):
                    pytest.fail("granted")
            await pairs.check_works(client)


async def test_leaving_the_block_closes_the_channel_whatever_the_body_does(autojump_clock):
    class Mine(Exception):
        pass

    async with pairs.connected() as ends:
        with pytest.raises(Mine):
            async with ends.client.open_process("sleep"):
                raise Mine
        await ends.check_no_channel_is_left()
        with trio.move_on_after(1):
            async with ends.client.open_process("sleep"):
                await trio.sleep_forever()
        await ends.check_no_channel_is_left()
        async with ends.client.open_process("source 10000000"):
            pass
        await ends.check_no_channel_is_left()


async def test_closing_stdout_lets_the_process_go_on(autojump_clock):
    """What still comes is dropped, and its window given back."""
    async with pairs.connected(limits=trio_ssh.Limits(window_bytes=1000)) as ends:
        async with ends.client.open_process("source 100000") as process:
            await process.stdout.aclose()
            with pytest.raises(trio.ClosedResourceError):
                await process.stdout.receive_some()
            assert await process.wait() == 0
        async with ends.client.open_process("stderr 100000") as process:
            assert process.stderr is not None
            await process.stderr.receive_some(10)
            await process.stderr.aclose()
            assert await process.wait() == 0


async def test_tri_11_pain_03_output_that_nobody_reads_holds_its_process_and_no_other(autojump_clock):
    """TRI-11, pain 3: one full channel, and the rest at full speed, rekeys included."""
    async with pairs.connected(limits=trio_ssh.Limits(window_bytes=10_000)) as ends, ends.client.open_process("source 1000000") as stalled:
        await wait_all_tasks_blocked()
        data = pairs.pattern(300_000)
        assert (await ends.client.run_process("echo", input=data)).stdout == data
        await ends.client.rekey()
        await ends.client.ping()
        assert stalled.exit_status is None
        statistics = ends.client.statistics()
        assert [channel.bytes_unread for channel in statistics.channels] == [10_000]
        received = bytearray()
        async for chunk in stalled.stdout:
            received += chunk
        assert received == pairs.pattern(1_000_000)


async def test_merged_output_is_counted_once(autojump_clock):
    async with pairs.connected() as ends, ends.client.open_process("both 1000", stderr=trio_ssh.MERGE) as process:
        assert process.stderr is None
        await wait_all_tasks_blocked()
        assert [channel.bytes_unread for channel in ends.client.statistics().channels] in ([], [2000])
        received = bytearray()
        async for chunk in process.stdout:
            received += chunk
        assert len(received) == 2000


async def test_waiting_and_reading_in_any_order(autojump_clock):
    async with pairs.connected() as ends, ends.client.open_process("source 1000") as process:
        assert await process.wait() == 0
        assert await process.stdout.receive_some(400) == pairs.pattern(1000)[:400]
        assert await process.stdout.receive_some() == pairs.pattern(1000)[400:]
        assert await process.stdout.receive_some() == b""


async def test_tri_22_two_tasks_at_one_end(autojump_clock):
    """TRI-22."""
    async with (
        pairs.connected(limits=trio_ssh.Limits(window_bytes=100)) as ends,
        ends.client.open_process("sleep") as process,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(process.stdin.send_all, bytes(1000))
        nursery.start_soon(process.stdout.receive_some)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await process.stdin.send_all(b"x")
        with pytest.raises(trio.BusyResourceError):
            await process.stdin.wait_send_all_might_not_block()
        with pytest.raises(trio.BusyResourceError):
            await process.stdout.receive_some()
        nursery.cancel_scope.cancel()


async def test_the_process_goes_while_we_send(autojump_clock):
    async with pairs.connected(limits=trio_ssh.Limits(window_bytes=1000)) as ends, ends.client.open_process("exit 9") as process:
        with pytest.raises(trio.BrokenResourceError):
            await process.stdin.send_all(bytes(100_000))
        assert await process.wait() == 9
        with pytest.raises(trio.BrokenResourceError):
            await process.stdin.wait_send_all_might_not_block()
        await process.stdin.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await process.stdin.send_all(b"x")
