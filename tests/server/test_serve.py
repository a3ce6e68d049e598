"""`serve_stream`, `serve_listeners`, `serve`: each session, each connection contains its own mishaps (hardening POL-05, TRI-06, TRI-24)."""

from __future__ import annotations

import contextlib
import logging

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.pairs import connecting


class Odd(BaseException):
    """Neither an Exception nor trio's."""


async def raise_value_error(session):
    raise ValueError("a mistake")


async def raise_os_error(session):
    raise OSError(5, "a disk")


async def raise_stop_iteration(session):
    next(iter(()))


async def raise_odd(session):
    raise Odd("odd")


async def raise_group(session):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(raise_value_error, session)
        nursery.start_soon(raise_os_error, session)


async def raise_broken(session):
    """Somebody else's stream, not the session's."""
    raise trio.BrokenResourceError("the database is gone")


async def raise_closed(session):
    raise trio.ClosedResourceError("the database is gone")


async def return_nonsense(session):
    return "done"


MISHAPS = [raise_value_error, raise_os_error, raise_stop_iteration, raise_group, raise_odd, raise_broken, raise_closed, return_nonsense]


@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.__name__)
async def test_tri_06_pol_05_flt_27_a_handlers_mishap_ends_its_session_with_255_and_nothing_else(autojump_clock, caplog, mishap):
    async def handler(session):
        return await (mishap(session) if session.command == "mishap" else pairs.commands(session))

    async with pairs.connected(handler) as ends, ends.client.open_process("echo") as sibling:
        with pytest.raises(trio_ssh.ProcessFailed) as caught:
            await ends.client.run_process("mishap")
        assert caught.value.exit_status == 255
        await sibling.stdin.send_all(b"still here?")
        assert await sibling.stdout.receive_some() == b"still here?"
        await pairs.check_works(ends.client)
        await sibling.stdin.aclose()
        assert await sibling.wait() == 0
    assert [record.levelno for record in caplog.records if record.levelno >= logging.ERROR] == [logging.ERROR]


async def test_a_status_said_before_the_mishap_stands(autojump_clock):
    async def handler(session):
        await session.exit(3)
        raise ValueError

    async with pairs.connected(handler) as ends:
        assert (await ends.client.run_process("x", check=False)).exit_status == 3


async def clean_up_badly(session, started):
    """A nursery whose cleaning up fails while it is being cancelled: Cancelled and a mistake come out in one group."""

    async def child():
        try:
            started.set()
            await trio.sleep_forever()
        finally:
            raise ValueError("cleaning up failed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
        await trio.sleep_forever()


async def test_tri_06_a_mishap_while_the_handler_is_being_cancelled(autojump_clock):
    """The client goes; what goes wrong then in the session's handler is no affair of the other sessions."""
    started = trio.Event()

    async def handler(session):
        if session.command == "bad":
            await clean_up_badly(session, started)
        return await pairs.commands(session)

    async with pairs.connected(handler) as ends:
        async with ends.client.open_process("bad"):
            await started.wait()
        await wait_all_tasks_blocked()
        await pairs.check_works(ends.client)
    assert ends.server_error is None


async def test_a_mishap_while_the_whole_connection_ends(autojump_clock):
    started = trio.Event()
    async with (
        pairs.connected(lambda session: clean_up_badly(session, started), leaves_channels=True) as ends,
        ends.client.open_process("bad"),
    ):
        await started.wait()
        await ends.client.aclose()
    assert ends.server_error is None


async def test_the_handler_is_cancelled_when_its_client_closes_the_channel(autojump_clock):
    ended = []

    async def handler(session):
        try:
            await trio.sleep_forever()
        finally:
            ended.append((session.command, trio.current_time()))

    async with pairs.connected(handler) as ends:
        async with ends.client.open_process("x"):
            pass
        await wait_all_tasks_blocked()
        assert [command for command, _ in ended] == ["x"]


async def test_handlers_are_cancelled_when_the_connection_breaks(autojump_clock):
    ended = []
    wire = pairs.Wire(cut_at=10**9)

    async def handler(session):
        try:
            await trio.sleep_forever()
        finally:
            ended.append(session.command)

    async with pairs.connected(handler, streams=pairs.misbehaving(client=wire), leaves_channels=True) as ends:
        async with ends.client.open_process("one"), ends.client.open_process("two"):
            wire.cut_at = wire.count
            with pytest.raises(trio_ssh.ConnectionLost):
                await ends.client.ping()
            with trio.fail_after(5):
                await ends.server_done.wait()
        assert sorted(ended) == ["one", "two"]
    assert isinstance(ends.server_cause, trio_ssh.ConnectionLost)


async def test_tri_23_cancelling_the_server_ends_handlers_and_tells_the_client(autojump_clock):
    cancelled = []

    async def handler(session):
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(session.command)
            raise

    async with pairs.connected(handler, leaves_channels=True) as ends:
        async with ends.client.open_process("x"):
            ends.server_scope.cancel()
            with pytest.raises(trio_ssh.Disconnected) as caught:
                await ends.client.wait_closed()
            assert caught.value.reason == 11
        assert cancelled == ["x"]


async def test_output_cut_off_by_the_servers_end_is_no_clean_end(autojump_clock):
    """Decision 6: truncation is visible."""
    ready = trio.Event()

    async def handler(session):
        await session.send_all(b"the first half")
        ready.set()
        await trio.sleep_forever()

    async with pairs.connected(handler, leaves_channels=True) as ends:

        async def stop():
            await ready.wait()
            ends.server_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop)
            with pytest.raises((trio_ssh.ConnectionLost, trio_ssh.ProcessFailed)):
                await ends.client.run_process("x")


async def test_tri_06_keyboard_interrupt_passes_through(autojump_clock):
    async def interrupted(session):
        raise KeyboardInterrupt

    client_stream, server_stream = memory_stream_pair()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_plainly, interrupted, server_stream)
            with contextlib.suppress(trio_ssh.SSHError):
                async with connecting(client_stream) as client:
                    await client.run_process("x")
    assert [type(error) for error in leaves(caught.value)] == [KeyboardInterrupt]


def leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


async def serve_plainly(handler, stream, **options):
    await trio_ssh.serve_stream(
        handler,
        stream,
        host_keys=[pairs.HOST_KEY],
        authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
        algorithms=pairs.QUICK,
        **options,
    )


# -- listeners -------------------------------------------------------------------------------------------------------------------------


class MemoryListener(trio.abc.Listener):
    """`connect` gives the client's end of a new connection."""

    def __init__(self):
        self._streams_in, self._streams = trio.open_memory_channel[trio.abc.Stream](0)

    async def connect(self) -> trio.abc.Stream:
        ours, theirs = memory_stream_pair()
        await self._streams_in.send(theirs)
        return ours

    async def accept(self) -> trio.abc.Stream:
        return await self._streams.receive()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def serve_on(listener, handler=pairs.commands, *, task_status=trio.TASK_STATUS_IGNORED, **options):
    options.setdefault("authenticate", trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]))
    await trio_ssh.serve_listeners(
        handler, [listener], host_keys=[pairs.HOST_KEY], algorithms=pairs.QUICK, task_status=task_status, **options
    )


@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.__name__)
async def test_tri_24_a_mishap_in_one_connection_leaves_the_others_and_the_listener(autojump_clock, mishap):
    async def handler(session):
        return await (mishap(session) if session.command == "mishap" else pairs.commands(session))

    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_on, listener, handler)
        async with connecting(await listener.connect()) as other:
            async with connecting(await listener.connect()) as client:
                with contextlib.suppress(trio_ssh.SSHError):
                    await client.run_process("mishap", check=False)
            await pairs.check_works(other)
        async with connecting(await listener.connect()) as client:
            await pairs.check_works(client)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("mishap", [ValueError, OSError, Odd], ids=lambda mishap: mishap.__name__)
async def test_tri_06_a_mishap_in_the_authentication_policy_is_a_refusal(autojump_clock, mishap):
    async def policy(attempt):
        raise mishap("a mistake")

    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: serve_on(listener, authenticate=policy, task_status=task_status))
        with pytest.raises((trio_ssh.AuthenticationFailed, trio_ssh.ConnectionLost)):
            async with connecting(await listener.connect()):
                pytest.fail("let in")
        with pytest.raises((trio_ssh.AuthenticationFailed, trio_ssh.ConnectionLost)):
            async with connecting(await listener.connect()):
                pytest.fail("let in")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("answer", [None, True, 1, "yes", object()], ids=lambda answer: type(answer).__name__)
async def test_tri_06_only_a_verdict_is_a_yes(autojump_clock, answer):
    async def policy(attempt):
        return answer

    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(stream=server_stream, authenticate=policy) as ends:
        with pytest.raises(trio_ssh.AuthenticationFailed):
            async with connecting(client_stream):
                pytest.fail("let in")
    assert isinstance(ends.server_error, trio_ssh.SSHError)


async def test_tri_06_an_observers_mishap_changes_nothing(autojump_clock):
    def observer(event):
        raise ValueError("a mistake of the observer")

    client_stream, server_stream = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve_plainly(pairs.commands, server_stream, observer=observer))
        async with connecting(client_stream, observer=observer) as client:
            await client.rekey()
            await pairs.check_works(client)


async def test_a_server_without_keys_or_with_useless_ones(autojump_clock):
    _, stream = memory_stream_pair()
    with pytest.raises(trio_ssh.LocalProtocolError, match="at least one host key"):
        await trio_ssh.serve_stream(pairs.commands, stream, host_keys=[], authenticate=trio_ssh.AuthorizedKeys.of([]))
    with pytest.raises(trio_ssh.LocalProtocolError, match="none of the host keys"):
        await trio_ssh.serve_stream(
            pairs.commands,
            stream,
            host_keys=[pairs.HOST_KEY],
            authenticate=trio_ssh.AuthorizedKeys.of([]),
            algorithms=trio_ssh.Algorithms(host_keys=("rsa-sha2-512",)),
        )


async def test_res_01_connections_that_are_logging_in_are_limited(autojump_clock):
    listener = MemoryListener()
    limits = trio_ssh.Limits(unauthenticated_connections=2)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: serve_on(listener, limits=limits, task_status=task_status))
        async with connecting(await listener.connect()) as logged_in:
            silent = [await listener.connect() for _ in range(2)]
            await wait_all_tasks_blocked()
            with pytest.raises(trio_ssh.ConnectionLost):
                async with connecting(await listener.connect()):
                    pytest.fail("let in")
            await pairs.check_works(logged_in)
            for stream in silent:
                await stream.aclose()
            await wait_all_tasks_blocked()
            async with connecting(await listener.connect()) as client:
                await pairs.check_works(client)
        nursery.cancel_scope.cancel()
