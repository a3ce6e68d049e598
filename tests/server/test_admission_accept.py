"""The accept loop: what it survives, and what refused peers see on a real socket (hardening FLT-20, FLT-21, B17)."""

from __future__ import annotations

import errno
import re
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from tests.cli.tools import SECONDS, Home, server_command
from trio_ssh.server.accepting import EXHAUSTED, PASSING, RETRY_SECONDS

HOST = "127.0.0.1"


class Failing(trio.abc.Listener[trio.abc.Stream]):
    """`accept` fails with each of these in turn, then gives one stream, then nothing more."""

    def __init__(self, *errors: Exception) -> None:
        self.client, self._stream = memory_stream_pair()
        self._errors = list(errors)
        self.accepted_at = float("inf")
        self.closed = False

    async def accept(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if self._errors:
            raise self._errors.pop(0)
        if self.accepted_at != float("inf"):
            await trio.sleep_forever()
        self.accepted_at = trio.current_time()
        return self._stream

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


async def serve_on(listener, **options) -> None:
    await trio_ssh.serve_listeners(
        pairs.commands,
        [listener],
        host_keys=[pairs.HOST_KEY],
        authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
        algorithms=pairs.QUICK,
        **options,
    )


async def check_serves(listener: Failing) -> None:
    async with trio.open_nursery() as nursery:
        given = await nursery.start(partial(serve_on, listener))
        assert given == [listener]
        async with pairs.connecting(listener.client) as client:
            await pairs.check_works(client)
        nursery.cancel_scope.cancel()
    assert listener.closed


@pytest.mark.parametrize("name", ["ECONNABORTED", "EPERM", "EPROTO", "ECONNRESET", "ENETDOWN"])
async def test_flt_21_an_accept_that_comes_to_nothing_does_not_end_the_listener(autojump_clock, name):
    listener = Failing(*(OSError(getattr(errno, name), name) for _ in range(100)))
    await check_serves(listener)
    assert listener.accepted_at == 0  # at once: the next connection is another matter


@pytest.mark.parametrize("name", ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"])
async def test_flt_20_out_of_descriptors_or_memory_accepting_waits_and_tries_again(autojump_clock, caplog, name):
    listener = Failing(*(OSError(getattr(errno, name), name) for _ in range(50)))
    await check_serves(listener)
    assert listener.accepted_at == pytest.approx(50 * RETRY_SECONDS)
    assert len([record for record in caplog.records if "no connection can be accepted" in record.getMessage()]) == 1


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "bad"), trio.ClosedResourceError(), ValueError("a listener's mistake")], ids=repr)
async def test_flt_21_a_listener_that_is_broken_for_good_is_told_of(autojump_clock, error):
    listener = Failing(error)
    with pytest.raises(BaseExceptionGroup) as caught:
        await serve_on(listener)
    assert caught.value.exceptions == (error,)
    assert listener.closed
    assert not EXHAUSTED & PASSING


async def test_tri_24_a_stream_that_cannot_be_looked_at_does_not_end_the_listener(autojump_clock, caplog):
    class Odd(trio.abc.Stream):
        closed = False

        @property
        def peer_address(self):
            raise ValueError("a stream's mistake")

        async def send_all(self, data): ...

        async def wait_send_all_might_not_block(self): ...

        async def receive_some(self, max_bytes=None): ...

        async def aclose(self):
            self.closed = True

    odd, listener = Odd(), Failing()
    streams = [odd, listener._stream]
    listener.accept = lambda: give_next(streams)  # type: ignore[method-assign]
    await check_serves(listener)
    assert odd.closed
    assert "a connection was accepted and could not be served" in caplog.text


async def give_next(streams: list[trio.abc.Stream]) -> trio.abc.Stream:
    await trio.lowlevel.checkpoint()
    if not streams:
        await trio.sleep_forever()
    return streams.pop(0)


# -- on sockets --------------------------------------------------------------------------------------------------------------------------


async def with_server(limits: trio_ssh.Limits, act: Callable) -> None:
    """``await act(port)`` while a server listens."""
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(
                partial(
                    trio_ssh.serve,
                    pairs.commands,
                    0,
                    host=HOST,
                    host_keys=[pairs.HOST_KEY],
                    authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
                    algorithms=pairs.QUICK,
                    limits=limits,
                )
            )
            await act(listeners[0].socket.getsockname()[1])
            nursery.cancel_scope.cancel()


async def connect_from(port: int, host: str = HOST) -> trio.SocketStream:
    return await trio.open_tcp_stream(HOST, port, local_address=host)


async def everything(stream: trio.SocketStream) -> bytes:
    async with stream:
        return b"".join([bytes(chunk) async for chunk in stream])


async def test_b17_res_04_what_a_refused_peer_is_told():
    async def act(port: int) -> None:
        first = await connect_from(port)
        assert (await first.receive_some()).startswith(b"SSH-2.0-")
        assert await everything(await connect_from(port)) == b"Exceeded MaxStartups\r\n"
        # Another address of this machine is another source.
        other = await connect_from(port, "127.0.0.2")
        assert (await other.receive_some()).startswith(b"SSH-2.0-")
        await first.aclose()
        with pytest.raises(trio_ssh.ConnectionLost):
            async with pairs.connecting(await connect_from(port)):
                pytest.fail("let in")
        assert await everything(await connect_from(port)) == b"Not allowed at this time\r\n"
        await other.aclose()

    limits = trio_ssh.Limits(
        unauthenticated_per_source=1, source_penalties=trio_ssh.SourcePenalties(no_auth_seconds=90), handshakes_per_source_per_second=None
    )
    await with_server(limits, act)


class SpawnedTasks(trio.abc.Instrument):
    """Counts new tasks while it is attached."""

    def __init__(self) -> None:
        self.count = 0

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


async def test_res_04_a13_a_refused_connection_costs_no_task():
    async def act(port: int) -> None:
        first = await connect_from(port)
        assert (await first.receive_some()).startswith(b"SSH-2.0-")
        strangers = [socket.create_connection((HOST, port)) for _ in range(50)]
        spawned = SpawnedTasks()
        trio.lowlevel.add_instrument(spawned)
        for stranger in strangers:
            with trio.SocketStream(trio.socket.from_stdlib_socket(stranger)).socket as sock:
                assert await sock.recv(100) == b"Exceeded MaxStartups\r\n"
        trio.lowlevel.remove_instrument(spawned)
        assert spawned.count == 0
        await first.aclose()

    await with_server(trio_ssh.Limits(unauthenticated_per_source=1), act)


async def test_b17_who_has_gone_before_being_looked_at_takes_no_place():
    async def act(port: int) -> None:
        for _ in range(20):
            with socket.socket() as one:
                one.connect((HOST, port))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets it
        async with pairs.connecting(await connect_from(port)) as client:
            await pairs.check_works(client)

    await with_server(trio_ssh.Limits(unauthenticated_connections=2, unauthenticated_drop_begin=2), act)


def test_flt_20_a_server_out_of_descriptors_goes_on_when_they_are_back(tmp_path: Path):
    """With 32 descriptors and strangers on all of them nobody is accepted; when they have gone, everybody is."""
    home = Home.make(tmp_path)
    options = ["-o", "MaxStartups=1000", "-o", "PerSourceMaxStartups=none"]
    command = ["sh", "-c", 'ulimit -n 32 && exec "$@"', "sh", *server_command(home, *options)]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=home.environ, start_new_session=True)
    alarm = threading.Timer(SECONDS, server.kill)
    alarm.start()
    try:
        port = int(log_until(server, r"listening on \S+ port (\d+)"))
        home.know(port)
        strangers = [socket.create_connection((HOST, port)) for _ in range(60)]
        log_until(server, r"(no connection can be accepted now)")
        for stranger in strangers:
            stranger.close()
        again = home.run_ssh(port, "echo again")
        assert again.stdout == b"again\n", again.stderr
    finally:
        alarm.cancel()
        server.terminate()
        server.communicate()


def log_until(server: subprocess.Popen[bytes], pattern: str) -> str:
    """Read what it logs up to a line with the pattern, and give the pattern's group."""
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(pattern, line.decode()):
            return found[1]
    raise AssertionError(f"the server ended without a word of {pattern}")
