"""One root cause is one exception, whoever waited; what the user's own code raises comes out as it is.

Hardening TRI-07, TRI-08, TRI-26, TRI-28.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs


def breakable() -> tuple[tuple[pairs.MisbehavingStream, pairs.MisbehavingStream], pairs.Wire]:
    wire = pairs.Wire(cut_at=10**9)
    return pairs.misbehaving(server=wire), wire


async def break_it(client: trio_ssh.Client, wire: pairs.Wire) -> None:
    wire.cut_at = wire.count
    with pytest.raises(trio_ssh.ConnectionLost):
        await client.ping()


async def test_tri_07_twenty_calls_wait_when_the_connection_is_cut(autojump_clock):
    """Each gets one typed exception of its own, with the same first cause."""
    streams, wire = breakable()
    errors: list[BaseException] = []

    async def expect(call):
        try:
            await call()
        except Exception as error:
            errors.append(error)
        else:
            pytest.fail("raised nothing")

    async with pairs.connected(streams=streams, limits=trio_ssh.Limits(window_bytes=1000), leaves_channels=True) as ends:
        client = ends.client
        async with client.open_process("sleep") as process, client.open_process("sleep") as other, trio.open_nursery() as nursery:
            assert process.stderr is not None
            assert other.stderr is not None
            for call in (
                lambda: client.run_process("sleep"),
                lambda: client.run_process("sleep 2"),
                client.wait_closed,
                client.wait_closed,
                process.wait,
                process.wait,
                other.wait,
                lambda: process.stdin.send_all(bytes(5000)),
                lambda: other.stdin.send_all(bytes(5000)),
                process.stdout.receive_some,
                process.stderr.receive_some,
                other.stdout.receive_some,
                other.stderr.receive_some,
            ):
                nursery.start_soon(expect, call)
            await wait_all_tasks_blocked()
            wire.cut_at = wire.count
            pings, rekeys = [client.ping] * 3, [client.rekey] * 3
            for late_call in (*pings, *rekeys, lambda: client.run_process("x")):
                nursery.start_soon(expect, late_call)
    assert len(errors) == 20
    assert len({id(error) for error in errors}) == 20
    assert {type(error) for error in errors} == {trio_ssh.ConnectionLost, trio.BrokenResourceError}
    roots = {id(root(error)) for error in errors}
    assert len(roots) == 1


def root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


async def test_tri_07_a_call_on_a_connection_that_is_gone_names_the_first_cause(autojump_clock):
    streams, wire = breakable()
    async with pairs.connected(streams=streams, leaves_channels=True) as ends:
        client = ends.client
        await break_it(client, wire)
        for call in (client.ping, client.rekey, lambda: client.run_process("x"), client.wait_closed):
            with pytest.raises(trio_ssh.ConnectionLost, match="reset by peer"):
                await call()
        with pytest.raises(trio_ssh.ConnectionLost, match="reset by peer"):
            async with client.open_process("x"):
                pytest.fail("opened")


async def test_after_closing_it_ourselves_every_call_says_so(autojump_clock):
    async with pairs.connected(leaves_channels=True) as ends:
        client = ends.client
        async with client.open_process("sleep") as process:
            await client.aclose()
            await client.wait_closed()
            for call in (client.ping, client.rekey, lambda: client.run_process("x"), process.wait):
                with pytest.raises(trio_ssh.ConnectionLost, match="closed"):
                    await call()
            with pytest.raises(trio.BrokenResourceError):
                await process.stdin.send_all(b"x")
            with pytest.raises(trio.BrokenResourceError):
                await process.stdout.receive_some()
        await client.aclose()


class Mine(Exception):
    """The user's."""


@pytest.mark.parametrize("error", [Mine, KeyboardInterrupt, SystemExit, ExceptionGroup], ids=lambda error: error.__name__)
@pytest.mark.parametrize("broken", [False, True], ids=["alive", "broken"])
async def test_tri_07_what_the_body_raises_comes_out_as_it_is(autojump_clock, error, broken):
    raised = error("mine", [Mine()]) if error is ExceptionGroup else error("mine")
    streams, wire = breakable()
    async with pairs.served(stream=streams[1]):
        with pytest.raises(error) as caught:
            async with pairs.connecting(streams[0]) as client, client.open_process("sleep"):
                if broken:
                    await break_it(client, wire)
                raise raised
        assert caught.value is raised


async def test_tri_07_the_body_fails_in_the_very_step_in_which_the_connection_does(autojump_clock):
    """Whatever the order of things: the body's own exception comes out, and nothing else."""
    for steps in range(40):
        streams, wire = breakable()
        async with pairs.served(stream=streams[1]):
            with pytest.raises(Mine):
                async with pairs.connecting(streams[0]) as client:
                    wire.cut_at = wire.count
                    async with trio.open_nursery(strict_exception_groups=True) as nursery:
                        nursery.start_soon(lost_or_cancelled, client.ping)
                        for _ in range(steps):
                            await trio.lowlevel.checkpoint()
                        nursery.cancel_scope.cancel()
                    raise Mine


async def lost_or_cancelled(function):
    try:
        await function()
    except trio_ssh.ConnectionLost:
        pass


@pytest.mark.parametrize("callback", ["host key check", "password", "key types"])
async def test_tri_06_tri_07_an_error_in_the_users_callback(autojump_clock, callback):
    """A host key policy or a credential that raises: that exception, alone, out of `connect`."""

    class Policy:
        async def check(self, host, port, key):
            raise Mine

        async def key_types(self, host, port):
            return ()

    class Early(Policy):
        async def key_types(self, host, port):
            raise Mine

    async def ask():
        raise Mine

    all_options: dict[str, dict[str, Any]] = {
        "host key check": {"host_keys": Policy()},
        "password": {"credentials": [trio_ssh.Password(ask)]},
        "key types": {"host_keys": Early()},
    }
    options = all_options[callback]
    client_stream, server_stream = pairs.misbehaving()
    async with pairs.served(stream=server_stream, authenticate=trio_ssh.Passwords(nobody)) as ends:
        with pytest.raises(Mine):
            async with pairs.connecting(client_stream, **options):
                pytest.fail("connected")
        if callback == "key types":
            # Nothing was begun: the stream is still the caller's.
            ends.server_scope.cancel()
        else:
            assert client_stream.closed


async def nobody(username, password):
    return False


async def test_tri_07_tri_08_cancelled_while_the_error_is_on_its_way(autojump_clock):
    """A cancellation and a lost connection at once: one of the two, never a group of both."""
    for steps in range(40):
        streams, wire = breakable()
        async with pairs.served(stream=streams[1]):
            with trio.CancelScope() as scope:
                try:
                    async with pairs.connecting(streams[0]) as client:
                        wire.cut_at = wire.count

                        async def cancel_soon(scope=scope, steps=steps):
                            for _ in range(steps):
                                await trio.lowlevel.checkpoint()
                            scope.cancel()

                        async with trio.open_nursery() as nursery:
                            nursery.start_soon(cancel_soon)
                            await lost_or_cancelled(lambda client=client: client.run_process("echo"))
                except trio_ssh.ConnectionLost:
                    pass


@pytest.mark.parametrize(
    ("who_closes", "expected"),
    [
        ("we close stdout", trio.ClosedResourceError),
        ("we close the process", trio.ClosedResourceError),
        ("the peer closes the channel", b""),
        ("the peer says EOF", b""),
        ("the connection breaks", trio.BrokenResourceError),
        ("we close the connection", trio.BrokenResourceError),
    ],
)
async def test_tri_26_who_closes_and_what_a_receiver_gets(autojump_clock, who_closes, expected):
    """TRI-26, for those who wait already."""
    go = trio.Event()
    ending = who_closes.rpartition(" ")[2]

    async def handler(session):
        await go.wait()
        await (session.send_eof() if ending == "EOF" else session.aclose())
        await trio.sleep_forever()

    streams, wire = breakable()
    found: list[Any] = []
    async with pairs.connected(handler, streams=streams, leaves_channels=True) as ends, ends.client.open_process("x") as process:

        async def receive():
            try:
                found.append(await process.stdout.receive_some())
            except (trio.ClosedResourceError, trio.BrokenResourceError) as error:
                found.append(type(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            match who_closes:
                case "we close stdout":
                    await process.stdout.aclose()
                case "we close the process":
                    await process.aclose()
                case "the connection breaks":
                    await break_it(ends.client, wire)
                case "we close the connection":
                    await ends.client.aclose()
                case _:
                    go.set()
    assert found == [expected]


@pytest.mark.parametrize(
    ("who_closes", "expected"),
    [
        ("we close stdin", trio.ClosedResourceError),
        ("we close the process", trio.ClosedResourceError),
        ("the peer closes", trio.BrokenResourceError),
        ("the connection breaks", trio.BrokenResourceError),
        ("we close the connection", trio.BrokenResourceError),
    ],
)
@pytest.mark.parametrize("waits_for", ["credit", "room", "keys"])
async def test_tri_14_tri_26_who_closes_and_what_a_sender_gets(autojump_clock, who_closes, expected, waits_for):
    """TRI-14, TRI-26: a sender parked at window 0, at a full outbox, or behind a rekey that is not answered."""
    go = trio.Event()

    async def handler(session):
        await go.wait()
        await session.aclose()

    up, down = pairs.Wire(cut_at=10**9), pairs.Wire(cut_at=10**9)
    client_stream, server_stream = pairs.misbehaving(up, down)
    limits = trio_ssh.Limits(window_bytes=1000) if waits_for == "credit" else None
    found: list[Any] = []
    async with pairs.connected(handler, streams=(client_stream, server_stream), server_limits=limits, leaves_channels=True) as ends:
        async with ends.client.open_process("x") as process:

            async def send():
                try:
                    await process.stdin.send_all(bytes(3_000_000))
                except (trio.ClosedResourceError, trio.BrokenResourceError) as error:
                    found.append(type(error))

            if waits_for == "room":
                up.stall_at, up.stuck = up.count, True
            elif waits_for == "keys":
                up.stall_at = up.count
            with trio.fail_after(100):
                async with trio.open_nursery() as nursery:
                    if waits_for == "keys":
                        nursery.start_soon(lost_or_cancelled, ends.client.rekey)
                        await wait_all_tasks_blocked()
                    nursery.start_soon(send)
                    await wait_all_tasks_blocked()
                    match who_closes:
                        case "we close stdin":
                            await process.stdin.aclose()
                        case "we close the process":
                            await process.aclose()
                        case "the peer closes":
                            go.set()
                        case "the connection breaks":
                            client_stream._broken.set()
                        case "we close the connection":
                            await ends.client.aclose()
                    await wait_all_tasks_blocked()
                    assert found == [expected]
                    nursery.cancel_scope.cancel()
        ends.server_scope.cancel()


async def test_a_connection_made_twice(autojump_clock):
    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(stream=server_stream):
        connecting = pairs.connecting(client_stream)
        async with connecting as client:
            await pairs.check_works(client)
        with pytest.raises(trio_ssh.LocalProtocolError, match="once"):
            async with connecting:
                pytest.fail("connected again")
