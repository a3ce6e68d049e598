"""Peers that do not speak SSH, or nothing but: gone within their deadline, and little is kept of what they sent.

Hardening SM-001 to SM-027, RES-05.
"""

from __future__ import annotations

import tracemalloc

import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from trio_ssh.protocol.role import Role

LINE = b"SSH-2.0-stranger\r\n"
MEMORY_MAX = 1 << 20
"""Bytes: hardening RES-05."""


async def swallow(stream: trio.abc.Stream, into: bytearray) -> None:
    try:
        while data := await stream.receive_some(65536):
            into += data
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def feed(stream: trio.abc.Stream, chunks) -> int:
    sent = 0
    try:
        for chunk in chunks:
            await stream.send_all(chunk)
            sent += len(chunk)
            # One at a time: what the other side does with it is to be seen before the next.
            await trio.testing.wait_all_tasks_blocked()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    return sent


async def meet(role: Role, chunks) -> tuple[BaseException, bytes, int, float]:
    """Our `role` against a stranger who sends `chunks` and waits: our error, what the stranger got, how much it could send, how long."""
    ours, theirs = memory_stream_pair()
    received = bytearray()
    errors: list[BaseException] = []
    started = trio.current_time()
    sent = 0
    with trio.fail_after(200):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(swallow, theirs, received)
            if role is Role.SERVER:
                async with pairs.served(stream=ours) as ends:
                    sent = await feed(theirs, chunks)
                    await ends.server_done.wait()
                assert ends.server_error is not None
                errors.append(ends.server_error)
            else:

                async def connect():
                    with pytest.raises(trio_ssh.SSHError) as caught:
                        async with pairs.connecting(ours):
                            pytest.fail("connected to a stranger")
                    errors.append(caught.value)

                async with trio.open_nursery() as connecting:
                    connecting.start_soon(connect)
                    sent = await feed(theirs, chunks)
            seconds = trio.current_time() - started
    return errors[0], bytes(received), sent, seconds


ROLES = pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name)


@ROLES
async def test_sm_017_nothing_at_all(autojump_clock, role):
    error, received, _, seconds = await meet(role, [])
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert seconds <= 12
    assert received.startswith(b"SSH-2.0-")


@ROLES
async def test_sm_017_half_a_line(autojump_clock, role):
    error, _, _, seconds = await meet(role, [b"SSH-2.0-x"])
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert seconds <= 12


@ROLES
async def test_sm_016_the_stream_ends_at_once_or_in_the_line(autojump_clock, role):
    """SM-016."""
    for beginning in (b"", b"SSH-2.0-x", LINE):
        ours, theirs = memory_stream_pair()
        await theirs.send_all(beginning)
        await theirs.send_eof()
        with trio.fail_after(1), pytest.raises(trio_ssh.ConnectionLost):
            if role is Role.CLIENT:
                async with pairs.connecting(ours):
                    pytest.fail("connected")
            else:
                async with pairs.served(stream=ours) as ends:
                    await ends.server_done.wait()
                    assert ends.server_error is not None
                raise ends.server_error


@ROLES
@pytest.mark.parametrize("seed", range(10))
async def test_garbage(autojump_clock, role, seed):
    error, _, sent, seconds = await meet(role, [pairs.pattern(1000, str(seed))] * 200)
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert seconds <= 12
    assert sent <= 70_000


@ROLES
@pytest.mark.parametrize("seed", range(10))
async def test_garbage_behind_a_good_line(autojump_clock, role, seed):
    error, _, sent, seconds = await meet(role, [LINE, *[pairs.pattern(1000, str(seed))] * 200])
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert seconds <= 22
    assert sent <= 70_000


@ROLES
async def test_sm_011_res_05_a18_an_endless_line(autojump_clock, role):
    """SM-011, RES-05: 64 MiB are offered; what is kept is bounded by the limits of the line."""
    chunk = b"x" * 65536
    tracemalloc.start()
    try:
        error, _, sent, seconds = await meet(role, [b"SSH-2.0-", *[chunk] * 1024])
        assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX
    finally:
        tracemalloc.stop()
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert sent <= 3 * 65536
    assert seconds <= 1


async def test_sm_015_res_05_a19_endless_lines_to_a_client(autojump_clock):
    """SM-015."""
    error, _, sent, seconds = await meet(Role.CLIENT, [b"noise before the line\r\n"] * 2000)
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert sent <= 1100 * 24
    assert seconds <= 1


@ROLES
@pytest.mark.parametrize("length", [0, 1, 4, 13, 0x10001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], ids=hex)
async def test_sm_019_sm_021_sm_022_a18_impossible_packet_lengths(autojump_clock, role, length):
    """SM-019, SM-021, SM-022: refused as soon as the length is there, with nothing waited for and nothing buffered."""
    tracemalloc.start()
    try:
        error, received, sent, seconds = await meet(role, [LINE, length.to_bytes(4, "big") + bytes(12), *[bytes(65536)] * 100])
        assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX
    finally:
        tracemalloc.stop()
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert seconds <= 1
    assert sent <= 200_000
    assert b"\x01\0\0\0\x02" in received  # DISCONNECT 2


@ROLES
async def test_res_03_a_packet_that_never_gets_complete(autojump_clock, role):
    error, _, _, seconds = await meet(role, [LINE, (60_004).to_bytes(4, "big"), bytes(50_000)])
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert seconds <= 22


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"Invalid SSH identification string."),
        (b"\r\nSSH-2.0-x\r\n", b"Invalid SSH identification string."),
        (b"SSH-1.5-x\r\n", b"Protocol major versions differ."),
        (b"SSH-3.0-x\r\n", b""),
        (b"SSH-2.0\r\n", b""),
        (b"SSH-2.0-\r\n", b""),
        (b"SSH-2.0-a\0b\r\n", b""),
        (b"SSH-2.0-a\rb\r\n", b""),
        (b"SSH-2.0-\xff\r\n", b""),
        (b"SSH-2.0-" + b"x" * 246 + b"\r\n", b""),
    ],
    ids=repr,
)
async def test_sm_001_sm_003_sm_004_sm_005_sm_006_sm_007_sm_008_sm_010_sm_012_lines_that_will_not_do(autojump_clock, line, answer):
    """SM-001 to SM-012, to a server: a line of text at most, no packet, and the end."""
    error, received, _, seconds = await meet(Role.SERVER, [line])
    assert isinstance(error, trio_ssh.RemoteProtocolError)
    assert seconds <= 1
    rest = received.split(b"\r\n", 1)[1]
    assert rest == answer + b"\r\n" if answer else rest in (b"", b"Protocol major versions differ.\r\n")


@pytest.mark.parametrize("line", [b"SSH-1.99-x\r\n", b"SSH-2.0-x\n", b"SSH-2.0-x with comments \r\n", b"SSH-2.0-" + b"x" * 245 + b"\r\n"])
async def test_sm_002_sm_009_sm_018_lines_that_are_one(autojump_clock, line):
    """SM-002, SM-009, SM-018: taken, so that what is missed next is the key exchange."""
    error, _, _, seconds = await meet(Role.SERVER, [line])
    assert "key exchange" in str(error)
    assert 19 <= seconds <= 21


async def test_two_clients_or_two_servers(autojump_clock):
    """Nobody hangs when both ends take the same part."""
    one, other = memory_stream_pair()
    errors = []

    async def connect(stream):
        with pytest.raises(trio_ssh.SSHError) as caught:
            async with pairs.connecting(stream):
                pytest.fail("connected")
        errors.append(caught.value)

    with trio.fail_after(100):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connect, one)
            nursery.start_soon(connect, other)
        assert len(errors) == 2
        one, other = memory_stream_pair()
        async with pairs.served(stream=one) as first, pairs.served(stream=other) as second:
            await first.server_done.wait()
            await second.server_done.wait()
        assert isinstance(first.server_error, trio_ssh.SSHError)
        assert isinstance(second.server_error, trio_ssh.SSHError)


async def test_talking_to_oneself(autojump_clock):
    """An echo: our own line and our own KEXINIT come back."""

    class Echo(trio.abc.Stream):
        def __init__(self):
            self._in, self._out = trio.testing.memory_stream_one_way_pair()

        async def send_all(self, data):
            await self._in.send_all(data)

        async def wait_send_all_might_not_block(self):
            await trio.lowlevel.checkpoint()

        async def receive_some(self, max_bytes=None):
            return await self._out.receive_some(max_bytes)

        async def aclose(self):
            await self._in.aclose()
            await self._out.aclose()

    with trio.fail_after(100), pytest.raises(trio_ssh.SSHError):
        async with pairs.connecting(Echo()):
            pytest.fail("connected to ourselves")
