"""`RawPeer` in both roles: the usual way by each method, its steps alone, and what breaks the rules on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS
from trio_ssh import testing
from trio_ssh.protocol.role import Role
from trio_ssh.testing import HOST_KEY, ForgedPacket, RawPeer, UnexpectedMessage, raw_client, raw_server
from trio_ssh.testing.forged_packet import smallest_padding
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, KexInit, Ping, Unimplemented

ALGORITHMS = {
    "curve25519": pairs.QUICK,
    "hybrid": trio_ssh.Algorithms(kex=("mlkem768x25519-sha256",)),
    "compressed": trio_ssh.Algorithms(kex=("curve25519-sha256",), compression=("zlib@openssh.com",)),
    "ctr and hmac": trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=("aes128-ctr",), macs=("hmac-sha2-256",)),
    "chacha20": trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=("chacha20-poly1305@openssh.com",)),
}
GROUP_EXCHANGE = trio_ssh.Algorithms(kex=("diffie-hellman-group-exchange-sha256",))


@asynccontextmanager
async def our_server(raw: RawPeer, stream: trio.abc.Stream, algorithms: trio_ssh.Algorithms = pairs.QUICK) -> AsyncIterator[None]:
    """It ends when the raw client closes its stream."""
    async with testing.open_server(pairs.commands, stream, authenticate=PASSWORDS, algorithms=algorithms):
        yield
        await raw.stream.aclose()


async def talk(raw: RawPeer) -> None:
    """As a client: a command, a rekey, a question."""
    await raw.open_session("exit 7")
    request = decode(ChannelRequest, await raw.wait_for(M.CHANNEL_REQUEST))
    assert request.request_fields == (7).to_bytes(4, "big")
    await raw.exchange_keys()
    await raw.send(Ping(b"still there?"))
    assert (await raw.wait_for(M.PONG)).endswith(b"still there?")


@pytest.mark.parametrize("algorithms", ALGORITHMS.values(), ids=ALGORITHMS)
async def test_a_raw_client_goes_the_usual_way(autojump_clock, algorithms):
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(algorithms, host_keys=HOST_KEY.public_key.signature_algorithms)
    async with our_server(raw, stream, algorithms):
        await raw.log_in()
        await talk(raw)
    assert raw.numbers[:3] == [M.KEXINIT, M.KEX_REPLY, M.NEWKEYS]
    # The server's word about its host keys is there for those who look for it.
    assert [payload[0] for payload in raw.payloads if payload[0] != M.GLOBAL_REQUEST] == raw.numbers


async def serve_one(raw: RawPeer) -> None:
    """As a server: let anybody in, agree to a rekey, answer nothing else."""
    await raw.log_in()
    while (payload := await raw.receive()) is not None:
        if payload[0] == M.KEXINIT:
            await raw.exchange_keys(theirs=payload)


@pytest.mark.parametrize("algorithms", ALGORITHMS.values(), ids=ALGORITHMS)
async def test_a_raw_server_goes_the_usual_way(autojump_clock, algorithms):
    streams = testing.SimulatedNetwork().stream_pair()
    raw, stream = raw_server(streams)
    raw.negotiator.algorithms = attrs.evolve(algorithms, host_keys=HOST_KEY.public_key.signature_algorithms)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_one, raw)
        async with pairs.connecting(stream, algorithms=algorithms) as client:
            await client.rekey()
            assert client.host_key == HOST_KEY.public_key
    assert raw.numbers[-1] == M.DISCONNECT


@pytest.mark.parametrize("role", list(Role))
async def test_group_exchange(role):
    """In real time: its arithmetic is in a thread, which a clock that jumps would not wait for."""
    raw, stream = raw_client() if role is Role.CLIENT else raw_server()
    raw.negotiator.algorithms = attrs.evolve(GROUP_EXCHANGE, host_keys=HOST_KEY.public_key.signature_algorithms)
    if role is Role.CLIENT:
        async with our_server(raw, stream, GROUP_EXCHANGE):
            await raw.log_in()
            assert raw.negotiated.kex == GROUP_EXCHANGE.kex_for(role)[0]
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_one, raw)
        async with pairs.connecting(stream, algorithms=GROUP_EXCHANGE):
            pass


async def test_its_own_host_key_and_line(autojump_clock):
    key = trio_ssh.PrivateKey.generate()
    client_stream, server_stream = testing.SimulatedNetwork().stream_pair()
    raw = RawPeer(server_stream, Role.SERVER, line=b"SSH-2.0-Other_1.0 with a comment", host_key=key)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_one, raw)
        async with pairs.connecting(client_stream, host_keys=trio_ssh.PinnedKeys([key.public_key])) as client:
            assert client.host_key == key.public_key


# -- steps alone, and twisted ----------------------------------------------------------------------------------------------------------


async def test_the_steps_one_by_one(autojump_clock):
    raw, stream = raw_client()
    async with our_server(raw, stream):
        await raw.identify()
        assert raw.peer_line.startswith(b"SSH-2.0-trio_ssh")
        ours = await raw.send_kexinit()
        theirs = await raw.expect(M.KEXINIT)
        new = await raw.method(ours, theirs)
        await raw.take_newkeys(new)
        await raw.send_newkeys(new)
        assert raw.session_id == new.exchange_hash
        await raw.send(b"\x05\0\0\0\x0cssh-userauth")
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])


async def test_any_kexinit(autojump_clock):
    """Another's lists, a wrong guess and the packet that it announces."""
    raw, stream = raw_client()
    async with our_server(raw, stream):
        await raw.identify()
        message = attrs.evolve(  # type: ignore[misc]  # mypy does not know what @message makes
            raw.kexinit(markers=False),
            kex_algorithms=("no-such-kex", "curve25519-sha256"),
            first_kex_packet_follows=True,
        )
        payload = encode(message)
        await raw.send(payload, b"\x1ea guess")
        theirs = await raw.expect(M.KEXINIT)
        await raw.change_keys(await raw.method(payload, theirs))
        assert decode(KexInit, payload).kex_algorithms == ("no-such-kex", "curve25519-sha256")
        assert raw.negotiated.kex == "curve25519-sha256"


TWISTS = {
    "skipped": (lambda payload: () if payload[0] == M.KEX_INIT else (payload,), "did not finish a key exchange"),
    "repeated": (lambda payload: (payload, payload) if payload[0] == M.KEX_INIT else (payload,), "KEX_INIT while"),
    "preceded": (lambda payload: (encode(Ignore(b"")), payload) if payload[0] == M.KEXINIT else (payload,), "first packet was not"),
    "cut": (lambda payload: (payload[:-1],) if payload[0] == M.KEX_INIT else (payload,), ""),
    "another": (lambda payload: (b"\x5a" + payload[1:],) if payload[0] == M.KEX_INIT else (payload,), "CHANNEL_OPEN while"),
}


@pytest.mark.parametrize("twist", TWISTS)
async def test_a_twisted_handshake(autojump_clock, twist):
    raw, stream = raw_client()
    raw.twist, said = TWISTS[twist]
    async with testing.open_server(pairs.commands, stream, authenticate=PASSWORDS) as pair:
        with pytest.raises(UnexpectedMessage, match=r"DISCONNECT came|stream ended"):
            await raw.log_in()
        await pair.server_done.wait()
    assert isinstance(pair.server_error, trio_ssh.RemoteProtocolError)
    assert said in str(pair.server_error)


# -- packets that lie ------------------------------------------------------------------------------------------------------------------

PING = encode(Ping(b"still there?"))


@pytest.mark.parametrize("algorithms", [ALGORITHMS["curve25519"], *list(ALGORITHMS.values())[3:]], ids=["gcm", "ctr and hmac", "chacha20"])
@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({}, None),
        ({"padding_length": 255}, 2),
        ({"padding_length": 0}, 2),
        ({"packet_length": 3}, 2),
        ({"packet_length": 2**31}, 2),
        ({"tag_mask": 0x80}, 5),
        ({"payload": b""}, 2),
    ],
    ids=str,
)
async def test_forged_packets(autojump_clock, algorithms, lie, reason):
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(algorithms, host_keys=HOST_KEY.public_key.signature_algorithms)
    async with our_server(raw, stream, algorithms):
        await raw.log_in()
        await raw.send_forged(ForgedPacket(**{"payload": PING, **lie}))
        if reason is None:
            assert await raw.expect(M.PONG, skip=[M.EXT_INFO])
            await raw.send(PING)  # the sequence went on
            assert await raw.expect(M.PONG)
        else:
            await raw.send_bytes(bytes(64))
            await raw.expect_disconnect(reason)


async def test_another_sequence_number(autojump_clock):
    """Ciphers that use it as their nonce, or in their MAC, notice; AES-GCM counts by itself."""
    chacha = ALGORITHMS["chacha20"]
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(chacha, host_keys=HOST_KEY.public_key.signature_algorithms)
    async with our_server(raw, stream, chacha):
        await raw.log_in()
        await raw.send_forged(ForgedPacket(payload=PING, sequence_number=raw.sealer.sequence_number + 1))
        await raw.send_bytes(bytes(64))
        payloads = await raw.drain()
        assert [payload[0] for payload in payloads if payload[0] != M.EXT_INFO] == [M.DISCONNECT]


async def test_a_forged_packet_before_the_first_keys(autojump_clock):
    raw, stream = raw_client()
    async with testing.open_server(pairs.commands, stream) as pair:
        await raw.identify()
        await raw.expect(M.KEXINIT)
        assert smallest_padding(raw.sealer, 3) == 8
        await raw.send_forged(ForgedPacket(payload=encode(Unimplemented(1)), padding=b"abcd", packet_length=2))
        await raw.expect_disconnect(2)
    assert isinstance(pair.server_error, trio_ssh.RemoteProtocolError)


# -- what it expects -------------------------------------------------------------------------------------------------------------------


async def test_what_does_not_come_is_told(autojump_clock):
    raw, stream = raw_client()
    with pytest.raises(UnexpectedMessage, match="nothing has been negotiated"):
        assert raw.negotiated.kex
    async with testing.open_server(pairs.commands, stream, authenticate=PASSWORDS) as pair:
        await raw.log_in()
        await raw.send(Ping(b"1"))
        with pytest.raises(UnexpectedMessage, match="PONG came where KEXINIT was due"):
            await raw.expect(M.KEXINIT, skip=[M.EXT_INFO])
        await raw.send(Ping(b"2"))
        with pytest.raises(UnexpectedMessage, match="PONG came where the end was due"):
            await raw.expect_end()
        pair.server_scope.cancel()
        with pytest.raises(UnexpectedMessage, match="is not 2: Disconnect"):
            await raw.expect_disconnect(2)
        with pytest.raises(UnexpectedMessage, match="stream ended where PONG was due"):
            await raw.wait_for(M.PONG)
        await raw.expect_end()
        assert await raw.drain() == []


async def test_nobody_there(autojump_clock):
    raw, stream = raw_client(testing.SimulatedNetwork().stream_pair())
    await stream.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await raw.identify()
    other, stream = raw_server(testing.SimulatedNetwork().stream_pair())
    await stream.send_all(b"half a li")
    assert isinstance(stream, testing.SimulatedStream)
    await stream.send_eof()
    with pytest.raises(UnexpectedMessage, match="half a li"):
        await other.identify()


async def test_bytes_before_the_first_packet(autojump_clock):
    raw, stream = raw_client()
    async with testing.open_server(pairs.commands, stream):
        await raw.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
        assert b"SSH-2.0-" in await raw.drain_bytes()


def everything(payload: bytes) -> Iterable[bytes]:
    return [payload] * 3


async def test_a_twist_is_for_messages_only(autojump_clock):
    one, other = testing.SimulatedNetwork().stream_pair()
    raw = RawPeer(one, Role.CLIENT, twist=everything)
    await raw.send_bytes(b"once")
    await raw.send_forged(ForgedPacket(payload=b"\x02" + bytes(4)))
    await raw.send(Ignore(b""))
    await one.aclose()
    received = b"".join([chunk async for chunk in other])
    assert len(received) == 4 + 16 * 4
