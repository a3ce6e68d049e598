"""SM-001 to SM-018: lines that are an identification and lines that are none, against both of our roles, with what they get on the wire."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests.connection.victims import BOTH_ROLES, Victim, attacked
from trio_ssh.protocol.role import Role
from trio_ssh.wire.numbers import MessageNumber as M

NO_SSH = b"Invalid SSH identification string.\r\n"
OTHER_VERSION = b"Protocol major versions differ.\r\n"

REFUSED = [
    pytest.param(b"SSH-1.5-x\r\n", OTHER_VERSION, id="sm_001-protocol 1.5"),
    pytest.param(b"SSH-3.0-x\r\n", b"", id="sm_003-protocol 3.0"),
    pytest.param(b"SSH-2.0\r\n", b"", id="sm_006-nothing behind the version"),
    pytest.param(b"SSH-2.0-\r\n", b"", id="sm_006-software is empty"),
    pytest.param(b"SSH-2.0-a\0b\r\n", b"", id="sm_007-NUL"),
    pytest.param(b"SSH-2.0-a\rb\r\n", b"", id="sm_008-CR without LF"),
    pytest.param(b"SSH-2.0-" + b"x" * 246 + b"\r\n", b"", id="sm_010-256 bytes"),
    pytest.param(b"SSH-2.0-" + b"x" * 8990 + b"\r\n", b"", id="sm_011-9,000 bytes"),
    pytest.param(b"SSH-2.0-x\x80\r\n", b"", id="sm_012-0x80"),
    pytest.param(b"SSH-2.0-x\xff\r\n", b"", id="sm_012-0xff"),
    pytest.param(b"SSH-2.0-x\x01\r\n", b"", id="sm_012-0x01"),
    pytest.param(b"SSH-2.0-x\x1f\r\n", b"", id="sm_012-0x1f"),
    pytest.param(b"SSH-2.0-\xc3\xa9\r\n", b"", id="sm_012-UTF-8"),
]

REFUSED_BY_A_SERVER = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", NO_SSH, id="sm_004-a browser"),
    pytest.param(b"\r\nSSH-2.0-x\r\n", NO_SSH, id="sm_005-an empty line first"),
    pytest.param(b"hello\r\nSSH-2.0-x\r\n", NO_SSH, id="sm_005-a19-another line first"),
]

TAKEN = [
    pytest.param(b"SSH-1.99-x\r\n", id="sm_002-1.99"),
    pytest.param(b"SSH-2.0-x\n", id="sm_009-LF only"),
    pytest.param(b"SSH-2.0-" + b"x" * 245 + b"\r\n", id="sm_010-255 bytes"),
    pytest.param(b"SSH-2.0-x and some comments\r\n", id="sm_018-comments"),
    pytest.param(b"SSH-2.0-x  \r\n", id="sm_018-trailing blanks"),
    pytest.param(b"SSH-2.0-a-b-c\r\n", id="sm_018-minus signs"),
]


def said_behind_the_line(victim: Victim) -> bytes:
    """What our side sent behind its own line; a client's KEXINIT, which rides along with it, is left out."""
    line, _, rest = victim.sent.partition(b"\r\n")
    assert line.startswith(b"SSH-2.0-trio_ssh")
    if victim.role is Role.SERVER:
        return rest
    length = int.from_bytes(rest[:4], "big")
    assert rest[5] == M.KEXINIT
    return rest[4 + length :]


@BOTH_ROLES
@pytest.mark.parametrize(("line", "text"), REFUSED)
async def test_lines_that_are_none(autojump_clock, role, line, text):
    """A line of plain text at most, and only from a server; no packet, no DISCONNECT, at once, and nobody was asked."""
    async with attacked(role) as victim:
        await victim.raw.send_bytes(line)
        with trio.fail_after(1):
            await victim.raw.drain_bytes()
            await victim.done.wait()
    assert said_behind_the_line(victim) == (text if role is Role.SERVER else b"")
    assert isinstance(victim.error, trio_ssh.RemoteProtocolError)
    assert victim.cause is victim.error
    assert victim.called == []


@pytest.mark.parametrize(("line", "text"), REFUSED_BY_A_SERVER)
async def test_what_a_client_does_not_send(autojump_clock, line, text):
    async with attacked(Role.SERVER) as victim:
        await victim.raw.send_bytes(line)
        with trio.fail_after(1):
            await victim.raw.drain_bytes()
            await victim.done.wait()
    assert said_behind_the_line(victim) == text
    assert isinstance(victim.error, trio_ssh.RemoteProtocolError)
    assert victim.called == []


@BOTH_ROLES
@pytest.mark.parametrize("line", TAKEN)
async def test_lines_that_are_one(autojump_clock, role, line):
    """Taken, and all of it but the line end stands in the exchange hash: the login behind it shows that."""
    async with attacked(role) as victim:
        raw = victim.raw
        raw.line = line.removesuffix(b"\n").removesuffix(b"\r")
        await raw.send_bytes(line)
        received = bytearray()
        while b"\n" not in received:
            received += await raw.stream.receive_some(1)
        raw.peer_line = bytes(received).rstrip(b"\r\n")
        await raw.exchange_keys()
        await victim.ask_for_service()
        await raw.stream.aclose()


@BOTH_ROLES
async def test_sm_012_a_switch_takes_eight_bit_lines(autojump_clock, role):
    for line, taken in ((b"SSH-2.0-\xc3\xa9\x80\xff", True), (b"SSH-2.0-\xc3\x1b", False), (b"SSH-2.0-x\x7f", False)):
        async with attacked(role, limits=trio_ssh.Limits(identification_eight_bit=True)) as victim:
            victim.raw.line = line
            if taken:
                await victim.raw.handshake()
            else:
                await victim.raw.send_bytes(line + b"\r\n")
                await victim.raw.drain_bytes()
                assert isinstance(victim.cause, trio_ssh.RemoteProtocolError)
                assert "\x1b" not in str(victim.cause)


@BOTH_ROLES
async def test_sm_013_one_byte_a_second_within_the_time(autojump_clock, role):
    """30 bytes in 30 s, with 60 s allowed; the same with 20 s allowed is too slow, though no byte is late."""
    line = b"SSH-2.0-" + b"x" * 20
    for seconds, in_time in ((60, True), (20, False)):
        async with attacked(role, limits=trio_ssh.Limits(identification_seconds=seconds)) as victim:
            started = trio.current_time()
            victim.raw.line = line
            for byte in line[:-1]:
                await victim.raw.stream.send_all(bytes([byte]))
                await trio.sleep(1)
                if victim.done.is_set():
                    break
            if in_time:
                await victim.raw.stream.send_all(line[-1:] + b"\r\n")
                received = b""
                while not received.endswith(b"\n"):
                    received += await victim.raw.stream.receive_some(1)
                victim.raw.peer_line = received.rstrip()
                await victim.raw.exchange_keys()
            else:
                assert trio.current_time() - started == pytest.approx(seconds, abs=1.1)
                assert isinstance(victim.cause, trio_ssh.RemoteProtocolError)


@pytest.mark.parametrize("ending", [b"", b"SSH", b"SSH-2.0-half", b"SSH-2.0-half\r"], ids=repr)
@BOTH_ROLES
async def test_sm_016_the_stream_ends_before_the_line(autojump_clock, role, ending):
    async with attacked(role) as victim:
        await victim.raw.send_bytes(ending)
        await wait_all_tasks_blocked()
        await victim.raw.stream.aclose()
    assert type(victim.cause) is trio_ssh.ConnectionLost
    assert isinstance(victim.error, trio_ssh.ConnectionLost)
    assert said_behind_the_line(victim) == b""
    assert victim.called == []


@BOTH_ROLES
async def test_sm_017_res_01_the_line_never_comes(autojump_clock, role):
    async with attacked(role, limits=trio_ssh.Limits(identification_seconds=10)) as victim:
        started = trio.current_time()
        await victim.raw.drain_bytes()
        await victim.done.wait()
        assert trio.current_time() - started == pytest.approx(10, abs=1.1)
    assert said_behind_the_line(victim) == b""
    assert isinstance(victim.error, trio_ssh.RemoteProtocolError)


@pytest.mark.parametrize(("lines", "taken"), [(1024, True), (1025, False)])
async def test_sm_015_a19_lines_before_a_servers_identification(autojump_clock, lines, taken):
    async with attacked(Role.CLIENT) as victim:
        await victim.raw.send_bytes(b"hello\r\n" * lines)
        if taken:
            await victim.raw.handshake()
            await victim.raw.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO])
            await victim.raw.stream.aclose()
        else:
            await victim.raw.drain_bytes()
            await victim.check_cause(trio_ssh.RemoteProtocolError)
            assert said_behind_the_line(victim) == b""


async def test_a19_one_line_a_second_meets_the_deadline(autojump_clock):
    async with attacked(Role.CLIENT) as victim:
        started = trio.current_time()
        while not victim.done.is_set():
            await victim.raw.stream.send_all(b"wait for it\r\n")
            await trio.sleep(1)
        assert trio.current_time() - started == pytest.approx(10, abs=2.1)
    assert isinstance(victim.error, trio_ssh.RemoteProtocolError)
