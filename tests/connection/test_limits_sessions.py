"""Each bound of `Limits` on what a session asks for, set small and met (hardening §6.1; SM-133, SM-150 to SM-157)."""

from __future__ import annotations

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, RawPeer, raw_client
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import (
    ChannelEof,
    ChannelRequest,
    Env,
    Exec,
    PtyReq,
    Signal,
    Subsystem,
)
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ping


async def answers(raw: RawPeer, channel: int, *requests: tuple[str, object]) -> list[int]:
    """What is said to each request."""
    found = []
    for name, fields in requests:
        await raw.send(ChannelRequest(channel, name, True, fields if isinstance(fields, bytes) else encode(fields)))
        payload = await raw.receive()
        assert payload is not None
        found.append(payload[0])
    return found


OK, NO = M.CHANNEL_SUCCESS, M.CHANNEL_FAILURE


async def test_sm_152_env_vars(autojump_clock):
    """SM-152."""
    seen = []

    async def handler(session):
        seen.append(session.environ)

    raw, stream = raw_client()
    async with pairs.served(handler, stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(env_vars=2)):
        await raw.log_in()
        channel = await raw.open_session()
        requests = [
            ("env", Env(b"LC_ONE", b"1")),
            ("env", Env(b"PATH", b"/tmp")),
            ("env", Env(b"LC_=X", b"/tmp")),
            ("env", Env(b"LC_NUL", b"a\0b")),
            ("env", Env(b"LC_TWO", b"\xff")),
            ("env", Env(b"LC_THREE", b"3")),
            ("exec", Exec(b"x")),
        ]
        assert await answers(raw, channel, *requests) == [OK, NO, NO, NO, OK, NO, OK]
        await raw.wait_for(M.CHANNEL_CLOSE)
        await raw.stream.aclose()
    assert seen == [{"LC_ONE": "1", "LC_TWO": "\udcff"}]


async def test_sm_151_pty_modes_bytes(autojump_clock):
    """SM-151."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(pty_modes_bytes=10)):
        await raw.log_in()
        channel = await raw.open_session()
        requests = [
            ("pty-req", PtyReq("xterm", 80, 24, 0, 0, bytes(11))),
            ("pty-req", PtyReq("x" * 100_000, 80, 24, 0, 0, b"")),
            ("pty-req", PtyReq("xterm", 80, 24, 0, 0, bytes(10))),
            ("pty-req", PtyReq("xterm", 80, 24, 0, 0, b"")),
        ]
        # 100,000 bytes of TERM fit into a packet; they do not fit into a terminal's name.
        assert await answers(raw, channel, *requests) == [NO, NO, OK, NO]
        await raw.stream.aclose()


async def test_sm_150_exec_bytes(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(exec_bytes=10)):
        await raw.log_in()
        channel = await raw.open_session()
        requests = [("exec", Exec(b"x" * 11)), ("exec", Exec(b"a\0b")), ("exec", Exec(b"sleep 1234")), ("exec", Exec(b"x")), ("shell", b"")]
        assert await answers(raw, channel, *requests) == [NO, NO, OK, NO, NO]
        await raw.stream.aclose()


async def test_sm_153_signals_that_nobody_reads(autojump_clock):
    """They are not queued without bound; and before a program runs there is nothing to signal (SM-153)."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session()
        assert await answers(raw, channel, ("signal", Signal("INT")), ("exec", Exec(b"sleep"))) == [NO, OK]
        found = await answers(raw, channel, *[("signal", Signal("INT"))] * 100, ("signal", Signal("NONSENSE")))
        assert found.count(OK) == 16
        assert found[-1] == NO
        await raw.stream.aclose()


async def test_sm_133_sm_150_sm_154_sm_157_requests_that_are_no_requests_of_a_session(autojump_clock):
    """SM-133, SM-150, SM-154, SM-157."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session()
        requests = [
            ("nonsense", b"whatever"),
            ("keepalive@openssh.com", b""),
            ("exit-status", bytes(4)),
            ("auth-agent-req@openssh.com", b""),
            ("x11-req", bytes(20)),
            ("exec", Exec(b"sleep")),
            ("exec", Exec(b"sleep")),
            ("subsystem", Subsystem("sftp")),
            ("env", Env(b"LC_LATE", b"")),
        ]
        assert await answers(raw, channel, *requests) == [NO, NO, NO, NO, NO, OK, NO, NO, NO]
        await raw.send(ChannelEof(channel), ChannelEof(channel), Ping(b""))
        await raw.expect(M.PONG)
        await raw.stream.aclose()
