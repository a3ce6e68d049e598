"""SM-031, SM-068, A17, A20: compressed payloads and group exchange said wrongly, on the wire, to both of our roles."""

from __future__ import annotations

import tracemalloc
import zlib

import attrs
import pytest
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.victims import BOTH_ROLES, Victim, attacked, kexinit
from trio_ssh.crypto.compression import COMPRESSIONS
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, KexDhGexGroup, KexDhGexInit, KexDhGexReply, KexDhGexRequest, KexEcdhInit, Ping

ZLIB = attrs.evolve(pairs.QUICK, compression=("zlib@openssh.com",))


class Handmade:
    """A peer's compressor that says what it is told to."""

    def __init__(self, says: bytes) -> None:
        self.says = says

    def compress(self, payload: bytes | memoryview) -> bytes:
        return self.says


def deflated(payload: bytes) -> bytes:
    stream = zlib.compressobj()
    return stream.compress(payload) + stream.flush(zlib.Z_PARTIAL_FLUSH)


GOOD = encode(Ping(b"compression works"))


def no_deflate() -> bytes:
    """Bytes that mean nothing behind `GOOD` in one stream."""
    for number in range(1000):
        compressor, decompressor = COMPRESSIONS["zlib"].compressor, COMPRESSIONS["zlib"].decompressor
        assert compressor is not None
        assert decompressor is not None
        stream, junk = decompressor(), pairs.pattern(60, str(number))
        stream.decompress(compressor().compress(GOOD), 1000)
        try:
            stream.decompress(junk, 256 * 1024)
        except trio_ssh.CompressionError as error:
            if "cannot be inflated" in str(error):
                return junk
    raise AssertionError("every junk is a stream")


BAD = {
    "a bomb of 64 MiB": deflated(encode(Ignore(bytes(1 << 26)))),
    "one byte more than a packet may have": deflated(bytes(256 * 1024 + 1)),
    "no zlib": no_deflate(),
    "nothing": deflated(b""),
}


@BOTH_ROLES
@pytest.mark.parametrize("says", BAD.values(), ids=list(BAD))
async def test_sm_031_a20_res_08_payloads_that_cannot_be_inflated(autojump_clock, role, says):
    """DISCONNECT 6 at the first of three; nothing is delivered, and the bomb is never made."""
    async with attacked(role, algorithms=ZLIB, peer=ZLIB) as victim:
        raw = victim.raw
        await raw.log_in()
        await raw.send(GOOD)
        await raw.wait_for(M.PONG)
        await wait_all_tasks_blocked()
        raw.sealer.compress_with(Handmade(says))
        tracemalloc.start()
        try:
            await raw.send(*[b"\x02"] * 3)
            payloads = await raw.drain()
            assert tracemalloc.get_traced_memory()[1] < 2 * 256 * 1024 + 30 * len(says)
        finally:
            tracemalloc.stop()
        assert [payload[0] for payload in payloads] == [M.DISCONNECT]
        assert payloads[0][1:5] == bytes([0, 0, 0, 6])
        await victim.check_cause(trio_ssh.CompressionError)


@BOTH_ROLES
async def test_sm_031_compressed_where_nothing_was_agreed_on(autojump_clock, role):
    """Such a payload cannot be told from a message with an unknown number, and is one: it ends the connection before the login, and is
    UNIMPLEMENTED behind it. What was compressed is never looked at."""
    async with attacked(role) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        await raw.send(deflated(encode(Ping(b"inside"))))
        await raw.expect(M.UNIMPLEMENTED)
        await raw.stream.aclose()
    async with attacked(role) as victim:
        await victim.until_auth()
        await victim.raw.send(deflated(encode(Ping(b"inside"))))
        await victim.ends(2)


@BOTH_ROLES
async def test_a20_undelayed_zlib_is_never_agreed_on_by_default(autojump_clock, role):
    async with attacked(role, algorithms=trio_ssh.Algorithms()) as victim:
        raw = victim.raw
        await raw.identify()
        await raw.send(
            kexinit(raw, compression_algorithms_client_to_server=("zlib",), compression_algorithms_server_to_client=("zlib",))
        )
        payloads = await raw.drain()
        assert payloads[-1][:5] == bytes([M.DISCONNECT, 0, 0, 0, 3])
        assert b"zlib\0" not in payloads[0].replace(b"zlib@openssh.com", b"")
        await victim.check_cause(trio_ssh.NegotiationError)


# -- group exchange --------------------------------------------------------------------------------------------------------------------

GEX = trio_ssh.Algorithms(kex=("diffie-hellman-group-exchange-sha256",))
REQUEST = KexDhGexRequest(2048, 3072, 8192)
PRIME = trio_ssh.Moduli.built_in().groups[0].prime


async def behind_kexinit(victim: Victim) -> None:
    """Both KEXINITs are said; a client of ours has sent its REQUEST."""
    await victim.raw.identify()
    await victim.raw.send_kexinit()
    await victim.raw.expect(M.KEXINIT)
    if victim.role is Role.CLIENT:
        await victim.raw.expect(34)


TO_A_SERVER = [
    pytest.param([KexDhGexRequest(1024, 1024, 1024)], 3, id="sm_068-a17-sizes too small"),
    pytest.param([KexDhGexRequest(8192, 4096, 2048)], 3, id="sm_068-a17-least above most"),
    pytest.param([KexDhGexRequest(0, 0, 0)], 3, id="sm_068-a17-nothing"),
    pytest.param([KexDhGexRequest(16384, 16384, 16384)], 3, id="sm_068-a17-sizes too large"),
    pytest.param([KexEcdhInit(b"\0\0\x08\0")], 2, id="sm_068-the old request"),
    pytest.param([KexDhGexInit(bytes(200))], 2, id="sm_068-a04-init before the request"),
    pytest.param([b"\x1f", b"\x21"], 2, id="sm_068-a04-a server's messages"),
]


@pytest.mark.parametrize(("messages", "reason"), TO_A_SERVER)
async def test_sm_068_a17_to_a_server(messages, reason):
    """(Real clock: threads are at work.)"""
    async with attacked(Role.SERVER, algorithms=GEX, peer=GEX) as victim:
        await behind_kexinit(victim)
        await victim.raw.send(*messages)
        await victim.ends(reason)
        assert victim.called == []


async def test_sm_068_a04_request_and_init_twice():
    for count in (2, 3):
        async with attacked(Role.SERVER, algorithms=GEX, peer=GEX) as victim:
            await behind_kexinit(victim)
            await victim.raw.send(REQUEST)
            await victim.raw.expect(31)
            share = KexDhGexInit((5**2000).to_bytes(600, "big"))
            await victim.raw.send(*([REQUEST] if count == 2 else [share, share]))
            await drain(victim)
            assert isinstance(victim.cause, trio_ssh.RemoteProtocolError)
            assert victim.called == []


async def drain(victim: Victim) -> None:
    """What comes in clear; behind NEWKEYS it is not ours to read."""
    try:
        while (payload := await victim.raw.receive()) is not None and payload[0] != M.NEWKEYS:
            pass
        await victim.raw.drain_bytes()
    except trio_ssh.RemoteProtocolError:
        pass
    await victim.done.wait()


def group_of(prime: int, generator: int) -> KexDhGexGroup:
    return KexDhGexGroup(prime, generator)


TO_A_CLIENT = [
    pytest.param(lambda p: [group_of((1 << 1023) + 1155, 2)], 3, id="sm_068-a17-1,024 bits"),
    pytest.param(lambda p: [group_of((1 << 16383) + 1, 2)], 3, id="sm_068-a17-16,384 bits"),
    pytest.param(lambda p: [group_of(p + 1, 2)], 3, id="sm_068-a17-even"),
    pytest.param(lambda p: [group_of(p, 1)], 3, id="sm_068-a17-generator 1"),
    pytest.param(lambda p: [group_of(p, 0)], 3, id="sm_068-a17-generator 0"),
    pytest.param(lambda p: [group_of(p, p - 1)], 3, id="sm_068-a17-generator p-1"),
    pytest.param(lambda p: [KexDhGexReply(b"", b"", b"")], 2, id="sm_068-a04-reply instead of a group"),
    pytest.param(lambda p: [REQUEST], 2, id="sm_068-a04-a client's message"),
    pytest.param(lambda p: [b"\x15"], 2, id="sm_068-sm_062-a06-newkeys instead of a group"),
    pytest.param(lambda p: [group_of(p, 2), group_of(p, 2)], 2, id="sm_068-a04-the group twice"),
]


@pytest.mark.parametrize(("messages", "reason"), TO_A_CLIENT)
async def test_sm_068_a17_to_a_client(messages, reason):
    """(Real clock: threads are at work.)"""
    async with attacked(Role.CLIENT, algorithms=GEX, peer=GEX) as victim:
        await behind_kexinit(victim)
        await victim.raw.send(*messages(PRIME))
        numbers = [payload[0] for payload in await victim.raw.drain()]
        assert numbers in ([M.DISCONNECT], [32, M.DISCONNECT] if len(messages(PRIME)) > 1 else [M.DISCONNECT])
        assert victim.raw.payloads[-1][1:5] == bytes([0, 0, 0, reason])
        await victim.check_cause(trio_ssh.RemoteProtocolError)
        assert victim.called == []
